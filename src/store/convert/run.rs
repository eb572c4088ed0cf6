//! Runs.

use crate::domain::ids::{BackfillId, RunKey, VersionNumber};
use crate::domain::run::{BackfillPlace, RunType};
use crate::protocol::control::TriggeredBy;
use crate::store::entity::dag_run;
use crate::store::write::RunRow;

use super::{Reading, Unreadable, ends, json, maybe_micros, maybe_text, micros};

impl From<RunRow> for dag_run::Model {
    fn from(row: RunRow) -> Self {
        let (interval_start, interval_end) = ends(row.interval);
        Self {
            id: row.key.0,
            dag_id: row.dag_id.as_str().to_owned(),
            run_id: row.run_id.as_str().to_owned(),
            run_type: row.run_type.as_str().to_owned(),
            state: row.state.as_str().to_owned(),
            version: row.version.0,
            logical_date: maybe_micros(row.logical_date),
            interval_start,
            interval_end,
            run_after: micros(row.run_after),
            conf: json(&row.conf),
            note: maybe_text(row.note),
            triggered_by: row.triggered_by.as_str().to_owned(),
            user: maybe_text(row.user),
            queued_at: micros(row.queued_at),
            started_at: maybe_micros(row.started_at),
            ended_at: maybe_micros(row.ended_at),
            clear_number: row.clear_number,
            backfill: row.backfill.map(|place| place.backfill.0),
            backfill_ordinal: row.backfill.map(|place| place.ordinal.into()),
        }
    }
}

impl TryFrom<dag_run::Model> for RunRow {
    type Error = Unreadable;

    fn try_from(model: dag_run::Model) -> Result<Self, Unreadable> {
        let reading = Reading::new("dag_run", &model.id);
        Ok(Self {
            key: RunKey(model.id),
            dag_id: reading.word(&model.dag_id)?,
            run_id: reading.word(&model.run_id)?,
            run_type: reading.known("run_type", &model.run_type, RunType::from_word(&model.run_type))?,
            state: reading.word(&model.state)?,
            version: VersionNumber(model.version),
            logical_date: reading.maybe_time(model.logical_date)?,
            interval: reading.interval(model.interval_start, model.interval_end)?,
            run_after: reading.time(model.run_after)?,
            conf: reading.json("conf", &model.conf)?,
            triggered_by: reading.known(
                "triggered_by",
                &model.triggered_by,
                TriggeredBy::from_word(&model.triggered_by),
            )?,
            queued_at: reading.time(model.queued_at)?,
            started_at: reading.maybe_time(model.started_at)?,
            ended_at: reading.maybe_time(model.ended_at)?,
            clear_number: model.clear_number,
            backfill: place(&reading, model.backfill, model.backfill_ordinal)?,
            note: model.note,
            user: model.user,
        })
    }
}

fn place(
    reading: &Reading<'_>,
    backfill: Option<i64>,
    ordinal: Option<i64>,
) -> Result<Option<BackfillPlace>, Unreadable> {
    match (backfill, ordinal) {
        (Some(id), Some(ordinal)) => {
            let ordinal = reading.small("backfill_ordinal", ordinal)?;
            Ok(Some(BackfillPlace { backfill: BackfillId(id), ordinal }))
        }
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(reading.fail("its place in a backfill is incomplete")),
    }
}
