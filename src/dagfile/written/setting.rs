//! Settings of a task that Airflow lets one write in more than one way.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

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
