//! The node is killed and asked to stop at the worst moments: nothing is lost, nothing runs twice.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use chrono::TimeZone;
use updraft::domain::backfill::{BackfillRequest, Reprocess};
use updraft::domain::ids::DagId;
use updraft::domain::state::{RunState, TaskState};
use updraft::protocol::control::{Control, Reply};

use crate::kit::{Counter, Home, Process, wait_for, wait_until};

const TASKS: usize = 200;

/// How often the node is killed; more with `UPDRAFT_TEST_KILLS`.
fn kills() -> usize {
    let asked = std::env::var("UPDRAFT_TEST_KILLS").ok();
    asked.map_or(10, |kills| kills.parse().expect("UPDRAFT_TEST_KILLS is a number"))
}

/// A failing seed is printed and replays with `UPDRAFT_TEST_SEED`.
fn seed() -> u64 {
    let asked = std::env::var("UPDRAFT_TEST_SEED").ok();
    let seed = asked.map_or_else(|| fastrand::u64(..), |seed| seed.parse().expect("UPDRAFT_TEST_SEED is a number"));
    println!("UPDRAFT_TEST_SEED={seed}");
    seed
}

/// What the tasks of a storm leave behind.
struct Traces {
    /// `task try` when it starts.
    starts: Counter,
    /// `task try` when it is through.
    ends: Counter,
    /// A task that met an earlier try of itself.
    overlaps: Counter,
}

/// Two hundred tasks, each below two earlier ones, so that many run side by side all the time.
fn storm(home: &Home, random: &mut fastrand::Rng) -> Traces {
    let traces =
        Traces { starts: home.counter("starts"), ends: home.counter("ends"), overlaps: home.counter("overlaps") };
    let this_try = "$AIRFLOW_CTX_TASK_ID $AIRFLOW_CTX_TRY_NUMBER";
    // The lock is the process's and its children's: whoever finds it taken runs beside a try that still lives.
    let command = format!(
        "exec 9>>'{}'/lock.$AIRFLOW_CTX_TASK_ID; flock -n 9 || {}; {}; sleep 0.1; {}",
        home.in_world("").display(),
        traces.overlaps.shell(this_try),
        traces.starts.shell(this_try),
        traces.ends.shell(this_try),
    );
    let mut text = format!("schedule: null\ndefault_args: {{bash: {command:?}}}\ntasks:\n");
    for n in 0..TASKS {
        let upstream = if n < 16 { Vec::new() } else { vec![random.usize(0..n), random.usize(0..n)] };
        let upstream: Vec<String> = upstream.iter().map(|n| format!("t{n}")).collect();
        text.push_str(&format!("  t{n}: {{depends_on: [{}]}}\n", upstream.join(", ")));
    }
    home.write("storm.yaml", &text);
    traces
}

/// Who is killed.
enum Victim {
    Node,
    NodeAndCompanion,
    /// The node lives on and takes a new one.
    Companion,
}

