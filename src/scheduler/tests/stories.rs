//! Stories with a known end.

use std::time::Duration;

use super::world::{World, dag, settings, start_of_story};
use crate::domain::attempt::{Outcome, Verdict};
use crate::domain::dag::TaskLimitScope;
use crate::domain::ids::{DagId, RunKey};
use crate::domain::limit::Limit;
use crate::domain::operator::Operator;
use crate::domain::schedule::{Family, Schedule};
use crate::domain::state::{RunState, TaskState};
use crate::domain::trigger::TriggerRule;
use crate::protocol::control::{Control, Pool, Refused, Reply, Trigger, TriggeredBy};
use crate::protocol::work::{FromWorker, Question, ToWorker};
use crate::scheduler::core::{Effect, FileChange, Input};

const FAILED: Outcome = Outcome::Failed { retryable: true };

fn tutorial() -> World {
    let mut world = World::new(settings());
    world.add(dag("tutorial", "task_1 >> task_2 task_3 >> task_4"));
    world.trigger("tutorial");
    world
}

#[test]
fn the_tutorial_runs_its_middle_side_by_side() {
    let mut world = tutorial();
    assert_eq!(world.names(), ["task_1"]);
    world.succeed(&["task_1"]);
    assert_eq!(world.names(), ["task_2", "task_3"]);
    world.succeed(&["task_3"]);
    assert_eq!(world.names(), ["task_2"]);
    world.succeed(&["task_2", "task_4"]);
    assert_eq!(world.run_state(1), RunState::Success);
    assert_eq!(world.core.next_wake(), None, "an idle core waits for nothing");
}

#[test]
fn the_end_of_one_task_and_the_grant_of_the_next_are_one_commit() {
    let mut world = World::new(settings());
    world.add(dag("chain", "a >> b"));
    world.trigger("chain");
    let (message, claim) = world.running.remove(0);
    let report = world.report(&message, claim, Outcome::Success);
    let effects = world.core.apply(world.now, Input::Worker(FromWorker::Finish(report)));
    let sent = effects.iter().filter(|e| matches!(e, Effect::Send { message: ToWorker::Task { .. }, .. })).count();
    let settled =
        effects.iter().filter(|e| matches!(e, Effect::Send { message: ToWorker::Settled { .. }, .. })).count();
    let written = effects.iter().filter(|e| matches!(e, Effect::Write(_))).count();
    assert_eq!((sent, settled, written), (1, 1, 4), "two task rows, two attempt rows, one message each");
}

#[test]
fn a_failure_stops_what_is_downstream_and_the_run_fails() {
    let mut world = tutorial();
    world.finish("task_1", FAILED);
    assert_eq!(world.state(1, "task_1"), TaskState::Failed);
    assert_eq!(world.state(1, "task_4"), TaskState::UpstreamFailed);
    assert_eq!(world.run_state(1), RunState::Failed);
}

#[test]
fn a_skip_is_passed_on_and_the_run_succeeds() {
    let mut world = tutorial();
    world.finish("task_1", Outcome::Skipped);
    assert_eq!(world.state(1, "task_4"), TaskState::Skipped);
    assert_eq!(world.run_state(1), RunState::Success);
}

#[test]
fn a_leaf_that_tidies_up_after_a_failure_makes_the_run_succeed() {
    let mut world = World::new(settings());
    let mut with_rule = dag("tidy", "work >> tidy");
    with_rule.tasks[1].trigger_rule = TriggerRule::AllDone;
    world.add(with_rule);
    world.trigger("tidy");
    world.finish("work", FAILED);
    world.succeed(&["tidy"]);
    assert_eq!(world.run_state(1), RunState::Success);
}

#[test]
fn retries_wait_for_their_delay_and_are_counted() {
    let mut world = World::new(settings());
    let mut retried = dag("retried", "a");
    retried.tasks[0].retries = 2;
    retried.tasks[0].retry_delay = Duration::from_secs(60);
    world.add(retried);
    world.trigger("retried");
    for _ in 0..2 {
        world.finish("a", FAILED);
        assert_eq!(world.state(1, "a"), TaskState::UpForRetry);
        world.pass(Duration::from_secs(59));
        assert!(world.running.is_empty());
        world.pass(Duration::from_secs(1));
    }
    world.finish("a", FAILED);
    assert_eq!(world.state(1, "a"), TaskState::Failed);
    assert_eq!(world.store.task(RunKey(1), "a").try_number.0, 3);
    assert_eq!(world.store.attempts.len(), 3, "the history of every try is kept");
}

