//! Hand-off: a chain of 20 Bash `true` on a node, run several times.
//!
//! A hop is the start of a task's process less the end of the one before, both
//! as the worker saw them and the attempts' rows keep them. In between lie the
//! report, the commit, the dispatch and the spawn of the next process. Beside it stands
//! the least that this can be: four pages written and synced, then a Bash spawned. The
//! whole chain per task stands beside it, where nothing can hide: its baseline is
//! `bash -c true` started and waited for, one after the other, between the rounds.

use updraft::store::write::AttemptRow;

use crate::bare;
use crate::figure::{Figure, Target, Unit};
use crate::home::{Home, run_seconds};
use crate::sample::{count, median, percentile};
use crate::shape::{Shape, When, Work};
use crate::{Bench, Result};

const LENGTH: usize = 20;

pub fn ask(bench: &Bench) -> Result<Vec<Figure>> {
    let home = Home::new()?;
    let dag = home.dag("chain", &Shape::new(When::Triggered, Work::True).chain(LENGTH))?;
    let mut node = home.start()?;
    node.wait_for_dag(&dag)?;
    node.run(&dag)?;
    let (mut hops, mut whole) = (Vec::new(), Vec::new());
    let (mut bare, mut least) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds * 2 {
        bare.extend(bare::bash_latencies(LENGTH));
        least.extend(bare::sync_and_spawn_latencies(home.path(), LENGTH)?);
        let run = node.run(&dag)?;
        whole.push(run_seconds(&run)? * 1e3 / count(LENGTH));
        hops.extend(hops_of(node.attempts(&run)?)?);
    }
    node.stop()?;
    Ok(vec![
        Figure::new("end of a task to start of the next, p50", median(&hops), Unit::Milliseconds)
            .against("bare sync, then spawn", median(&least))
            .target(Target::AtMost(2.0)),
        Figure::new("the same, p99", percentile(&hops, 99), Unit::Milliseconds)
            .against("bare sync, then spawn", percentile(&least, 99)),
        Figure::new("whole chain, per task", median(&whole), Unit::Milliseconds)
            .against("bare bash -c true", median(&bare)),
    ])
}

/// Milliseconds from the end of each attempt of a chain to the start of the next.
pub fn hops_of(mut attempts: Vec<AttemptRow>) -> Result<Vec<f64>> {
    attempts.sort_by_key(|attempt| attempt.started_at);
    let hop = |pair: &[AttemptRow]| {
        let [before, after] = pair else { return Err("a window of two has two".into()) };
        let (Some(ended), Some(started)) = (before.ended_at, after.started_at) else {
            return Err("an attempt that has ended lacks its times".into());
        };
        Ok((started - ended).num_microseconds().map(|us| us as f64 / 1e3).ok_or("a hop of centuries")?)
    };
    attempts.windows(2).map(hop).collect()
}
