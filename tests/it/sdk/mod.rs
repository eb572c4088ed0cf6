//! Airflow's own Task SDK under our worker: the real classes, the real task runner, and nothing of Airflow's but those.
//!
//! The tests need an interpreter that has it: `UPDRAFT_TEST_SDK_PYTHON` names one, else a virtual environment is made
//! once below `target/` by pip, which needs the network.

mod python;
mod replies;

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};
use updraft::domain::ids::DagId;
use updraft::domain::state::{RunState, TaskState};
use updraft::protocol::control::Control;

use crate::kit::{Home, wait_for};

/// A home whose interpreter has the Task SDK, with this runner.
fn home(runner: &str) -> Home {
    Home::new().with("python.interpreter", &python::with_sdk().to_string_lossy()).with("python.runner", runner)
}

const SHAPES: [&str; 5] = ["settings", "every_hour", "after_assets", "groups", "made_and_taken_away"];

/// A definition without what one runner alone tells: lines, and what a Python task carries for the stand-in.
fn graph(home: &Home, dag: &str) -> Value {
    let mut definition = serde_json::to_value(home.definition(dag)).expect("JSON");
    forget(&mut definition);
    definition
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            for name in ["line", "operator", "operator_name", "doc_md", "file", "source"] {
                entries.shift_remove(name);
            }
            entries.values_mut().for_each(forget);
        }
        Value::Array(values) => values.iter_mut().for_each(forget),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn both_runners_read_the_same_graphs() {
    let _turn = python::turn();
    let read = |runner: &str| {
        let home = home(runner);
        home.copy("tests/dags/sdk/shapes.py");
        home.copy("tests/dags/sdk/work.py");
        let node = home.start();
        let mut graphs: BTreeMap<&str, Value> = SHAPES.map(|dag| (dag, graph(&home, dag))).into();
        graphs.insert("work", graph(&home, "work"));
        assert!(home.import_errors().is_empty(), "{:?}", home.import_errors());
        node.stop();
        graphs
    };
    let (builtin, sdk) = (read("builtin"), read("sdk"));
    for (dag, graph) in &builtin {
        similar_asserts(dag, graph, &sdk[dag]);
    }
}

fn similar_asserts(dag: &str, left: &Value, right: &Value) {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).expect("JSON");
    let (left, right) = (pretty(left), pretty(right));
    let differences: Vec<_> = similar::TextDiff::from_lines(&left, &right)
        .iter_all_changes()
        .filter(|change| change.tag() != similar::ChangeTag::Equal)
        .map(|change| format!("{}{}", change.tag(), change.value()))
        .collect();
    assert!(differences.is_empty(), "DAG {dag}, - builtin, + sdk:\n{}", differences.concat());
}

#[test]
fn both_runners_come_to_the_same_end() {
    let _turn = python::turn();
    let run = |runner: &str| {
        let home = home(runner);
        home.copy("tests/dags/sdk/work.py");
        let node = home.start();
        let triggered = home.trigger("work");
        let finished = home.wait_run("work", &triggered.run_id);
        let mut ends = BTreeMap::new();
        for task in &finished.tasks {
            let mut result = home.result_of(&finished.row, &task.task_id, task.map_index);
            if ["choose", "short"].contains(&task.task_id.as_str()) {
                // Airflow 3 leaves by an exception when it skips, before there is a result to keep.
                result = None;
            }
            ends.insert((task.task_id.to_string(), task.map_index.0), (task.state, task.try_number.0, result));
        }
        node.stop();
        (finished.row.state, ends)
    };
    let (builtin, sdk) = (run("builtin"), run("sdk"));
    for (task, end) in &builtin.1 {
        assert_eq!(sdk.1.get(task), Some(end), "{task:?}");
    }
    assert_eq!(builtin.1.len(), sdk.1.len());
    assert_eq!((builtin.0, sdk.0), (RunState::Failed, RunState::Failed), "a task fails for good in it");
    let end = |task: &str| &sdk.1[&(task.to_owned(), -1)];
    assert_eq!(end("total"), &(TaskState::Success, 1, Some(json!(140))));
    assert_eq!(end("second_try"), &(TaskState::Success, 2, Some(json!(2))));
    assert_eq!(end("big").0, TaskState::Success);
    assert_eq!(end("small").0, TaskState::Skipped);
    assert_eq!(end("fails_for_good").1, 1, "trying again is no use");
}

const DEFERRED: &str = r#"
import asyncio, datetime, os
from airflow.sdk import BaseOperator, Connection, Variable, dag
from airflow.triggers.base import BaseTrigger, TriggerEvent

class FileTrigger(BaseTrigger):
    def __init__(self, path, fails=False):
        super().__init__()
        self.path, self.fails = path, fails

    def serialize(self):
        return "waits.FileTrigger", {"path": self.path, "fails": self.fails}

    async def run(self):
        if self.fails:
            raise ValueError("the trigger is broken")
        while not os.path.exists(self.path):
            await asyncio.sleep(0.05)
        yield TriggerEvent({"seen": self.path, "at": datetime.datetime(2026, 1, 1)})

