//! Figures against the bare operating system, taken in the same run:
//! `cargo test --release --test it worker::measure -- --ignored --nocapture`

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use updraft::protocol::work::FromWorker;

use super::world::{World, number_in};

const TASKS: usize = 200;
const ROUNDS: usize = 9;

fn bare_bash() {
    let mut command = Command::new("/usr/bin/bash");
    command.args(["-c", "true"]).process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().expect("bash").success());
}

/// `bash -c true` by posix_spawn on so many threads, and nothing else.
fn bare_rate(threads: usize) -> f64 {
    let left = AtomicUsize::new(TASKS);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
                    bare_bash();
                }
            });
        }
    });
    rate(begun.elapsed())
}

fn rate(elapsed: Duration) -> f64 {
    f64::from(u32::try_from(TASKS).expect("small")) / elapsed.as_secs_f64()
}

fn median<T: PartialOrd + Copy>(values: &mut [T]) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).expect("comparable"));
    values[values.len() / 2]
}

async fn worker_rate(world: &mut World) -> f64 {
    let begun = Instant::now();
    for _ in 0..TASKS {
        world.send_bash("true");
        // Lets the mailbox be read between two messages, as when a scheduler sends them.
        tokio::task::yield_now().await;
    }
    for _ in 0..TASKS {
        world.finished().await;
    }
    rate(begun.elapsed())
}

#[actix::test]
#[ignore = "a measurement"]
async fn two_hundred_parallel_bash_tasks_against_the_bare_rate() {
    let bare = || {
        (2..=16).step_by(2).map(|threads| (0..3).map(|_| bare_rate(threads)).fold(0.0, f64::max)).fold(0.0, f64::max)
    };
    let best_bare = bare();
    for slots in [200] {
        let mut world = World::new(200).await;
        let mut rates = Vec::new();
        let mut bares = Vec::new();
        for _ in 0..ROUNDS {
            bares.push(bare_rate(16));
            rates.push(worker_rate(&mut world).await);
        }
        let (ours, bare) = (median(&mut rates), median(&mut bares));
        println!(
            "slots {slots}: {ours:.0}/s, bare {bare:.0}/s (best of all {best_bare:.0}/s): {:.0} %",
            100.0 * ours / bare
        );
    }
}

#[actix::test]
#[ignore = "a measurement"]
async fn one_task_after_the_other_against_the_bare_latency() {
    let mut world = World::new(1).await;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        let begun = Instant::now();
        bare_bash();
        bare.push(begun.elapsed());
        let begun = Instant::now();
        world.send_bash("true");
        while !matches!(world.hear().await, FromWorker::Finish(report) if { world.settle(report.claim); true }) {}
        ours.push(begun.elapsed());
    }
    let (ours, bare) = (median(&mut ours), median(&mut bare));
    println!("one bash: {ours:?} with the worker, {bare:?} bare, {:?} added (p50 of 300)", ours.saturating_sub(bare));

    let companion = number_in(&world.settings.state_dir.join("companion.lock")).await;
    let rollup = std::fs::read_to_string(format!("/proc/{companion}/smaps_rollup")).expect("ours");
    for line in
        rollup.lines().filter(|line| ["Rss:", "Pss:", "Private_Dirty:"].iter().any(|name| line.starts_with(name)))
    {
        println!("companion {line}");
    }
}
