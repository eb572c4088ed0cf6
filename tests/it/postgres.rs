//! The same product on Postgres: a database of its own for each test, dropped afterwards.

use crate::kit::{Database, Home, Process, wait_until};

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
