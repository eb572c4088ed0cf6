//! The golden vectors: what Airflow's own code answered, question by question.
//!
//! `UPDRAFT_VECTORS` names another folder to take them from.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use updraft::domain::ids::{DagId, TaskId};
use updraft::domain::retry::{Backoff, RetryKey};
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
