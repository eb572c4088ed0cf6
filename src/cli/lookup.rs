//! Finds what a person named: a DAG, a run by id or date, a task. What is not there is said with what was probably meant.

use crate::config::Settings;
use crate::domain::dag::TaskDefinition;
use crate::domain::ids::{DagId, MapIndex, RunId, RunKey, TaskId};
use crate::domain::problem::suggestion;
use crate::store::Store;
use crate::store::query::{DagEntry, RunFilter};
use crate::store::write::{RunRow, TaskRow};

use super::arguments::WrittenDate;
use super::error::{CliError, no_such_dag};

/// A DAG whose file is there.
pub async fn dag(store: &Store, id: &DagId) -> Result<DagEntry, CliError> {
    match store.dag(id).await? {
        Some(entry) if !entry.row.is_stale => Ok(entry),
        found => Err(missing(store, id, found.as_ref()).await?),
    }
}

/// A DAG of which something is remembered, although its file may be gone.
pub async fn dag_with_history(store: &Store, id: &DagId) -> Result<DagEntry, CliError> {
    match store.dag(id).await? {
        Some(entry) => Ok(entry),
        None => Err(missing(store, id, None).await?),
    }
}

async fn missing(store: &Store, id: &DagId, stale: Option<&DagEntry>) -> Result<CliError, CliError> {
    let names = store.dag_names().await?;
    let hint = match stale {
        Some(entry) => Some(format!("its file {} is gone, or no longer defines it", entry.row.file)),
        None => suggestion(id.as_str(), names.iter().map(String::as_str)),
    };
    let (message, hint) = no_such_dag(id.as_str(), hint);
    Ok(CliError::Failed { message, hint })
}

/// A run by its id or by its logical date.
pub async fn run(store: &Store, settings: &Settings, dag: &DagId, named: &str) -> Result<Option<RunRow>, CliError> {
    if let Ok(id) = RunId::new(named)
        && let Some(run) = store.run(dag, &id).await?
    {
        return Ok(Some(run));
    }
    match named.parse::<WrittenDate>() {
        Ok(date) => Ok(store.run_of_date(dag, date.at(settings.core.default_timezone)).await?),
        Err(_) => Ok(None),
    }
}

/// The same, where there has to be one.
pub async fn existing_run(store: &Store, settings: &Settings, dag: &DagId, named: &str) -> Result<RunRow, CliError> {
    match run(store, settings, dag, named).await? {
        Some(run) => Ok(run),
        None => {
            Err(CliError::failed(format!("DAG `{dag}` has no run `{named}`"))
                .hint(no_such_run(store, dag, named).await?))
        }
    }
}

/// What to do about a run that is not there.
pub async fn no_such_run(store: &Store, dag: &DagId, named: &str) -> Result<String, CliError> {
    /// Enough recent runs to find a misspelt one in.
    const RECENT: u64 = 200;
    let runs = store.runs(&RunFilter { dag: Some(dag.clone()), limit: Some(RECENT), ..RunFilter::default() }).await?;
    let Some(newest) = runs.first() else {
        return Ok(format!("the DAG has no run yet; `updraft dags trigger {dag}` makes one"));
    };
    let meant = suggestion(named, runs.iter().map(|run| run.run_id.as_str()));
    Ok(meant
        .unwrap_or_else(|| format!("the newest run is `{}`; `updraft dags list-runs {dag}` shows all", newest.run_id)))
}

/// A task instance; `None` where the run has not begun. A map index that means nothing is refused.
pub async fn instance(
    store: &Store,
    run: RunKey,
    task: &TaskId,
    map_index: MapIndex,
) -> Result<Option<TaskRow>, CliError> {
    if let Some(row) = store.task(run, task, map_index).await? {
        return Ok(Some(row));
    }
    let all = store.tasks(run).await?;
    let last = all.iter().filter(|row| row.task_id == *task).map(|row| row.map_index).max();
    match last {
        None => Ok(None),
        Some(MapIndex::UNMAPPED) => {
            Err(CliError::failed(format!("task `{task}` is not mapped in this run, so it has no element {map_index}")))
        }
        Some(last) => Err(CliError::failed(format!(
            "task `{task}` is mapped in this run: name one of its elements, --map-index 0 to {last}"
        ))),
    }
}

/// A task of a DAG as it is defined now.
pub fn task<'a>(entry: &'a DagEntry, id: &TaskId) -> Result<&'a TaskDefinition, CliError> {
    let tasks = &entry.definition.tasks;
    tasks.iter().find(|task| task.task_id == *id).ok_or_else(|| no_such_task(entry, id))
}

pub fn no_such_task(entry: &DagEntry, id: &TaskId) -> CliError {
    let dag = &entry.row.dag_id;
    let meant = suggestion(id.as_str(), entry.definition.tasks.iter().map(|task| task.task_id.as_str()));
    let hint = meant.unwrap_or_else(|| format!("`updraft tasks list {dag}` shows its tasks"));
    CliError::failed(format!("DAG `{dag}` has no task `{id}`")).hint(hint)
}
