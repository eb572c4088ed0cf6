//! Workers.

use crate::domain::ids::{Incarnation, WorkerId};
use crate::domain::limit::Limit;
use crate::domain::worker::WorkerStatus;
use crate::store::entity::worker;
use crate::store::write::WorkerRow;

use super::{Reading, Unreadable, json, micros, text};

impl From<WorkerRow> for worker::Model {
    fn from(row: WorkerRow) -> Self {
        Self {
            id: row.id.0,
            name: text(row.name),
            incarnation: row.incarnation.0,
            seen_at: micros(row.seen_at),
            state: row.status.as_str().to_owned(),
            host: Some(text(row.host)),
            slots: u32::from(row.slots).into(),
            queues: Some(json(&row.queues)),
            version: Some(text(row.version)),
            understands: row.understands.into(),
        }
    }
}

impl TryFrom<worker::Model> for WorkerRow {
    type Error = Unreadable;

    fn try_from(model: worker::Model) -> Result<Self, Unreadable> {
        let reading = Reading::new("worker", &model.id);
        let slots: u32 = reading.small("slots", model.slots)?;
        Ok(Self {
            id: WorkerId(model.id),
            incarnation: Incarnation(model.incarnation),
            status: reading.known("state", &model.state, WorkerStatus::from_word(&model.state))?,
            slots: Limit::from(slots),
            queues: model.queues.map(|queues| reading.json("queues", &queues)).transpose()?.unwrap_or_default(),
            version: model.version.unwrap_or_default(),
            understands: reading.small("understands", model.understands.into())?,
            seen_at: reading.time(model.seen_at)?,
            name: model.name,
            host: model.host.unwrap_or_default(),
        })
    }
}
