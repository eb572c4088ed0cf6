//! The same product on Postgres: a database of its own for each test, dropped afterwards.

use std::process::Command;

use crate::kit::{Home, Process, wait_until};

/// A fresh database on the server that the tests may use.
struct Database {
    server: String,
    name: String,
}

impl Database {
    fn create() -> Self {
        let server = std::env::var("UPDRAFT_TEST_POSTGRES");
        let server = server.unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
        let name = format!("updraft_it_{}_{:08x}", std::process::id(), fastrand::u32(..));
        let database = Self { server, name };
        database.execute(&format!("CREATE DATABASE {}", database.name)).unwrap_or_else(|why| {
            panic!("these tests need Postgres; name one with UPDRAFT_TEST_POSTGRES ({}): {why}", database.server)
        });
        database
    }

    fn execute(&self, sql: &str) -> Result<(), String> {
        let psql =
            Command::new("psql").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql]).arg(&self.server).output();
        let psql = psql.map_err(|why| format!("psql: {why}"))?;
        if psql.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&psql.stderr).into_owned()) }
    }

    fn url(&self) -> String {
        let (rest, _) = self.server.rsplit_once('/').expect("a URL ends in a database");
        format!("{rest}/{}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(why) = self.execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)) {
            eprintln!("the database {} is left behind: {why}", self.name);
        }
    }
}

fn home(database: &Database) -> Home {
    Home::new().with("database.sql_alchemy_conn", &database.url())
}

/// The tutorial's shape, with tenths of its seconds.
const SHORT: &str = "\
from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG('short', schedule=None):
    task_1, task_2, task_3, task_4 = [
        BashOperator(task_id=f'task_{n}', bash_command='sleep 0.3') for n in range(1, 5)
    ]
    task_1 >> [task_2, task_3] >> task_4
";

#[test]
fn the_tutorials_shape_runs_side_by_side() {
    let database = Database::create();
    let home = home(&database);
    home.write("short.py", SHORT);
    let node = home.start();
    node.wait_says("Postgres");
    let run = home.trigger_and_wait("short");
    run.assert_success();
    let (two, three) = (run.task("task_2"), run.task("task_3"));
    assert!(two.started_at < three.ended_at && three.started_at < two.ended_at, "they ran at the same time");
    assert!(run.task("task_4").started_at >= two.ended_at.max(three.ended_at));
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn a_killed_node_goes_on_where_it_was() {
    let database = Database::create();
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
