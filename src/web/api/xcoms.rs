//! Values that tasks left for others.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::store::query::{Cell, xcom_fields};
use crate::store::write::{RunRow, XComRow};
use crate::web::Error;

use super::asked::Asked;
use super::find::{self, ALL};
use super::lists::{Kind, Lists, Param, pattern, prefix, range, value};
use super::operation::{Answer, Operation, good, may};

#[derive(Serialize, ToSchema)]
#[schema(as = XComResponse)]
struct XCom {
    key: String,
    timestamp: DateTime<Utc>,
    logical_date: Option<DateTime<Utc>>,
    map_index: i32,
    task_id: String,
    dag_id: String,
    run_id: String,
    dag_display_name: String,
    task_display_name: String,
    run_after: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = XComResponseNative)]
struct XComWithValue {
    #[serde(flatten)]
    xcom: XCom,
    /// A text, unless `stringify` is false: then what the task left.
    #[schema(value_type = Value)]
    value: Value,
}

#[derive(Serialize, ToSchema)]
#[schema(as = XComCollectionResponse)]
struct XComs {
    xcom_entries: Vec<XCom>,
    total_entries: u64,
}

const LISTS: Lists = Lists {
    order: xcom_fields::ALL,
    usual: "",
    filters: &[
        value("xcom_key", xcom_fields::KEY),
        pattern("xcom_key_pattern", xcom_fields::KEY),
        prefix("xcom_key_prefix_pattern", xcom_fields::KEY),
        value("map_index", xcom_fields::MAP_INDEX),
        value("map_index_filter", xcom_fields::MAP_INDEX),
        pattern("dag_display_name_pattern", xcom_fields::DAG_ID),
        prefix("dag_display_name_prefix_pattern", xcom_fields::DAG_ID),
        pattern("run_id_pattern", xcom_fields::RUN_ID),
        prefix("run_id_prefix_pattern", xcom_fields::RUN_ID),
        pattern("task_id_pattern", xcom_fields::TASK_ID),
        prefix("task_id_prefix_pattern", xcom_fields::TASK_ID),
        range("logical_date", xcom_fields::LOGICAL_DATE),
        range("run_after", xcom_fields::RUN_AFTER),
    ],
};

pub fn operations() -> Vec<Operation> {
    let read = may(Action::Read, Resource::XCom);
    let at = "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/xcomEntries";
    vec![
        Operation::get(at, "get_xcom_entries", "Get Xcom Entries", read, list).lists(&LISTS).answers::<XComs>(),
        Operation::get(format!("{at}/{{xcom_key:.+}}").leak(), "get_xcom_entry", "Get Xcom Entry", read, get)
            .params([
                Param::new("map_index", Kind::Integer, "Which element of a mapped task."),
                Param::new("deserialize", Kind::Flag, "Values are always readable here."),
                Param::new("stringify", Kind::Flag, "The value as a text; true unless said."),
            ])
            .answers::<XComWithValue>(),
    ]
}

impl XCom {
    fn of(run: &RunRow, row: &XComRow) -> Self {
        Self {
            key: row.key.clone(),
            timestamp: row.at,
            logical_date: run.logical_date,
            map_index: row.map_index.0,
            task_id: row.task_id.to_string(),
            task_display_name: row.task_id.to_string(),
            dag_id: run.dag_id.to_string(),
            dag_display_name: run.dag_id.to_string(),
            run_id: run.run_id.to_string(),
            run_after: run.run_after,
        }
    }
}

async fn list(asked: Asked) -> Answer {
    let mut listing = LISTS.read(&asked)?;
    let (dag, run, task) = (asked.path("dag_id"), asked.path("dag_run_id"), asked.path("task_id"));
    if dag != ALL && run != ALL {
        listing = listing.only(xcom_fields::RUN, Cell::Integer(find::run(&asked).await?.key.0));
    } else {
        if dag != ALL {
            listing = listing.only(xcom_fields::DAG_ID, find::dag(&asked).await?.row.dag_id.as_str());
        }
        if run != ALL {
            listing = listing.only(xcom_fields::RUN_ID, run);
        }
    }
    if task != ALL {
        listing = listing.only(xcom_fields::TASK_ID, task);
    }
    let page = asked.web.store.list_xcoms(&listing).await?;
    let keys: Vec<_> = page.rows.iter().map(|row| row.run).collect();
    let runs = asked.web.store.runs_by_key(&keys).await?;
    let shown = |row: &XComRow| runs.get(&row.run).map(|run| XCom::of(run, row));
    good(XComs { total_entries: page.total, xcom_entries: page.rows.iter().filter_map(shown).collect() })
}

async fn get(asked: Asked) -> Answer {
    let run = find::run(&asked).await?;
    let (task, map_index, key) = (find::task_id(&asked, &run)?, find::map_index(&asked)?, asked.path("xcom_key"));
    let stringify = asked.flag("stringify")?.unwrap_or(true);
    let found = asked.web.store.xcom(run.key, &task, map_index, key).await?;
    let row = found.ok_or_else(|| Error::NotFound(format!("XCom entry with key: `{key}` not found")))?;
    let xcom = XCom::of(&run, &row);
    let value = match row.value {
        Value::String(text) => Value::String(text),
        Value::Null => Value::Null,
        value if stringify => Value::String(value.to_string()),
        value => value,
    };
    good(XComWithValue { xcom, value })
}
