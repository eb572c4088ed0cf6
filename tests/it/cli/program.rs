//! The program as a whole: help, version, exit codes, streams.

use std::io::Read;
use std::process::Stdio;

use super::Home;

const COMMANDS: &[&str] = &[
    "standalone",
    "scheduler",
    "dag-processor",
    "triggerer",
    "webserver",
    "api-server",
    "worker",
    "celery worker",
    "celery flower",
    "celery stop",
    "celery list-workers",
    "celery shutdown-worker",
    "celery shutdown-all-workers",
    "celery add-queue",
    "celery remove-queue",
    "celery remove-all-queues",
    "celery resize",
    "version",
    "info",
    "cheat-sheet",
    "completion",
    "db init",
    "db migrate",
    "db upgrade",
    "db check",
    "db reset",
    "db check-migrations",
    "db shell",
    "db clean",
    "config get-value",
    "config list",
    "dags list",
    "dags list-import-errors",
    "dags list-runs",
    "dags details",
    "dags show",
    "dags pause",
    "dags unpause",
    "dags trigger",
    "dags state",
    "dags test",
    "dags explain",
    "dags next-execution",
    "dags schema",
    "dags backfill",
    "dags clear",
    "dags reserialize",
    "dags delete",
    "dags report",
    "dags list-jobs",
    "backfill create",
    "backfill list",
    "backfill pause",
    "backfill unpause",
    "backfill cancel",
    "jobs check",
    "tasks clear",
    "tasks failed-deps",
    "tasks explain",
    "tasks list",
    "tasks test",
    "tasks state",
    "tasks states-for-dag-run",
    "tasks logs",
    "tasks render",
    "assets list",
    "assets details",
    "assets materialize",
    "notifications list",
    "users list",
    "users create",
    "users delete",
    "users add-role",
    "users remove-role",
    "users reset-password",
    "users export",
    "users import",
    "roles list",
    "pools list",
    "pools get",
    "pools set",
    "pools delete",
    "pools import",
    "pools export",
    "variables list",
    "variables get",
    "variables set",
    "variables delete",
    "variables import",
    "variables export",
    "connections list",
    "connections get",
    "connections add",
    "connections delete",
    "connections import",
    "connections export",
    "connections test",
    "rotate-fernet-key",
    "simulate",
];

#[test]
fn every_command_has_help_with_an_example() {
    let home = Home::new();
    for command in COMMANDS {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = home.out(&words);
        assert!(help.contains("Example"), "{command}: {help}");
        assert!(help.contains("Usage: updraft"), "{command}: {help}");
    }
    assert!(home.out(&["--help"]).contains("updraft standalone"));
}

#[test]
fn the_version_stands_alone_and_needs_no_home() {
    let home = Home::new();
    assert_eq!(home.out(&["version"]), concat!(env!("CARGO_PKG_VERSION"), "\n"));
    let output = home.command().env_clear().arg("version").output().expect("it runs");
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(!home.path().join("updraft.db").exists(), "nothing was opened");
}

#[test]
fn what_is_misspelt_is_a_usage_error_that_says_what_was_meant() {
    let home = Home::new();
    let talk = home.failure(2, &["dag", "list"]);
    assert!(talk.contains("'dags'"), "{talk}");
    let talk = home.failure(2, &["tasks", "lst"]);
    assert!(talk.contains("'list'"), "{talk}");
    let talk = home.failure(2, &["providers"]);
    assert!(talk.contains("hint: Python operators"), "{talk}");
    let talk = home.failure(2, &["dags", "list", "-o", "csv"]);
    assert!(talk.contains("table, json, yaml, plain"), "{talk}");
    home.failure(2, &["dags", "list-runs"]);
    home.failure(2, &["dags", "list", "--columns", "dag_id,colour"]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = Home::new();
    for words in [&["dags", "schema"][..], &["completion", "bash"], &["config", "list", "-d"], &["cheat-sheet"]] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_updraft"))
            .args(words)
            .env("UPDRAFT_HOME", home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        drop(child.stdout.take());
        let mut talk = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut talk).expect("UTF-8");
        assert_eq!((child.wait().expect("it ends").code(), talk.as_str()), (Some(0), ""), "{words:?}");
    }
}

#[test]
fn the_cheat_sheet_knows_every_command() {
    let home = Home::new();
    let sheet = home.out(&["cheat-sheet"]);
    for command in COMMANDS.iter().filter(|command| **command != "db upgrade") {
        assert!(sheet.contains(&format!("updraft {command}")), "{command} is missing:\n{sheet}");
    }
    let rows = home.json(&["cheat-sheet"]);
    assert_eq!(rows.as_array().expect("rows").len(), COMMANDS.len() - 1);
}

#[test]
fn completions_are_scripts_for_their_shell() {
    let home = Home::new();
    assert!(home.out(&["completion", "bash"]).contains("complete -F _updraft"));
    assert!(home.out(&["completion", "zsh"]).starts_with("#compdef updraft"));
    assert!(home.out(&["completion", "fish"]).contains("complete -c updraft"));
    home.failure(2, &["completion", "cmd.com"]);
}

#[test]
fn info_shows_what_there_is_without_passwords() {
    let home = Home::new();
    let output = home
        .command()
        .env("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql+psycopg2://ann:hunter2@db.example/flows")
        .arg("info")
        .output()
        .expect("it runs");
    let out = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "the database is named and not opened");
    assert!(!out.contains("hunter2"), "{out}");
    assert!(out.contains("ann:***@db.example/flows"), "{out}");
    for word in ["Updraft\n", "System info\n", "Tools info\n", "Paths info\n", "executor", "LocalExecutor", "bash"] {
        assert!(out.contains(word), "{word} is missing:\n{out}");
    }
    let rows = home.json(&["info"]);
    let keys: Vec<_> = rows.as_array().expect("rows").iter().filter_map(|row| row["key"].as_str()).collect();
    assert!(keys.contains(&"dags_folder") && keys.contains(&"python"), "{keys:?}");
}

#[test]
fn info_can_be_shown_to_others() {
    let home = Home::new();
    let output = home.command().env("HOME", home.path()).args(["info", "--anonymize"]).output().expect("it runs");
    let out = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(out.contains("${HOME}/dags") && !out.contains(&*home.path().to_string_lossy()), "{out}");
    assert!(out.contains("${USER}"), "{out}");
}
