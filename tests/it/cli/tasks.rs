//! `tasks …`, and `dags test`: what runs here and now.

use serde_json::Value;

use super::Home;

#[test]
fn tasks_are_listed_by_name_and_as_a_tree() {
    let home = Home::new();
    assert_eq!(home.out(&["tasks", "list", "leap_year"]), "a\nb\nc\nd\n");
    let expected = "\
<Task(BashOperator): a>
    <Task(BashOperator): b>
        <Task(BashOperator): d>
    <Task(BashOperator): c>
        <Task(BashOperator): d>
";
    assert_eq!(home.out(&["tasks", "list", "leap_year", "--tree"]), expected);
}

#[test]
fn the_tree_of_many_diamonds_ends() {
    let home = Home::new();
    let mut text = "dag_id: diamonds\nschedule: null\ntasks:\n  j0: {bash: 'true'}\n".to_owned();
    for n in 1..=40 {
        let before = n - 1;
        for side in ["l", "r"] {
            text.push_str(&format!("  {side}{n}: {{bash: 'true', depends_on: j{before}}}\n"));
        }
        text.push_str(&format!("  j{n}: {{bash: 'true', depends_on: [l{n}, r{n}]}}\n"));
    }
    home.write("diamonds.yaml", &text);
    let said = home.run(&["tasks", "list", "diamonds", "--tree"]);
    assert_eq!((said.code, said.out.lines().count()), (Some(0), 10_000));
    assert!(said.talk.contains("the tree goes on"), "{}", said.talk);
}

#[test]
fn a_task_that_waits_has_no_state_and_no_log() {
    let home = Home::new();
    home.out(&["dags", "trigger", "on_demand", "-r", "evening"]);
    assert_eq!(home.out(&["tasks", "state", "on_demand", "say", "evening"]), "None\n");
    let talk = home.failure(1, &["tasks", "state", "on_demand", "fail_if_askd", "evening"]);
    assert!(talk.contains("hint: did you mean `fail_if_asked`?"), "{talk}");
    let talk = home.failure(1, &["tasks", "state", "on_demand", "say", "evenig"]);
    assert!(talk.contains("has no run `evenig`") && talk.contains("did you mean `evening`?"), "{talk}");
    let talk = home.failure(1, &["tasks", "logs", "on_demand", "say", "evening"]);
    assert!(talk.contains("has not been tried"), "{talk}");
    home.failure(1, &["tasks", "states-for-dag-run", "on_demand", "two"]);
}

