//! The record of what people did. It is only ever added to.

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{ColumnTrait, EntityTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use crate::domain::time::Time;

use super::convert::{Reading, Unreadable, maybe_text, micros, text};
use super::entity::audit_log;
use super::error::StoreError;
use super::open::Store;

/// One deed. Never holds a secret.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    pub at: Time,
    /// Airflow's word for it, where it has one: `trigger_dag_run`.
    pub event: String,
    pub username: String,
    /// How and from where: `session from 10.0.0.7`.
    pub origin: String,
    /// `done`, or why it was refused.
    pub outcome: String,
    pub dag_id: Option<String>,
    pub run_id: Option<String>,
    pub task_id: Option<String>,
    pub map_index: Option<i32>,
    /// What else there is to know, as JSON.
    pub extra: Option<String>,
}

/// A deed with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    pub id: i64,
    pub row: AuditRow,
}

/// Which deeds are meant; what is not set does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditFilter {
    pub dag_id: Option<String>,
    pub run_id: Option<String>,
    pub task_id: Option<String>,
    pub map_index: Option<i32>,
    pub username: Option<String>,
    pub event: Option<String>,
    pub included_events: Vec<String>,
    pub excluded_events: Vec<String>,
    pub before: Option<Time>,
    pub after: Option<Time>,
    pub limit: u64,
    pub offset: u64,
    /// The oldest first; otherwise the newest.
    pub oldest_first: bool,
}

impl Store {
    pub async fn record(&self, row: AuditRow) -> Result<(), StoreError> {
        self.insert(audit_log::ActiveModel {
            id: NotSet,
            at: Set(micros(row.at)),
            event: Set(clipped(row.event, 64)),
            username: Set(clipped(row.username, 250)),
            origin: Set(text(row.origin)),
            outcome: Set(text(row.outcome)),
            dag_id: Set(row.dag_id.map(|id| clipped(id, 250))),
            run_id: Set(row.run_id.map(|id| clipped(id, 250))),
            task_id: Set(row.task_id.map(|id| clipped(id, 250))),
            map_index: Set(row.map_index),
            extra: Set(maybe_text(row.extra)),
        })
        .await
    }

    /// What is meant, and how much there is without limit and offset.
    pub async fn audit_log(&self, filter: &AuditFilter) -> Result<(Vec<AuditEntry>, u64), StoreError> {
        let meant = meant(filter);
        let total = meant.clone().count(&self.read).await.map_err(|error| self.location.explain(&error))?;
        let order = if filter.oldest_first { Order::Asc } else { Order::Desc };
        let page = meant.order_by(audit_log::Column::Id, order).limit(filter.limit).offset(filter.offset);
        Ok((self.read_all(page.all(&self.read).await)?, total))
    }

    pub async fn audit_entry(&self, id: i64) -> Result<Option<AuditEntry>, StoreError> {
        self.read_one(audit_log::Entity::find_by_id(id).one(&self.read).await)
    }
}

fn meant(filter: &AuditFilter) -> Select<audit_log::Entity> {
    use audit_log::Column;
    let mut query = audit_log::Entity::find();
    for (column, value) in [
        (Column::DagId, &filter.dag_id),
        (Column::RunId, &filter.run_id),
        (Column::TaskId, &filter.task_id),
        (Column::Username, &filter.username),
        (Column::Event, &filter.event),
    ] {
        if let Some(value) = value {
            query = query.filter(column.eq(value));
        }
    }
    if let Some(map_index) = filter.map_index {
        query = query.filter(Column::MapIndex.eq(map_index));
    }
    if !filter.included_events.is_empty() {
        query = query.filter(Column::Event.is_in(&filter.included_events));
    }
    if !filter.excluded_events.is_empty() {
        query = query.filter(Column::Event.is_not_in(&filter.excluded_events));
    }
    if let Some(before) = filter.before {
        query = query.filter(Column::At.lt(micros(before)));
    }
    if let Some(after) = filter.after {
        query = query.filter(Column::At.gt(micros(after)));
    }
    query
}

/// What somebody typed as a name may be longer than any name: the record is made all the same.
fn clipped(value: String, characters: usize) -> String {
    text(value.chars().take(characters).collect())
}

impl TryFrom<audit_log::Model> for AuditEntry {
    type Error = Unreadable;

    fn try_from(model: audit_log::Model) -> Result<Self, Unreadable> {
        let at = Reading::new("audit_log", &model.id).time(model.at)?;
        let row = AuditRow {
            at,
            event: model.event,
            username: model.username,
            origin: model.origin,
            outcome: model.outcome,
            dag_id: model.dag_id,
            run_id: model.run_id,
            task_id: model.task_id,
            map_index: model.map_index,
            extra: model.extra,
        };
        Ok(Self { id: model.id, row })
    }
}