#[test]
fn what_cannot_be_mended_by_trying_again_is_not_tried_again() {
    let mut world = World::new(settings());
    let mut retried = dag("retried", "a");
    retried.tasks[0].retries = 2;
    world.add(retried);
    world.trigger("retried");
    world.finish("a", Outcome::Failed { retryable: false });
    assert_eq!(world.run_state(1), RunState::Failed);
}

#[test]
fn a_lost_worker_gives_its_task_back_once() {
    let mut world = tutorial();
    let (message, old) = world.running[0].clone();
    world.start_worker(Vec::new());
    assert_eq!(world.names(), ["task_1"], "at once, without using up retries");
    let row = world.store.task(RunKey(1), "task_1");
    assert_eq!((row.try_number.0, row.max_tries, row.infra_tries), (2, 1, 1));
    let late = world.report(&message, old, Outcome::Success);
    let effects = world.core.apply(world.now, Input::Worker(FromWorker::Finish(late)));
    let settled = |e: &Effect| matches!(e, Effect::Send { message: ToWorker::Settled { claims }, .. } if claims[0].1 == Verdict::Stale);
    assert!(effects.iter().any(settled), "a late report is answered, and moves nothing: {effects:?}");
    assert_eq!(world.state(1, "task_1"), TaskState::Running);
}

#[test]
fn what_the_journal_still_knows_is_not_lost() {
    let mut world = tutorial();
    let (message, claim) = world.running[0].clone();
    let report = world.report(&message, claim, Outcome::Success);
    world.start_worker(vec![report]);
    assert_eq!(world.names(), ["task_2", "task_3"]);
}

#[test]
fn a_task_that_kills_every_worker_fails_in_the_end() {
    let mut world = World::new(settings());
    world.add(dag("killer", "a"));
    world.trigger("killer");
    for _ in 0..4 {
        world.start_worker(Vec::new());
    }
    assert_eq!(world.run_state(1), RunState::Failed);
    assert_eq!(world.store.attempts.len(), 4);
}

#[test]
fn after_a_crash_everything_stands_where_the_store_has_it() {
    let mut world = tutorial();
    world.succeed(&["task_1"]);
    world.crash_and_restart(settings());
    assert_eq!(world.names(), ["task_2", "task_3"]);
    world.succeed(&["task_2", "task_3", "task_4"]);
    assert_eq!(world.run_state(1), RunState::Success);
    assert_eq!(world.store.attempts.len(), 6, "two were lost with the node");
}

#[test]
fn parallelism_holds_over_all_dags_and_the_heaviest_goes_first() {
    let mut world = World::new(super::super::core::Settings { parallelism: Limit::from(2), ..settings() });
    let mut heavy = dag("heavy", "h1 h2");
    for task in &mut heavy.tasks {
        task.priority_weight = 10;
    }
    world.add(dag("light", "l1 l2 l3"));
    world.add(heavy);
    world.trigger("light");
    world.trigger("heavy");
    assert_eq!(world.names(), ["l1", "l2"]);
    world.succeed(&["l1"]);
    assert_eq!(world.names(), ["l2", "h1"]);
    world.succeed(&["l2", "h1", "h2", "l3"]);
    assert_eq!(world.run_state(1), RunState::Success);
}

#[test]
fn with_parallelism_zero_nothing_waits_for_a_place() {
    let mut world = World::new(super::super::core::Settings { parallelism: Limit::from(0), ..settings() });
    let mut wide = dag("wide", &(0..100).map(|n| format!("t{n} ")).collect::<String>());
    wide.max_active_tasks = Limit::from(0);
    world.add(wide);
    world.trigger("wide");
    world.trigger("wide");
    assert_eq!(world.running.len(), 128, "only default_pool's 128 slots hold it");
}

#[test]
fn max_active_tasks_counts_over_all_runs_or_in_each() {
    for (scope, expected) in [(TaskLimitScope::AllRuns, 2), (TaskLimitScope::EachRun, 4)] {
        let mut world = World::new(settings());
        let mut limited = dag("limited", "a b c");
        limited.max_active_tasks = Limit::from(2);
        limited.max_active_tasks_scope = scope;
        world.add(limited);
        world.trigger("limited");
        world.trigger("limited");
        assert_eq!(world.running.len(), expected, "{scope:?}");
        while let Some(name) = world.names().first().cloned() {
            world.finish(&name, Outcome::Success);
        }
        assert_eq!((world.run_state(1), world.run_state(2)), (RunState::Success, RunState::Success));
    }
}

