//! What Airflow's task runner asks of its supervisor, under Airflow's own names.
//!
//! Fields that are not listed are ignored, since they grow with each version; a type that is not
//! listed is [`Request::Unknown`] and gets an answer that says so.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::time::Time;

/// One request.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type")]
pub enum Request {
    GetVariable {
        key: String,
    },
    PutVariable {
        key: String,
        value: Option<String>,
        #[serde(default)]
        description: Option<String>,
    },
    DeleteVariable {
        key: String,
    },
    GetConnection {
        conn_id: String,
    },
    GetXCom(XComOf),
    GetXComCount(XComOf),
    GetXComSequenceItem {
        #[serde(flatten)]
        of: XComOf,
        offset: i64,
    },
    GetXComSequenceSlice {
        #[serde(flatten)]
        of: XComOf,
        start: Option<i64>,
        stop: Option<i64>,
        step: Option<i64>,
    },
    SetXCom {
        #[serde(flatten)]
        of: XComOf,
        value: Value,
    },
    SetRenderedFields {},
    SetRenderedMapIndex {},
    MaskSecret {
        value: Value,
        #[serde(default)]
        name: Option<String>,
    },
    SucceedTask {
        #[serde(default)]
        outlet_events: Option<Vec<Value>>,
    },
    TaskState {
        state: TerminalState,
    },
    RetryTask {
        #[serde(default)]
        retry_reason: Option<String>,
    },
    RescheduleTask {
        reschedule_date: Time,
    },
    DeferTask(Deferral),
    SkipDownstreamTasks {
        tasks: Vec<Skipped>,
    },
    TriggerDagRun {
        dag_id: String,
        run_id: String,
        #[serde(default)]
        logical_date: Option<Time>,
        #[serde(default)]
        conf: Option<Map<String, Value>>,
        #[serde(default)]
        reset_dag_run: Option<bool>,
        #[serde(default)]
        note: Option<String>,
    },
    GetDagRunState {
        dag_id: String,
        run_id: String,
    },
    GetDagRun {
        dag_id: String,
        run_id: String,
    },
    GetPreviousDagRun {
        dag_id: String,
        logical_date: Time,
        #[serde(default)]
        state: Option<String>,
    },
    GetPrevSuccessfulDagRun {},
    #[serde(rename = "GetDRCount")]
    GetDagRunCount {
        dag_id: String,
        #[serde(flatten)]
        of: Runs,
        #[serde(default)]
        states: Option<Vec<String>>,
    },
    #[serde(rename = "GetTICount")]
    GetTaskCount {
        #[serde(flatten)]
        of: TasksOf,
        #[serde(default)]
        states: Option<Vec<String>>,
    },
    GetTaskStates(TasksOf),
    #[serde(rename = "GetPreviousTI")]
    GetPreviousTask {
        dag_id: String,
        task_id: String,
        #[serde(default)]
        logical_date: Option<Time>,
        #[serde(default)]
        map_index: Option<i32>,
        #[serde(default)]
        state: Option<String>,
    },
    GetTaskBreadcrumbs {
        dag_id: String,
        run_id: String,
    },
    GetTaskRescheduleStartDate {},
    ValidateInletsAndOutlets {},
    GetAssetEventByAsset {
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        uri: Option<String>,
        #[serde(default)]
        after: Option<Time>,
        #[serde(default)]
        before: Option<Time>,
        #[serde(default)]
        limit: Option<u64>,
        #[serde(default = "yes")]
        ascending: bool,
    },
    /// Not Airflow's: the runner has left, and the process wants to know whether anything follows.
    #[serde(rename = "Updraft.Next")]
    Next {},
    /// Not Airflow's: a value that a trigger leaves in its task's name.
    #[serde(rename = "Updraft.Leave")]
    Leave {
        key: String,
        value: Value,
    },
    /// Not Airflow's: the trigger has fired, or failed, and a runner waits for its first word.
    #[serde(rename = "Updraft.Resume")]
    Resume(Resumed),
    /// Answered with a file descriptor, which our socket does not carry.
    #[serde(rename = "ResendLoggingFD")]
    ResendLogging {},
    #[serde(other)]
    Unknown,
}

fn yes() -> bool {
    true
}

/// Which XCom is meant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct XComOf {
    pub key: String,
    pub dag_id: String,
    pub run_id: String,
    pub task_id: String,
    #[serde(default)]
    pub map_index: Option<i32>,
    #[serde(default)]
    pub include_prior_dates: bool,
}

/// Which runs of a DAG are meant; without any word, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Runs {
    #[serde(default)]
    pub logical_dates: Option<Vec<Time>>,
    #[serde(default)]
    pub run_ids: Option<Vec<String>>,
}

/// Which task instances are meant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TasksOf {
    pub dag_id: String,
    #[serde(flatten)]
    pub runs: Runs,
    #[serde(default)]
    pub task_ids: Option<Vec<String>>,
    #[serde(default)]
    pub task_group_id: Option<String>,
    #[serde(default)]
    pub map_index: Option<i32>,
}

/// The ends that the runner reports without a message of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TerminalState {
    Failed,
    Skipped,
    Removed,
}

/// A task to skip, or one instance of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Skipped {
    Task(String),
    Instance(String, i32),
}

/// A task that waits for a trigger, and how it goes on when that has fired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deferral {
    /// The trigger's class.
    pub classpath: String,
    /// As Airflow serialised them.
    #[serde(default)]
    pub trigger_kwargs: Value,
    /// An ISO 8601 duration.
    #[serde(default)]
    pub trigger_timeout: Option<String>,
    pub next_method: String,
    #[serde(default)]
    pub next_kwargs: Value,
}

/// How a task goes on that had deferred itself.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Resumed {
    pub next_method: String,
    /// As Airflow serialised them, with the trigger's event among them.
    pub next_kwargs: Value,
}

/// What a body asks for.
///
/// # Errors
/// When a request of a known type lacks what belongs to it; the text is for the task's log.
pub fn read(body: Value) -> Result<Request, String> {
    let word = body.get("type").and_then(Value::as_str).unwrap_or("?").to_owned();
    serde_json::from_value(body).map_err(|error| format!("a request `{word}` that cannot be understood: {error}"))
}
