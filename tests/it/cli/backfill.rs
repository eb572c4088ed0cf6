//! `backfill …` and `dags backfill`: runs of past dates.

use serde_json::{Value, json};

use super::Home;
use super::node::Node;

/// A DAG whose schedule lies ahead, and which fails on one day.
const PAST: &str = "\
dag_id: past
schedule: '@daily'
start_date: 2099-01-01
is_paused_upon_creation: false
tasks:
  first: {bash: 'echo {{ ds }} {{ params.word }}'}
  second: {bash: 'test {{ ds }} != 2026-01-02', depends_on: first}
params: {word: plain}
";

fn home() -> Home {
    let home = Home::new();
    home.write("past.yaml", PAST);
    home
}

const CREATE: [&str; 8] =
    ["backfill", "create", "--dag-id", "past", "--from-date", "2026-01-01", "--to-date", "2026-01-04"];

fn column<'a>(rows: &'a Value, name: &str) -> Vec<&'a str> {
    rows.as_array().expect("rows").iter().filter_map(|row| row[name].as_str()).collect()
}

#[test]
fn a_dry_run_lists_the_dates_and_makes_nothing() {
    let home = home();
    home.out(&["dags", "trigger", "past", "-l", "2026-01-03"]);
    let said = home.run(&[&CREATE[..], &["--dry-run", "--run-backwards", "-o", "json"]].concat());
    assert_eq!(said.code, Some(0), "{}", said.talk);
    assert!(said.talk.contains("4 dates, at most 10 runs at once, reprocess none"), "{}", said.talk);
    let rows: Value = serde_json::from_str(&said.out).expect("JSON");
    let days: Vec<&str> = column(&rows, "logical_date").iter().map(|date| &date[..10]).collect();
    assert_eq!(days, ["2026-01-04", "2026-01-03", "2026-01-02", "2026-01-01"]);
    assert_eq!(column(&rows, "action"), ["create", "in flight", "create", "create"]);
    assert_eq!(home.out(&["backfill", "list"]), "No data found\n");
    let of_2 = home.out(&["dags", "backfill", "past", "-s", "2026-01-01", "--dry-run", "-o", "plain"]);
    assert_eq!(of_2.lines().count(), 2, "one date alone is both ends: {of_2}");
}

#[test]
fn without_a_node_a_backfill_is_kept_and_can_be_changed() {
    let home = home();
    let said = home.run(&[&CREATE[..], &["--max-active-runs", "2", "-o", "json"]].concat());
    assert_eq!(said.code, Some(0), "{}", said.talk);
    assert!(said.talk.contains("no node runs: the backfill begins with"), "{}", said.talk);
    assert_eq!(
        serde_json::from_str::<Value>(&said.out).expect("JSON"),
        json!([{"id": "1", "dag_id": "past", "dates": "4"}])
    );
    let listed = |words: &[&str]| home.json(&[&["backfill", "list"], words].concat());
    let row = &listed(&[])[0];
    assert_eq!(
        [&row["state"], &row["dates"], &row["left"], &row["max_active_runs"], &row["reprocess_behavior"]],
        ["running", "4", "4", "2", "none"]
    );
    let talk = home.failure(1, &CREATE);
    assert!(talk.contains("already has an active backfill") && talk.contains("backfill cancel 1"), "{talk}");
    assert_eq!(home.out(&["backfill", "pause", "1"]), "Backfill 1 paused\n");
    assert_eq!(listed(&["--dag-id", "past", "--active"])[0]["state"], "paused");
    assert!(home.run(&["backfill", "pause", "1"]).talk.contains("was paused already"));
    home.out(&["backfill", "unpause", "1"]);
    assert_eq!(home.out(&["backfill", "cancel", "1"]), "Backfill 1 cancelled\n");
    assert_eq!(listed(&[])[0]["state"], "cancelled");
    assert_eq!(listed(&["--active"]), json!([]));
    assert!(home.failure(1, &["backfill", "cancel", "1"]).contains("backfill 1 is over"));
    assert!(home.failure(1, &["backfill", "pause", "7"]).contains("no backfill has the number 7"));
}

