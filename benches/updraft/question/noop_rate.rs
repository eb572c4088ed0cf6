//! No-op tasks per second, durable: EmptyOperator tasks, which the scheduler
//! passes without an attempt (as Airflow does), so this is the scheduler and the
//! store alone. Every task instance is a row that was committed and synced.
//!
//! Each shape has 1,000 tasks and ten runs that are all due when the DAG is unpaused:
//! wide (1 to 998 to 1) and deep (100 layers of 10). The time is from that wish, sent as the
//! command line sends it, until another process reads from the database that all runs have succeeded.

use crate::figure::{Figure, Target, Unit};
use crate::home::Home;
use crate::sample::{count, median};
use crate::shape::{Shape, TEN_DAYS, When, Work};
use crate::{Bench, Result};

const TASKS: usize = 1_000;

pub fn ask(bench: &Bench) -> Result<Vec<Figure>> {
    let home = Home::new()?.with("UPDRAFT__CORE__DAGS_ARE_PAUSED_AT_CREATION", "True");
    let mut node = home.start()?;
    let (mut wide, mut deep) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        for (name, rates) in [("wide", &mut wide), ("deep", &mut deep)] {
            let shape = Shape::new(When::TenDays, Work::Nothing);
            let text = if name == "wide" { shape.fan(TASKS) } else { shape.layers(100, TASKS / 100) };
            let dag = home.dag(&format!("{name}_{round}"), &text)?;
            node.wait_for_dag(&dag)?;
            rates.push(count(TASKS * TEN_DAYS) / node.seconds_from_unpause(&dag, TEN_DAYS)?);
        }
    }
    node.stop()?;
    let figure =
        |what, rates: &[f64]| Figure::new(what, median(rates), Unit::PerSecond).target(Target::AtLeast(10_000.0));
    Ok(vec![figure("10 runs of 1 to 998 to 1 tasks", &wide), figure("10 runs of 100 layers of 10 tasks", &deep)])
}
