//! Files that misbehave while they are loaded, all at once, beside one that does not.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use updraft::domain::problem::Severity;

use super::{copy_all, here};
use crate::kit::{Home, wait_for};

/// What each file's error has to say; `tests/dags/hostile` and `tests/it/python/hostile` together.
const SAID: [(&str, &str); 13] = [
    ("loops_forever.py", "loading took longer than 2 s"),
    ("forks_forever.py", "at most 64 processes"),
    ("hoards_a_gigabyte.py", "MemoryError"),
    ("leaves_by_exit.py", "sys.exit(1)"),
    ("broken_syntax.py", "SyntaxError"),
    ("circular_one.py", "two modules import each other"),
    ("kills_itself.py", "it was killed (signal 9)"),
    ("exits_hard.py", "exit code 3"),
    ("loops_and_catches.py", "could not be interrupted"),
    ("crashes.py", "a segmentation fault"),
    ("recurses.py", "RecursionError"),
    ("closes_everything.py", "the interpreter ended"),
    ("writes_garbage.py", "no description of the file"),
];

#[test]
fn hostile_files_are_each_listed_and_none_harms_the_node_or_its_neighbours() {
    let home = Home::new().with("core.dagbag_import_timeout", "2").with("core.dag_discovery_safe_mode", "False");
    copy_all(&here("hostile"), &home, "");
    for name in ["exits_hard", "loops_and_catches", "crashes", "recurses", "closes_everything", "writes_garbage"] {
        home.copy(&format!("tests/dags/hostile/{name}.py"));
    }
    home.write("well_behaved.py", GOOD);
    let begun = Instant::now();
    let _node = home.start();
    home.wait_dag("well_behaved");
    assert!(begun.elapsed() < Duration::from_secs(30), "the others held it up for {:?}", begun.elapsed());
    home.trigger_and_wait("well_behaved").assert_success();

    let errors: BTreeMap<String, String> = wait_for("every hostile file is listed", || {
        let errors = home.import_errors().into_iter().filter(|error| error.problem.severity == Severity::Error);
        let errors: BTreeMap<_, _> = errors.map(|error| (error.file.clone(), error.problem.to_string())).collect();
        let missing = SAID.iter().filter(|(file, _)| !errors.contains_key(*file)).count();
        (missing == 0).then_some(errors)
    });
    for (file, said) in SAID {
        assert!(errors[file].contains(said), "{file}: expected {said:?} in {:?}", errors[file]);
    }
    // What only misbehaves gives its DAGs all the same.
    for dag in ["prints_at_import", "deletes_itself", "starts_threads", "changes_its_world"] {
        wait_for(&format!("{dag} was read"), || home.dag(dag));
    }
    home.trigger_and_wait("prints_at_import").assert_success();
    // A file that deleted itself is gone at the next look, and so is its DAG.
    wait_for("the file that is gone is noticed", || home.dag("deletes_itself").filter(|dag| dag.row.is_stale));
    home.trigger_and_wait("well_behaved").assert_success();
}

const GOOD: &str = "\
from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator

with DAG('well_behaved', schedule=None):
    BashOperator(task_id='shell', bash_command='echo fine') >> PythonOperator(task_id='python', python_callable=lambda: 1)
";
