//! Arguments that several commands take, checked where they are read: what came through here makes sense.

use std::str::FromStr;

use chrono::Utc;
use chrono_tz::Tz;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Map, Value};

use crate::dagfile::lower::instant;
use crate::dagfile::written::Date;
use crate::domain::ids::DagId;
use crate::domain::state::RunState;
use crate::domain::time::Time;

use super::output::OutputFormat;
use super::session::Session;

/// `-o`
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Output {
    /// How rows are shown.
    #[arg(short = 'o', long = "output", value_enum, value_name = "FORMAT", default_value = "table")]
    pub format: OutputFormat,
}

/// Airflow's ways to say which DAG files; here there is one DAGs folder, which is always up to date.
#[derive(Clone, Debug, Default, Args)]
pub struct DagSource {
    /// Accepted for Airflow 2; without effect.
    #[arg(short = 'S', long, value_name = "PATH", hide = true)]
    subdir: Option<String>,
    /// Accepted for Airflow 3; without effect.
    #[arg(short = 'B', long, value_name = "NAME", hide = true)]
    bundle_name: Vec<String>,
}

impl DagSource {
    pub fn of_subdir(subdir: Option<String>) -> Self {
        Self { subdir, bundle_name: Vec::new() }
    }

    pub fn say(&self, session: &mut Session) {
        let given = [("-S/--subdir", self.subdir.is_some()), ("-B/--bundle-name", !self.bundle_name.is_empty())];
        for (flag, _) in given.into_iter().filter(|(_, given)| *given) {
            session.say(format_args!("{flag} has no effect here: the one DAGs folder is `[core] dags_folder`"));
        }
    }
}

/// One run of one DAG.
#[derive(Clone, Debug, Args)]
pub struct NamedRun {
    pub dag_id: DagId,
    /// The run's id or its logical date.
    #[arg(value_name = "DATE/RUN")]
    pub run: String,
    #[command(flatten)]
    pub source: DagSource,
}

/// When a test run pretends to be.
#[derive(Clone, Debug, Args)]
pub struct TestDate {
    /// The logical date; without it the present instant.
    #[arg(value_name = "DATE")]
    logical_date: Option<WrittenDate>,
    #[command(flatten)]
    pub source: DagSource,
}

impl TestDate {
    pub fn at(&self, timezone: Tz) -> Time {
        self.logical_date.map_or_else(Utc::now, |date| date.at(timezone))
    }
}

/// A date as a person writes it. Without an offset it is in `[core] default_timezone`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WrittenDate(Date);

impl WrittenDate {
    pub fn at(self, timezone: Tz) -> Time {
        instant(self.0, timezone)
    }
}

/// Why a text is no date.
#[derive(Clone, Debug, thiserror::Error)]
#[error("expected an ISO 8601 date, for example 2026-01-31 or 2026-01-31T06:00:00+01:00")]
pub struct NoDate;

impl FromStr for WrittenDate {
    type Err = NoDate;
    fn from_str(text: &str) -> Result<Self, NoDate> {
        // A `+` that a shell or a URL turned into a space is common enough to be no date at all.
        Date::parse(text).map(Self).ok_or(NoDate)
    }
}

/// A JSON object, such as the conf of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JsonObject(pub Map<String, Value>);

/// Why a text is no JSON object.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoJsonObject {
    #[error("it is not JSON: {message} at line {line}, column {column}: {around}")]
    Syntax { message: String, line: usize, column: usize, around: String },
    #[error("expected a JSON object such as {{\"rows\": 50}}, got {0}")]
    Kind(&'static str),
}

impl FromStr for JsonObject {
    type Err = NoJsonObject;
    fn from_str(text: &str) -> Result<Self, NoJsonObject> {
        match serde_json::from_str(text) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(Value::Null) => Err(NoJsonObject::Kind("null")),
            Ok(Value::Bool(_)) => Err(NoJsonObject::Kind("a boolean")),
            Ok(Value::Number(_)) => Err(NoJsonObject::Kind("a number")),
            Ok(Value::String(_)) => Err(NoJsonObject::Kind("a text")),
            Ok(Value::Array(_)) => Err(NoJsonObject::Kind("a list")),
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                let said = error.to_string();
                let message = said.split(" at line ").next().unwrap_or_default().to_owned();
                Err(NoJsonObject::Syntax { message, line, column, around: around(text, line, column) })
            }
        }
    }
}

/// The text before the mistake, then a mark, then what follows.
fn around(text: &str, line: usize, column: usize) -> String {
    /// Enough to recognise the place, on either side.
    const SHOWN: usize = 20;
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    // The column counts bytes and may be one behind the end.
    let at = (0..=column.saturating_sub(1).min(line.len())).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    let (before, after) = line.split_at(at);
    let skipped = before.chars().count().saturating_sub(SHOWN);
    let before: String = before.chars().skip(skipped).collect();
    let after: String = after.chars().take(SHOWN).collect();
    format!("`{before}` ⟨here⟩ `{after}`")
}

/// One of the states of a run.
pub fn run_state() -> impl TypedValueParser<Value = RunState> {
    PossibleValuesParser::new(RunState::ALL.map(RunState::as_str))
        .map(|word| word.parse().expect("the parser lets only the words of states through"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_that_is_wrong_names_its_place() {
        let error = r#"{"rows": 5O}"#.parse::<JsonObject>().unwrap_err().to_string();
        assert_eq!(error, "it is not JSON: expected `,` or `}` at line 1, column 11: `{\"rows\": 5` ⟨here⟩ `O}`");
        let list = "[1]".parse::<JsonObject>().unwrap_err().to_string();
        assert_eq!(list, "expected a JSON object such as {\"rows\": 50}, got a list");
        for text in ["", "{", "{\"ä\": ü}", "\n\n{\"a\":}"] {
            let error = text.parse::<JsonObject>().unwrap_err().to_string();
            assert!(error.starts_with("it is not JSON: "), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_date_without_an_offset_is_in_the_configured_zone() {
        let at = |text: &str| text.parse::<WrittenDate>().unwrap().at(chrono_tz::Europe::Zurich).to_string();
        assert_eq!(at("2026-01-31"), "2026-01-30 23:00:00 UTC");
        assert_eq!(at("2026-01-31T06:00:00+00:00"), "2026-01-31 06:00:00 UTC");
        assert!("yesterday".parse::<WrittenDate>().is_err());
    }
}
