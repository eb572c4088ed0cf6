//! The addresses of DAGs, runs and task instances: spelt here alone.

use crate::domain::ids::{DagId, MapIndex, RunId, TaskId};
use crate::web::view::address::escape;

pub(super) fn dag(dag: &DagId) -> String {
    format!("/dags/{}", escape(dag.as_str()))
}

pub(super) fn run(of: &DagId, run: &RunId) -> String {
    format!("{}/runs/{}", dag(of), escape(run.as_str()))
}

/// An instance; of one that is not mapped the index is left out.
pub(super) fn task(dag: &DagId, of: &RunId, task: &TaskId, map_index: MapIndex) -> String {
    let path = format!("{}/tasks/{}", run(dag, of), escape(task.as_str()));
    if map_index == MapIndex::UNMAPPED { path } else { format!("{path}/{map_index}") }
}
