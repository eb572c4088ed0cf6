//! The border between a worker and the process of one attempt: Python's bridge, or a native operator.
//!
//! The process gets one end of a Unix stream socket pair as its file descriptor
//! 0; 1 and 2 are the log. Both directions carry frames: a length of 4 bytes,
//! big-endian, and so many bytes of JSON.
//!
//! ```text
//!   worker                                   python (updraft_bridge)
//!   {"type":"start", "code":.., ..}     ->
//!                                       <-   {"type":"get_xcom","id":1,"task_id":"extract","key":"return_value"}
//!   {"id":1,"value":{"rows":3}}         ->
//!                                       <-   {"type":"set_xcom","id":2,"key":"return_value","value":7}
//!   {"id":2}                            ->
//!                                       <-   {"type":"finish","state":"success"}
//!                                            (exits)
//! ```
//!
//! Every request gets exactly one reply with its id; a `set_xcom` may be answered
//! as soon as the worker holds the value. The end of the stream before `finish`
//! means that the process crashed or called `os._exit`: then the exit code alone
//! decides. After `finish` the exit code says nothing new.
//! Templates are rendered before: `args` and `kwargs` arrive as values. A value
//! that only Python can hold travels as `{"__updraft__": "as_written"}` and is
//! left as it is.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::asset::{AssetEvent, Linked, OutletEvent};
use crate::domain::expand::Mapped;
use crate::domain::native::Native;
use crate::domain::notification::Notice;
use crate::domain::operator::{PythonCode, PythonDecision};
use crate::domain::run::RunType;
use crate::domain::secret::Hidden;
use crate::domain::time::Time;
use crate::domain::wait::Awaited;

use super::work::Question;

/// A frame longer than this is a fault, not a value.
pub const MAX_FRAME: u32 = 64 << 20;

/// The worker's first word, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToTask {
    Start(Box<Start>),
    Operate(Box<Operate>),
}

/// Everything that a native operator needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operate {
    /// Rendered.
    pub native: Native,
    pub dag_id: String,
    pub task_id: String,
    pub run_id: String,
    pub logical_date: Option<Time>,
    pub data_interval_end: Option<Time>,
    pub run_after: Time,
    /// When a sensor looked for the first time, in an attempt before this one.
    #[serde(default)]
    pub waiting_since: Option<Time>,
    #[serde(default)]
    pub reschedules: u32,
    /// Where mail goes that names no connection.
    #[serde(default)]
    pub mail: MailServer,
}

/// The sections `[smtp]` and `[email]` of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MailServer {
    pub host: String,
    pub port: u16,
    pub starttls: bool,
    pub ssl: bool,
    pub user: Option<String>,
    pub password: Option<Hidden>,
    pub from: String,
}

impl Default for MailServer {
    /// Airflow's, as installed.
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 25,
            starttls: true,
            ssl: false,
            user: None,
            password: None,
            from: "airflow@example.com".to_owned(),
        }
    }
}

/// Everything that the process needs to run the attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    pub code: PythonCode,
    /// What the result decides about the tasks downstream, for code that is no task object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decides: Option<PythonDecision>,
    /// Rendered.
    #[serde(default)]
    pub args: Vec<Value>,
    /// Rendered.
    #[serde(default)]
    pub kwargs: Map<String, Value>,
    pub dag_id: String,
    pub task_id: String,
    pub run_id: String,
    /// -1 for a task that is not mapped.
    pub map_index: i32,
    /// What one instance of a mapped task, or of a task in a mapped group, gets; rendered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped: Option<Mapped>,
    pub try_number: i32,
    pub max_tries: i32,
    pub run_type: RunType,
    pub logical_date: Option<Time>,
    pub data_interval_start: Option<Time>,
    pub data_interval_end: Option<Time>,
    pub run_after: Time,
    /// When the run began.
    pub run_start_date: Option<Time>,
    /// When the attempt began.
    pub start_date: Option<Time>,
    pub previous_logical_date: Option<Time>,
    pub next_logical_date: Option<Time>,
    /// Of the newest earlier run that succeeded.
    #[serde(default)]
    pub prev_data_interval_start_success: Option<Time>,
    #[serde(default)]
    pub prev_data_interval_end_success: Option<Time>,
    #[serde(default)]
    pub prev_start_date_success: Option<Time>,
    #[serde(default)]
    pub prev_end_date_success: Option<Time>,
    /// Airflow 2: `xcom_pull` that names no task takes the newest value of any.
    #[serde(default)]
    pub xcom_of_any_task: bool,
    #[serde(default)]
    pub conf: Map<String, Value>,
    /// DAG defaults under task params under conf, merged.
    #[serde(default)]
    pub params: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inlets: Vec<Linked>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outlets: Vec<Linked>,
    /// The asset events that the run was made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asset_events: Vec<AssetEvent>,
    /// Absolute; modules in it are importable.
    pub dags_folder: String,
    /// When a sensor looked for the first time, in an attempt before this one.
    #[serde(default)]
    pub waiting_since: Option<Time>,
    #[serde(default)]
    pub reschedules: u32,
    /// Where people read its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_url: Option<String>,
    /// What happened: then it is not the task that runs, but its callback for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Notice>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    pub id: u64,
    /// `null` for "there is none" and for requests that ask for nothing.
    #[serde(default)]
    pub value: Value,
    /// Raised in the task, when the request could not be served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Reply {
    pub fn value(id: u64, value: Value) -> Self {
        Self { id, value, error: None }
    }

    pub fn error(id: u64, error: impl Into<String>) -> Self {
        Self { id, value: Value::Null, error: Some(error.into()) }
    }
}