#[test]
fn max_active_runs_makes_runs_wait_in_order() {
    let mut world = World::new(settings());
    let mut limited = dag("limited", "a");
    limited.max_active_runs = Limit::from(1);
    world.add(limited);
    world.trigger("limited");
    world.now += Duration::from_secs(1);
    world.trigger("limited");
    assert_eq!((world.run_state(1), world.run_state(2)), (RunState::Running, RunState::Queued));
    world.succeed(&["a"]);
    assert_eq!((world.run_state(1), world.run_state(2)), (RunState::Success, RunState::Running));
}

#[test]
fn a_paused_dag_starts_nothing_and_finishes_what_runs() {
    let mut world = tutorial();
    world.pause("tutorial", true);
    world.succeed(&["task_1"]);
    assert!(world.running.is_empty());
    assert_eq!(world.state(1, "task_2"), TaskState::Scheduled);
    world.trigger("tutorial");
    assert_eq!(world.run_state(2), RunState::Queued);
    world.pause("tutorial", false);
    assert_eq!(world.names(), ["task_1", "task_2", "task_3"], "the heaviest first");
}

#[test]
fn empty_tasks_pass_without_an_attempt_however_long_the_chain() {
    let mut world = World::new(settings());
    let names: Vec<String> = (0..2_000).map(|n| format!("t{n}")).collect();
    let mut chain = dag("chain", &names.join(" >> "));
    for task in &mut chain.tasks {
        task.operator = Operator::Empty;
    }
    world.add(chain);
    world.trigger("chain");
    assert_eq!(world.run_state(1), RunState::Success);
    assert!(world.store.attempts.is_empty());
}

#[test]
fn a_run_that_takes_too_long_fails_and_what_runs_is_stopped() {
    let mut world = World::new(settings());
    let mut slow = dag("slow", "a >> b");
    slow.dagrun_timeout = Some(Duration::from_secs(60));
    world.add(slow);
    world.trigger("slow");
    world.pass(Duration::from_secs(60));
    assert_eq!(world.run_state(1), RunState::Failed);
    assert_eq!(world.state(1, "b"), TaskState::Skipped);
    assert_eq!(world.terminated.len(), 1);
    assert_eq!(world.state(1, "a"), TaskState::Running, "it holds its place until its process has ended (L9)");
    world.finish("a", Outcome::Killed);
    assert_eq!(world.state(1, "a"), TaskState::Skipped);
    assert_eq!(world.open_attempts(), 0);
}

fn every_hour(catchup: bool) -> crate::domain::dag::DagDefinition {
    let mut hourly = dag("hourly", "a");
    hourly.schedule = Schedule::Cron { expression: "0 * * * *".to_owned(), family: Family::Trigger };
    hourly.start_date = Some(start_of_story() - Duration::from_secs(5 * 3600));
    hourly.catchup = catchup;
    hourly.max_active_runs = Limit::from(2);
    hourly
}

#[test]
fn catchup_makes_every_run_that_was_missed_in_order_and_no_more_than_allowed_at_once() {
    let mut world = World::new(settings());
    world.add(every_hour(true));
    assert_eq!(world.running.len(), 2);
    while !world.running.is_empty() {
        world.succeed(&["a"]);
    }
    let ids: Vec<String> = world.run_ids().iter().map(ToString::to_string).collect();
    assert_eq!(ids.len(), 6, "19:00 to 00:00: {ids:?}");
    assert_eq!(ids[0], "scheduled__2026-11-20T19:00:00+00:00");
    assert_eq!(ids[5], "scheduled__2026-11-21T00:00:00+00:00");
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.run_ids().len(), 7, "and then on the hour");
}

#[test]
fn without_catchup_only_the_latest_run_is_made() {
    let mut world = World::new(settings());
    world.add(every_hour(false));
    let ids: Vec<String> = world.run_ids().iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["scheduled__2026-11-21T00:00:00+00:00"]);
}

#[test]
fn the_timetable_steps_over_a_date_that_a_user_took() {
    let mut world = World::new(settings());
    world.add(every_hour(false));
    let date = start_of_story() + Duration::from_secs(3600);
    let reply = world.control(Control::Trigger(Trigger {
        dag: DagId::new("hourly").expect("an id"),
        run_id: None,
        logical_date: Some(date),
        conf: serde_json::Map::new(),
        note: None,
        by: TriggeredBy::Cli,
        user: None,
    }));
    assert!(matches!(reply, Reply::Triggered(_)), "{reply:?}");
    world.succeed(&["a", "a"]);
    world.pass(Duration::from_secs(2 * 3600));
    let ids: Vec<String> = world.run_ids().iter().map(ToString::to_string).collect();
    assert_eq!(ids[1..], ["manual__2026-11-21T01:00:00+00:00", "scheduled__2026-11-21T02:00:00+00:00"]);
}