#[test]
fn testing_a_task_writes_its_log_and_records_nothing() {
    let home = Home::new();
    let said = home.run(&["tasks", "test", "on_demand", "say", "2026-01-31", "-t", r#"{"word": "tried"}"#]);
    assert_eq!(said.code, Some(0), "{}", said.talk);
    assert!(said.out.contains("the word is tried"), "{}", said.out);
    assert!(!said.talk.contains("the word is"), "the log is data: {}", said.talk);
    assert!(said.talk.contains("task `say` ended as success"), "{}", said.talk);
    assert_eq!(home.out(&["dags", "list-runs", "on_demand"]), "No data found\n");
    let failed = home.run(&["tasks", "test", "on_demand", "fail_if_asked", "-t", r#"{"word": "bad"}"#]);
    assert_eq!(failed.code, Some(1), "{}", failed.talk);
    assert!(failed.talk.contains("error: task `fail_if_asked` failed"), "{}", failed.talk);
    let talk = home.failure(1, &["tasks", "test", "on_demand", "fail_if_askd"]);
    assert!(talk.contains("did you mean `fail_if_asked`?"), "{talk}");
}

#[test]
fn testing_a_dag_shows_progress_and_ends_with_a_table() {
    let home = Home::new();
    let said = home.run(&["dags", "test", "on_demand", "2026-01-31", "-o", "json"]);
    assert_eq!(said.code, Some(0), "{}", said.talk);
    let rows: Value = serde_json::from_str(&said.out).expect("JSON");
    let states: Vec<_> = rows.as_array().expect("rows").iter().map(|row| (&row["task_id"], &row["state"])).collect();
    assert_eq!(states.len(), 2);
    assert!(states.iter().all(|(_, state)| *state == "success"), "{states:?}");
    for line in ["say  running\n", "say  success\n", "fail_if_asked  success\n"] {
        assert!(said.talk.contains(line), "{}", said.talk);
    }
    assert_eq!(home.out(&["dags", "list-runs", "on_demand"]), "No data found\n", "nothing is recorded");
}

#[test]
fn a_test_that_fails_says_which_task_and_ends_with_one() {
    let home = Home::new();
    let said = home.run(&["dags", "test", "on_demand", "--conf", r#"{"word": "bad"}"#]);
    assert_eq!(said.code, Some(1), "{}", said.talk);
    assert!(said.out.contains("fail_if_asked | failed"), "the table comes all the same: {}", said.out);
    assert!(said.talk.contains("failed: fail_if_asked failed\nhint: the logs are below "), "{}", said.talk);
}

#[test]
fn failed_dependencies_are_said_in_airflows_words() {
    let home = Home::new();
    home.out(&["dags", "trigger", "on_demand", "-r", "evening"]);
    let said = home.out(&["tasks", "failed-deps", "on_demand", "fail_if_asked", "evening"]);
    let expected = "\
Task instance dependencies not met:
Dagrun Running: Task instance's dagrun was not in the 'running' state but in the state 'queued'.
Dag Not Paused: Task's DAG 'on_demand' is paused.
Trigger Rule: Task's trigger rule 'all_success' is not met: say none.
";
    assert_eq!(said, expected);
    let rows = home.json(&["tasks", "failed-deps", "on_demand", "say", "evening"]);
    let names: Vec<&str> = rows.as_array().into_iter().flatten().filter_map(|row| row["dependency"].as_str()).collect();
    assert_eq!(names, ["Dagrun Running", "Dag Not Paused"]);
    let talk = home.failure(1, &["tasks", "failed-deps", "on_demand", "fail_if_askd", "evening"]);
    assert!(talk.contains("did you mean `fail_if_asked`?"), "{talk}");
}

const MAPPED: &str = "\
dag_id: mapped
schedule: null
tasks:
  words: {bash: 'echo one'}
  greet:
    bash: 'echo \"{{ mapped.word }} number {{ ti.map_index }} of {{ expanded_ti_count }}\"'
    expand: {word: [hello, good day]}
  fed: {bash: 'echo {{ mapped.word }}', expand: {word: {xcom: words}}}
";

const MAPPED_IN_PYTHON: &str = "\
from airflow.sdk import DAG, task

@task
def tell(word, other):
    print(f'{word} and {other}')

with DAG('told', schedule=None):
    tell.partial(other='{{ ds }}').expand(word=['a', 'b', 'c'])
";

#[test]
fn one_instance_of_a_mapped_task_is_rendered_and_tried() {
    let home = Home::new();
    home.write("mapped.yaml", MAPPED);
    home.write("told.py", MAPPED_IN_PYTHON);
    let shown = home.out(&["tasks", "render", "mapped", "greet", "2026-01-31", "--map-index", "1"]);
    assert!(shown.contains("echo \"good day number 1 of 2\""), "{shown}");
    let shown = home.out(&["tasks", "render", "told", "tell", "2026-01-31", "--map-index", "2"]);
    assert!(shown.contains("# property: word") && shown.contains("\nc\n") && shown.contains("2026-01-31"), "{shown}");
    let said = home.run(&["tasks", "test", "mapped", "greet", "2026-01-31", "--map-index", "1"]);
    assert_eq!(said.code, Some(0), "{}", said.talk);
    assert!(said.out.contains("good day number 1 of 2") && !said.out.contains("hello"), "{}", said.out);
    let said = home.run(&["tasks", "test", "told", "tell", "2026-01-31", "--map-index", "2"]);
    assert_eq!(said.code, Some(0), "{}", said.talk);
    assert!(said.out.contains("c and 2026-01-31"), "{}", said.out);
}

#[test]
fn an_instance_that_is_not_there_is_said_to_be_so() {
    let home = Home::new();
    home.write("mapped.yaml", MAPPED);
    for (code, words, expected) in [
        (2, &["test", "mapped", "greet"][..], "task `greet` is mapped: say which instance, with --map-index"),
        (2, &["test", "mapped", "words", "--map-index", "0"], "task `words` is not mapped: leave out --map-index"),
        (1, &["test", "mapped", "greet", "--map-index", "2"], "its instances are 0 to 1"),
        (1, &["test", "mapped", "fed", "--map-index", "0"], "expanded over what `words` leaves"),
        (1, &["render", "mapped", "greet", "2026-01-31", "--map-index", "7"], "has no instance 7"),
        (1, &["render", "mapped", "words", "2026-01-31", "--map-index", "0"], "is not mapped"),
        (1, &["render", "mapped", "fed", "2026-01-31", "--map-index", "0"], "it left nothing in this run"),
    ] {
        let talk = home.failure(code, &[&["tasks"], words].concat());
        assert!(talk.contains(expected), "{words:?}: {talk}");
    }
}
