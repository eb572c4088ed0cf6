//! What a running task may learn about runs and task instances, its own and others'.
//!
//! Plain words both ways: whether a DAG or a state of that name exists is said by whoever looks.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::run::{DataInterval, RunType};
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;

/// Which runs of a DAG.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunsAsked {
    pub dag_id: String,
    /// `None`: whatever their names are.
    #[serde(default)]
    pub run_ids: Option<Vec<String>>,
    #[serde(default)]
    pub logical_dates: Option<Vec<Time>>,
    #[serde(default)]
    pub states: Option<Vec<String>>,
    /// Only those of an earlier logical date.
    #[serde(default)]
    pub before: Option<Time>,
    /// At most so many, the newest.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// A run as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundRun {
    pub run_id: String,
    pub run_type: RunType,
    pub state: RunState,
    pub logical_date: Option<Time>,
    pub interval: Option<DataInterval>,
    pub run_after: Time,
    pub started_at: Option<Time>,
    pub ended_at: Option<Time>,
    pub conf: Map<String, Value>,
    pub note: Option<String>,
    pub user: Option<String>,
    pub clear_number: i32,
}

/// Which task instances of these runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TasksAsked {
    pub runs: RunsAsked,
    #[serde(default)]
    pub task_ids: Option<Vec<String>>,
    /// Those of this group instead.
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default)]
    pub map_index: Option<i32>,
}

/// A task instance as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundTask {
    pub run_id: String,
    pub logical_date: Option<Time>,
    pub task_id: String,
    pub map_index: i32,
    pub state: TaskState,
    pub try_number: i32,
    pub operator: String,
    pub started_at: Option<Time>,
    pub ended_at: Option<Time>,
}
