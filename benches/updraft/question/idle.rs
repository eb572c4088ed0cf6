//! Idle: a node with the tutorial's DAG, after it has run once.
//!
//! Memory is the proportional share (PSS) of the node and its companion together,
//! processor time their ticks over ten seconds in which nothing is due.

use std::time::Duration;

use crate::figure::{Figure, Target, Unit};
use crate::home::Home;
use crate::process::{cpu_seconds, memory};
use crate::question::tutorial;
use crate::sample::count;
use crate::{Bench, Result};

const WATCHED: Duration = Duration::from_secs(10);

pub fn ask(_: &Bench) -> Result<Vec<Figure>> {
    let home = Home::new()?;
    let dag = home.dag("parallel_dag.py", tutorial::FILE)?;
    let mut node = home.start()?;
    node.wait_for_dag(&dag)?;
    let (_, fresh) = memory(node.pid())?;
    node.wait_for_runs(&dag, 1)?;
    let begun = cpu_seconds(node.pid())?;
    std::thread::sleep(WATCHED);
    let ended = cpu_seconds(node.pid())?;
    let (processes, after) = memory(node.pid())?;
    node.stop()?;
    let cpu = 100.0 * (ended.own - begun.own) / WATCHED.as_secs_f64();
    Ok(vec![
        Figure::new(format!("memory (PSS) of {processes} processes, after a run"), after, Unit::Mebibytes)
            .against("as the DAG was loaded", fresh)
            .target(Target::AtMost(25.0)),
        Figure::new("processor", cpu, Unit::Percent).target(Target::AtMost(0.05)),
        Figure::new("processes", count(processes), Unit::Times).target(Target::AtMost(2.0)),
    ])
}
