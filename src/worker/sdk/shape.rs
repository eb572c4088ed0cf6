//! From the scheduler's answers to the replies that the runner expects, by what it had asked.
//!
//! Replies have only the fields that Airflow's models name: some refuse any other. Nothing is decided here.

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

use crate::domain::asset::AssetEvent;
use crate::domain::run::DataInterval;
use crate::domain::state::TaskState;
use crate::domain::template::PreviousSuccess;
use crate::domain::time::Time;
use crate::protocol::found::{FoundRun, FoundTask};
use crate::protocol::work::Answer;

/// What the runner waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// The empty reply.
    Nothing,
    /// "ok".
    Done,
    Variable {
        key: String,
    },
    Connection {
        conn_id: String,
    },
    XCom {
        key: String,
    },
    XComCount,
    XComItem {
        offset: i64,
    },
    XComSlice {
        start: Option<i64>,
        stop: Option<i64>,
        step: Option<i64>,
    },
    /// With the DAG whose run is brought back when it exists already.
    Triggered {
        reset: Option<String>,
    },
    RunState {
        run_id: String,
    },
    Run {
        dag_id: String,
        run_id: String,
    },
    PreviousRun {
        dag_id: String,
    },
    RunCount,
    TaskCount {
        states: Option<Vec<String>>,
    },
    TaskStates,
    PreviousTask {
        dag_id: String,
        state: Option<String>,
    },
    Breadcrumbs,
    AssetEvents {
        after: Option<Time>,
        before: Option<Time>,
        limit: Option<u64>,
        ascending: bool,
    },
}

/// The body of an error, whether it is raised (third part of a frame) or told (second part).
pub fn error(code: &str, detail: &Value) -> Value {
    json!({ "type": "ErrorResponse", "error": code, "detail": detail })
}

impl Shape {
    /// The body of the reply, or a sentence to raise in the task.
    pub fn reply(self, answer: Answer) -> Result<Value, String> {
        match (self, answer) {
            (_, Answer::Refused { why }) => Err(why),
            (Self::Nothing, _) => Ok(Value::Null),
            (Self::Done, _) => Ok(json!({ "type": "OKResponse", "ok": true })),
            (Self::Variable { key }, Answer::Variable { value }) => Ok(match value {
                Some(value) => json!({ "type": "VariableResult", "key": key, "value": value.0 }),
                None => error("VARIABLE_NOT_FOUND", &json!({ "key": key })),
            }),
            (Self::Connection { conn_id }, Answer::Connection { connection }) => Ok(match connection {
                Some(connection) => json!({
                    "type": "ConnectionResult", "conn_id": conn_id, "conn_type": connection.conn_type,
                    "host": connection.host, "schema": connection.schema, "login": connection.login,
                    "password": connection.password, "port": connection.port, "extra": connection.extra,
                }),
                None => error("CONNECTION_NOT_FOUND", &json!({ "conn_id": conn_id })),
            }),
            (Self::XCom { key }, Answer::XCom { value }) => {
                Ok(json!({ "type": "XComResult", "key": key, "value": value }))
            }
            (Self::XComCount, Answer::XComs { values }) => {
                Ok(json!({ "type": "XComCountResponse", "len": values.len() }))
            }
            (Self::XComItem { offset }, Answer::XComs { values }) => Ok(match at(&values, offset) {
                Some(value) => json!({ "type": "XComSequenceIndexResult", "root": value }),
                None => error("XCOM_NOT_FOUND", &json!({ "offset": offset })),
            }),
            (Self::XComSlice { start, stop, step }, Answer::XComs { values }) => {
                Ok(json!({ "type": "XComSequenceSliceResult", "root": slice(&values, start, stop, step)? }))
            }
            // Of an earlier run: the newest one alone.
            (Self::XComSlice { .. }, Answer::XCom { value }) => {
                Ok(json!({ "type": "XComSequenceSliceResult", "root": Vec::from_iter(value) }))
            }
            (Self::Triggered { .. }, Answer::Triggered { .. }) => Ok(json!({ "type": "OKResponse", "ok": true })),
            (Self::Triggered { .. }, Answer::RunExists { run_id }) => {
                Ok(error("DAGRUN_ALREADY_EXISTS", &json!({ "run_id": run_id })))
            }
            (Self::RunState { run_id }, Answer::RunState { state }) => match state {
                Some(state) => Ok(json!({ "type": "DagRunStateResult", "state": state.as_str() })),
                None => Err(format!("there is no run `{run_id}`")),
            },
            (Self::Run { dag_id, run_id }, Answer::Runs { runs }) => match runs.first() {
                Some(found) => Ok(typed("DagRunResult", run(&dag_id, found))),
                None => Err(format!("DAG `{dag_id}` has no run `{run_id}`")),
            },
            (Self::PreviousRun { dag_id }, Answer::Runs { runs }) => {
                Ok(json!({ "type": "PreviousDagRunResult", "dag_run": runs.first().map(|found| run(&dag_id, found)) }))
            }
            (Self::RunCount, Answer::Runs { runs }) => Ok(json!({ "type": "DRCount", "count": runs.len() })),
            (Self::TaskCount { states }, Answer::Tasks { tasks }) => {
                let counts = |task: &&FoundTask| {
                    states.as_ref().is_none_or(|states| states.iter().any(|word| word == task.state.as_str()))
                };
                Ok(json!({ "type": "TICount", "count": tasks.iter().filter(counts).count() }))
            }
            (Self::TaskStates, Answer::Tasks { tasks }) => {
                Ok(json!({ "type": "TaskStatesResult", "task_states": states_by_run(&tasks) }))
            }
            (Self::PreviousTask { dag_id, state }, Answer::Tasks { tasks }) => {
                let wanted = |task: &&FoundTask| state.as_deref().is_none_or(|word| word == task.state.as_str());
                let newest = tasks.iter().filter(wanted).max_by_key(|task| task.logical_date);
                let found = newest.map(|found| task(&dag_id, found));
                Ok(json!({ "type": "PreviousTIResult", "task_instance": found }))
            }
            (Self::Breadcrumbs, Answer::Tasks { tasks }) => {
                let finished = tasks.iter().filter(|task| task.ended_at.is_some());
                let breadcrumbs: Vec<Value> = finished.map(breadcrumb).collect();
                Ok(json!({ "type": "TaskBreadcrumbsResult", "breadcrumbs": breadcrumbs }))
            }
            (Self::AssetEvents { after, before, limit, ascending }, Answer::AssetEvents { mut events }) => {
                events.retain(|event| after.is_none_or(|at| at <= event.at) && before.is_none_or(|at| event.at <= at));
                if !ascending {
                    events.reverse();
                }
                events.truncate(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX));
                let events: Vec<Value> = events.iter().map(asset_event).collect();
                Ok(json!({ "type": "AssetEventsResult", "asset_events": events }))
            }
            (
                _,
                Answer::XCom { .. }
                | Answer::XComs { .. }
                | Answer::Mapped { .. }
                | Answer::Variable { .. }
                | Answer::Connection { .. }
                | Answer::AssetEvents { .. }
                | Answer::Stored
                | Answer::Deleted { .. }
                | Answer::Triggered { .. }
                | Answer::RunExists { .. }
                | Answer::RunState { .. }
                | Answer::Runs { .. }
                | Answer::Tasks { .. }
                | Answer::Seen { .. },
            ) => Err("the scheduler answered another question".to_owned()),
        }
    }
}

