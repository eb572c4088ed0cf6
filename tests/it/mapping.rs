//! Mapped tasks in the whole product: the examples of the repository, and what can go wrong.

use updraft::domain::ids::{MapIndex, TaskId};
use updraft::domain::state::TaskState;

use crate::kit::{FinishedRun, Home};

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
