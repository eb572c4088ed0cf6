//! The companion of a worker behind a broker: its lease, and what it says when its worker is dead.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use updraft::broker::AfterReconnect;
use updraft::domain::attempt::Outcome;
use updraft::domain::ids::{AttemptId, Claim, Incarnation, WorkerId};
use updraft::protocol::envelope::{Direction, Sender};
use updraft::protocol::letter::Said;
use updraft::protocol::work::{FromWorker, Report};
use updraft::worker::BootTime;
use updraft::worker::companion::frame::{Base, FromCompanion, Origin, SpawnSpec};
use updraft::worker::companion::{Charge, Will};
use updraft::worker::journal::Journal;
use updraft::worker::process::Companion;
use uuid::Uuid;

use super::bed::{Bed, next_body};
use crate::worker::world::{eventually, number_in, runs};

const KILL_GRACE: Duration = Duration::from_millis(500);

/// What the helper below is told: folder, broker, installation, seconds of its lease.
const CHARGE: &str = "UPDRAFT_TEST_COMPANION";

/// Not a test: a worker's process that has a companion, a task that does not heed TERM, and an outcome that nobody settled.
#[actix::test]
#[ignore = "a process for other tests"]
async fn helper_worker_with_a_lease() {
    let charge = std::env::var(CHARGE).expect("started by a test");
    let [folder, address, installation, lease] = charge.split('|').collect::<Vec<_>>()[..] else { panic!("{charge}") };
    let (folder, bed) = (Path::new(folder), Bed::again(address, installation, 10_000));
    let opened = Journal::open(&folder.join("journal"), "machine", WorkerId(Uuid::new_v4()));
    let (mut journal, _) = opened.expect("a journal");
    let will = Will {
        worker: journal.worker(),
        incarnation: journal.incarnation(),
        journal: folder.join("journal"),
        base_log_folder: folder.to_owned(),
        worker_lost_after: Duration::from_secs(60),
        broker: bed.access(),
    };
    let charge = Charge::new(folder.join("companion.lock"), KILL_GRACE).leased().with_will(will);
    let program = Path::new(env!("CARGO_BIN_EXE_updraft"));
    let (companion, _child) = Companion::start(program, charge, || {}).await.expect("a companion");
    companion.lease_until(BootTime::now() + Duration::from_secs(lease.parse().expect("seconds")));
    let script = format!("trap '' TERM; echo $$ > {}; while :; do sleep 0.05; done", folder.join("task").display());
    let spec = SpawnSpec {
        program: "/bin/sh".into(),
        args: vec!["-c".to_owned(), script],
        cwd: folder.to_owned(),
        base: Base::Inherit,
        env: BTreeMap::new(),
        origin: Origin::Exec,
    };
    let output = OwnedFd::from(std::fs::File::create("/dev/null").expect("Linux"));
    let mut process = companion.spawn(spec, output, None).expect("asked");
    assert!(matches!(process.news().await, Some(FromCompanion::Spawned { .. })));
    let claim = Claim { worker: journal.worker(), incarnation: journal.incarnation(), n: 1 };
    journal.outcome(&report(claim)).expect("written");
    std::fs::write(folder.join("ready"), "1\n").expect("written");
    std::future::pending::<()>().await;
}

fn report(claim: Claim) -> Report {
    Report {
        attempt: AttemptId(Uuid::from_u128(9)),
        claim,
        outcome: Outcome::Success,
        exit_code: Some(0),
        message: None,
        started_at: None,
        ended_at: chrono::DateTime::UNIX_EPOCH,
        pid: None,
        xcoms: Vec::new(),
        outlet_events: Vec::new(),
        awaited: None,
    }
}

/// The helper, and the pid of its task.
async fn worker(folder: &Path, bed: &Bed, lease: u64) -> (Child, u32) {
    let charge = format!("{}|{}|{}|{lease}", folder.display(), bed.address, bed.installation);
    let mut command = Command::new(std::env::current_exe().expect("the test binary"));
    command.args(["--exact", "distributed::companion::helper_worker_with_a_lease", "--ignored", "--nocapture"]);
    let worker = command.env(CHARGE, charge).stdout(Stdio::null()).spawn().expect("itself");
    number_in(&folder.join("ready")).await;
    (worker, number_in(&folder.join("task")).await)
}

fn signal(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill").success());
}

fn lock_is_free(folder: &Path) -> bool {
    let lock = std::fs::File::open(folder.join("companion.lock")).expect("there");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}

