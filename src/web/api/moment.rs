//! Instants and durations in the forms that Airflow's API reads and writes.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::domain::time::Time;

/// ISO 8601; without a zone it is UTC, without a time it is midnight.
pub fn parse(text: &str) -> Option<Time> {
    let text = text.trim();
    // The `+` of a zone that somebody did not escape arrives as a space.
    let mended = match text.rsplit_once(' ') {
        Some((front, zone)) if front.contains('T') && zone.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{front}+{zone}")
        }
        Some((date, time)) if date.len() == 10 => format!("{date}T{time}"),
        Some(_) | None => text.to_owned(),
    };
    let zoned =
        DateTime::parse_from_rfc3339(&mended).or_else(|_| DateTime::parse_from_str(&mended, "%Y-%m-%dT%H:%M:%S%.f%#z"));
    let naive = || NaiveDateTime::parse_from_str(&mended, "%Y-%m-%dT%H:%M:%S%.f").ok();
    let minutes = || NaiveDateTime::parse_from_str(&mended, "%Y-%m-%dT%H:%M").ok();
    let day = || NaiveDate::parse_from_str(&mended, "%Y-%m-%d").ok().map(|day| day.and_time(NaiveTime::MIN));
    let time = match zoned {
        Ok(time) => time.with_timezone(&Utc),
        Err(_) => naive().or_else(minutes).or_else(day)?.and_utc(),
    };
    // What a run id and every database can hold.
    let year = chrono::Datelike::year(&time);
    (1..=9999).contains(&year).then(|| crate::domain::time::to_micros(time))
}

/// An instant in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub Time);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = parse(&text);
        time.map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!("expected a datetime such as 2026-11-21T00:00:00Z, got: {text:?}"))
        })
    }
}

/// A key that has to be there, and may be null.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A duration as Airflow's tasks have it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TimeDelta {
    #[serde(rename = "__type")]
    pub kind: &'static str,
    pub days: i64,
    pub seconds: i64,
    pub microseconds: i64,
}

impl From<std::time::Duration> for TimeDelta {
    fn from(duration: std::time::Duration) -> Self {
        const DAY: u64 = 86_400;
        let whole = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        Self {
            kind: "TimeDelta",
            days: whole(duration.as_secs() / DAY),
            seconds: whole(duration.as_secs() % DAY),
            microseconds: i64::from(duration.subsec_micros()),
        }
    }
}

/// ISO 8601: `PT3600S`.
pub fn iso_duration(duration: std::time::Duration) -> String {
    format!("PT{}S", duration.as_secs_f64())
}

/// How long something took, in seconds.
pub fn seconds_between(start: Option<Time>, end: Option<Time>) -> Option<f64> {
    start.zip(end).map(|(start, end)| (end - start).as_seconds_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_in_every_form_that_clients_write() {
        let noon = parse("2026-11-21T12:00:00Z");
        assert!(noon.is_some());
        for text in [
            "2026-11-21T12:00:00+00:00",
            "2026-11-21T13:00:00+01:00",
            "2026-11-21T12:00:00",
            "2026-11-21 12:00:00",
            "2026-11-21T12:00",
            "2026-11-21T12:00:00.000000Z",
            "2026-11-21T12:00:00 00:00",
            "2026-11-21 12:00:00Z",
        ] {
            assert_eq!(parse(text), noon, "{text}");
        }
        assert_eq!(parse("2026-11-21"), parse("2026-11-21T00:00:00Z"));
        for text in ["", "soon", "2026-13-01", "99999-01-01T00:00:00Z", "0000-01-01"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
