//! When a DAG runs: the timetables of SCHEDULING §4, as data and pure functions.
//!
//! [`Schedule`] is what a DAG file says, [`Timetable`] the same compiled. Nothing
//! here reads a clock, and nothing here creates a run: it says which is next.

mod cron;
mod dialect;
mod ticks;
mod timetable;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::cron::CronExpression;
pub use self::timetable::{Due, Timetable};
use super::asset::AssetCondition;
use super::problem::did_you_mean;
use super::time::{Time, seconds};

/// When runs are due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Only when somebody triggers it.
    Never,
    /// One run, at the start date.
    Once,
    /// The next run begins when the last one ended.
    Continuous,
    /// `expression` is kept as written (a preset or croniter's dialect).
    Cron { expression: String, family: Family },
    /// A fixed distance between runs.
    Every {
        #[serde(with = "seconds")]
        period: Duration,
        family: Family,
    },
    /// A distance in calendar months (`relativedelta(months=..)`), plus a fixed part.
    EveryMonths {
        months: u32,
        #[serde(with = "seconds", default)]
        plus: Duration,
        family: Family,
    },
    /// As soon as the assets have changed; with `time`, at its times as well.
    Assets {
        condition: AssetCondition,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        time: Option<Box<Schedule>>,
    },
}

/// The two families of timetables (SCHEDULING §4, `[scheduler] create_cron_data_intervals`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Airflow 2: the run of a day happens after the day is over.
    DataInterval,
    /// Airflow 3: the run happens at the instant, and its interval is empty.
    Trigger,
}

/// What bounds a DAG's runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub earliest: Option<Time>,
    pub latest: Option<Time>,
    pub catchup: bool,
    pub timezone: chrono_tz::Tz,
}

/// Why a schedule cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidSchedule {
    #[error("unknown schedule `{word}`{}", hint(*.nearest))]
    UnknownPreset {
        word: String,
        /// The preset that was probably meant.
        nearest: Option<&'static str>,
    },
    #[error(
        "expected the cron expression `{expression}` to have 5 fields (minute, hour, day of the month, month, \
         day of the week) or 6 (seconds last), got: {got}"
    )]
    FieldCount { expression: String, got: usize },
    #[error("expected the {field} in the cron expression `{expression}` to be {expected}, got: `{got}`")]
    Field { expression: String, field: &'static str, expected: String, got: String },
    /// Every field makes sense, and yet the whole does not.
    #[error("the cron expression `{expression}` cannot be used: {message}")]
    Cron { expression: String, message: String },
    #[error("the cron expression `{expression}` matches no date at all")]
    NeverDue { expression: String },
    #[error(
        "expected the time between two runs to be at least a microsecond and at most 290 million years, got: {got:?}"
    )]
    Period { got: Duration },
}

impl InvalidSchedule {
    /// `meant`, where a foreign word has an exact counterpart here.
    fn unknown_preset(word: &str, meant: Option<&'static str>) -> Self {
        let nearest = meant.or_else(|| did_you_mean(word, Schedule::PRESETS));
        Self::UnknownPreset { word: word.to_owned(), nearest }
    }
}

fn hint(nearest: Option<&'static str>) -> String {
    match nearest {
        Some(preset) => format!("; did you mean `{preset}`?"),
        None => format!(" (known: {}, or a cron expression)", Schedule::PRESETS.join(", ")),
    }
}

impl Schedule {
    /// The words that a DAG file may use for a schedule.
    pub const PRESETS: [&str; 8] =
        ["@once", "@continuous", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly"];

    /// What has to have changed for a run of its own.
    pub fn assets(&self) -> Option<&AssetCondition> {
        match self {
            Self::Assets { condition, .. } => Some(condition),
            Self::Never
            | Self::Once
            | Self::Continuous
            | Self::Cron { .. }
            | Self::Every { .. }
            | Self::EveryMonths { .. } => None,
        }
    }

    /// The schedule that a DAG file writes as text: a preset or a cron expression,
    /// checked. `family` is what the configuration says for cron.
    pub fn parse(text: &str, family: Family) -> Result<Self, InvalidSchedule> {
        match text.trim() {
            "@once" => Ok(Self::Once),
            "@continuous" => Ok(Self::Continuous),
            expression => {
                CronExpression::parse(expression)?;
                Ok(Self::Cron { expression: expression.to_owned(), family })
            }
        }
    }
}
