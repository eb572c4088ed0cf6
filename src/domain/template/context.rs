//! The names that a template can use, with Airflow's meaning of each (SCHEDULING §15).

use std::collections::BTreeMap;

use minijinja::Value;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::datetime::{DateTimeValue, ds, ds_nodash, macros, ts, ts_nodash, ts_nodash_with_tz};
use super::lookups::Lookups;
use crate::domain::asset::{AssetEvent, Linked};
use crate::domain::ids::{DagId, MapIndex, QueueName, RunId, TaskId, TryNumber};
use crate::domain::notification::{About, Notice};
use crate::domain::run::{DataInterval, RunType, iso};
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
    /// What makes an instance of a mapped task, or of a task in a mapped group, differ from the others.
    pub mapped: Map<String, Json>,
    /// How many instances the task has.
    pub expanded_ti_count: Option<u32>,
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
    pub max_tries: i32,
    pub inlets: Vec<Linked>,
    pub outlets: Vec<Linked>,
    /// What the run was made of, where that was assets.
    pub asset_events: Vec<AssetEvent>,
    /// Airflow 2: `xcom_pull` that names no task takes the newest value of any.
    pub xcom_of_any_task: bool,
    /// A template that is alone in its field keeps the type of its value.
    pub native_templates: bool,
    /// What the run was triggered with.
    pub conf: Map<String, Json>,
    /// Merged: the DAG's, the task's, the run's conf.
    pub params: Map<String, Json>,
    /// Of a notification: what happened.
    pub notice: Option<Notice>,
    /// Where people read the log of the attempt.
    pub log_url: String,
}

/// The newest earlier run that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousSuccess {
    pub data_interval: Option<DataInterval>,
    pub start_date: Option<Time>,
    pub end_date: Option<Time>,
}

/// The names that are missing in a run without a logical date.
pub(super) const NEEDS_LOGICAL_DATE: [&str; 20] = [
    "task_instance_key_str",
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

/// The names that every run has.
const OTHER_NAMES: [&str; 31] = [
    "mapped",
    "exception",
    "exception_html",
    "notification",
    "try_number",
    "max_tries",
    "reason",
    "deadline",
    "dag",
    "dag_run",
    "task",
    "ti",
    "task_instance",
    "run_id",
    "map_index",
    "params",
    "macros",
    "var",
    "conn",
    "inlets",
    "outlets",
    "triggering_asset_events",
    "triggering_dataset_events",
    "prev_data_interval_start_success",
    "prev_data_interval_end_success",
    "prev_start_date_success",
    "prev_end_date_success",
    "task_reschedule_count",
    "templates_dict",
    "expanded_ti_count",
    "test_mode",
];

/// All names, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    NEEDS_LOGICAL_DATE.into_iter().chain(OTHER_NAMES)
}

type Values = BTreeMap<&'static str, Value>;

impl TemplateContext {
    /// The context as the engine wants it.
    pub(super) fn values(&self, lookups: Option<&Lookups>) -> Value {
        let mut values = Values::new();
        values.insert("mapped", Value::from(Serde(&self.mapped)));
        values.insert("expanded_ti_count", Value::from(self.expanded_ti_count));
        values.insert("map_index", Value::from(self.map_index.0));
        values.insert("run_id", text(&self.run_id));
        values.insert("params", Value::from(Serde(&self.params)));
        values.insert("macros", macros());
        values.insert("dag", self.dag());
        values.insert("dag_run", self.dag_run());
        values.insert("task", self.task());
        let instance = match lookups {
            Some(lookups) => lookups.task_instance(self.task_instance(), self.task_id.as_str(), self.xcom_of_any_task),
            None => self.task_instance(),
        };
        if let Some(lookups) = lookups {
            values.insert("var", lookups.variables());
            values.insert("conn", lookups.connections());
        }
        values.insert("ti", instance.clone());
        values.insert("task_instance", instance);
        values.insert("inlets", self.inlets.iter().map(link).collect());
        values.insert("outlets", self.outlets.iter().map(link).collect());
        let triggering = self.triggering_events();
        values.insert("triggering_asset_events", triggering.clone());
        values.insert("triggering_dataset_events", triggering);
        values.insert("templates_dict", Value::from(()));
        values.insert("task_reschedule_count", Value::from(0));
        values.insert("test_mode", Value::from(false));
        self.add_dates(&mut values);
        self.add_previous(&mut values);
        self.add_notice(&mut values);
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
        let notice = self.notice.as_ref();
        Value::from(Values::from([
            ("state", Value::from(notice.map_or("running", |notice| &notice.run_state))),
            ("end_date", date(notice.and_then(|notice| notice.run_ended_at))),
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
            ("consumed_asset_events", self.asset_events.iter().map(event).collect()),
        ]))
    }

    /// As in Airflow, an instance of a mapped task has the values that it was given as its own.
    fn task(&self) -> Value {
        let given = self.mapped.iter().map(|(name, value)| (name.clone(), Value::from(Serde(value))));
        let own = [
            ("op_kwargs", Value::from(Serde(&self.mapped))),
            ("task_id", text(&self.task_id)),
            ("owner", Value::from(self.owner.clone())),
            ("task_type", Value::from(self.operator_name.clone())),
            ("queue", text(&self.queue)),
            ("retries", Value::from(self.retries)),
            ("inlets", self.inlets.iter().map(link).collect()),
            ("outlets", self.outlets.iter().map(link).collect()),
        ];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
        Value::from(given.chain(own).collect::<BTreeMap<String, Value>>())
    }

