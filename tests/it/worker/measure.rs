//! Figures against the bare operating system, taken in the same run:
//! `cargo test --release --test it worker::measure -- --ignored --nocapture`

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use updraft::protocol::work::FromWorker;
use updraft::worker::companion::Charge;
use updraft::worker::companion::frame::{Base, FromCompanion, Origin, SpawnSpec};
use updraft::worker::process::Companion;

use super::executor::Office;
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

/// The same through executor and worker, as in a node.
async fn worker_rate(office: &mut Office) -> f64 {
    let begun = Instant::now();
    for _ in 0..TASKS {
        office.dispatch(0, "true");
    }
    for _ in 0..TASKS {
        office.world.finished().await;
    }
    rate(begun.elapsed())
}

#[actix::test]
#[ignore = "a measurement"]
async fn two_hundred_parallel_bash_tasks_against_the_bare_rate() {
    for slots in [4, 16, 200] {
        let mut office = Office::new(slots).await;
        let (mut ours, mut few, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            few.push(bare_rate(16));
            all.push(bare_rate(TASKS));
            ours.push(worker_rate(&mut office).await);
        }
        let (ours, few, all) = (median(&mut ours), median(&mut few), median(&mut all));
        println!(
            "{slots} slots: {ours:.0}/s; bare, 16 at once {few:.0}/s ({:.0} %), 200 at once {all:.0}/s ({:.0} %)",
            100.0 * ours / few,
            100.0 * ours / all
        );
    }
}

#[actix::test]
#[ignore = "a measurement"]
async fn the_companion_alone_against_the_bare_latency() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_updraft"));
    let charge = Charge::new(folder.path().join("companion.lock"), Duration::from_secs(5));
    let (companion, _child) = Companion::start(program, charge, || {}).await.expect("a companion");
    let spec = SpawnSpec {
        program: "/usr/bin/bash".into(),
        args: vec!["-c".to_owned(), "true".to_owned()],
        cwd: folder.path().to_owned(),
        base: Base::Inherit,
        env: std::collections::BTreeMap::new(),
        origin: Origin::Exec,
    };
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        let begun = Instant::now();
        bare_bash();
        bare.push(begun.elapsed());
        let output = std::os::fd::OwnedFd::from(std::fs::File::create("/dev/null").expect("Linux"));
        let begun = Instant::now();
        let mut process = companion.spawn(spec.clone(), output, None).expect("asked");
        while !matches!(process.news().await, Some(FromCompanion::Exited { .. }) | None) {}
        ours.push(begun.elapsed());
    }
    let (ours, bare) = (median(&mut ours), median(&mut bare));
    println!("one bash: {ours:?} by the companion, {bare:?} bare, {:?} added (p50 of 300)", ours.saturating_sub(bare));
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
