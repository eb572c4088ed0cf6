//! Work that needs neither Bash nor Python: one request, one query, one mail, one run of another DAG,
//! or waiting for something. The fields are the arguments of Airflow's classes.
//!
//! Data only: what is written here is done by the process of `crate::operator`, or decided by the scheduler.

mod aim;
mod sensor;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::time::seconds;

pub use aim::{Aim, parse_moment, parse_time};
pub use sensor::{ExternalTask, FileWatch, HttpWatch, Mode, MomentWatch, Poking, Sensor, SqlWatch, Watched};

/// What a native task does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operator", rename_all = "snake_case")]
pub enum Native {
    Http(Http),
    Sql(Sql),
    Email(Email),
    TriggerDagRun(TriggerDagRun),
    Sensor(Sensor),
}

/// Fields that hold an expression about a result that is not there before the work is done; they are no templates.
const EXPRESSIONS: [&str; 5] = ["response_check", "response_filter", "success", "failure", "selector"];

impl Native {
    /// A word for people and for the tag of log lines.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Sql(_) => "sql",
            Self::Email(_) => "email",
            Self::TriggerDagRun(_) => "trigger_dagrun",
            Self::Sensor(_) => "sensor",
        }
    }

    /// The same with every text that is a template given to `render`, which also hears the field's name.
    ///
    /// # Errors
    /// What `render` says; or that the rendered values no longer fit their fields.
    pub fn rendered<E: From<serde_json::Error>>(
        &self,
        render: &dyn Fn(&str, &Value) -> Result<Value, E>,
    ) -> Result<Self, E> {
        let mut written = serde_json::to_value(self)?;
        render_fields(&mut written, render)?;
        Ok(serde_json::from_value(written)?)
    }

    /// The fields that are templates, each with what was written.
    pub fn template_fields(&self) -> Vec<(String, Value)> {
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else { return Vec::new() };
        let is_template = |name: &str| name != "operator" && !EXPRESSIONS.contains(&name);
        fields.into_iter().filter(|(name, _)| is_template(name)).collect()
    }

    /// Sets one argument, for one instance of a mapped task. What a sensor waits for is said by its templates.
    pub fn give(&mut self, name: &str, value: Value) -> Result<(), String> {
        let name = self.field(name);
        if self.takes(name) {
            let unfit = |error: serde_json::Error| format!("`{name}` cannot be {value}: {error}");
            *self = self.with(name, value.clone()).map_err(unfit)?;
        }
        Ok(())
    }

    /// Whether an argument of this name can differ from instance to instance.
    pub fn takes(&self, name: &str) -> bool {
        let is_unknown = |error: &serde_json::Error| error.to_string().starts_with("unknown field");
        match self {
            Self::Sensor(_) => false,
            Self::Http(_) | Self::Sql(_) | Self::Email(_) | Self::TriggerDagRun(_) => {
                self.with(name, Value::Null).err().is_none_or(|error| !is_unknown(&error))
            }
        }
    }

    /// The field that an argument fills, which may also have another name.
    pub fn field<'a>(&self, name: &'a str) -> &'a str {
        match (self, name) {
            (Self::Http(_), "conn_id") => "http_conn_id",
            (Self::Http(_), "url") => "endpoint",
            (Self::Http(_), "request_params") => "data",
            (Self::Sql(_), "postgres_conn_id" | "mysql_conn_id" | "sqlite_conn_id") => "conn_id",
            (Self::TriggerDagRun(_), "dag_id") => "trigger_dag_id",
            (Self::TriggerDagRun(_), "run_id") => "trigger_run_id",
            (Self::TriggerDagRun(_), "execution_date") => "logical_date",
            (Self::Http(_) | Self::Sql(_) | Self::Email(_) | Self::TriggerDagRun(_) | Self::Sensor(_), name) => name,
        }
    }

    fn with(&self, name: &str, value: Value) -> Result<Self, serde_json::Error> {
        let mut written = serde_json::to_value(self)?;
        if let Value::Object(fields) = &mut written {
            fields.insert(name.to_owned(), value);
        }
        serde_json::from_value(written)
    }

    /// Whether any text in it satisfies `test`, expressions left out.
    pub fn any_text(&self, test: fn(&str) -> bool) -> bool {
        // A definition that exists can be written; a failure would only cost one useless rendering.
        serde_json::to_value(self).map_or(true, |value| any_text(&value, test))
    }
}

