//! The same product on MySQL or MariaDB: a database of its own for each test, dropped afterwards.
//!
//! The server is `UPDRAFT_TEST_MYSQL`, a URL, by default a local one that trusts `root`; `none` leaves these out.

use std::process::{Command, Output};

use updraft::config::{DatabaseUrl, Server};

use crate::kit::{Home, Process, wait_until};

/// A fresh database on the server that the tests may use.
struct Database {
    server: Server,
    name: String,
}

impl Database {
    fn create() -> Option<Self> {
        let url = std::env::var("UPDRAFT_TEST_MYSQL").unwrap_or_else(|_| "mysql://root@127.0.0.1:3306/".to_owned());
        if url == "none" {
            return None;
        }
        let DatabaseUrl::Mysql(server) = DatabaseUrl::parse(&url).expect("a URL") else { panic!("no MySQL: {url}") };
        let name = format!("updraft_it_{}_{:08x}", std::process::id(), fastrand::u32(..));
        let database = Self { server, name };
        // As people compare, not byte by byte: that is for our tables to say.
        let made = format!("CREATE DATABASE {} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", database.name);
        database
            .execute(&made)
            .unwrap_or_else(|why| panic!("these tests need MySQL or MariaDB; name one with UPDRAFT_TEST_MYSQL: {why}"));
        Some(database)
    }

