//! The values that a DAG file may write in more than one way: lengths of time,
//! dates, schedules, "one or many", Python code, tasks as a list or a mapping.
//!
//! Each is read once, here, into a type that says what was meant; the error of
//! a value that means nothing says what was expected. Nothing here knows a default.

mod asset;
mod callback;
mod date;
mod expand;
mod length;
mod message;
mod param;
mod role;
mod schedule;
mod setting;
mod task;

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

pub use asset::{AssetMapping, Assets, Condition};
pub use callback::{
    CallbackSpec, Callbacks, CommandForm, DeadlineSpec, Deadlines, FunctionForm, FunctionMapping, Interval,
};
pub use date::Date;
pub use expand::{ExpandSource, Expansion, Groups};
pub use length::Length;
pub use message::{EmailForm, EmailMapping, WebhookForm, WebhookMapping};
pub use param::Params;
pub use role::Teardown;
pub use schedule::Schedule;
pub use setting::{Backoff, Environment, SkipCodes};
pub use task::{Python, PythonMapping, Tasks};

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
