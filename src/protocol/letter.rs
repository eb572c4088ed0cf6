//! The border between nodes: what stands inside an envelope on its way over a broker (PROTOCOL §4).
//!
//! | queue | kind | body |
//! | --- | --- | --- |
//! | `task.<queue>` | [`Kind::Task`] | one [`TaskMessage`](super::work::TaskMessage) |
//! | `scheduler`, from a worker | [`Kind::Said`] | [`Said`]: what the worker says, in order |
//! | `scheduler`, from the leader to itself | [`Kind::Marker`] | [`Marker`] |
//! | `reply.…` | [`Kind::Told`] | [`Told`]: what the worker is told, in order |
//! | `log` | [`Kind::Chunk`] | [`ChunkHead`] and the bytes of the log |
//!
//! A letter carries as many messages as were there to be sent: a batch costs one publish. Who sends it, and the
//! epoch or incarnation, stand in the envelope.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::ids::{AttemptId, Epoch};

use super::work::{FromWorker, ToWorker};

/// What a letter is, in the word that the envelope signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Task,
    Said,
    Told,
    Marker,
    Chunk,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Task, Self::Said, Self::Told, Self::Marker, Self::Chunk];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Said => "said",
            Self::Told => "told",
            Self::Marker => "marker",
            Self::Chunk => "chunk",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// From a worker, or from its companion, to the leader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The queue where answers reach this life of the worker now; empty when nobody waits for any (an obituary).
    pub reply_to: String,
    pub said: Vec<FromWorker>,
}

/// From the leader to one life of one worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// With the epoch of the envelope it only grows, per worker and incarnation: an order (`Terminate`, `Drain`,
    /// `Resize`, `Queues`) in a letter that is not newer than the last one is a copy, and ignored.
    pub seq: u64,
    pub said: Vec<ToWorker>,
}

/// From the leader to itself: when it comes back, everything that was queued before it has been read (L5, L6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    pub epoch: Epoch,
    /// Counts the leader's subscriptions to `scheduler` inside the epoch.
    pub subscription: u64,
    pub nonce: Uuid,
}

/// Before the bytes of a piece of a task's log, as one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkHead {
    pub attempt: AttemptId,
    /// Relative to the base log folder, as the `TaskMessage` said.
    pub log_path: String,
    pub offset: u64,
    /// The log is complete with so many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
}
