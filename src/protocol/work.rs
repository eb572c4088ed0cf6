//! The border between executor and worker (PROTOCOL §4): the same types
//! in-process and over a broker.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::asset::{AssetEvent, Linked, OutletEvent};
use crate::domain::attempt::{Outcome, Refusal, Verdict};
use crate::domain::connection::Connection;
use crate::domain::expand::{Mapped, Piece};
use crate::domain::ids::{
    AttemptId, Claim, Dispatch, Epoch, Incarnation, NotificationId, QueueName, TaskKey, TryNumber, WorkerId,
};
use crate::domain::notification::Notice;
use crate::domain::operator::Operator;
use crate::domain::run::{DataInterval, RunType};
use crate::domain::secret::Hidden;
use crate::domain::state::RunState;
use crate::domain::template::PreviousSuccess;
use crate::domain::time::{Time, seconds};
use crate::domain::wait::{Awaited, AwaitedTasks, Seen};

use super::found::{FoundRun, FoundTask, RunsAsked, TasksAsked};

/// What a worker is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ToWorker {
    /// Work to do. In one process it comes with its claim already granted (PROTOCOL §9).
    Task {
        task: Box<TaskMessage>,
        granted: Option<Claim>,
    },
    Granted {
        attempt: AttemptId,
        claim: Claim,
        epoch: Epoch,
    },
    Refused {
        claim: Claim,
        why: Refusal,
        epoch: Epoch,
    },
    /// A notification to carry out beside the tasks; it takes none of their slots. At least once: the same one may come again.
    Notify {
        id: NotificationId,
        task: Box<TaskMessage>,
    },
    /// The reports of these claims were recorded; the worker may forget them.
    Settled {
        claims: Vec<(Claim, Verdict)>,
    },
    /// TERM, `grace`, KILL; the outcome is reported as usual.
    Terminate {
        claim: Claim,
        #[serde(with = "seconds")]
        grace: Duration,
    },
    /// The answer to a question of a running task.
    Values {
        claim: Claim,
        seq: u64,
        answer: Answer,
    },
    /// This incarnation is known to have ended.
    Fenced {
        incarnation: Incarnation,
    },
    /// Take nothing more, finish until the deadline, leave. The Local executor's poison pill.
    Drain {
        #[serde(with = "seconds")]
        deadline: Duration,
    },
    /// The number of slots from now on.
    Resize {
        slots: u32,
    },
    /// Where the worker takes its work from now on: more queues, fewer queues.
    Queues {
        add: Vec<QueueName>,
        remove: Vec<QueueName>,
    },
    /// The answer to `Online` and to a beat after a takeover: the leader knows this incarnation. Only over a broker.
    Welcome {
        epoch: Epoch,
        times: LeaseTimes,
    },
    /// Beat at once: the leader has reason to ask.
    Probe,
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FromWorker {
    /// It began a new life; every process of earlier ones is proven gone (W6).
    Online(Online),
    /// A slot asks to own the attempt.
    Claimed {
        attempt: AttemptId,
        dispatch: Dispatch,
        claim: Claim,
        /// The broker gave the task to somebody before. A reason to look after that one, and a proof of nothing (L6).
        #[serde(default)]
        redelivered: bool,
    },
    /// For display; never decides.
    Started {
        attempt: AttemptId,
        claim: Claim,
        pid: u32,
        at: Time,
    },
    Finish(Report),
    /// Nothing started and nothing will; the attempt is given back.
    Released {
        attempt: AttemptId,
        claim: Claim,
    },
    Beat(Beat),
    /// A notification was carried out, or was tried.
    Notified(Notified),
    /// A running task asks for something.
    Asked {
        attempt: AttemptId,
        claim: Claim,
        seq: u64,
        question: Question,
    },
    /// Drained: nothing runs and nothing will.
    Offline {
        worker: WorkerId,
        incarnation: Incarnation,
    },
    /// The companion's word after its worker died: everything of this incarnation is killed and gone, and these are the
    /// reports that its journal still held (W7).
    Obituary {
        worker: WorkerId,
        incarnation: Incarnation,
        unsettled: Vec<Report>,
    },
}

