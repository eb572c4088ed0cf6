//! Python code in its short and long form, and tasks as a list or a mapping.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::At;
use crate::dagfile::spec::TaskSpec;

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
