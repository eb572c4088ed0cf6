//! Callbacks as they are written: one notification or a list of them; and deadlines.
//! What a webhook and a mail look like is in `super::message`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::message::{EmailForm, WebhookForm};
use super::{At, Length};

/// One notification, or a list of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Callbacks(pub Vec<At<CallbackSpec>>);

/// Who is told, and how: exactly one of `command`, `webhook`, `email` and `python`.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CallbackSpec {
    /// A Bash command, or a list: a program and its arguments, which no shell reads. Texts are templates; what happened
    /// is in `UPDRAFT_EVENT`, `UPDRAFT_STATE` and `UPDRAFT_EXCEPTION`.
    pub command: Option<CommandForm>,
    /// A URL to which what happened is posted as JSON, or
    /// `{url: ..., conn_id: ..., method: ..., headers: {...}, body: ...}`. Texts are templates.
    pub webhook: Option<WebhookForm>,
    /// Addresses, or `{to: ..., cc: ..., bcc: ..., subject: ..., html_content: ..., from_email: ..., conn_id: ...}`.
    /// The mail server is the connection, else `smtp_default`, else the section `[smtp]`.
    pub email: Option<EmailForm>,
    /// A Python function that is called with the context: `module:function`, or `{function: ..., kwargs: {...}}`.
    pub python: Option<FunctionForm>,
}

/// A Bash command as a text, or a program and its arguments as a list.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandForm {
    Bash(String),
    Argv(Vec<String>),
}

/// A function by its name, or with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum FunctionForm {
    Name(String),
    Mapping(FunctionMapping),
}

/// The long form of a Python callback.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FunctionMapping {
    /// `module:function`, importable from the DAGs folder.
    pub function: Option<String>,
    /// What it gets besides the context; texts are templates.
    pub kwargs: Map<String, Value>,
    /// The Python DAG file whose object has the function; for files that are not YAML.
    #[schemars(skip)]
    pub dag_file: Option<String>,
    /// Its place in the object's list; for files that are not YAML.
    #[schemars(skip)]
    pub place: Option<u32>,
    /// Its name for people; for files that are not YAML.
    #[schemars(skip)]
    pub name: Option<String>,
}

/// One deadline, or a list of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deadlines(pub Vec<At<DeadlineSpec>>);

/// By when each run should have succeeded, and who is told when one has not.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeadlineSpec {
    /// Its name, for people.
    pub name: Option<String>,
    /// From when it is counted: `queued_at` (when the run was queued), `logical_date`, or a date of your own.
    pub reference: Option<At<String>>,
    /// How long after that: seconds, `30m`, `01:30:00` or `{hours: 1}`. With a minus sign it is before that.
    pub interval: Option<At<Interval>>,
    /// Who is told.
    pub callback: Callbacks,
}

/// A length of time that may be negative, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval(pub f64);

struct ListVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<At<T>>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a mapping, or a list of mappings")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let one = T::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(vec![At::nowhere(one)])
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        Ok(all)
    }
}

/// The list without the place of a single mapping, which only the parser around it knows.
struct Unplaced<T>(Vec<At<T>>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unplaced<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(std::marker::PhantomData)).map(Self)
    }
}

fn one_or_many<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<At<T>>, D::Error> {
    let At { value: Unplaced(mut all), position } = At::<Unplaced<T>>::deserialize(deserializer)?;
    for one in &mut all {
        one.position = one.position.or(position);
    }
    Ok(all)
}

impl<'de> Deserialize<'de> for Callbacks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_many(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Deadlines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_many(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for CommandForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = CommandForm;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a Bash command, or a list of a program and its arguments")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<CommandForm, E> {
                Ok(CommandForm::Bash(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<CommandForm, A::Error> {
                let mut argv = Vec::new();
                while let Some(word) = list.next_element()? {
                    argv.push(word);
                }
                Ok(CommandForm::Argv(argv))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

impl<'de> Deserialize<'de> for FunctionForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = FunctionForm;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("`module:function`, or {function: ..., kwargs: {...}}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<FunctionForm, E> {
                Ok(FunctionForm::Name(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FunctionForm, A::Error> {
                FunctionMapping::deserialize(de::value::MapAccessDeserializer::new(map)).map(FunctionForm::Mapping)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Interval;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a length of time such as 300, `5m`, `-1h`, `00:05:00` or {minutes: 5}")
            }
            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Interval, E> {
                // A century is beyond every use and far below what a clock can hold.
                let fits = seconds.abs() <= 3.2e9;
                fits.then_some(Interval(seconds)).ok_or_else(|| E::invalid_value(de::Unexpected::Float(seconds), &self))
            }
            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Interval, E> {
                self.visit_f64(seconds as f64)
            }
            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Interval, E> {
                self.visit_f64(seconds as f64)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Interval, E> {
                let (sign, rest) = text.trim().strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
                let length = Length::parse(rest).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))?;
                Ok(Interval(sign * length.0.as_secs_f64()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Interval, A::Error> {
                let length = Length::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Interval(length.0.as_secs_f64()))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

fn list_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let one = generator.subschema_for::<T>();
    json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
}

impl JsonSchema for Callbacks {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Callbacks".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        list_of::<CallbackSpec>(generator)
    }
}

impl JsonSchema for Deadlines {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Deadlines".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        list_of::<DeadlineSpec>(generator)
    }
}

impl JsonSchema for CommandForm {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CommandForm".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

impl JsonSchema for FunctionForm {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FunctionForm".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mapping = generator.subschema_for::<FunctionMapping>();
        json_schema!({ "anyOf": [{ "type": "string" }, mapping] })
    }
}

impl JsonSchema for Interval {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Interval".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let length = generator.subschema_for::<Length>();
        json_schema!({ "anyOf": [{ "type": "number" }, { "type": "string" }, length] })
    }
}
