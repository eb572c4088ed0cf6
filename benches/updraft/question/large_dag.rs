//! A DAG of 10,000 tasks: 100 layers of 100, each task after one to three of
//! the layer before, by chance but always the same.
//!
//! The file is put into the folder of a node that runs: first until its DAG is in
//! the database (noticed, read, compiled, stored), then one run of no-ops until another
//! process reads its success, then the memory of the node with all that behind it.

use std::time::Instant;

use crate::figure::{Figure, Unit};
use crate::home::Home;
use crate::process::memory;
use crate::sample::median;
use crate::shape::{Shape, When, Work};
use crate::{Bench, Result};

const LAYERS: usize = 100;
const WIDTH: usize = 100;

pub fn ask(bench: &Bench) -> Result<Vec<Figure>> {
    let home = Home::new()?;
    let mut node = home.start()?;
    let (_, before) = memory(node.pid())?;
    let text = Shape::new(When::Triggered, Work::Nothing).layers(LAYERS, WIDTH);
    let begun = Instant::now();
    let dag = home.dag("large", &text)?;
    node.wait_for_dag(&dag)?;
    let known = begun.elapsed().as_secs_f64();
    let first = node.seconds_until_seen(&dag)?;
    let mut later = Vec::new();
    for _ in 0..bench.rounds {
        later.push(node.seconds_until_seen(&dag)?);
    }
    let (_, after) = memory(node.pid())?;
    node.stop()?;
    Ok(vec![
        Figure::new("10,000 tasks: from file to stored DAG", known, Unit::Seconds),
        Figure::new("its first run, no-op", first, Unit::Seconds),
        Figure::new("a later run, no-op", median(&later), Unit::Seconds),
        Figure::new("memory of the node afterwards", after, Unit::Mebibytes).against("before it", before),
    ])
}
