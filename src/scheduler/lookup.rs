//! What the core cannot know from memory: finished runs, and the values that tasks left.

use crate::domain::connection::Connection;
use crate::domain::ids::{ConnectionId, DagId, MapIndex, RunId, RunKey, TaskId, VariableKey};
use crate::domain::secret::Hidden;
use crate::protocol::control::Control;
use crate::protocol::work::{Answer, Question};
use crate::store::{Store, StoreError, Vault};

use super::core::History;

/// What the history says about a control, read with nothing uncommitted.
pub(super) async fn history(store: &Store, control: &Control) -> Result<History, StoreError> {
    let Control::Trigger(trigger) = control else { return Ok(History::default()) };
    let mut history = History::default();
    if let Some(run_id) = &trigger.run_id {
        history.same_id = store.run(&trigger.dag, run_id).await?.map(|run| run.run_id);
    }
    if let Some(date) = trigger.logical_date {
        history.same_date = store.run_of_date(&trigger.dag, date).await?.map(|run| run.run_id);
    }
    Ok(history)
}

/// The answer to a running task's question.
pub(super) async fn answer(store: &Store, vault: &Vault, run: RunKey, question: Question) -> Answer {
    match question {
        Question::GetXCom { task_id, map_index, key, run_id, dag_id } => {
            match xcom(store, run, task_id, map_index, key, dag_id.zip(run_id)).await {
                Ok(value) => Answer::XCom { value },
                Err(why) => Answer::Refused { why },
            }
        }
        Question::GetVariable { key } => match variable(vault, &key).await {
            Ok(value) => Answer::Variable { value: value.map(Hidden) },
            Err(why) => Answer::Refused { why },
        },
        Question::GetConnection { conn_id } => match connection(vault, &conn_id).await {
            Ok(connection) => Answer::Connection { connection: connection.map(Box::new) },
            Err(why) => Answer::Refused { why },
        },
        // Stored by the core, never looked up.
        Question::SetXCom { .. } => Answer::Refused { why: "a value to store is no question".to_owned() },
    }
}

async fn variable(vault: &Vault, key: &str) -> Result<Option<String>, String> {
    let key = VariableKey::new(key).map_err(|invalid| invalid.to_string())?;
    vault.find_variable(&key).await.map_err(|error| error.to_string())
}

async fn connection(vault: &Vault, id: &str) -> Result<Option<Connection>, String> {
    let id = ConnectionId::new(id).map_err(|invalid| invalid.to_string())?;
    vault.find_connection(&id).await.map_err(|error| error.to_string())
}

async fn xcom(
    store: &Store,
    own: RunKey,
    task_id: String,
    map_index: Option<i32>,
    key: String,
    elsewhere: Option<(String, String)>,
) -> Result<Option<serde_json::Value>, String> {
    let task = TaskId::new(task_id).map_err(|invalid| invalid.to_string())?;
    let run = match elsewhere {
        None => Some(own),
        Some((dag, run)) => {
            let dag = DagId::new(dag).map_err(|invalid| invalid.to_string())?;
            let run = RunId::new(run).map_err(|invalid| invalid.to_string())?;
            store.run(&dag, &run).await.map_err(|error| error.to_string())?.map(|run| run.key)
        }
    };
    let Some(run) = run else { return Ok(None) };
    let index = map_index.map_or(MapIndex::UNMAPPED, MapIndex);
    let row = store.xcom(run, &task, index, &key).await.map_err(|error| error.to_string())?;
    Ok(row.map(|row| row.value))
}
