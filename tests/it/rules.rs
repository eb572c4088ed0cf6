//! What skips, what waits for the past and what tidies up, with the real program: in YAML and in Python.

use updraft::domain::state::{RunState, TaskState};

use crate::kit::{FinishedRun, Home, wait_for};

const WAYS: &str = r#"
schedule: null
params: {rows: 5000}
tasks:
  measure: {bash: "echo {{ params.rows }}"}
  choose:
    depends_on: measure
    branch: "{{ 'big' if ti.xcom_pull('measure') | int > 1000 else 'small' }}"
  small: {bash: echo small, depends_on: choose}
  big: {bash: echo big, depends_on: choose}
  join: {empty: true, depends_on: [small, big], trigger_rule: none_failed_min_one_success}
  stop: {depends_on: measure, short_circuit: "params.rows > 1000000"}
  never: {bash: echo never, depends_on: stop}
  always_after: {bash: echo never, depends_on: never, trigger_rule: all_done}
  lost: {depends_on: measure, branch: "'bigg'", retries: 0}
  python_way: {depends_on: measure, operator: BranchPythonOperator, python: "result = ['followed']"}
  followed: {empty: true, depends_on: python_way}
  left: {empty: true, depends_on: python_way}
  latest: {depends_on: measure, latest_only: true}
  after_latest: {empty: true, depends_on: latest}
"#;

fn states(run: &FinishedRun, names: &[&str]) -> Vec<TaskState> {
    names.iter().map(|name| run.task(name).state).collect()
}

#[test]
fn yaml_branches_and_short_circuits_skip_without_python_or_with_it() {
    use TaskState::{Failed, Skipped, Success};
    let home = Home::new();
    home.write("ways.yaml", WAYS);
    let node = home.start();
    let run = home.trigger_and_wait("ways");
    let names = ["choose", "small", "big", "join", "stop", "never", "always_after"];
    assert_eq!(states(&run, &names), [Success, Skipped, Success, Success, Success, Skipped, Skipped]);
    assert_eq!(states(&run, &["python_way", "followed", "left"]), [Success, Success, Skipped]);
    assert_eq!(states(&run, &["latest", "after_latest", "lost"]), [Success, Success, Failed]);
    assert_eq!(run.row.state, RunState::Failed);
    let log = home.log(&run.row, "choose", 1);
    assert!(log.contains("Branch into \"big\""), "{log}");
    assert_eq!(run.task("choose").pid, None, "no process was needed");
    let log = home.log(&run.row, "lost", 1);
    assert!(log.contains("`bigg` is no task of DAG `ways`: did you mean `big`?"), "{log}");
    assert_eq!(node.stop().code, Some(0));
}

const SCRIPTED: &str = r#"
from airflow.sdk import DAG, setup, task, teardown
from airflow.operators.bash import BashOperator
from airflow.operators.python import BranchPythonOperator, ShortCircuitOperator

with DAG("scripted", schedule=None):
    branch = BranchPythonOperator(task_id="branch", python_callable=lambda: ["x"])
    branch >> [BashOperator(task_id="x", bash_command="true"), BashOperator(task_id="y", bash_command="true")]

    @task.short_circuit
    def gate():
        return False

    gate() >> BashOperator(task_id="behind", bash_command="true", trigger_rule="all_done")

    @task.branch(retries=0)
    def astray():
        return "no_such_task"

    astray() >> BashOperator(task_id="nowhere", bash_command="true")

    @setup
    def create():
        print("created")

    @teardown
    def delete():
        raise RuntimeError("the teardown fails, and nobody minds")

    made = create()
    with delete().as_teardown(setups=made):
        BashOperator(task_id="work", bash_command="true")
"#;

#[test]
fn python_branches_setups_and_teardowns_mean_the_same() {
    use TaskState::{Failed, Skipped, Success, UpstreamFailed};
    let home = Home::new();
    home.write("scripted.py", SCRIPTED);
    let _node = home.start();
    let run = home.trigger_and_wait("scripted");
    assert_eq!(states(&run, &["branch", "x", "y"]), [Success, Success, Skipped]);
    assert_eq!(states(&run, &["gate", "behind"]), [Success, Skipped]);
    assert_eq!(states(&run, &["astray", "nowhere"]), [Failed, UpstreamFailed]);
    assert_eq!(states(&run, &["create", "work", "delete"]), [Success, Success, Failed]);
    let log = home.log(&run.row, "astray", 1);
    assert!(log.contains("Invalid tasks found: {'no_such_task'}"), "{log}");
}

/// Ten hours are due at once; each waits for the one before, across a restart.
#[test]
fn runs_that_wait_for_each_other_go_on_after_the_node_was_killed() {
    let home = Home::new();
    let ran = home.counter("ran");
    home.write(
        "past.yaml",
        &format!(
            "schedule: 0 * * * *\nstart_date: 2026-01-01T00:00\nend_date: 2026-01-01T09:00\ncatchup: true\ntasks:\n  \
             a: {{depends_on_past: true, bash: {:?}}}\n",
            format!("{}; sleep 0.1", ran.shell("{{ ts }}"))
        ),
    );
    let node = home.start();
    wait_for("three have run", || (ran.count() >= 3).then_some(()));
    node.kill();
    let _node = home.start();
    let runs = wait_for("all have ended", || {
        let runs = home.runs("past");
        (runs.len() == 10 && runs.iter().all(|run| run.state.is_finished())).then_some(runs)
    });
    assert!(runs.iter().all(|run| run.state == RunState::Success), "{runs:#?}");
    let mut times: Vec<_> = runs.iter().map(|run| (run.logical_date, home.tasks(run).remove(0))).collect();
    times.sort_by_key(|(date, _)| *date);
    for pair in times.windows(2) {
        assert!(pair[0].1.ended_at <= pair[1].1.started_at, "{pair:#?}");
    }
    // The attempt that died with the node was tried again.
    assert!((10..=11).contains(&ran.count()), "{:?}", ran.lines());
}
