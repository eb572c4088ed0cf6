//! What a run of a DAG is, apart from its state.

use serde::{Deserialize, Serialize};

use super::ids::{BackfillId, InvalidId, RunId};
use super::time::Time;

/// Why a run exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunType {
    Scheduled,
    Manual,
    Backfill,
    AssetTriggered,
    OperatorTriggered,
    /// Somebody wants an asset made.
    AssetMaterialization,
}

impl RunType {
    pub const ALL: [Self; 6] = [
        Self::Scheduled,
        Self::Manual,
        Self::Backfill,
        Self::AssetTriggered,
        Self::OperatorTriggered,
        Self::AssetMaterialization,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
            Self::Backfill => "backfill",
            Self::AssetTriggered => "asset_triggered",
            Self::OperatorTriggered => "operator_triggered",
            Self::AssetMaterialization => "asset_materialization",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == word)
    }

    /// The id of a run nobody named: `<type>__<instant>`, as Airflow writes it.
    pub fn run_id(self, instant: Time) -> RunId {
        self.suffixed_run_id(instant, "").expect("a type, a date and no suffix make a valid run id")
    }

    /// The same with a suffix that keeps two runs of one instant apart.
    pub fn suffixed_run_id(self, instant: Time, suffix: &str) -> Result<RunId, InvalidId> {
        RunId::new(format!("{}__{}{suffix}", self.as_str(), iso(instant)))
    }

    /// Whose ids begin like this one, where they are made of the instant alone: nobody else may take one of those.
    pub fn reserving(id: &RunId) -> Option<Self> {
        let begins = |of: &Self| id.as_str().strip_prefix(of.as_str()).is_some_and(|rest| rest.starts_with("__"));
        [Self::Scheduled, Self::AssetTriggered].into_iter().find(begins)
    }
}

/// Which run of which backfill a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BackfillPlace {
    pub backfill: BackfillId,
    /// Its place in the order of the backfill; the first is 1.
    pub ordinal: u32,
}

/// ISO 8601 as Python's `isoformat` writes it: microseconds only if there are any.
pub fn iso(time: Time) -> String {
    if time.timestamp_subsec_micros() == 0 {
        time.format("%Y-%m-%dT%H:%M:%S+00:00").to_string()
    } else {
        time.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
    }
}

/// The stretch of data time that a run covers; start and end may be the same instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DataInterval {
    pub start: Time,
    pub end: Time,
}

impl DataInterval {
    /// The interval of length zero of the trigger timetables.
    pub fn exact(at: Time) -> Self {
        Self { start: at, end: at }
    }
}

/// A run that a timetable asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRun {
    pub logical_date: Time,
    pub interval: DataInterval,
    /// Not created before this instant.
    pub run_after: Time,
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn a_run_id_is_airflows() {
        let at = chrono::Utc.with_ymd_and_hms(2026, 11, 21, 0, 0, 0).single().expect("a date");
        assert_eq!(RunType::Scheduled.run_id(at).as_str(), "scheduled__2026-11-21T00:00:00+00:00");
        let at = at + chrono::Duration::microseconds(1500);
        assert_eq!(RunType::Manual.run_id(at).as_str(), "manual__2026-11-21T00:00:00.001500+00:00");
    }
}
