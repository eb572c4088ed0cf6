//! The first word to the runner: which task instance it is, of which run, and how it goes on.
//!
//! Values that Airflow's models do not name must not stand in it: some of them refuse what they do not know.

use serde_json::{Value, json};
use uuid::Uuid;

use super::request::Resumed;
use super::shape::{consumed_event, instant};
use super::supervisor::Own;
use crate::domain::time::Time;
use crate::protocol::work::TaskMessage;

/// The name of the DAGs folder among the runner's bundles.
pub const BUNDLE: &str = "dags-folder";

/// What the supervisor of this attempt knows without asking.
pub fn own(task: &TaskMessage) -> Own {
    Own {
        dag_id: task.key.dag.to_string(),
        run_id: task.key.run.to_string(),
        task_id: task.key.task.to_string(),
        map_index: task.key.map_index.0,
        previous_success: task.run.previous_success,
        waiting_since: task.waiting_since,
    }
}

/// `StartupDetails`, as the supervisor says it unasked, under the id 0.
pub fn details(task: &TaskMessage, now: Time) -> Value {
    let run = &task.run;
    let interval = run.interval;
    let events: Vec<Value> = run.asset_events.iter().map(consumed_event).collect();
    let context = json!({
        "dag_run": {
            "dag_id": task.key.dag,
            "run_id": task.key.run,
            "logical_date": instant(run.logical_date),
            "data_interval_start": instant(interval.map(|interval| interval.start)),
            "data_interval_end": instant(interval.map(|interval| interval.end)),
            "run_after": instant(Some(run.run_after)),
            "start_date": instant(run.started_at),
            "end_date": null,
            "run_type": run.run_type.as_str(),
            "state": "running",
            "conf": run.conf,
            "consumed_asset_events": events,
            "partition_key": null,
        },
        "task_reschedule_count": task.reschedules,
        "max_tries": task.max_tries,
        "should_retry": task.try_number.0 <= task.max_tries,
    });
    json!({
        "type": "StartupDetails",
        "ti": {
            "id": task.attempt,
            "task_id": task.key.task,
            "dag_id": task.key.dag,
            "run_id": task.key.run,
            "try_number": task.try_number.0,
            // Nothing that the runner does depends on which number this is.
            "dag_version_id": Uuid::nil(),
            "map_index": task.key.map_index.0,
            "queue": task.queue,
        },
        "dag_rel_path": run.file,
        "bundle_info": { "name": BUNDLE },
        "start_date": instant(Some(now)),
        "sentry_integration": "",
        "ti_context": context,
    })
}

/// The same once more, for a task that goes on after its trigger.
pub fn resumed(details: &Value, resumed: Resumed) -> Value {
    let mut details = details.clone();
    let begun = details.get("start_date").cloned().unwrap_or_default();
    if let Some(context) = details.get_mut("ti_context").and_then(Value::as_object_mut) {
        context.insert("next_method".to_owned(), resumed.next_method.into());
        context.insert("next_kwargs".to_owned(), resumed.next_kwargs);
        context.insert("start_date".to_owned(), begun);
    }
    details
}
