//! What a run says about itself to templates and Python callables. Pure, and the
//! same for a task that runs and for one whose templates somebody only looks at.

use crate::domain::asset::AssetEvent;
use crate::domain::dag::TaskDefinition;
use crate::domain::graph::Dag;
use crate::domain::operator::{Operator, Python, PythonCode};
use crate::domain::param::merged;
use crate::domain::run::RunType;
use crate::domain::schedule::Bounds;
use crate::domain::template::PreviousSuccess;
use crate::domain::time::Time;
use crate::protocol::work::RunContext;
use crate::store::write::RunRow;

/// What the run itself does not know.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `[core] dag_run_conf_overrides_params`.
    pub conf_overrides_params: bool,
    /// Airflow 2: `xcom_pull` that names no task takes the newest value of any.
    pub xcom_of_any_task: bool,
    /// The latest success that this run comes after.
    pub previous_success: Option<PreviousSuccess>,
    /// SHA-256 of the DAG file as it was read, where a worker may have another one.
    pub file_hash: Option<String>,
    /// What the run was made of, where that was assets.
    pub asset_events: Vec<AssetEvent>,
}

/// What later runs may know about one that succeeded.
pub fn success_of(run: &RunRow) -> PreviousSuccess {
    PreviousSuccess { data_interval: run.interval, start_date: run.started_at, end_date: run.ended_at }
}

/// What templates and Python callables may know about a run; without a task, what the run alone says.
pub fn run_context(
    run: &RunRow,
    dag: &Dag,
    task: Option<&TaskDefinition>,
    surroundings: Surroundings,
    now: Time,
) -> RunContext {
    let definition = &dag.definition;
    let none = serde_json::Map::new();
    let own = task.map_or(&none, |task| &task.params);
    RunContext {
        run_type: run.run_type,
        logical_date: run.logical_date,
        interval: run.interval,
        run_after: run.run_after,
        started_at: run.started_at,
        conf: run.conf.clone(),
        params: merged(&definition.params, own, &run.conf, surroundings.conf_overrides_params),
        previous_logical_date: previous_logical_date(run, dag),
        next_logical_date: next_logical_date(run, dag, now),
        previous_success: surroundings.previous_success,
        xcom_of_any_task: surroundings.xcom_of_any_task,
        native_templates: definition.render_template_as_native_obj,
        description: definition.description.clone(),
        tags: definition.tags.clone(),
        file: definition.file.clone(),
        file_hash: surroundings.file_hash.filter(|_| task.is_some_and(|task| runs_the_file(&task.operator))),
        template_searchpath: definition.template_searchpath.clone(),
        asset_events: surroundings.asset_events,
    }
}

/// Whether a worker needs the DAG file itself to run it.
fn runs_the_file(operator: &Operator) -> bool {
    matches!(operator, Operator::Python(Python { code: PythonCode::DagFile { .. }, .. }))
}

/// Where the schedule goes on after this run. One that a user asked for stands alone on its date, as Airflow 2 had it.
fn next_logical_date(run: &RunRow, dag: &Dag, now: Time) -> Option<Time> {
    match run.run_type {
        RunType::Scheduled | RunType::Backfill => {}
        RunType::Manual | RunType::OperatorTriggered | RunType::AssetMaterialization => return run.logical_date,
        RunType::AssetTriggered => return None,
    }
    // Every run of the past counts as a neighbour, whether or not catchup would make it.
    let bounds = Bounds { catchup: true, ..dag.bounds() };
    dag.timetable.next(&bounds, Some(&run.interval?), now).map(|planned| planned.logical_date)
}

/// Where the schedule was before this run.
fn previous_logical_date(run: &RunRow, dag: &Dag) -> Option<Time> {
    match run.run_type {
        RunType::Scheduled | RunType::Backfill => dag.timetable.previous(dag.definition.timezone, &run.interval?),
        RunType::Manual | RunType::OperatorTriggered | RunType::AssetMaterialization => run.logical_date,
        RunType::AssetTriggered => None,
    }
}
