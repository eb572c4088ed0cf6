//! Schedules: words, distances, and `null` for none. Whether the words make sense is not decided here.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::asset::Condition;
use super::length::{Amounts, Length, LengthVisitor, UNITS};

/// A schedule as written. Words are a preset or a cron expression, not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// `null`: only when somebody triggers it.
    Never,
    /// A preset or a cron expression. `data_interval` overrides the configured family of timetables.
    Words { text: String, data_interval: Option<bool> },
    /// A distance: calendar months plus a fixed part.
    Distance { months: u32, length: Duration, data_interval: Option<bool> },
    /// When the assets have changed, and by `timetable` besides.
    Assets { condition: Condition, timetable: Option<Box<Schedule>> },
}

/// What a schedule looks like, for messages.
const A_SCHEDULE: &str = "a schedule such as `0 6 * * *`, `@daily`, `30m`, {hours: 6}, a list of assets or null";

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
        let has_distance = amounts.months > 0 || amounts.seconds > 0.0;
        match (amounts.assets, amounts.timetable) {
            (Some(condition), timetable) if amounts.cron.is_none() && !has_distance => {
                return Ok(Schedule::Assets { condition, timetable });
            }
            (Some(_), _) => {
                let hint = "write {assets: [...], timetable: ...}";
                return Err(de::Error::custom(format!("expected assets and times apart from each other: {hint}")));
            }
            (None, Some(_)) => {
                return Err(de::Error::custom("expected `assets` beside `timetable`; on its own, write the schedule"));
            }
            (None, None) => {}
        }
        if let Some(text) = amounts.cron {
            if has_distance {
                return Err(de::Error::custom(format!("expected {A_SCHEDULE}, got both `cron` and a distance")));
            }
            return Ok(Schedule::Words { text, data_interval });
        }
        let length = LengthVisitor.visit_f64(amounts.seconds)?.0;
        Ok(Schedule::Distance { months: amounts.months, length, data_interval })
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Schedule, A::Error> {
        let condition = Condition::deserialize(de::value::SeqAccessDeserializer::new(list))?;
        Ok(Schedule::Assets { condition, timetable: None })
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
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let condition = generator.subschema_for::<Condition>();
        let own = serde_json::json!({ "$ref": "#/$defs/Schedule" });
        let assets = serde_json::json!({ "type": "array", "items": condition, "minItems": 1 });
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
                assets,
                {
                    "type": "object",
                    "description": "When assets have changed, and at the times of `timetable` besides.",
                    "properties": { "assets": condition, "all": assets, "any": assets, "timetable": own },
                    "additionalProperties": false,
                },
            ]
        })
    }
}
