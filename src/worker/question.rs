//! Between what a task or a template asks and what the scheduler says: words alone, nothing is sent here.

use serde_json::{Value, json};

use crate::domain::secret::{self, Sensitive};
use crate::domain::template::{Found, Wanted};
use crate::protocol::task_channel::Reply;
use crate::protocol::work::{Answer, Question};

/// A template's wish as a question to the scheduler.
pub fn question(wanted: &Wanted) -> Question {
    match wanted.clone() {
        Wanted::Variable(key) => Question::GetVariable { key },
        Wanted::Connection(conn_id) => Question::GetConnection { conn_id },
        Wanted::NewestXCom { task_id, key, dag_id, run_id, prior_dates } => {
            Question::GetNewestXCom { task_id, key, run_id, dag_id, prior_dates }
        }
        Wanted::XCom { task_id, key, map_index, dag_id, run_id } => {
            Question::GetXCom { task_id, map_index, key, run_id, dag_id }
        }
    }
}

/// What an answer gives to a template.
pub fn found(answer: Answer) -> Found {
    match answer {
        Answer::XCom { value } => Found::XCom(value),
        Answer::Variable { value } => Found::Variable(value.map(|text| text.0)),
        Answer::Connection { connection } => Found::Connection(connection),
        Answer::Stored
        | Answer::Deleted { .. }
        | Answer::AssetEvents { .. }
        | Answer::Triggered { .. }
        | Answer::RunExists { .. }
        | Answer::RunState { .. }
        | Answer::Seen { .. }
        | Answer::Runs { .. }
        | Answer::Tasks { .. }
        | Answer::XComs { .. }
        | Answer::Mapped { .. } => Found::Refused("the scheduler answered another question".to_owned()),
        Answer::Refused { why } => Found::Refused(why),
    }
}

/// What of an answer must not stand in the log.
pub fn secrets(names: &Sensitive, answer: &Answer, asked: &Wanted) -> Vec<String> {
    match (answer, asked) {
        (Answer::Variable { value: Some(value) }, Wanted::Variable(key)) => secret::of_variable(names, key, &value.0),
        (Answer::Connection { connection: Some(connection) }, _) => connection.secrets(names),
        (
            Answer::XCom { .. }
            | Answer::Mapped { .. }
            | Answer::Variable { .. }
            | Answer::Connection { connection: None }
            | Answer::AssetEvents { .. }
            | Answer::Stored
            | Answer::Deleted { .. }
            | Answer::Triggered { .. }
            | Answer::RunExists { .. }
            | Answer::RunState { .. }
            | Answer::Seen { .. }
            | Answer::Runs { .. }
            | Answer::Tasks { .. }
            | Answer::XComs { .. }
            | Answer::Refused { .. },
            _,
        ) => Vec::new(),
    }
}

/// An answer on its way to the task.
pub fn reply(id: u64, answer: Answer) -> Reply {
    match answer {
        Answer::XCom { value } => Reply::value(id, value.unwrap_or(Value::Null)),
        Answer::Variable { value } => Reply::value(id, value.map_or(Value::Null, |text| Value::String(text.0))),
        Answer::Connection { connection } => {
            Reply::value(id, connection.map_or(Value::Null, |connection| Value::Object(connection.object())))
        }
        Answer::AssetEvents { events } => match serde_json::to_value(events) {
            Ok(events) => Reply::value(id, events),
            Err(error) => Reply::error(id, error.to_string()),
        },
        Answer::Deleted { existed } => Reply::value(id, existed.into()),
        Answer::Stored => Reply::value(id, Value::Null),
        Answer::Triggered { run_id, logical_date } => {
            Reply::value(id, json!({ "triggered": run_id, "logical_date": logical_date }))
        }
        Answer::RunExists { run_id } => Reply::value(id, json!({ "exists": run_id })),
        Answer::RunState { state } => Reply::value(id, json!(state)),
        Answer::Seen { seen } => Reply::value(id, json!(seen)),
        Answer::XComs { values } => Reply::value(id, Value::Array(values)),
        Answer::Runs { runs } => Reply::value(id, json!(runs)),
        Answer::Tasks { tasks } => Reply::value(id, json!(tasks)),
        Answer::Mapped { .. } => Reply::error(id, "the scheduler answered another question"),
        Answer::Refused { why } => Reply::error(id, why),
    }
}