/// The durations on which safety rests (PROTOCOL §8, N1): the leader says its own, a worker whose own are not at most as
/// long refuses to work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeaseTimes {
    #[serde(with = "seconds")]
    pub fence_after: Duration,
    #[serde(with = "seconds")]
    pub kill_grace: Duration,
    #[serde(with = "seconds")]
    pub spawn_slack: Duration,
    #[serde(with = "seconds")]
    pub worker_lost_after: Duration,
}

/// What a worker is, as far as it may change while it lives. Said at first and with every beat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// 0 is without limit.
    pub slots: u32,
    pub free_slots: u32,
    pub queues: Vec<QueueName>,
    /// It takes nothing more and will leave.
    #[serde(default)]
    pub draining: bool,
    /// Of the machine, over the last minute, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
}

/// A worker's first word in each life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Online {
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    /// `name@host`, for people.
    pub name: String,
    pub standing: Standing,
    /// Of its program, for people.
    #[serde(default)]
    pub version: String,
    /// The newest version of the messages that it understands (PROTOCOL §11).
    #[serde(default)]
    pub understands: u16,
    /// Outcomes of earlier lives that were not settled; loss and outcome cannot overtake each other.
    pub unsettled: Vec<Report>,
}

/// A worker's sign of life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    pub seq: u64,
    /// The highest claim number used.
    pub highest_n: i64,
    /// Claims held: asked for, granted, running, or ended and unsettled.
    pub held: Vec<(AttemptId, Claim)>,
    pub standing: Standing,
}

/// How an attempt ended, from the worker that owned it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub attempt: AttemptId,
    pub claim: Claim,
    pub outcome: Outcome,
    /// Of the process, when one ran and exited by itself.
    pub exit_code: Option<i32>,
    /// One sentence for people, when there is more to say than the outcome.
    pub message: Option<String>,
    /// `None` when nothing started.
    pub started_at: Option<Time>,
    pub ended_at: Time,
    pub pid: Option<u32>,
    /// Values to store with the outcome, in the same commit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub xcoms: Vec<(String, Value)>,
    /// What the task said of the assets that it changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outlet_events: Vec<OutletEvent>,
    /// Of an attempt that was rescheduled or deferred: what the task instance waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaited: Option<Awaited>,
}

/// What became of one try of a notification. One that was stopped with its worker is not reported: it is said again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notified {
    pub id: NotificationId,
    pub worker: WorkerId,
    pub succeeded: bool,
    pub message: Option<String>,
    pub ended_at: Time,
}

/// Everything that a worker needs to run one attempt; it asks no database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskMessage {
    pub attempt: AttemptId,
    pub dispatch: Dispatch,
    pub key: TaskKey,
    pub try_number: TryNumber,
    pub max_tries: i32,
    /// As in the DAG: its templates are rendered by the slot, into the task's own log.
    pub operator: Operator,
    /// The class or type as the author wrote it.
    pub operator_name: String,
    /// How often the author lets it be tried again.
    pub retries: u32,
    pub queue: QueueName,
    pub owner: String,
    #[serde(with = "seconds::option")]
    pub execution_timeout: Option<Duration>,
    pub do_xcom_push: bool,
    /// Relative to the base log folder, in Airflow's layout.
    pub log_path: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inlets: Vec<Linked>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outlets: Vec<Linked>,
    /// Of a sensor that looked before: when it did so first, and how often it went back to waiting.
    #[serde(default)]
    pub waiting_since: Option<Time>,
    #[serde(default)]
    pub reschedules: u32,
    pub run: RunContext,
    /// What one instance of a mapped task gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped: Option<Mapped>,
    /// Of a notification: what happened. It is then not the task that runs, but whoever is told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<Box<Notice>>,
}

/// What templates and Python callables may know about the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunContext {
    pub run_type: RunType,
    /// `None` for a run that was triggered without a date (Airflow 3).
    pub logical_date: Option<Time>,
    pub interval: Option<DataInterval>,
    pub run_after: Time,
    pub started_at: Option<Time>,
    pub conf: serde_json::Map<String, Value>,
    /// DAG defaults under task params under conf, merged.
    pub params: serde_json::Map<String, Value>,
    /// The logical dates of the neighbours on the schedule, where it has them.
    pub previous_logical_date: Option<Time>,
    pub next_logical_date: Option<Time>,
    /// The newest earlier run that succeeded.
    #[serde(default)]
    pub previous_success: Option<PreviousSuccess>,
    /// Airflow 2: `xcom_pull` that names no task takes the newest value of any.
    #[serde(default)]
    pub xcom_of_any_task: bool,
    /// A template that is alone in its field keeps the type of its value.
    #[serde(default)]
    pub native_templates: bool,
    pub description: Option<String>,
    pub tags: Vec<String>,
    /// The DAG file, relative to the DAGs folder.
    pub file: String,
    /// SHA-256 of that file as the scheduler read it, in hexadecimal digits: for Python code that a worker on another
    /// machine runs from its own DAGs folder. `None` where it is the same folder, and for whatever needs no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_hash: Option<String>,
    /// Extra folders for template files.
    pub template_searchpath: Vec<String>,
    /// The asset events that the run was made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asset_events: Vec<AssetEvent>,
}