#[test]
fn a_changed_file_is_a_new_version_and_a_running_run_keeps_its_own() {
    let mut world = tutorial();
    world.add(dag("tutorial", "task_1 >> other"));
    world.succeed(&["task_1"]);
    assert_eq!(world.names(), ["task_2", "task_3"]);
    world.trigger("tutorial");
    world.succeed(&["task_1"]);
    assert_eq!(world.names(), ["task_2", "task_3", "other"]);
    assert_eq!(world.store.versions.len(), 2);
    world.add(dag("tutorial", "task_1 >> other"));
    assert_eq!(world.store.versions.len(), 2, "the same content is no new version");
}

#[test]
fn a_broken_file_keeps_its_last_good_dag_and_a_removed_one_does_not() {
    let mut world = tutorial();
    let place = crate::domain::problem::Place::line("tutorial.yaml", 3);
    let problem = crate::domain::problem::Problem::error(place, "expected a key");
    let mut change = FileChange {
        file: "tutorial.yaml".to_owned(),
        source: String::new(),
        dags: vec![],
        problems: vec![problem],
        took: Duration::ZERO,
    };
    world.apply(Input::FilesChanged(vec![change.clone()]));
    assert!(matches!(world.trigger("tutorial"), Reply::Triggered(_)));
    change.problems.clear();
    world.apply(Input::FilesChanged(vec![change]));
    assert!(matches!(world.trigger("tutorial"), Reply::Refused { why: Refused::DagNotFound { .. } }));
    world.succeed(&["task_1"]);
    assert_eq!(world.names(), ["task_1", "task_2", "task_3"], "what runs goes on");
}

#[test]
fn a_misspelt_dag_gets_a_suggestion() {
    let mut world = tutorial();
    let Reply::Refused { why } = world.trigger("tutorail") else { panic!("there is no such DAG") };
    assert_eq!(why.to_string(), "no DAG is named `tutorail`: did you mean `tutorial`?");
}

#[test]
fn a_run_id_is_taken_once() {
    let mut world = tutorial();
    let trigger = |id: &str| {
        Control::Trigger(Trigger {
            dag: DagId::new("tutorial").expect("an id"),
            run_id: Some(id.parse().expect("an id")),
            logical_date: None,
            conf: serde_json::Map::new(),
            note: None,
            by: TriggeredBy::Cli,
            user: None,
        })
    };
    assert!(matches!(world.control(trigger("mine")), Reply::Triggered(_)));
    assert!(matches!(world.control(trigger("mine")), Reply::Refused { why: Refused::RunExists { .. } }));
}

#[test]
fn nobody_takes_the_id_of_a_run_that_the_timetable_will_make() {
    let mut world = World::new(settings());
    world.add(every_hour(false));
    let trigger = |id: &str, by: TriggeredBy| {
        Control::Trigger(Trigger {
            dag: DagId::new("hourly").expect("an id"),
            run_id: Some(id.parse().expect("an id")),
            logical_date: None,
            conf: serde_json::Map::new(),
            note: None,
            by,
            user: None,
        })
    };
    let id = "scheduled__2026-11-21T01:00:00+00:00";
    for by in [TriggeredBy::Cli, TriggeredBy::Operator] {
        let Reply::Refused { why } = world.control(trigger(id, by)) else { panic!("the id is reserved") };
        assert!(why.to_string().contains("reserved for scheduled runs"), "{why}");
    }
    assert!(matches!(world.control(trigger("scheduled_by_me", TriggeredBy::Cli)), Reply::Triggered(_)));
    world.succeed(&["a", "a"]);
    world.pass(Duration::from_secs(3600));
    let ids: Vec<String> = world.run_ids().iter().map(ToString::to_string).collect();
    assert!(ids.iter().any(|made| made == id), "{ids:?}");
}

#[test]
fn a_drained_worker_gives_back_what_it_did_not_start() {
    let mut world = tutorial();
    let (message, claim) = world.running.remove(0);
    world.tell(FromWorker::Released { attempt: message.attempt, claim });
    assert_eq!(world.names(), ["task_1"], "it is granted again under a new claim");
    assert_ne!(world.running[0].1, claim);
    let (worker, incarnation) = (world.worker, world.incarnation);
    world.running.clear();
    world.tell(FromWorker::Offline { worker, incarnation });
    assert!(world.running.is_empty(), "nobody is there to take it");
    assert_eq!(world.state(1, "task_1"), TaskState::Queued);
    world.start_worker(Vec::new());
    assert_eq!(world.names(), ["task_1"]);
    assert_eq!(world.store.task(RunKey(1), "task_1").try_number.0, 1, "it is still its first try");
}

