//! Operators without Python and sensors, in the real program against real servers.

pub mod servers;

use serde_json::json;
use updraft::domain::attempt::{AttemptState, Outcome};
use updraft::domain::run::RunType;
use updraft::domain::state::{RunState, TaskState};

use crate::kit::{Home, wait_until};

#[test]
fn http_tasks_ask_as_they_are_told_and_pass_on_what_they_got() {
    let (port, heard) = servers::http();
    let home =
        Home::new().with_variable("AIRFLOW_CONN_API", &format!("http://me:hunter2secret@127.0.0.1:{port}/?X-Team=etl"));
    home.write(
        "web.yaml",
        &format!(
            r#"
schedule: null
tasks:
  plain: {{http: "http://127.0.0.1:{port}/ok/plain"}}
  form:
    operator: HttpOperator
    arguments: {{http_conn_id: api, endpoint: ok/form, data: {{run: "{{{{ run_id }}}}", n: 3}}, headers: {{X-Own: "1"}}}}
  filtered:
    http:
      {{endpoint: ok/filtered, http_conn_id: api, method: GET, data: {{q: "a b"}}, log_response: true,
       response_check: "response.json().state == 'ready'", response_filter: "response.json()['rows']"}}
  refused: {{http: {{endpoint: ok, http_conn_id: api, method: GET, response_check: "response.json().state == 'gone'"}}}}
  missing: {{http: {{endpoint: nowhere, http_conn_id: api, method: GET}}}}
  unknown: {{http: {{endpoint: ok, http_conn_id: nobody}}}}
  tells: {{bash: "echo password is hunter2secret {{{{ conn.api.password }}}}"}}
"#
        ),
    );
    let _node = home.start();
    let run = home.trigger_and_wait("web");
    for (task, state) in [
        ("plain", TaskState::Success),
        ("form", TaskState::Success),
        ("filtered", TaskState::Success),
        ("refused", TaskState::Failed),
        ("missing", TaskState::Failed),
        ("unknown", TaskState::Failed),
    ] {
        assert_eq!(run.task(task).state, state, "{task}: {}", home.log(&run.row, task, 1));
    }
    assert_eq!(home.xcom(&run.row, "filtered", "return_value"), json!([1, 2]));
    assert!(home.xcom(&run.row, "plain", "return_value").as_str().expect("text").contains("ready"));
    assert!(home.log(&run.row, "refused", 1).contains("Response check returned False."));
    assert!(home.log(&run.row, "missing", 1).contains("404:Not Found"));
    assert!(home.log(&run.row, "unknown", 1).contains("there is no connection `nobody`: add it with"));
    assert!(!home.log(&run.row, "tells", 1).contains("hunter2secret"));
    let heard = heard.lock().expect("nobody panicked");
    let find = |path: &str| heard.iter().find(|request| request.contains(path)).unwrap_or_else(|| panic!("{heard:#?}"));
    assert!(find("/ok/plain").starts_with("POST "));
    let form = find("/ok/form");
    // base64 of `me:hunter2secret`
    for part in ["authorization: Basic bWU6aHVudGVyMnNlY3JldA==", "x-team: etl", "x-own: 1", "n=3", "run=manual%5F%5F"]
    {
        assert!(form.contains(part), "{part} in {form}");
    }
    assert!(find("/ok/filtered?q=a%20b").starts_with("GET "));
}

#[test]
fn a_native_task_that_hangs_is_ended_by_its_timeout_and_nothing_is_left() {
    let (port, _) = servers::http();
    let home = Home::new();
    let text = format!(
        "schedule: null\ntasks:\n  hang: {{http: {{endpoint: 'http://127.0.0.1:{port}/slow', method: GET}}, execution_timeout: 1s}}\n  \
         limited: {{http: {{endpoint: 'http://127.0.0.1:{port}/slow', method: GET, extra_options: {{timeout: 500ms}}}}}}\n"
    );
    home.write("slow.yaml", &text);
    let _node = home.start();
    let run = home.trigger_and_wait("slow");
    assert_eq!(run.task("hang").state, TaskState::Failed);
    let outcomes: Vec<_> =
        home.attempts(&run.row).into_iter().map(|attempt| (attempt.task_id, attempt.state)).collect();
    let of = |name: &str| outcomes.iter().find(|(task, _)| task.as_str() == name).map(|(_, state)| *state);
    assert!(matches!(of("hang"), Some(AttemptState::Done { outcome: Outcome::TimedOut, .. })), "{outcomes:?}");
    assert!(matches!(of("limited"), Some(AttemptState::Done { outcome: Outcome::Failed { .. }, .. })), "{outcomes:?}");
    assert!(home.log(&run.row, "limited", 1).contains("timeout"), "{}", home.log(&run.row, "limited", 1));
}

