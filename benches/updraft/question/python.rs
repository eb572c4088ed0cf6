//! Python tasks: a chain of 40 that compute fib(10), and 200 trivial ones at once.
//!
//! Each is a process of its own, forked from the worker's warm interpreter. The baseline is
//! what such an interpreter can do at most: a Python that forks itself, computes the same, and
//! waits for the end, with no log, no channel and no record. The first run of a DAG is shown by itself: it starts the
//! interpreter and imports the file.

use crate::bare;
use crate::figure::{Figure, Target, Unit};
use crate::home::{Home, run_seconds};
use crate::sample::{count, median};
use crate::{Bench, Result};

const CHAIN: usize = 40;
const PARALLEL: usize = 200;
const PARALLELISM: usize = 8;

const HEAD: &str = "from datetime import datetime\nfrom airflow.sdk import DAG, chain, task\n\n\n";

/// As authors write it, with recursion.
const FIB: &str = "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n";

fn chain() -> String {
    format!(
        "{HEAD}{FIB}\n\n@task\ndef step():\n    return fib(10)\n\n\nwith DAG(\"fibs\", schedule=None, start_date=datetime(2026, \
         1, 1)):\n    chain(*[step() for _ in range({CHAIN})])\n"
    )
}

fn parallel() -> String {
    format!(
        "{HEAD}@task\ndef nothing():\n    pass\n\n\nwith DAG(\"nothings\", schedule=None, start_date=datetime(2026, 1, 1), \
         max_active_tasks={PARALLEL}):\n    for _ in range({PARALLEL}):\n        nothing()\n"
    )
}

pub fn ask(bench: &Bench) -> Result<Vec<Figure>> {
    let home = Home::new()?.with("UPDRAFT__CORE__PARALLELISM", PARALLELISM);
    let (fibs, nothings) = (home.dag("fibs.py", &chain())?, home.dag("nothings.py", &parallel())?);
    let mut node = home.start()?;
    node.wait_for_dag(&fibs)?;
    node.wait_for_dag(&nothings)?;
    let first = run_seconds(&node.run(&fibs)?)?;
    node.run(&nothings)?;
    let (mut in_sequence, mut rates) = (Vec::new(), Vec::new());
    let (mut bare_sequence, mut bare_rates) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        bare_sequence.push(bare::python_forks(FIB, "fib(10)", CHAIN, 1)?);
        in_sequence.push(run_seconds(&node.run(&fibs)?)?);
        bare_rates.push(count(PARALLEL) / bare::python_forks("", "None", PARALLEL, 2)?);
        rates.push(count(PARALLEL) / run_seconds(&node.run(&nothings)?)?);
    }
    node.stop()?;
    let bare_sequence = median(&bare_sequence);
    Ok(vec![
        Figure::new(format!("{CHAIN} x fib(10), one after the other"), median(&in_sequence), Unit::Seconds)
            .against("bare forks of a warm Python", bare_sequence)
            .target(Target::AtMost(0.5)),
        Figure::new("the same, the first run", first, Unit::Seconds)
            .against("bare forks of a warm Python", bare_sequence),
        Figure::new(format!("{PARALLEL} trivial tasks, parallelism {PARALLELISM}"), median(&rates), Unit::PerSecond)
            .against("bare forks, 2 at once", median(&bare_rates))
            .target(Target::AtLeast(150.0)),
    ])
}
