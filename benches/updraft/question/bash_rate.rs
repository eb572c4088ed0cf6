//! Bash tasks per second: one run of 200 parallel `true` on a node, from the
//! wish for the run to its end, with several values of `parallelism`.
//!
//! The baseline is the rate at which the operating system starts and reaps
//! `bash -c true` when nothing else is done (no log, no folder, no record),
//! with several numbers of threads. Rounds of both alternate; the best median of each is compared.

use crate::bare;
use crate::figure::{Figure, Target, Unit};
use crate::home::{Home, run_seconds};
use crate::process::cpu_seconds;
use crate::sample::{count, median};
use crate::shape::{Shape, When, Work};
use crate::{Bench, Result};

const TASKS: usize = 200;
const PARALLELISM: [usize; 4] = [4, 8, 16, 32];

pub fn ask(bench: &Bench) -> Result<Vec<Figure>> {
    let mut ours = Vec::new();
    let mut bare: Vec<(usize, Vec<f64>)> = PARALLELISM.iter().map(|at_once| (*at_once, Vec::new())).collect();
    let mut cost = Vec::new();
    for parallelism in PARALLELISM {
        let home = Home::new()?.with("UPDRAFT__CORE__PARALLELISM", parallelism);
        let dag = home.dag("parallel", &Shape::new(When::Triggered, Work::True).parallel(TASKS))?;
        let mut node = home.start()?;
        node.wait_for_dag(&dag)?;
        node.run(&dag)?;
        let mut rates = Vec::new();
        for _ in 0..bench.rounds {
            for (at_once, rates) in &mut bare {
                rates.push(bare::bash_rate(TASKS, *at_once));
            }
            let before = cpu_seconds(node.pid())?;
            let run = node.run(&dag)?;
            let after = cpu_seconds(node.pid())?;
            rates.push(count(TASKS) / run_seconds(&run)?);
            cost.push((after.own - before.own) * 1e6 / count(TASKS));
        }
        node.stop()?;
        ours.push((parallelism, median(&rates)));
    }
    let bare: Vec<(usize, f64)> = bare.into_iter().map(|(at_once, rates)| (at_once, median(&rates))).collect();
    let (at_once, fastest) = best(&bare)?;
    let (parallelism, rate) = best(&ours)?;
    let mut figures = vec![
        Figure::new(format!("200 parallel `true`, parallelism {parallelism}"), rate, Unit::PerSecond)
            .against(format!("bare, {at_once} at once"), fastest)
            .target(Target::RatioAtLeast(0.8)),
    ];
    for ((parallelism, rate), (_, beside)) in ours.into_iter().zip(bare) {
        let what = format!("with parallelism {parallelism}");
        figures.push(Figure::new(what, rate, Unit::PerSecond).against("bare, as many at once", beside));
    }
    figures.push(Figure::new("CPU of node and companion, per task", median(&cost), Unit::Microseconds));
    Ok(figures)
}

fn best(rates: &[(usize, f64)]) -> Result<(usize, f64)> {
    Ok(rates.iter().copied().max_by(|(_, one), (_, other)| one.total_cmp(other)).ok_or("nothing was measured")?)
}
