//! The tutorial's DAG under SequentialExecutor: one task at a time, so 12 s of sleep.

use crate::figure::{Figure, Target, Unit};
use crate::question::tutorial;
use crate::{Bench, Result};

/// What sleeps, one after the other.
const SLEEP: f64 = 12.0;

pub fn ask(_: &Bench) -> Result<Vec<Figure>> {
    let (run, _) = tutorial::measure("SequentialExecutor")?;
    Ok(vec![
        Figure::new("run of the tutorial's DAG, one task at a time", tutorial::seconds(&run)?, Unit::Seconds)
            .against("its sleep", SLEEP)
            .target(Target::AtMost(12.3)),
    ])
}
