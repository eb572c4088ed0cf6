//! Notifications and deadlines.

use crate::domain::deadline::DeadlineState;
use crate::domain::ids::{MapIndex, NotificationId, RunKey, TryNumber};
use crate::domain::notification::{NotificationState, Occasion};
use crate::store::entity::{deadline, notification};
use crate::store::write::{DeadlineRow, NotificationRow};

use super::{Reading, Unreadable, json, maybe_micros, maybe_text, micros};

impl From<NotificationRow> for notification::Model {
    fn from(row: NotificationRow) -> Self {
        Self {
            id: row.id.0,
            run: row.run.0,
            dag_id: row.message.key.dag.as_str().to_owned(),
            run_id: row.message.key.run.as_str().to_owned(),
            task_id: row.task_id.map(|task| task.as_str().to_owned()),
            map_index: row.map_index.0,
            try_number: row.try_number.0,
            occasion: row.occasion.as_str().to_owned(),
            number: row.number.into(),
            message: json(&row.message),
            state: row.state.as_str().to_owned(),
            failed_tries: row.failed_tries.into(),
            next_try_at: maybe_micros(row.next_try_at),
            created_at: micros(row.created_at),
            ended_at: maybe_micros(row.ended_at),
            error: maybe_text(row.error),
        }
    }
}

impl TryFrom<notification::Model> for NotificationRow {
    type Error = Unreadable;

    fn try_from(model: notification::Model) -> Result<Self, Unreadable> {
        let reading = Reading::new("notification", &model.id);
        Ok(Self {
            id: NotificationId(model.id),
            run: RunKey(model.run),
            task_id: model.task_id.as_deref().map(|task| reading.word(task)).transpose()?,
            map_index: MapIndex(model.map_index),
            try_number: TryNumber(model.try_number),
            occasion: reading.known("occasion", &model.occasion, Occasion::from_word(&model.occasion))?,
            number: reading.small("number", model.number)?,
            message: reading.json("message", &model.message)?,
            state: reading.known("state", &model.state, NotificationState::from_word(&model.state))?,
            failed_tries: reading.small("failed_tries", model.failed_tries)?,
            next_try_at: reading.maybe_time(model.next_try_at)?,
            created_at: reading.time(model.created_at)?,
            ended_at: reading.maybe_time(model.ended_at)?,
            error: model.error,
        })
    }
}

impl From<DeadlineRow> for deadline::Model {
    fn from(row: DeadlineRow) -> Self {
        Self {
            run: row.run.0,
            number: row.number.into(),
            name: maybe_text(row.name),
            due_at: micros(row.due_at),
            state: row.state.as_str().to_owned(),
            settled_at: maybe_micros(row.settled_at),
        }
    }
}

impl TryFrom<deadline::Model> for DeadlineRow {
    type Error = Unreadable;

    fn try_from(model: deadline::Model) -> Result<Self, Unreadable> {
        let name = format!("{} of run {}", model.number, model.run);
        let reading = Reading::new("deadline", &name);
        Ok(Self {
            run: RunKey(model.run),
            number: reading.small("number", model.number)?,
            due_at: reading.time(model.due_at)?,
            state: reading.known("state", &model.state, DeadlineState::from_word(&model.state))?,
            settled_at: reading.maybe_time(model.settled_at)?,
            name: model.name,
        })
    }
}
