//! History: what a task costs in an empty database, and beside a million old task instances.
//!
//! A DAG of 100 Bash tasks runs once; its rows are then copied under new numbers and
//! dates through the store's own writer, attempts included, until the history has its size.
//! Before and after, the same node binary runs no-op and Bash DAGs in that home.

use std::time::Instant;

use uuid::Uuid;

use updraft::domain::ids::{AttemptId, RunId, RunKey};
use updraft::store::Writer;
use updraft::store::write::{AttemptRow, RunRow, TaskRow, Write};

use crate::figure::{Figure, Target, Unit};
use crate::home::{Home, Node, run_seconds};
use crate::process::cpu_seconds;
use crate::sample::{count, median};
use crate::shape::{Shape, When, Work};
use crate::{Bench, Result};

const OLD_TASKS: usize = 100;
const EMPTY_TASKS: usize = 1_000;
const BASH_TASKS: usize = 200;
/// Copied runs per commit.
const PORTION: usize = 20;

pub fn ask(bench: &Bench) -> Result<Vec<Figure>> {
    let home = Home::new()?;
    let old = home.dag("old", &Shape::new(When::Triggered, Work::True).parallel(OLD_TASKS))?;
    home.dag("empty", &Shape::new(When::Triggered, Work::Nothing).layers(10, EMPTY_TASKS / 10))?;
    home.dag("bash", &Shape::new(When::Triggered, Work::True).parallel(BASH_TASKS))?;

    let mut node = home.start()?;
    let before = Costs::measure(&mut node, bench.rounds)?;
    let run = node.run(&old)?;
    let tasks = node.block_on(node.store().tasks(run.key))?;
    let attempts = node.attempts(&run)?;
    node.stop()?;

    let begun = Instant::now();
    let copies = bench.history / OLD_TASKS;
    copy(&home, &run, &tasks, &attempts, copies)?;
    eprintln!("history: {} old task instances in {:.0} s", copies * OLD_TASKS, begun.elapsed().as_secs_f64());

    let begun = Instant::now();
    let mut node = home.start()?;
    let start = begun.elapsed().as_secs_f64();
    let after = Costs::measure(&mut node, bench.rounds)?;
    node.stop()?;

    let beside = format!("beside {} old", copies * OLD_TASKS);
    let figure = |what: &str, after: f64, before: f64| {
        Figure::new(format!("{what}, {beside}"), after, Unit::Microseconds)
            .against("empty database", before)
            .target(Target::RatioAtMost(1.2))
    };
    Ok(vec![
        figure("time per no-op task", after.empty, before.empty),
        figure("time per Bash task", after.bash, before.bash),
        figure("CPU of the node per Bash task", after.cpu, before.cpu),
        Figure::new(format!("start of a node, {beside}"), start, Unit::Seconds).target(Target::AtMost(0.3)),
    ])
}

/// Microseconds per task.
struct Costs {
    empty: f64,
    bash: f64,
    cpu: f64,
}

impl Costs {
    fn measure(node: &mut Node, rounds: usize) -> Result<Self> {
        let (mut empty, mut bash) = (Vec::new(), Vec::new());
        let ids = ["empty", "bash"].map(updraft::domain::ids::DagId::new);
        let [empty_dag, bash_dag] = ids;
        let (empty_dag, bash_dag) = (empty_dag?, bash_dag?);
        for dag in [&empty_dag, &bash_dag] {
            node.wait_for_dag(dag)?;
            node.run(dag)?;
        }
        for _ in 0..rounds {
            empty.push(node.seconds_until_seen(&empty_dag)? * 1e6 / count(EMPTY_TASKS));
        }
        let begun = cpu_seconds(node.pid())?.own;
        for _ in 0..rounds {
            bash.push(run_seconds(&node.run(&bash_dag)?)? * 1e6 / count(BASH_TASKS));
        }
        let cpu = (cpu_seconds(node.pid())?.own - begun) * 1e6 / count(BASH_TASKS * rounds);
        Ok(Self { empty: median(&empty), bash: median(&bash), cpu })
    }
}

fn copy(home: &Home, run: &RunRow, tasks: &[TaskRow], attempts: &[AttemptRow], copies: usize) -> Result<()> {
    let store = home.store()?;
    home.block_on(async {
        let mut writer: Writer = store.writer();
        let epoch = writer.take_leadership("the benchmark of history").await?;
        let mut key = run.key;
        for portion in 0..copies.div_ceil(PORTION) {
            let mut writes = Vec::new();
            for copy in portion * PORTION..copies.min((portion + 1) * PORTION) {
                key = key.next();
                writes.extend(old(run, tasks, attempts, key, copy)?);
            }
            writer.commit(epoch, writes).await?;
        }
        drop(writer);
        store.close().await?;
        Ok(())
    })
}

/// The same run, tasks and attempts under another key and other ids, all older.
fn old(run: &RunRow, tasks: &[TaskRow], attempts: &[AttemptRow], key: RunKey, copy: usize) -> Result<Vec<Write>> {
    let earlier = chrono::Duration::minutes(i64::try_from(copy)?.saturating_add(60));
    let at = |time: Option<chrono::DateTime<chrono::Utc>>| time.map(|time| time - earlier);
    let ids: std::collections::HashMap<AttemptId, AttemptId> =
        attempts.iter().map(|attempt| (attempt.id, AttemptId(Uuid::now_v7()))).collect();
    let mut writes = vec![Write::Run(RunRow {
        key,
        run_id: RunId::new(format!("old__{copy}"))?,
        queued_at: run.queued_at - earlier,
        run_after: run.run_after - earlier,
        started_at: at(run.started_at),
        ended_at: at(run.ended_at),
        ..run.clone()
    })];
    writes.extend(tasks.iter().map(|task| {
        Write::Task(TaskRow {
            run: key,
            attempt: task.attempt.and_then(|id| ids.get(&id).copied()),
            started_at: at(task.started_at),
            ended_at: at(task.ended_at),
            ..task.clone()
        })
    }));
    writes.extend(attempts.iter().filter_map(|attempt| {
        let id = *ids.get(&attempt.id)?;
        Some(Write::Attempt(AttemptRow {
            id,
            run: key,
            queued_at: attempt.queued_at - earlier,
            started_at: at(attempt.started_at),
            ended_at: at(attempt.ended_at),
            log_path: format!("dag_id=old/run_id=old__{copy}/task_id={}/attempt=1.log", attempt.task_id),
            ..attempt.clone()
        }))
    }));
    Ok(writes)
}
