//! Several schedulers, of which one leads: who follows, when, and what becomes of what was granted.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use updraft::domain::attempt::Verdict;

use super::leader::ONE;
use crate::kit::broker::Installation;
use crate::kit::{Database, Home, Node, Wire, wait_for, wait_until};

/// The promise of the protocol: lease_ttl and the time to load.
const TAKEOVER: Duration = Duration::from_secs(5);

/// Two homes with one database and one broker, the same DAG in both.
fn homes(installation: &Installation, database: &Database) -> [Home; 2] {
    [(); 2].map(|()| {
        let home = installation.home().with("database.sql_alchemy_conn", &database.url());
        home.write("one.yaml", ONE);
        home
    })
}

fn scheduler(node: &Node) -> Value {
    node.health().map_or(Value::Null, |health| health["scheduler"].clone())
}

fn role(node: &Node) -> Value {
    scheduler(node)["role"].clone()
}

#[test]
fn a_leader_killed_with_9_is_followed_in_time_and_its_grants_stand() {
    let (database, installation) = (Database::create(), Installation::new());
    let [home, other] = homes(&installation, &database);
    let leader = home.start();
    let standby = other.start();
    assert_eq!(role(&leader), "leader");
    let said = scheduler(&standby);
    assert_eq!((said["role"].as_str(), said["status"].as_str()), (Some("standby"), Some("healthy")), "{said}");
    assert!(said["leader"].as_str().is_some_and(|it| it.ends_with(&format!("process {}", leader.pid()))), "{said}");
    let check = other.finished(&["jobs", "check", "--job-type", "SchedulerJob"]);
    assert!(check.status.success(), "somebody leads");

    let mut worker = installation.worker();
    worker.online();
    let run = home.trigger("one");
    let (task, claim) = worker.own_task();
    let killed = Instant::now();
    leader.kill();
    wait_until("the other one leads", || role(&standby) == "leader");
    let leads = killed.elapsed();
    worker.ask_for(&task, claim);
    worker.hear_granted(claim);
    let answers = killed.elapsed();
    assert!(leads < TAKEOVER && answers < TAKEOVER, "leads after {leads:?}, answers after {answers:?}");
    eprintln!("leads after {leads:?}, answers after {answers:?}");

    assert_eq!(worker.finish(worker.report(&task, claim)), Verdict::Applied);
    let run = other.wait_run("one", &run.run_id);
    run.assert_success();
    assert_eq!(other.attempts(&run.row).len(), 1, "nothing was tried twice");
    assert_eq!(standby.stop().code, Some(0));
}

#[test]
fn a_leader_that_leaves_is_followed_at_once_and_stands_by_when_it_comes_back() {
    let (database, installation) = (Database::create(), Installation::new());
    let [home, other] = homes(&installation, &database);
    let leader = home.start();
    let standby = other.start();
    assert_eq!(leader.stop().code, Some(0));
    let left = Instant::now();
    wait_until("the other one leads", || role(&standby) == "leader");
    assert!(left.elapsed() < Duration::from_secs(2), "{:?}: it need not wait for the lease", left.elapsed());

    let back = home.start();
    assert_eq!(role(&back), "standby");
    let check = home.finished(&["jobs", "check", "--local"]);
    assert!(check.status.success(), "{check:?}");
    let triggered = home.finished(&["dags", "trigger", "one"]);
    assert!(triggered.status.success(), "the leader hears of it: {triggered:?}");
    let mut worker = installation.worker();
    worker.online();
    let (task, claim) = worker.own_task();
    assert_eq!(worker.finish(worker.report(&task, claim)), Verdict::Applied);
    assert_eq!(back.stop().code, Some(0));
    assert_eq!(standby.stop().code, Some(0));
}

