//! The names that a template can use, with Airflow's meaning of each (SCHEDULING §15).

use std::collections::BTreeMap;

use minijinja::Value;
use minijinja::value::Serde;
use serde_json::{Map, Value as Json};

use super::datetime::{DateTimeValue, ds, ds_nodash, macros, ts, ts_nodash, ts_nodash_with_tz};
use super::lookups::Lookups;
use crate::domain::ids::{DagId, MapIndex, QueueName, RunId, TaskId, TryNumber};
use crate::domain::run::{DataInterval, RunType};
use crate::domain::time::Time;

/// What a task's templates may see: plain values, filled by the scheduler.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateContext {
    /// The DAG file, for error messages.
    pub file: String,
    pub dag_id: DagId,
    pub dag_description: Option<String>,
    pub dag_tags: Vec<String>,
    pub task_id: TaskId,
    pub owner: String,
    pub operator_name: String,
    pub queue: QueueName,
    pub retries: u32,
    pub try_number: TryNumber,
    pub map_index: MapIndex,
    pub run_id: RunId,
    pub run_type: RunType,
    /// `None` (Airflow 3): triggered without a date; then `ds`, `ts` and their kin are not there.
    pub logical_date: Option<Time>,
    pub data_interval: Option<DataInterval>,
    pub run_after: Time,
    pub run_start_date: Option<Time>,
    /// The logical dates of the neighbouring runs by the schedule, for the names that Airflow 3 removed.
    pub next_logical_date: Option<Time>,
    pub prev_logical_date: Option<Time>,
    pub previous_success: Option<PreviousSuccess>,
    /// What the run was triggered with.
    pub conf: Map<String, Json>,
    /// Merged: the DAG's, the task's, the run's conf.
    pub params: Map<String, Json>,
}

/// The newest earlier run that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreviousSuccess {
    pub data_interval: Option<DataInterval>,
    pub start_date: Option<Time>,
    pub end_date: Option<Time>,
}

/// The names that are missing in a run without a logical date.
pub(super) const NEEDS_LOGICAL_DATE: [&str; 19] = [
    "logical_date",
    "execution_date",
    "ds",
    "ds_nodash",
    "ts",
    "ts_nodash",
    "ts_nodash_with_tz",
    "data_interval_start",
    "data_interval_end",
    "yesterday_ds",
    "yesterday_ds_nodash",
    "tomorrow_ds",
    "tomorrow_ds_nodash",
    "next_ds",
    "next_ds_nodash",
    "prev_ds",
    "prev_ds_nodash",
    "next_execution_date",
    "prev_execution_date",
];

/// All names, for suggestions.
pub(super) const NAMES: [&str; 34] = [
    "dag",
    "dag_run",
    "task",
    "ti",
    "task_instance",
    "run_id",
    "params",
    "macros",
    "logical_date",
    "execution_date",
    "ds",
    "ds_nodash",
    "ts",
    "ts_nodash",
    "ts_nodash_with_tz",
    "data_interval_start",
    "data_interval_end",
    "yesterday_ds",
    "yesterday_ds_nodash",
    "tomorrow_ds",
    "tomorrow_ds_nodash",
    "next_ds",
    "next_ds_nodash",
    "prev_ds",
    "prev_ds_nodash",
    "next_execution_date",
    "prev_execution_date",
    "prev_data_interval_start_success",
    "prev_data_interval_end_success",
    "prev_start_date_success",
    "prev_end_date_success",
    "task_instance_key_str",
    "task_reschedule_count",
    "test_mode",
];

type Values = BTreeMap<&'static str, Value>;

impl TemplateContext {
    /// The context as the engine wants it.
    pub(super) fn values(&self, lookups: Option<&Lookups>) -> Value {
        let mut values = Values::new();
        values.insert("run_id", text(&self.run_id));
        values.insert("params", Value::from(Serde(&self.params)));
        values.insert("macros", macros());
        values.insert("dag", self.dag());
        values.insert("dag_run", self.dag_run());
        values.insert("task", self.task());
        let instance = match lookups {
            Some(lookups) => lookups.task_instance(self.task_instance(), self.task_id.as_str()),
            None => self.task_instance(),
        };
        if let Some(lookups) = lookups {
            values.insert("var", lookups.variables());
            values.insert("conn", lookups.connections());
        }
        values.insert("ti", instance.clone());
        values.insert("task_instance", instance);
        values.insert("task_reschedule_count", Value::from(0));
        values.insert("test_mode", Value::from(false));
        self.add_dates(&mut values);
        self.add_previous(&mut values);
        Value::from(values)
    }

