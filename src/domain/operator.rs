//! What a task does, as data. A worker turns it into a process; nothing here runs anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The work of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Operator {
    /// Nothing: the scheduler passes it without an attempt.
    Empty,
    Bash(Bash),
    Python(Python),
}

impl Operator {
    /// Whether an attempt is needed at all.
    pub fn needs_worker(&self) -> bool {
        match self {
            Self::Empty => false,
            Self::Bash(_) | Self::Python(_) => true,
        }
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
