//! One life of a worker as the leader knows it, and what proves that it is over (PROTOCOL L6).
//!
//! ```text
//!            silence                     proof
//!  Online ◄──────────► Suspect ─────────────────────► Lost
//!    ▲ │   heard          │                             ▲
//!    │ ▼                  │       proof                 │
//!  Draining ──────────────┴─────────────────────────────┤
//!    │                                                  │
//!    └── "nothing runs and nothing will" ──► Offline    (a proof only)
//! ```
//!
//! `Offline` and `Lost` are for good: what comes of this life afterwards is refused, also by the next leader.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::blocker::length;
use super::ids::Incarnation;

/// How a life stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerStatus {
    Online,
    /// It finishes what it has and takes nothing more.
    Draining,
    /// There is reason to look after it. Shown and asked; it moves nothing.
    Suspect,
    /// It has said goodbye.
    Offline,
    /// It is proven to have ended.
    Lost,
}

/// What is heard of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerEvent {
    /// A beat.
    Heard {
        draining: bool,
    },
    /// Silence, a message that came back, or work of it that was offered to another.
    Doubted,
    /// Its own word that nothing runs and nothing will.
    Left,
    Proven,
}

impl WorkerStatus {
    pub const ALL: [Self; 5] = [Self::Online, Self::Draining, Self::Suspect, Self::Offline, Self::Lost];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Draining => "draining",
            Self::Suspect => "suspect",
            Self::Offline => "offline",
            Self::Lost => "lost",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// The one transition function.
    #[must_use]
    pub fn on(self, event: WorkerEvent) -> Self {
        match (self, event) {
            (Self::Online | Self::Draining | Self::Suspect, WorkerEvent::Heard { draining: true }) => Self::Draining,
            (Self::Online | Self::Draining | Self::Suspect, WorkerEvent::Heard { draining: false }) => Self::Online,
            (Self::Online | Self::Draining | Self::Suspect, WorkerEvent::Doubted) => Self::Suspect,
            (Self::Online | Self::Draining | Self::Suspect, WorkerEvent::Left) => Self::Offline,
            (Self::Online | Self::Draining | Self::Suspect, WorkerEvent::Proven) => Self::Lost,
            (
                Self::Offline | Self::Lost,
                WorkerEvent::Heard { .. } | WorkerEvent::Doubted | WorkerEvent::Left | WorkerEvent::Proven,
            ) => self,
        }
    }

    /// Whether this life may still own something.
    pub fn lives(self) -> bool {
        match self {
            Self::Online | Self::Draining | Self::Suspect => true,
            Self::Offline | Self::Lost => false,
        }
    }

    /// Whether it takes new work. One that is suspect may: it is excluded from nothing.
    pub fn takes_work(self) -> bool {
        match self {
            Self::Online | Self::Suspect => true,
            Self::Draining | Self::Offline | Self::Lost => false,
        }
    }
}

/// Why nothing of a life runs any more although it did not say so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A later life is online, which it is only when every process before it is gone.
    NextLife(Incarnation),
    /// Its companion has killed everything and says so.
    Obituary,
    /// A marker came back with no beat before it.
    Marker { silence: Duration },
}

impl Proof {
    /// What people read at an attempt that was lost.
    pub fn sentence(self, worker: &str) -> String {
        match self {
            Self::NextLife(incarnation) => {
                format!("lost: worker {worker} has begun life {incarnation} and left no report of this attempt")
            }
            Self::Obituary => {
                format!("lost: worker {worker} died, and its companion killed what it ran")
            }
            Self::Marker { silence } => {
                format!("lost: nothing was heard of worker {worker} for {}", length(silence))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_for_good_whatever_is_said_afterwards() {
        use WorkerEvent as E;
        let events = [E::Heard { draining: false }, E::Heard { draining: true }, E::Doubted, E::Left, E::Proven];
        for ended in [WorkerStatus::Offline, WorkerStatus::Lost] {
            assert!(!ended.lives() && !ended.takes_work());
            assert!(events.iter().all(|event| ended.on(*event) == ended));
        }
    }

    #[test]
    fn a_beat_ends_a_doubt_and_a_doubt_moves_nothing() {
        let suspect = WorkerStatus::Online.on(WorkerEvent::Doubted);
        assert_eq!((suspect, suspect.lives(), suspect.takes_work()), (WorkerStatus::Suspect, true, true));
        assert_eq!(suspect.on(WorkerEvent::Heard { draining: false }), WorkerStatus::Online);
        assert_eq!(suspect.on(WorkerEvent::Heard { draining: true }), WorkerStatus::Draining);
        assert_eq!(suspect.on(WorkerEvent::Left), WorkerStatus::Offline);
        assert_eq!(suspect.on(WorkerEvent::Proven), WorkerStatus::Lost);
    }

    #[test]
    fn words_come_back_as_they_went() {
        assert!(WorkerStatus::ALL.iter().all(|status| WorkerStatus::from_word(status.as_str()) == Some(*status)));
    }
}
