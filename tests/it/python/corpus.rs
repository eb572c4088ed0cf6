//! DAG files in the style of public repositories, each with what has to come of it in its first lines:
//!
//! ```text
//! # expect DAG: TASK=STATE TASK=STATE -> STATE OF THE RUN
//! ```
//!
//! A DAG that is `-> not triggered` is only read.

use std::collections::BTreeMap;

use serde_json::Value;
use updraft::domain::problem::Severity;

use super::{copy_all, here, run_on_a_date};
use crate::kit::{FinishedRun, Home, wait_until};

/// What one line says.
struct Expected {
    dag: String,
    tasks: BTreeMap<String, String>,
    run: Option<String>,
}

fn expected() -> Vec<Expected> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(here("corpus")).expect("the corpus") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|ending| ending != "py") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a text");
        let lines: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# expect ")).map(read).collect();
        assert!(!lines.is_empty(), "{} says nothing of what is expected", path.display());
        found.extend(lines);
    }
    found.sort_by(|a, b| a.dag.cmp(&b.dag));
    found
}

fn read(line: &str) -> Expected {
    let (dag, rest) = line.split_once(": ").expect("a DAG");
    let (tasks, run) = rest.split_once(" -> ").expect("an end");
    let task = |word: &str| word.split_once('=').map(|(task, state)| (task.to_owned(), state.to_owned()));
    let tasks = tasks.split(' ').map(|word| task(word).expect("task=state")).collect();
    Expected { dag: dag.to_owned(), tasks, run: (run != "not triggered").then(|| run.to_owned()) }
}

/// A home with the whole corpus and the database that its SQL wants.
fn home() -> Home {
    let home = Home::new();
    let warehouse = format!("sqlite:///{}", home.in_world("warehouse.db").display().to_string().replace('/', "%2F"));
    let home = home.with_variable("AIRFLOW_CONN_WAREHOUSE", &warehouse);
    copy_all(&here("corpus"), &home, "");
    home
}

fn words<'a>(rows: &'a Value, key: &str) -> Vec<&'a str> {
    rows.as_array().expect("rows").iter().filter_map(|row| row[key].as_str()).collect()
}

#[test]
fn every_file_of_the_corpus_is_read_with_all_its_tasks() {
    let home = home();
    let expected = expected();
    assert_eq!(home.json(&["dags", "list-import-errors", "-o", "json"]), serde_json::json!([]));
    let rows = home.json(&["dags", "list", "-o", "json"]);
    let dags: Vec<&str> = expected.iter().map(|one| one.dag.as_str()).collect();
    assert_eq!(words(&rows, "dag_id"), dags);
    for one in &expected {
        let said = home.finished(&["tasks", "list", &one.dag]);
        let out = String::from_utf8_lossy(&said.stdout).into_owned();
        assert_eq!(out.lines().collect::<Vec<_>>(), one.tasks.keys().collect::<Vec<_>>(), "{}", one.dag);
    }
    let report = home.json(&["dags", "report", "-o", "json"]);
    assert!(words(&report, "errors").iter().all(|count| *count == "0"), "{report}");
    assert!(words(&report, "duration").iter().all(|took| took.parse::<f64>().is_ok_and(|took| took > 0.0)), "{report}");
}

/// The states of all tasks; of a mapped one, the worst that any instance has.
fn states(run: &FinishedRun) -> BTreeMap<String, String> {
    let mut states = BTreeMap::new();
    for task in &run.tasks {
        let state = task.state.to_string();
        let known = states.entry(task.task_id.to_string()).or_insert_with(|| state.clone());
        if state != "success" {
            *known = state;
        }
    }
    states
}

#[test]
fn every_file_of_the_corpus_runs_as_its_author_meant_it() {
    let home = home();
    let _node = home.start();
    let expected = expected();
    let wanted: Vec<&Expected> = expected.iter().filter(|one| one.run.is_some()).collect();
    for one in &wanted {
        home.wait_dag(&one.dag);
    }
    let errors: Vec<_> =
        home.import_errors().into_iter().filter(|error| error.problem.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let mut wrong = Vec::new();
    for one in wanted {
        let run = run_on_a_date(&home, &one.dag);
        let (states, end) = (states(&run), run.row.state.to_string());
        if states != one.tasks || Some(&end) != one.run.as_ref() {
            let differ = one.tasks.iter().filter(|(task, state)| states.get(*task) != Some(state));
            let logs: Vec<_> = differ.map(|(task, _)| format!("{task}: {}", home.log(&run.row, task, 1))).collect();
            wrong.push(format!("{}: {states:?} -> {end}\n{}", one.dag, logs.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // What one file's tasks made another one's DAGs run.
    wait_until("the changed datasets made runs of those that wait for both", || {
        !home.runs("datasets_consumer").is_empty()
    });
}

/// Packages that are not installed: the graph was read, and the log of the task says what would help.
#[test]
fn a_task_of_a_provider_that_is_not_here_names_the_command_that_installs_it() {
    let home = Home::new();
    home.copy("tests/it/python/corpus/providers_heavy.py");
    home.copy("tests/it/python/corpus/metadata_database.py");
    let _node = home.start();
    let run = home.trigger_and_wait("providers_heavy");
    let log = home.log(&run.row, "query", 1);
    assert!(log.contains("-m pip install apache-airflow-task-sdk apache-airflow-providers-google"), "{log}");
    let log = home.log(&run.row, "by_hook", 1);
    assert!(log.contains("S3Hook.read_key") && log.contains("apache-airflow-providers-amazon"), "{log}");
    let run = home.trigger_and_wait("metadata_database");
    let log = home.log(&run.row, "find", 1);
    assert!(log.contains("DagRun.find") && log.contains("updraft dags list-runs"), "{log}");
    let log = home.log(&run.row, "cleanup", 1);
    assert!(log.contains("session.query") && log.contains("updraft db clean"), "{log}");
}
