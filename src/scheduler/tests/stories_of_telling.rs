//! Stories about notifications, callbacks and deadlines.

use std::time::Duration;

use super::simulation_of_telling::command;
use super::world::{World, dag, settings, start_of_story};
use crate::domain::attempt::Outcome;
use crate::domain::dag::DagDefinition;
use crate::domain::deadline::{Deadline, DeadlineState, Reference};
use crate::domain::ids::{AttemptId, DagId, RunKey, TaskId};
use crate::domain::notification::{DagCallbacks, NotificationState, TaskCallbacks};
use crate::domain::operator::Operator;
use crate::domain::schedule::{Family, Schedule};
use crate::domain::state::{Mark, RunState, TaskState};
use crate::protocol::control::{Clear, Control};
use crate::protocol::selection::Selection;
use crate::protocol::work::{FromWorker, Question, ToWorker};
use crate::scheduler::core::{Effect, Input};

const FAILED: Outcome = Outcome::Failed { retryable: true };

/// A DAG whose every task tells of everything, and whose runs tell of their end.
fn talkative(graph: &str) -> DagDefinition {
    let mut talkative = dag("talkative", graph);
    let one = || vec![command("notify")];
    for task in &mut talkative.tasks {
        task.callbacks = TaskCallbacks {
            on_execute: one(),
            on_success: one(),
            on_failure: one(),
            on_retry: one(),
            on_skipped: one(),
        };
    }
    talkative.callbacks = DagCallbacks { on_success: one(), on_failure: one() };
    talkative
}

fn world(dag: DagDefinition) -> World {
    let mut world = World::new(settings());
    let id = dag.dag_id.to_string();
    world.add(dag);
    world.trigger(&id);
    world
}

/// What was said so far; then all of it is carried out.
fn hear(world: &mut World) -> Vec<String> {
    let mut heard = Vec::new();
    while !world.notices.is_empty() {
        heard.push(world.said().remove(0));
        world.carry_out(true);
    }
    heard
}

fn with_deadline(mut dag: DagDefinition, reference: Reference, seconds: f64) -> DagDefinition {
    dag.deadlines.push(Deadline {
        name: Some("soon".to_owned()),
        reference,
        interval: seconds,
        callback: vec![command("late")],
    });
    dag
}

#[test]
fn a_task_tells_of_its_beginning_each_retry_and_its_failure() {
    let mut retried = talkative("a");
    retried.tasks[0].retries = 1;
    retried.tasks[0].retry_delay = Duration::from_secs(60);
    let mut world = world(retried);
    assert_eq!(hear(&mut world), ["on_execute of task a, try 1"]);
    world.finish("a", FAILED);
    assert_eq!(hear(&mut world), ["on_retry of task a, try 1"]);
    world.pass(Duration::from_secs(60));
    assert_eq!(hear(&mut world), ["on_execute of task a, try 2"]);
    world.finish("a", FAILED);
    assert_eq!(hear(&mut world), ["on_failure of task a, try 2", "on_failure of run task_failure"]);
    assert!(world.store.notifications.values().all(|row| row.state == NotificationState::Done));
}

#[test]
fn a_retry_without_delay_is_told_of_the_try_that_failed() {
    let mut retried = talkative("a");
    retried.tasks[0].retries = 1;
    retried.tasks[0].retry_delay = Duration::ZERO;
    let mut world = world(retried);
    hear(&mut world);
    world.finish("a", FAILED);
    assert_eq!(hear(&mut world), ["on_retry of task a, try 1", "on_execute of task a, try 2"]);
}

#[test]
fn what_no_attempt_did_is_not_told() {
    let mut world = world(talkative("a >> b"));
    hear(&mut world);
    world.finish("a", FAILED);
    assert_eq!(world.state(1, "b"), TaskState::UpstreamFailed);
    assert_eq!(hear(&mut world), ["on_failure of task a, try 1", "on_failure of run task_failure"]);
}

#[test]
fn a_skip_is_told_by_the_task_that_said_it_and_by_nobody_downstream() {
    let mut world = world(talkative("a >> b"));
    hear(&mut world);
    world.finish("a", Outcome::Skipped);
    assert_eq!(hear(&mut world), ["on_skipped of task a, try 1", "on_success of run success"]);
}

