//! What a task does, as data. A worker turns it into a process; nothing here runs anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::native::Native;

/// The work of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Operator {
    /// Nothing: the scheduler passes it without an attempt.
    Empty,
    Bash(Bash),
    Python(Python),
    /// A process of this very program.
    Native(Box<Native>),
    Decide(Decide),
}

impl Operator {
    /// The fields that are templates, under Airflow's names.
    pub fn template_fields(&self) -> Vec<(String, Value)> {
        let named =
            |fields: Vec<(&str, Value)>| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        match self {
            Self::Empty | Self::Decide(Decide::LatestOnly) => Vec::new(),
            Self::Decide(Decide::Branch { choose }) => named(vec![("branch", choose.clone().into())]),
            Self::Decide(Decide::ShortCircuit { condition, .. }) => {
                named(vec![("short_circuit", condition.clone().into())])
            }
            Self::Native(native) => native.template_fields(),
            Self::Bash(bash) => {
                let env = bash.env.clone().map(|env| env.into_iter().map(|(name, value)| (name, value.into())));
                named(vec![
                    ("bash_command", bash.command.clone().into()),
                    ("env", env.map_or(Value::Null, |env| Value::Object(env.collect()))),
                    ("cwd", bash.cwd.clone().into()),
                ])
            }
            Self::Python(python) => {
                named(vec![("op_args", python.args.clone().into()), ("op_kwargs", python.kwargs.clone().into())])
            }
        }
    }

    /// Whether an attempt is needed at all.
    pub fn needs_worker(&self) -> bool {
        match self {
            Self::Empty | Self::Decide(Decide::LatestOnly) => false,
            Self::Bash(_)
            | Self::Python(_)
            | Self::Native(_)
            | Self::Decide(Decide::Branch { .. } | Decide::ShortCircuit { .. }) => true,
        }
    }
}

/// Operators that only decide what follows them (SCHEDULING §10); none of them needs a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decide", rename_all = "snake_case", deny_unknown_fields)]
pub enum Decide {
    /// Follows the task or tasks that the expression or template names.
    Branch { choose: String },
    /// Skips what is downstream where the condition does not hold.
    ShortCircuit {
        condition: String,
        /// Whether everything downstream is skipped, not only what is directly so.
        ignore_downstream_trigger_rules: bool,
    },
    /// Skips what is downstream unless the run is the schedule's newest. The scheduler passes it by itself.
    LatestOnly,
}

/// What the result of Python code decides about the tasks downstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum PythonDecision {
    Branch,
    ShortCircuit { ignore_downstream_trigger_rules: bool },
}

/// What a mapped task gives its operator, by the argument names of Airflow.
impl Operator {
    /// Sets one argument; one that the operator does not have is for templates alone.
    pub fn give(&mut self, name: &str, value: Value) -> Result<(), String> {
        match self {
            Self::Empty | Self::Decide(_) => {}
            Self::Bash(bash) => bash.give(name, value)?,
            Self::Python(python) => python.give(name, value)?,
            Self::Native(native) => native.give(name, value)?,
        }
        Ok(())
    }

    /// The template fields that an argument fills.
    pub fn fields_of(&self, name: &str, value: &Value) -> Vec<String> {
        match (self, name) {
            (Self::Bash(_), "bash" | "command") => vec!["bash_command".to_owned()],
            (Self::Python(_), "op_args") => vec!["op_args".to_owned()],
            (Self::Python(_), "op_kwargs") => {
                let names = value.as_object().into_iter().flatten();
                names.map(|(name, _)| format!("op_kwargs[{name:?}]")).collect()
            }
            (Self::Python(_), name) => vec![format!("op_kwargs[{name:?}]")],
            (Self::Native(native), name) => vec![native.field(name).to_owned()],
            (Self::Bash(_) | Self::Empty | Self::Decide(_), name) => vec![name.to_owned()],
        }
    }

    /// Whether this is an argument of the operator that can differ from instance to instance.
    pub fn has_argument(&self, name: &str) -> bool {
        match self {
            Self::Empty | Self::Decide(_) => false,
            Self::Bash(_) => Bash::ARGUMENTS.contains(&name),
            Self::Python(_) => true,
            Self::Native(native) => native.takes(name),
        }
    }
}

impl Bash {
    /// What can differ from instance to instance of a mapped task.
    pub const ARGUMENTS: [&'static str; 6] = ["bash_command", "bash", "env", "append_env", "cwd", "skip_on_exit_code"];

    fn give(&mut self, name: &str, value: Value) -> Result<(), String> {
        match name {
            "bash_command" | "bash" => self.command = text(name, value)?,
            "cwd" if value.is_null() => self.cwd = None,
            "cwd" => self.cwd = Some(text(name, value)?),
            "env" => {
                let Value::Object(entries) = value else {
                    return Err(format!("expected `env` to be a mapping, got: {value}"));
                };
                let entries =
                    entries.into_iter().map(|(key, value)| Ok((key.clone(), text(&format!("env[{key:?}]"), value)?)));
                self.env = Some(entries.collect::<Result<_, String>>()?);
            }
            "append_env" => {
                self.append_env = value
                    .as_bool()
                    .ok_or_else(|| format!("expected `append_env` to be true or false, got: {value}"))?;
            }
            "skip_on_exit_code" => {
                let codes = if value.is_number() { Value::Array(vec![value]) } else { value };
                self.skip_on_exit_code = serde_json::from_value(codes)
                    .map_err(|_| "expected `skip_on_exit_code` to be a number or a list of numbers".to_owned())?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Python {
    fn give(&mut self, name: &str, value: Value) -> Result<(), String> {
        match (name, value) {
            ("op_args", Value::Array(args)) => self.args = args,
            ("op_kwargs", Value::Object(kwargs)) => self.kwargs.extend(kwargs),
            ("op_args", other) => return Err(format!("expected `op_args` to be a list, got: {other}")),
            ("op_kwargs", other) => return Err(format!("expected `op_kwargs` to be a mapping, got: {other}")),
            (name, value) => {
                self.kwargs.insert(name.to_owned(), value);
            }
        }
        Ok(())
    }
}

fn text(what: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(format!("expected `{what}` to be text, got: {value}")),
    }
}

/// SCHEDULING §16. `command`, `env` values and `cwd` are templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bash {
    pub command: String,
    /// `None` inherits the worker's environment; a map replaces it unless `append_env`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub append_env: bool,
    /// `None` is a fresh temporary folder, removed afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Exit codes that mean "skipped".
    #[serde(default = "default_skip_codes")]
    pub skip_on_exit_code: Vec<i32>,
}

/// Airflow's default: 99.
pub fn default_skip_codes() -> Vec<i32> {
    vec![99]
}

/// A task of Python code; run by the interpreter that `[python] interpreter` names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Python {
    pub code: PythonCode,
    /// Positional arguments; strings in them are templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Value>,
    /// Keyword arguments; strings in them are templates.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub kwargs: serde_json::Map<String, Value>,
    /// Code of a YAML file that branches; a task of a Python file decides by its own class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decides: Option<PythonDecision>,
}

/// Where the code of a Python task is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub enum PythonCode {
    /// Statements written in the YAML file; the value of `result`, if set, is the XCom.
    Inline { source: String },
    /// `module:function`, importable from the DAGs folder.
    Function { module: String, function: String },
    /// A task object of a Python DAG file, found again by importing the file.
    /// `file` is relative to the DAGs folder.
    DagFile { file: String },
}
