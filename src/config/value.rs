//! Reads the text of a value as its kind says, or says in one clause what was expected.
//! A value that was read here is known to fit the field of `Settings` that takes it.

use std::str::FromStr;
use std::time::Duration;

use config::ValueKind;
use serde::Deserialize;

use crate::domain::dag::WeightRule;
use crate::domain::problem::suggestion;

use super::database_url::DatabaseUrl;
use super::era::Era;
use super::home::Home;
use super::key::Kind;
use crate::domain::executor::ExecutorKind;

/// Why a text is no value of its kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// What was expected, to be said beside what was got.
    Expected { expected: String, hint: Option<String> },
    /// A whole sentence of its own.
    Says(String),
}

fn expected(expected: impl Into<String>) -> Misfit {
    Misfit::Expected { expected: expected.into(), hint: None }
}

/// The typed value of `text`, for the `config` crate's tree.
pub(super) fn read(kind: Kind, text: &str, home: &Home) -> Result<ValueKind, Misfit> {
    let trimmed = text.trim();
    match kind {
        Kind::Bool => bool_of(trimmed).map(ValueKind::Boolean).ok_or_else(|| {
            let hint = suggestion(trimmed, ["True", "False"]);
            Misfit::Expected { expected: "True or False".to_owned(), hint }
        }),
        Kind::Count => whole(trimmed, 0..=i64::from(u32::MAX), "a whole number, 0 or more"),
        Kind::AtLeastOne => whole(trimmed, 1..=i64::from(u32::MAX), "a whole number, 1 or more"),
        Kind::Bytes => whole(trimmed, 0..=i64::MAX, "a whole number of bytes, 0 or more"),
        Kind::Integer => whole(trimmed, i64::MIN..=i64::MAX, "a whole number"),
        Kind::Port => whole(trimmed, 0..=i64::from(u16::MAX), "a port, 0 to 65535"),
        Kind::Seconds => seconds(trimmed),
        Kind::OptionalSeconds => {
            if trimmed.is_empty() || trimmed.eq_ignore_ascii_case("none") {
                Ok(ValueKind::Nil)
            } else {
                seconds(trimmed).map_err(|_| expected("a number of seconds, 0 or more, or nothing"))
            }
        }
        Kind::Text => Ok(ValueKind::String(text.to_owned())),
        // An empty path means that none is given; the keys that need one say so when it is used.
        Kind::Path if trimmed.is_empty() => Ok(ValueKind::String(String::new())),
        Kind::Path => Ok(ValueKind::String(home.join(trimmed).to_string_lossy().into_owned())),
        Kind::List => Ok(ValueKind::Array(words(text).map(|word| config::Value::new(None, word)).collect())),
        Kind::Words(known) => match known.iter().find(|word| word.eq_ignore_ascii_case(trimmed)) {
            Some(word) => Ok(ValueKind::String((*word).to_owned())),
            None => {
                let hint = suggestion(trimmed, known.iter().copied());
                Err(Misfit::Expected { expected: one_of(known), hint })
            }
        },
        Kind::Era => match Era::from_word(trimmed) {
            Some(era) => Ok(ValueKind::String(era.to_string())),
            None => Err(expected("2 or 3")),
        },
        Kind::Executor => match ExecutorKind::parse(trimmed) {
            Ok(kind) => Ok(ValueKind::String(kind.as_str().to_owned())),
            Err(error) => Err(Misfit::Says(error.to_string())),
        },
        Kind::DatabaseUrl => match DatabaseUrl::parse(trimmed) {
            Ok(_) => Ok(ValueKind::String(trimmed.to_owned())),
            Err(error) => Err(Misfit::Says(error.to_string())),
        },
        Kind::Timezone => timezone(trimmed).map(|zone| ValueKind::String(zone.name().to_owned())).ok_or_else(|| {
            let known = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
            let expected = "an IANA time zone such as Europe/Amsterdam, utc or system".to_owned();
            Misfit::Expected { expected, hint: suggestion(trimmed, known) }
        }),
        Kind::WeightRule => {
            let word = trimmed.to_lowercase();
            // The class paths of Airflow's own weight rules end in the word as well.
            match WeightRule::from_word(word.trim_start_matches("weightrule.")) {
                Some(rule) => Ok(ValueKind::String(rule.as_str().to_owned())),
                None => {
                    let known = WeightRule::ALL.map(WeightRule::as_str);
                    Err(Misfit::Expected { expected: one_of(&known), hint: suggestion(&word, known) })
                }
            }
        }
        Kind::Schedule => Ok(ValueKind::String(trimmed.to_owned())),
    }
}

/// Airflow's booleans; a comment behind the word is cut.
fn bool_of(text: &str) -> Option<bool> {
    let word = text.split('#').next().unwrap_or_default().trim().to_lowercase();
    match word.as_str() {
        "t" | "true" | "1" => Some(true),
        "f" | "false" | "0" => Some(false),
        _ => None,
    }
}

fn whole(text: &str, range: std::ops::RangeInclusive<i64>, what: &str) -> Result<ValueKind, Misfit> {
    match text.parse::<i64>() {
        Ok(number) if range.contains(&number) => Ok(ValueKind::I64(number)),
        Ok(_) | Err(_) => Err(expected(what)),
    }
}

