//! Whether a failed attempt is tried again, and after how long (SCHEDULING §8).
//!
//! Only the user's retries are counted here. Attempts that the machinery lost
//! are the protocol's business and use none of them up.

use std::time::Duration;

use sha1::{Digest, Sha1};

use super::ids::{DagId, TaskId};
use super::time::Time;

/// Whether an attempt that failed with `try_number` (from 1) is tried again.
///
/// `max_tries` is the last try number that may still fail softly; it is
/// `retries` until a clear raises it. `retryable` is false for outcomes that
/// say themselves that trying again is no use.
pub fn may_retry(retries: u32, try_number: u32, max_tries: u32, retryable: bool) -> bool {
    retryable && retries > 0 && try_number <= max_tries
}

/// How long to wait before the next try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    pub retry_delay: Duration,
    /// Each delay is this many times the one before it. Absent (and 1, and what is not positive): every delay is `retry_delay`.
    pub multiplier: Option<f64>,
    /// The task's own ceiling for a growing delay; zero is none, as in Airflow.
    pub max_retry_delay: Option<Duration>,
    /// `[core] max_task_retry_delay`: the house's ceiling for a growing delay.
    pub ceiling: Duration,
}

/// Whose delay it is: tasks that failed together must not all come back together.
#[derive(Clone, Copy, Debug)]
pub struct RetryKey<'a> {
    pub dag_id: &'a DagId,
    pub task_id: &'a TaskId,
    pub logical_date: Option<Time>,
}

impl Backoff {
    /// `[core] max_task_retry_delay` as installed: a day.
    pub const DEFAULT_CEILING: Duration = Duration::from_hours(24);

    /// The delay after try `failed_try` (from 1), counted from the end of that try.
    ///
    /// The same attempt always gets the same delay: the jitter is a hash of its
    /// key, so a scheduler that restarts in the meantime comes to the same instant.
    pub fn delay_after(&self, key: RetryKey<'_>, failed_try: u32) -> Duration {
        let Some(multiplier) = self.multiplier.filter(|m| *m > 0.0 && *m != 1.0) else {
            return self.retry_delay;
        };
        let exponent = f64::from(failed_try.saturating_sub(1));
        let base = (self.retry_delay.as_secs_f64() * multiplier.powf(exponent)).ceil().max(1.0);
        let own = self.max_retry_delay.filter(|own| !own.is_zero());
        let ceiling = own.map_or(self.ceiling, |own| own.min(self.ceiling));
        if base >= ceiling.as_secs_f64() {
            return ceiling;
        }
        // Below a ceiling of seconds that fit a u64, so the cast cuts nothing off.
        let base = base as u64;
        Duration::from_secs(base + key.hash_modulo(failed_try, base)).min(ceiling)
    }
}

impl RetryKey<'_> {
    /// Airflow's jitter: the SHA-1 of the attempt's name as one big number, modulo `base`.
    fn hash_modulo(&self, failed_try: u32, base: u64) -> u64 {
        let name = format!("{}#{}#{}#{failed_try}", self.dag_id, self.task_id, python_str(self.logical_date));
        let remainder = Sha1::digest(name.as_bytes())
            .iter()
            .fold(0u128, |remainder, byte| (remainder * 256 + u128::from(*byte)) % u128::from(base));
        u64::try_from(remainder).expect("a remainder is below its u64 modulus")
    }
}

/// A date as Python's `str` prints it; the hash is Airflow's only if this is.
fn python_str(date: Option<Time>) -> String {
    match date {
        None => "None".to_owned(),
        Some(date) if date.timestamp_subsec_micros() == 0 => date.format("%Y-%m-%d %H:%M:%S+00:00").to_string(),
        Some(date) => date.format("%Y-%m-%d %H:%M:%S%.6f+00:00").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(backoff: Backoff, tries: std::ops::RangeInclusive<u32>) -> Vec<u64> {
        let (dag_id, task_id) = (DagId::new("d1").expect("an id"), TaskId::new("t1").expect("an id"));
        let key = RetryKey { dag_id: &dag_id, task_id: &task_id, logical_date: None };
        tries.map(|n| backoff.delay_after(key, n).as_secs()).collect()
    }

    const FIVE_MINUTES: Backoff = Backoff {
        retry_delay: Duration::from_mins(5),
        multiplier: Some(2.0),
        max_retry_delay: None,
        ceiling: Backoff::DEFAULT_CEILING,
    };

    #[test]
    fn two_retries_are_three_attempts() {
        let again: Vec<bool> = (1..=3).map(|try_number| may_retry(2, try_number, 2, true)).collect();
        assert_eq!(again, [true, true, false]);
        assert!(!may_retry(0, 1, 1, true), "a task without retries is not tried again after a clear either");
        assert!(!may_retry(2, 1, 2, false), "an outcome that forbids it is final");
    }

    #[test]
    fn without_backoff_every_delay_is_the_same_to_the_millisecond() {
        let fixed = Backoff { retry_delay: Duration::from_millis(1500), multiplier: None, ..FIVE_MINUTES };
        let (dag_id, task_id) = (DagId::new("d").expect("an id"), TaskId::new("t").expect("an id"));
        let key = RetryKey { dag_id: &dag_id, task_id: &task_id, logical_date: None };
        for failed_try in [1, 2, 50] {
            assert_eq!(fixed.delay_after(key, failed_try), Duration::from_millis(1500));
        }
        let unchanged = Backoff { multiplier: Some(1.0), ..fixed };
        assert_eq!(unchanged.delay_after(key, 9), Duration::from_millis(1500));
    }

    #[test]
    fn a_growing_delay_stops_at_the_lower_of_both_ceilings_however_many_tries_there_were() {
        assert_eq!(delays(FIVE_MINUTES, 10..=12), [86400, 86400, 86400]);
        assert_eq!(delays(FIVE_MINUTES, u32::MAX..=u32::MAX), [86400]);
        let own = Backoff { max_retry_delay: Some(Duration::from_mins(10)), ..FIVE_MINUTES };
        assert_eq!(delays(own, 2..=4), [600, 600, 600]);
    }

    #[test]
    fn a_date_is_printed_as_python_prints_it() {
        let date = chrono::DateTime::from_timestamp_micros(1_704_067_200_000_000);
        assert_eq!(python_str(date), "2024-01-01 00:00:00+00:00");
        let date = date.map(|d| d + chrono::Duration::microseconds(1500));
        assert_eq!(python_str(date), "2024-01-01 00:00:00.001500+00:00");
        assert_eq!(python_str(None), "None");
    }
}