async fn obituary_over(bed: Bed) {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = bed.broker().await;
    let scheduler = bed.names().scheduler();
    let subscribed = broker.subscribe(&[scheduler], 10, AfterReconnect::Resume).await;
    let (_subscription, mut deliveries) = subscribed.expect("subscribed");
    let (mut helper, task) = worker(folder.path(), &bed, 3600).await;
    let companion = number_in(&folder.path().join("companion.lock")).await;
    for seen in ["cmdline", "environ"] {
        let seen = std::fs::read(format!("/proc/{companion}/{seen}")).expect("ours");
        let seen = String::from_utf8_lossy(&seen).into_owned();
        assert!(!seen.contains(super::bed::SECRET), "the secret is visible");
    }
    helper.kill().expect("ours");
    let killed = Instant::now();
    let body = next_body(&mut deliveries).await;
    let took = killed.elapsed();
    println!("the obituary came {took:?} after the kill, with a kill_grace of {KILL_GRACE:?}");
    assert!(took < KILL_GRACE + Duration::from_secs(3), "{took:?}");
    assert!(!runs(task), "the task was ended before that was said");
    let keys = bed.keys();
    let opened = keys.open(Direction::ToScheduler, &body).expect("signed");
    let said: Said = opened.read().expect("a letter");
    let [FromWorker::Obituary { worker, incarnation, unsettled }] = &said.said[..] else { panic!("{said:?}") };
    assert_eq!(opened.sender, Sender::Worker { worker: *worker, incarnation: *incarnation });
    assert_eq!((said.reply_to.as_str(), *incarnation), ("", Incarnation(1)));
    assert_eq!(unsettled[..], [report(Claim { worker: *worker, incarnation: *incarnation, n: 1 })]);
    helper.wait().expect("reaped");
    eventually("the companion leaves", || !runs(companion)).await;
    broker.close();
    bed.sweep().await;
}

#[actix::test]
async fn a_worker_that_is_killed_has_a_signed_obituary_with_what_was_not_settled() {
    if let Some(bed) = Bed::rabbitmq() {
        obituary_over(bed).await;
    }
}

#[actix::test]
async fn an_obituary_goes_over_redis_as_well() {
    if let Some(bed) = Bed::redis() {
        obituary_over(bed).await;
    }
}

#[actix::test]
async fn a_restart_waits_for_neither_broker_nor_obituary() {
    let folder = tempfile::tempdir().expect("a folder");
    // Nobody listens at this port.
    let bed = Bed::again("amqp://guest:guest@127.0.0.1:9/", "nobody", 10_000);
    let (mut helper, task) = worker(folder.path(), &bed, 3600).await;
    let companion = number_in(&folder.path().join("companion.lock")).await;
    helper.kill().expect("ours");
    helper.wait().expect("reaped");
    eventually("the lock is free", || lock_is_free(folder.path())).await;
    assert!(!runs(task), "it is free after the last kill");
    assert!(runs(companion), "the companion still tries to say it");
    signal("-9", companion);
}

#[actix::test]
async fn a_worker_that_says_goodbye_has_no_obituary() {
    let folder = tempfile::tempdir().expect("a folder");
    let bed = Bed::again("amqp://guest:guest@127.0.0.1:9/", "nobody", 10_000);
    let opened = Journal::open(&folder.path().join("journal"), "machine", WorkerId(Uuid::new_v4()));
    let (journal, _) = opened.expect("a journal");
    let will = Will {
        worker: journal.worker(),
        incarnation: journal.incarnation(),
        journal: folder.path().join("journal"),
        base_log_folder: folder.path().to_owned(),
        worker_lost_after: Duration::from_secs(3600),
        broker: bed.access(),
    };
    let charge = Charge::new(folder.path().join("companion.lock"), KILL_GRACE).leased().with_will(will);
    let program = Path::new(env!("CARGO_BIN_EXE_updraft"));
    let (companion, mut child) = Companion::start(program, charge, || {}).await.expect("a companion");
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", child.id())).expect("ours");
    let pss = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap_or_default();
    println!("an idle companion with a lease and a will: {pss}");
    companion.leave();
    // With an obituary to say, it would try for an hour.
    eventually("it leaves", || child.try_wait().expect("ours").is_some()).await;
}

#[actix::test]
async fn a_lease_ends_the_tasks_of_a_worker_that_is_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let bed = Bed::again("amqp://guest:guest@127.0.0.1:9/", "nobody", 10_000);
    let (mut helper, task) = worker(folder.path(), &bed, 3).await;
    let companion = number_in(&folder.path().join("companion.lock")).await;
    signal("-STOP", helper.id());
    assert!(runs(task), "the lease is not over");
    eventually("the task is ended", || !runs(task)).await;
    eventually("the companion has left", || !runs(companion)).await;
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", helper.id())).expect("it lives");
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
    assert_eq!(state, Some(Some('T')), "nobody woke the worker");
    assert!(lock_is_free(folder.path()));
    helper.kill().expect("ours");
    helper.wait().expect("reaped");
}
