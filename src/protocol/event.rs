//! The border between scheduler and those who watch: numbered events, one per change that was committed.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{DagId, RunId, TaskKey, TryNumber};
use crate::domain::notification::{NotificationState, Occasion};
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;

/// A committed change. A watcher can always ask "since N".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub number: u64,
    pub at: Time,
    pub change: Change,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    Task {
        key: TaskKey,
        state: TaskState,
        try_number: TryNumber,
    },
    Run {
        dag: DagId,
        run: RunId,
        state: RunState,
    },
    Dag {
        dag: DagId,
    },
    /// Somebody was told, or was not: then `error` says why.
    Notification {
        key: TaskKey,
        occasion: Occasion,
        state: NotificationState,
        error: Option<String>,
    },
    /// The run goes on, but late.
    DeadlineMissed {
        dag: DagId,
        run: RunId,
        due_at: Time,
    },
}