/// The same on each of the three databases; the figures come back as JSON.
#[test]
fn sql_tasks_run_on_postgres_mysql_and_sqlite() {
    let server = |variable: &str, default: &str| std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    let postgres = server("UPDRAFT_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres");
    let mysql = server("UPDRAFT_TEST_MYSQL", "mysql://root@127.0.0.1:3306/");
    let mut conns = vec![("pg", "%s"), ("my", "%s"), ("lite", "?")];
    conns.retain(|(conn, _)| !(*conn == "pg" && postgres == "none" || *conn == "my" && mysql == "none"));
    let home = Home::new()
        .with_variable("AIRFLOW_CONN_PG", &postgres)
        .with_variable("AIRFLOW_CONN_MY", &format!("{mysql}test"));
    let lite = home.in_world("lite.db");
    let home =
        home.with_variable("AIRFLOW_CONN_LITE", &format!(r#"{{"conn_type": "sqlite", "host": "{}"}}"#, lite.display()));
    let table = format!("updraft_test_{}", std::process::id());
    let work = |conn: &str, mark: &str| {
        format!(
            r#"
  {conn}_table:
    sql: {{conn_id: {conn}, sql: "drop table if exists {table}; create table {table} (n int, t varchar(100), x double precision)"}}
  {conn}_make:
    sql:
      conn_id: {conn}
      sql: ["insert into {table} values ({mark}, {mark}, 1.5)"]
      parameters: [7, "it's a \\ 100% 'test'"]
    depends_on: {conn}_table
  {conn}_read: {{sql: {{conn_id: {conn}, sql: "select n, t, x, null from {table}; "}}, depends_on: {conn}_make}}
  {conn}_none: {{sql: {{conn_id: {conn}, sql: "select n from {table} where n = 0"}}, depends_on: {conn}_make}}
  {conn}_split:
    sql: {{conn_id: {conn}, sql: "select 1; select 'a;b'", split_statements: true, return_last: false}}
  {conn}_one: {{sql: {{conn_id: {conn}, sql: "select 3", handler: fetch_one_handler}}}}
  {conn}_many: {{sql: {{conn_id: {conn}, sql: "select 1 union all select 2 union all select 3", row_limit: 2}}}}
  {conn}_wrong: {{sql: {{conn_id: {conn}, sql: "selec 1"}}}}
  {conn}_atomic:
    sql: {{conn_id: {conn}, sql: ["insert into {table} values (8, 'x', 0)", "selec 1"]}}
    depends_on: [{conn}_read, {conn}_none]
  {conn}_after: {{sql: {{conn_id: {conn}, sql: "select count(*) from {table}"}}, depends_on: {conn}_atomic, trigger_rule: all_done}}
  {conn}_drop: {{sql: {{conn_id: {conn}, sql: "drop table {table}"}}, depends_on: {conn}_after, trigger_rule: all_done}}
"#
        )
    };
    let all: String = conns.iter().map(|(conn, mark)| work(conn, mark)).collect();
    home.write("sql.yaml", &format!("schedule: null\ntasks:\n{all}"));
    let _node = home.start();
    let run = home.trigger_and_wait("sql");
    for (conn, _) in conns {
        let log = |task: &str| home.log(&run.row, &format!("{conn}_{task}"), 1);
        let value = |task: &str| home.xcom(&run.row, &format!("{conn}_{task}"), "return_value");
        let state = |task: &str| run.task(&format!("{conn}_{task}")).state;
        assert_eq!(value("read"), json!([[7, "it's a \\ 100% 'test'", 1.5, null]]), "{conn}: {}", log("make"));
        assert_eq!(value("none"), json!([]), "{conn}");
        assert_eq!(value("make"), json!([null]), "{conn}: a list of statements gives a list of results");
        assert_eq!(value("split"), json!([[[1]], [["a;b"]]]), "{conn}: {}", log("split"));
        assert_eq!(value("one"), json!([3]), "{conn}");
        assert!(log("many").contains("more than 2 rows"), "{conn}: {}", log("many"));
        assert_eq!(
            (state("many"), state("wrong"), state("atomic")),
            (TaskState::Failed, TaskState::Failed, TaskState::Failed)
        );
        assert!(log("wrong").contains("the database refused"), "{conn}: {}", log("wrong"));
        assert_eq!(value("after"), json!([[1]]), "{conn}: what failed in the middle left nothing");
    }
}

#[test]
fn mail_goes_to_the_configured_server_and_no_password_is_seen() {
    let (port, heard) = servers::smtp();
    let home = Home::new()
        .with("smtp.smtp_host", "127.0.0.1")
        .with("smtp.smtp_port", &port.to_string())
        .with("smtp.smtp_starttls", "False")
        .with("smtp.smtp_user", "mailer")
        .with("smtp.smtp_password", "hunter2secret")
        .with("smtp.smtp_mail_from", "etl@example.com");
    std::fs::write(home.in_world("report.csv"), "a,b\n").expect("a file");
    let file = home.in_world("report.csv");
    home.write(
        "mail.yaml",
        &format!(
            "schedule: null\ntasks:\n  tell:\n    send_email:\n      to: [a@example.com, b@example.com]\n      cc: c@example.com\n      \
             subject: 'Run {{{{ run_id }}}}'\n      html_content: '<b>done</b>'\n      files: [{}]\n",
            file.display()
        ),
    );
    let _node = home.start();
    let run = home.trigger_and_wait("mail");
    let log = home.log(&run.row, "tell", 1);
    assert_eq!(run.task("tell").state, TaskState::Success, "{log}");
    assert!(log.contains("Sent an email to a@example.com, b@example.com") && !log.contains("hunter2secret"), "{log}");
    let mails = heard.lock().expect("nobody panicked");
    assert_eq!(mails.len(), 1);
    for part in [
        "AUTH PLAIN",
        "FROM:<etl@example.com>",
        "TO:<a@example.com>",
        "TO:<c@example.com>",
        "<b>done</b>",
        "report.csv",
        "Subject: Run",
    ] {
        assert!(mails[0].contains(part), "{part} in {}", mails[0]);
    }
}

const CHILD: &str = "schedule: null\ntasks:\n  work: {bash: 'echo {{ dag_run.conf.x }}'}\n";

#[test]
fn another_dag_is_triggered_and_waited_for_with_and_without_a_slot() {
    let home = Home::new();
    home.write("child.yaml", CHILD);
    home.write(
        "parent.yaml",
        r#"
schedule: null
tasks:
  call: {trigger_dagrun: {trigger_dag_id: child, trigger_run_id: mine, conf: {x: "from {{ dag.dag_id }}"}, wait_for_completion: true, poke_interval: 0.2}}
  again: {trigger_dagrun: {trigger_dag_id: child, trigger_run_id: mine}, depends_on: call}
  skips: {trigger_dagrun: {trigger_dag_id: child, trigger_run_id: mine, skip_when_already_exists: true}, depends_on: call}
  resets: {trigger_dagrun: {trigger_dag_id: child, trigger_run_id: mine, reset_dag_run: true, wait_for_completion: true, deferrable: true, conf: {x: 1}}, depends_on: [again, skips], trigger_rule: all_done}
  nowhere: {trigger_dagrun: childs}
"#,
    );
    let _node = home.start();
    home.wait_dag("child");
    let run = home.trigger_and_wait("parent");
    let log = |task: &str| home.log(&run.row, task, 1);
    for (task, state) in [
        ("call", TaskState::Success),
        ("again", TaskState::Failed),
        ("skips", TaskState::Skipped),
        ("resets", TaskState::Success),
        ("nowhere", TaskState::Failed),
    ] {
        assert_eq!(run.task(task).state, state, "{task}: {}", log(task));
    }
    assert!(log("nowhere").contains("did you mean `child`?"), "{}", log("nowhere"));
    assert_eq!(home.xcom(&run.row, "call", "trigger_run_id"), json!("mine"));
    let runs = home.runs("child");
    assert_eq!(runs.len(), 1, "{runs:#?}");
    assert_eq!((runs[0].run_type, runs[0].clear_number), (RunType::OperatorTriggered, 1));
    assert!(home.log(&runs[0], "work", 1).contains("from parent"));
}

#[test]
fn sensors_wait_in_every_mode_and_end_as_their_author_wants() {
    let (port, heard) = servers::http();
    let home = Home::new();
    let lite = home.in_world("lite.db");
    let home =
        home.with_variable("AIRFLOW_CONN_LITE", &format!(r#"{{"conn_type": "sqlite", "host": "{}"}}"#, lite.display()));
    let world = home.in_world("");
    let world = world.display();
    home.write(
        "wait.yaml",
        &format!(
            r#"
schedule: null
tasks:
  poke: {{wait_for: {{file: "{world}/*.csv", poke_interval: 0.2, timeout: 60}}}}
  away: {{wait_for: {{file: {{filepath: "{world}/go.csv"}}, mode: reschedule, poke_interval: 0.2, timeout: 60}}}}
  deferred: {{operator: FileSensor, arguments: {{filepath: "{world}/go.csv", deferrable: true, poke_interval: 0.2, timeout: 60}}}}
  late: {{wait_for: {{file: "{world}/never", mode: reschedule, poke_interval: 0.2, timeout: 1}}, retries: 3}}
  soft: {{wait_for: {{file: "{world}/never", poke_interval: 0.2, timeout: 1, soft_fail: true}}}}
  web: {{wait_for: {{http: "http://127.0.0.1:{port}/later", mode: reschedule, poke_interval: 0.2, timeout: 60}}}}
  rows: {{wait_for: {{sql: {{conn_id: lite, sql: "select 5", success: "value > 3"}}}}}}
  few: {{wait_for: {{sql: {{conn_id: lite, sql: "select 5", failure: "value > 3"}}}}}}
  delta: {{wait_for: {{delta: 1s, mode: reschedule}}}}
  date: {{wait_for: {{date_time: "{{{{ dag_run.run_after }}}}", mode: reschedule}}}}
  after: {{bash: "true", depends_on: [poke, away, deferred, web, rows, delta, date]}}
"#
        ),
    );
    let _node = home.start();
    let triggered = home.trigger("wait");
    let row = home.run("wait", &triggered.run_id);
    let state = |task: &str| {
        let tasks = home.tasks(&row);
        tasks.iter().find(|known| known.task_id.as_str() == task).map(|task| task.state)
    };
    wait_until("the sensors wait", || {
        state("poke") == Some(TaskState::Running)
            && state("away") == Some(TaskState::UpForReschedule)
            && state("deferred") == Some(TaskState::Deferred)
    });
    wait_until("it is looked at more than once", || {
        let attempts = home.attempts(&row);
        attempts.iter().filter(|attempt| attempt.task_id.as_str() == "away").count() > 2
    });
    std::fs::write(home.in_world("go.csv"), "x").expect("a file");
    let run = home.wait_run("wait", &triggered.run_id);
    for (task, expected) in [
        ("poke", TaskState::Success),
        ("away", TaskState::Success),
        ("deferred", TaskState::Success),
        ("late", TaskState::Failed),
        ("soft", TaskState::Skipped),
        ("web", TaskState::Success),
        ("rows", TaskState::Success),
        ("few", TaskState::Failed),
        ("delta", TaskState::Success),
        ("date", TaskState::Success),
        ("after", TaskState::Success),
    ] {
        assert_eq!(run.task(task).state, expected, "{task}: {}", home.log(&run.row, task, 1));
    }
    assert_eq!(run.task("away").try_number.0, 1, "every look belongs to the same try");
    assert_eq!(run.task("late").try_number.0, 1, "waiting too long is not tried again");
    assert!(home.log(&run.row, "late", 1).contains("Sensor has timed out"));
    assert!(run.task("delta").attempt.is_none(), "a moment needs no process");
    assert_eq!(heard.lock().expect("nobody panicked").len(), 3);
    assert_eq!(run.row.state, RunState::Failed);
}

#[test]
fn a_waiting_sensor_survives_the_end_of_its_node() {
    let home = Home::new();
    home.write("child.yaml", "schedule: null\ntasks:\n  t: {bash: 'true'}\n");
    home.write(
        "w.yaml",
        "schedule: null\ntasks:\n  call: {trigger_dagrun: {trigger_dag_id: slow, wait_for_completion: true, deferrable: true}}\n",
    );
    let gate = home.in_world("open");
    home.write(
        "slow.yaml",
        &format!(
            "schedule: null\ntasks:\n  t: {{wait_for: {{file: '{}', mode: reschedule, poke_interval: 0.2}}}}\n",
            gate.display()
        ),
    );
    let node = home.start();
    home.wait_dag("slow");
    let triggered = home.trigger("w");
    let row = home.run("w", &triggered.run_id);
    wait_until("it waits", || home.tasks(&row).iter().any(|task| task.state == TaskState::Deferred));
    node.kill();
    std::fs::write(gate, "").expect("a file");
    let _node = home.start();
    home.wait_run("w", &triggered.run_id).assert_success();
}

/// A Python file of exactly these classes is read by Python and run without it.
#[test]
fn the_same_classes_from_python_files_run_without_python_and_sensors_of_ones_own_with_it() {
    let (port, _) = servers::http();
    let home = Home::new().with_variable("AIRFLOW_CONN_API", &format!("http://127.0.0.1:{port}"));
    home.write(
        "native.py",
        r#"
import datetime
from airflow import DAG
from airflow.decorators import task
from airflow.providers.http.operators.http import HttpOperator
from airflow.sensors.base import BaseSensorOperator, PokeReturnValue
from airflow.sensors.time_delta import TimeDeltaSensor
from airflow.providers.standard.sensors.python import PythonSensor
from airflow.exceptions import AirflowSensorTimeout

class Third(BaseSensorOperator):
    def poke(self, context):
        print("look", context["ti"].reschedules + 1)
        return context["ti"].reschedules >= 2

with DAG("native", schedule=None, default_args={"http_conn_id": "api"}) as dag:
    get = HttpOperator(task_id="get", endpoint="ok", method="GET", response_check="response.ok")
    checked = HttpOperator(task_id="checked", endpoint="ok", method="GET", response_check=lambda response: response.json()["state"] == "ready",
                           response_filter=lambda response: response.json()["rows"])
    TimeDeltaSensor(task_id="delta", delta=datetime.timedelta(seconds=0), mode="reschedule")
    Third(task_id="third", mode="reschedule", poke_interval=0.1)
    PythonSensor(task_id="never", python_callable=lambda: False, poke_interval=0.1, timeout=0.5, retries=2)
    PythonSensor(task_id="soft", python_callable=lambda: False, poke_interval=0.1, timeout=0.5, soft_fail=True, mode="reschedule")

    @task.sensor(poke_interval=0.1)
    def value():
        return PokeReturnValue(is_done=True, xcom_value={"rows": 3})

    value()
"#,
    );
    let _node = home.start();
    let run = home.trigger_and_wait("native");
    for (task, state) in [
        ("get", TaskState::Success),
        ("checked", TaskState::Success),
        ("delta", TaskState::Success),
        ("third", TaskState::Success),
        ("never", TaskState::Failed),
        ("soft", TaskState::Skipped),
        ("value", TaskState::Success),
    ] {
        assert_eq!(run.task(task).state, state, "{task}: {}", home.log(&run.row, task, 1));
    }
    assert!(home.log(&run.row, "get", 1).contains("operator http,"), "{}", home.log(&run.row, "get", 1));
    assert!(home.log(&run.row, "checked", 1).contains("operator python,"));
    assert_eq!(home.xcom(&run.row, "checked", "return_value"), json!([1, 2]));
    assert_eq!(home.xcom(&run.row, "value", "return_value"), json!({ "rows": 3 }));
    let log = home.log(&run.row, "third", 1);
    assert!(log.contains("look 1") && log.contains("look 3"), "{log}");
    assert_eq!(run.task("never").try_number.0, 1, "a sensor's timeout is not tried again");
}