#[test]
fn a_backfill_that_cannot_be_is_refused_in_a_sentence() {
    let home = home();
    let with = |dag: &'static str, from: &'static str, to: &'static str| {
        ["backfill", "create", "--dag-id", dag, "--from-date", from, "--to-date", to]
    };
    for (words, expected) in [
        (with("on_demand", "2026-01-01", "2026-01-02"), "only a DAG with a periodic schedule can be backfilled"),
        (with("past", "2026-01-03", "2026-01-02"), "to be no later than the last"),
        (with("past", "2098-01-01", "2098-01-02"), "no interval of that schedule"),
        (with("paste", "2026-01-01", "2026-01-02"), "did you mean `past`?"),
    ] {
        for more in [&[][..], &["--dry-run"]] {
            let talk = home.failure(1, &[&words[..], more].concat());
            assert!(talk.contains(expected), "{words:?}: {talk}");
        }
    }
    for (more, expected) in [
        (&["--reprocess-behavior", "fialed"][..], "possible values: none, failed, completed"),
        (&["--max-active-runs", "0"], "0 is not in 1.."),
        (&["--dag-run-conf", "{"], "it is not JSON"),
    ] {
        let talk = home.failure(2, &[&CREATE[..], more].concat());
        assert!(talk.contains(expected), "{more:?}: {talk}");
    }
    let two = ["dags", "backfill", "past", "-s", "2026-01-01"];
    home.failure(2, &two[..3]);
    let talk = home.failure(2, &[&two[..], &["-t", "first"]].concat());
    assert!(talk.contains("hint: `updraft tasks clear past --task-regex"), "{talk}");
    let talk = home.failure(1, &two);
    assert!(talk.contains("no node runs") && talk.contains("updraft backfill create"), "{talk}");
    home.out(&["dags", "pause", "past"]);
    assert!(home.failure(1, &two).contains("would wait for ever"));
}

#[test]
fn a_backfill_in_the_way_of_airflow_2_waits_and_tells_how_it_ended() {
    let home = home();
    let _node = Node::start(&home);
    let dates = ["dags", "backfill", "past", "-s", "2026-01-01", "-e", "2026-01-04", "-o", "json"];
    let said = home.run(&[&dates[..], &["--conf", r#"{"word": "later"}"#]].concat());
    assert_eq!(said.code, Some(1), "{}", said.talk);
    assert!(said.talk.contains("error: 1 of 4 runs failed"), "{}", said.talk);
    let rows: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(column(&rows, "state"), ["success", "failed", "success", "success"]);
    assert!(column(&rows, "run_id").iter().all(|id| id.starts_with("backfill__2026-01-0")), "{rows}");
    let log = home.out(&["tasks", "logs", "past", "first", "2026-01-03"]);
    assert!(log.contains("2026-01-03 later"), "{log}");

    let again = home.run(&dates);
    assert_eq!((again.code, again.out.trim()), (Some(0), "[]"), "{}", again.talk);
    assert!(again.talk.contains("4 of the dates had a run before"), "{}", again.talk);

    home.write("past.yaml", &PAST.replace("!= 2026-01-02", "!= nothing"));
    let mended = || home.out(&["tasks", "render", "past", "second", "2025-12-31"]).contains("!= nothing");
    super::node::until("the mended file is read", mended);
    let rerun: Value = home.json(&[&dates[..7], &["--rerun-failed-tasks"]].concat());
    assert_eq!((column(&rerun, "state"), rerun.as_array().map(Vec::len)), (vec!["success"], Some(1)));

    let rows = home.json(&["backfill", "list"]);
    assert_eq!(column(&rows, "state"), ["completed"; 3]);
    assert_eq!(column(&rows, "skipped"), ["3", "4", "0"]);
    assert_eq!(column(&rows, "success"), ["1", "0", "3"], "the run that was mended belongs to the last one");
    let manual = home.json(&["dags", "list-runs", "past", "--no-backfill"]);
    assert_eq!(manual, json!([]));
}
