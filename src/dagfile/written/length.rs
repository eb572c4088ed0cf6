//! Lengths of time: numbers of seconds, texts in three notations, and mappings of units.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::asset::Condition;
use super::schedule::Schedule;

/// A length of time: seconds as a number, `1h30m`, `00:05:00`, `PT5M` or `{minutes: 5}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length(pub Duration);

/// What a length of time looks like, for messages.
const A_LENGTH: &str = "a length of time such as 300, `5m`, `1h30m`, `00:05:00`, `PT5M` or {minutes: 5}";

/// The units of a length that is written as text, in seconds.
const SUFFIXES: [(&str, f64); 20] = [
    ("ms", 0.001),
    ("s", 1.0),
    ("sec", 1.0),
    ("secs", 1.0),
    ("second", 1.0),
    ("seconds", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("mins", 60.0),
    ("minute", 60.0),
    ("minutes", 60.0),
    ("h", 3600.0),
    ("hour", 3600.0),
    ("hours", 3600.0),
    ("d", 86_400.0),
    ("day", 86_400.0),
    ("days", 86_400.0),
    ("w", 604_800.0),
    ("week", 604_800.0),
    ("weeks", 604_800.0),
];

/// The keys of a length that is written as a mapping: those of Python's `timedelta`.
pub(super) const UNITS: [(&str, f64); 7] = [
    ("weeks", 604_800.0),
    ("days", 86_400.0),
    ("hours", 3600.0),
    ("minutes", 60.0),
    ("seconds", 1.0),
    ("milliseconds", 0.001),
    ("microseconds", 0.000_001),
];

impl Length {
    fn from_seconds(seconds: f64) -> Option<Self> {
        // A century is beyond every use and far below what a clock can hold.
        (0.0..=3.2e9).contains(&seconds).then(|| Self(Duration::from_micros((seconds * 1e6).round() as u64)))
    }

    /// Reads `90`, `1h30m`, `2 days`, `00:05:00`, `P1DT2H`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let seconds = match text.strip_prefix(['P', 'p']) {
            Some(iso) => iso_seconds(iso)?,
            None if text.contains(':') => clock_seconds(text)?,
            None => text.parse().ok().or_else(|| suffixed_seconds(text))?,
        };
        Self::from_seconds(seconds)
    }
}

/// `1h30m`, `1.5 hours`: numbers, each followed by its unit.
fn suffixed_seconds(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let tail = tail.trim_start();
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let (_, factor) = SUFFIXES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        sum += number.parse::<f64>().ok()? * factor;
        rest = tail.trim_start();
    }
    (!text.is_empty()).then_some(sum)
}

/// `HH:MM:SS`, with a fraction if need be. Two parts would be a guess between hours and minutes.
fn clock_seconds(text: &str) -> Option<f64> {
    let parts: Vec<&str> = text.split(':').collect();
    let [hours, minutes, seconds] = parts.as_slice() else { return None };
    let whole = |part: &str| part.parse::<u32>().ok().map(f64::from);
    let seconds = seconds.parse::<f64>().ok().filter(|s| (0.0..60.0).contains(s))?;
    Some(whole(hours)? * 3600.0 + whole(minutes).filter(|m| *m < 60.0)? * 60.0 + seconds)
}

/// The part of an ISO 8601 duration after its `P`; months and years have no fixed length.
fn iso_seconds(text: &str) -> Option<f64> {
    let (mut rest, mut sum, mut in_time) = (text, 0.0, false);
    if text.trim_matches(['T', 't']).is_empty() {
        return None;
    }
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix(['T', 't']) {
            (rest, in_time) = (time, true);
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit = rest[end..].chars().next()?.to_ascii_uppercase();
        sum += number
            * match (unit, in_time) {
                ('W', false) => 604_800.0,
                ('D', false) => 86_400.0,
                ('H', true) => 3600.0,
                ('M', true) => 60.0,
                ('S', true) => 1.0,
                _ => return None,
            };
        rest = &rest[end + 1..];
    }
    Some(sum)
}

/// Reads a mapping of numbers whose keys are units; that of a schedule may say more.
pub(super) struct Amounts {
    pub seconds: f64,
    pub months: u32,
    pub cron: Option<String>,
    pub data_interval: Option<bool>,
    /// Assets to wait for, and a schedule beside them.
    pub assets: Option<Condition>,
    pub timetable: Option<Box<Schedule>>,
}

impl Amounts {
    /// `calendar` allows what only a schedule can be: months, years, cron.
    pub fn read<'de, A: MapAccess<'de>>(mut map: A, calendar: bool) -> Result<Self, A::Error> {
        const LENGTH_KEYS: &[&str] = &["weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds"];
        const SCHEDULE_KEYS: &[&str] = &[
            "weeks",
            "days",
            "hours",
            "minutes",
            "seconds",
            "milliseconds",
            "microseconds",
            "months",
            "years",
            "cron",
            "data_interval",
            "assets",
            "all",
            "any",
            "timetable",
        ];
        let mut amounts =
            Self { seconds: 0.0, months: 0, cron: None, data_interval: None, assets: None, timetable: None };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "months" if calendar => amounts.months = amounts.months.saturating_add(map.next_value()?),
                "years" if calendar => {
                    amounts.months = amounts.months.saturating_add(map.next_value::<u32>()?.saturating_mul(12));
                }
                "cron" if calendar => amounts.cron = Some(map.next_value()?),
                "data_interval" if calendar => amounts.data_interval = Some(map.next_value()?),
                "assets" if calendar => amounts.assets = Some(map.next_value()?),
                "all" if calendar => amounts.assets = Some(Condition::All(map.next_value()?)),
                "any" if calendar => amounts.assets = Some(Condition::Any(map.next_value()?)),
                "timetable" if calendar => amounts.timetable = Some(map.next_value()?),
                unit => match UNITS.iter().find(|(name, _)| *name == unit) {
                    Some((_, factor)) => amounts.seconds += map.next_value::<f64>()? * factor,
                    None => {
                        let known = if calendar { SCHEDULE_KEYS } else { LENGTH_KEYS };
                        return Err(de::Error::unknown_field(unit, known));
                    }
                },
            }
        }
        Ok(amounts)
    }
}

pub(super) struct LengthVisitor;

impl<'de> Visitor<'de> for LengthVisitor {
    type Value = Length;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(A_LENGTH)
    }
    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Length, E> {
        Length::from_seconds(seconds).ok_or_else(|| E::invalid_value(de::Unexpected::Float(seconds), &self))
    }
    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Length, E> {
        Length::from_seconds(seconds as f64).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(seconds), &self))
    }
    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Length, E> {
        Length::from_seconds(seconds as f64).ok_or_else(|| E::invalid_value(de::Unexpected::Signed(seconds), &self))
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Length, E> {
        Length::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Length, A::Error> {
        let seconds = Amounts::read(map, false)?.seconds;
        self.visit_f64(seconds)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LengthVisitor)
    }
}

impl JsonSchema for Length {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Length".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let units: Map<String, Value> =
            UNITS.iter().map(|(unit, _)| ((*unit).to_owned(), serde_json::json!({ "type": "number" }))).collect();
        json_schema!({
            "description": "A length of time: seconds as a number, `1h30m`, `00:05:00`, `PT5M` or `{minutes: 5}`.",
            "anyOf": [
                { "type": "number", "minimum": 0 },
                { "type": "string", "examples": ["5m", "1h30m", "00:05:00", "PT5M"] },
                { "type": "object", "properties": units, "additionalProperties": false },
            ]
        })
    }
}
