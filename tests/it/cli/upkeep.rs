//! What keeps an installation in order: `dags delete`, `dags report`, `jobs check`, `db clean` and their like.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::node::{Node, until};
use super::{Home, Said};

fn count(rows: &Value) -> usize {
    rows.as_array().map_or(0, Vec::len)
}

#[test]
fn a_deleted_dag_forgets_its_history_and_begins_anew() {
    let home = Home::new();
    home.out(&["dags", "trigger", "on_demand", "-r", "first"]);
    let talk = home.failure_after_question(&["dags", "delete", "on_demand"]);
    assert!(talk.contains("everything that is recorded of DAG `on_demand`"), "{talk}");
    let said = home.run(&["dags", "delete", "on_demand", "--yes"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "DAG on_demand deleted\n"), "{}", said.talk);
    assert!(said.talk.contains("on_demand.yaml still defines it"), "{}", said.talk);
    assert_eq!(home.json(&["dags", "list-runs", "on_demand"]), json!([]));
    home.out(&["dags", "trigger", "on_demand", "-r", "first"]);

    std::fs::remove_file(home.path().join("dags/on_demand.yaml")).expect("a file");
    home.out(&["dags", "delete", "on_demand", "-y"]);
    let talk = home.failure(1, &["dags", "delete", "on_demand", "-y"]);
    assert!(talk.contains("no DAG is named `on_demand`"), "{talk}");
}

#[test]
fn a_dag_that_runs_is_not_deleted() {
    let home = Home::new();
    let door = home.path().join("door");
    home.write(
        "long.yaml",
        &format!(
            "schedule: null\nis_paused_upon_creation: false\ntasks:\n  wait: {{bash: 'until test -e {}; do sleep 0.05; done'}}\n",
            door.display()
        ),
    );
    let _node = Node::start(&home);
    home.out(&["dags", "trigger", "long", "-r", "one"]);
    until("the task runs", || home.out(&["tasks", "state", "long", "wait", "one"]) == "running\n");
    let talk = home.failure_of(&["dags", "delete", "long", "-y"]);
    assert!(talk.contains("task `wait` of run `one` still runs"), "{talk}");
    std::fs::write(door, "").expect("a file");
    until("the run ends", || home.out(&["dags", "state", "long", "one"]) == "success\n");
    home.out(&["dags", "delete", "long", "-y"]);
    assert_eq!(home.json(&["dags", "list-runs", "long"]), json!([]));
}

#[test]
fn a_report_tells_how_long_each_file_takes() {
    let home = Home::new();
    home.write("broken.yaml", "dag_id: broken\nschedule: '@dayly'\n");
    let rows = home.json(&["dags", "report"]);
    assert_eq!(count(&rows), 4);
    let january = rows.as_array().expect("rows").iter().find(|row| row["file"] == "january.yaml").expect("a row");
    assert_eq!(
        (&january["dag_num"], &january["task_num"], &january["dags"]),
        (&json!("1"), &json!("2"), &json!(["january"]))
    );
    assert!(january["duration"].as_str().and_then(|text| text.parse::<f64>().ok()).is_some_and(|took| took > 0.0));
    let broken = rows.as_array().expect("rows").iter().find(|row| row["file"] == "broken.yaml").expect("a row");
    assert_ne!(broken["errors"], "0");
}

#[test]
fn a_health_check_finds_the_scheduler_or_fails() {
    let home = Home::new();
    home.out(&["db", "migrate"]);
    assert!(home.failure(1, &["jobs", "check"]).contains("No alive jobs found."));
    let node = Node::start(&home);
    assert_eq!(home.out(&["jobs", "check"]), "Found one alive job.\n");
    home.out(&["jobs", "check", "--job-type", "SchedulerJob", "--local"]);
    home.out(&["jobs", "check", "--allow-multiple", "--limit", "0"]);
    home.failure(1, &["jobs", "check", "--hostname", "elsewhere"]);
    home.failure(1, &["jobs", "check", "--job-type", "TriggererJob"]);
    home.failure(2, &["jobs", "check", "--allow-multiple"]);
    let jobs = home.json(&["dags", "list-jobs"]);
    assert_eq!((count(&jobs), &jobs[0]["state"], &jobs[0]["job_type"]), (1, &json!("running"), &json!("SchedulerJob")));
    assert_eq!(home.json(&["dags", "list-jobs", "-d", "january"]), json!([]));
    drop(node);
    assert_eq!(home.json(&["dags", "list-jobs", "--state", "running"]), json!([]));
}

