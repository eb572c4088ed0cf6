//! The values that a DAG file may write in more than one way: lengths of time,
//! dates, schedules, "one or many", Python code, tasks as a list or a mapping.
//!
//! Each is read once, here, into a type that says what was meant; the error of
//! a value that means nothing says what was expected. Nothing here knows a default.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::spec::TaskSpec;

/// Reads a field whose `null` means something, so that it differs from a field that is left out.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A value and where it was written; lines and columns count from 1.
/// A value that did not come from YAML has no position of its own.
#[derive(Clone, Debug, Default)]
pub struct At<T> {
    pub value: T,
    pub position: Option<Position>,
}

/// A line and a column, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

impl<T> At<T> {
    /// A value without a position.
    pub fn nowhere(value: T) -> Self {
        Self { value, position: None }
    }
}

/// Where something stands does not change what it is.
impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<T>::deserialize(deserializer)?;
        let position = Position::of(spanned.referenced);
        Ok(Self { value: spanned.value, position })
    }
}

impl Position {
    /// `None` for a place that the parser does not know.
    pub(super) fn of(location: serde_saphyr::Location) -> Option<Self> {
        let line = u32::try_from(location.line()).ok().filter(|line| *line > 0)?;
        let column = u32::try_from(location.column()).ok().filter(|column| *column > 0)?;
        Some(Self { line, column })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// One text, or a list of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OneOrMany(pub Vec<At<String>>);

impl OneOrMany {
    /// The texts without their positions.
    pub fn into_texts(self) -> Vec<String> {
        self.0.into_iter().map(|at| at.value).collect()
    }
}

struct OneOrManyVisitor;

impl<'de> Visitor<'de> for OneOrManyVisitor {
    type Value = OneOrMany;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(OneOrMany(vec![At::nowhere(text.to_owned())]))
    }
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(OneOrMany::default())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut many = Vec::new();
        while let Some(one) = list.next_element()? {
            many.push(one);
        }
        Ok(OneOrMany(many))
    }
}

/// The value without the place of a single text, which only the parser around it knows.
struct Unplaced(OneOrMany);

impl<'de> Deserialize<'de> for Unplaced {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let At { value: Unplaced(mut texts), position } = At::<Unplaced>::deserialize(deserializer)?;
        for text in &mut texts.0 {
            text.position = text.position.or(position);
        }
        Ok(texts)
    }
}

impl JsonSchema for OneOrMany {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OneOrMany".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

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
const UNITS: [(&str, f64); 7] = [
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

/// Reads a mapping of numbers whose keys are units.
struct Amounts {
    seconds: f64,
    months: u32,
    cron: Option<String>,
    data_interval: Option<bool>,
}

impl Amounts {
    /// `calendar` allows what only a schedule can be: months, years, cron.
    fn read<'de, A: MapAccess<'de>>(mut map: A, calendar: bool) -> Result<Self, A::Error> {
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
        ];
        let mut amounts = Self { seconds: 0.0, months: 0, cron: None, data_interval: None };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "months" if calendar => amounts.months = amounts.months.saturating_add(map.next_value()?),
                "years" if calendar => {
                    amounts.months = amounts.months.saturating_add(map.next_value::<u32>()?.saturating_mul(12));
                }
                "cron" if calendar => amounts.cron = Some(map.next_value()?),
                "data_interval" if calendar => amounts.data_interval = Some(map.next_value()?),
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

struct LengthVisitor;

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

/// A date with or without a time of day; without an offset it is in the DAG's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Date {
    Instant(DateTime<FixedOffset>),
    Local(NaiveDateTime),
}

impl Date {
    /// ISO 8601, with `T` or a space between date and time, seconds optional.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return day.and_hms_opt(0, 0, 0).map(Self::Local);
        }
        let text = text.replacen(' ', "T", 1);
        if let Ok(instant) = DateTime::parse_from_rfc3339(&text) {
            return Some(Self::Instant(instant));
        }
        for format in ["%Y-%m-%dT%H:%M%:z", "%Y-%m-%dT%H:%M:%S%.f%z"] {
            if let Ok(instant) = DateTime::parse_from_str(&text, format) {
                return Some(Self::Instant(instant));
            }
        }
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok())
            .map(Self::Local)
    }
}

struct DateVisitor;

impl Visitor<'_> for DateVisitor {
    type Value = Date;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a date such as 2026-01-31, 2026-01-31T06:00 or 2026-01-31T06:00:00+01:00")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Date, E> {
        Date::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DateVisitor)
    }
}

impl JsonSchema for Date {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Date".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An ISO 8601 date, with or without a time of day. Without an offset it is in the DAG's time zone.",
            "examples": ["2026-01-31", "2026-01-31T06:00", "2026-01-31T06:00:00+01:00"],
        })
    }
}

/// A schedule as written. Words are a preset or a cron expression, not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// `null`: only when somebody triggers it.
    Never,
    /// A preset or a cron expression. `data_interval` overrides the configured family of timetables.
    Words { text: String, data_interval: Option<bool> },
    /// A distance: calendar months plus a fixed part.
    Distance { months: u32, length: Duration, data_interval: Option<bool> },
}