    fn dag(&self) -> Value {
        Value::from(Values::from([
            ("dag_id", text(&self.dag_id)),
            ("description", Value::from(self.dag_description.clone())),
            ("tags", Value::from(self.dag_tags.clone())),
            ("owner", Value::from(self.owner.clone())),
            ("fileloc", Value::from(self.file.clone())),
        ]))
    }

    fn dag_run(&self) -> Value {
        Value::from(Values::from([
            ("dag_id", text(&self.dag_id)),
            ("run_id", text(&self.run_id)),
            ("run_type", Value::from(self.run_type.as_str())),
            ("conf", Value::from(Serde(&self.conf))),
            ("logical_date", date(self.logical_date)),
            ("execution_date", date(self.logical_date)),
            ("data_interval_start", date(self.data_interval.map(|interval| interval.start))),
            ("data_interval_end", date(self.data_interval.map(|interval| interval.end))),
            ("run_after", date(Some(self.run_after))),
            ("start_date", date(self.run_start_date)),
            ("external_trigger", Value::from(self.run_type == RunType::Manual)),
        ]))
    }

    fn task(&self) -> Value {
        Value::from(Values::from([
            ("task_id", text(&self.task_id)),
            ("owner", Value::from(self.owner.clone())),
            ("task_type", Value::from(self.operator_name.clone())),
            ("queue", text(&self.queue)),
            ("retries", Value::from(self.retries)),
        ]))
    }

    fn task_instance(&self) -> Value {
        Value::from(Values::from([
            ("dag_id", text(&self.dag_id)),
            ("task_id", text(&self.task_id)),
            ("run_id", text(&self.run_id)),
            ("try_number", Value::from(self.try_number.0)),
            ("max_tries", Value::from(self.retries)),
            ("map_index", Value::from(self.map_index.0)),
        ]))
    }

    /// Dates of the run; without a logical date the names are absent, so that using one is an error.
    fn add_dates(&self, values: &mut Values) {
        if let Some(interval) = self.data_interval {
            values.insert("data_interval_start", date(Some(interval.start)));
            values.insert("data_interval_end", date(Some(interval.end)));
        }
        let Some(logical) = self.logical_date else { return };
        let day = chrono::Duration::days(1);
        let around = [
            ("ds", "ds_nodash", Some(logical)),
            ("yesterday_ds", "yesterday_ds_nodash", logical.checked_sub_signed(day)),
            ("tomorrow_ds", "tomorrow_ds_nodash", logical.checked_add_signed(day)),
            ("next_ds", "next_ds_nodash", self.next_logical_date),
            ("prev_ds", "prev_ds_nodash", self.prev_logical_date),
        ];
        for (dashed, plain, time) in around {
            // As Airflow did: a run without a neighbour has None there.
            values.insert(dashed, time.map_or(Value::from(()), |time| Value::from(ds(time))));
            values.insert(plain, time.map_or(Value::from(()), |time| Value::from(ds_nodash(time))));
        }
        values.insert("logical_date", date(Some(logical)));
        values.insert("execution_date", date(Some(logical)));
        values.insert("next_execution_date", date(self.next_logical_date));
        values.insert("prev_execution_date", date(self.prev_logical_date));
        values.insert("ts", Value::from(ts(logical)));
        values.insert("ts_nodash", Value::from(ts_nodash(logical)));
        values.insert("ts_nodash_with_tz", Value::from(ts_nodash_with_tz(logical)));
        let key = format!("{}__{}__{}", self.dag_id, self.task_id, ds_nodash(logical));
        values.insert("task_instance_key_str", Value::from(key));
    }

    fn add_previous(&self, values: &mut Values) {
        let previous = self.previous_success;
        let interval = previous.and_then(|run| run.data_interval);
        values.insert("prev_data_interval_start_success", date(interval.map(|interval| interval.start)));
        values.insert("prev_data_interval_end_success", date(interval.map(|interval| interval.end)));
        values.insert("prev_start_date_success", date(previous.and_then(|run| run.start_date)));
        values.insert("prev_end_date_success", date(previous.and_then(|run| run.end_date)));
    }
}

fn text(value: &impl ToString) -> Value {
    Value::from(value.to_string())
}

/// A date, or Python's None.
fn date(time: Option<Time>) -> Value {
    time.map_or(Value::from(()), |time| Value::from_object(DateTimeValue::utc(time)))
}
