//! When a DAG runs: the timetables of SCHEDULING §4, as data and pure functions.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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
