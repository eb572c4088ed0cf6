//! Finds what an address names: a DAG, a run, a task; what is not there is said with what was probably meant.

use crate::domain::graph::{Dag, TaskIx};
use crate::domain::ids::{DagId, RunId, TaskId};
use crate::domain::problem::suggestion;
use crate::store::query::RunFilter;
use crate::store::write::{DagRow, RunRow};
use crate::web::error::Error;
use crate::web::state::Web;

/// A DAG of which something is remembered, although its file may be gone.
pub(super) async fn dag(web: &Web, name: &str) -> Result<DagRow, Error> {
    if let Ok(id) = DagId::new(name)
        && let Some(row) = web.store.dag_row(&id).await?
    {
        return Ok(row);
    }
    let names = web.store.dag_names().await?;
    let hint = suggestion(name, names.iter().map(String::as_str)).map(|hint| format!(": {hint}"));
    Err(Error::NotFound(format!("no DAG is named `{name}`{}", hint.unwrap_or_default())))
}

pub(super) async fn run(web: &Web, dag: &DagId, name: &str) -> Result<RunRow, Error> {
    /// Enough recent runs to find a misspelt one in.
    const RECENT: u64 = 200;
    if let Ok(id) = RunId::new(name)
        && let Some(row) = web.store.run(dag, &id).await?
    {
        return Ok(row);
    }
    let runs = RunFilter { dag: Some(dag.clone()), limit: Some(RECENT), ..RunFilter::default() };
    let runs = web.store.runs(&runs).await?;
    let hint = suggestion(name, runs.iter().map(|run| run.run_id.as_str())).map(|hint| format!(": {hint}"));
    Err(Error::NotFound(format!("DAG `{dag}` has no run `{name}`{}", hint.unwrap_or_default())))
}

pub(super) fn task(dag: &Dag, name: &str) -> Result<TaskIx, Error> {
    let found = TaskId::new(name).ok().and_then(|id| dag.find(&id));
    found.ok_or_else(|| {
        let names = dag.definition.tasks.iter().map(|task| task.task_id.as_str());
        let hint = suggestion(name, names).map(|hint| format!(": {hint}")).unwrap_or_default();
        Error::NotFound(format!("DAG `{}` has no task `{name}`{hint}", dag.definition.dag_id))
    })
}