/// What a schedule looks like, for messages.
const A_SCHEDULE: &str = "a schedule such as `0 6 * * *`, `@daily`, `30m`, {hours: 6} or null";

struct ScheduleVisitor;

impl<'de> Visitor<'de> for ScheduleVisitor {
    type Value = Schedule;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(A_SCHEDULE)
    }
    fn visit_unit<E: de::Error>(self) -> Result<Schedule, E> {
        Ok(Schedule::Never)
    }
    fn visit_none<E: de::Error>(self) -> Result<Schedule, E> {
        Ok(Schedule::Never)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Schedule, D::Error> {
        deserializer.deserialize_any(self)
    }
    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Schedule, E> {
        let length = LengthVisitor.visit_f64(seconds)?;
        Ok(Schedule::Distance { months: 0, length: length.0, data_interval: None })
    }
    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Schedule, E> {
        self.visit_f64(seconds as f64)
    }
    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Schedule, E> {
        self.visit_f64(seconds as f64)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Schedule, E> {
        let text = text.trim();
        Ok(match Length::parse(text) {
            Some(length) => Schedule::Distance { months: 0, length: length.0, data_interval: None },
            None => Schedule::Words { text: text.to_owned(), data_interval: None },
        })
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Schedule, A::Error> {
        let amounts = Amounts::read(map, true)?;
        let data_interval = amounts.data_interval;
        if let Some(text) = amounts.cron {
            if amounts.months > 0 || amounts.seconds > 0.0 {
                return Err(de::Error::custom(format!("expected {A_SCHEDULE}, got both `cron` and a distance")));
            }
            return Ok(Schedule::Words { text, data_interval });
        }
        let length = LengthVisitor.visit_f64(amounts.seconds)?.0;
        Ok(Schedule::Distance { months: amounts.months, length, data_interval })
    }
    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Schedule, A::Error> {
        Err(de::Error::custom(format!("expected {A_SCHEDULE}, got a list: schedules on assets are not known yet")))
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScheduleVisitor)
    }
}

impl JsonSchema for Schedule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Schedule".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut keys: Map<String, Value> =
            UNITS.iter().map(|(unit, _)| ((*unit).to_owned(), serde_json::json!({ "type": "number" }))).collect();
        keys.insert("months".into(), serde_json::json!({ "type": "integer", "minimum": 0 }));
        keys.insert("years".into(), serde_json::json!({ "type": "integer", "minimum": 0 }));
        keys.insert("cron".into(), serde_json::json!({ "type": "string", "description": "A cron expression." }));
        keys.insert(
            "data_interval".into(),
            serde_json::json!({ "type": "boolean", "description": "Whether a run covers the time since the tick before and starts when it is over." }),
        );
        json_schema!({
            "anyOf": [
                { "type": "null" },
                { "enum": ["@once", "@continuous", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly"] },
                { "type": "string", "description": "A cron expression of 5 or 6 fields, or a distance such as `30m`." },
                { "type": "number", "exclusiveMinimum": 0, "description": "A distance in seconds." },
                { "type": "object", "properties": keys, "additionalProperties": false },
            ]
        })
    }
}

/// How a retry delay grows: `true` doubles it, a number multiplies it, `false` and 0 keep it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff(pub Option<f64>);

struct BackoffVisitor;

impl Visitor<'_> for BackoffVisitor {
    type Value = Backoff;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("true, false or a factor of at least 1")
    }
    fn visit_bool<E: de::Error>(self, doubles: bool) -> Result<Backoff, E> {
        Ok(Backoff(doubles.then_some(2.0)))
    }
    fn visit_f64<E: de::Error>(self, factor: f64) -> Result<Backoff, E> {
        match factor {
            0.0 => Ok(Backoff(None)),
            _ if (1.0..=1000.0).contains(&factor) => Ok(Backoff(Some(factor))),
            _ => Err(E::invalid_value(de::Unexpected::Float(factor), &self)),
        }
    }
    fn visit_u64<E: de::Error>(self, factor: u64) -> Result<Backoff, E> {
        self.visit_f64(factor as f64)
    }
    fn visit_i64<E: de::Error>(self, factor: i64) -> Result<Backoff, E> {
        self.visit_f64(factor as f64)
    }
}

impl<'de> Deserialize<'de> for Backoff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BackoffVisitor)
    }
}

impl JsonSchema for Backoff {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Backoff".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, { "type": "number", "minimum": 0 }] })
    }
}

/// The exit codes that mean "skipped": a number, a list, or `null` for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkipCodes(pub Vec<i32>);

struct SkipCodesVisitor;

