//! Mapped tasks in the whole product: the examples of the repository, and what can go wrong.

use updraft::domain::ids::{MapIndex, TaskId};
use updraft::domain::state::TaskState;

use crate::kit::{FinishedRun, Home};
use crate::operators::servers;

/// The states of a task's instances, by map index.
fn states(run: &FinishedRun, task: &str) -> Vec<(i32, TaskState)> {
    let rows = run.tasks.iter().filter(|row| row.task_id.as_str() == task);
    rows.map(|row| (row.map_index.0, row.state)).collect()
}

fn succeeded(n: i32) -> Vec<(i32, TaskState)> {
    (0..n).map(|n| (n, TaskState::Success)).collect()
}

/// What one instance returned, as JSON.
fn result(home: &Home, run: &FinishedRun, task: &str, map_index: i32) -> String {
    let task = TaskId::new(task).expect("an id");
    home.result_of(&run.row, &task, MapIndex(map_index)).map_or_else(|| "nothing".to_owned(), |value| value.to_string())
}

fn results(home: &Home, run: &FinishedRun, task: &str) -> Vec<String> {
    let count = run.tasks.iter().filter(|row| row.task_id.as_str() == task).count();
    (0..i32::try_from(count).expect("few")).map(|n| result(home, run, task, n)).collect()
}

#[test]
fn the_yaml_example_makes_an_instance_of_whatever_is_found() {
    let home = Home::new();
    home.copy("dags/mapped.yaml");
    let _node = home.start();
    let run = home.trigger_and_wait("mapped");
    run.assert_success();
    assert_eq!(states(&run, "count"), succeeded(3));
    assert_eq!(result(&home, &run, "report", -1), "15");
    let combinations = ["small in red", "small in green", "small in blue", "large in red", "large in green"];
    assert_eq!(results(&home, &run, "convert")[..5], combinations.map(|text| format!("\"{text}\"")));
    assert_eq!(states(&run, "store"), succeeded(3));
    let id = run.row.run_id.as_str();
    for command in ["logs", "state", "failed-deps"] {
        let said = |more: &[&str]| {
            let ended = home.finished(&[&["tasks", command, "mapped", "count", id], more].concat());
            (ended.status.success(), String::from_utf8(ended.stderr).expect("text"))
        };
        let (succeeded, talk) = said(&[]);
        assert!(!succeeded && talk.contains("name one of its elements, --map-index 0 to 2"), "{command}: {talk}");
        assert!(said(&["--map-index", "2"]).0, "{command}");
    }
    assert_eq!(result(&home, &run, "store", 1), "\"checking b.csv is done, storing b.csv\"");
}

#[test]
fn the_python_example_expands_functions_operators_and_a_group() {
    let home = Home::new();
    home.copy("dags/mapped.py");
    let _node = home.start();
    let run = home.trigger_and_wait("mapped_in_python");
    run.assert_success();
    assert_eq!(results(&home, &run, "add"), ["11", "12", "13"]);
    assert_eq!(
        (result(&home, &run, "total", -1), result(&home, &run, "total_of_doubles", -1)),
        ("36".into(), "12".into())
    );
    assert_eq!(results(&home, &run, "per_number.say"), ["\"1 2\"", "\"2 4\"", "\"3 6\""]);
    assert_eq!(results(&home, &run, "greet"), ["\"hello mapped_in_python\"", "\"bye you\""]);
    assert_eq!(results(&home, &run, "echo"), ["\"number 1\"", "\"number 2\"", "\"number 3\""]);
    assert_eq!(results(&home, &run, "pair"), ["\"1a\"", "\"2b\"", "\"3-\""]);
}

/// What one task prints must not become a template of another.
#[test]
fn what_a_task_left_is_never_a_template() {
    let home = Home::new();
    home.write(
        "verbatim.yaml",
        r#"
schedule: null
tasks:
  a:
    python: |
      result = ["echo '{{ run_id }}'"]
  b:
    expand: {bash_command: {xcom: a}}
  c:
    expand: {bash_command: ["echo {{ dag.dag_id }}"]}
"#,
    );
    let _node = home.start();
    let run = home.trigger_and_wait("verbatim");
    run.assert_success();
    assert_eq!(result(&home, &run, "b", 0), "\"{{ run_id }}\"");
    assert_eq!(result(&home, &run, "c", 0), "\"verbatim\"");
}

#[test]
fn slips_are_named_where_they_are_written() {
    let home = Home::new();
    home.write(
        "slips.yaml",
        "schedule: null\ntasks:\n  list: {python: 'result = [1]'}\n  b:\n    bash: echo\n    expand:\n      bash_comand: [echo 1]\n  c:\n    expand: {bash_command: {xcom: lst}}\n",
    );
    home.write(
        "nested.yaml",
        "schedule: null\ntask_groups: {g: {expand: {x: [1]}}}\ntasks:\n  b: {group: g, expand: {bash_command: [echo 1]}}\n",
    );
    let _node = home.start();
    let error = home.wait_import_error("nested.yaml");
    assert!(error.contains("mapping inside a mapped group is not supported"), "{error}");
    home.wait_import_error("slips.yaml");
    let all: String = home.import_errors().iter().map(|error| error.problem.to_string()).collect();
    assert!(all.contains("no argument `bash_comand` to expand") && all.contains("bash_command"), "{all}");
    assert!(all.contains("there is no task `lst`") && all.contains("did you mean `list`?"), "{all}");
}

