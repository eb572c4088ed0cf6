//! Deadlines of a run (Airflow 3.1's `DeadlineAlert`): by when it should have succeeded, and who is told when it has not.
//!
//! A deadline ends nothing: the run goes on. Nothing here keeps time.

use serde::{Deserialize, Serialize};

use super::notification::Notification;
use super::time::Time;

/// One deadline of every run of a DAG.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub reference: Reference,
    /// Seconds after the reference; negative is before it.
    pub interval: f64,
    pub callback: Vec<Notification>,
}

/// From when a deadline is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", content = "at", rename_all = "snake_case")]
pub enum Reference {
    /// When the run was queued.
    DagrunQueuedAt,
    /// The run's logical date: a run of the past is late at once.
    DagrunLogicalDate,
    /// The same instant for every run.
    FixedDatetime(Time),
}

impl Deadline {
    /// When a run is late; `None` for a run that has no such date.
    pub fn due(&self, queued_at: Time, logical_date: Option<Time>) -> Option<Time> {
        let from = match self.reference {
            Reference::DagrunQueuedAt => queued_at,
            Reference::DagrunLogicalDate => logical_date?,
            Reference::FixedDatetime(at) => at,
        };
        // Beyond every calendar is never.
        let micros = self.interval * 1e6;
        if !micros.is_finite() || micros.abs() > 9.2e18 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "it was compared with what fits a line above")]
        let interval = chrono::Duration::microseconds(micros.round() as i64);
        from.checked_add_signed(interval)
    }
}

/// How a deadline of a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineState {
    /// The run has not succeeded, and there is time left.
    Pending,
    /// The run succeeded in time.
    Met,
    Missed,
}

impl DeadlineState {
    pub const ALL: [Self; 3] = [Self::Pending, Self::Met, Self::Missed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Met => "met",
            Self::Missed => "missed",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn a_deadline_is_counted_from_what_its_author_names() {
        let at = |hour| chrono::Utc.with_ymd_and_hms(2026, 11, 21, hour, 0, 0).single().expect("a date");
        let deadline = |reference, interval| Deadline { name: None, reference, interval, callback: Vec::new() };
        let due = |reference, interval, date| deadline(reference, interval).due(at(6), date);
        assert_eq!(due(Reference::DagrunQueuedAt, 3600.0, None), Some(at(7)));
        assert_eq!(due(Reference::DagrunLogicalDate, 3600.0, Some(at(0))), Some(at(1)));
        assert_eq!(due(Reference::DagrunLogicalDate, 3600.0, None), None, "a run without a date has no such deadline");
        assert_eq!(due(Reference::FixedDatetime(at(12)), -3600.0, None), Some(at(11)));
        assert_eq!(due(Reference::DagrunQueuedAt, 1e30, None), None);
    }
}
