//! What a path names, in the store, or 404 in Airflow's words.

use crate::domain::ids::{DagId, MapIndex, RunId, TaskId};
use crate::store::query::DagEntry;
use crate::store::write::{RunRow, TaskRow};
use crate::web::Error;

use super::asked::Asked;

/// In the place of a name: all of them.
pub const ALL: &str = "~";

fn no_dag(id: &str) -> Error {
    Error::NotFound(format!("The Dag with ID: `{id}` was not found"))
}

/// The DAG of the path.
pub async fn dag(asked: &Asked) -> Result<DagEntry, Error> {
    dag_named(asked, asked.path("dag_id")).await
}

pub async fn dag_named(asked: &Asked, name: &str) -> Result<DagEntry, Error> {
    let id = DagId::new(name).map_err(|_| no_dag(name))?;
    asked.web.store.dag(&id).await?.ok_or_else(|| no_dag(name))
}

fn no_run(dag: &str, run: &str) -> Error {
    Error::NotFound(format!("The DagRun with dag_id: `{dag}` and run_id: `{run}` was not found"))
}

/// The run of the path.
pub async fn run(asked: &Asked) -> Result<RunRow, Error> {
    run_named(asked, asked.path("dag_id"), asked.path("dag_run_id")).await
}

pub async fn run_named(asked: &Asked, dag: &str, run: &str) -> Result<RunRow, Error> {
    let missing = || no_run(dag, run);
    let (dag_id, run_id) = (DagId::new(dag).map_err(|_| missing())?, RunId::new(run).map_err(|_| missing())?);
    asked.web.store.run(&dag_id, &run_id).await?.ok_or_else(missing)
}

fn no_task(run: &RunRow, task: &str, map_index: MapIndex) -> Error {
    let mapped = if map_index == MapIndex::UNMAPPED { String::new() } else { format!(" and map_index: `{map_index}`") };
    Error::NotFound(format!(
        "The Task Instance with dag_id: `{}`, run_id: `{}`, task_id: `{task}`{mapped} was not found",
        run.dag_id, run.run_id
    ))
}

/// The task id of the path, whether or not there is such a task.
pub fn task_id(asked: &Asked, run: &RunRow) -> Result<TaskId, Error> {
    let name = asked.path("task_id");
    TaskId::new(name).map_err(|_| no_task(run, name, MapIndex::UNMAPPED))
}

/// Which instance is meant: by the path, by the query, or the one that is not mapped.
pub fn map_index(asked: &Asked) -> Result<MapIndex, Error> {
    if !asked.path("map_index").is_empty() {
        return asked.number_in_path("map_index").map(MapIndex);
    }
    let number = asked.integer("map_index", -1..=i64::from(i32::MAX))?.unwrap_or(-1);
    Ok(MapIndex(i32::try_from(number).unwrap_or(-1)))
}

/// The task instance of the path.
pub async fn task(asked: &Asked) -> Result<(RunRow, TaskRow), Error> {
    let run = run(asked).await?;
    let (id, map_index) = (task_id(asked, &run)?, map_index(asked)?);
    match asked.web.store.task(run.key, &id, map_index).await? {
        Some(task) => Ok((run, task)),
        None if map_index == MapIndex::UNMAPPED && is_mapped(asked, &run, &id).await? => {
            Err(Error::NotFound("Task instance is mapped, add the map_index value to the URL".to_owned()))
        }
        None => Err(no_task(&run, id.as_str(), map_index)),
    }
}

async fn is_mapped(asked: &Asked, run: &RunRow, id: &TaskId) -> Result<bool, Error> {
    Ok(asked.web.store.task(run.key, id, MapIndex(0)).await?.is_some())
}