/// Of the newest earlier run that succeeded.
pub fn previous_success(previous: Option<PreviousSuccess>) -> Value {
    let interval = previous.and_then(|run| run.data_interval);
    json!({
        "type": "PrevSuccessfulDagRunResult",
        "data_interval_start": instant(interval.map(|interval| interval.start)),
        "data_interval_end": instant(interval.map(|interval| interval.end)),
        "start_date": instant(previous.and_then(|run| run.start_date)),
        "end_date": instant(previous.and_then(|run| run.end_date)),
    })
}

/// A run as Airflow's model of it has it, and not one key more.
fn run(dag_id: &str, run: &FoundRun) -> Value {
    let interval: Option<DataInterval> = run.interval;
    json!({
        "dag_id": dag_id,
        "run_id": run.run_id,
        "logical_date": instant(run.logical_date),
        "data_interval_start": instant(interval.map(|interval| interval.start)),
        "data_interval_end": instant(interval.map(|interval| interval.end)),
        "run_after": instant(Some(run.run_after)),
        "start_date": instant(run.started_at),
        "end_date": instant(run.ended_at),
        "clear_number": run.clear_number,
        "run_type": run.run_type.as_str(),
        "state": run.state.as_str(),
        "conf": run.conf,
        "triggering_user_name": run.user,
        "consumed_asset_events": [],
        "partition_key": null,
        "note": run.note,
    })
}

fn task(dag_id: &str, task: &FoundTask) -> Value {
    let duration = task.ended_at.zip(task.started_at).map(|(end, start)| (end - start).as_seconds_f64());
    json!({
        "task_id": task.task_id,
        "dag_id": dag_id,
        "run_id": task.run_id,
        "logical_date": instant(task.logical_date),
        "start_date": instant(task.started_at),
        "end_date": instant(task.ended_at),
        "state": state(task.state),
        "try_number": task.try_number,
        "map_index": task.map_index,
        "duration": duration,
    })
}

fn breadcrumb(task: &FoundTask) -> Value {
    let duration = task.ended_at.zip(task.started_at).map(|(end, start)| (end - start).as_seconds_f64());
    json!({
        "task_id": task.task_id, "map_index": task.map_index, "state": task.state.as_str(),
        "operator": task.operator, "duration": duration,
    })
}

