//! Operators and sensors that need no Python: from Airflow's class names and arguments to the domain's values.
//!
//! A short form (`http:`, `sql:`, `wait_for:`, ...) is the same class with the same arguments.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::dagfile::spec::TaskSpec;
use crate::dagfile::written::{At, Length, Position};
use crate::domain::native::{
    Email, ExternalTask, FileWatch, Http, HttpWatch, MomentWatch, Native, Poking, Sensor, Sql, SqlWatch, TriggerDagRun,
    Watched, parse_moment, parse_time,
};
use crate::domain::operator::Operator;
use crate::domain::problem::suggestion;
use crate::domain::state::{RunState, TaskState};
use crate::domain::template::{check_expression, is_template};

use super::Notes;

/// A class of Airflow's that runs without Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Http,
    Sql,
    Postgres,
    MySql,
    Sqlite,
    Email,
    TriggerDagRun,
    File,
    HttpSensor,
    SqlSensor,
    Time,
    TimeDelta,
    DateTime,
    ExternalTask,
}

impl Class {
    /// The words for each class; the first word of a class is its name for people.
    pub const WORDS: [(&'static str, Self); 23] = [
        ("HttpOperator", Self::Http),
        ("SimpleHttpOperator", Self::Http),
        ("SQLExecuteQueryOperator", Self::Sql),
        ("PostgresOperator", Self::Postgres),
        ("MySqlOperator", Self::MySql),
        ("SqliteOperator", Self::Sqlite),
        ("EmailOperator", Self::Email),
        ("TriggerDagRunOperator", Self::TriggerDagRun),
        ("FileSensor", Self::File),
        ("HttpSensor", Self::HttpSensor),
        ("SqlSensor", Self::SqlSensor),
        ("SQLSensor", Self::SqlSensor),
        ("TimeSensor", Self::Time),
        ("TimeSensorAsync", Self::Time),
        ("TimeDeltaSensor", Self::TimeDelta),
        ("TimeDeltaSensorAsync", Self::TimeDelta),
        ("DateTimeSensor", Self::DateTime),
        ("DateTimeSensorAsync", Self::DateTime),
        ("ExternalTaskSensor", Self::ExternalTask),
        ("http", Self::Http),
        ("sql", Self::Sql),
        ("email", Self::Email),
        ("trigger_dagrun", Self::TriggerDagRun),
    ];

    pub fn name(self) -> &'static str {
        let word = Self::WORDS.iter().find(|(_, class)| *class == self);
        word.map_or("operator", |(word, _)| word)
    }
}

/// The classes that a task's short forms name, with what is written there.
pub(super) fn short_forms(spec: &TaskSpec, notes: &mut Notes) -> Vec<(&'static str, Class, Option<Position>)> {
    let forms = [
        ("http", Class::Http, &spec.http),
        ("sql", Class::Sql, &spec.sql),
        ("send_email", Class::Email, &spec.send_email),
        ("trigger_dagrun", Class::TriggerDagRun, &spec.trigger_dagrun),
    ];
    let mut found: Vec<_> = forms
        .into_iter()
        .filter_map(|(key, class, written)| written.as_ref().map(|at| (key, class, at.position)))
        .collect();
    if let Some(at) = &spec.wait_for
        && let Some(class) = waits_for(&at.value, at.position, notes)
    {
        found.push(("wait_for", class, at.position));
    }
    found
}

/// The keys of `wait_for`, each with its class; exactly one of them is written.
const AIMS: [(&str, Class); 7] = [
    ("file", Class::File),
    ("http", Class::HttpSensor),
    ("sql", Class::SqlSensor),
    ("time", Class::Time),
    ("delta", Class::TimeDelta),
    ("date_time", Class::DateTime),
    ("external_task", Class::ExternalTask),
];

