//! The states of task instances and runs, under Airflow's names, each with the
//! one function that may change it. The tables are those of SCHEDULING §1.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The state of one task instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Waits for what is upstream. Airflow's NULL.
    #[default]
    None,
    /// All dependencies are met; waits for a place.
    Scheduled,
    /// Holds its place under every limit; waits for a worker's slot.
    Queued,
    Running,
    Success,
    Failed,
    Skipped,
    UpstreamFailed,
    UpForRetry,
    UpForReschedule,
    Deferred,
    /// Cleared while it ran: its process is being stopped, then it starts again.
    Restarting,
    /// No longer in the DAG, or beyond the length of its mapping.
    Removed,
    /// Waits for a person.
    AwaitingInput,
}

/// What may happen to a task instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskEvent {
    /// Every dependency is met.
    DependenciesMet,
    /// The operator does nothing, so the scheduler passes it at once.
    PassedThrough,
    /// It got its place under every limit.
    Admitted,
    /// Its owner gave it back before anything started; it keeps its places.
    Released,
    /// A worker's slot owns it.
    Started,
    /// Its attempt ended.
    Ended(Ending),
    /// A trigger rule, a skip decision or a mapping decided without running it.
    Decided(Decision),
    /// A user wants it to run again.
    Cleared,
    /// A user says how it ended.
    Marked(Mark),
    /// Its task is in the DAG again.
    Restored,
    /// Its run ended without it (timeout, failure of the run).
    Abandoned,
    /// What it waits for is watched by the scheduler itself: it waits without an attempt.
    Waits(Rest),
}

/// How an attempt ended, after retries were considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    Success,
    Failed,
    Skipped,
    UpForRetry,
    UpForReschedule,
    Deferred,
    AwaitingInput,
}

/// How a task instance waits without a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rest {
    Rescheduled,
    Deferred,
}

/// How a task instance is settled without an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    Skipped,
    UpstreamFailed,
    Removed,
}

/// How a user may mark a task instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    Success,
    Failed,
    Skipped,
}

/// The event does not concern the state: a caller's mistake, named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a task instance that is {from} cannot be told {event:?}")]
pub struct IllegalTransition {
    pub from: TaskState,
    pub event: TaskEvent,
}

impl TaskState {
    pub const ALL: [Self; 14] = [
        Self::None,
        Self::Scheduled,
        Self::Queued,
        Self::Running,
        Self::Success,
        Self::Failed,
        Self::Skipped,
        Self::UpstreamFailed,
        Self::UpForRetry,
        Self::UpForReschedule,
        Self::Deferred,
        Self::Restarting,
        Self::Removed,
        Self::AwaitingInput,
    ];