    fn execute(&self, sql: &str) -> Result<String, String> {
        let mut client = Command::new("mysql");
        client.args(["--no-defaults", "--batch", "--skip-column-names", "--execute", sql]);
        let port = self.server.port.map(|port| port.to_string());
        let given = [("--host", &self.server.host), ("--port", &port), ("--user", &self.server.user)];
        for (flag, value) in given {
            client.args(value.iter().flat_map(|value| [flag, value]));
        }
        if let Some(password) = &self.server.password {
            client.env("MYSQL_PWD", password.reveal());
        }
        let done = client.output().map_err(|why| format!("mysql: {why}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
    }

    /// As Airflow spells it.
    fn url(&self) -> String {
        let password = self.server.password.as_ref().map_or_else(String::new, |text| format!(":{}", text.reveal()));
        let user = self.server.user.as_deref().unwrap_or("root");
        let host = self.server.host.as_deref().unwrap_or("localhost");
        format!("mysql+mysqldb://{user}{password}@{host}:{}/{}", self.server.port.unwrap_or(3306), self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(why) = self.execute(&format!("DROP DATABASE {}", self.name)) {
            eprintln!("the database {} is left behind: {why}", self.name);
        }
    }
}

fn home(database: &Database) -> Home {
    Home::new().with("database.sql_alchemy_conn", &database.url())
}

#[track_caller]
fn done(home: &Home, words: &[&str]) -> String {
    let Output { status, stdout, stderr } = home.finished(words);
    assert!(status.success(), "{words:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8_lossy(&stdout).into_owned()
}

#[track_caller]
fn failed(home: &Home, words: &[&str]) -> String {
    let Output { status, stderr, .. } = home.finished(words);
    assert_eq!(status.code(), Some(1), "{words:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8_lossy(&stderr).into_owned()
}

#[test]
fn the_commands_of_the_database_do_what_they_say() {
    let Some(database) = Database::create() else { return };
    let home = home(&database);
    assert!(failed(&home, &["db", "check"]).contains("updraft db migrate"));
    failed(&home, &["db", "check-migrations", "-t", "0"]);
    let said = done(&home, &["db", "init"]);
    assert!(said.starts_with("DB: mysql://") && said.ends_with("\nInitialization done\n"), "{said}");
    assert_eq!(done(&home, &["db", "migrate"]), "Database migration done!\n");
    assert_eq!(done(&home, &["db", "check"]), "Connection successful.\n");
    assert_eq!(done(&home, &["db", "check-migrations"]), "All migrations are applied.\n");

    home.write("one.yaml", "schedule: null\ntasks:\n  only: {bash: 'true'}\n");
    done(&home, &["dags", "trigger", "one", "-r", "first"]);
    let runs = || home.json(&["dags", "list-runs", "one", "-o", "json"]).as_array().expect("rows").len();
    assert_eq!(runs(), 1);
    let clean = ["db", "clean", "--clean-before-timestamp", "2020-01-01", "--yes"];
    done(&home, &clean);
    assert_eq!(done(&home, &["db", "reset", "--yes"]), "Database reset done!\n");
    assert_eq!(runs(), 0);
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo 'SELECT COUNT(*) + 41 FROM leader' | \"$0\" db shell", env!("CARGO_BIN_EXE_updraft")]);
    let shell = shell.env("UPDRAFT_HOME", home.path()).env("UPDRAFT__DATABASE__SQL_ALCHEMY_CONN", database.url());
    let answered = shell.output().expect("a shell");
    let shown = String::from_utf8_lossy(&answered.stdout).into_owned();
    assert!(shown.ends_with("42\n"), "{shown} {}", String::from_utf8_lossy(&answered.stderr));
}

#[test]
fn tasks_run_side_by_side_and_commands_of_others_are_heard() {
    let Some(database) = Database::create() else { return };
    let home = home(&database);
    let both = home.in_world("both");
    // Each waits until the other has come.
    let command = format!("echo x >> '{0}'; until [ $(wc -l < '{0}') -ge 2 ]; do sleep 0.02; done", both.display());
    home.write(
        "fork.yaml",
        &format!(
            "schedule: null\ndefault_args: {{bash: {command:?}}}\ntasks:\n  first: {{bash: 'true'}}\n  \
             a: {{depends_on: first}}\n  b: {{depends_on: first}}\n  last: {{bash: 'true', depends_on: [a, b]}}\n"
        ),
    );
    let node = home.start();
    node.wait_says("MySQL");
    let run = home.trigger_and_wait("fork");
    run.assert_success();
    assert!(run.task("last").started_at >= run.task("a").ended_at.max(run.task("b").ended_at));
    // Another process asks by a row and a nudge.
    done(&home, &["pools", "set", "narrow", "1", "for one"]);
    let pools = home.json(&["pools", "list", "-o", "json"]);
    assert!(pools.to_string().contains("narrow"), "{pools}");
    let held = database.execute(&format!("SELECT epoch FROM {}.leader", database.name)).expect("the leader's row");
    assert_eq!(held.trim(), "1", "the node led all along");
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn a_killed_node_goes_on_where_it_was() {
    let Some(database) = Database::create() else { return };
    let home = home(&database);
    let (starts, gate) = (home.counter("starts"), home.in_world("gate"));
    let command = format!(
        "{}; until [ -e '{}' ]; do sleep 0.02; done",
        starts.shell("$AIRFLOW_CTX_TASK_ID $AIRFLOW_CTX_TRY_NUMBER"),
        gate.display()
    );
    home.write(
        "wide.yaml",
        &format!(
            "schedule: null\ndefault_args: {{bash: {command:?}}}\ntasks:\n  first: {{bash: 'true'}}\n  \
         a: {{depends_on: first}}\n  b: {{depends_on: first}}\n  last: {{depends_on: [a, b]}}\n"
        ),
    );
    let node = home.start();
    let run = home.trigger("wide");
    wait_until("two tasks run", || starts.count() == 2);
    let mark = node.mark();
    node.kill();

    let node = home.start();
    wait_until("both are tried again", || starts.count() == 4);
    assert!(Process::marked(&mark).is_empty(), "{:?}", Process::marked(&mark));
    std::fs::write(&gate, "").expect("the gate opens");
    let run = home.wait_run("wide", &run.run_id);
    run.assert_success();
    assert_eq!(starts.repeated(), Vec::<String>::new());
    assert_eq!(run.task("first").try_number.0, 1, "what had ended is not run again");
    assert_eq!(run.task("a").try_number.0, 2);
    assert_eq!(node.stop().code, Some(0));
}