#[test]
fn a_user_who_marks_or_clears_is_told_nothing_that_he_knows() {
    let mut world = world(talkative("a >> b"));
    hear(&mut world);
    let dag = DagId::new("talkative").expect("an id");
    let run_id = world.run_ids()[0].clone();
    let mut selection = Selection::whole_run(dag.clone(), run_id.clone());
    selection.tasks.push(TaskId::new("a").expect("an id"));
    world.control(Control::MarkTasks { selection: selection.clone(), mark: Mark::Failed, dry_run: false });
    world.finish("a", Outcome::Killed);
    assert_eq!(world.state(1, "a"), TaskState::Failed);
    assert_eq!(hear(&mut world), ["on_failure of run task_failure"], "the run failed by its own rules");

    let clear = Clear { selection, only_failed: false, only_running: false, reset_runs: true, dry_run: false };
    world.control(Control::Clear(clear));
    assert_eq!(hear(&mut world), ["on_execute of task a, try 2"]);
    world.control(Control::MarkRun { dag, run_id, succeeded: true });
    world.finish("a", Outcome::Killed);
    assert_eq!(world.run_state(1), RunState::Success);
    assert_eq!(hear(&mut world), [] as [&str; 0]);
}

#[test]
fn a_try_that_the_machinery_lost_is_no_retry_of_the_users() {
    let mut world = world(talkative("a"));
    hear(&mut world);
    world.start_worker(Vec::new());
    assert_eq!(hear(&mut world), ["on_execute of task a, try 2"]);
    world.succeed(&["a"]);
    assert_eq!(hear(&mut world), ["on_success of task a, try 2", "on_success of run success"]);
}

#[test]
fn a_try_that_was_given_back_and_starts_again_has_begun_once() {
    let mut world = world(talkative("a"));
    hear(&mut world);
    let (message, claim) = world.running.remove(0);
    world.tell(FromWorker::Released { attempt: message.attempt, claim });
    assert_eq!(world.names(), ["a"]);
    assert_eq!(hear(&mut world), [] as [&str; 0]);
}

#[test]
fn a_task_that_does_nothing_tells_of_it_all_the_same() {
    let mut empty = talkative("a");
    empty.tasks[0].operator = Operator::Empty;
    let mut world = world(empty);
    let expected = ["on_execute of task a, try 1", "on_success of task a, try 1", "on_success of run success"];
    assert_eq!(hear(&mut world), expected);
}

#[test]
fn a_run_that_takes_too_long_says_so() {
    let mut slow = talkative("a");
    slow.dagrun_timeout = Some(Duration::from_secs(60));
    let mut world = world(slow);
    hear(&mut world);
    world.pass(Duration::from_secs(60));
    assert_eq!(hear(&mut world), ["on_failure of run timed_out"]);
}

#[test]
fn the_outcome_and_the_word_about_it_are_one_commit_and_the_word_is_said_after_it() {
    let mut world = world(talkative("a"));
    hear(&mut world);
    let (message, claim) = world.running.remove(0);
    let report = world.report(&message, claim, Outcome::Success);
    let effects = world.core.apply(world.now, Input::Worker(FromWorker::Finish(report)));
    let written = effects.iter().filter(|e| matches!(e, Effect::Write(crate::store::write::Write::Notification(_))));
    let sent = effects.iter().filter(|e| matches!(e, Effect::Send { message: ToWorker::Notify { .. }, .. }));
    assert_eq!((written.count(), sent.count()), (2, 2), "of the task and of the run");
}

#[test]
fn what_was_not_carried_out_when_the_node_died_is_carried_out_by_the_next() {
    let mut world = world(talkative("a"));
    world.succeed(&["a"]);
    assert_eq!(world.notices.len(), 3);
    world.crash_and_restart(settings());
    let expected = ["on_execute of task a, try 1", "on_success of task a, try 1", "on_success of run success"];
    assert_eq!(hear(&mut world), expected);
    world.crash_and_restart(settings());
    assert_eq!(hear(&mut world), [] as [&str; 0], "and then no more");
}

#[test]
fn a_worker_that_ends_has_its_words_said_by_the_next_life() {
    let mut world = world(talkative("a"));
    world.succeed(&["a"]);
    world.start_worker(Vec::new());
    assert_eq!(hear(&mut world).len(), 3);
    world.start_worker(Vec::new());
    assert_eq!(hear(&mut world), [] as [&str; 0]);
}

#[test]
fn a_word_that_nobody_hears_is_said_again_later_and_then_given_up() {
    let mut world = world(talkative("a"));
    for wait in [10, 20] {
        assert_eq!(world.said(), ["on_execute of task a, try 1"]);
        world.carry_out(false);
        assert!(world.notices.is_empty());
        world.pass(Duration::from_secs(wait - 1));
        assert!(world.notices.is_empty());
        // A restart keeps the time.
        let running = world.running.clone();
        world.crash_and_restart(settings());
        assert!(world.notices.iter().all(|(_, task)| task.try_number.0 > 1), "it waits: {:?}", world.said());
        world.notices.clear();
        drop(running);
        world.pass(Duration::from_secs(1));
        world.notices.retain(|(_, task)| task.try_number.0 == 1);
    }
    world.carry_out(false);
    let first = world.store.notifications.values().find(|row| row.try_number.0 == 1).expect("the first");
    assert_eq!((first.state, first.failed_tries), (NotificationState::Failed, 3));
    assert_eq!(first.error.as_deref(), Some("nobody listens"));
}