fn seconds(text: &str) -> Result<ValueKind, Misfit> {
    match text.parse::<f64>() {
        Ok(number) if Duration::try_from_secs_f64(number).is_ok() => Ok(ValueKind::Float(number)),
        Ok(_) | Err(_) => Err(expected("a number of seconds, 0 or more")),
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn one_of(words: &[&str]) -> String {
    format!("one of {}", words.join(", "))
}

fn timezone(text: &str) -> Option<chrono_tz::Tz> {
    if text.eq_ignore_ascii_case("utc") {
        return Some(chrono_tz::Tz::UTC);
    }
    if text.eq_ignore_ascii_case("system") {
        let link = std::fs::canonicalize("/etc/localtime").ok()?;
        let (_, name) = link.to_str()?.split_once("zoneinfo/")?;
        return chrono_tz::Tz::from_str(name).ok();
    }
    chrono_tz::Tz::from_str(text).ok()
}

/// `[core] default_schedule`: what a DAG that names no schedule gets.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "String")]
pub enum DefaultSchedule {
    /// None: it runs when somebody triggers it (Airflow 3).
    Never,
    /// A fixed distance between runs (Airflow 2: one day).
    Every(Duration),
    /// A preset such as `@daily`, or a cron expression, as it was written.
    Expression(String),
}

impl From<String> for DefaultSchedule {
    fn from(text: String) -> Self {
        let text = text.trim();
        if text.is_empty() || text.eq_ignore_ascii_case("none") {
            return Self::Never;
        }
        match text.parse::<f64>().ok().and_then(|number| Duration::try_from_secs_f64(number).ok()) {
            Some(period) if !period.is_zero() => Self::Every(period),
            Some(_) | None => Self::Expression(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Environment;

    fn home() -> Home {
        Home::resolve(&Environment::new("/", [("UPDRAFT_HOME", "/srv/updraft")])).unwrap()
    }

    #[test]
    fn every_kind_reads_what_airflow_reads() {
        for (kind, text, value) in [
            (Kind::Bool, "T", ValueKind::Boolean(true)),
            (Kind::Bool, "true # for now", ValueKind::Boolean(true)),
            (Kind::Bool, "1", ValueKind::Boolean(true)),
            (Kind::Bool, "FALSE", ValueKind::Boolean(false)),
            (Kind::Bool, "f", ValueKind::Boolean(false)),
            (Kind::Bool, "0", ValueKind::Boolean(false)),
            (Kind::Count, "0", ValueKind::I64(0)),
            (Kind::Integer, "-1", ValueKind::I64(-1)),
            (Kind::Seconds, "30.5", ValueKind::Float(30.5)),
            (Kind::OptionalSeconds, "", ValueKind::Nil),
            (Kind::OptionalSeconds, "7", ValueKind::Float(7.0)),
            (Kind::Path, "dags", ValueKind::String("/srv/updraft/dags".into())),
            (Kind::Path, "/dags", ValueKind::String("/dags".into())),
            (Kind::Words(&["FULL", "NORMAL"]), "normal", ValueKind::String("NORMAL".into())),
            (Kind::Timezone, "utc", ValueKind::String("UTC".into())),
            (Kind::Timezone, "Europe/Amsterdam", ValueKind::String("Europe/Amsterdam".into())),
            (Kind::WeightRule, "Upstream", ValueKind::String("upstream".into())),
        ] {
            assert_eq!(read(kind, text, &home()), Ok(value), "{kind:?} {text}");
        }
    }

    #[test]
    fn every_kind_says_what_it_expected() {
        for (kind, text, part) in [
            (Kind::Bool, "maybe", "True or False"),
            (Kind::Bool, "", "True or False"),
            (Kind::Count, "-1", "0 or more"),
            (Kind::Count, "4294967296", "0 or more"),
            (Kind::AtLeastOne, "0", "1 or more"),
            (Kind::Port, "65536", "0 to 65535"),
            (Kind::Seconds, "-0.1", "0 or more"),
            (Kind::Seconds, "inf", "0 or more"),
            (Kind::Seconds, "nan", "0 or more"),
            (Kind::Seconds, "5s", "a number of seconds"),
            (Kind::Words(&["FULL", "NORMAL"]), "FUL", "one of FULL, NORMAL"),
            (Kind::Timezone, "Europe/Amsterdm", "did you mean `Europe/Amsterdam`?"),
            (Kind::Era, "4", "2 or 3"),
            (Kind::Executor, "Celry", "did you mean `CeleryExecutor`?"),
        ] {
            let misfit = read(kind, text, &home()).unwrap_err();
            assert!(format!("{misfit:?}").contains(part), "{kind:?} {text}: {misfit:?}");
        }
    }

    #[test]
    fn the_default_schedule_is_nothing_a_distance_or_an_expression() {
        assert_eq!(DefaultSchedule::from(String::new()), DefaultSchedule::Never);
        assert_eq!(DefaultSchedule::from("None".to_owned()), DefaultSchedule::Never);
        assert_eq!(DefaultSchedule::from("86400".to_owned()), DefaultSchedule::Every(Duration::from_secs(86400)));
        assert_eq!(DefaultSchedule::from("@daily".to_owned()), DefaultSchedule::Expression("@daily".into()));
    }
}
