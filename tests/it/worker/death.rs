//! What becomes of tasks when a part dies.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use updraft::domain::attempt::Outcome;
use updraft::domain::operator::Operator;
use updraft::protocol::work::{FromWorker, ToWorker};
use updraft::worker::BootTime;
use updraft::worker::companion::Charge;
use updraft::worker::companion::frame::{Base, End, FromCompanion, Origin, SpawnSpec};
use updraft::worker::process::Companion;

use super::world::{World, bash, ear, eventually, number_in, runs, settings};

/// Where the helper process below finds its folder.
const FOLDER: &str = "UPDRAFT_TEST_WORKER_FOLDER";

/// Not a test: a worker in a process of its own, for the tests that kill one.
#[actix::test]
#[ignore = "a process for other tests"]
async fn helper_worker_process() {
    let folder = std::path::PathBuf::from(std::env::var_os(FOLDER).expect("started by a test"));
    let (said, _heard) = ear();
    let worker = updraft::worker::start(settings(&folder, 4), said).await.expect("a worker");
    let script = |name: &str, rest: &str| format!("echo $$ > {}; {rest}", folder.join(name).display());
    let commands = [
        script("plain", "while :; do sleep 1000; done"),
        script("deaf", "trap '' TERM; while :; do sleep 1000; done"),
        script(
            "parent",
            &format!("setsid bash -c 'echo $$ > {}; sleep 1000' & wait", folder.join("escaped").display()),
        ),
    ];
    for (n, command) in (1..).zip(commands) {
        let claim = updraft::domain::ids::Claim { worker: worker.worker, incarnation: worker.incarnation, n };
        let task = Box::new(super::world::message(n, Operator::Bash(bash(&command))));
        worker.entrance.try_send(ToWorker::Task { task, granted: Some(claim) }).expect("four places");
    }
    std::future::pending::<()>().await;
}

fn worker_process(folder: &std::path::Path) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("the test binary"));
    command.args(["--exact", "worker::death::helper_worker_process", "--ignored", "--nocapture"]);
    command.env(FOLDER, folder).stdout(Stdio::null()).spawn().expect("itself")
}

const TASKS: [&str; 4] = ["plain", "deaf", "parent", "escaped"];

#[actix::test]
async fn a_worker_that_is_killed_takes_its_tasks_along_and_the_next_one_knows_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut worker = worker_process(folder.path());
    let mut pids = Vec::new();
    for name in TASKS {
        pids.push(number_in(&folder.path().join(name)).await);
    }
    worker.kill().expect("ours");
    assert_eq!(worker.wait().expect("reaped").signal(), Some(9));

    // The next worker waits for the companion of the dead one, then speaks.
    let (said, mut heard) = ear();
    let next = updraft::worker::start(settings(folder.path(), 1), said).await.expect("a worker");
    for (name, pid) in TASKS.iter().zip(&pids) {
        assert!(!runs(*pid), "{name} ended before the next worker was online");
    }
    let Some(FromWorker::Online(online)) = heard.recv().await else { panic!("the first word is Online") };
    assert_eq!((online.incarnation.0, online.unsettled.len()), (2, 0), "killed tasks have no outcome: they are lost");
    next.told.say(ToWorker::Drain { deadline: Duration::ZERO });
    next.ended.await.expect("it leaves").expect("in order");
}

#[actix::test]
async fn worker_and_companion_killed_together_leave_nothing_to_the_next_worker() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut worker = worker_process(folder.path());
    let mut pids = Vec::new();
    for name in TASKS {
        pids.push(number_in(&folder.path().join(name)).await);
    }
    let companion = number_in(&folder.path().join("state/companion.lock")).await;
    let kill = |pid: u32| Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill").success();
    // Stopped first, so that neither sees the other die.
    assert!(Command::new("kill").args(["-STOP", &companion.to_string()]).status().expect("kill").success());
    assert!(kill(worker.id()) && kill(companion));
    worker.wait().expect("reaped");
    assert!(pids.iter().all(|pid| runs(*pid)), "orphans of both");

    let (said, _heard) = ear();
    let mut settings = settings(folder.path(), 1);
    settings.kill_grace = Duration::from_millis(200);
    let next = updraft::worker::start(settings, said).await.expect("a worker");
    for (name, pid) in TASKS.iter().zip(&pids) {
        assert!(!runs(*pid), "{name} was ended before the next worker was online");
    }
    next.told.say(ToWorker::Drain { deadline: Duration::ZERO });
    next.ended.await.expect("it leaves").expect("in order");
}

#[actix::test]
async fn a_companion_that_dies_fences_its_tasks_and_a_new_life_begins() {
    let mut world = World::new(2).await;
    world.send_bash("while :; do sleep 1000; done");
    let pid = world.started().await;
    let companion = number_in(&world.settings.state_dir.join("companion.lock")).await;
    assert!(Command::new("kill").args(["-9", &companion.to_string()]).status().expect("kill").success());
    let online = loop {
        if let FromWorker::Online(online) = world.hear().await {
            break online;
        }
    };
    assert!(!runs(pid), "what it guarded is gone");
    assert_eq!(online.incarnation, world.worker.incarnation.next());
    assert_eq!(online.unsettled.iter().map(|r| r.outcome).collect::<Vec<_>>(), [Outcome::Fenced]);
    world.settle(online.unsettled[0].claim);

    world.send_bash("true");
    assert!(matches!(world.hear().await, FromWorker::Released { .. }), "a claim of the life before starts nothing");
    world.worker.incarnation = online.incarnation;
    assert_eq!(world.run_bash("true").await.outcome, Outcome::Success);
}

