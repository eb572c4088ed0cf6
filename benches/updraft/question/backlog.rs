//! Backlog: 100 DAGs of 10 runs of 10 tasks in a chain, all due at once, as in Airflow's
//! own benchmark (38 minutes there, pull request 19747).
//!
//! From the start of a new node's process, which reads the 100 files first, until another
//! process reads that no run is left. Once with no-ops, once with Bash `true`.

use std::time::{Duration, Instant};

use updraft::domain::state::RunState;
use updraft::store::query::RunFilter;

use crate::bare;
use crate::figure::{Figure, Target, Unit};
use crate::home::Home;
use crate::sample::count;
use crate::shape::{Shape, TEN_DAYS, When, Work};
use crate::{Bench, Result};

const DAGS: usize = 100;
const TASKS: usize = 10;
/// All runs are counted this often, so that the counting costs nothing beside the work.
const LOOK: Duration = Duration::from_millis(50);

pub fn ask(bench: &Bench) -> Result<Vec<Figure>> {
    let empty = seconds(DAGS, Work::Nothing)?;
    let bash = seconds(bench.bash_backlog, Work::True)?;
    let tasks = bench.bash_backlog * TEN_DAYS * TASKS;
    let bare = count(tasks) / bare::bash_rate(2_000, 16);
    let name = |dags: usize, what: &str| format!("{dags} DAGs × 10 runs × 10 tasks, {what}");
    Ok(vec![
        Figure::new(name(DAGS, "no-op"), empty, Unit::Seconds).target(Target::AtMost(10.0)),
        Figure::new(name(bench.bash_backlog, "Bash"), bash, Unit::Seconds)
            .against("bare, 16 at once", bare)
            .target(Target::AtMost(45.0 * count(bench.bash_backlog) / count(DAGS))),
    ])
}

fn seconds(dags: usize, work: Work) -> Result<f64> {
    let home = Home::new()?;
    for dag in 0..dags {
        home.dag(&format!("backlog_{dag}"), &Shape::new(When::TenDays, work).chain(TASKS))?;
    }
    let begun = Instant::now();
    let mut node = home.start()?;
    let runs = node.wait_until("end of the backlog", |node| {
        std::thread::sleep(LOOK);
        if !node.block_on(node.store().counts())?.runs.is_empty() {
            return Ok(None);
        }
        let runs = node.block_on(node.store().runs(&RunFilter::default()))?;
        Ok((runs.len() >= dags * TEN_DAYS).then_some(runs))
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    node.stop()?;
    if let Some(run) = runs.iter().find(|run| run.state != RunState::Success) {
        return Err(format!("run {} of {} ended as {}", run.run_id, run.dag_id, run.state).into());
    }
    Ok(seconds)
}
