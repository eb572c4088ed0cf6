//! Distributed: scheduler, two workers, RabbitMQ and Postgres, all on this machine.
//!
//! *Hand-off*: the chain of `hand_off`. *Bash*: the 200 tasks of `bash_rate`, against bare Bash. *Nothing*: attempts
//! that only evaluate a condition in their slot, through claim, grant and report, against bare lapin: publish, consume
//! with the same number of slots, report. `UPDRAFT_TEST_RABBITMQ` and `UPDRAFT_TEST_POSTGRES` name the servers.

use std::process::Command;
use std::time::Duration;

use crate::bare;
use crate::figure::{Figure, Target, Unit};
use crate::home::{Home, run_seconds};
use crate::process::memory;
use crate::sample::{count, median, percentile};
use crate::shape::{Shape, When, Work};
use crate::{Bench, Result};

use super::broker::publish_consume_report;
use super::hand_off::hops_of;

const LENGTH: usize = 20;
const TASKS: usize = 200;
const NOTHINGS: usize = 2_000;
/// Of each of the two workers.
const SLOTS: usize = 8;
/// After the last message, so that what is idle is idle.
const SETTLED: Duration = Duration::from_secs(3);

pub fn ask(bench: &Bench) -> Result<Vec<Figure>> {
    let at = |variable: &str, usual: &str| std::env::var(variable).unwrap_or_else(|_| usual.to_owned());
    let rabbitmq = at("UPDRAFT_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672/");
    let database = Database::create(at("UPDRAFT_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres"))?;
    let home = Home::new()?
        .with("UPDRAFT__CORE__EXECUTOR", "CeleryExecutor")
        .with("UPDRAFT__CORE__PARALLELISM", 0)
        .with("UPDRAFT__CORE__INSTALLATION", &database.name)
        .with("UPDRAFT__CORE__INTERNAL_SECRET", "only for this measurement")
        .with("UPDRAFT__CELERY__BROKER_URL", &rabbitmq)
        .with("UPDRAFT__DATABASE__SQL_ALCHEMY_CONN", database.url());
    let chain = home.dag("chain", &Shape::new(When::Triggered, Work::True).chain(LENGTH))?;
    let parallel = home.dag("parallel", &Shape::new(When::Triggered, Work::True).parallel(TASKS))?;
    let nothing = home.dag("nothing", &Shape::new(When::Triggered, Work::Condition).parallel(NOTHINGS))?;
    if !home.command().args(["db", "migrate"]).output()?.status.success() {
        return Err("the tables could not be made".into());
    }
    let mut node = home.start_scheduler()?;
    let workers = [home.start_worker(SLOTS)?, home.start_worker(SLOTS)?];
    node.wait_for_dag(&nothing)?;
    for dag in [&chain, &parallel, &nothing] {
        node.run(dag)?;
    }
    std::thread::sleep(SETTLED);
    let idle = memory(workers[0].pid())?.1;

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mut hops, mut rates, mut nothings) = (Vec::new(), Vec::new(), Vec::new());
    let (mut bare, mut messages) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let run = node.run(&chain)?;
        hops.extend(hops_of(node.attempts(&run)?)?);
        bare.push(bare::bash_rate(TASKS, 4));
        rates.push(count(TASKS) / run_seconds(&node.run(&parallel)?)?);
        messages.push(runtime.block_on(publish_consume_report(&rabbitmq, 2 * SLOTS, NOTHINGS))?);
        nothings.push(count(NOTHINGS) / run_seconds(&node.run(&nothing)?)?);
    }
    for worker in workers {
        worker.stop()?;
    }
    node.stop()?;
    Ok(vec![
        Figure::new("end of a task to start of the next, p50", median(&hops), Unit::Milliseconds)
            .target(Target::AtMost(8.0)),
        Figure::new("the same, p99", percentile(&hops, 99), Unit::Milliseconds),
        Figure::new("200 parallel `true`, two workers", median(&rates), Unit::PerSecond)
            .against("bare, 4 at once", median(&bare))
            .target(Target::RatioAtLeast(0.6)),
        Figure::new("attempts that do nothing", median(&nothings), Unit::PerSecond)
            .against("bare lapin: publish, consume, report", median(&messages))
            .target(Target::RatioAtLeast(0.6)),
        Figure::new("memory (PSS) of an idle worker", idle, Unit::Mebibytes).target(Target::AtMost(20.0)),
    ])
}

/// A database of this question's own, dropped afterwards.
struct Database {
    server: String,
    name: String,
}

impl Database {
    fn create(server: String) -> Result<Self> {
        let database = Self { server, name: format!("updraft_bench_{}", std::process::id()) };
        database.execute(&format!("CREATE DATABASE {}", database.name))?;
        Ok(database)
    }

    fn execute(&self, sql: &str) -> Result<()> {
        let arguments = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.server];
        let psql = Command::new("psql").args(arguments).output()?;
        if psql.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&psql.stderr).into_owned().into()) }
    }

    fn url(&self) -> String {
        let server = self.server.rsplit_once('/').map_or(self.server.as_str(), |(server, _)| server);
        format!("{server}/{}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = self.execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)) {
            eprintln!("the database {} is left behind: {error}", self.name);
        }
    }
}
