//! Task instances and the values they pushed.

use crate::domain::ids::{AttemptId, MapIndex, RunKey, TryNumber};
use crate::store::entity::{task_instance, xcom};
use crate::store::write::{TaskRow, XComRow};

use super::{Reading, Unreadable, json, maybe_micros, maybe_text, micros, text};

impl From<TaskRow> for task_instance::Model {
    fn from(row: TaskRow) -> Self {
        Self {
            run: row.run.0,
            task_id: row.task_id.as_str().to_owned(),
            map_index: row.map_index.0,
            state: row.state.as_str().to_owned(),
            try_number: row.try_number.0,
            max_tries: row.max_tries,
            infra_tries: row.infra_tries,
            attempt: row.attempt.map(|attempt| attempt.0),
            operator: text(row.operator),
            pool: row.pool.as_str().to_owned(),
            pool_slots: row.pool_slots.into(),
            queue: row.queue.as_str().to_owned(),
            priority_weight: row.priority_weight,
            scheduled_at: maybe_micros(row.scheduled_at),
            queued_at: maybe_micros(row.queued_at),
            started_at: maybe_micros(row.started_at),
            ended_at: maybe_micros(row.ended_at),
            next_try_at: maybe_micros(row.next_try_at),
            hostname: maybe_text(row.hostname),
            pid: row.pid.map(Into::into),
            note: maybe_text(row.note),
            journal: (!row.journal.is_empty()).then(|| json(&row.journal)),
            waiting: row.waiting.map(|waiting| json(&waiting)),
            xcom_lengths: (!row.xcom_lengths.is_empty()).then(|| json(&row.xcom_lengths)),
        }
    }
}

impl TryFrom<task_instance::Model> for TaskRow {
    type Error = Unreadable;

    fn try_from(model: task_instance::Model) -> Result<Self, Unreadable> {
        let row = TaskOf(model.run, &model.task_id, model.map_index);
        let reading = Reading::new("task_instance", &row);
        Ok(Self {
            run: RunKey(model.run),
            task_id: reading.word(&model.task_id)?,
            map_index: MapIndex(model.map_index),
            state: reading.word(&model.state)?,
            try_number: TryNumber(model.try_number),
            max_tries: model.max_tries,
            infra_tries: model.infra_tries,
            attempt: model.attempt.map(AttemptId),
            pool: reading.word(&model.pool)?,
            pool_slots: reading.small("pool_slots", model.pool_slots)?,
            queue: reading.word(&model.queue)?,
            priority_weight: model.priority_weight,
            scheduled_at: reading.maybe_time(model.scheduled_at)?,
            queued_at: reading.maybe_time(model.queued_at)?,
            started_at: reading.maybe_time(model.started_at)?,
            ended_at: reading.maybe_time(model.ended_at)?,
            next_try_at: reading.maybe_time(model.next_try_at)?,
            pid: model.pid.map(|pid| reading.small("pid", pid)).transpose()?,
            operator: model.operator,
            hostname: model.hostname,
            note: model.note,
            journal: model.journal.map(|text| reading.json("journal", &text)).transpose()?.unwrap_or_default(),
            waiting: model.waiting.map(|text| reading.json("waiting", &text)).transpose()?.map(Box::new),
            xcom_lengths: model
                .xcom_lengths
                .map(|text| reading.json("xcom_lengths", &text))
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

impl From<XComRow> for xcom::Model {
    fn from(row: XComRow) -> Self {
        Self {
            run: row.run.0,
            task_id: row.task_id.as_str().to_owned(),
            map_index: row.map_index.0,
            key: text(row.key),
            value: json(&row.value),
            at: micros(row.at),
        }
    }
}

impl TryFrom<xcom::Model> for XComRow {
    type Error = Unreadable;

    fn try_from(model: xcom::Model) -> Result<Self, Unreadable> {
        let row = TaskOf(model.run, &model.task_id, model.map_index);
        let reading = Reading::new("xcom", &row);
        Ok(Self {
            run: RunKey(model.run),
            task_id: reading.word(&model.task_id)?,
            map_index: MapIndex(model.map_index),
            value: reading.json("value", &model.value)?,
            at: reading.time(model.at)?,
            key: model.key,
        })
    }
}

/// A task instance as its key names it.
struct TaskOf<'a>(i64, &'a str, i32);

impl std::fmt::Display for TaskOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of run {} [{}]", self.1, self.0, self.2)
    }
}