fn waits_for(written: &Value, position: Option<Position>, notes: &mut Notes) -> Option<Class> {
    let keys = written.as_object().map(|map| AIMS.iter().filter(|(key, _)| map.contains_key(*key)).collect::<Vec<_>>());
    match keys.as_deref() {
        Some([(_, class)]) => Some(*class),
        Some([(first, _), (second, _), ..]) => {
            notes
                .error(position, format!("`wait_for` has both `{first}` and `{second}`: a sensor waits for one thing"));
            None
        }
        Some([]) | None => {
            let known = AIMS.map(|(key, _)| key).join(", ");
            notes.error(position, format!("expected `wait_for` to be a mapping with one of these keys: {known}"));
            None
        }
    }
}

/// The operator; where something is wrong, the DAG is not used.
pub(super) fn lower(class: Class, spec: &TaskSpec, timezone: chrono_tz::Tz, notes: &mut Notes) -> Operator {
    let (mut arguments, position) = arguments(class, spec, notes);
    let is_async = spec.operator.as_ref().is_some_and(|word| word.value.ends_with("Async"));
    let mut written = Written { class, position, notes };
    written.lengths(&mut arguments);
    let native = match class {
        Class::Http => written.read::<Http>(arguments).map(|http| {
            written.expression("response_check", http.response_check.as_deref());
            written.expression("response_filter", http.response_filter.as_deref());
            Native::Http(http)
        }),
        Class::Sql | Class::Postgres | Class::MySql | Class::Sqlite => written.sql(arguments).map(Native::Sql),
        Class::Email => written.read::<Email>(arguments).map(Native::Email),
        Class::TriggerDagRun => written.read::<TriggerDagRun>(arguments).map(|trigger| {
            written.states("allowed_states", &trigger.allowed_states, false);
            written.states("failed_states", &trigger.failed_states, false);
            Native::TriggerDagRun(trigger)
        }),
        Class::File
        | Class::HttpSensor
        | Class::SqlSensor
        | Class::Time
        | Class::TimeDelta
        | Class::DateTime
        | Class::ExternalTask => written.sensor(arguments, is_async, timezone).map(Native::Sensor),
    };
    native.map_or(Operator::Empty, |native| Operator::Native(Box::new(native)))
}

/// What is written for the class: under its short form, or in `arguments`.
fn arguments(class: Class, spec: &TaskSpec, notes: &mut Notes) -> (Map<String, Value>, Option<Position>) {
    let text_is =
        |written: &Option<At<Value>>, key: &str| written.as_ref().map(|at| (mapping(&at.value, key), at.position));
    let short = match class {
        Class::Http => text_is(&spec.http, "endpoint"),
        Class::Sql => text_is(&spec.sql, "sql"),
        Class::Email => text_is(&spec.send_email, "to"),
        Class::TriggerDagRun => text_is(&spec.trigger_dagrun, "trigger_dag_id"),
        Class::Postgres | Class::MySql | Class::Sqlite => None,
        Class::File
        | Class::HttpSensor
        | Class::SqlSensor
        | Class::Time
        | Class::TimeDelta
        | Class::DateTime
        | Class::ExternalTask => spec.wait_for.as_ref().map(|at| (of_wait_for(&at.value), at.position)),
    };
    match (short, &spec.arguments) {
        (Some((short, position)), None) => (short, position),
        (None, Some(At { value, position })) => (value.clone(), *position),
        (Some((mut short, position)), Some(more)) => {
            short.extend(more.value.clone());
            (short, position)
        }
        (None, None) => {
            notes.error_with(
                None,
                format!("{} has no arguments", class.name()),
                "write them under `arguments:`".to_owned(),
            );
            (Map::new(), None)
        }
    }
}

/// A short form that is a text, or a list of statements, is the one argument that matters.
fn mapping(written: &Value, key: &str) -> Map<String, Value> {
    match written {
        Value::Object(map) => map.clone(),
        other => Map::from_iter([(key.to_owned(), other.clone())]),
    }
}