    /// The one transition function. Every state names every event it takes.
    pub fn on(self, event: TaskEvent) -> Result<Self, IllegalTransition> {
        use TaskEvent as E;
        let refused = Err(IllegalTransition { from: self, event });
        match self {
            Self::None => match event {
                E::DependenciesMet => Ok(Self::Scheduled),
                E::PassedThrough => Ok(Self::Success),
                E::Decided(decision) => Ok(decision.into()),
                E::Marked(mark) => Ok(mark.into()),
                E::Cleared => Ok(Self::None),
                E::Abandoned => Ok(Self::Skipped),
                E::Waits(rest) => Ok(rest.into()),
                E::Admitted | E::Released | E::Started | E::Ended(_) | E::Restored => refused,
            },
            Self::Scheduled => match event {
                E::Admitted => Ok(Self::Queued),
                E::Cleared => Ok(Self::None),
                E::Decided(decision) => Ok(decision.into()),
                E::Marked(mark) => Ok(mark.into()),
                E::Abandoned => Ok(Self::Skipped),
                // It was admitted where waiting holds a place, and waits there.
                E::Waits(rest) => Ok(rest.into()),
                E::DependenciesMet | E::PassedThrough | E::Released | E::Started | E::Ended(_) | E::Restored => refused,
            },
            Self::Queued => match event {
                E::Started => Ok(Self::Running),
                // An attempt can end unstarted: undeliverable, or lost between commit and spawn.
                E::Ended(ending) => Ok(ending.into()),
                E::Cleared => Ok(Self::Restarting),
                E::Decided(decision) => Ok(decision.into()),
                E::Marked(mark) => Ok(mark.into()),
                E::Abandoned => Ok(Self::Skipped),
                E::DependenciesMet | E::PassedThrough | E::Admitted | E::Released | E::Restored | E::Waits(_) => {
                    refused
                }
            },
            Self::Running => match event {
                E::Ended(ending) => Ok(ending.into()),
                // The claim was released: it swears that nothing started. Its places are kept.
                E::Released => Ok(Self::Queued),
                E::Cleared => Ok(Self::Restarting),
                E::Decided(decision) => Ok(decision.into()),
                E::Marked(mark) => Ok(mark.into()),
                E::Abandoned => Ok(Self::Skipped),
                E::DependenciesMet | E::PassedThrough | E::Admitted | E::Started | E::Restored | E::Waits(_) => refused,
            },
            Self::Restarting => match event {
                // Whatever the stopped process reported, the user wanted it to run again.
                E::Ended(_) => Ok(Self::None),
                E::Cleared | E::Released => Ok(Self::Restarting),
                E::Decided(decision) => Ok(decision.into()),
                E::Marked(mark) => Ok(mark.into()),
                E::Abandoned => Ok(Self::Skipped),
                E::Started => Ok(Self::Restarting),
                E::DependenciesMet | E::PassedThrough | E::Admitted | E::Restored | E::Waits(_) => refused,
            },
            Self::UpForReschedule | Self::Deferred => match event {
                E::DependenciesMet => Ok(Self::Scheduled),
                // What it waited for has come or will not come: nobody had to look.
                E::Ended(ending) => Ok(ending.into()),
                E::Cleared => Ok(Self::None),
                E::Decided(decision) => Ok(decision.into()),
                E::Marked(mark) => Ok(mark.into()),
                E::Abandoned => Ok(Self::Skipped),
                E::PassedThrough | E::Admitted | E::Released | E::Started | E::Restored | E::Waits(_) => refused,
            },
            Self::UpForRetry | Self::AwaitingInput => match event {
                E::DependenciesMet => Ok(Self::Scheduled),
                E::Waits(rest) => Ok(rest.into()),
                E::Cleared => Ok(Self::None),
                E::Decided(decision) => Ok(decision.into()),
                E::Marked(mark) => Ok(mark.into()),
                E::Abandoned => Ok(Self::Skipped),
                E::PassedThrough | E::Admitted | E::Released | E::Started | E::Ended(_) | E::Restored => refused,
            },
            Self::Success | Self::Failed | Self::Skipped | Self::UpstreamFailed => match event {
                E::Cleared => Ok(Self::None),
                E::Marked(mark) => Ok(mark.into()),
                E::Decided(Decision::Removed) => Ok(Self::Removed),
                E::Decided(Decision::Skipped | Decision::UpstreamFailed)
                | E::DependenciesMet
                | E::PassedThrough
                | E::Admitted
                | E::Released
                | E::Started
                | E::Ended(_)
                | E::Restored
                | E::Waits(_)
                | E::Abandoned => refused,
            },
            Self::Removed => match event {
                E::Restored => Ok(Self::None),
                E::Cleared
                | E::Marked(_)
                | E::Decided(_)
                | E::DependenciesMet
                | E::PassedThrough
                | E::Admitted
                | E::Released
                | E::Started
                | E::Ended(_)
                | E::Waits(_)
                | E::Abandoned => refused,
            },
        }
    }

    /// Nothing more happens to it by itself.
    pub fn is_finished(self) -> bool {
        match self {
            Self::Success | Self::Failed | Self::Skipped | Self::UpstreamFailed | Self::Removed => true,
            Self::None
            | Self::Scheduled
            | Self::Queued
            | Self::Running
            | Self::UpForRetry
            | Self::UpForReschedule
            | Self::Deferred
            | Self::Restarting
            | Self::AwaitingInput => false,
        }
    }

    /// Failed itself, or because of what is upstream.
    pub fn is_failed_like(self) -> bool {
        matches!(self, Self::Failed | Self::UpstreamFailed)
    }

    /// Counts for the limits of its own task, even while it waits without a process (SCHEDULING §1, "active").
    pub fn is_active(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Restarting | Self::Deferred | Self::AwaitingInput => true,
            Self::None
            | Self::Scheduled
            | Self::Success
            | Self::Failed
            | Self::Skipped
            | Self::UpstreamFailed
            | Self::UpForRetry
            | Self::UpForReschedule
            | Self::Removed => false,
        }
    }

    /// Is active, and has no process.
    pub fn rests(self) -> bool {
        self.is_active() && !self.occupies_slots()
    }

    /// Holds a place under the limits of DAG, pool and executor.
    pub fn occupies_slots(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Restarting => true,
            Self::None
            | Self::Scheduled
            | Self::Success
            | Self::Failed
            | Self::Skipped
            | Self::UpstreamFailed
            | Self::UpForRetry
            | Self::UpForReschedule
            | Self::Deferred
            | Self::Removed
            | Self::AwaitingInput => false,
        }
    }

    /// Airflow's word, as stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::UpstreamFailed => "upstream_failed",
            Self::UpForRetry => "up_for_retry",
            Self::UpForReschedule => "up_for_reschedule",
            Self::Deferred => "deferred",
            Self::Restarting => "restarting",
            Self::Removed => "removed",
            Self::AwaitingInput => "awaiting_input",
        }
    }
}

impl From<Ending> for TaskState {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Success => Self::Success,
            Ending::Failed => Self::Failed,
            Ending::Skipped => Self::Skipped,
            Ending::UpForRetry => Self::UpForRetry,
            Ending::UpForReschedule => Self::UpForReschedule,
            Ending::Deferred => Self::Deferred,
            Ending::AwaitingInput => Self::AwaitingInput,
        }
    }
}

impl From<Rest> for TaskState {
    fn from(rest: Rest) -> Self {
        match rest {
            Rest::Rescheduled => Self::UpForReschedule,
            Rest::Deferred => Self::Deferred,
        }
    }
}

