//! Between the rows of `write.rs` and the columns of `entity/`. Pure.
//!
//! Towards the database nothing can fail. From it everything can: somebody may
//! have edited a row, so what does not make sense is named, with table and row.

pub mod asset;
pub mod attempt;
pub mod backfill;
pub mod dag;
pub mod notification;
pub mod plain;
pub mod run;
pub mod task;
pub mod worker;

use std::fmt::Display;
use std::str::FromStr;

use chrono::DateTime;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::run::DataInterval;
use crate::domain::time::Time;

/// A row that the database holds and this program does not understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{table} {row}: {why}")]
pub struct Unreadable {
    pub table: &'static str,
    /// The key of the row, as people would name it.
    pub row: String,
    pub why: String,
}

/// Names the row while its columns are read.
pub(super) struct Reading<'a> {
    table: &'static str,
    row: &'a dyn Display,
}

impl<'a> Reading<'a> {
    pub fn new(table: &'static str, row: &'a dyn Display) -> Self {
        Self { table, row }
    }

    pub fn fail(&self, why: impl Into<String>) -> Unreadable {
        Unreadable { table: self.table, row: self.row.to_string(), why: why.into() }
    }

    pub fn word<T: FromStr<Err: Display>>(&self, text: &str) -> Result<T, Unreadable> {
        text.parse().map_err(|error: T::Err| self.fail(error.to_string()))
    }

    pub fn known<T>(&self, column: &str, got: &str, found: Option<T>) -> Result<T, Unreadable> {
        found.ok_or_else(|| self.fail(format!("column `{column}` holds `{got}`, which this version does not know")))
    }

    pub fn json<T: DeserializeOwned>(&self, column: &str, text: &str) -> Result<T, Unreadable> {
        serde_json::from_str(text).map_err(|error| self.fail(format!("column `{column}`: {error}")))
    }

    pub fn time(&self, micros: i64) -> Result<Time, Unreadable> {
        DateTime::from_timestamp_micros(micros)
            .ok_or_else(|| self.fail(format!("{micros} microseconds is beyond every calendar")))
    }

    pub fn maybe_time(&self, micros: Option<i64>) -> Result<Option<Time>, Unreadable> {
        micros.map(|micros| self.time(micros)).transpose()
    }

    pub fn interval(&self, start: Option<i64>, end: Option<i64>) -> Result<Option<DataInterval>, Unreadable> {
        match (start, end) {
            (Some(start), Some(end)) => Ok(Some(DataInterval { start: self.time(start)?, end: self.time(end)? })),
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err(self.fail("an interval has only one end")),
        }
    }

    pub fn small<T: TryFrom<i64>>(&self, column: &str, number: i64) -> Result<T, Unreadable> {
        T::try_from(number).map_err(|_| self.fail(format!("column `{column}` holds {number}, which is out of range")))
    }
}

pub(super) fn micros(time: Time) -> i64 {
    time.timestamp_micros()
}

pub(super) fn maybe_micros(time: Option<Time>) -> Option<i64> {
    time.map(micros)
}

/// The two columns of an interval.
pub(super) fn ends(interval: Option<DataInterval>) -> (Option<i64>, Option<i64>) {
    (interval.map(|i| micros(i.start)), interval.map(|i| micros(i.end)))
}

/// Free text as every database takes it: Postgres has no U+0000 in a text, and
/// a task that prints one must not be able to stop the scheduler's commit.
pub(super) fn text(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

pub(super) fn maybe_text(optional: Option<String>) -> Option<String> {
    optional.map(text)
}

/// JSON escapes control characters itself, U+0000 included.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("values of ours have string keys and finite depth, so they can be written")
}
