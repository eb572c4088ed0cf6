//! Pieces on their way into real files.

use std::fs;

use uuid::Uuid;

use super::*;
use crate::domain::ids::{AttemptId, Epoch, Incarnation, WorkerId};
use crate::protocol::envelope::Installation;

const WORKER: Sender = Sender::Worker { worker: WorkerId(Uuid::from_u128(1)), incarnation: Incarnation(1) };
const LOG: &str = "dag_id=d/run_id=r/task_id=t/attempt=1.log";

fn keys(secret: &str) -> Keys {
    Keys::new(Installation::new("updraft").expect("a name"), secret).expect("a secret")
}

fn ours() -> Keys {
    keys("0123456789abcdef")
}

fn at() -> Time {
    chrono::DateTime::from_timestamp_millis(1_795_262_400_123).expect("an instant")
}

fn head(log_path: &str, offset: u64) -> ChunkHead {
    ChunkHead { attempt: AttemptId(Uuid::from_u128(9)), log_path: log_path.to_owned(), offset, base: 0, end: None }
}

struct World {
    folder: tempfile::TempDir,
    keeping: Keeping,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let keeping = Keeping::new(ours(), folder.path()).expect("writable");
        Self { folder, keeping }
    }

    /// The next life of the keeper.
    fn restarted(self) -> Self {
        let keeping = Keeping::new(ours(), self.folder.path()).expect("writable");
        Self { keeping, ..self }
    }

    fn arrives(&mut self, body: &[u8], force: bool) -> Became {
        self.keeping.write_all(at(), &[Arrived { body, force }]).remove(0)
    }

    fn sealed(&mut self, head: &ChunkHead, text: &str, force: bool) -> Became {
        let body = ours().seal_bytes(Direction::ToScheduler, WORKER, "chunk", &head.with(text.as_bytes()));
        self.arrives(&body.expect("short"), force)
    }

    fn put(&mut self, offset: u64, text: &str) -> Became {
        self.sealed(&head(LOG, offset), text, false)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join(LOG)).expect("a log")
    }
}

const LOST: &str = "[2026-11-21T12:00:00.123+0000] {scheduler} ERROR - the worker was lost\n";

