//! Sensors: what they wait for, and how they go about it (SCHEDULING §9).

use std::collections::BTreeMap;
use std::time::Duration;

use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha1::{Digest, Sha1};

use super::{DefaultWords, HttpOptions, LengthForm, Success, a_minute, success, words_or_default};
use crate::domain::time::{Time, seconds};

/// A task that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensor {
    pub poking: Poking,
    pub watched: Watched,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Watched {
    File(FileWatch),
    Http(HttpWatch),
    Sql(SqlWatch),
    /// A moment: of the day, after the interval, or a date.
    Moment(MomentWatch),
    ExternalTask(ExternalTask),
}

/// How a sensor waits: the arguments that all of Airflow's sensors share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Poking {
    /// `poke` holds its slot while it waits, `reschedule` frees it between two looks. Default: `poke`.
    #[serde(default)]
    pub mode: Mode,
    /// How long between two looks. Default: 60 s.
    #[serde(default = "a_minute", with = "seconds")]
    #[schemars(with = "LengthForm")]
    pub poke_interval: Duration,
    /// How long it waits at most, counted from its first look. Default: 7 days.
    #[serde(default = "a_week", with = "seconds")]
    #[schemars(with = "LengthForm")]
    pub timeout: Duration,
    /// Whether waiting too long makes it skipped instead of failed.
    #[serde(default)]
    pub soft_fail: bool,
    /// Whether every error makes it skipped.
    #[serde(default)]
    pub never_fail: bool,
    /// Whether an error is only written to the log, and it looks again.
    #[serde(default)]
    pub silent_fail: bool,
    /// Whether the time between two looks grows.
    #[serde(default)]
    pub exponential_backoff: bool,
    /// The longest that a growing time between two looks gets.
    #[serde(default, with = "seconds::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LengthForm")]
    pub max_wait: Option<Duration>,
    /// Whether waiting holds no slot at all.
    #[serde(default)]
    pub deferrable: bool,
}

/// What a sensor does between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Poke,
    Reschedule,
}

fn a_week() -> Duration {
    Duration::from_hours(7 * 24)
}

impl Default for Poking {
    fn default() -> Self {
        Self {
            mode: Mode::Poke,
            poke_interval: a_minute(),
            timeout: a_week(),
            soft_fail: false,
            never_fail: false,
            silent_fail: false,
            exponential_backoff: false,
            max_wait: None,
            deferrable: false,
        }
    }
}

impl Poking {
    /// The arguments that belong to it and not to what is watched.
    pub const KEYS: [&str; 9] = [
        "mode",
        "poke_interval",
        "timeout",
        "soft_fail",
        "never_fail",
        "silent_fail",
        "exponential_backoff",
        "max_wait",
        "deferrable",
    ];

    /// Whether waiting frees the slot.
    pub fn frees_its_slot(&self) -> bool {
        self.deferrable || self.mode == Mode::Reschedule
    }

    /// How long to the next look, after look number `pokes` (from 1) at `now`. `name` keeps sensors apart that began together.
    pub fn interval(&self, name: &str, since: Time, now: Time, pokes: u32) -> Duration {
        if !self.exponential_backoff {
            return self.poke_interval;
        }
        let exponent = f64::from(pokes) - 2.0;
        let base = (self.poke_interval.as_secs_f64() * exponent.exp2()).floor().clamp(1.0, 1e9);
        // Between 1 and 1e9, so the cast cuts nothing off.
        let base = base as u64;
        let hash = Sha1::digest(format!("{name}#{}#{pokes}", since.timestamp_micros()).as_bytes());
        let jitter = hash.iter().fold(0u128, |rest, byte| (rest * 256 + u128::from(*byte)) % u128::from(base));
        let wanted = Duration::from_secs(base + u64::try_from(jitter).unwrap_or(0));
        let left = self.timeout.saturating_sub((now - since).to_std().unwrap_or_default());
        wanted.min(left).min(self.max_wait.unwrap_or(Duration::MAX))
    }
}

/// A file or folder (`FileSensor`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileWatch {
    /// The path, with `*`, `?` and `[...]`; relative to the connection's. A folder counts when a file is in it. A template.
    pub filepath: String,
    /// The connection whose extra holds the `path` before it. Default: `fs_default`, which may be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fs_conn_id: Option<String>,
    /// Whether `**` means folders at any depth.
    #[serde(default)]
    pub recursive: bool,
}

