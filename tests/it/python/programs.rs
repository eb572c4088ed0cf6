//! A DAG file that a person runs as a program, and what else a file may ask of its surroundings.

use std::process::{Command, Output};

use updraft::domain::state::{RunState, TaskState};

use super::run_on_a_date;
use crate::kit::Home;

/// `python3 FILE WORDS`, as a person types it beside this home.
fn by_hand(home: &Home, file: &str, words: &[&str]) -> Output {
    let mut command = Command::new("python3");
    for (name, value) in home.command().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .env("PYTHONPATH", home.path().join("cache/python/updraft_bridge/by_hand"))
        .env("UPDRAFT_PROGRAM", env!("CARGO_BIN_EXE_updraft"))
        .arg(home.dags().join(file))
        .args(words);
    command.output().expect("python3 starts")
}

const BY_HAND: &str = "\
from datetime import datetime

from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator


def greet(params, ds):
    assert (params['word'], ds) == ('world', '2024-05-01')


with DAG('by_hand', schedule=None, start_date=datetime(2024, 1, 1), params={'word': 'nobody'}) as dag:
    BashOperator(task_id='shell', bash_command='echo from the shell') >> PythonOperator(task_id='greet', python_callable=greet)

if __name__ == '__main__':
    import sys

    if sys.argv[1:]:
        dag.cli()
    dag.test(execution_date=datetime(2024, 5, 1), run_conf={'word': 'world'})
    print('after the test')
";

#[test]
fn a_file_that_is_run_as_a_program_tests_its_dag_and_passes_commands_on() {
    let home = Home::new();
    home.write("by_hand.py", BY_HAND);
    assert!(home.finished(&["dags", "list"]).status.success(), "it unpacks the package");
    let said = by_hand(&home, "by_hand.py", &["tasks", "list"]);
    assert_eq!(String::from_utf8_lossy(&said.stdout), "greet\nshell\n", "{}", String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success());

    let said = by_hand(&home, "by_hand.py", &[]);
    let (out, talk) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{out}{talk}");
    assert!(out.lines().any(|line| line.starts_with("greet") && line.contains("| success |")), "{out}{talk}");
    assert!(out.ends_with("after the test\n"), "{out}");
}

#[test]
fn a_test_at_the_top_level_of_a_file_is_refused_while_the_file_is_read() {
    let home = Home::new();
    home.write("unguarded.py", &BY_HAND.replace("if __name__ == '__main__':", "if True:"));
    let _node = home.start();
    let problem = home.wait_import_error("unguarded.py");
    assert!(problem.contains("if __name__ == \"__main__\":"), "{problem}");
}

const OWN_FUNCTIONS: &str = "\
from datetime import datetime

from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator

with DAG('own_functions', schedule=None, start_date=datetime(2024, 1, 1), default_args={'retries': 0},
         user_defined_macros={'double': lambda n: 2 * n}, user_defined_filters={'shout': lambda text: text.upper()}):
    BashOperator(task_id='shell', bash_command=\"echo {{ 'a' | shout }}{{ double(21) }} {{ params.get('x', 1) }}\")
    PythonOperator(task_id='python', python_callable=str, op_args=['{{ ds_nodash | shout }}-{{ double(4) }}'])
    BashOperator(task_id='without', bash_command='echo {{ dag.dag_id }}')
";

/// Functions in templates are Python's own: with jinja2 they work, without it the task says what to install.
#[test]
fn functions_that_a_dag_gives_to_its_templates_are_called_where_jinja2_is_installed() {
    let home = Home::new();
    home.write("own_functions.py", OWN_FUNCTIONS);
    let _node = home.start();
    let run = run_on_a_date(&home, "own_functions");
    assert_eq!(run.task("without").state, TaskState::Success);
    let has_jinja2 = Command::new("python3").args(["-c", "import jinja2"]).output().expect("python3").status.success();
    if has_jinja2 {
        run.assert_success();
        assert_eq!(home.xcom(&run.row, "shell", "return_value"), "A42 1");
        assert!(home.xcom(&run.row, "python", "return_value").as_str().is_some_and(|text| text.ends_with("-8")));
    } else {
        assert_eq!(run.row.state, RunState::Failed);
        let log = home.log(&run.row, "shell", 1);
        assert!(log.contains("-m pip install jinja2"), "{log}");
    }
}
