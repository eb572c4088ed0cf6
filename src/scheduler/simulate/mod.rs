//! What would happen: the real core against a virtual clock.
//!
//! ```text
//!   Scenario ─► Stage: Core + a worker that knows how long each task takes ─► Ledger ─► Simulated
//!                 ▲                                          │
//!                 └── the next end or timer is the next now ─┘
//! ```
//!
//! Nothing here decides what may run: that is the core that a node runs as well,
//! so a simulation and a node with the same durations do the same. Nothing here
//! waits, stores, or starts anything.

mod ledger;
mod stage;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::domain::graph::Dag;
use crate::domain::ids::{DagId, MapIndex, RunId, TaskId};
use crate::domain::limit::Limit;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;
use crate::store::write::PoolRow;

use super::core::Settings;
use ledger::Ledger;
pub use stage::Stage;

/// More than this many events are no answer within seconds.
const MOST_EVENTS: u64 = 5_000_000;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub settings: Settings,
    /// Unpaused, whatever they are in the store.
    pub dags: Vec<Arc<Dag>>,
    pub pools: Vec<PoolRow>,
    /// Slots of the one worker.
    pub slots: Limit,
    /// Runs that are due from here on.
    pub from: Time,
    /// Where the simulation ends.
    pub until: Time,
    /// Runs of each DAG that somebody triggers at the beginning.
    pub triggered: u32,
    pub durations: Durations,
    /// How probably an attempt fails, from 0 to 1.
    pub fail: f64,
    /// The same seed gives the same failures, in whatever order the tasks run.
    pub seed: u64,
    /// Whether every task instance is part of the result.
    pub keep_tasks: bool,
}

/// How long tasks take.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    pub by_task: HashMap<(DagId, TaskId), Duration>,
    /// Of every other task.
    pub other: Duration,
}

impl Durations {
    pub fn of(&self, dag: &DagId, task: &TaskId) -> Duration {
        self.by_task.get(&(dag.clone(), task.clone())).copied().unwrap_or(self.other)
    }
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSimulated {
    #[error("by {reached} there were {MOST_EVENTS} starts and ends of tasks, more than a simulation is made for")]
    TooMuch { reached: Time },
}

/// What would happen.
#[derive(Clone, Debug, Serialize)]
pub struct Simulated {
    pub from: Time,
    pub until: Time,
    pub slots: Limit,
    pub parallelism: Limit,
    pub seed: u64,
    pub dags: Vec<DagSummary>,
    /// What held task instances, the worst first.
    pub held: Vec<HeldSummary>,
    pub utilisation: Utilisation,
    pub runs: Vec<SimulatedRun>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<SimulatedTask>,
}

/// The runs of one DAG, in figures. Lengths are seconds.
#[derive(Clone, Debug, Serialize)]
pub struct DagSummary {
    pub dag_id: DagId,
    pub runs: usize,
    pub success: usize,
    pub failed: usize,
    /// Queued or running when the simulation ended.
    pub unfinished: usize,
    /// Due and not made: there was no place under `max_active_runs`. Without catchup they never will be.
    pub not_made: usize,
    /// From the start of a run to its end.
    pub run_length: Figures,
    /// From the instant when a run is due to its start.
    pub start_delay: Figures,
    /// From the instant when a task may run to its start.
    pub task_wait: Figures,
    /// Runs that took longer than `dagrun_timeout`.
    pub timed_out: usize,
    /// Runs that had not ended when the next one was due.
    pub overran: usize,
}

/// Of some lengths, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    pub mean: f64,
    pub p95: f64,
    pub max: f64,
}

impl Figures {
    pub fn of(mut lengths: Vec<f64>) -> Self {
        lengths.sort_by(f64::total_cmp);
        let Some(max) = lengths.last().copied() else { return Self::default() };
        let n = lengths.len();
        let mean = lengths.iter().sum::<f64>() / n as f64;
        // The nearest rank: the smallest length that 95 % do not exceed.
        Self { mean, p95: lengths[(n * 95).div_ceil(100) - 1], max }
    }
}

/// One thing that held task instances (or runs).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldSummary {
    pub by: String,
    /// How many waits.
    pub waits: usize,
    pub total_seconds: f64,
    pub longest_seconds: f64,
}

/// How busy the slots were, and how much waited for one.
#[derive(Clone, Debug, Serialize)]
pub struct Utilisation {
    pub bucket_seconds: f64,
    /// For each bucket, how many tasks ran on average.
    pub busy: Vec<f64>,
    /// For each bucket, how many were ready and waited for a place on average.
    pub waiting: Vec<f64>,
    /// Tasks that ran on average, over all.
    pub mean: f64,
    /// The most that ran at one instant.
    pub most: u32,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulatedRun {
    pub dag_id: DagId,
    pub run_id: RunId,
    pub state: RunState,
    pub due: Time,
    pub started: Option<Time>,
    pub ended: Option<Time>,
    /// Not ended when the next run was due, or ended by `dagrun_timeout`.
    pub late: bool,
}

/// One task instance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulatedTask {
    pub dag_id: DagId,
    pub run_id: RunId,
    pub task_id: TaskId,
    pub map_index: MapIndex,
    pub state: TaskState,
    pub tries: i32,
    pub scheduled: Option<Time>,
    pub started: Option<Time>,
    pub ended: Option<Time>,
}

/// Lets the scenario happen.
pub fn simulate(scenario: &Scenario) -> Result<Simulated, NotSimulated> {
    let mut ledger = Ledger::new(scenario);
    let mut stage = Stage::new(scenario);
    ledger.take(stage.begin(scenario));
    while let Some(happened) = stage.next(scenario.until) {
        ledger.take(happened);
        if stage.events() > MOST_EVENTS {
            return Err(NotSimulated::TooMuch { reached: stage.now() });
        }
    }
    Ok(ledger.close())
}