/// Kills again and again while the storm passes, then lets it end.
fn weather_a_storm(victim: impl Fn(&mut fastrand::Rng) -> Victim) {
    let mut random = fastrand::Rng::with_seed(seed());
    // Each kill may take the same tasks with it: this is about the kills and not about when to give up.
    let home = Home::new().with("core.infra_retries", &(kills() + 1).to_string());
    let traces = storm(&home, &mut random);
    let mut node = home.start();
    let run = home.trigger("storm");
    let mut slowest = Duration::ZERO;
    for kill in 0..kills() {
        if random.u32(..4) == 0 {
            // Somewhere in its start, or shortly after.
            let moment = node.spawned() + Duration::from_micros(random.u64(..400_000));
            wait_until("the moment has come", || Instant::now() >= moment);
        } else {
            let enough = traces.starts.count() + random.usize(1..=TASKS / kills().max(1));
            wait_until("some more tasks have started", || {
                traces.starts.count() >= enough || traces.ends.count() >= TASKS
            });
        }
        let mark = node.mark();
        match victim(&mut random) {
            Victim::Node => node.kill(),
            Victim::NodeAndCompanion => node.kill_with_companion(),
            Victim::Companion => {
                node.processes().iter().filter(|process| process.is_companion()).for_each(Process::kill);
                continue;
            }
        }
        node = home.spawn();
        if random.u32(..4) != 0 {
            slowest = slowest.max(node.wait_ready());
            wait_until(&format!("nothing of life {} is left", kill + 1), || Process::marked(&mark).is_empty());
        }
    }
    let run = home.wait_run("storm", &run.run_id);
    println!("{} kills, slowest restart {slowest:?}, {} starts of {TASKS} tasks", kills(), traces.starts.count());
    run.assert_success();
    assert_eq!(run.tasks.len(), TASKS);
    assert_eq!(traces.starts.repeated(), Vec::<String>::new(), "an attempt ran twice");
    assert_eq!(traces.overlaps.lines(), Vec::<String>::new(), "a try ran beside an earlier one");
    for task in &run.tasks {
        let last_try = format!("{} {}", task.task_id, task.try_number);
        assert!(traces.ends.lines().contains(&last_try), "{last_try} is a success that never came to its end");
    }
    let attempts = home.attempts(&run.row);
    let tries: i32 = run.tasks.iter().map(|task| task.try_number.0).sum();
    assert_eq!(attempts.len(), usize::try_from(tries).expect("a count"), "every try has its record");
    let health = wait_for("the node answers", || node.health());
    assert_eq!(health["scheduler"]["invariant_violations"], 0, "{health}");
    assert!(slowest < RESTART, "a restart took {slowest:?}");
    assert_eq!(node.stop().code, Some(0));
}

/// A second is the promise; the tests run unoptimised, beside others, on two cores.
const RESTART: Duration = Duration::from_millis(if cfg!(debug_assertions) { 3000 } else { 1000 });

#[test]
fn a_node_killed_again_and_again_loses_no_task_and_runs_no_attempt_twice() {
    weather_a_storm(|_| Victim::Node);
}

#[test]
fn not_even_when_the_companion_is_killed_with_it() {
    weather_a_storm(|random| if random.bool() { Victim::Node } else { Victim::NodeAndCompanion });
}

#[test]
fn a_companion_killed_again_and_again_costs_tries_and_no_task() {
    weather_a_storm(|_| Victim::Companion);
}

/// One task that runs until somebody opens the gate, and one after it.
fn gate(home: &Home) -> (std::path::PathBuf, Counter) {
    let (gate, started) = (home.in_world("gate"), home.counter("started"));
    let command = format!(
        "{}; until [ -e '{}' ]; do sleep 0.02; done; echo through",
        started.shell("$AIRFLOW_CTX_TRY_NUMBER"),
        gate.display()
    );
    home.write("gate.yaml", &format!(
        "schedule: null\ntasks:\n  waits: {{bash: {command:?}}}\n  follows: {{bash: 'echo done', depends_on: waits}}\n"
    ));
    (gate, started)
}

#[test]
fn a_node_that_is_asked_to_stop_lets_a_running_task_finish() {
    let home = Home::new();
    let (gate, started) = gate(&home);
    let node = home.start();
    let run = home.trigger("gate");
    wait_until("the task runs", || started.count() == 1);

    node.terminate();
    node.wait_says("draining");
    std::fs::write(&gate, "").expect("the gate opens");
    let ended = node.wait_end();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    let row = home.run("gate", &run.run_id);
    assert_eq!(row.state, RunState::Running, "a node that stops begins nothing");
    let states: Vec<_> = home.tasks(&row).iter().map(|task| (task.task_id.to_string(), task.state)).collect();
    assert_eq!(states[1], ("waits".to_owned(), TaskState::Success));
    assert!(!states[0].1.is_finished() && states[0].1 != TaskState::Running, "{states:?}");

    let _node = home.start();
    let run = home.wait_run("gate", &run.run_id);
    run.assert_success();
    assert_eq!(started.lines(), ["1"], "it was finished, so it is not run again");
}

