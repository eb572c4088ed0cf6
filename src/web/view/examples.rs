//! DAGs and instants for the tests of the pictures.

use serde_json::{Value, json};

use crate::domain::graph::Dag;
use crate::domain::time::Time;

/// So many seconds after noon.
pub fn at(seconds: i64) -> Time {
    chrono::DateTime::from_timestamp(1_795_262_400 + seconds, 0).expect("an instant")
}

/// The four tasks of the tutorial.
pub fn diamond() -> Dag {
    dag(
        "parallel_dag",
        &[],
        &[
            ("task_1", &[], None),
            ("task_2", &["task_1"], None),
            ("task_3", &["task_1"], None),
            ("task_4", &["task_2", "task_3"], None),
        ],
    )
}

/// A group in a group.
pub fn grouped() -> Dag {
    dag(
        "grouped",
        &[("load", None), ("load.inner", Some("load"))],
        &[
            ("start", &[], None),
            ("load.inner.one", &["start"], Some("load.inner")),
            ("load.inner.two", &["load.inner.one"], Some("load.inner")),
            ("load.three", &["load.inner.two"], Some("load")),
            ("end", &["load.three"], None),
        ],
    )
}

/// Tasks as (id, upstream, group).
pub fn dag(id: &str, groups: &[(&str, Option<&str>)], tasks: &[(&str, &[&str], Option<&str>)]) -> Dag {
    let tasks: Vec<Value> = tasks.iter().map(|(id, upstream, group)| task(id, upstream, *group)).collect();
    let groups: Vec<Value> = groups.iter().map(|(id, parent)| json!({"group_id": id, "parent": parent})).collect();
    let definition = json!({
        "dag_id": id, "file": format!("{id}.py"), "schedule": {"type": "never"}, "timezone": "UTC", "catchup": false,
        "max_active_runs": 16, "max_active_tasks": 16, "max_active_tasks_scope": "each_run",
        "groups": groups, "tasks": tasks,
    });
    let definition = serde_json::from_value(definition).expect("a definition");
    Dag::compile(definition).expect("a DAG")
}

fn task(id: &str, upstream: &[&str], group: Option<&str>) -> Value {
    json!({
        "task_id": id, "operator": {"type": "empty"}, "operator_name": "EmptyOperator", "upstream": upstream,
        "trigger_rule": "all_success", "owner": "airflow", "retries": 0, "retry_delay": 300.0, "pool": "default_pool",
        "pool_slots": 1, "priority_weight": 1, "weight_rule": "downstream", "queue": "default", "do_xcom_push": true,
        "group": group,
    })
}