#[test]
fn whole_runs_are_cleared_after_a_question() {
    let home = Home::new();
    let _node = Node::start(&home);
    home.out(&["dags", "unpause", "on_demand"]);
    let ended = |run: &str, state: &str| home.out(&["dags", "state", "on_demand", run]).starts_with(state);
    home.out(&["dags", "trigger", "on_demand", "-r", "good", "-l", "2026-01-01"]);
    home.out(&["dags", "trigger", "on_demand", "-r", "bad", "-l", "2026-01-02", "-c", r#"{"word": "bad"}"#]);
    until("both end", || ended("good", "success") && ended("bad", "failed"));
    let asked = home.run(&["dags", "clear", "on_demand", "--run-id", "good"]);
    assert!(asked.code == Some(1) && asked.talk.contains("clear these 2 task instances"), "{}", asked.talk);
    let talk = home.failure(1, &["dags", "clear", "on_demand", "--run-id", "goood", "-y"]);
    assert!(talk.contains("did you mean `good`?"), "{talk}");
    home.failure(2, &["dags", "clear", "on_demand", "--run-id", "good", "-s", "2026-01-01"]);
    let touched = |words: &[&str]| -> Vec<String> {
        let rows = home.json(&[&["dags", "clear", "on_demand", "-y"], words].concat());
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let name = |row: &Value| format!("{}.{}", text(&row["run_id"]), text(&row["task_id"]));
        rows.as_array().expect("rows").iter().map(name).collect()
    };
    assert_eq!(touched(&["--only-failed"]), ["bad.fail_if_asked"]);
    until("it fails again", || ended("bad", "failed"));
    assert_eq!(touched(&["-s", "2026-01-01", "-e", "2026-01-01"]), ["good.say", "good.fail_if_asked"]);
    until("it succeeds again", || ended("good", "success"));
    assert_eq!(touched(&["--run-id", "2026-01-02"]).len(), 2);
    until("it fails again", || ended("bad", "failed"));
}

#[test]
fn reserializing_says_how_the_dags_stand() {
    let home = Home::new();
    home.write("broken.yaml", "tasks: [");
    let said = home.run(&["dags", "reserialize"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""));
    assert!(said.talk.contains("3 DAGs are as their files have them now"), "{}", said.talk);
    assert!(said.talk.contains("`updraft dags list-import-errors`"), "{}", said.talk);
    home.failure(2, &["dags", "reserialize", "--clear-only"]);
}

#[test]
fn cleaning_takes_what_ended_long_ago_and_nothing_else() {
    let home = Home::new();
    {
        let _node = Node::start(&home);
        home.out(&["dags", "unpause", "on_demand"]);
        for run in ["one", "two", "three"] {
            home.out(&["dags", "trigger", "on_demand", "-r", run]);
            until("the run ends", || home.out(&["dags", "state", "on_demand", run]) == "success\n");
        }
    }
    home.out(&["dags", "pause", "on_demand"]);
    home.out(&["dags", "trigger", "on_demand", "-r", "waits"]);
    let talk = home.failure(2, &["db", "clean", "--clean-before-timestamp", "2099-01-01"]);
    assert!(talk.contains("lies in the future"), "{talk}");
    home.failure(2, &["db", "clean", "--clean-before-timestamp", "2026-01-01", "--tables", "dagrun"]);
    let nothing = home.run(&["db", "clean", "--clean-before-timestamp", "2020-01-01"]);
    assert!(nothing.code == Some(0) && nothing.talk.contains("Nothing was changed"), "{}", nothing.talk);

    let now = chrono::Utc::now().to_rfc3339();
    let clean = ["db", "clean", "--clean-before-timestamp", &now];
    let planned = home.json(&[&clean[..], &["--dry-run", "-t", "dag_run"]].concat());
    let rows: Vec<(&str, &str)> = planned
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (row["table"].as_str().expect("text"), row["rows"].as_str().expect("text")))
        .collect();
    let tables: Vec<&str> = rows.iter().map(|(table, _)| *table).collect();
    assert_eq!(tables, ["dag_run", "task_instance", "task_instance_history", "xcom"], "each with what hangs on it");
    assert_eq!(rows[..3], [("dag_run", "3"), ("task_instance", "6"), ("task_instance_history", "6")]);
    let xcoms = home.run(&[&clean[..], &["-t", "xcom", "--skip-archive", "-y"]].concat());
    assert_eq!(xcoms.code, Some(0), "{}", xcoms.talk);
    assert_eq!(count(&home.json(&["dags", "list-runs", "on_demand"])), 4);
    let asked = home.run(&clean);
    assert!(asked.code == Some(1) && asked.talk.contains("--yes"), "{}", asked.talk);
    let done = home.run(&[&clean[..], &["--yes"]].concat());
    assert!(done.code == Some(0) && done.talk.contains("3 runs were cleaned"), "{}", done.talk);
    let left = home.json(&["dags", "list-runs", "on_demand"]);
    assert_eq!((count(&left), &left[0]["run_id"]), (1, &json!("waits")), "what is unfinished stays");
}

#[test]
fn migrations_are_waited_for() {
    let home = Home::new();
    home.failure(1, &["db", "check-migrations", "-t", "0"]);
    home.out(&["db", "migrate"]);
    assert_eq!(home.out(&["db", "check-migrations"]), "All migrations are applied.\n");
}

#[test]
fn a_shell_is_the_databases_own_client() {
    let home = Home::new();
    let tools = home.path().join("tools");
    std::fs::create_dir(&tools).expect("a folder");
    let shell = |path: &std::path::Path| {
        Said::from(home.command().env("PATH", path).args(["db", "shell"]).output().expect("it runs"))
    };
    let missing = shell(&tools);
    assert_eq!(missing.code, Some(1));
    assert!(missing.talk.contains("hint: install sqlite3"), "{}", missing.talk);
    let client = tools.join("sqlite3");
    std::fs::write(&client, "#!/bin/sh\necho \"client of $1\"\n").expect("a file");
    std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o755)).expect("a program");
    let database = home.path().join("updraft.db");
    assert_eq!(shell(&tools).out, format!("client of {}\n", database.display()));
}