#[test]
fn what_is_no_piece_of_a_log_is_rejected_with_a_reason_and_nothing_is_written() {
    let mut world = World::new();
    let good = head(LOG, 0).with(b"text\n");
    let seal = |keys: &Keys, sender, kind, body: &[u8]| {
        keys.seal_bytes(Direction::ToScheduler, sender, kind, body).expect("short")
    };
    let mut altered = seal(&ours(), WORKER, "chunk", &good);
    *altered.last_mut().expect("not empty") ^= 1;
    let at = |path: &str| seal(&ours(), WORKER, "chunk", &head(path, 0).with(b"text\n"));
    let huge = vec![b'x'; usize::try_from(PIECE).expect("small") + 1];
    let to_worker =
        ours().seal_bytes(Direction::ToWorker, Sender::Scheduler { epoch: Epoch(1) }, "chunk", &good).expect("short");
    for (what, body, why) in [
        ("unsigned", good.clone(), "does not begin"),
        ("altered", altered, "signature is wrong"),
        ("of another secret", seal(&keys("fedcba9876543210"), WORKER, "chunk", &good), "internal_secret"),
        ("turned around", to_worker, "signature is wrong"),
        ("of another kind", seal(&ours(), WORKER, "said", &good), "`said` message in the queue of logs"),
        ("of a scheduler", seal(&ours(), Sender::Scheduler { epoch: Epoch(1) }, "chunk", &good), "no worker signed"),
        ("without a head", seal(&ours(), WORKER, "chunk", b"text"), "not a piece of a log"),
        ("too long", seal(&ours(), WORKER, "chunk", &head(LOG, 0).with(&huge)), "expected at most 65536"),
        ("at the end of all", seal(&ours(), WORKER, "chunk", &head(LOG, u64::MAX).with(b"x")), "impossible place"),
        ("to the parent", at("../out.log"), "does not stay"),
        ("absolute", at("/tmp/out.log"), "does not stay"),
        ("hidden in the middle", at("a/../../out.log"), "does not stay"),
        ("to what is no log", at("a.log.parts"), "does not end in .log"),
    ] {
        match world.arrives(&body, true) {
            Became::Rejected(said) => assert!(said.contains(why), "{what}: {said}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    assert_eq!(fs::read_dir(world.folder.path()).expect("there").count(), 0);
}

#[test]
fn a_link_in_the_place_of_a_log_is_not_followed() {
    let mut world = World::new();
    let victim = world.folder.path().join("victim");
    fs::write(&victim, "mine").expect("written");
    std::os::unix::fs::symlink(&victim, world.folder.path().join("a.log")).expect("Linux");
    assert!(matches!(world.sealed(&head("a.log", 0), "theirs", true), Became::Rejected(_)));
    assert_eq!(fs::read_to_string(victim).expect("there"), "mine");
}

#[test]
fn a_log_grows_piece_by_piece_over_restarts_of_the_keeper() {
    let mut world = World::new();
    assert!(matches!(world.put(0, "one\n"), Became::Kept));
    assert!(matches!(world.put(4, "two\n"), Became::Kept));
    world.keeping.sync().expect("durable");
    let mut world = world.restarted();
    assert!(matches!(world.put(4, "two\n"), Became::Copy));
    assert!(matches!(world.put(8, "three\n"), Became::Kept));
    assert!(matches!(world.put(4, "TWO\n"), Became::Different));
    assert_eq!(world.log(), "one\ntwo\nthree\n");
    assert_eq!(fs::read_dir(world.folder.path().join("dag_id=d/run_id=r/task_id=t")).expect("there").count(), 1);
}

#[test]
fn what_is_missing_is_waited_for_and_in_the_end_named() {
    let mut world = World::new();
    world.put(0, "one\n");
    assert!(matches!(world.put(8, "three\n"), Became::Gap));
    assert_eq!(world.log(), "one\n", "readers see what has no gap");
    world.sealed(&head(LOG, 8), "three\n", true);
    let mut world = world.restarted();
    world.put(14, "four\n");
    assert_eq!(world.log(), format!("one\n[2026-11-21T12:00:00.123+0000] {{log}} WARNING - {MISSING}\nthree\nfour\n"));
}

#[test]
fn two_attempts_go_on_in_one_file_over_a_restart() {
    let mut world = World::new();
    let other = ChunkHead { attempt: AttemptId(Uuid::from_u128(10)), ..head(LOG, 0) };
    world.put(0, "first\n");
    world.sealed(&other, "second\n", false);
    let mut world = world.restarted();
    assert!(matches!(world.sealed(&other, "second\n", false), Became::Copy));
    world.sealed(&ChunkHead { offset: 7, ..other }, "more\n", false);
    assert!(matches!(world.put(0, "first\n"), Became::Copy));
    assert_eq!(world.log(), "first\nsecond\nmore\n");
}

#[test]
fn the_schedulers_line_stays_the_last_however_late_the_rest_comes() {
    for rest in ["two\n", "two"] {
        for first in ["one\n", "one and"] {
            let mut world = World::new();
            world.put(0, first);
            world.keeping.say(at(), LOG, "the worker was lost").expect("written");
            world.keeping.say(at(), LOG, "the worker was lost").expect("written");
            let newline = if first.ends_with('\n') { "" } else { "\n" };
            assert_eq!(world.log(), format!("{first}{newline}{LOST}"));
            let mut world = world.restarted();
            let offset = u64::try_from(first.len()).expect("short");
            assert!(matches!(world.put(offset, rest), Became::Kept), "{first:?} {rest:?}");
            let newline = if rest.ends_with('\n') { "" } else { "\n" };
            assert_eq!(world.log(), format!("{first}{rest}{newline}{LOST}"));
            assert!(matches!(world.put(offset, rest), Became::Copy));
        }
    }
}

#[test]
fn a_log_of_which_nothing_came_says_at_least_what_became_of_it() {
    let mut world = World::new();
    world.keeping.say(at(), LOG, "the worker was lost").expect("written");
    assert_eq!(world.log(), LOST);
    world.put(0, "late\n");
    assert_eq!(world.log(), format!("late\n{LOST}"));
    world.keeping.say(at(), "../out.log", "x").expect_err("a path that leaves the folder");
}
