//! Blocked: what 10,000 tasks that wait for a pool, all ahead by their weight, cost the one
//! task that may run. A run of one Bash `true`, from the wish to its end, on a node with the
//! crowd and, by turns, on one without.

use crate::figure::{Figure, Target, Unit};
use crate::home::{Home, run_seconds};
use crate::sample::median;
use crate::shape::{Shape, When, Work};
use crate::{Bench, Result};

const CROWD: usize = 10_000;
/// Runs for one median.
const RUNS: usize = 20;

pub fn ask(bench: &Bench) -> Result<Vec<Figure>> {
    let (quiet, crowded) = (Home::new()?, Home::new()?);
    let text = Shape::new(When::Triggered, Work::True).parallel(1);
    let one = quiet.dag("one", &text)?;
    crowded.dag("one", &text)?;
    // A pool that nobody has made lets nobody in.
    let crowd = Shape::new(When::Triggered, Work::True).parallel(CROWD);
    let crowd = crowded.dag("crowd", &crowd.replace("{bash", "{pool: nobodys, priority_weight: 1000, bash"))?;
    let (mut alone, mut beside) = (quiet.start()?, crowded.start()?);
    for node in [&mut alone, &mut beside] {
        node.wait_for_dag(&one)?;
        node.run(&one)?;
    }
    beside.wait_for_dag(&crowd)?;
    beside.trigger(&crowd)?;
    let (mut figures, mut baseline) = (Vec::new(), Vec::new());
    // By turns, so that a busy machine slows both.
    for _ in 0..RUNS * bench.rounds {
        baseline.push(run_seconds(&alone.run(&one)?)? * 1e3);
        figures.push(run_seconds(&beside.run(&one)?)? * 1e3);
    }
    alone.stop()?;
    beside.kill()?;
    let figure = Figure::new("run of one task beside 10,000 blocked ones", median(&figures), Unit::Milliseconds);
    Ok(vec![figure.against("alone", median(&baseline)).target(Target::RatioAtMost(1.25))])
}