#[test]
fn few_words_are_said_at_once_and_a_task_waits_for_none_of_them() {
    let mut world = world(talkative("a b c d e f"));
    assert_eq!(world.notices.len(), 4, "six have begun");
    world.succeed(&["a", "b", "c", "d", "e", "f"]);
    assert_eq!((world.run_state(1), world.notices.len()), (RunState::Success, 4));
    world.carry_out(true);
    assert_eq!(world.notices.len(), 4);
    assert_eq!(hear(&mut world).len() + 1, 6 + 6 + 1);
}

#[test]
fn a_callback_may_ask_for_values_and_leaves_none() {
    let mut world = world(talkative("a"));
    let (id, _) = world.notices[0].clone();
    let (_, claim) = world.running[0].clone();
    let ask = |question| FromWorker::Asked { attempt: AttemptId(id.0), claim, seq: 1, question };
    world.tell(ask(Question::GetVariable { key: "channel".to_owned() }));
    assert_eq!(world.looked_up, 1);
    let push = ask(Question::SetXCom { key: "k".to_owned(), value: 1.into() });
    let effects = world.core.apply(world.now, Input::Worker(push));
    let refused = format!("{effects:?}");
    assert!(refused.contains("a callback cannot push an XCom"), "{refused}");
}

#[test]
fn a_run_that_succeeds_in_time_meets_its_deadline() {
    let mut world = world(with_deadline(dag("timed", "a"), Reference::DagrunQueuedAt, 60.0));
    assert_eq!(world.core.next_wake(), Some(start_of_story() + Duration::from_secs(60)));
    world.succeed(&["a"]);
    assert_eq!(world.core.next_wake(), None);
    assert_eq!(world.store.deadlines[&(RunKey(1), 0)].state, DeadlineState::Met);
    assert!(world.store.notifications.is_empty());
}

#[test]
fn a_run_that_is_late_says_so_once_and_goes_on() {
    let mut world = world(with_deadline(dag("timed", "a"), Reference::DagrunQueuedAt, 60.0));
    world.pass(Duration::from_secs(59));
    world.crash_and_restart(settings());
    assert!(world.notices.is_empty());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.store.deadlines[&(RunKey(1), 0)].state, DeadlineState::Missed);
    assert_eq!(hear(&mut world), ["deadline of run in time"].map(|_| "deadline of run in time"));
    world.succeed(&["a"]);
    assert_eq!(world.run_state(1), RunState::Success);
    world.crash_and_restart(settings());
    world.pass(Duration::from_secs(3600));
    assert_eq!(hear(&mut world), [] as [&str; 0]);
    assert_eq!(world.store.deadlines[&(RunKey(1), 0)].state, DeadlineState::Missed, "the mark stays");
}

#[test]
fn a_run_that_failed_has_not_met_its_deadline_and_who_clears_it_in_time_can() {
    let failed = || {
        let mut world = world(with_deadline(dag("timed", "a"), Reference::DagrunLogicalDate, 60.0));
        world.finish("a", FAILED);
        world
    };
    // A manual run of Airflow 3 has no logical date, and so no such deadline.
    assert!(failed().store.deadlines.is_empty());

    let mut world = world(with_deadline(dag("timed", "a"), Reference::DagrunQueuedAt, 60.0));
    world.finish("a", FAILED);
    world.crash_and_restart(settings());
    world.pass(Duration::from_secs(30));
    let dag_id = DagId::new("timed").expect("an id");
    let selection = Selection::whole_run(dag_id, world.run_ids()[0].clone());
    let clear = Clear { selection, only_failed: false, only_running: false, reset_runs: true, dry_run: false };
    world.control(Control::Clear(clear));
    world.pass(Duration::from_secs(59));
    assert!(world.notices.is_empty(), "queued again, it has its time again");
    world.finish("a", FAILED);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.said().len(), 1);
    assert_eq!(world.notices[0].1.notice.as_ref().map(|notice| notice.run_state.as_str()), Some("failed"));
}

#[test]
fn a_run_of_the_past_is_late_by_its_date_and_not_by_its_queue() {
    let of = |reference| {
        let mut past = with_deadline(dag("timed", "a"), reference, 60.0);
        past.schedule = Schedule::Every { period: Duration::from_secs(3600), family: Family::DataInterval };
        past.start_date = Some(start_of_story() - Duration::from_secs(3 * 3600));
        past.catchup = true;
        let mut world = World::new(settings());
        world.add(past);
        world.pass(Duration::ZERO);
        (world.store.runs.len(), world.notices.len())
    };
    assert_eq!(of(Reference::DagrunQueuedAt), (3, 0));
    assert_eq!(of(Reference::DagrunLogicalDate), (3, 3));
    assert_eq!(of(Reference::FixedDatetime(start_of_story() + Duration::from_secs(600))), (3, 0));
}
