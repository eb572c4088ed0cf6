//! The tutorial's DAG as it stands in `dags/parallel_dag.py`: `task_1`, then `task_2` and `task_3`
//! side by side, then `task_4`, each of them `sleep 3`. Nine seconds are sleep, the rest is ours.

use updraft::store::write::{AttemptRow, RunRow};

use crate::figure::{Figure, Target, Unit};
use crate::home::Home;
use crate::{Bench, Result};

pub const FILE: &str = include_str!("../../../dags/parallel_dag.py");
/// What sleeps in the longest path.
const SLEEP: f64 = 9.0;

pub fn ask(_: &Bench) -> Result<Vec<Figure>> {
    let (run, attempts) = measure("LocalExecutor")?;
    let mut starts = Vec::new();
    for task in ["task_2", "task_3"] {
        let attempt = attempts.iter().find(|attempt| attempt.task_id.as_str() == task);
        starts.push(attempt.and_then(|attempt| attempt.started_at).ok_or("a task has not started")?);
    }
    let apart = (starts[1] - starts[0]).abs().to_std()?.as_secs_f64() * 1e3;
    Ok(vec![
        Figure::new("run of the tutorial's DAG", seconds(&run)?, Unit::Seconds)
            .against("its sleep", SLEEP)
            .target(Target::AtMost(9.05)),
        Figure::new("starts of task_2 and task_3 apart", apart, Unit::Milliseconds).target(Target::AtMost(50.0)),
    ])
}

/// The run that begins as soon as the node has read the file.
pub fn measure(executor: &str) -> Result<(RunRow, Vec<AttemptRow>)> {
    let home = Home::new()?.with("UPDRAFT__CORE__EXECUTOR", executor);
    let dag = home.dag("parallel_dag.py", FILE)?;
    let mut node = home.start()?;
    let mut runs = node.wait_for_runs(&dag, 1)?;
    let run = runs.pop().ok_or("no run")?;
    let attempts = node.attempts(&run)?;
    node.stop()?;
    Ok((run, attempts))
}

/// From the wish for the run to its end.
pub fn seconds(run: &RunRow) -> Result<f64> {
    crate::home::run_seconds(run)
}