#[test]
fn a_leader_that_was_stopped_for_long_wakes_up_deposed_and_moves_nothing() {
    let (database, installation) = (Database::create(), Installation::new());
    let [home, other] = homes(&installation, &database);
    let leader = home.start();
    let standby = other.start();
    let mut worker = installation.worker();
    worker.online();
    home.trigger("one");
    let (task, claim) = worker.own_task();
    signal(leader.pid(), Signal::STOP);
    wait_until("the other one leads", || role(&standby) == "leader");
    // The broker notices after some heartbeats that nobody reads, and gives the queue to the new leader.
    worker.ask_for(&task, claim);
    worker.hear_granted(claim);
    assert_eq!(worker.finish(worker.report(&task, claim)), Verdict::Applied);
    signal(leader.pid(), Signal::CONT);
    wait_until("the old one stands by", || role(&leader) == "standby");
    assert_eq!(role(&standby), json!("leader"));
    assert_eq!(leader.stop().code, Some(0));
    assert_eq!(standby.stop().code, Some(0));
}

#[test]
fn a_leader_without_its_database_hears_nobody_and_another_one_is_heard() {
    let (database, installation) = (Database::create(), Installation::new());
    let wire = Wire::to(&database.server());
    let [home, other] = homes(&installation, &database);
    let home = home.with("database.sql_alchemy_conn", &wire.before(&database.url(), &database.server()));
    let leader = home.start();
    let standby = other.start();
    let mut worker = installation.worker();
    worker.online();
    other.trigger("one");
    let (task, delivery) = worker.take_task();
    let silent = Instant::now();
    wire.silence();
    // The new leader's marker reaches the old one first, which leaves it, and everything behind it, to the new one.
    leader.wait_says("another scheduler leads: stepping down");
    let claim = worker.new_claim();
    worker.ask_for(&task, claim);
    worker.hear_granted(claim);
    let answers = silent.elapsed();
    assert_eq!(role(&standby), "leader");
    assert!(answers < TAKEOVER + Duration::from_secs(1), "answers after {answers:?}");
    eprintln!("answers after {answers:?}");
    installation.block_on(delivery.ack()).expect("an acknowledgement");
    wire.heal();
    wait_until("the old one stands by", || role(&leader) == "standby");
    assert_eq!(worker.finish(worker.report(&task, claim)), Verdict::Applied);
    assert_eq!(leader.stop().code, Some(0));
    assert_eq!(standby.stop().code, Some(0));
}

#[test]
fn a_leader_whose_database_is_silent_hears_nobody_until_it_answers() {
    let (database, installation) = (Database::create(), Installation::new());
    let wire = Wire::to(&database.server());
    let home = installation.home().with("database.sql_alchemy_conn", &wire.before(&database.url(), &database.server()));
    home.write("one.yaml", ONE);
    let leader = home.start();
    let mut worker = installation.worker();
    worker.online();
    home.trigger("one");
    let (task, delivery) = worker.take_task();
    wire.silence();
    leader.wait_says("the database does not answer: hearing no workers until it does");
    let claim = worker.new_claim();
    worker.ask_for(&task, claim);
    wire.heal();
    worker.hear_granted(claim);
    installation.block_on(delivery.ack()).expect("an acknowledgement");
    assert_eq!(worker.finish(worker.report(&task, claim)), Verdict::Applied);
    assert_eq!(leader.stop().code, Some(0));
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process number");
    kill_process(pid, signal).expect("a signal");
}

#[test]
fn services_that_are_part_of_the_scheduler_wait_until_they_are_asked_to_stop() {
    let words: [&[&str]; 2] = [&["dag-processor", "--num-runs", "-1"], &["triggerer", "--capacity", "100"]];
    for words in words {
        let said = tempfile::NamedTempFile::new().expect("a file");
        let mut service = Command::new(env!("CARGO_BIN_EXE_updraft"))
            .args(words)
            .stdin(Stdio::null())
            .stderr(said.reopen().expect("the file again"))
            .spawn()
            .expect("it starts");
        let text = || std::fs::read_to_string(said.path()).expect("text");
        wait_until("it says why it does nothing", || text().contains("there is nothing to do here"));
        assert_eq!(service.try_wait().expect("a child"), None, "{}", text());
        signal(service.id(), Signal::TERM);
        let ended = wait_for("it ends when it is asked to", || service.try_wait().expect("a child"));
        assert_eq!(ended.code(), Some(0));
    }
}