    fn task_instance(&self) -> Value {
        let notice = self.notice.as_ref();
        let (start, end) = (notice.and_then(|n| n.started_at), notice.and_then(|n| n.ended_at));
        let duration = start.zip(end).and_then(|(start, end)| (end - start).to_std().ok());
        Value::from(Values::from([
            ("state", Value::from(notice.map_or("running", |notice| &notice.state))),
            ("start_date", date(start)),
            ("end_date", date(end)),
            ("duration", duration.map_or(Value::from(()), |length| Value::from(length.as_secs_f64()))),
            ("hostname", Value::from(notice.and_then(|notice| notice.hostname.as_deref()).unwrap_or_default())),
            ("operator", Value::from(self.operator_name.clone())),
            ("log_url", Value::from(self.log_url.clone())),
            ("mark_success_url", Value::from(self.log_url.clone())),
            ("dag_id", text(&self.dag_id)),
            ("task_id", text(&self.task_id)),
            ("run_id", text(&self.run_id)),
            ("try_number", Value::from(self.try_number.0)),
            ("max_tries", Value::from(self.max_tries)),
            ("map_index", Value::from(self.map_index.0)),
            ("logical_date", date(self.logical_date)),
            ("execution_date", date(self.logical_date)),
            ("queue", text(&self.queue)),
            ("owner", Value::from(self.owner.clone())),
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

    /// By the URI of the asset, each with its events, oldest first.
    fn triggering_events(&self) -> Value {
        let mut by_asset: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for one in &self.asset_events {
            by_asset.entry(one.uri.clone()).or_default().push(event(one));
        }
        Value::from(by_asset)
    }

    /// What a callback may know besides what a task may.
    fn add_notice(&self, values: &mut Values) {
        let Some(notice) = &self.notice else { return };
        let or_none = |text: &Option<String>| text.as_ref().map_or(Value::from(()), Value::from);
        values.insert("exception", or_none(&notice.exception));
        let html = notice.exception.as_deref().map(as_html);
        values.insert("exception_html", or_none(&html));
        values.insert("reason", or_none(&notice.reason));
        values.insert("deadline", Value::from(()));
        values.insert("try_number", Value::from(self.try_number.0));
        values.insert("max_tries", Value::from(self.max_tries));
        values.insert("notification", Value::from(Serde(self.said(notice))));
        if let Some(missed) = &notice.deadline {
            let deadline = [("name", or_none(&missed.name)), ("deadline_time", date(Some(missed.due_at)))];
            values.insert("deadline", Value::from(Values::from(deadline)));
        }
    }

    /// What happened, in plain values: what a webhook sends.
    fn said(&self, notice: &Notice) -> Json {
        let task = (notice.about == About::Task).then_some(&self.task_id);
        let missed = notice.deadline.as_ref();
        json!({
            "event": notice.occasion.as_str(),
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "logical_date": self.logical_date.map(iso),
            "task_id": task,
            "map_index": task.map(|_| self.map_index.0),
            "try_number": task.map(|_| self.try_number.0),
            "state": notice.state,
            "exception": notice.exception,
            "reason": notice.reason,
            "deadline": missed.map(|missed| json!({ "name": missed.name, "deadline_time": iso(missed.due_at) })),
            "log_url": self.log_url,
        })
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

/// A text for a page: nothing in it is markup, and its lines stay lines.
fn as_html(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#x27;"),
            '\n' => html.push_str("<br>"),
            other => html.push(other),
        }
    }
    html
}

/// An asset or an alias as a task names it.
fn link(link: &Linked) -> Value {
    match link {
        Linked::Alias(name) => Value::from(Values::from([("name", text(name))])),
        Linked::Asset(asset) => Value::from(Values::from([
            ("name", text(&asset.name)),
            ("uri", text(&asset.uri)),
            ("group", text(&asset.group)),
            ("extra", Value::from(Serde(&asset.extra))),
        ])),
    }
}

fn event(event: &AssetEvent) -> Value {
    let source = &event.source;
    let interval = source.interval;
    let asset = Value::from(Values::from([("name", text(&event.asset)), ("uri", text(&event.uri))]));
    let run = Values::from([
        ("dag_id", text(&source.dag)),
        ("run_id", text(&source.run)),
        ("data_interval_start", date(interval.map(|interval| interval.start))),
        ("data_interval_end", date(interval.map(|interval| interval.end))),
        ("logical_date", date(interval.map(|interval| interval.start))),
    ]);
    Value::from(Values::from([
        ("asset", asset.clone()),
        ("dataset", asset),
        ("uri", text(&event.uri)),
        ("extra", Value::from(Serde(&event.extra))),
        ("timestamp", date(Some(event.at))),
        ("source_dag_id", text(&source.dag)),
        ("source_run_id", text(&source.run)),
        ("source_task_id", text(&source.task)),
        ("source_map_index", Value::from(source.map_index.0)),
        ("source_dag_run", Value::from(run)),
    ]))
}

fn text(value: &impl ToString) -> Value {
    Value::from(value.to_string())
}

/// A date, or Python's None.
fn date(time: Option<Time>) -> Value {
    time.map_or(Value::from(()), |time| Value::from_object(DateTimeValue::utc(time)))
}
