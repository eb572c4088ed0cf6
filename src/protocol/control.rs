//! The border between people and the scheduler: what a user wants, from
//! whichever process it comes. From another process it is a durable row of this type.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::backfill::BackfillRequest;
use crate::domain::ids::{BackfillId, DagId, MapIndex, PoolName, QueueName, RunId, RunKey, TaskId, TaskKey};
use crate::domain::run::RunType;
use crate::domain::state::{Mark, RunState, TaskState};
use crate::domain::time::{Time, seconds};

use super::explanation::{DagExplanation, Explanation};
use super::selection::Selection;

/// What a user wants to happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case")]
pub enum Control {
    Trigger(Trigger),
    /// The DAG that makes an asset is to make it.
    Materialize(Materialize),
    Pause {
        dag: DagId,
        paused: bool,
    },
    SetPool(Pool),
    DeletePool {
        pool: PoolName,
    },
    /// Task instances run again.
    Clear(Clear),
    /// A user says how task instances ended.
    MarkTasks {
        selection: Selection,
        mark: Mark,
        dry_run: bool,
    },
    /// A user says how a run ended; what is unfinished in it ends with it.
    MarkRun {
        dag: DagId,
        run_id: RunId,
        succeeded: bool,
    },
    /// A remark about a run, in the place of the one it has.
    NoteRun {
        dag: DagId,
        run_id: RunId,
        note: Option<String>,
    },
    /// Runs of past dates.
    CreateBackfill {
        request: BackfillRequest,
        user: Option<String>,
    },
    /// A paused backfill starts no run; those under way go on.
    PauseBackfill {
        backfill: BackfillId,
        paused: bool,
    },
    /// A backfill ends now: what waits of it fails, what runs goes on.
    CancelBackfill {
        backfill: BackfillId,
    },
    /// A portion of what has long ended goes.
    Clean(Clean),
    /// The history of a DAG goes. Its file stays, and so does what that defines.
    DeleteDag {
        dag: DagId,
    },
    /// A run that is over goes, with everything that hangs on it.
    DeleteRun {
        dag: DagId,
        run_id: RunId,
    },
    /// What workers behind a broker are to do. It is said once: a worker that cannot be reached does not do it later.
    OrderWorkers {
        /// `name@host`; `None`: every worker that there is.
        name: Option<String>,
        order: WorkerOrder,
    },
    /// What holds a task instance, and what held it; changes nothing.
    Explain {
        dag: DagId,
        run_id: RunId,
        task: TaskId,
        map_index: MapIndex,
    },
    /// Why a DAG makes no run now; changes nothing.
    ExplainDag {
        dag: DagId,
    },
}

/// What is to run again (SCHEDULING §13).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clear {
    pub selection: Selection,
    /// Only what failed, or whose upstream did.
    pub only_failed: bool,
    /// Only what is running now; together with `only_failed`, either.
    pub only_running: bool,
    /// Finished runs go on. Without, their task instances are cleared and nothing starts.
    pub reset_runs: bool,
    /// Changes nothing: only says what would be cleared.
    pub dry_run: bool,
}

/// What is to be forgotten. Nothing that is unfinished ever is, nor the newest run of a DAG.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clean {
    /// Only what ended before.
    pub before: Time,
    pub tables: Vec<HistoryTable>,
    /// Only runs after this one: where the portion before has ended.
    pub after: RunKey,
}

/// A table that grows with the history, in Airflow's word where it has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryTable {
    /// Runs, with everything that hangs on them.
    DagRun,
    TaskInstance,
    /// The tries.
    TaskInstanceHistory,
    Xcom,
    Backfill,
    /// Who was told of what, or could not be.
    Notification,
    /// What users asked for, and the answers.
    Command,
}

impl HistoryTable {
    pub const ALL: [Self; 7] = [
        Self::DagRun,
        Self::TaskInstance,
        Self::TaskInstanceHistory,
        Self::Xcom,
        Self::Backfill,
        Self::Notification,
        Self::Command,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::DagRun => "dag_run",
            Self::TaskInstance => "task_instance",
            Self::TaskInstanceHistory => "task_instance_history",
            Self::Xcom => "xcom",
            Self::Backfill => "backfill",
            Self::Notification => "notification",
            Self::Command => "command",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.as_str() == word)
    }
}

/// What a user wants of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum WorkerOrder {
    /// Take nothing more, finish until the deadline, leave.
    Shutdown {
        #[serde(with = "seconds")]
        deadline: Duration,
    },
    AddQueue {
        queue: QueueName,
    },
    RemoveQueue {
        queue: QueueName,
    },
    RemoveAllQueues,
    Resize {
        slots: NonZeroU32,
    },
}

/// A pool as a user wants it. One with a known name is replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    pub name: PoolName,
    /// -1: without limit; 0: lets nobody in.
    pub slots: i32,
    pub description: String,
    /// Whether deferred tasks hold their slots.
    pub include_deferred: bool,
}

/// A run that a user asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    pub dag: DagId,
    /// `None`: made from the run's type and instant.
    pub run_id: Option<RunId>,
    /// `None`: the run has no logical date (Airflow 3), or the present instant (Airflow 2).
    pub logical_date: Option<Time>,
    #[serde(default)]
    pub conf: serde_json::Map<String, Value>,
    pub note: Option<String>,
    pub by: TriggeredBy,
    pub user: Option<String>,
}

/// An asset that a user wants made, by its name or by its URI.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Materialize {
    pub name: Option<String>,
    pub uri: Option<String>,
    pub user: Option<String>,
}

