//! The rows of the store as values. A [`Write`] carries a whole row, so that
//! writing it twice is the same as once and the last one of a batch wins.

use serde_json::Value;

use crate::domain::attempt::AttemptState;
use crate::domain::dag::DagDefinition;
use crate::domain::ids::{
    AttemptId, CommandId, DagId, Incarnation, MapIndex, PoolName, QueueName, RunId, RunKey, TaskId, TryNumber,
    VersionNumber, WorkerId,
};
use crate::domain::problem::Problem;
use crate::domain::run::{DataInterval, PlannedRun, RunType};
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;
use crate::protocol::control::{Reply, TriggeredBy};

/// One change. Whole rows replace what has the same key.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    Dag(DagRow),
    /// Never replaced: a version is written once.
    Version(Box<VersionRow>),
    Run(RunRow),
    Task(TaskRow),
    /// An attempt that is done is never written again (I3); the store refuses it.
    Attempt(AttemptRow),
    XCom(XComRow),
    /// All values of one task instance go: a new try begins.
    ClearXComs {
        run: RunKey,
        task: TaskId,
        map_index: MapIndex,
    },
    /// The problems of one DAG file replace those it had; none clears them.
    FileProblems {
        file: String,
        problems: Vec<Problem>,
        at: Time,
    },
    Worker(WorkerRow),
    Pool(PoolRow),
    /// Nobody finds it any more.
    DeletePool(PoolName),
    /// A durable command was carried out, or refused with a reason.
    CommandDone {
        id: CommandId,
        reply: Reply,
        at: Time,
    },
}

/// A DAG as the scheduler knows it. Key: `dag_id`.
#[derive(Clone, Debug, PartialEq)]
pub struct DagRow {
    pub dag_id: DagId,
    /// The current version; runs keep their own.
    pub version: VersionNumber,
    pub is_paused: bool,
    /// The file is gone, or no longer defines it.
    pub is_stale: bool,
    pub file: String,
    /// The interval of the newest run that the timetable made; the next one follows from it.
    pub last_interval: Option<DataInterval>,
    /// For display: what comes next, `None` when paused for good or without schedule.
    pub next_run: Option<PlannedRun>,
    pub parsed_at: Time,
}

/// One version of a DAG's definition. Key: (`dag_id`, `version`).
#[derive(Clone, Debug, PartialEq)]
pub struct VersionRow {
    pub dag_id: DagId,
    pub version: VersionNumber,
    /// SHA-256 of the definition, in hex.
    pub hash: String,
    pub definition: DagDefinition,
    /// The text of the DAG file.
    pub source: String,
    pub created_at: Time,
}

/// One run. Key: `key`; also unique: (`dag_id`, `run_id`) and (`dag_id`, `logical_date`).
#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    pub key: RunKey,
    pub dag_id: DagId,
    pub run_id: RunId,
    pub run_type: RunType,
    pub state: RunState,
    pub version: VersionNumber,
    pub logical_date: Option<Time>,
    pub interval: Option<DataInterval>,
    pub run_after: Time,
    pub conf: serde_json::Map<String, Value>,
    pub note: Option<String>,
    pub triggered_by: TriggeredBy,
    pub user: Option<String>,
    pub queued_at: Time,
    pub started_at: Option<Time>,
    pub ended_at: Option<Time>,
    /// How often it was brought back after it had finished.
    pub clear_number: i32,
}

/// One task instance. Key: (`run`, `task_id`, `map_index`).
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRow {
    pub run: RunKey,
    pub task_id: TaskId,
    pub map_index: MapIndex,
    pub state: TaskState,
    /// 0 before the first try.
    pub try_number: TryNumber,
    pub max_tries: i32,
    /// How many tries the machinery has lost.
    pub infra_tries: i32,
    /// The attempt of the present try, when there is one.
    pub attempt: Option<AttemptId>,
    pub operator: String,
    pub pool: PoolName,
    pub pool_slots: u32,
    pub queue: QueueName,
    pub priority_weight: i32,
    pub scheduled_at: Option<Time>,
    pub queued_at: Option<Time>,
    pub started_at: Option<Time>,
    pub ended_at: Option<Time>,
    /// Of a task instance that is `up_for_retry`: not before this instant.
    pub next_try_at: Option<Time>,
    pub hostname: Option<String>,
    pub pid: Option<u32>,
    /// One sentence about how it came to this state, where there is one.
    pub note: Option<String>,
}

/// One attempt: the history of every try is kept. Key: `id`.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRow {
    pub id: AttemptId,
    pub run: RunKey,
    pub task_id: TaskId,
    pub map_index: MapIndex,
    pub try_number: TryNumber,
    pub state: AttemptState,
    pub queued_at: Time,
    pub started_at: Option<Time>,
    pub ended_at: Option<Time>,
    pub exit_code: Option<i32>,
    pub message: Option<String>,
    pub log_path: String,
}

/// One value that a task pushed. Key: (`run`, `task_id`, `map_index`, `key`).
#[derive(Clone, Debug, PartialEq)]
pub struct XComRow {
    pub run: RunKey,
    pub task_id: TaskId,
    pub map_index: MapIndex,
    pub key: String,
    pub value: Value,
    pub at: Time,
}

/// One worker. Key: `id`.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerRow {
    pub id: WorkerId,
    pub name: String,
    pub incarnation: Incarnation,
    pub online: bool,
    pub seen_at: Time,
}

/// One pool. Key: `name`.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolRow {
    pub name: PoolName,
    /// -1 is unlimited.
    pub slots: i32,
    pub description: String,
    pub include_deferred: bool,
}
