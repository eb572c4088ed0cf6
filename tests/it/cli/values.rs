//! What a task finds of variables, connections and XComs, and what its log shows of them.

use super::{Home, Said};

const YAML: &str = "\
dag_id: templates
schedule: null
tasks:
  first: {bash: 'echo from-first'}
  second:
    bash: |
      echo \"rows={{ var.value.rows }} deep={{ var.json.limits.a.b }} host={{ conn.db.host }}\"
      echo \"pulled={{ ti.xcom_pull('first') }} none={{ var.value.get('none', 'default') }}\"
      echo \"password={{ conn.db.password }} token={{ var.value.api_token }}\"
      printf tele; sleep 0.3; printf 'port-9\\n'
    depends_on: first
";

const PYTHON: &str = "\
from airflow import DAG
from airflow.models import Connection, Variable
from airflow.hooks.base import BaseHook
from airflow.operators.python import PythonOperator

def work():
    db = BaseHook.get_connection('db')
    assert (db.conn_type, db.port, db.extra_dejson) == ('postgres', 5432, {'sslmode': 'require'}), vars(db)
    assert Connection.get('db').login == 'ann'
    print('rows', Variable.get('rows'), Variable.get('limits', deserialize_json=True)['a'], Variable.get('none', default=1))
    print('password', db.password, 'token', Variable.get('api_token'))
    Variable.get('absent')

with DAG('asks', schedule=None):
    PythonOperator(task_id='work', python_callable=work, retries=0)
";

fn home() -> Home {
    let home = Home::new();
    home.write("templates.yaml", YAML);
    home.write("asks.py", PYTHON);
    home.out(&["variables", "set", "rows", "50"]);
    home.out(&["variables", "set", "limits", "{\"a\": {\"b\": 7}}", "-j"]);
    home.out(&["variables", "set", "api_token", "teleport-9"]);
    home.out(&[
        "connections",
        "add",
        "db",
        "--conn-uri",
        "postgres://ann:hunter%2F2@db.example:5432/f?sslmode=require",
    ]);
    home
}

/// Everything below a folder, as text.
fn logs(folder: &std::path::Path) -> String {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let text = entries.map(|path| match path.is_dir() {
        true => logs(&path),
        false => std::fs::read_to_string(&path).expect("text"),
    });
    text.collect()
}

#[test]
fn templates_find_what_is_kept_and_the_log_hides_what_is_secret() {
    let home = home();
    home.out(&["dags", "test", "templates"]);
    let log = logs(&home.path().join("logs"));
    for expected in [
        "rows=50 deep=7 host=db.example",
        "pulled=from-first none=default",
        "INFO - password=*** token=***\n",
        "INFO - ***\n",
    ] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
    for secret in ["hunter", "teleport"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[test]
fn the_environment_answers_before_the_store_and_a_missing_name_ends_the_task_with_a_hint() {
    let home = home();
    home.write(
        "missing.yaml",
        "dag_id: missing\nschedule: null\ntasks:\n  a: {bash: 'echo {{ var.value.absent }}', retries: 0}\n",
    );
    let test = |name: &str, value: &str| {
        let mut command = home.command();
        Said::from(command.env(name, value).args(["tasks", "test", "missing", "a"]).output().expect("it runs"))
    };
    let said = test("AIRFLOW_VAR_OTHER", "x");
    assert_eq!(said.code, Some(1));
    let all = format!("{}{}", said.out, said.talk);
    assert!(all.contains("updraft variables set absent VALUE"), "{all}");
    let said = test("AIRFLOW_VAR_ABSENT", "given");
    assert_eq!(said.code, Some(0), "{}", said.talk);
    assert!(said.out.contains("INFO - given"), "{}", said.out);
}

#[test]
fn python_asks_while_it_runs_and_its_log_hides_what_is_secret() {
    let home = home();
    let said = home.run(&["tasks", "test", "asks", "work"]);
    assert_eq!(said.code, Some(1), "the last question has no answer: {}", said.out);
    for expected in ["rows 50 {'b': 7} 1", "password *** token ***", "updraft variables set absent VALUE"] {
        assert!(said.out.contains(expected), "{expected}: {}", said.out);
    }
    assert!(!said.out.contains("hunter"), "{}", said.out);
}
