//! Everything breaks while thousands of tasks run: workers, leader and standby are killed, the broker and the database
//! are killed and come back, wires are cut, go silent, are slow, messages are doubled. Nothing is lost, nothing starts
//! twice, limits hold.
//!
//! `UPDRAFT_CHAOS_SECONDS=300 cargo test --test it chaos -- --nocapture` makes it long; a failing seed is printed and
//! replays its faults with `UPDRAFT_TEST_SEED` (the moments at which they meet the nodes are the machine's).

mod cluster;
mod fault;
mod trace;

use std::time::{Duration, Instant};

use cluster::Cluster;
use fault::{Fault, Recovery};
use trace::Traces;

const TASKS: usize = 60;
const POOL: usize = 12;

fn seconds() -> u64 {
    let asked = std::env::var("UPDRAFT_CHAOS_SECONDS").ok();
    asked.map_or(30, |seconds| seconds.parse().expect("UPDRAFT_CHAOS_SECONDS is a number"))
}

fn seed() -> u64 {
    let asked = std::env::var("UPDRAFT_TEST_SEED").ok();
    let seed = asked.map_or_else(|| fastrand::u64(..), |seed| seed.parse().expect("UPDRAFT_TEST_SEED is a number"));
    println!("UPDRAFT_TEST_SEED={seed}");
    seed
}

/// Tasks in layers, half of them in a pool that is smaller than all slots together.
fn storm(cluster: &Cluster, random: &mut fastrand::Rng) -> Traces {
    let traces = Traces::new(cluster.in_world(""));
    let mut text = format!(
        "schedule: null\nmax_active_runs: 100\nmax_active_tasks: 1000\ndefault_args: {{bash: {:?}}}\ntasks:\n",
        traces.command()
    );
    for n in 0..TASKS {
        let upstream = if n < 10 { Vec::new() } else { vec![random.usize(0..n), random.usize(0..n)] };
        let upstream: Vec<String> = upstream.iter().map(|n| format!("t{n}")).collect();
        let pool = if n % 2 == 0 { ", pool: narrow" } else { "" };
        text.push_str(&format!("  t{n}: {{depends_on: [{}]{pool}}}\n", upstream.join(", ")));
    }
    cluster.write_dag("storm.yaml", &text);
    traces
}

/// One more run, if somebody who leads takes it. One that was asked for before and not answered may be there already.
fn trigger(cluster: &Cluster, runs: &mut usize) {
    let triggered = cluster.command(&["dags", "trigger", "storm", "--run-id", &format!("r{runs}")]).output();
    let triggered = triggered.expect("the program runs");
    let is_there = String::from_utf8_lossy(&triggered.stderr).contains("already has a run");
    *runs += usize::from(triggered.status.success() || is_there);
}

/// Looks until there is an answer, for longer than one fault may last.
#[track_caller]
fn until<T>(cluster: &Cluster, what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        if begun.elapsed() > patience {
            eprintln!("{}", cluster.everything_said());
            panic!("waited {patience:?} in vain: {what}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn whatever_breaks_no_task_is_lost_and_none_starts_twice() {
    let mut random = fastrand::Rng::with_seed(seed());
    let Some(mut cluster) = Cluster::start() else {
        println!("NOT TESTED: this needs the programs of RabbitMQ and Postgres on this machine");
        return;
    };
    let traces = storm(&cluster, &mut random);
    let patience = Duration::from_secs(120);
    until(&cluster, "the DAG is known", patience, || {
        let dags = cluster.json(&["dags", "list", "--output", "json"])?;
        dags.as_array()?.iter().any(|dag| dag["dag_id"] == "storm").then_some(())
    });
    let pool = cluster.command(&["pools", "set", "narrow", &POOL.to_string(), "a test's"]).output();
    assert!(pool.expect("the program runs").status.success());

    let mut runs = 0;
    trigger(&cluster, &mut runs);
    until(&cluster, "the first tasks run", patience, || (traces.starts() >= 10).then_some(()));

    let mut recovery = Recovery::default();
    let ends = Instant::now() + Duration::from_secs(seconds());
    while Instant::now() < ends {
        // Always enough to do, never a backlog that outlives the test by much.
        while runs * TASKS < traces.ends() + 2 * TASKS {
            trigger(&cluster, &mut runs);
        }
        let fault = Fault::choose(&mut random);
        println!("{fault:?}, {} of {} tasks done", traces.ends(), runs * TASKS);
        fault.strike(&mut cluster, &traces, &mut random, &mut recovery);
    }
    fault::heal_all(&mut cluster);
    for n in 0..runs {
        until(&cluster, &format!("run r{n} ends"), Duration::from_secs(180), || {
            let states = cluster.json(&["dags", "list-runs", "storm", "--output", "json"])?;
            let run = states.as_array()?.iter().find(|run| run["run_id"] == format!("r{n}"))?.clone();
            match run["state"].as_str()? {
                "success" => Some(()),
                "failed" => panic!("run r{n} failed\n{}", cluster.everything_said()),
                _ => None,
            }
        });
    }
    println!("{} runs of {TASKS} tasks, {} starts; {recovery}", runs, traces.starts());
    traces.judge(runs, TASKS, POOL);
    for worker in &mut cluster.workers {
        assert_eq!(worker.leave(), Some(0), "{}: {}", worker.name, worker.output());
    }
    recovery.judge();
}