/// What a running task may ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "question", rename_all = "snake_case")]
pub enum Question {
    /// A value of the same run unless `run_id` names another.
    GetXCom {
        task_id: String,
        map_index: Option<i32>,
        key: String,
        run_id: Option<String>,
        dag_id: Option<String>,
    },
    /// The newest value of any task of the run, or, with `prior_dates`, of this or an earlier run.
    GetNewestXCom {
        task_id: Option<String>,
        key: String,
        run_id: Option<String>,
        dag_id: Option<String>,
        prior_dates: bool,
    },
    /// What a task left: its one value, or one of each instance by map index.
    #[serde(rename = "get_xcoms")]
    GetXComs {
        task_id: String,
        key: String,
        run_id: Option<String>,
        dag_id: Option<String>,
    },
    /// Stored at once, before the task ends.
    SetXCom {
        key: String,
        value: Value,
    },
    /// Element `index` of what a task of the same run left, for one instance of a mapped task.
    GetMapped {
        task_id: String,
        key: String,
        index: u32,
    },
    GetVariable {
        key: String,
    },
    GetConnection {
        conn_id: String,
    },
    SetVariable {
        key: String,
        value: Hidden,
        description: Option<String>,
    },
    DeleteVariable {
        key: String,
    },
    /// The newest events of an asset, by its name, or by its URI where no asset has the name.
    GetAssetEvents {
        name: Option<String>,
        uri: Option<String>,
        limit: Option<u64>,
    },
    /// A run of another DAG, in this task's name.
    TriggerDagRun(TriggerDagRunRequest),
    /// Everything in a run is cleared, and it runs again.
    ClearRun {
        dag_id: String,
        run_id: String,
    },
    GetRunState {
        dag_id: String,
        run_id: String,
    },
    /// How tasks of another DAG stand.
    LookAt {
        tasks: AwaitedTasks,
    },
    /// Runs of a DAG, the newest first.
    FindRuns(RunsAsked),
    /// Task instances of such runs.
    FindTasks(TasksAsked),
}

/// A run that a task asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerDagRunRequest {
    pub dag_id: String,
    pub run_id: Option<String>,
    pub logical_date: Option<Time>,
    #[serde(default)]
    pub conf: serde_json::Map<String, Value>,
    pub note: Option<String>,
    /// Refused when the DAG is paused.
    #[serde(default)]
    pub fail_when_paused: bool,
}

/// The scheduler's answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    XCom {
        value: Option<Value>,
    },
    #[serde(rename = "xcoms")]
    XComs {
        values: Vec<Value>,
    },
    /// `None`: there is no such element.
    Mapped {
        piece: Option<Piece>,
    },
    /// `None`: there is no such variable.
    Variable {
        value: Option<Hidden>,
    },
    /// `None`: there is no such connection.
    Connection {
        connection: Option<Box<Connection>>,
    },
    AssetEvents {
        events: Vec<AssetEvent>,
    },
    Stored,
    /// Whether there was one.
    Deleted {
        existed: bool,
    },
    Triggered {
        run_id: String,
        logical_date: Option<Time>,
    },
    /// A run of that id or date is there already.
    RunExists {
        run_id: String,
    },
    /// `None`: there is no such run.
    RunState {
        state: Option<RunState>,
    },
    Seen {
        seen: Seen,
    },
    Runs {
        runs: Vec<FoundRun>,
    },
    Tasks {
        tasks: Vec<FoundTask>,
    },
    Refused {
        why: String,
    },
}

/// Environment variables that every task sees (SCHEDULING §16), by name.
pub type Environment = BTreeMap<String, String>;
