//! What a task or a group is expanded over: lists, mappings, and the values of other tasks.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::At;
use crate::dagfile::spec::GroupSpec;

/// Arguments and where their values come from, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expansion(pub Vec<(At<String>, At<ExpandSource>)>);

/// Where the values of one argument come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpandSource {
    List(Vec<Value>),
    Dict(Map<String, Value>),
    XCom {
        task_id: String,
        key: Option<String>,
    },
    Zip {
        sources: Vec<ExpandSource>,
        fill: Option<Value>,
    },
    Concat(Vec<ExpandSource>),
    /// Of Python files alone: the function is found again in the file.
    Map(Box<ExpandSource>),
}

impl Default for ExpandSource {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl ExpandSource {
    fn read(value: Value) -> Result<Self, String> {
        let mut entries = match value {
            Value::Array(values) => return Ok(Self::List(values)),
            Value::Object(entries) => entries,
            other => {
                return Err(format!("expected a list, a mapping or `{{xcom: task_id}}` to expand over, got: {other}"));
            }
        };
        let Some(word) = ["xcom", "zip", "concat", "dict", "map"].into_iter().find(|word| entries.contains_key(*word))
        else {
            return Ok(Self::Dict(entries));
        };
        let value = entries.shift_remove(word).unwrap_or_default();
        let beside = match word {
            "xcom" => "key",
            "zip" => "fillvalue",
            _ => "",
        };
        let extra = entries.shift_remove(beside);
        if let Some((key, _)) = entries.iter().next() {
            return Err(format!(
                "unknown key `{key}` beside `{word}`; a mapping with the key `{word}` to expand over is written `dict: {{...}}`"
            ));
        }
        match (word, value) {
            ("xcom", Value::String(task_id)) => match extra {
                None => Ok(Self::XCom { task_id, key: None }),
                Some(Value::String(key)) => Ok(Self::XCom { task_id, key: Some(key) }),
                Some(other) => Err(format!("expected the `key` of an XCom to be text, got: {other}")),
            },
            ("zip", Value::Array(sources)) => Ok(Self::Zip { sources: Self::read_all(sources)?, fill: extra }),
            ("concat", Value::Array(sources)) => Ok(Self::Concat(Self::read_all(sources)?)),
            ("dict", Value::Object(entries)) => Ok(Self::Dict(entries)),
            ("map", source) => Ok(Self::Map(Box::new(Self::read(source)?))),
            ("xcom", other) => Err(format!("expected `xcom` to be a task id, got: {other}")),
            ("dict", other) => Err(format!("expected `dict` to be a mapping, got: {other}")),
            (word, other) => Err(format!("expected `{word}` to be a list of what can be expanded over, got: {other}")),
        }
    }

    fn read_all(sources: Vec<Value>) -> Result<Vec<Self>, String> {
        sources.into_iter().map(Self::read).collect()
    }
}

impl<'de> Deserialize<'de> for ExpandSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for ExpandSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ExpandSource".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A list, a mapping, the values of a task as `{xcom: task_id}`, or several of them under `zip` or `concat`.",
            "anyOf": [{ "type": "array" }, { "type": "object" }],
        })
    }
}

struct ExpansionVisitor;

impl<'de> Visitor<'de> for ExpansionVisitor {
    type Value = Expansion;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a mapping from argument to what it is expanded over")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Expansion, A::Error> {
        let mut arguments = Vec::new();
        while let Some(entry) = map.next_entry()? {
            arguments.push(entry);
        }
        Ok(Expansion(arguments))
    }
}

impl<'de> Deserialize<'de> for Expansion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ExpansionVisitor)
    }
}

impl JsonSchema for Expansion {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expansion".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let source = generator.subschema_for::<ExpandSource>();
        json_schema!({ "type": "object", "additionalProperties": source })
    }
}

/// The groups of a DAG: a mapping from group id to group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups(pub Vec<(At<String>, GroupSpec)>);

struct GroupsVisitor;

impl<'de> Visitor<'de> for GroupsVisitor {
    type Value = Groups;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a mapping from group id to group")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Groups, E> {
        Ok(Groups::default())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Groups, A::Error> {
        let mut groups = Vec::new();
        while let Some((name, group)) = map.next_entry::<At<String>, Option<GroupSpec>>()? {
            groups.push((name, group.unwrap_or_default()));
        }
        Ok(Groups(groups))
    }
}

impl<'de> Deserialize<'de> for Groups {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GroupsVisitor)
    }
}

impl JsonSchema for Groups {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Groups".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let group = generator.subschema_for::<GroupSpec>();
        json_schema!({ "type": "object", "additionalProperties": { "anyOf": [group, { "type": "null" }] } })
    }
}
