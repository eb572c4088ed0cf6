//! How the short forms of native operators look to an editor. Only the schema knows these types; they are never read.

use schemars::JsonSchema;

use crate::domain::native::{ExternalTask, FileWatch, Http, HttpWatch, Mode, Sql, SqlWatch, TriggerDagRun};

use super::written::Length;

/// A URL, or the arguments of `HttpOperator`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "a shape for the schema alone")]
pub enum HttpForm {
    Url(String),
    Arguments(Box<Http>),
}

/// A statement, a list of statements, or the arguments of `SQLExecuteQueryOperator`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "a shape for the schema alone")]
pub enum SqlForm {
    Statement(String),
    Statements(Vec<String>),
    Arguments(Box<Sql>),
}

/// A DAG's id, or the arguments of `TriggerDagRunOperator`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "a shape for the schema alone")]
pub enum TriggerForm {
    DagId(String),
    Arguments(Box<TriggerDagRun>),
}

/// What a sensor waits for, and how. Arguments of what it waits for may also stand beside the key.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "a shape for the schema alone")]
pub struct WaitForm {
    /// A path with `*`, `?` and `[...]`, or the arguments of `FileSensor`.
    file: Option<Form<FileWatch>>,
    /// A URL, or the arguments of `HttpSensor`.
    http: Option<Form<HttpWatch>>,
    /// A query, or the arguments of `SqlSensor`.
    sql: Option<Form<SqlWatch>>,
    /// A time of the day in the DAG's zone: `06:30`.
    time: Option<String>,
    /// So long after the end of the data interval.
    delta: Option<Length>,
    /// A date with time; a template.
    date_time: Option<String>,
    /// A DAG's id for its whole run, or the arguments of `ExternalTaskSensor`.
    external_task: Option<Form<ExternalTask>>,
    /// `poke` holds its slot while it waits, `reschedule` frees it between two looks.
    mode: Option<Mode>,
    /// How long between two looks. Default: 60 s.
    poke_interval: Option<Length>,
    /// How long it waits at most. Default: 7 days.
    timeout: Option<Length>,
    /// Whether waiting too long makes it skipped instead of failed.
    soft_fail: Option<bool>,
    /// Whether every error makes it skipped.
    never_fail: Option<bool>,
    /// Whether an error is only written to the log.
    silent_fail: Option<bool>,
    /// Whether the time between two looks grows.
    exponential_backoff: Option<bool>,
    /// The longest that a growing time between two looks gets.
    max_wait: Option<Length>,
    /// Whether waiting holds no slot at all.
    deferrable: Option<bool>,
}

/// A text, or arguments.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "a shape for the schema alone")]
pub enum Form<T> {
    Text(String),
    Arguments(T),
}