/// `{file: path, mode: reschedule}` as the arguments of the class.
fn of_wait_for(written: &Value) -> Map<String, Value> {
    let mut arguments = written.as_object().cloned().unwrap_or_default();
    for (key, class) in AIMS {
        let Some(aim) = arguments.remove(key) else { continue };
        let name = match class {
            Class::File => "filepath",
            Class::HttpSensor => "endpoint",
            Class::SqlSensor => "sql",
            Class::Time | Class::DateTime => "target_time",
            Class::TimeDelta => "delta",
            Class::ExternalTask => "external_dag_id",
            Class::Http
            | Class::Sql
            | Class::Postgres
            | Class::MySql
            | Class::Sqlite
            | Class::Email
            | Class::TriggerDagRun => continue,
        };
        // A length may be a mapping, too; it is one value all the same.
        let inner =
            if class == Class::TimeDelta { Map::from_iter([(name.to_owned(), aim)]) } else { mapping(&aim, name) };
        arguments.extend(inner);
    }
    arguments
}

/// One task's arguments on their way, with the place to complain about.
struct Written<'a> {
    class: Class,
    position: Option<Position>,
    notes: &'a mut Notes,
}

impl Written<'_> {
    fn error(&mut self, message: impl std::fmt::Display) {
        self.notes.error(self.position, format!("{}: {message}", self.class.name()));
    }

    /// Lengths may be written in every way in which a DAG file writes one; the domain counts seconds.
    fn lengths(&mut self, arguments: &mut Map<String, Value>) {
        const LENGTHS: [&str; 5] = ["poke_interval", "timeout", "max_wait", "delta", "execution_delta"];
        let mut wrong = Vec::new();
        let outer = arguments.iter_mut().filter(|(key, _)| LENGTHS.contains(&key.as_str()));
        for (key, value) in outer.map(|(key, value)| (key.as_str(), value)) {
            wrong.extend(seconds(key, value).err());
        }
        let options = arguments.get_mut("extra_options").and_then(Value::as_object_mut);
        if let Some(value) = options.and_then(|options| options.get_mut("timeout")) {
            wrong.extend(seconds("extra_options.timeout", value).err());
        }
        for message in wrong {
            self.error(message);
        }
    }

    fn read<T: DeserializeOwned>(&mut self, arguments: Map<String, Value>) -> Option<T> {
        // What is written as null is left out, as in Python.
        let given: Map<String, Value> = arguments.into_iter().filter(|(_, value)| !value.is_null()).collect();
        match serde_json::from_value(Value::Object(given)) {
            Ok(read) => Some(read),
            Err(error) => {
                let (message, hint) = sentence(&error.to_string());
                self.notes.error_with(self.position, format!("{}: {message}", self.class.name()), hint);
                None
            }
        }
    }

    fn sql(&mut self, arguments: Map<String, Value>) -> Option<Sql> {
        let mut sql: Sql = self.read(arguments)?;
        let defaults =
            [(Class::Postgres, "postgres_default"), (Class::MySql, "mysql_default"), (Class::Sqlite, "sqlite_default")];
        let default = defaults.iter().find(|(class, _)| *class == self.class).map(|(_, name)| *name);
        sql.conn_id = sql.conn_id.or(default.map(str::to_owned));
        if sql.conn_id.is_none() {
            self.error("it needs a `conn_id`: the connection of a Postgres, MySQL or SQLite database");
        }
        Some(sql)
    }

    fn sensor(&mut self, mut arguments: Map<String, Value>, is_async: bool, timezone: chrono_tz::Tz) -> Option<Sensor> {
        let mut common = Map::new();
        for key in Poking::KEYS {
            common.extend(arguments.remove_entry(key));
        }
        let mut poking: Poking = self.read(common)?;
        poking.deferrable |= is_async;
        let watched = match self.class {
            Class::File => Watched::File(self.read::<FileWatch>(arguments)?),
            Class::HttpSensor => {
                let watch: HttpWatch = self.read(arguments)?;
                self.expression("response_check", watch.response_check.as_deref());
                Watched::Http(watch)
            }
            Class::SqlSensor => {
                let watch: SqlWatch = self.read(arguments)?;
                self.expression("success", watch.success.as_deref());
                self.expression("failure", watch.failure.as_deref());
                Watched::Sql(watch)
            }
            Class::ExternalTask => {
                let task: ExternalTask = self.read(arguments)?;
                let is_run = task.task_ids().is_empty() && task.external_task_group_id.is_none();
                self.states("allowed_states", &task.allowed_states, !is_run);
                self.states("skipped_states", &task.skipped_states, !is_run);
                self.states("failed_states", &task.failed_states, !is_run);
                Watched::ExternalTask(task)
            }
            Class::Time | Class::TimeDelta | Class::DateTime => Watched::Moment(self.moment(arguments, timezone)?),
            // No sensors, and never given here.
            Class::Http
            | Class::Sql
            | Class::Postgres
            | Class::MySql
            | Class::Sqlite
            | Class::Email
            | Class::TriggerDagRun => return None,
        };
        Some(Sensor { poking, watched })
    }

    /// `target_time` is a time of the day for one class and a date for another.
    fn moment(&mut self, mut arguments: Map<String, Value>, timezone: chrono_tz::Tz) -> Option<MomentWatch> {
        let target = arguments.remove("target_time");
        let key = if self.class == Class::Time { "time_of_day" } else { "date_time" };
        if let Some(target) = target {
            arguments.insert(key.to_owned(), target);
        }
        let mut moment: MomentWatch = self.read(arguments)?;
        moment.timezone = Some(timezone);
        let is_wrong = match (&moment.time_of_day, &moment.date_time, moment.delta) {
            (Some(time), None, None) => {
                parse_time(time).is_none().then(|| format!("expected a time of the day such as 06:30, got: `{time}`"))
            }
            (None, Some(date), None) => (!is_template(date) && parse_moment(date, timezone).is_none())
                .then(|| format!("expected a date such as 2026-01-31T06:00:00+01:00, got: `{date}`")),
            (None, None, Some(_)) => None,
            (None, None, None) => Some("it needs `target_time` or `delta`".to_owned()),
            _ => Some("it waits for one moment, and several are written".to_owned()),
        };
        if let Some(message) = is_wrong {
            self.error(message);
        }
        Some(moment)
    }

    fn expression(&mut self, key: &str, written: Option<&str>) {
        if let Some(Err(why)) = written.map(check_expression) {
            self.error(format!("`{key}`: {why}"));
        }
    }

    fn states(&mut self, key: &str, words: &[String], of_tasks: bool) {
        for word in words {
            let is_known = if of_tasks { word.parse::<TaskState>().is_ok() } else { word.parse::<RunState>().is_ok() };
            if !is_known {
                let known: Vec<&str> = match of_tasks {
                    true => TaskState::ALL.map(TaskState::as_str).to_vec(),
                    false => RunState::ALL.map(RunState::as_str).to_vec(),
                };
                let hint = suggestion(word, known.clone()).unwrap_or_else(|| format!("known: {}", known.join(", ")));
                let message = format!("{}: `{key}`: unknown state `{word}`", self.class.name());
                self.notes.error_with(self.position, message, hint);
            }
        }
    }
}

fn seconds(key: &str, value: &mut Value) -> Result<(), String> {
    if value.is_null() || value.is_number() {
        return Ok(());
    }
    let length: Length = serde_json::from_value(value.clone()).map_err(|error| format!("`{key}`: {error}"))?;
    *value = Value::from(length.0.as_secs_f64());
    Ok(())
}

/// An error of the reader with the hint that people get everywhere else.
fn sentence(error: &str) -> (String, Option<String>) {
    let mut names = error.split('`').skip(1).step_by(2);
    match names.next() {
        Some(got) if error.starts_with("unknown field") || error.starts_with("unknown variant") => {
            let what = if error.starts_with("unknown field") { "argument" } else { "word" };
            let known: Vec<&str> = names.collect();
            let hint = suggestion(got, known.iter().copied()).unwrap_or_else(|| format!("known: {}", known.join(", ")));
            (format!("unknown {what} `{got}`"), Some(hint))
        }
        Some(missing) if error.starts_with("missing field") => (format!("it needs `{missing}`"), None),
        Some(_) | None => (error.to_owned(), None),
    }
}
