//! The golden vectors: what Airflow's own code answered, question by question.
//!
//! `UPDRAFT_VECTORS` names another folder to take them from.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::Tz;
use serde_json::Value;
use updraft::domain::connection::Connection;
use updraft::domain::ids::{DagId, TaskId};
use updraft::domain::retry::{Backoff, RetryKey};
use updraft::domain::run::{DataInterval, PlannedRun};
use updraft::domain::schedule::{Bounds, Family, Schedule, Timetable};
use updraft::domain::state::Decision;
use updraft::domain::time::Time;
use updraft::domain::trigger::{TriggerRule, UpstreamCounts, Verdict, evaluate};

fn load(file: &str) -> Value {
    let folder = std::env::var_os("UPDRAFT_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors")), PathBuf::from);
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where our answer is not Airflow's, all of it, so that one run shows the whole extent.
fn assert_none_differ(asked: usize, differences: &[String]) {
    assert!(asked > 0, "no question was asked");
    assert!(differences.is_empty(), "{} of {asked} differ:\n{}", differences.len(), differences.join("\n"));
}

/// One letter per upstream: Success, sKipped, Failed, Upstream_failed, Removed, not finished.
fn counts(letters: &str) -> UpstreamCounts {
    let of = |letter| letters.chars().filter(|l| *l == letter).count() as u32;
    UpstreamCounts {
        success: of('S'),
        skipped: of('K'),
        failed: of('F'),
        upstream_failed: of('U'),
        removed: of('R'),
        ..UpstreamCounts::waiting_for(letters.len() as u32)
    }
}

#[test]
fn every_trigger_rule_decides_as_airflow_does() {
    let vectors = load("trigger_rules.json");
    let rules = vectors.as_object().expect("a map of rules");
    assert_eq!(rules.len(), TriggerRule::ALL.len());
    let (mut asked, mut differences) = (0, Vec::new());
    for (rule, cases) in rules {
        let rule: TriggerRule = rule.parse().expect("a rule");
        for (letters, expected) in cases.as_object().expect("a map of cases") {
            let answer = match evaluate(rule, &counts(letters)) {
                Verdict::Wait => "wait",
                Verdict::Run => "run",
                Verdict::Decide(Decision::Skipped) => "skipped",
                Verdict::Decide(Decision::UpstreamFailed) => "upstream_failed",
                Verdict::Decide(Decision::Removed) => "removed",
            };
            asked += 1;
            if answer != expected {
                differences.push(format!("{rule} of {letters:?}: expected {expected}, got: {answer}"));
            }
        }
    }
    assert_none_differ(asked, &differences);
}

#[test]
fn every_retry_waits_as_long_as_airflows() {
    let vectors = load("retry_backoff.json");
    let (mut asked, mut differences) = (0, Vec::new());
    for case in vectors.as_array().expect("a list") {
        let dag_id = DagId::new(case["dag_id"].as_str().expect("text")).expect("an id");
        let task_id = TaskId::new(case["task_id"].as_str().expect("text")).expect("an id");
        let logical_date = match case["logical_date_str"].as_str().expect("text") {
            "None" => None,
            date => Some(date.parse::<Time>().expect("a date")),
        };
        let backoff = Backoff {
            retry_delay: Duration::from_secs(case["retry_delay"].as_u64().expect("seconds")),
            multiplier: case["multiplier"].as_f64(),
            max_retry_delay: case["max_retry_delay"].as_u64().map(Duration::from_secs),
            ceiling: Backoff::DEFAULT_CEILING,
        };
        let key = RetryKey { dag_id: &dag_id, task_id: &task_id, logical_date };
        for (failed_try, expected) in (1..).zip(case["delay_after_try_1_to_7"].as_array().expect("a list")) {
            let answer = backoff.delay_after(key, failed_try).as_secs();
            asked += 1;
            if expected.as_u64() != Some(answer) {
                differences.push(format!("{case}, after try {failed_try}: expected {expected}, got: {answer}"));
            }
        }
    }
    assert_none_differ(asked, &differences);
}

fn time(value: &Value) -> Time {
    value.as_str().expect("text").parse().expect("an instant")
}

fn optional_time(value: &Value) -> Option<Time> {
    (!value.is_null()).then(|| time(value))
}