fn deaf(ready: &std::path::Path, cwd: &std::path::Path) -> SpawnSpec {
    SpawnSpec {
        program: "/bin/sh".into(),
        args: vec![
            "-c".to_owned(),
            format!("trap '' TERM; echo $$ > {}; while :; do sleep 0.01; done", ready.display()),
        ],
        cwd: cwd.to_owned(),
        base: Base::Inherit,
        env: std::collections::BTreeMap::new(),
        origin: Origin::Exec,
    }
}

fn nowhere() -> std::os::fd::OwnedFd {
    std::fs::File::create("/dev/null").expect("Linux").into()
}

#[actix::test]
async fn a_lease_that_lapses_ends_every_task_and_is_never_renewed() {
    let folder = tempfile::tempdir().expect("a folder");
    let charge = Charge::new(folder.path().join("companion.lock"), Duration::from_millis(200)).leased();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_updraft"));
    let (lost, told) = tokio::sync::oneshot::channel();
    let started = Companion::start(program, charge, || lost.send(()).expect("the test waits")).await;
    let (companion, mut child) = started.expect("a companion");
    let ready = folder.path().join("ready");
    let spec = deaf(&ready, folder.path());
    let mut early = companion.spawn(spec.clone(), nowhere(), None).expect("asked");
    let Some(FromCompanion::SpawnFailed { why, .. }) = early.news().await else { panic!("nothing starts") };
    assert_eq!(why, "the worker's lease is over, or has not begun");

    let until = BootTime::now() + Duration::from_secs(2);
    companion.lease_until(BootTime::now() + Duration::from_millis(100));
    companion.lease_until(until);
    let mut process = companion.spawn(spec.clone(), nowhere(), None).expect("asked");
    assert!(matches!(process.news().await, Some(FromCompanion::Spawned { .. })));
    let pid = number_in(&ready).await;
    assert_eq!(process.news().await, Some(FromCompanion::LeaseOver));
    assert!(BootTime::now() >= until, "the later of two leases counts");
    companion.lease_until(BootTime::now() + Duration::from_secs(60));
    let Some(FromCompanion::Exited { end, .. }) = process.news().await else { panic!("it ends") };
    assert_eq!(end, End::Signal(9), "TERM was not enough");
    eventually("it is gone", || !runs(pid)).await;
    told.await.expect("the incarnation's companion leaves by itself");
    assert!(child.wait().expect("reaped").success());
}

#[actix::test]
async fn a_companion_without_file_descriptors_says_so_and_recovers() {
    let mut world = World::new(1).await;
    let companion = number_in(&world.settings.state_dir.join("companion.lock")).await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(companion).expect("a pid"));
    let limit = |n| rustix::process::Rlimit { current: Some(n), maximum: Some(1024) };
    let set = |n| rustix::process::prlimit(pid, rustix::process::Resource::Nofile, limit(n)).expect("ours");
    set(3);
    let report = world.run_bash("true").await;
    assert_eq!(report.outcome, Outcome::Failed { retryable: true });
    let message = report.message.expect("a sentence");
    assert!(message.contains("file descriptors") && message.contains("ulimit -n"), "{message}");
    set(1024);
    assert_eq!(world.run_bash("true").await.outcome, Outcome::Success);
}

#[actix::test]
async fn an_outcome_that_nobody_settled_is_told_by_the_next_life() {
    let mut world = World::new(1).await;
    world.send_bash("echo kept");
    let report = loop {
        if let FromWorker::Finish(report) = world.hear().await {
            break report;
        }
    };
    world.worker.told.say(ToWorker::Drain { deadline: Duration::ZERO });
    loop {
        if let FromWorker::Offline { .. } = world.hear().await {
            break;
        }
    }
    (&mut world.worker.ended).await.expect("it leaves").expect("in order");
    let (said, mut heard) = ear();
    let start = updraft::worker::start(world.settings.clone(), said);
    let _next = start.await.expect("the directory is free");
    let Some(FromWorker::Online(online)) = heard.recv().await else { panic!("the first word is Online") };
    assert_eq!(online.unsettled, [report]);
}

#[actix::test]
async fn a_drained_worker_finishes_what_runs_gives_back_what_waits_and_leaves() {
    let mut world = World::new(1).await;
    let go = world.folder.path().join("go");
    world.send_bash(&format!("until [ -e {} ]; do sleep 0.01; done", go.display()));
    world.started().await;
    let waiting = world.send_bash("true");
    world.worker.told.say(ToWorker::Drain { deadline: Duration::from_secs(60) });
    let FromWorker::Released { claim, .. } = world.hear().await else { panic!("what waits is given back first") };
    assert_eq!(claim, waiting);
    std::fs::write(&go, "").expect("written");
    assert_eq!(world.finished().await.outcome, Outcome::Success);
    world.left().await;
    (&mut world.worker.ended).await.expect("it leaves").expect("in order");
}

#[actix::test]
async fn a_second_drain_hurries() {
    let mut world = World::with(1, |settings| settings.kill_grace = Duration::from_millis(100)).await;
    world.send_bash("trap '' TERM; while :; do sleep 0.01; done");
    let pid = world.started().await;
    world.worker.told.say(ToWorker::Drain { deadline: Duration::from_secs(3600) });
    world.worker.told.say(ToWorker::Drain { deadline: Duration::ZERO });
    let report = world.finished().await;
    assert_eq!(report.outcome, Outcome::Killed);
    world.left().await;
    assert!(!runs(pid));
    eventually("the companion has freed its lock", || {
        let lock = std::fs::File::open(world.settings.state_dir.join("companion.lock")).expect("there");
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
    })
    .await;
}