/// Where a run came from, in the REST API's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggeredBy {
    Cli,
    Operator,
    RestApi,
    Ui,
    Test,
    Timetable,
    Asset,
    Backfill,
}

impl TriggeredBy {
    pub const ALL: [Self; 8] =
        [Self::Cli, Self::Operator, Self::RestApi, Self::Ui, Self::Test, Self::Timetable, Self::Asset, Self::Backfill];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Operator => "operator",
            Self::RestApi => "rest_api",
            Self::Ui => "ui",
            Self::Test => "test",
            Self::Timetable => "timetable",
            Self::Asset => "asset",
            Self::Backfill => "backfill",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == word)
    }
}

/// What became of a [`Control`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    Triggered(Triggered),
    /// `changed` is false when it was so already.
    Paused {
        dag: DagId,
        paused: bool,
        changed: bool,
    },
    /// The pool is as it was wanted.
    PoolSet {
        pool: PoolName,
    },
    /// No task gets a place there any more; the ones that run go on.
    PoolDeleted {
        pool: PoolName,
    },
    /// The task instances that were cleared or marked, or would be; in the order of run and task.
    Touched {
        tasks: Vec<TouchedTask>,
        dry_run: bool,
    },
    /// `changed` is false when it was so already.
    RunMarked {
        dag: DagId,
        run_id: RunId,
        state: RunState,
        changed: bool,
    },
    BackfillCreated(BackfillCreated),
    /// `changed` is false when it was so already.
    BackfillChanged {
        backfill: BackfillId,
        dag: DagId,
        changed: bool,
    },
    DagDeleted {
        dag: DagId,
    },
    RunNoted {
        dag: DagId,
        run_id: RunId,
    },
    RunDeleted {
        dag: DagId,
        run_id: RunId,
    },
    Explained {
        explanation: Box<Explanation>,
    },
    DagExplained {
        explanation: Box<DagExplanation>,
    },
    /// `last` is the run to go on after; `None`: nothing is left.
    Cleaned {
        runs: u32,
        last: Option<RunKey>,
    },
    /// The workers that were told, by name.
    WorkersOrdered {
        workers: Vec<String>,
    },
    Refused {
        why: Refused,
    },
}

/// A backfill that now exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackfillCreated {
    pub backfill: BackfillId,
    pub dag: DagId,
    /// How many dates it has.
    pub dates: u32,
    /// The DAG is paused: the backfill waits until it is not.
    pub paused: bool,
}

/// A task instance that a user's wish is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TouchedTask {
    pub key: TaskKey,
    /// How it stood before.
    pub state: TaskState,
}

/// A run that now exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Triggered {
    pub dag: DagId,
    pub run_id: RunId,
    pub run_type: RunType,
    pub state: RunState,
    pub logical_date: Option<Time>,
    pub interval_start: Option<Time>,
    pub interval_end: Option<Time>,
    pub run_after: Time,
    /// `None` while it waits for a place.
    #[serde(default)]
    pub started_at: Option<Time>,
    pub conf: serde_json::Map<String, Value>,
    /// The DAG is paused: the run waits until it is not.
    pub paused: bool,
}

/// Why a control cannot be done; nothing was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Refused {
    #[error("no DAG is named `{dag}`{}", hint.as_ref().map(|h| format!(": {h}")).unwrap_or_default())]
    DagNotFound { dag: DagId, hint: Option<String> },
    #[error("DAG `{dag}` has no run `{run_id}`: `dags list-runs {dag}` shows those it has")]
    RunNotFound { dag: DagId, run_id: RunId },
    #[error("DAG `{dag}` has no task `{task}`{}", hint.as_ref().map(|h| format!(": {h}")).unwrap_or_default())]
    TaskNotFound { dag: DagId, task: TaskId, hint: Option<String> },
    #[error("DAG `{dag}` already has a run `{run_id}`: choose another run id, or clear that run")]
    RunExists { dag: DagId, run_id: RunId },
    #[error("DAG `{dag}` already has a run for the logical date {logical_date}: run `{run_id}`")]
    LogicalDateTaken { dag: DagId, logical_date: Time, run_id: RunId },
    #[error("Pool {pool} does not exist{}", hint.as_ref().map(|h| format!(": {h}")).unwrap_or_default())]
    PoolNotFound { pool: PoolName, hint: Option<String> },
    #[error("{pool} cannot be deleted: it is the pool of every task that names none")]
    DefaultPool { pool: PoolName },
    #[error("no backfill has the number {backfill}: `updraft backfill list` shows those there are")]
    BackfillNotFound { backfill: BackfillId },
    #[error(
        "DAG `{dag}` already has an active backfill: wait for its end, or cancel it with `updraft backfill cancel {backfill}`"
    )]
    BackfillActive { dag: DagId, backfill: BackfillId },
    #[error("backfill {backfill} is over: nothing of it can be changed any more")]
    BackfillOver { backfill: BackfillId },
    #[error("task `{task}` of run `{run_id}` still runs: pause DAG `{dag}` and wait, or mark the run failed")]
    TaskRuns { dag: DagId, run_id: RunId, task: TaskId },
    #[error("run `{run_id}` of DAG `{dag}` is not over: mark it failed first, or wait for its end")]
    RunNotOver { dag: DagId, run_id: RunId },
    #[error("no worker is named `{name}`{}; `updraft celery list-workers` shows those there are", hint.as_ref().map(|h| format!(" ({h})")).unwrap_or_default())]
    WorkerNotFound { name: String, hint: Option<String> },
    #[error("{message}")]
    Invalid { message: String },
}