/// Airflow's class and its arguments, as our schedule and zone.
fn schedule(timetable: &str, spec: &Value) -> (Schedule, Tz) {
    let family = if timetable.ends_with("Trigger") { Family::Trigger } else { Family::DataInterval };
    let period = |hours, minutes| Duration::from_hours(hours) + Duration::from_mins(minutes);
    let schedule = match (timetable, spec.as_str().or(spec[0].as_str()).expect("text")) {
        ("CronDataInterval" | "CronTrigger", expression) => {
            Schedule::Cron { expression: expression.to_owned(), family }
        }
        ("DeltaDataInterval" | "DeltaTrigger", "6h") => Schedule::Every { period: period(6, 0), family },
        ("DeltaDataInterval" | "DeltaTrigger", "1d") => Schedule::Every { period: period(24, 0), family },
        ("DeltaDataInterval" | "DeltaTrigger", "7m") => Schedule::Every { period: period(0, 7), family },
        ("DeltaDataInterval" | "DeltaTrigger", "1 month") => {
            Schedule::EveryMonths { months: 1, plus: Duration::ZERO, family }
        }
        ("Once", _) => Schedule::Once,
        ("Continuous", _) => Schedule::Continuous,
        other => panic!("a timetable that this test does not know: {other:?}"),
    };
    (schedule, spec[1].as_str().unwrap_or("UTC").parse().expect("a zone"))
}

#[test]
fn every_chain_of_runs_is_airflows() {
    let vectors = load("timetables.json");
    let (mut asked, mut differences) = (0, Vec::new());
    for chain in vectors["chains"].as_array().expect("a list") {
        let (schedule, timezone) = schedule(chain["timetable"].as_str().expect("text"), &chain["spec"]);
        let timetable = Timetable::compile(&schedule).expect("a schedule");
        let bounds = Bounds {
            earliest: optional_time(&chain["start_date"]),
            latest: optional_time(&chain["end_date"]),
            catchup: chain["catchup"].as_bool().expect("a flag"),
            timezone,
        };
        let now = time(&chain["now"]);
        let mut last = None;
        for (index, expected) in chain["runs_start_end_runafter_logical"].as_array().expect("a list").iter().enumerate()
        {
            let expected = (!expected.is_null()).then(|| PlannedRun {
                interval: DataInterval { start: time(&expected[0]), end: time(&expected[1]) },
                run_after: time(&expected[2]),
                logical_date: time(&expected[3]),
            });
            let answer = timetable.next(&bounds, last.as_ref(), now);
            asked += 1;
            if answer != expected {
                differences.push(format!(
                    "{schedule:?} in {bounds:?} at {now}, run {index}: expected {expected:?}, got: {answer:?}"
                ));
            }
            last = expected.map(|run| run.interval);
        }
    }
    assert_none_differ(asked, &differences);
}

#[test]
fn every_manual_run_covers_what_airflows_covers() {
    let vectors = load("timetables.json");
    let (mut asked, mut differences) = (0, Vec::new());
    for case in vectors["manual"].as_array().expect("a list") {
        let words: Vec<&str> = case[0].as_str().expect("text").split(' ').collect();
        let preset = if words[1] == "hourly" { "@hourly" } else { words[1] };
        let zone = if words.last() == Some(&"Zurich") { "Europe/Zurich" } else { "UTC" };
        let spec =
            if words[0].starts_with("Cron") { serde_json::json!([preset, zone]) } else { serde_json::json!(preset) };
        let (schedule, timezone) = schedule(words[0], &spec);
        let timetable = Timetable::compile(&schedule).expect("a schedule");
        let answer = timetable.manual_interval(timezone, time(&case[1]));
        asked += 1;
        let expected = DataInterval { start: time(&case[2]), end: time(&case[3]) };
        if answer != expected {
            differences.push(format!("{case}: expected {expected:?}, got: {answer:?}"));
        }
    }
    assert_none_differ(asked, &differences);
}

#[test]
fn every_connection_uri_is_read_and_written_as_airflow_does() {
    let vectors = load("connection_uri.json");
    let (mut asked, mut differences) = (0, Vec::new());
    for case in vectors.as_array().expect("a list") {
        let uri = case[0].as_str().expect("text");
        let connection = Connection::from_uri(uri).unwrap_or_else(|error| panic!("{uri}: {error}"));
        let parts = connection.object();
        asked += 1;
        for (part, expected) in case[1].as_object().expect("an object") {
            if parts.get(part) != Some(expected) {
                differences.push(format!("{uri}, {part}: expected {expected}, got: {:?}", parts.get(part)));
            }
        }
        let written = connection.uri();
        if case[2] != written {
            differences.push(format!("{uri}: expected to be written {}, got: {written}", case[2]));
        }
    }
    assert_none_differ(asked, &differences);
}
