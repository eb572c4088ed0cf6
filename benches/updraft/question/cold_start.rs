//! Cold start: from the start of the process in an empty home with one DAG that is
//! due at once, to the end of its first task; and the same after `kill -9` in the middle of a run.
//!
//! The restart is of a chain of 50 short Bash tasks, killed when ten are done; the time is to the
//! first start of a process of that run. What the killed node left behind must be gone before.

use chrono::Utc;

use updraft::domain::state::TaskState;
use updraft::store::query::RunFilter;

use crate::figure::{Figure, Target, Unit};
use crate::home::Home;
use crate::sample::median;
use crate::shape::{Shape, When, Work};
use crate::{Bench, Result};

pub fn ask(bench: &Bench) -> Result<Vec<Figure>> {
    let (mut cold, mut again) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        cold.push(first_task()?);
        again.push(restart()?);
    }
    Ok(vec![
        Figure::new("empty home to first task done", median(&cold), Unit::Seconds).target(Target::AtMost(0.3)),
        Figure::new("restart after kill -9 to next task", median(&again), Unit::Seconds).target(Target::AtMost(1.0)),
    ])
}

fn first_task() -> Result<f64> {
    let home = Home::new()?;
    let dag = home.dag("first", &Shape::new(When::Once, Work::True).chain(1))?;
    let begun = Utc::now();
    let mut node = home.start()?;
    let runs = node.wait_for_runs(&dag, 1)?;
    let run = runs.first().ok_or("no run")?;
    let ended = node.attempts(run)?.first().and_then(|attempt| attempt.ended_at).ok_or("no attempt")?;
    node.stop()?;
    Ok((ended - begun).to_std()?.as_secs_f64())
}

fn restart() -> Result<f64> {
    let home = Home::new()?;
    let dag = home.dag("chain", &Shape::new(When::Once, Work::Nap).chain(50))?;
    let mut node = home.start()?;
    let filter = RunFilter { dag: Some(dag.clone()), ..RunFilter::default() };
    let key = node.wait_until("ten tasks of the chain", |node| {
        let runs = node.block_on(node.store().runs(&filter))?;
        let Some(run) = runs.first() else { return Ok(None) };
        let tasks = node.block_on(node.store().tasks(run.key))?;
        let done = tasks.iter().filter(|task| task.state == TaskState::Success).count();
        Ok((done >= 10).then_some(run.key))
    })?;
    node.kill()?;
    let begun = Utc::now();
    let mut node = home.start()?;
    let started = node.wait_until("next task of the run", |node| {
        let attempts = node.block_on(node.store().attempts(key, None))?;
        Ok(attempts.iter().filter_map(|attempt| attempt.started_at).filter(|at| *at > begun).min())
    })?;
    node.wait_for_runs(&dag, 1)?;
    node.stop()?;
    Ok((started - begun).to_std()?.as_secs_f64())
}
