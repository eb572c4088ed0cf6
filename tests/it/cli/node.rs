//! Commands beside a node that runs: they act on it, and see what it did.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Home;

/// `updraft scheduler` in a home; asked to stop when this value goes.
pub struct Node(Child);

impl Node {
    pub fn start(home: &Home) -> Self {
        let log = std::fs::File::create(home.path().join("node.log")).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_updraft"))
            .arg("scheduler")
            .env("UPDRAFT_HOME", home.path())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts");
        let node = Self(child);
        until("the node listens", || home.path().join("scheduler.sock").exists());
        until("the node has read the DAG files", || home.out(&["dags", "list"]).contains("on_demand"));
        node
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.0.id().cast_signed()) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(30), "in vain: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_run_is_triggered_followed_and_looked_at() {
    let home = Home::new();
    let _node = Node::start(&home);
    let talk = home.failure(1, &["db", "reset", "--yes"]);
    assert!(talk.contains("a node already runs"), "{talk}");
    let talk = home.failure(1, &["scheduler"]);
    assert!(talk.contains("a node already runs"), "{talk}");
    home.out(&["dags", "unpause", "on_demand"]);
    home.out(&["dags", "trigger", "on_demand", "-r", "one", "-l", "2026-01-31"]);
    // Following ends when the task has ended, so nothing else has to be waited for.
    let log = home.out(&["tasks", "logs", "on_demand", "say", "one", "--follow"]);
    assert!(log.contains("the word is hello"), "{log}");
    until("the run ends", || home.out(&["dags", "state", "on_demand", "one"]) == "success\n");
    assert_eq!(home.out(&["tasks", "state", "on_demand", "say", "2026-01-31"]), "success\n");
    let rows = home.json(&["tasks", "states-for-dag-run", "on_demand", "one"]);
    let states: Vec<_> =
        rows.as_array().expect("rows").iter().map(|row| (row["task_id"].as_str(), row["state"].as_str())).collect();
    assert_eq!(states, [(Some("fail_if_asked"), Some("success")), (Some("say"), Some("success"))]);
    assert!(rows[0].get("map_index").is_none(), "no task is mapped: {rows}");
    let talk = home.failure_of_logs(&["tasks", "logs", "on_demand", "say", "one", "--try", "2"]);
    assert!(talk.contains("has no try 2") && talk.contains("its newest try is 1"), "{talk}");
}

#[test]
fn a_log_that_was_removed_is_said_to_be_gone() {
    let home = Home::new();
    let node = Node::start(&home);
    home.out(&["dags", "unpause", "on_demand"]);
    home.out(&["dags", "trigger", "on_demand", "-r", "one"]);
    until("the run ends", || home.out(&["dags", "state", "on_demand", "one"]) == "success\n");
    drop(node);
    assert!(
        home.out(&["tasks", "logs", "on_demand", "say", "one"]).contains("the word is hello"),
        "without a node too"
    );
    std::fs::remove_dir_all(home.path().join("logs")).expect("the logs were there");
    let talk = home.failure_of_logs(&["tasks", "logs", "on_demand", "say", "one"]);
    assert!(talk.contains("there is no log"), "{talk}");
}

impl Home {
    /// The talk names the log before it fails.
    #[track_caller]
    fn failure_of_logs(&self, words: &[&str]) -> String {
        let said = self.run(words);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{words:?}: {}", said.talk);
        said.talk
    }
}

#[test]
fn a_cleared_task_runs_again_after_a_preview() {
    let home = Home::new();
    let _node = Node::start(&home);
    home.out(&["dags", "unpause", "on_demand"]);
    home.out(&["dags", "trigger", "on_demand", "-r", "one", "-l", "2026-01-31"]);
    until("the run ends", || home.out(&["dags", "state", "on_demand", "one"]) == "success\n");
    let mut clear = vec!["tasks", "clear", "on_demand", "-s", "2026-01-31", "-e", "2026-01-31", "-t", "^say$"];
    // Without a terminal to ask on, nothing is cleared.
    let said = home.run(&clear);
    assert_eq!(said.code, Some(1), "{}", said.talk);
    assert!(said.talk.contains("on_demand.say of run one") && said.talk.contains("add --yes"), "{}", said.talk);
    assert_eq!(home.out(&["dags", "state", "on_demand", "one"]), "success\n");
    clear.push("-y");
    home.out(&clear);
    until("it runs a second time", || {
        home.out(&["tasks", "logs", "on_demand", "say", "one", "--try", "1"]).contains("the word is hello")
            && home.out(&["dags", "state", "on_demand", "one"]) == "success\n"
            && home.out(&["tasks", "logs", "on_demand", "say", "one"]).contains("Attempt 2 of 2")
    });
}
