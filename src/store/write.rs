//! The rows of the store as values. A [`Write`] carries a whole row, so that
//! writing it twice is the same as once and the last one of a batch wins.

use chrono_tz::Tz;
use serde_json::Value;
use std::collections::BTreeMap;

use crate::domain::asset::{Asset, AssetEvent};
use crate::domain::attempt::AttemptState;
use crate::domain::backfill::BackfillRequest;
use crate::domain::dag::DagDefinition;
use crate::domain::deadline::DeadlineState;
use crate::domain::ids::{
    AssetEventId, AttemptId, BackfillId, CommandId, DagId, Incarnation, MapIndex, NotificationId, PoolName, QueueName,
    RunId, RunKey, TaskId, TryNumber, VersionNumber, WorkerId,
};
use crate::domain::journal::Journal;
use crate::domain::limit::Limit;
use crate::domain::notification::{NotificationState, Occasion};
use crate::domain::problem::Problem;
use crate::domain::run::{BackfillPlace, DataInterval, PlannedRun, RunType};
use crate::domain::schedule::Schedule;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;
use crate::domain::wait::Waiting;
use crate::domain::worker::WorkerStatus;
use crate::protocol::control::{HistoryTable, Reply, TriggeredBy};
use crate::protocol::work::TaskMessage;

/// One change. Whole rows replace what has the same key.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    Dag(DagRow),
    /// Never replaced: a version is written once.
    Version(Box<VersionRow>),
    Run(RunRow),
    Task(TaskRow),
    /// A task instance stands for others from now on: index -1 has become 0 and those after it.
    DropTask {
        run: RunKey,
        task: TaskId,
        map_index: MapIndex,
    },
    /// An attempt that is done is never written again (I3); the store refuses it.
    Attempt(AttemptRow),
    XCom(XComRow),
    Notification(Box<NotificationRow>),
    Deadline(DeadlineRow),
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
    Asset(Asset),
    AssetEvent(AssetEvent),
    /// An event waits for a run of a DAG, or was given to one.
    Queued(QueueRow),
    /// The DAG waits for that asset no more.
    Dequeued {
        dag: DagId,
        event: AssetEventId,
    },
    Worker(WorkerRow),
    Pool(PoolRow),
    /// Nobody finds it any more.
    DeletePool(PoolName),
    Backfill(Box<BackfillRow>),
    /// What has long ended goes.
    Clean(Box<CleanedRows>),
    /// Everything that is remembered of a DAG goes, before anything else of this commit comes.
    DeleteDag(DagId),
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
    /// The backfill that it belongs to, if any.
    pub backfill: Option<BackfillPlace>,
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
    /// Of a task instance that is `up_for_retry`, `up_for_reschedule` or `deferred`: when it is looked at next.
    pub next_try_at: Option<Time>,
    pub hostname: Option<String>,
    pub pid: Option<u32>,
    /// One sentence about how it came to this state, where there is one.
    pub note: Option<String>,
    /// What held it, from when to when.
    pub journal: Journal,
    /// Of a sensor that has looked: since when, how often, and what it waits for. A clear forgets it.
    pub waiting: Option<Box<Waiting>>,
    /// Of the values that it left: by key, into how many instances each could be expanded.
    pub xcom_lengths: XComLengths,
}

/// By key; `None`: neither a list nor a dict.
pub type XComLengths = BTreeMap<String, Option<u32>>;

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

/// What an asset event means to a DAG that is scheduled on the asset. Key: (`dag`, `event`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRow {
    pub dag: DagId,
    pub event: AssetEventId,
    /// One that came while the DAG was paused brings about no run, and goes along with the next one.
    pub counts: bool,
    /// The run that it was given to; `None` while it waits.
    pub run: Option<RunKey>,
}

/// One worker. Key: `id`.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerRow {
    pub id: WorkerId,
    /// `name@host`
    pub name: String,
    pub host: String,
    pub incarnation: Incarnation,
    /// Of this incarnation; every earlier one has ended.
    pub status: WorkerStatus,
    pub slots: Limit,
    /// What it takes work from.
    pub queues: Vec<QueueName>,
    /// Of its program, for people.
    pub version: String,
    /// The newest version of the messages that it understands.
    pub understands: u16,
    /// Written with a change, and now and then: somebody who beats is not written with every beat.
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

/// One backfill. Key: `id`.
#[derive(Clone, Debug, PartialEq)]
pub struct BackfillRow {
    pub id: BackfillId,
    pub request: BackfillRequest,
    /// The DAG's when the backfill was made: its dates follow from these.
    pub schedule: Schedule,
    pub timezone: Tz,
    /// How many dates it has.
    pub dates: u32,
    /// How many of them it has dealt with, in its order: by a run, or by leaving the run that was there alone.
    pub dealt: u32,
    /// How many of those had a run that was left alone.
    pub skipped: u32,
    pub is_paused: bool,
    pub is_cancelled: bool,
    pub user: Option<String>,
    pub created_at: Time,
    pub updated_at: Time,
    pub completed_at: Option<Time>,
}

/// What of the history goes.
#[derive(Clone, Debug, PartialEq)]
pub struct CleanedRows {
    /// Of these runs, which are over.
    pub runs: Vec<RunKey>,
    pub tables: Vec<HistoryTable>,
    /// What belongs to no run and ended before this.
    pub before: Time,
}

/// One notification, from the commit that owed it. Key: `id`.
#[derive(Clone, Debug, PartialEq)]
pub struct NotificationRow {
    pub id: NotificationId,
    pub run: RunKey,
    /// `None`: it is about the run.
    pub task_id: Option<TaskId>,
    pub map_index: MapIndex,
    pub try_number: TryNumber,
    pub occasion: Occasion,
    /// Which of the list of that occasion.
    pub number: u32,
    /// What is sent to a worker: everything that carrying it out needs.
    pub message: TaskMessage,
    pub state: NotificationState,
    /// Tries that failed.
    pub failed_tries: u32,
    /// Not before this instant.
    pub next_try_at: Option<Time>,
    pub created_at: Time,
    pub ended_at: Option<Time>,
    /// Why the newest try failed.
    pub error: Option<String>,
}

/// One deadline of one run. Key: (`run`, `number`).
#[derive(Clone, Debug, PartialEq)]
pub struct DeadlineRow {
    pub run: RunKey,
    /// Which of the DAG's deadlines.
    pub number: u32,
    pub name: Option<String>,
    pub due_at: Time,
    pub state: DeadlineState,
    /// When it was met or missed.
    pub settled_at: Option<Time>,
}
