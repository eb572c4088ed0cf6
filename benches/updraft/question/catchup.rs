//! Catchup: the tutorial's DAG with a daily schedule from 2020-01-01, `catchup` on and `max_active_runs` 16, its
//! tasks made no-ops: 2,516 runs of four tasks that are due at once.
//!
//! From the start of a new node's process, which reads the file first, until another process reads that no run is
//! left. Then the same with half of the days, to see whether a task costs more the more there are.

use std::time::{Duration, Instant};

use chrono::{NaiveDate, TimeDelta};
use updraft::domain::state::RunState;
use updraft::store::query::RunFilter;

use crate::figure::{Figure, Target, Unit};
use crate::home::Home;
use crate::sample::count;
use crate::{Bench, Result};

const RUNS: usize = 2_516;
const TASKS: usize = 4;
/// All runs are counted this often, so that the counting costs nothing beside the work.
const LOOK: Duration = Duration::from_millis(50);

pub fn ask(_: &Bench) -> Result<Vec<Figure>> {
    let half = seconds(RUNS / 2)?;
    let whole = seconds(RUNS)?;
    let per_task = |seconds: f64, runs: usize| seconds * 1e6 / count(runs * TASKS);
    Ok(vec![
        Figure::new(format!("{RUNS} runs of {TASKS} no-op tasks"), whole, Unit::Seconds).target(Target::AtMost(10.0)),
        Figure::new("each of these tasks", per_task(whole, RUNS), Unit::Microseconds)
            .against("with half of the runs", per_task(half, RUNS / 2))
            .target(Target::RatioAtMost(1.25)),
    ])
}

fn seconds(days: usize) -> Result<f64> {
    let home = Home::new()?;
    home.dag("catchup", &daily(days)?)?;
    let begun = Instant::now();
    let mut node = home.start()?;
    let mut runs = node.wait_until("end of the catchup", |node| {
        std::thread::sleep(LOOK);
        if !node.block_on(node.store().counts())?.runs.is_empty() {
            return Ok(None);
        }
        let runs = node.block_on(node.store().runs(&RunFilter::default()))?;
        Ok((runs.len() >= days).then_some(runs))
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    node.stop()?;
    if let Some(run) = runs.iter().find(|run| run.state != RunState::Success) {
        return Err(format!("run {} ended as {}", run.run_id, run.state).into());
    }
    runs.sort_by_key(|run| run.key);
    if runs.len() != days || !runs.is_sorted_by_key(|run| (run.logical_date, run.started_at)) {
        return Err(format!("expected {days} runs in the order of their dates, got {}", runs.len()).into());
    }
    Ok(seconds)
}

/// The tutorial's DAG over so many days.
fn daily(days: usize) -> Result<String> {
    let first = NaiveDate::from_ymd_opt(2020, 1, 1).ok_or("the first of January exists")?;
    let last = first + TimeDelta::days(i64::try_from(days)? - 1);
    Ok(format!(
        "schedule: \"@daily\"\nstart_date: {first}\nend_date: {last}\ncatchup: true\nmax_active_runs: 16\ntasks:\n  \
         task_1: {{empty: true}}\n  task_2: {{empty: true, depends_on: task_1}}\n  \
         task_3: {{empty: true, depends_on: task_1}}\n  task_4: {{empty: true, depends_on: [task_2, task_3]}}\n"
    ))
}
