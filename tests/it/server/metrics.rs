//! `/metrics`, as Prometheus asks for it.

use crate::kit::{Home, wait_until};

use super::http::{Client, PASSWORD, make_user};

const DAG: &str =
    "dag_id: hello\nschedule: null\ntasks:\n  greet: {bash_command: \"true\"}\n  fail: {bash_command: \"false\"}\n";

fn value(metrics: &str, name: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn what_happens_is_counted_under_airflows_names() {
    let home = Home::new();
    home.write("hello.yaml", DAG);
    let _node = home.start();
    make_user(&home, "ann", "Viewer");
    home.wait_dag("hello");
    let ann = Client::of(&home).with_token("ann", PASSWORD);
    let metrics = || ann.get("/metrics").expect(200).body;
    let first = metrics();
    assert_eq!(value(&first, "airflow_dagbag_size"), Some(1.0), "{first}");
    assert_eq!(value(&first, "airflow_pool_open_slots{pool=\"default_pool\"}"), Some(128.0), "{first}");
    assert_eq!(value(&first, "airflow_executor_running_tasks"), Some(0.0));
    assert!(value(&first, "airflow_executor_open_slots").is_some_and(|open| open > 0.0), "{first}");
    let run = home.trigger("hello");
    home.wait_run("hello", &run.run_id);
    let ended = |state: &str| format!("airflow_ti_finish{{dag_id=\"hello\",state=\"{state}\"}}");
    wait_until("what ended is counted", || value(&metrics(), &ended("failed")) == Some(1.0));
    let last = metrics();
    assert_eq!(value(&last, &ended("success")), Some(1.0));
    assert_eq!(value(&last, "airflow_ti_start{dag_id=\"hello\"}"), Some(2.0), "{last}");
    assert_eq!((value(&last, "airflow_ti_successes"), value(&last, "airflow_ti_failures")), (Some(1.0), Some(1.0)));
    wait_until("the run is counted", || {
        value(&metrics(), "airflow_dagrun_duration_failed_count{dag_id=\"hello\"}") == Some(1.0)
    });
    assert_eq!(value(&last, "updraft_scheduler_invariant_violations"), Some(0.0));
}

#[test]
fn metrics_need_a_right_unless_this_machine_alone_can_ask() {
    let home = Home::new();
    let _node = home.start();
    let client = Client::of(&home);
    client.get("/metrics").expect(401);
    make_user(&home, "nobody", "Public");
    client.with_token("nobody", PASSWORD).get("/metrics").expect(403);
    let open = Home::new().with("metrics.prometheus_open_on_loopback", "True");
    let _node = open.start();
    Client::of(&open).get("/metrics").expect(200);
    let everywhere = Home::new().with("metrics.prometheus_open_on_loopback", "True").with("api.host", "0.0.0.0");
    let _node = everywhere.start();
    Client::of(&everywhere).get("/metrics").expect(401);
}
