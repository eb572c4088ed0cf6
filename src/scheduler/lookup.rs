//! What the core cannot know from memory: finished runs, and the values that tasks left.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::connection::Connection;
use crate::domain::graph::Dag;
use crate::domain::ids::{ConnectionId, DagId, MapIndex, RunId, RunKey, TaskId, VariableKey, VersionNumber};
use crate::domain::secret::Hidden;
use crate::protocol::control::{Control, Trigger};
use crate::protocol::selection::Selection;
use crate::protocol::work::{Answer, Question};
use crate::store::{Store, StoreError, Vault};

use super::core::{History, KnownRun};

/// What the history says about a control, read with nothing uncommitted.
pub(super) async fn history(store: &Store, control: &Control) -> Result<History, StoreError> {
    match control {
        Control::Trigger(trigger) => taken(store, trigger).await,
        Control::Pause { .. } | Control::SetPool(_) | Control::DeletePool { .. } => Ok(History::default()),
        Control::Clear(clear) => selected(store, &clear.selection).await,
        Control::MarkTasks { selection, .. } => selected(store, selection).await,
        Control::MarkRun { dag, run_id, .. } => {
            selected(store, &Selection::whole_run(dag.clone(), run_id.clone())).await
        }
    }
}

async fn taken(store: &Store, trigger: &Trigger) -> Result<History, StoreError> {
    let mut history = History::default();
    if let Some(run_id) = &trigger.run_id {
        history.same_id = store.run(&trigger.dag, run_id).await?.map(|run| run.run_id);
    }
    if let Some(date) = trigger.logical_date {
        history.same_date = store.run_of_date(&trigger.dag, date).await?.map(|run| run.run_id);
    }
    Ok(history)
}

/// The runs that are meant, with everything about those that memory may have forgotten.
async fn selected(store: &Store, selection: &Selection) -> Result<History, StoreError> {
    let rows = store.selected_runs(selection).await?;
    let finished: Vec<RunKey> = rows.iter().filter(|run| run.state.is_finished()).map(|run| run.key).collect();
    let mut tasks: HashMap<RunKey, Vec<_>> = HashMap::new();
    for task in store.tasks_of_runs(&finished).await? {
        tasks.entry(task.run).or_default().push(task);
    }
    let present = store.dag(&selection.dag).await?.map(|entry| entry.row.version);
    let mut versions: HashMap<VersionNumber, Option<Arc<Dag>>> = HashMap::new();
    let mut runs = Vec::with_capacity(rows.len());
    for row in rows {
        if row.state.is_finished() && Some(row.version) != present && !versions.contains_key(&row.version) {
            versions.insert(row.version, version(store, &row.dag_id, row.version).await?);
        }
        let dag = versions.get(&row.version).cloned().flatten();
        runs.push(KnownRun { tasks: tasks.remove(&row.key).unwrap_or_default(), dag, row });
    }
    Ok(History { runs, ..History::default() })
}

/// A version of former times; one that can no longer be used is said, and done without.
async fn version(store: &Store, dag: &DagId, number: VersionNumber) -> Result<Option<Arc<Dag>>, StoreError> {
    let Some(row) = store.version(dag, Some(number)).await? else { return Ok(None) };
    match Dag::compile(row.definition) {
        Ok(compiled) => Ok(Some(Arc::new(compiled))),
        Err(error) => {
            tracing::warn!(%dag, version = number.0, %error, "a stored DAG version cannot be used");
            Ok(None)
        }
    }
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