/// `.partial().expand()` of an operator without Python, and the same in YAML; what comes from a task is no template there either.
#[test]
fn operators_without_python_are_expanded_in_both_languages() {
    let (port, heard) = servers::http();
    let home = Home::new().with_variable("AIRFLOW_CONN_API", &format!("http://127.0.0.1:{port}"));
    home.write(
        "asks.py",
        r#"
from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import DAG, task

@task
def bodies():
    return ["{{ run_id }}", "b"]

with DAG("asks", schedule=None):
    HttpOperator.partial(task_id="written", http_conn_id="api", method="GET").expand(
        endpoint=["ok/of-{{ dag.dag_id }}", "ok/second"])
    HttpOperator.partial(task_id="found", http_conn_id="api", endpoint="ok/found").expand(data=bodies())
"#,
    );
    home.write(
        "asks_too.yaml",
        r#"
schedule: null
tasks:
  bodies: {python: 'result = [{"url": "ok/y", "data": "{{ ds }}"}, {"url": "ok/z"}]'}
  written: {http: {http_conn_id: api, method: GET}, expand: {endpoint: ["ok/in-{{ dag.dag_id }}"], data: [{n: 1}, {n: 2}]}}
  found: {http: {http_conn_id: api}, expand_kwargs: {xcom: bodies}}
"#,
    );
    let _node = home.start();
    for dag in ["asks", "asks_too"] {
        let run = home.trigger_and_wait(dag);
        run.assert_success();
        assert_eq!((states(&run, "written"), states(&run, "found")), (succeeded(2), succeeded(2)), "{dag}");
    }
    let heard = heard.lock().expect("nobody panicked");
    let asked = |path: &str| heard.iter().filter(|request| request.split(' ').nth(1) == Some(path)).count();
    for path in ["/ok/of-asks", "/ok/second", "/ok/in-asks_too?n=1", "/ok/in-asks_too?n=2", "/ok/y", "/ok/z"] {
        assert_eq!(asked(path), 1, "{path} in {heard:#?}");
    }
    for body in ["{{ run_id }}", "b", "{{ ds }}"] {
        assert!(heard.iter().any(|request| request.ends_with(&format!("\n{body}"))), "{body} in {heard:#?}");
    }
}

#[test]
fn an_instance_has_the_name_that_its_task_gives_it_and_is_rendered_as_it_ran() {
    let home = Home::new();
    home.write(
        "named.py",
        r#"
from airflow.operators.bash import BashOperator
from airflow.sdk import DAG, task

@task
def files():
    return ["a.csv", "{{ b }}.csv"]

with DAG("named", schedule=None):
    @task(map_index_template="{{ task.op_kwargs['file'] }} on {{ params.day }}", params={"day": "monday"})
    def load(file):
        return file

    load.expand(file=files())
    BashOperator.partial(task_id="show", map_index_template="{{ mapped.bash_command }}").expand(bash_command=files())
"#,
    );
    let _node = home.start();
    let run = home.trigger_and_wait("named");
    assert_eq!(states(&run, "load"), succeeded(2));
    let id = run.row.run_id.as_str();
    let rows = home.json(&["tasks", "states-for-dag-run", "named", id, "-o", "json"]);
    let label = |task: &str, index: &str| {
        let mut rows = rows.as_array().expect("rows").iter();
        let row = rows.find(|row| row["task_id"] == task && row["map_index"] == index);
        row.unwrap_or_else(|| panic!("{task} {index} in {rows:?}"))["rendered_map_index"].clone()
    };
    assert_eq!(label("load", "0"), "a.csv on monday");
    assert_eq!(label("load", "1"), "{{ b }}.csv on monday");
    assert_eq!(label("show", "0"), "a.csv");
    let shown = home.finished(&["tasks", "render", "named", "show", id, "--map-index", "1"]);
    let shown = String::from_utf8(shown.stdout).expect("text");
    assert!(shown.contains("\n{{ b }}.csv\n"), "{shown}");
}

#[test]
fn what_cannot_be_expanded_over_is_said_at_its_place() {
    let home = Home::new();
    let expand =
        |written: &str| format!("schedule: null\ntasks:\n  a: {{bash: ls}}\n  b:\n    bash: ls\n    {written}\n");
    let table = [
        ("text", "expand: {env: hello}", "to expand over, got: \"hello\""),
        ("number", "expand: {env: 3}", "to expand over, got: 3"),
        ("both", "expand: {env: [{A: '1'}]}\n    env: {A: '2'}", "`env` is both given and expanded"),
        ("none", "expand: {}", "`expand` needs at least one argument"),
        ("kwargs", "expand: {env: [{A: '1'}]}\n    expand_kwargs: [{env: {A: '1'}}]", "do not go together"),
        ("zip", "expand: {env: {zip: 3}}", "expected `zip` to be a list"),
        ("beside", "expand: {env: {xcom: a, kee: x}}", "unknown key `kee` beside `xcom`"),
        ("self", "expand: {env: {xcom: b}}", "`b`"),
    ];
    for (name, written, _) in table {
        home.write(&format!("{name}.yaml"), &expand(written));
    }
    let _node = home.start();
    for (name, _, expected) in table {
        let file = format!("{name}.yaml");
        home.wait_import_error(&file);
        let errors = home.import_errors();
        let of_file: Vec<_> = errors.iter().filter(|error| error.problem.place.file == file).collect();
        let said: String = of_file.iter().map(|error| error.problem.to_string()).collect();
        assert!(said.contains(expected), "{name}: {said}");
        assert!(of_file.iter().all(|error| error.problem.place.line.is_some()), "{name}: {said}");
    }
}
