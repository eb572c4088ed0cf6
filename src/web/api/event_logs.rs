//! Who changed what: the record that the server keeps.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::store::AuditEntry;
use crate::store::query::{Cell, Listing, Test, event_log_fields};
use crate::web::Error;

use super::asked::Asked;
use super::lists::{Kind, Lists, Param, micros, pattern, prefix, value};
use super::operation::{Answer, Operation, good, may};

#[derive(Serialize, ToSchema)]
#[schema(as = EventLogResponse)]
struct EventLog {
    event_log_id: i64,
    when: DateTime<Utc>,
    dag_id: Option<String>,
    task_id: Option<String>,
    run_id: Option<String>,
    map_index: Option<i32>,
    try_number: Option<i32>,
    event: String,
    logical_date: Option<DateTime<Utc>>,
    owner: Option<String>,
    /// JSON: what more is known, from where it was asked (`origin`), and how it ended (`outcome`).
    extra: Option<String>,
    dag_display_name: Option<String>,
    task_display_name: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EventLogCollectionResponse)]
struct EventLogs {
    event_logs: Vec<EventLog>,
    total_entries: u64,
}

const LISTS: Lists = Lists {
    order: event_log_fields::ALL,
    usual: "id",
    filters: &[
        value("dag_id", event_log_fields::DAG_ID),
        value("task_id", event_log_fields::TASK_ID),
        value("run_id", event_log_fields::RUN_ID),
        value("map_index", event_log_fields::MAP_INDEX),
        value("owner", event_log_fields::OWNER),
        value("event", event_log_fields::EVENT),
        pattern("dag_id_pattern", event_log_fields::DAG_ID),
        prefix("dag_id_prefix_pattern", event_log_fields::DAG_ID),
        pattern("task_id_pattern", event_log_fields::TASK_ID),
        prefix("task_id_prefix_pattern", event_log_fields::TASK_ID),
        pattern("run_id_pattern", event_log_fields::RUN_ID),
        prefix("run_id_prefix_pattern", event_log_fields::RUN_ID),
        pattern("owner_pattern", event_log_fields::OWNER),
        prefix("owner_prefix_pattern", event_log_fields::OWNER),
        pattern("event_pattern", event_log_fields::EVENT),
        prefix("event_prefix_pattern", event_log_fields::EVENT),
    ],
};

pub fn operations() -> Vec<Operation> {
    let read = may(Action::Read, Resource::AuditLog);
    vec![
        Operation::get("/eventLogs", "get_event_logs", "Get Event Logs", read, list)
            .lists(&LISTS)
            .params([
                Param::new("included_events", Kind::Text, "Only these events.").repeated(),
                Param::new("excluded_events", Kind::Text, "Without these events.").repeated(),
                Param::new("before", Kind::Time, "Only what happened before."),
                Param::new("after", Kind::Time, "Only what happened after."),
            ])
            .answers::<EventLogs>(),
        Operation::get("/eventLogs/{event_log_id}", "get_event_log", "Get Event Log", read, get).answers::<EventLog>(),
    ]
}

impl From<AuditEntry> for EventLog {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { id, row } = entry;
        let mut extra: Map<String, Value> =
            row.extra.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        extra.insert("origin".to_owned(), row.origin.into());
        extra.insert("outcome".to_owned(), row.outcome.into());
        Self {
            event_log_id: id,
            when: row.at,
            dag_display_name: row.dag_id.clone(),
            dag_id: row.dag_id,
            task_display_name: row.task_id.clone(),
            task_id: row.task_id,
            run_id: row.run_id,
            map_index: row.map_index,
            try_number: None,
            event: row.event,
            logical_date: None,
            owner: Some(row.username),
            extra: Some(Value::Object(extra).to_string()),
        }
    }
}

async fn list(asked: Asked) -> Answer {
    let mut listing = LISTS.read(&asked)?;
    for (name, test) in [("included_events", Test::OneOf as fn(Vec<Cell>) -> Test), ("excluded_events", Test::NoneOf)] {
        let words: Vec<Cell> =
            asked.all(name).flat_map(|word| word.split(',')).filter(|word| !word.is_empty()).map(Cell::from).collect();
        if !words.is_empty() {
            listing = listing.and(event_log_fields::EVENT, test(words));
        }
    }
    if let Some(before) = asked.moment("before")? {
        listing = listing.and(event_log_fields::WHEN, Test::Below(micros(before)));
    }
    if let Some(after) = asked.moment("after")? {
        listing = listing.and(event_log_fields::WHEN, Test::Above(micros(after)));
    }
    let page = asked.web.store.list_event_logs(&listing).await?;
    good(EventLogs { total_entries: page.total, event_logs: page.rows.into_iter().map(Into::into).collect() })
}

async fn get(asked: Asked) -> Answer {
    let id: i64 = asked.number_in_path("event_log_id")?;
    let listing = Listing::first(1).only(event_log_fields::ID, Cell::Integer(id));
    let found = asked.web.store.list_event_logs(&listing).await?.rows.pop();
    let missing = || Error::NotFound(format!("The Event Log with id: `{id}` not found"));
    good(EventLog::from(found.ok_or_else(missing)?))
}