class Waits(BaseOperator):
    def __init__(self, path, fails=False, seconds=None, **kwargs):
        super().__init__(**kwargs)
        self.path, self.fails, self.seconds = path, fails, seconds

    def execute(self, context):
        timeout = None if self.seconds is None else datetime.timedelta(seconds=self.seconds)
        self.defer(trigger=FileTrigger(self.path, self.fails), method_name="go_on", kwargs={"kept": {"n": 1}}, timeout=timeout)

    def go_on(self, context, event, kept):
        assert event["at"] == datetime.datetime(2026, 1, 1), event
        return [event["seen"], kept["n"], context["ti"].try_number]

@dag(schedule=None, start_date=datetime.datetime(2026, 1, 1))
def waits():
    Waits(task_id="waits", path=PATH)
    Waits(task_id="breaks", path=PATH, fails=True)
    Waits(task_id="too_long", path=PATH + ".never", seconds=0.2)

waits()
"#;

#[test]
fn a_deferred_task_goes_on_when_its_trigger_fires_and_fails_with_it() {
    let _turn = python::turn();
    let home = home("auto");
    let path = home.in_world("there").to_string_lossy().into_owned();
    home.write("waits.py", &DEFERRED.replace("import asyncio", &format!("PATH = {path:?}\nimport asyncio")));
    let node = home.start();
    let triggered = home.trigger("waits");
    wait_for("two of the triggers have ended", || {
        let tasks = home.tasks(&home.run("waits", &triggered.run_id));
        (tasks.iter().filter(|task| task.state == TaskState::Failed).count() == 2).then_some(())
    });
    std::fs::write(&path, "").expect("written");
    let finished = home.wait_run("waits", &triggered.run_id);
    assert_eq!(finished.task("waits").state, TaskState::Success, "{}", node.output());
    assert_eq!(home.xcom(&finished.row, "waits", "return_value"), json!([path, 1, 1]));
    let log = home.log(&finished.row, "breaks", 1);
    assert!(log.contains("the trigger is broken"), "{log}");
    let log = home.log(&finished.row, "too_long", 1);
    assert!(log.contains("TaskDeferralTimeout"), "{log}");
    node.stop();
}

const SECRETS: &str = r#"
import datetime
from airflow.sdk import BaseHook, Connection, Variable, dag, task
from airflow.sdk.log import mask_secret

@dag(schedule=None, start_date=datetime.datetime(2026, 1, 1))
def secrets():
    @task
    def tells():
        Variable.set("api_password", "corr3ct-horse")
        print("variable", Variable.get("api_password"))
        mask_secret("batt3ry-staple")
        print("own", "batt3ry-staple")
        print("plain", Variable.get("nowhere", default="a default"))
        try:
            Connection.get("nowhere")
        except Exception as error:
            print("raised", type(error).__name__)
    tells()

secrets()
"#;

#[test]
fn what_a_task_calls_secret_is_not_in_its_log() {
    let _turn = python::turn();
    let home = home("sdk");
    home.write("secrets.py", SECRETS);
    let node = home.start();
    let triggered = home.trigger("secrets");
    let finished = home.wait_run("secrets", &triggered.run_id);
    let log = home.log(&finished.row, "tells", 1);
    finished.assert_success();
    for part in ["variable ***", "own ***", "plain a default", "raised AirflowNotFoundException"] {
        assert!(log.contains(part), "{part} is missing:\n{log}");
    }
    for secret in ["corr3ct-horse", "batt3ry-staple"] {
        assert!(!log.contains(secret), "{log}");
    }
    node.stop();
}

const ASKS: &str = r#"
import datetime
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
from airflow.sdk import dag, task

START = datetime.datetime(2026, 1, 1)

@dag(schedule=None, start_date=START)
def other():
    EmptyOperator(task_id="done")

@dag(schedule=None, start_date=START)
def asks():
    trigger = TriggerDagRunOperator(
        task_id="trigger", trigger_dag_id="other", trigger_run_id="mine", logical_date="2026-02-03T00:00:00+00:00",
        wait_for_completion=True, poke_interval=1, reset_dag_run=True)
    again = TriggerDagRunOperator(task_id="again", trigger_dag_id="other", trigger_run_id="mine", skip_when_already_exists=True)

    @task
    def counts(**context):
        ti = context["ti"]
        return [
            ti.get_ti_count(dag_id="other", states=["success"]),
            ti.get_task_states(dag_id="other", run_ids=["mine"]),
            ti.get_dr_count(dag_id="other", states=["success"]),
            ti.get_dagrun_state(dag_id="other", run_id="mine"),
        ]

    sees = ExternalTaskSensor(
        task_id="sees", external_dag_id="other", external_task_id="done", poke_interval=1, timeout=60,
        execution_date_fn=lambda *_, **__: datetime.datetime(2026, 2, 3, tzinfo=datetime.timezone.utc))
    trigger >> again
    trigger >> counts()
    trigger >> sees

other()
asks()
"#;

