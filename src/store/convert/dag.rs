//! DAGs and their versions.

use crate::domain::ids::{DagId, VersionNumber};
use crate::domain::run::PlannedRun;
use crate::store::entity::{dag, dag_version};
use crate::store::write::{DagRow, VersionRow};

use super::{Reading, Unreadable, ends, json, maybe_micros, micros, text};

impl From<DagRow> for dag::Model {
    fn from(row: DagRow) -> Self {
        let (last_interval_start, last_interval_end) = ends(row.last_interval);
        let (next_interval_start, next_interval_end) = ends(row.next_run.map(|next| next.interval));
        Self {
            dag_id: row.dag_id.as_str().to_owned(),
            version: row.version.0,
            is_paused: row.is_paused,
            is_stale: row.is_stale,
            file: text(row.file),
            last_interval_start,
            last_interval_end,
            next_logical_date: maybe_micros(row.next_run.map(|next| next.logical_date)),
            next_interval_start,
            next_interval_end,
            next_run_after: maybe_micros(row.next_run.map(|next| next.run_after)),
            parsed_at: micros(row.parsed_at),
        }
    }
}

impl TryFrom<dag::Model> for DagRow {
    type Error = Unreadable;

    fn try_from(model: dag::Model) -> Result<Self, Unreadable> {
        let reading = Reading::new("dag", &model.dag_id);
        let next_interval = reading.interval(model.next_interval_start, model.next_interval_end)?;
        let next_run = match (model.next_logical_date, next_interval, model.next_run_after) {
            (Some(logical_date), Some(interval), Some(run_after)) => Some(PlannedRun {
                logical_date: reading.time(logical_date)?,
                interval,
                run_after: reading.time(run_after)?,
            }),
            (None, None, None) => None,
            _ => return Err(reading.fail("the next run is there only in part")),
        };
        Ok(Self {
            dag_id: reading.word(&model.dag_id)?,
            version: VersionNumber(model.version),
            is_paused: model.is_paused,
            is_stale: model.is_stale,
            last_interval: reading.interval(model.last_interval_start, model.last_interval_end)?,
            next_run,
            parsed_at: reading.time(model.parsed_at)?,
            file: model.file,
        })
    }
}

impl From<VersionRow> for dag_version::Model {
    fn from(row: VersionRow) -> Self {
        Self {
            dag_id: row.dag_id.as_str().to_owned(),
            version: row.version.0,
            hash: row.hash,
            definition: json(&row.definition),
            source: text(row.source),
            created_at: micros(row.created_at),
        }
    }
}

impl TryFrom<dag_version::Model> for VersionRow {
    type Error = Unreadable;

    fn try_from(model: dag_version::Model) -> Result<Self, Unreadable> {
        let row = VersionOf(&model.dag_id, model.version);
        let reading = Reading::new("dag_version", &row);
        Ok(Self {
            dag_id: reading.word::<DagId>(&model.dag_id)?,
            version: VersionNumber(model.version),
            definition: reading.json("definition", &model.definition)?,
            created_at: reading.time(model.created_at)?,
            hash: model.hash,
            source: model.source,
        })
    }
}

/// A version as people name it.
struct VersionOf<'a>(&'a str, i32);

impl std::fmt::Display for VersionOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} v{}", self.0, self.1)
    }
}