/// What the process says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromTask {
    /// A value of this run of this DAG, unless `run_id` or `dag_id` names another.
    #[serde(rename = "get_xcom")]
    GetXCom {
        id: u64,
        task_id: String,
        key: String,
        #[serde(default)]
        map_index: Option<i32>,
        #[serde(default)]
        run_id: Option<String>,
        #[serde(default)]
        dag_id: Option<String>,
    },
    /// The newest value of any task of the run, or, with `prior_dates`, of this or an earlier run.
    #[serde(rename = "get_newest_xcom")]
    GetNewestXCom {
        id: u64,
        #[serde(default)]
        task_id: Option<String>,
        key: String,
        #[serde(default)]
        run_id: Option<String>,
        #[serde(default)]
        dag_id: Option<String>,
        #[serde(default)]
        prior_dates: bool,
    },
    #[serde(rename = "set_xcom")]
    SetXCom { id: u64, key: String, value: Value },
    /// Answered with its text, or `null`.
    GetVariable { id: u64, key: String },
    /// Answered with nothing: it is kept, encrypted.
    SetVariable {
        id: u64,
        key: String,
        value: String,
        #[serde(default)]
        description: Option<String>,
    },
    /// Answered with whether there was one.
    DeleteVariable { id: u64, key: String },
    /// Answered with the newest events of an asset, oldest first. By its name, or by its URI.
    GetAssetEvents {
        id: u64,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        uri: Option<String>,
        /// At most so many.
        #[serde(default)]
        limit: Option<u64>,
    },
    /// Answered with an object of Airflow's keys, or `null`.
    GetConnection { id: u64, conn_id: String },
    /// Answered when it is hidden from the task's log; where it has a name, only if that is a sensitive one.
    MaskSecret {
        id: u64,
        value: Value,
        #[serde(default)]
        name: Option<String>,
    },
    /// Anything else that the scheduler can be asked.
    Ask { id: u64, question: Question },
    /// The last word.
    Finish(Finish),
}

/// How the attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finish {
    pub state: FinishState,
    /// Of a failure: whether trying again could help. `AirflowFailException` says that it cannot.
    #[serde(default = "yes")]
    pub retryable: bool,
    /// One sentence; the traceback is in the log.
    #[serde(default)]
    pub message: Option<String>,
    /// What the task says of the assets that it changed; counts when it succeeded.
    #[serde(default)]
    pub outlet_events: Vec<OutletEvent>,
    /// Of an attempt that goes back to waiting: for what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaited: Option<Awaited>,
}

fn yes() -> bool {
    true
}

/// The outcomes that a task itself can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishState {
    Success,
    Failed,
    Skipped,
    Rescheduled,
    Deferred,
}

/// A message as a frame.
///
/// # Errors
/// When the message is longer than [`MAX_FRAME`].
pub fn frame(message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).ok().filter(|length| *length <= MAX_FRAME);
    let length = length.ok_or(FrameError::TooLong(body.len() as u64))?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// The length that a frame's first four bytes announce.
///
/// # Errors
/// When it is more than [`MAX_FRAME`].
pub fn frame_length(head: [u8; 4]) -> Result<usize, FrameError> {
    match u32::from_be_bytes(head) {
        length if length <= MAX_FRAME => Ok(length as usize),
        length => Err(FrameError::TooLong(length.into())),
    }
}

/// Why a message cannot be sent or a frame cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("expected a message of at most {MAX_FRAME} bytes, got: {0} bytes")]
    TooLong(u64),
    #[error("a message that is not the JSON it should be: {0}")]
    Json(#[from] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_four_bytes_of_length_and_json() {
        let frame = frame(&Reply::value(7, Value::Null)).expect("a short reply");
        assert_eq!(&frame[..4], [0, 0, 0, 21]);
        assert_eq!(&frame[4..], br#"{"id":7,"value":null}"#);
        assert_eq!(frame_length([0, 0, 0, 21]).expect("a length"), 21);
    }

    #[test]
    fn an_announced_length_beyond_the_bound_is_refused() {
        let error = frame_length([255; 4]).expect_err("4 GiB");
        assert!(error.to_string().contains("got: 4294967295 bytes"), "{error}");
    }

    #[test]
    fn what_the_task_says_is_read_with_its_optional_parts_left_out() {
        let read = |text| serde_json::from_str::<FromTask>(text).expect("a message of the task");
        assert_eq!(
            read(r#"{"type":"get_xcom","id":1,"task_id":"a","key":"return_value"}"#),
            FromTask::GetXCom {
                id: 1,
                task_id: "a".into(),
                key: "return_value".into(),
                map_index: None,
                run_id: None,
                dag_id: None
            }
        );
        let finish = Finish {
            state: FinishState::Failed,
            retryable: true,
            message: None,
            outlet_events: Vec::new(),
            awaited: None,
        };
        assert_eq!(read(r#"{"type":"finish","state":"failed"}"#), FromTask::Finish(finish));
    }
}
