//! Logs over a broker: what a worker writes stands in the scheduler's folder, whole and equal, whatever dies in between.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::Utc;
use tempfile::TempDir;
use updraft::broker::{Outgoing, Published};
use updraft::domain::ids::{AttemptId, Incarnation, WorkerId};
use updraft::node::log_keeper::LogKeeper;
use updraft::protocol::envelope::{Direction, Sender};
use updraft::protocol::letter::ChunkHead;
use updraft::worker::journal::Journal;
use updraft::worker::log::TaskLog;
use updraft::worker::shipping::{Options, Shipper};
use uuid::Uuid;

use super::bed::{Bed, PATIENCE, depth_becomes};
use crate::kit::broker::Installation;
use crate::kit::{Database, wait_until};
use crate::worker::world::eventually;

const LOG: &str = "dag_id=d/run_id=r/task_id=t/attempt=1.log";
const WORKER: WorkerId = WorkerId(Uuid::from_u128(7));

/// What the helper below is told: folder, broker, installation.
const CHARGE: &str = "UPDRAFT_TEST_SHIPPER";

/// The folders of a worker and of a scheduler that share nothing.
struct Folders(TempDir);

impl Folders {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn workers(&self) -> PathBuf {
        self.0.path().join("worker")
    }

    fn keepers(&self) -> PathBuf {
        self.0.path().join("scheduler")
    }

    fn written(&self, log: &str) -> Vec<u8> {
        fs::read(self.workers().join(log)).expect("the worker's log")
    }

    fn kept(&self, log: &str) -> Vec<u8> {
        fs::read(self.keepers().join(log)).unwrap_or_default()
    }

    async fn become_equal(&self, log: &str) {
        let written = self.written(log);
        eventually("the log has arrived", || self.kept(log).len() >= written.len()).await;
        assert!(self.kept(log) == written, "the kept log is another one");
    }
}

fn shipping(bed: &Bed, base: &Path) -> Options {
    Options {
        broker: bed.options(),
        keys: bed.keys(),
        worker: WORKER,
        incarnation: Incarnation(1),
        base_log_folder: base.to_owned(),
    }
}

fn lines(from: usize, count: usize) -> String {
    (from..from + count).map(|n| format!("line {n} of a log, with some text so that it has a usual length\n")).collect()
}

fn log(shipper: &Shipper, folders: &Folders, attempt: u128, path: &str) -> TaskLog {
    let feed = shipper.feed(AttemptId(Uuid::from_u128(attempt)), path);
    TaskLog::new(&folders.workers(), path, 0).shipped_by(Some(feed))
}

async fn ten_megabytes_over(bed: Bed) {
    let folders = Folders::new();
    let broker = bed.broker().await;
    let keeper = LogKeeper::open(bed.options(), bed.keys(), &folders.keepers()).expect("a folder");
    let shipper = Shipper::start(shipping(&bed, &folders.workers()), Vec::new(), |_| {});
    let mut live = log(&shipper, &folders, 1, LOG);
    live.release();
    for n in 0..5 {
        live.output(Utc::now(), "bash", format!("live {n}\n").as_bytes());
        live.flush();
        let begun = Instant::now();
        eventually("a reader sees it", || folders.kept(LOG) == folders.written(LOG)).await;
        println!("a line of a running task is seen after {:?}", begun.elapsed());
    }
    let begun = Instant::now();
    for n in 0..100 {
        live.output(Utc::now(), "bash", lines(n * 1000, 1000).as_bytes());
        live.flush();
        tokio::task::yield_now().await;
    }
    drop(live);
    assert!(shipper.leave(PATIENCE).await, "the broker has everything");
    folders.become_equal(LOG).await;
    let length = folders.written(LOG).len();
    println!("{length} bytes arrived in {:?}", begun.elapsed());
    assert!(length > 10_000_000);
    keeper.stop(Duration::from_secs(30)).await;
    depth_becomes(&broker, &bed.names().log(), 0).await;
    broker.close();
    bed.sweep().await;
}

#[actix::test]
async fn ten_megabytes_of_log_arrive_whole_and_live() {
    if let Some(bed) = Bed::rabbitmq() {
        ten_megabytes_over(bed).await;
    }
}

#[actix::test]
async fn ten_megabytes_of_log_arrive_over_redis_as_well() {
    if let Some(bed) = Bed::redis() {
        ten_megabytes_over(bed).await;
    }
}