#[test]
fn a_task_learns_of_other_runs_and_starts_them() {
    let _turn = python::turn();
    let home = home("sdk");
    home.write("asks.py", ASKS);
    let node = home.start();
    home.wait_dag("other");
    let triggered = home.trigger("asks");
    let finished = home.wait_run("asks", &triggered.run_id);
    let log = |task: &str| home.log(&finished.row, task, 1);
    assert_eq!(finished.task("trigger").state, TaskState::Success, "{}", log("trigger"));
    assert_eq!(finished.task("again").state, TaskState::Skipped, "{}", log("again"));
    assert_eq!(finished.task("sees").state, TaskState::Success, "{}", log("sees"));
    assert_eq!(
        home.xcom(&finished.row, "counts", "return_value"),
        json!([1, { "mine": { "done": "success" } }, 1, "success"]),
        "{}",
        log("counts")
    );
    node.stop();
}

const KILLED: &str = r#"
import datetime, pathlib, time
from airflow.sdk import BaseOperator, dag

class Long(BaseOperator):
    def execute(self, context):
        pathlib.Path(STARTED).write_text("")
        time.sleep(600)

    def on_kill(self):
        pathlib.Path(KILLED).write_text("")

@dag(schedule=None, start_date=datetime.datetime(2026, 1, 1))
def killed():
    Long(task_id="long")

    Long(task_id="limited", execution_timeout=datetime.timedelta(seconds=1))

killed()
"#;

#[test]
fn a_task_that_is_ended_may_tidy_up_and_one_that_takes_too_long_fails_by_its_own_clock() {
    let _turn = python::turn();
    let home = home("sdk");
    let (started, killed) = (home.in_world("started"), home.in_world("killed"));
    let places = format!("STARTED, KILLED = {started:?}, {killed:?}\n");
    home.write("killed.py", &format!("{places}{KILLED}"));
    let node = home.start();
    let triggered = home.trigger("killed");
    let row = wait_for("the limit is kept", || {
        let row = home.run("killed", &triggered.run_id);
        let tasks = home.tasks(&row);
        tasks.iter().any(|task| task.task_id.as_str() == "limited" && task.state == TaskState::Failed).then_some(row)
    });
    let log = home.log(&row, "limited", 1);
    assert!(log.contains("AirflowTaskTimeout"), "{log}");
    wait_for("the long task has started", || started.exists().then_some(()));
    // The limited one has tidied up before.
    let _ = std::fs::remove_file(&killed);
    let dag = DagId::new("killed").expect("a DAG id");
    home.control(&Control::MarkRun { dag, run_id: triggered.run_id.clone(), succeeded: false });
    home.wait_run("killed", &triggered.run_id);
    wait_for("the operator has tidied up", || killed.exists().then_some(()));
    node.stop();
}

#[test]
fn info_says_who_runs_python_tasks() {
    let _turn = python::turn();
    let said = |runner: &str| {
        let rows = home(runner).json(&["info", "-o", "json"]);
        let rows = rows.as_array().expect("rows").clone();
        let row = rows.iter().find(|row| row["key"] == "python_runner").expect("a row of the runner").clone();
        row["value"].as_str().expect("text").to_owned()
    };
    assert!(said("auto").starts_with("Airflow's Task SDK 1."), "{}", said("auto"));
    assert_eq!(said("builtin"), "the one that Updraft brings along");
    let without = Home::new().with("python.runner", "sdk").with("python.interpreter", "/usr/bin/false");
    let output = without.finished(&["info"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("[python] runner = sdk"), "{text}");
}

/// No bound that a loaded machine could not keep: it prints what the warm interpreter costs, and sees that it is used.
#[test]
fn a_task_starts_from_a_warm_interpreter() {
    let _turn = python::turn();
    let home = home("sdk");
    home.write(
        "many.py",
        "import datetime\nfrom airflow.sdk import dag, task\n\n@dag(schedule=None, start_date=datetime.datetime(2026, 1, 1))\n\
         def many():\n    @task\n    def one(n):\n        import sys\n        return len(sys.argv)\n\n    last = None\n    \
         for n in range(6):\n        this = one.override(task_id='t%d' % n)(n)\n        last and last >> this\n        \
         last = this\n\nmany()\n",
    );
    let node = home.start();
    let triggered = home.trigger("many");
    let begun = Instant::now();
    let finished = home.wait_run("many", &triggered.run_id);
    finished.assert_success();
    let mut seconds: Vec<f64> =
        finished.tasks.iter().filter_map(|task| Some((task.ended_at? - task.started_at?).as_seconds_f64())).collect();
    seconds.sort_by(f64::total_cmp);
    println!("a task of the real SDK: {seconds:.3?} s; all: {:.1} s", begun.elapsed().as_secs_f64());
    for task in &finished.tasks {
        let log = home.log(&finished.row, task.task_id.as_str(), 1);
        assert!(!log.contains("a fresh one does"), "{log}");
    }
    // A cold one imports for more than a second.
    assert!(seconds[0] < 1.0, "{seconds:?}");
    node.stop();
}
