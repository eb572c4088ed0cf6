//! The answer to "why not?": what holds a task instance now, and what held it when.

use serde::{Deserialize, Serialize};

use crate::domain::blocker::Blocker;
use crate::domain::ids::{DagId, TaskKey};
use crate::domain::journal::Stretch;
use crate::domain::run::PlannedRun;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;

/// One task instance, explained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    pub key: TaskKey,
    /// The instant of which it speaks.
    pub at: Time,
    pub state: TaskState,
    pub run_state: RunState,
    /// 0 before the first try.
    pub try_number: i32,
    pub max_tries: i32,
    /// What holds it, the first thing first. Never empty.
    pub reasons: Vec<Blocker>,
    /// What held it, oldest first; what still holds it ends at `at`.
    pub journal: Vec<Stretch>,
}

/// One DAG, explained: why it makes no run now, or when it makes the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DagExplanation {
    pub dag: DagId,
    /// The instant of which it speaks.
    pub at: Time,
    pub running: u32,
    pub queued: u32,
    pub next_run: Option<PlannedRun>,
    /// What holds the next run, the first thing first. Never empty.
    pub reasons: Vec<Blocker>,
}