#[test]
fn templates_are_rendered_for_a_run_and_for_a_date_without_one() {
    let home = Home::new();
    home.write(
        "shown.yaml",
        "schedule: null\nparams: {word: plain}\ntasks:\n  say: {bash: 'echo {{ ds }} {{ params.word }} {{ var.value.token }}', env: {A: '{{ run_id }}'}}\n  bad: {bash: 'echo {{ nobody }}'}\n",
    );
    home.out(&["variables", "set", "token", "s3cret-value"]);
    home.out(&["dags", "trigger", "shown", "-r", "one", "-l", "2026-01-31", "-c", r#"{"word": "loud"}"#]);
    let text = home.out(&["tasks", "render", "shown", "say", "one"]);
    assert!(text.contains("# property: bash_command\n"), "{text}");
    assert!(text.contains("\necho 2026-01-31 loud ***\n"), "a secret stays one: {text}");
    assert!(text.contains("# property: env\n") && text.contains("one"), "{text}");
    let text = home.out(&["tasks", "render", "shown", "say", "2025-05-05"]);
    assert!(text.contains("\necho 2025-05-05 plain ***\n"), "{text}");
    let talk = home.failure(1, &["tasks", "render", "shown", "bad", "one"]);
    assert!(talk.contains("nobody"), "{talk}");
    assert!(home.failure(1, &["tasks", "render", "shown", "sayy", "one"]).contains("did you mean `say`?"));
    assert!(home.failure(1, &["tasks", "render", "shown", "say", "oen"]).contains("has no run `oen`"));
}

impl Home {
    /// What a command said that wrote no data and failed, whatever it said before.
    #[track_caller]
    fn failure_of(&self, words: &[&str]) -> String {
        let said = self.run(words);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{words:?}: {}", said.talk);
        assert!(said.talk.contains("error: "), "{words:?}: {}", said.talk);
        said.talk
    }
}
