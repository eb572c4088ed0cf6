//! What `tasks failed-deps` has to know, from the store alone: a node need not run.

use std::sync::Arc;

use chrono::Utc;

use crate::domain::graph::Dag;
use crate::domain::ids::{MapIndex, TaskId};
use crate::domain::problem::{Place, Problem};
use crate::domain::skip::SKIP_KEY;
use crate::scheduler::core::{KnownPast, LookBack};
pub use crate::scheduler::dependency::FailedDependency;
use crate::scheduler::dependency::{Facts, failed_dependencies};
use crate::scheduler::look_back;
use crate::store::Store;
use crate::store::write::RunRow;

use super::client::ClientError;

/// The dependencies of a task instance that are not met; `None`: the run has no such instance.
pub async fn failed(
    store: &Store,
    run: RunRow,
    task: &TaskId,
    map: MapIndex,
) -> Result<Option<Vec<FailedDependency>>, ClientError> {
    let Some(version) = store.version(&run.dag_id, Some(run.version)).await? else { return Ok(None) };
    let place = Place::file(version.definition.file.clone());
    let dag = Dag::compile(version.definition)
        .map_err(|invalid| ClientError::Configuration(Problem::error(place, invalid.to_string())))?;
    let newest = store.dag(&run.dag_id).await?;
    let past = match run.logical_date.filter(|_| dag.looks_back()) {
        Some(before) => {
            let question = LookBack {
                run: run.key,
                dag: run.dag_id.clone(),
                before,
                manual_runs_count: !newest.as_ref().is_some_and(|entry| entry.definition.catchup),
                first_of: vec![task.clone()],
            };
            look_back::ask(store, &question).await?
        }
        None => KnownPast::default(),
    };
    let facts = Facts {
        tasks: store.tasks(run.key).await?,
        decisions: store.xcoms_of_runs(&[run.key], SKIP_KEY).await?,
        is_paused: newest.is_some_and(|entry| entry.row.is_paused),
        dag: Arc::new(dag),
        past,
        run,
    };
    Ok(failed_dependencies(facts, task, map, Utc::now()))
}
