//! What a simulation starts from: the DAGs, limits and pools of a home, and how
//! long its tasks took until now.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config;
use crate::domain::graph::Dag;
use crate::domain::ids::{DagId, PoolName, TaskId};
use crate::domain::limit::Limit;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::{Time, until};
pub use crate::scheduler::simulate::{
    DagSummary, Durations, Figures, HeldSummary, NotSimulated, Scenario, Simulated, SimulatedRun, SimulatedTask,
    Utilisation, simulate,
};
use crate::store::query::RunFilter;
use crate::store::write::PoolRow;
use crate::store::{Store, StoreError};

use super::translate;

/// The latest finished runs of a DAG that tell how long its tasks take.
const LATEST_RUNS: u64 = 25;

/// What a person may say differently from what the home has.
#[derive(Clone, Debug)]
pub struct Assumptions {
    pub from: Time,
    pub until: Time,
    pub slots: Option<Limit>,
    pub parallelism: Option<Limit>,
    pub pools: Vec<(PoolName, i32)>,
    /// Of tasks that have never run.
    pub duration: Duration,
    pub triggered: u32,
    pub fail: f64,
    pub seed: u64,
    pub keep_tasks: bool,
}

/// The scenario, and the tasks of which nobody knows how long they take.
pub async fn scenario(
    store: &Store,
    settings: &config::Settings,
    dags: Vec<Arc<Dag>>,
    said: &BTreeMap<(DagId, TaskId), Duration>,
    assumed: &Assumptions,
) -> Result<(Scenario, Vec<(DagId, TaskId)>), StoreError> {
    let mut durations = Durations { other: assumed.duration, ..Durations::default() };
    let mut unknown = Vec::new();
    for dag in &dags {
        let id = &dag.definition.dag_id;
        let past = past_durations(store, id).await?;
        for (_, task) in dag.tasks() {
            let name = (id.clone(), task.task_id.clone());
            match said.get(&name).or_else(|| past.get(&task.task_id)) {
                Some(duration) => {
                    durations.by_task.insert(name, *duration);
                }
                None if !task.operator.needs_worker() => {}
                None => unknown.push(name),
            }
        }
    }
    let mut core = translate::scheduler(settings);
    core.parallelism = assumed.parallelism.unwrap_or(core.parallelism);
    // Workers elsewhere are not counted here: without a word about slots there are as many as may run.
    let slots = settings.core.executor.local_slots(core.parallelism).unwrap_or(core.parallelism);
    let scenario = Scenario {
        settings: core,
        dags,
        pools: pools(store.pools().await?, &assumed.pools),
        slots: assumed.slots.unwrap_or(slots),
        from: assumed.from,
        until: assumed.until,
        triggered: assumed.triggered,
        durations,
        fail: assumed.fail,
        seed: assumed.seed,
        keep_tasks: assumed.keep_tasks,
    };
    Ok((scenario, unknown))
}

/// The median of each task's latest successes.
async fn past_durations(store: &Store, dag: &DagId) -> Result<BTreeMap<TaskId, Duration>, StoreError> {
    let filter = RunFilter {
        dag: Some(dag.clone()),
        states: vec![RunState::Success, RunState::Failed],
        limit: Some(LATEST_RUNS),
        ..RunFilter::default()
    };
    let runs: Vec<_> = store.runs(&filter).await?.into_iter().map(|run| run.key).collect();
    let mut lengths: BTreeMap<TaskId, Vec<Duration>> = BTreeMap::new();
    for task in store.tasks_of_runs(&runs).await? {
        if let (TaskState::Success, Some(start), Some(end)) = (task.state, task.started_at, task.ended_at) {
            lengths.entry(task.task_id).or_default().push(until(start, end));
        }
    }
    let median = |mut lengths: Vec<Duration>| {
        lengths.sort();
        lengths[lengths.len() / 2]
    };
    Ok(lengths.into_iter().map(|(task, lengths)| (task, median(lengths))).collect())
}

/// The pools of the home, with the slots that are assumed.
fn pools(mut pools: Vec<PoolRow>, assumed: &[(PoolName, i32)]) -> Vec<PoolRow> {
    for (name, slots) in assumed {
        pools.retain(|pool| pool.name != *name);
        let (name, slots) = (name.clone(), *slots);
        pools.push(PoolRow { name, slots, description: String::new(), include_deferred: false });
    }
    pools
}
