//! Why not, asked of the real program, and what would happen compared with what does.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use updraft::domain::state::TaskState;

use crate::kit::{Home, wait_until};

/// One slot of a pool for three tasks, and a task below them.
const CONTENDED: &str = "\
schedule: null
tasks:
  first: {bash: 'until test -e go; do sleep 0.02; done', cwd: '@', pool: etl, priority_weight: 9}
  second: {bash: 'true', pool: etl, priority_weight: 5}
  third: {bash: 'true', pool: etl}
  last: {bash: 'true', depends_on: [second, third]}
";

fn json(home: &Home, words: &[&str]) -> Value {
    let said = home.finished(&[words, &["-o", "json"]].concat());
    assert!(said.status.success(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
    serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

fn text(home: &Home, words: &[&str]) -> String {
    let said = home.finished(words);
    assert!(said.status.success(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).into_owned()
}

fn reasons(explained: &Value) -> Vec<&str> {
    let reasons = explained["reasons"].as_array().expect("reasons").iter();
    reasons.map(|reason| reason["reason"].as_str().expect("a name")).collect()
}

#[test]
fn a_task_says_what_holds_it_while_it_waits_and_what_held_it_when_it_has_ended() {
    let home = Home::new();
    home.write("contended.yaml", &CONTENDED.replace('@', &home.in_world("").to_string_lossy()));
    let node = home.start();
    text(&home, &["pools", "set", "etl", "1", "one at a time"]);
    let run = home.trigger("contended");
    let running =
        || home.tasks(&home.run("contended", &run.run_id)).iter().any(|task| task.state == TaskState::Running);
    wait_until("the first task runs", running);
    // Without a run the newest is meant.
    let third = json(&home, &["tasks", "explain", "contended", "third"]);
    assert_eq!(reasons(&third), ["pool"], "{third:#}");
    let pool = &third["reasons"][0];
    assert_eq!((&pool["taken"], &pool["ahead"]["tasks"]), (&1.into(), &1.into()), "{third:#}");
    assert_eq!(pool["by"]["shown"][0]["key"]["task"], "first", "{third:#}");
    let said = text(&home, &["tasks", "explain", "contended", "third", run.run_id.as_str()]);
    assert!(said.contains("pool `etl` is full: 1 of 1 slots are taken; 1 task is ahead of it"), "{said}");
    let said = text(&home, &["tasks", "explain", "contended", "last"]);
    assert!(said.contains("waits for 2 of 2 upstream tasks (all_success): `second` is scheduled"), "{said}");

    // The same question where no node is left to act on the answer.
    node.kill_with_companion();
    let third = json(&home, &["tasks", "explain", "contended", "third"]);
    assert_eq!(reasons(&third)[0], "no_node", "{third:#}");
    assert!(reasons(&third).contains(&"pool"), "{third:#}");

    let node = home.start();
    let asked = std::time::Instant::now();
    wait_until("it has waited for a tenth of a second", || asked.elapsed() > Duration::from_millis(100));
    std::fs::write(home.in_world("go"), "").expect("a file");
    home.wait_run("contended", &run.run_id);
    let third = json(&home, &["tasks", "explain", "contended", "third"]);
    assert_eq!(reasons(&third), ["finished"], "{third:#}");
    let waits = third["journal"].as_array().expect("a journal");
    let pool = waits.iter().find(|wait| wait["held_by"] == "pool").unwrap_or_else(|| panic!("{third:#}"));
    assert_eq!(pool["pool"], "etl");
    assert!(pool["seconds"].as_f64().is_some_and(|seconds| seconds >= 0.1), "{third:#}");
    let said = text(&home, &["dags", "explain", "contended"]);
    assert!(said.contains("it has no schedule"), "{said}");
    let failed = home.finished(&["tasks", "explain", "contended", "thrid"]);
    assert!(String::from_utf8_lossy(&failed.stderr).contains("did you mean `third`?"));
    node.stop();
}

/// Tasks of different lengths, so that what comes first is no matter of milliseconds.
const SHORT: &str = "\
schedule: null
max_active_runs: 2
tasks:
  a: {bash: 'sleep 0.30'}
  b: {bash: 'sleep 0.55', depends_on: a, pool: etl, priority_weight: 3}
  c: {bash: 'sleep 0.35', depends_on: a, pool: etl}
  d: {bash: 'sleep 20', execution_timeout: 0.75, depends_on: a, retries: 1, retry_delay: 0.4}
  e: {bash: 'sleep 0.20', depends_on: [b, d]}
  f: {bash: 'sleep 0.25', depends_on: [c, e], trigger_rule: all_done}
";

#[test]
fn what_is_simulated_is_what_the_real_engine_does() {
    const RUNS: usize = 3;
    let home = Home::new().with("core.parallelism", "3");
    home.write("short.yaml", SHORT);
    let node = home.start();
    text(&home, &["pools", "set", "etl", "1", ""]);
    let mut words = vec!["simulate", "short", "--runs", "3", "--days", "1", "--tasks"];
    let lengths = ["a=0.30s", "b=0.55s", "c=0.35s", "d=20s", "e=0.20s", "f=0.25s"];
    words.extend(lengths.iter().flat_map(|length| ["--duration", length]));
    let simulated = json(&home, &words);
    // Triggered while paused, so that the real ones begin together too.
    text(&home, &["dags", "pause", "short"]);
    let runs: Vec<_> = (0..RUNS).map(|_| home.trigger("short").run_id).collect();
    text(&home, &["dags", "unpause", "short", "--yes"]);
    let ended: Vec<_> = runs.iter().map(|run| home.wait_run("short", run)).collect();

    let of_sim: Vec<&Value> = simulated["runs"].as_array().expect("runs").iter().collect();
    assert_eq!(of_sim.len(), RUNS);
    let moment = |value: &Value| value.as_str().and_then(|text| text.parse::<chrono::DateTime<chrono::Utc>>().ok());
    let begin = moment(&of_sim[0]["started"]).expect("a start");
    let real_begin = ended[0].row.started_at.expect("a start");
    let mut starts: BTreeMap<String, (Vec<_>, Vec<_>)> = BTreeMap::new();
    for (n, real) in ended.iter().enumerate() {
        assert_eq!(of_sim[n]["state"], real.row.state.as_str(), "run {n}");
        for task in &real.tasks {
            let tasks = simulated["tasks"].as_array().expect("tasks");
            let is_it = |one: &&Value| one["run_id"] == of_sim[n]["run_id"] && one["task_id"] == task.task_id.as_str();
            let one = tasks.iter().find(is_it).unwrap_or_else(|| panic!("{} of run {n}", task.task_id));
            assert_eq!(one["state"], task.state.as_str(), "{} of run {n}", task.task_id);
            assert_eq!(one["tries"], task.try_number.0, "{} of run {n}", task.task_id);
            if let (Some(started), Some(real)) = (moment(&one["started"]), task.started_at) {
                let (simulated, real_ones): &mut (Vec<_>, Vec<_>) = starts.entry(task.task_id.to_string()).or_default();
                simulated.push(started - begin);
                real_ones.push(real - real_begin);
            }
        }
    }
    // Three runs that begin together may change places: their starts are compared in order.
    let both = starts.into_iter().flat_map(|(task, (mut simulated, mut real))| {
        simulated.sort();
        real.sort();
        simulated.into_iter().zip(real).map(move |(simulated, real)| (simulated, real, task.clone()))
    });
    let both: Vec<_> = both.collect();
    assert!(both.len() >= 12, "{both:?}");
    for (simulated, real, name) in &both {
        // Processes take their time beside what they sleep; none takes less.
        let early = (*simulated - *real).num_milliseconds();
        assert!(early < 50, "{name}: simulated after {simulated}, really after {real}");
    }
    node.stop();
}

#[test]
fn a_simulation_is_shown_as_tables_and_pictures_and_says_what_it_assumes() {
    let home = Home::new();
    let daily = "schedule: '@daily'\nstart_date: 2020-01-01\ncatchup: true\ntasks:\n  a: {bash: 'true'}\n  b: {bash: 'true', depends_on: a}\n";
    home.write("daily.yaml", daily);
    let picture = home.in_world("picture.svg");
    let words = ["simulate", "daily", "--from", "2026-01-01", "--days", "3", "--slots", "1", "--svg"];
    let said = home.finished(&[&words[..], &[&*picture.to_string_lossy()]].concat());
    let (out, talk) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{talk}");
    assert!(talk.contains("daily.a, daily.b never ran, and 1 min each are assumed"), "{talk}");
    assert!(out.contains("Thu 2026-01-01 00:00 ▁") && out.contains("daily  | 3 "), "{out}");
    let drawn = std::fs::read_to_string(picture).expect("a picture");
    assert!(drawn.starts_with("<svg") && drawn.contains("prefers-color-scheme:dark"), "{drawn}");
    assert_eq!(drawn.matches("class=\"success\"").count(), 3, "{drawn}");
    let none = home.finished(&["simulate", "dialy"]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("did you mean `daily`?"));
    assert_eq!(home.finished(&["simulate"]).status.code(), Some(2));
}