fn render_fields<E>(value: &mut Value, render: &dyn Fn(&str, &Value) -> Result<Value, E>) -> Result<(), E> {
    let Value::Object(fields) = value else { return Ok(()) };
    for (name, field) in fields.iter_mut().filter(|(name, _)| !EXPRESSIONS.contains(&name.as_str())) {
        match name.as_str() {
            "watched" | "poking" => render_fields(field, render)?,
            _ => *field = render(name, field)?,
        }
    }
    Ok(())
}

fn any_text(value: &Value, test: fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => test(text),
        Value::Array(list) => list.iter().any(|value| any_text(value, test)),
        Value::Object(map) => {
            map.iter().any(|(name, value)| !EXPRESSIONS.contains(&name.as_str()) && any_text(value, test))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// One text or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    pub fn to_vec(&self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text.clone()],
            Self::Many(texts) => texts.clone(),
        }
    }

    /// Addresses may also stand in one text, parted by commas or semicolons.
    pub fn addresses(&self) -> Vec<String> {
        let texts = self.to_vec();
        let parts = texts.iter().flat_map(|text| text.split([',', ';'])).map(str::trim);
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }
}

/// A length of time, as a DAG file may write one.
pub(super) struct LengthForm;

impl JsonSchema for LengthForm {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LengthForm".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "number", "minimum": 0 }, { "type": "string" }, { "type": "object" }] })
    }
}

/// One HTTP request (`HttpOperator`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// The connection that names the server, the login and headers. Default: `http_default`, which an `endpoint`
    /// that is a whole URL does not need.
    #[serde(default, alias = "conn_id", skip_serializing_if = "Option::is_none")]
    pub http_conn_id: Option<String>,
    /// The path after the connection's address, or a whole URL. A template.
    #[serde(default, alias = "url", skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// `GET`, `POST`, ... Default: `POST`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What is sent: a text as it is, a mapping as a form; with `GET` it becomes the query. A template.
    #[serde(default, alias = "request_params", skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// What is sent as JSON. A template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// Headers of the request, over those of the connection's extra. A template.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A Jinja expression over `response` that must be true: `response.json().state == 'ready'`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_check: Option<String>,
    /// A Jinja expression over `response` whose value becomes the XCom. Default: the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_filter: Option<String>,
    /// Whether the answer's text is written to the log.
    #[serde(default)]
    pub log_response: bool,
    /// More about the request.
    #[serde(default)]
    pub extra_options: HttpOptions,
}

/// `extra_options` of an HTTP request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpOptions {
    /// Seconds until the request is given up. Default: no limit but the task's own.
    #[serde(default, with = "seconds::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LengthForm")]
    pub timeout: Option<Duration>,
    /// Whether the server's certificate is checked. Default: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<bool>,
    /// Whether redirections are followed. Default: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_redirects: Option<bool>,
    /// Whether a status of 400 and above fails the task. Default: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_response: Option<bool>,
}

/// SQL statements (`SQLExecuteQueryOperator`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sql {
    /// One text of statements, or a list. A template; one that ends in `.sql` names a file.
    pub sql: Texts,
    /// The connection: Postgres, MySQL or SQLite.
    #[serde(
        default,
        alias = "postgres_conn_id",
        alias = "mysql_conn_id",
        alias = "sqlite_conn_id",
        skip_serializing_if = "Option::is_none"
    )]
    pub conn_id: Option<String>,
    /// The database, instead of the connection's schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Values for `%s` (a list) or `%(name)s` (a mapping); with SQLite `?` or `:name`. A template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether each statement is its own transaction. Default: all are one.
    #[serde(default)]
    pub autocommit: bool,
    /// Whether one text is cut into its statements, each with a result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_statements: Option<bool>,
    /// Whether only the last statement's result is kept. Default: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_last: Option<bool>,
    /// What becomes of the rows: `fetch_all_handler`, `fetch_one_handler` or `none`. Default: all.
    #[serde(default)]
    pub handler: Handler,
    /// A result of more rows fails the task instead of filling the database with it. Default: 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_limit: Option<u64>,
    /// Whether the rows are written to the log.
    #[serde(default)]
    pub show_return_value_in_logs: bool,
}