impl<'de> Visitor<'de> for SkipCodesVisitor {
    type Value = SkipCodes;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an exit code between 0 and 255, a list of them, or null")
    }
    fn visit_unit<E: de::Error>(self) -> Result<SkipCodes, E> {
        Ok(SkipCodes(Vec::new()))
    }
    fn visit_i64<E: de::Error>(self, code: i64) -> Result<SkipCodes, E> {
        match u8::try_from(code) {
            Ok(code) => Ok(SkipCodes(vec![i32::from(code)])),
            Err(_) => Err(E::invalid_value(de::Unexpected::Signed(code), &self)),
        }
    }
    fn visit_u64<E: de::Error>(self, code: u64) -> Result<SkipCodes, E> {
        match u8::try_from(code) {
            Ok(code) => Ok(SkipCodes(vec![i32::from(code)])),
            Err(_) => Err(E::invalid_value(de::Unexpected::Unsigned(code), &self)),
        }
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<SkipCodes, A::Error> {
        let mut codes = Vec::new();
        while let Some(code) = list.next_element::<u8>()? {
            codes.push(i32::from(code));
        }
        Ok(SkipCodes(codes))
    }
}

impl<'de> Deserialize<'de> for SkipCodes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SkipCodesVisitor)
    }
}

impl JsonSchema for SkipCodes {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SkipCodes".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let code = serde_json::json!({ "type": "integer", "minimum": 0, "maximum": 255 });
        json_schema!({ "anyOf": [{ "type": "null" }, code, { "type": "array", "items": code }] })
    }
}

/// Environment variables; numbers and booleans are taken as their text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(pub BTreeMap<String, String>);

/// The text of a scalar, as a shell would want to see it.
struct Text(String);

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a text, a number or a boolean")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }
    fn visit_bool<E: de::Error>(self, yes: bool) -> Result<Text, E> {
        Ok(Text(yes.to_string()))
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }
    fn visit_unit<E: de::Error>(self) -> Result<Text, E> {
        Ok(Text(String::new()))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

impl<'de> Deserialize<'de> for Environment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = BTreeMap::<String, Text>::deserialize(deserializer)?;
        Ok(Self(written.into_iter().map(|(name, text)| (name, text.0)).collect()))
    }
}

impl JsonSchema for Environment {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Environment".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean", "null"] } })
    }
}

/// The code of a Python task.
#[derive(Clone, Debug, PartialEq)]
pub enum Python {
    /// Statements; the value of `result`, if set, is the XCom.
    Source(String),
    /// A mapping of [`PythonMapping`].
    Mapping(PythonMapping),
}

/// The long form of `python`: exactly one of `source`, `function` and `dag_file`.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PythonMapping {
    /// Statements to run; the value of `result`, if set, is the task's XCom.
    pub source: Option<String>,
    /// The module of `function`, importable from the DAGs folder.
    pub module: Option<String>,
    /// The function to call.
    pub function: Option<String>,
    /// Positional arguments of the function; strings in them are templates.
    #[serde(alias = "args")]
    pub op_args: Option<Vec<Value>>,
    /// Keyword arguments of the function; strings in them are templates.
    #[serde(alias = "kwargs")]
    pub op_kwargs: Option<Map<String, Value>>,
    /// The Python DAG file, relative to the DAGs folder, in which the task object is found again; for files that are not YAML.
    #[schemars(skip)]
    pub dag_file: Option<String>,
}

struct PythonVisitor;

impl<'de> Visitor<'de> for PythonVisitor {
    type Value = Python;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Python source or {module: m, function: f}")
    }
    fn visit_str<E: de::Error>(self, source: &str) -> Result<Python, E> {
        Ok(Python::Source(source.to_owned()))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Python, A::Error> {
        PythonMapping::deserialize(de::value::MapAccessDeserializer::new(map)).map(Python::Mapping)
    }
}

impl<'de> Deserialize<'de> for Python {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PythonVisitor)
    }
}

impl JsonSchema for Python {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Python".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mapping = generator.subschema_for::<PythonMapping>();
        json_schema!({ "anyOf": [{ "type": "string" }, mapping] })
    }
}

/// The tasks of a DAG: a list, or a mapping from task id to task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tasks(pub Vec<At<TaskSpec>>);

struct TasksVisitor;

impl<'de> Visitor<'de> for TasksVisitor {
    type Value = Tasks;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of tasks, or a mapping from task id to task")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Tasks, E> {
        Ok(Tasks::default())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tasks, A::Error> {
        let mut tasks = Vec::new();
        while let Some(task) = list.next_element()? {
            tasks.push(task);
        }
        Ok(Tasks(tasks))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tasks, A::Error> {
        let mut tasks = Vec::new();
        while let Some((key, task)) = map.next_entry::<At<String>, Option<TaskSpec>>()? {
            let mut task = task.unwrap_or_default();
            let position = key.position;
            if let Some(other) = &task.task_id
                && other.value != key.value
            {
                return Err(de::Error::custom(format!(
                    "the task under `{}` calls itself `{}`: leave `task_id` out, its key is its name",
                    key.value, other.value
                )));
            }
            task.task_id = Some(key);
            tasks.push(At { value: task, position });
        }
        Ok(Tasks(tasks))
    }
}

impl<'de> Deserialize<'de> for Tasks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TasksVisitor)
    }
}

impl JsonSchema for Tasks {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Tasks".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let task = generator.subschema_for::<TaskSpec>();
        json_schema!({
            "anyOf": [
                { "type": "array", "items": task },
                { "type": "object", "additionalProperties": { "anyOf": [task, { "type": "null" }] } },
            ]
        })
    }
}