#[actix::test]
async fn a_full_queue_makes_the_worker_wait_and_nothing_is_lost_or_doubled() {
    let Some(mut bed) = Bed::rabbitmq() else { return };
    bed.log_length = 3;
    let folders = Folders::new();
    let broker = bed.broker().await;
    let shipper = Shipper::start(shipping(&bed, &folders.workers()), Vec::new(), |_| {});
    let names: Vec<String> = (1..=5).map(|n| format!("dag_id=d/run_id=r/task_id=t{n}/attempt=1.log")).collect();
    for (attempt, name) in (1..).zip(&names) {
        let mut log = log(&shipper, &folders, attempt, name);
        log.release();
        log.output(Utc::now(), "bash", lines(0, 5_000).as_bytes());
        log.flush();
    }
    depth_becomes(&broker, &bed.names().log(), 3).await;
    assert!(!shipper_leaves(&shipper).await, "it waits for room");
    let keeper = LogKeeper::open(bed.options(), bed.keys(), &folders.keepers()).expect("a folder");
    let shipper = Shipper::start(shipping(&bed, &folders.workers()), left(&names), |_| {});
    assert!(shipper.leave(PATIENCE).await, "there is room now");
    for name in &names {
        folders.become_equal(name).await;
    }
    assert_eq!(keeper.counts().different.load(Ordering::Relaxed), 0);
    keeper.stop(Duration::from_secs(30)).await;
    broker.close();
    bed.sweep().await;
}

async fn shipper_leaves(shipper: &Shipper) -> bool {
    shipper.leave(Duration::from_millis(500)).await
}

/// As if the journal remembered nothing but that there are these logs: what is sent twice is harmless.
fn left(names: &[String]) -> Vec<updraft::worker::shipping::Mark> {
    let mark = |(attempt, path): (u128, &String)| updraft::worker::shipping::Mark {
        attempt: AttemptId(Uuid::from_u128(attempt)),
        path: path.clone(),
        base: 0,
        confirmed: 0,
    };
    (1..).zip(names).map(mark).collect()
}

/// Not a test: a worker's process whose shipper is killed.
#[actix::test]
#[ignore = "a process for other tests"]
async fn helper_shipper() {
    let charge = std::env::var(CHARGE).expect("started by a test");
    let [folder, address, installation] = charge.split('|').collect::<Vec<_>>()[..] else { panic!("{charge}") };
    let (folder, bed) = (Path::new(folder), Bed::again(address, installation, 3));
    let (journal, _) = Journal::open(&folder.join("journal"), "machine", WORKER).expect("a journal");
    let journal = Rc::new(RefCell::new(journal));
    let written = Rc::clone(&journal);
    let note = move |note| written.borrow_mut().note(&note).expect("written");
    let base = folder.join("worker");
    let shipper = Shipper::start(shipping(&bed, &base), Vec::new(), note);
    let mut log = TaskLog::new(&base, LOG, 0).shipped_by(Some(shipper.feed(AttemptId(Uuid::from_u128(1)), LOG)));
    log.release();
    log.output(Utc::now(), "bash", lines(0, 20_000).as_bytes());
    log.output(Utc::now(), "bash", b"the last line, which has no end");
    log.pause(Utc::now(), "bash");
    std::future::pending::<()>().await;
}