#[test]
fn only_the_owner_may_push_and_ask() {
    let mut world = tutorial();
    let (message, claim) = world.running[0].clone();
    let asked = |claim| {
        let question = Question::GetXCom {
            task_id: "x".to_owned(),
            map_index: None,
            key: "k".to_owned(),
            run_id: None,
            dag_id: None,
        };
        FromWorker::Asked { attempt: message.attempt, claim, seq: 1, question }
    };
    world.tell(asked(claim));
    assert_eq!(world.looked_up, 1);
    world.tell(asked(crate::domain::ids::Claim { n: claim.n + 1, ..claim }));
    assert_eq!(world.looked_up, 1);
}

#[test]
fn ten_thousand_blocked_tasks_cost_the_one_that_may_run_nothing() {
    let mut world = World::new(settings());
    for n in 0..20 {
        let mut blocked = dag(&format!("blocked{n}"), &(0..500).map(|t| format!("t{t} ")).collect::<String>());
        for task in &mut blocked.tasks {
            task.priority_weight = 100;
            task.pool = crate::domain::ids::PoolName::new("none").expect("a name");
        }
        world.add(blocked);
        world.trigger(&format!("blocked{n}"));
    }
    assert!(world.running.is_empty());
    world.add(dag("free", "a"));
    world.trigger("free");
    assert_eq!(world.names(), ["a"]);
}

/// A DAG whose two tasks stand in pool `etl`.
fn in_pool() -> crate::domain::dag::DagDefinition {
    let mut definition = dag("pooled", "a b");
    for task in &mut definition.tasks {
        task.pool = crate::domain::ids::PoolName::new("etl").expect("a name");
    }
    definition
}

fn pool(slots: i32) -> Pool {
    let name = crate::domain::ids::PoolName::new("etl").expect("a name");
    Pool { name, slots, description: String::new(), include_deferred: false }
}

#[test]
fn a_pool_that_is_made_or_grows_lets_in_at_once_who_waited_for_it() {
    let mut world = World::new(settings());
    world.add(in_pool());
    world.trigger("pooled");
    assert!(world.running.is_empty(), "there is no such pool yet");
    let set = Reply::PoolSet { pool: pool(1).name };
    assert_eq!(world.control(Control::SetPool(pool(1))), set);
    assert_eq!(world.names(), ["a"]);
    assert_eq!(world.control(Control::SetPool(pool(-1))), set);
    assert_eq!(world.names(), ["a", "b"]);
    assert_eq!(world.store.pools.len(), 2, "kept beside the default pool: {:?}", world.store.pools);
}

#[test]
fn a_pool_that_is_deleted_lets_run_who_is_in_and_lets_nobody_in() {
    let mut world = World::new(settings());
    world.add(in_pool());
    world.control(Control::SetPool(pool(1)));
    world.trigger("pooled");
    assert_eq!(world.control(Control::DeletePool { pool: pool(1).name }), Reply::PoolDeleted { pool: pool(1).name });
    world.succeed(&["a"]);
    assert!(world.running.is_empty());
    assert_eq!(world.store.pools.len(), 1);
    world.control(Control::SetPool(pool(1)));
    world.succeed(&["b"]);
    assert_eq!(world.run_state(1), RunState::Success);
}

#[test]
fn a_pool_that_makes_no_sense_is_refused_and_the_default_pool_stays() {
    let mut world = World::new(settings());
    let refused = |reply| match reply {
        Reply::Refused { why } => why.to_string(),
        other => panic!("not refused: {other:?}"),
    };
    let default = crate::domain::ids::PoolName::default_pool();
    let said = refused(world.control(Control::DeletePool { pool: default }));
    assert!(said.starts_with("default_pool cannot be deleted"), "{said}");
    let near = crate::domain::ids::PoolName::new("defaultpool").expect("a name");
    let said = refused(world.control(Control::DeletePool { pool: near }));
    assert_eq!(said, "Pool defaultpool does not exist: did you mean `default_pool`?");
    assert!(refused(world.control(Control::SetPool(pool(-2)))).contains("-1 (no limit) or more"));
    assert_eq!(world.store.pools.len(), 1);
}