fn states_by_run(tasks: &[FoundTask]) -> Map<String, Value> {
    let mut by_run = Map::new();
    for task in tasks {
        let name = match task.map_index {
            index if index < 0 => task.task_id.clone(),
            index => format!("{}_{index}", task.task_id),
        };
        let states = by_run.entry(task.run_id.clone()).or_insert_with(|| Value::Object(Map::new()));
        if let Some(states) = states.as_object_mut() {
            states.insert(name, state(task.state));
        }
    }
    by_run
}

/// A task that nothing has happened to yet has no state.
fn state(state: TaskState) -> Value {
    if state == TaskState::None { Value::Null } else { state.as_str().into() }
}

fn asset_event(event: &AssetEvent) -> Value {
    json!({
        "id": event.id.0,
        "timestamp": instant(Some(event.at)),
        "extra": event.extra,
        "asset": { "name": event.asset, "uri": event.uri, "group": "asset" },
        "created_dagruns": [],
        "source_task_id": event.source.task,
        "source_dag_id": event.source.dag,
        "source_run_id": event.source.run,
        "source_map_index": event.source.map_index.0,
    })
}

/// An event among those that a run was made of.
pub fn consumed_event(event: &AssetEvent) -> Value {
    let aliases: Vec<Value> = event.aliases.iter().map(|alias| json!({ "name": alias })).collect();
    json!({
        "asset": { "name": event.asset, "uri": event.uri, "extra": {} },
        "extra": event.extra,
        "source_task_id": event.source.task,
        "source_dag_id": event.source.dag,
        "source_run_id": event.source.run,
        "source_map_index": event.source.map_index.0,
        "source_aliases": aliases,
        "timestamp": instant(Some(event.at)),
    })
}

/// As pydantic reads it: ISO 8601 with a zone.
pub fn instant(time: Option<Time>) -> Value {
    time.map_or(Value::Null, |time| Value::String(time.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
}

fn typed(word: &str, mut body: Value) -> Value {
    if let Some(body) = body.as_object_mut() {
        body.insert("type".to_owned(), word.into());
    }
    body
}

/// One element, from the end where the place is negative, as in Python.
fn at(values: &[Value], place: i64) -> Option<&Value> {
    let length = i64::try_from(values.len()).ok()?;
    let place = if place < 0 { place.checked_add(length)? } else { place };
    values.get(usize::try_from(place).ok()?)
}

/// `values[start:stop:step]`, as in Python.
fn slice(
    values: &[Value],
    start: Option<i64>,
    stop: Option<i64>,
    step: Option<i64>,
) -> Result<Vec<Value>, &'static str> {
    let step = step.unwrap_or(1);
    let length = i64::try_from(values.len()).unwrap_or(i64::MAX);
    // The places before the first and after the last element that a walk may stand on.
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let place = |given: Option<i64>, left_out: i64| match given {
        None => left_out,
        Some(given) if given < 0 => given.saturating_add(length).max(low),
        Some(given) => given.min(high),
    };
    let (first, last) = if step > 0 { (low, high) } else { (high, low) };
    let (mut here, end) = (place(start, first), place(stop, last));
    let mut found = Vec::new();
    if step == 0 {
        return Err("a slice cannot have a step of 0");
    }
    while (step > 0 && here < end) || (step < 0 && here > end) {
        found.extend(usize::try_from(here).ok().and_then(|here| values.get(here)).cloned());
        here = here.saturating_add(step);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_the_one_that_python_would_take() {
        let values: Vec<Value> = (0..5).map(Value::from).collect();
        let table: [(Option<i64>, Option<i64>, Option<i64>, &[i64]); 10] = [
            (None, None, None, &[0, 1, 2, 3, 4]),
            (Some(1), Some(3), None, &[1, 2]),
            (Some(-2), None, None, &[3, 4]),
            (None, Some(-2), None, &[0, 1, 2]),
            (None, None, Some(2), &[0, 2, 4]),
            (None, None, Some(-1), &[4, 3, 2, 1, 0]),
            (Some(3), Some(0), Some(-1), &[3, 2, 1]),
            (Some(9), None, Some(-2), &[4, 2, 0]),
            (Some(-9), Some(9), None, &[0, 1, 2, 3, 4]),
            (Some(3), Some(1), None, &[]),
        ];
        for (start, stop, step, expected) in table {
            let expected: Vec<Value> = expected.iter().copied().map(Value::from).collect();
            assert_eq!(slice(&values, start, stop, step), Ok(expected), "[{start:?}:{stop:?}:{step:?}]");
        }
        assert!(slice(&values, None, None, Some(0)).is_err());
        assert_eq!(at(&values, -1), Some(&Value::from(4)));
        assert_eq!(at(&values, 5), None);
    }
}