#[test]
fn a_second_signal_hurries_and_the_stopped_task_is_not_lost() {
    let home = Home::new();
    let (gate, started) = gate(&home);
    let node = home.start();
    let run = home.trigger("gate");
    wait_until("the task runs", || started.count() == 1);

    node.interrupt();
    node.wait_says("draining");
    let mark = node.mark();
    let hurried = Instant::now();
    node.interrupt();
    let ended = node.wait_end();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(hurried.elapsed() < Duration::from_secs(5), "it took {:?}", hurried.elapsed());
    assert!(Process::marked(&mark).is_empty(), "{:?}", Process::marked(&mark));
    assert!(!home.run("gate", &run.run_id).state.is_finished(), "the task was stopped, it did not fail");

    std::fs::write(&gate, "").expect("the gate opens");
    let _node = home.start();
    let run = home.wait_run("gate", &run.run_id);
    run.assert_success();
    assert_eq!(started.lines(), ["1", "2"]);
}

#[test]
fn a_node_that_still_reads_its_files_stops_when_it_is_asked_to() {
    let home = Home::new();
    home.write("hangs.py", "from airflow import DAG  # a dag\nimport time\ntime.sleep(1000)\n");
    let node = home.start();
    let mark = node.mark();
    wait_until("the file is being read", || node.processes().iter().any(|process| process.command.contains("python")));
    node.terminate();
    let ended = node.wait_end();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(ended.output.contains("draining"), "{}", ended.output);
    wait_until("nobody reads any more", || Process::marked(&mark).is_empty());
}

/// A process that shrugs off TERM, in a session of its own: it still dies with the node.
#[test]
fn nothing_that_a_task_started_outlives_a_killed_node() {
    let home = Home::new();
    let started = home.counter("started");
    let command = format!("trap '' TERM; sleep 1000 & setsid sleep 1001 & {}; wait", started.shell("1"));
    home.write("stubborn.yaml", &format!("schedule: null\ntasks:\n  holds: {{bash: {command:?}}}\n"));
    let node = home.start();
    home.trigger("stubborn");
    wait_until("the task runs", || started.count() == 1);
    let mark = node.mark();
    wait_until("its processes run", || {
        Process::marked(&mark).iter().filter(|process| process.command.starts_with("sleep")).count() == 2
    });
    node.kill();
    wait_until("everything of that life is gone", || Process::marked(&mark).is_empty());
}

#[test]
fn a_backfill_that_is_killed_again_and_again_makes_each_date_once() {
    let home = Home::new();
    let starts = home.counter("starts");
    let text = format!(
        "dag_id: past\nschedule: '@daily'\nstart_date: 2099-01-01\ntasks:\n  work: {{bash: {:?}}}\n",
        format!("{}; sleep 0.05", starts.shell("{{ ds }}"))
    );
    home.write("past.yaml", &text);
    let mut node = home.start();
    home.wait_dag("past");
    let day = |month, day| chrono::Utc.with_ymd_and_hms(2025, month, day, 0, 0, 0).single().expect("a date");
    let request = BackfillRequest {
        dag: DagId::new("past").expect("an id"),
        from: day(1, 1),
        to: day(3, 1),
        max_active_runs: NonZeroU32::new(4).expect("not zero"),
        backwards: false,
        reprocess: Reprocess::None,
        conf: serde_json::Map::new(),
    };
    let reply = home.control(&Control::CreateBackfill { request, user: None });
    let Reply::BackfillCreated(created) = reply else { panic!("{reply:?}") };
    assert_eq!(created.dates, 60);
    for goal in [5, 20, 40] {
        wait_until("the backfill goes on", || home.runs("past").len() >= goal);
        assert!(home.runs("past").iter().filter(|run| !run.state.is_finished()).count() <= 4);
        node.kill();
        node = home.start();
    }
    wait_until("the backfill ends", || home.backfill(created.backfill).row.completed_at.is_some());
    let mut runs = home.runs("past");
    runs.sort_by_key(|run| run.key);
    assert!(runs.iter().all(|run| run.state == RunState::Success));
    let ordinals: Vec<u32> = runs.iter().filter_map(|run| Some(run.backfill?.ordinal)).collect();
    assert_eq!(ordinals, (1..=60).collect::<Vec<_>>(), "in its order, each date once");
    let said: BTreeSet<String> = starts.lines().into_iter().collect();
    assert_eq!(said.len(), 60, "every date was worked on");
}