impl From<Decision> for TaskState {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Skipped => Self::Skipped,
            Decision::UpstreamFailed => Self::UpstreamFailed,
            Decision::Removed => Self::Removed,
        }
    }
}

impl From<Mark> for TaskState {
    fn from(mark: Mark) -> Self {
        match mark {
            Mark::Success => Self::Success,
            Mark::Failed => Self::Failed,
            Mark::Skipped => Self::Skipped,
        }
    }
}

/// The state of one run of a DAG.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waits for a place under `max_active_runs`, or for its DAG to be unpaused.
    Queued,
    Running,
    Success,
    Failed,
}

/// What may happen to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunEvent {
    /// It got its place under `max_active_runs`.
    Started,
    Succeeded,
    Failed,
    /// A user cleared something in it, or queued it again.
    Cleared,
}

impl RunState {
    pub const ALL: [Self; 4] = [Self::Queued, Self::Running, Self::Success, Self::Failed];

    /// The one transition function; `None` where the event leaves the state as it is.
    pub fn on(self, event: RunEvent) -> Option<Self> {
        match (self, event) {
            (Self::Queued, RunEvent::Started) => Some(Self::Running),
            (Self::Queued | Self::Running, RunEvent::Succeeded) => Some(Self::Success),
            (Self::Queued | Self::Running, RunEvent::Failed) => Some(Self::Failed),
            (Self::Success | Self::Failed, RunEvent::Cleared) => Some(Self::Queued),
            // Marking a finished run is a change of mind, and allowed.
            (Self::Success, RunEvent::Failed) => Some(Self::Failed),
            (Self::Failed, RunEvent::Succeeded) => Some(Self::Success),
            // Already so, or (Started on a finished run) only a Clear brings it back.
            (Self::Running | Self::Success | Self::Failed, RunEvent::Started)
            | (Self::Queued | Self::Running, RunEvent::Cleared)
            | (Self::Success, RunEvent::Succeeded)
            | (Self::Failed, RunEvent::Failed) => None,
        }
    }

    pub fn is_finished(self) -> bool {
        match self {
            Self::Success | Self::Failed => true,
            Self::Queued | Self::Running => false,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }
}

/// A word that is no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown state `{0}`")]
pub struct UnknownState(pub String);

impl FromStr for TaskState {
    type Err = UnknownState;
    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or_else(|| UnknownState(word.to_owned()))
    }
}

impl FromStr for RunState {
    type Err = UnknownState;
    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or_else(|| UnknownState(word.to_owned()))
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SCHEDULING §1, read as: from, event, to.
    #[test]
    fn the_transition_table_is_airflows() {
        use TaskEvent as E;
        use TaskState as S;
        let table = [
            (S::None, E::DependenciesMet, S::Scheduled),
            (S::UpForRetry, E::DependenciesMet, S::Scheduled),
            (S::UpForReschedule, E::DependenciesMet, S::Scheduled),
            (S::None, E::PassedThrough, S::Success),
            (S::None, E::Decided(Decision::Skipped), S::Skipped),
            (S::None, E::Decided(Decision::UpstreamFailed), S::UpstreamFailed),
            (S::None, E::Decided(Decision::Removed), S::Removed),
            (S::Scheduled, E::Admitted, S::Queued),
            (S::Queued, E::Started, S::Running),
            (S::Running, E::Ended(Ending::Success), S::Success),
            (S::Running, E::Ended(Ending::Failed), S::Failed),
            (S::Running, E::Ended(Ending::Skipped), S::Skipped),
            (S::Running, E::Ended(Ending::UpForRetry), S::UpForRetry),
            (S::Running, E::Ended(Ending::UpForReschedule), S::UpForReschedule),
            (S::Running, E::Ended(Ending::Deferred), S::Deferred),
            (S::Running, E::Cleared, S::Restarting),
            (S::Restarting, E::Ended(Ending::Failed), S::None),
            (S::Deferred, E::DependenciesMet, S::Scheduled),
            (S::Running, E::Released, S::Queued),
            (S::Success, E::Cleared, S::None),
            (S::Failed, E::Marked(Mark::Success), S::Success),
            (S::Removed, E::Restored, S::None),
            (S::None, E::Waits(Rest::Deferred), S::Deferred),
            (S::Deferred, E::Ended(Ending::Success), S::Success),
            (S::UpForReschedule, E::Ended(Ending::UpForRetry), S::UpForRetry),
        ];
        for (from, event, to) in table {
            assert_eq!(from.on(event), Ok(to), "{from} told {event:?}");
        }
    }

    #[test]
    fn what_is_finished_cannot_start_or_end_again() {
        use TaskEvent as E;
        for state in TaskState::ALL.into_iter().filter(|s| s.is_finished()) {
            for event in [E::DependenciesMet, E::Admitted, E::Started, E::Ended(Ending::Success)] {
                assert_eq!(state.on(event), Err(IllegalTransition { from: state, event }));
            }
        }
    }

    #[test]
    fn every_state_is_written_and_read_the_same() {
        for state in TaskState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).expect("a word"), state.as_str());
        }
        for state in RunState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }
}