/// An answer over HTTP (`HttpSensor`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpWatch {
    /// The path after the connection's address, or a whole URL. A template.
    #[serde(alias = "url")]
    pub endpoint: String,
    /// The connection. Default: `http_default`, which an `endpoint` that is a whole URL does not need.
    #[serde(default, alias = "conn_id", skip_serializing_if = "Option::is_none")]
    pub http_conn_id: Option<String>,
    /// Default: `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The query, or what is sent. A template.
    #[serde(default, alias = "data", skip_serializing_if = "Option::is_none")]
    pub request_params: Option<Value>,
    /// Headers of the request. A template.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A Jinja expression over `response` that must become true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_check: Option<String>,
    /// Statuses that mean "not yet". Default: 404.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_error_codes_allowlist: Option<Vec<String>>,
    /// More about the request.
    #[serde(default)]
    pub extra_options: HttpOptions,
}

/// The first value of a query (`SqlSensor`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlWatch {
    /// The connection: Postgres, MySQL or SQLite.
    pub conn_id: String,
    /// The query; it is done when the first value is neither 0, nor empty, nor null. A template.
    pub sql: String,
    /// Values for the query's placeholders. A template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// A Jinja expression over `value` and `row` that says whether it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<String>,
    /// A Jinja expression over `value` and `row` that fails the task when it is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Whether a query without rows fails the task.
    #[serde(default)]
    pub fail_on_empty: bool,
    /// The database, instead of the connection's schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
}

/// A moment: exactly one of the three says which (`TimeSensor`, `TimeDeltaSensor`, `DateTimeSensor`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MomentWatch {
    /// A time of the day on which it begins to wait, in the DAG's zone: `06:30`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_of_day: Option<String>,
    /// So long after the end of the run's data interval.
    #[serde(default, with = "seconds::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LengthForm")]
    pub delta: Option<Duration>,
    /// A date with time. A template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_time: Option<String>,
    /// The zone of times without one; the DAG's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub timezone: Option<Tz>,
}

/// Tasks or the whole run of another DAG at the same logical date (`ExternalTaskSensor`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalTask {
    /// The DAG. A template.
    #[serde(alias = "dag_id", alias = "dag")]
    pub external_dag_id: String,
    /// The task; without task and group it waits for the whole run. A template.
    #[serde(default, alias = "task_id", alias = "task", skip_serializing_if = "Option::is_none")]
    pub external_task_id: Option<String>,
    /// Several tasks. A template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_task_ids: Option<Vec<String>>,
    /// All tasks of a group. A template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_task_group_id: Option<String>,
    /// States that are good. Default: `success`.
    #[serde(default = "success", deserialize_with = "words_or_default::<Success, _>")]
    pub allowed_states: Vec<String>,
    /// States that make this task skipped.
    #[serde(default, deserialize_with = "words_or_default::<NoWords, _>")]
    pub skipped_states: Vec<String>,
    /// States that make this task fail.
    #[serde(default, deserialize_with = "words_or_default::<NoWords, _>")]
    pub failed_states: Vec<String>,
    /// How much earlier the other run's logical date is.
    #[serde(default, with = "seconds::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LengthForm")]
    pub execution_delta: Option<Duration>,
    /// Whether a DAG or task that does not exist fails this task at once.
    #[serde(default)]
    pub check_existence: bool,
}

pub(super) struct NoWords;
impl DefaultWords for NoWords {
    fn words() -> Vec<String> {
        Vec::new()
    }
}

impl ExternalTask {
    /// The tasks that are named; none means the whole run, or a group.
    pub fn task_ids(&self) -> Vec<String> {
        let several = self.external_task_ids.iter().flatten().cloned();
        self.external_task_id.iter().cloned().chain(several).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn the_time_between_two_looks_grows_only_if_asked_and_never_beyond_its_bounds() {
        let since = chrono::Utc.with_ymd_and_hms(2026, 11, 21, 0, 0, 0).single().expect("a date");
        let mut poking = Poking { poke_interval: Duration::from_secs(10), ..Poking::default() };
        assert_eq!(poking.interval("d#t", since, since, 5), Duration::from_secs(10));
        poking.exponential_backoff = true;
        for (pokes, base) in [(1, 5), (2, 10), (3, 20), (4, 40), (10, 2560)] {
            let interval = poking.interval("d#t", since, since, pokes);
            assert!((base..2 * base).contains(&interval.as_secs()), "look {pokes}: {interval:?}");
            assert_eq!(interval, poking.interval("d#t", since, since, pokes), "the same look, the same interval");
        }
        poking.max_wait = Some(Duration::from_secs(30));
        assert_eq!(poking.interval("d#t", since, since, 10), Duration::from_secs(30));
        poking.timeout = Duration::from_secs(100);
        let late = since + chrono::Duration::seconds(93);
        assert_eq!(poking.interval("d#t", since, late, 10), Duration::from_secs(7));
    }
}
