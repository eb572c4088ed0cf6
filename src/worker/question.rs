//! Between what a task or a template asks and what the scheduler says: words alone, nothing is sent here.

use serde_json::Value;

use crate::domain::secret;
use crate::domain::template::{Found, Wanted};
use crate::protocol::task_channel::Reply;
use crate::protocol::work::{Answer, Question};

/// A template's wish as a question to the scheduler.
pub fn question(wanted: &Wanted) -> Question {
    match wanted.clone() {
        Wanted::Variable(key) => Question::GetVariable { key },
        Wanted::Connection(conn_id) => Question::GetConnection { conn_id },
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
        Answer::Stored => Found::Refused("the scheduler answered another question".to_owned()),
        Answer::Refused { why } => Found::Refused(why),
    }
}

/// What of an answer must not stand in the log.
pub fn secrets(answer: &Answer, asked: &Wanted) -> Vec<String> {
    match (answer, asked) {
        (Answer::Variable { value: Some(value) }, Wanted::Variable(key)) => secret::of_variable(key, &value.0),
        (Answer::Connection { connection: Some(connection) }, _) => connection.secrets(),
        (
            Answer::XCom { .. }
            | Answer::Variable { .. }
            | Answer::Connection { connection: None }
            | Answer::Stored
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
        Answer::Stored => Reply::value(id, Value::Null),
        Answer::Refused { why } => Reply::error(id, why),
    }
}
