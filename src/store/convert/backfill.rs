//! Backfills.

use std::num::NonZeroU32;

use crate::domain::backfill::{BackfillRequest, Reprocess};
use crate::domain::ids::BackfillId;
use crate::store::entity::backfill;
use crate::store::write::BackfillRow;

use super::{Reading, Unreadable, json, maybe_micros, maybe_text, micros};

impl From<BackfillRow> for backfill::Model {
    fn from(row: BackfillRow) -> Self {
        let request = row.request;
        Self {
            id: row.id.0,
            dag_id: request.dag.as_str().to_owned(),
            from_date: micros(request.from),
            to_date: micros(request.to),
            run_backwards: request.backwards,
            reprocess_behavior: request.reprocess.as_str().to_owned(),
            max_active_runs: request.max_active_runs.get().into(),
            dag_run_conf: json(&request.conf),
            schedule: json(&row.schedule),
            timezone: row.timezone.name().to_owned(),
            dates: row.dates.into(),
            dealt: row.dealt.into(),
            skipped: row.skipped.into(),
            is_paused: row.is_paused,
            is_cancelled: row.is_cancelled,
            user: maybe_text(row.user),
            created_at: micros(row.created_at),
            updated_at: micros(row.updated_at),
            completed_at: maybe_micros(row.completed_at),
        }
    }
}

impl TryFrom<backfill::Model> for BackfillRow {
    type Error = Unreadable;

    fn try_from(model: backfill::Model) -> Result<Self, Unreadable> {
        let reading = Reading::new("backfill", &model.id);
        let word = &model.reprocess_behavior;
        let most: u32 = reading.small("max_active_runs", model.max_active_runs)?;
        Ok(Self {
            id: BackfillId(model.id),
            request: BackfillRequest {
                dag: reading.word(&model.dag_id)?,
                from: reading.time(model.from_date)?,
                to: reading.time(model.to_date)?,
                max_active_runs: reading.known("max_active_runs", "0", NonZeroU32::new(most))?,
                backwards: model.run_backwards,
                reprocess: reading.known("reprocess_behavior", word, Reprocess::from_word(word))?,
                conf: reading.json("dag_run_conf", &model.dag_run_conf)?,
            },
            schedule: reading.json("schedule", &model.schedule)?,
            timezone: reading.word(&model.timezone)?,
            dates: reading.small("dates", model.dates)?,
            dealt: reading.small("dealt", model.dealt)?,
            skipped: reading.small("skipped", model.skipped)?,
            is_paused: model.is_paused,
            is_cancelled: model.is_cancelled,
            created_at: reading.time(model.created_at)?,
            updated_at: reading.time(model.updated_at)?,
            completed_at: reading.maybe_time(model.completed_at)?,
            user: model.user,
        })
    }
}