#[actix::test]
async fn a_shipper_that_is_killed_in_the_middle_is_gone_on_with_up_to_the_last_line_written() {
    let Some(mut bed) = Bed::rabbitmq() else { return };
    bed.log_length = 3;
    let folders = Folders::new();
    let broker = bed.broker().await;
    let charge = format!("{}|{}|{}", folders.0.path().display(), bed.address, bed.installation);
    let mut command = Command::new(std::env::current_exe().expect("the test binary"));
    command.args(["--exact", "distributed::logs::helper_shipper", "--ignored", "--nocapture"]);
    let mut helper = command.env(CHARGE, charge).stdout(Stdio::null()).spawn().expect("itself");
    depth_becomes(&broker, &bed.names().log(), 3).await;
    let whole = |log: &[u8]| log.ends_with(b"the last line, which has no end");
    eventually("all is written", || fs::read(folders.workers().join(LOG)).is_ok_and(|log| whole(&log))).await;
    helper.kill().expect("ours");
    helper.wait().expect("reaped");

    let keeper = LogKeeper::open(bed.options(), bed.keys(), &folders.keepers()).expect("a folder");
    eventually("the first pieces are kept", || folders.kept(LOG).len() >= 3 * 64 * 1024).await;
    keeper.say(LOG, "The worker was lost");
    eventually("it says what happened", || folders.kept(LOG).ends_with(b"The worker was lost\n")).await;
    let (journal, _) = Journal::open(&folders.0.path().join("journal"), "machine", WORKER).expect("a journal");
    let left: Vec<_> = journal.unshipped().cloned().collect();
    assert_eq!(left.len(), 1, "the next life knows of it");
    let shipper = Shipper::start(shipping(&bed, &folders.workers()), left, |_| {});
    assert!(shipper.leave(PATIENCE).await, "the next life ships the rest");
    let mut expected = folders.written(LOG);
    expected.push(b'\n');
    eventually("the rest has come", || folders.kept(LOG).len() > expected.len()).await;
    let kept = folders.kept(LOG);
    let (text, last_line) = kept.split_at(expected.len());
    assert!(text == expected, "the worker's text is whole");
    let last_line = String::from_utf8_lossy(last_line);
    assert!(last_line.ends_with("{scheduler} ERROR - The worker was lost\n") && last_line.lines().count() == 1);
    keeper.stop(Duration::from_secs(30)).await;
    broker.close();
    bed.sweep().await;
}

#[actix::test]
async fn what_is_hostile_is_put_aside_and_holds_up_nothing() {
    let Some(bed) = Bed::rabbitmq() else { return };
    let folders = Folders::new();
    let broker = bed.broker().await;
    let keeper = LogKeeper::open(bed.options(), bed.keys(), &folders.keepers()).expect("a folder");
    let signed = |log_path: &str| {
        let attempt = AttemptId(Uuid::from_u128(1));
        let head = ChunkHead { attempt, log_path: log_path.to_owned(), offset: 0, base: 0, end: Some(5) };
        let sender = Sender::Worker { worker: WORKER, incarnation: Incarnation(1) };
        bed.keys().seal_bytes(Direction::ToScheduler, sender, "chunk", &head.with(b"text\n")).expect("short")
    };
    let outside = folders.0.path().join("out.log");
    let absolute = outside.display().to_string();
    let hostile = [
        b"no message at all".to_vec(),
        signed("../out.log"),
        signed(&absolute),
        signed("a/../../out.log"),
        signed("a.txt"),
    ];
    let count = u64::try_from(hostile.len()).expect("few");
    for body in hostile.into_iter().chain([signed(LOG)]) {
        assert_eq!(broker.publish(Outgoing::new(bed.names().log(), body)).await, Published::Confirmed);
    }
    eventually("the good one is kept", || folders.kept(LOG) == b"text\n").await;
    depth_becomes(&broker, &bed.names().dead(), count).await;
    assert_eq!(keeper.counts().rejected.load(Ordering::Relaxed), count);
    assert!(!outside.exists());
    keeper.stop(Duration::from_secs(30)).await;
    broker.close();
    bed.sweep().await;
}

/// `updraft celery worker` in a home of its own; killed when dropped.
struct Worker(std::process::Child);

impl Drop for Worker {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_log_of_a_task_on_a_worker_stands_where_the_scheduler_has_it() {
    let (database, installation) = (Database::create(), Installation::new());
    let home = installation.home().with("database.sql_alchemy_conn", &database.url());
    home.write("one.yaml", "schedule: null\ntasks:\n  t: {bash: echo over the broker}\n");
    let node = home.start();
    let workers = installation.home();
    let mut command = workers.command();
    command.args(["celery", "worker", "-c", "2"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let worker = Worker(command.spawn().expect("it starts"));
    let run = home.trigger("one");
    let run = home.wait_run("one", &run.run_id);
    run.assert_success();
    wait_until("the log has come", || home.log(&run.row, "t", 1).contains("Ended as success"));
    let log = home.log(&run.row, "t", 1);
    assert!(log.contains("INFO - over the broker"), "{log}");
    assert_eq!(workers.log(&run.row, "t", 1), log, "the worker keeps its file");
    drop(worker);
    assert_eq!(node.stop().code, Some(0));
}