/// What becomes of the rows of a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Handler {
    /// A list of rows.
    #[default]
    #[serde(rename = "fetch_all_handler", alias = "fetch_all")]
    FetchAll,
    /// The first row.
    #[serde(rename = "fetch_one_handler", alias = "fetch_one")]
    FetchOne,
    /// They are not read.
    #[serde(rename = "none")]
    None,
}

/// A mail (`EmailOperator`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// To whom: addresses, as a list or parted by commas. A template.
    pub to: Texts,
    /// A template.
    pub subject: String,
    /// The text, in HTML. A template.
    pub html_content: String,
    /// Files to attach. A template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Who gets a copy. A template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cc: Option<Texts>,
    /// Who gets a copy that the others do not see. A template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bcc: Option<Texts>,
    /// The sender. Default: the connection's `from_email`, `[smtp] smtp_mail_from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_email: Option<String>,
    /// The connection of the mail server. Default: `smtp_default` if there is one, else the section `[smtp]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conn_id: Option<String>,
    /// Headers of the mail.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_headers: BTreeMap<String, String>,
}

/// A run of another DAG (`TriggerDagRunOperator`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerDagRun {
    /// The DAG to run. A template.
    #[serde(alias = "dag_id")]
    pub trigger_dag_id: String,
    /// The run's id; made from its type and instant where it is left out. A template.
    #[serde(default, alias = "run_id", skip_serializing_if = "Option::is_none")]
    pub trigger_run_id: Option<String>,
    /// The conf of the run. A template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conf: Option<Value>,
    /// The logical date of the run. A template.
    #[serde(default, alias = "execution_date", skip_serializing_if = "Option::is_none")]
    pub logical_date: Option<String>,
    /// Whether a run that exists already is cleared and runs again.
    #[serde(default)]
    pub reset_dag_run: bool,
    /// Whether the task waits until the run has ended.
    #[serde(default)]
    pub wait_for_completion: bool,
    /// How often the run is looked at while the task waits. Default: 60 s.
    #[serde(default = "a_minute", with = "seconds")]
    #[schemars(with = "LengthForm")]
    pub poke_interval: Duration,
    /// States of the run that are good. Default: `success`.
    #[serde(default = "success", deserialize_with = "words_or_default::<Success, _>")]
    pub allowed_states: Vec<String>,
    /// States of the run that fail the task. Default: `failed`.
    #[serde(default = "failed", deserialize_with = "words_or_default::<Failed, _>")]
    pub failed_states: Vec<String>,
    /// Whether a run that exists already makes the task skipped instead of failed.
    #[serde(default)]
    pub skip_when_already_exists: bool,
    /// Whether the task fails when the DAG is paused.
    #[serde(default)]
    pub fail_when_dag_is_paused: bool,
    /// Whether waiting holds no slot.
    #[serde(default)]
    pub deferrable: bool,
    /// A note for the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl TriggerDagRun {
    /// The conf as an object.
    ///
    /// # Errors
    /// When it is something else.
    pub fn conf(&self) -> Result<Map<String, Value>, String> {
        match &self.conf {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(conf)) => Ok(conf.clone()),
            Some(other) => Err(format!("expected `conf` to be a mapping, got: {other}")),
        }
    }
}

pub(super) fn a_minute() -> Duration {
    Duration::from_secs(60)
}

pub(super) fn success() -> Vec<String> {
    vec!["success".to_owned()]
}

pub(super) fn failed() -> Vec<String> {
    vec!["failed".to_owned()]
}

/// What a list of states is where it is written as `null`.
pub(super) trait DefaultWords {
    fn words() -> Vec<String>;
}
pub(super) struct Success;
pub(super) struct Failed;
impl DefaultWords for Success {
    fn words() -> Vec<String> {
        success()
    }
}
impl DefaultWords for Failed {
    fn words() -> Vec<String> {
        failed()
    }
}

pub(super) fn words_or_default<'de, W: DefaultWords, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_else(W::words))
}
