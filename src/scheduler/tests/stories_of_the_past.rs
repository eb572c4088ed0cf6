//! Stories about tasks that wait for the run before.

use std::time::Duration;

use super::world::{World, dag, settings, start_of_story};
use crate::domain::attempt::Outcome;
use crate::domain::dag::DagDefinition;
use crate::domain::ids::{DagId, TaskId};
use crate::domain::past::PastRule;
use crate::domain::schedule::{Family, Schedule};
use crate::domain::state::{Mark, RunState, TaskState};
use crate::domain::time::Time;
use crate::domain::trigger::TriggerRule;
use crate::protocol::control::{Clear, Control, Trigger, TriggeredBy};
use crate::protocol::selection::Selection;

const FAILED: Outcome = Outcome::Failed { retryable: true };
const PAST: PastRule = PastRule {
    depends_on_past: true,
    wait_for_downstream: false,
    ignore_first_depends_on_past: false,
    wait_for_past_depends_before_skipping: false,
};

/// An hourly DAG whose first task waits for the run before; four runs are due at once.
fn hourly(graph: &str, rule: PastRule, catchup: bool) -> DagDefinition {
    let mut hourly = dag("d", graph);
    hourly.schedule = Schedule::Every { period: Duration::from_secs(3600), family: Family::DataInterval };
    hourly.start_date = Some(start_of_story() - Duration::from_secs(4 * 3600));
    hourly.catchup = catchup;
    hourly.tasks[0].past = rule;
    hourly
}

fn world(definition: DagDefinition) -> World {
    let mut world = World::new(settings());
    world.add(definition);
    world
}

fn trigger_at(world: &mut World, date: Time) {
    world.control(Control::Trigger(Trigger {
        dag: DagId::new("d").expect("an id"),
        run_id: None,
        logical_date: Some(date),
        conf: serde_json::Map::new(),
        note: None,
        by: TriggeredBy::Cli,
        user: None,
    }));
}

fn clear(world: &mut World, run: usize, task: &str) {
    let run = world.run_ids().swap_remove(run - 1);
    let tasks = vec![TaskId::new(task).expect("an id")];
    let selection = Selection { tasks, ..Selection::whole_run(DagId::new("d").expect("an id"), run) };
    let clear = Clear { selection, only_failed: false, only_running: false, reset_runs: true, dry_run: false };
    world.control(Control::Clear(clear));
}

fn mark(world: &mut World, run: usize, task: &str, mark: Mark) {
    let run = world.run_ids().swap_remove(run - 1);
    let tasks = vec![TaskId::new(task).expect("an id")];
    let selection = Selection { tasks, ..Selection::whole_run(DagId::new("d").expect("an id"), run) };
    world.control(Control::MarkTasks { selection, mark, dry_run: false });
}

#[test]
fn each_run_waits_for_the_one_before_and_goes_on_in_the_same_step() {
    let mut world = world(hourly("a >> b", PAST, true));
    assert_eq!(world.store.runs.len(), 4);
    for run in 1..=4 {
        assert_eq!(world.names().iter().filter(|name| *name == "a").count(), 1, "one at a time");
        assert_eq!(world.state(run, "a"), TaskState::Running);
        world.succeed(&["a"]);
    }
    assert_eq!(world.names(), ["b"; 4], "only `a` looks back");
    world.succeed(&["b", "b", "b", "b"]);
    assert_eq!(world.run_state(4), RunState::Success);
}

#[test]
fn runs_that_follow_one_another_in_memory_ask_nothing() {
    let mut world = world(hourly("a", PAST, true));
    world.succeed(&["a", "a", "a", "a"]);
    for _ in 0..10 {
        world.pass(Duration::from_secs(3600));
        world.succeed(&["a"]);
    }
    assert_eq!((world.store.runs.len(), world.looked_back), (14, 0));
    let dag = &world.core.dags[&DagId::new("d").expect("an id")];
    let remembered = dag.timeline.as_ref().map_or(0, |timeline| timeline.remembered());
    assert_eq!((remembered, world.core.load().0), (1, 0), "only the newest is remembered");
}

#[test]
fn a_failure_holds_the_later_runs_which_are_no_deadlock_and_a_clear_or_a_mark_frees_them() {
    for by_mark in [true, false] {
        let mut world = world(hourly("a >> b", PAST, true));
        world.finish("a", FAILED);
        assert_eq!(world.run_state(1), RunState::Failed);
        assert_eq!((world.run_state(2), world.state(2, "a")), (RunState::Running, TaskState::None));
        assert!(world.running.is_empty());
        if by_mark {
            mark(&mut world, 1, "a", Mark::Success);
        } else {
            clear(&mut world, 1, "a");
            assert_eq!(world.state(1, "a"), TaskState::Running);
            world.succeed(&["a"]);
        }
        assert_eq!(world.state(2, "a"), TaskState::Running);
    }
}

#[test]
fn after_a_restart_the_run_before_is_looked_up_once() {
    let mut world = world(hourly("a", PAST, true));
    world.succeed(&["a"]);
    world.finish("a", FAILED);
    world.crash_and_restart(settings());
    assert_eq!((world.state(3, "a"), world.run_state(3)), (TaskState::None, RunState::Running));
    assert_eq!(world.looked_back, 2, "of the two runs that wait, each asked once");
    mark(&mut world, 2, "a", Mark::Skipped);
    world.succeed(&["a", "a"]);
    assert_eq!(world.run_state(4), RunState::Success);
    world.crash_and_restart(settings());
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn wait_for_downstream_waits_for_what_follows_the_task_there() {
    let rule = PastRule { wait_for_downstream: true, ..PAST };
    let mut world = world(hourly("a >> b >> c", rule, true));
    world.succeed(&["a"]);
    assert_eq!(world.names(), ["b"], "the next `a` waits for this `b`");
    world.succeed(&["b"]);
    assert_eq!(world.names(), ["a", "c"], "and not for `c`, which is further down");
}

#[test]
fn with_catchup_a_manual_run_is_nobodys_run_before_and_without_it_is() {
    for catchup in [true, false] {
        let mut definition = hourly("a", PAST, catchup);
        definition.start_date = Some(start_of_story() - Duration::from_secs(3600));
        let mut world = world(definition);
        world.succeed(&["a"]);
        trigger_at(&mut world, start_of_story() - Duration::from_secs(1800));
        world.finish("a", FAILED);
        world.pass(Duration::from_secs(3600));
        let expected = if catchup { TaskState::Running } else { TaskState::None };
        assert_eq!(world.state(3, "a"), expected, "catchup {catchup}");
    }
}

#[test]
fn a_run_of_an_earlier_date_that_comes_later_is_waited_for() {
    let mut world = world(hourly("a", PAST, false));
    world.succeed(&["a"]);
    trigger_at(&mut world, start_of_story() + Duration::from_secs(7200));
    trigger_at(&mut world, start_of_story() + Duration::from_secs(3600));
    assert_eq!(world.names(), ["a", "a"], "what has begun goes on");
    world.finish("a", FAILED);
    trigger_at(&mut world, start_of_story() + Duration::from_secs(9000));
    assert_eq!(world.state(4, "a"), TaskState::None);
    world.finish("a", FAILED);
    assert_eq!(world.state(4, "a"), TaskState::None, "it waits for the run of two o'clock, which has failed");
}

#[test]
fn a_run_without_a_logical_date_has_no_run_before() {
    let mut world = world(hourly("a", PAST, false));
    world.finish("a", FAILED);
    world.trigger("d");
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn a_task_that_is_new_waits_unless_its_first_time_is_ignored() {
    for ignored in [true, false] {
        let mut definition = hourly("a", PAST, false);
        definition.tasks[0].past = PastRule::default();
        let mut world = world(definition);
        world.succeed(&["a"]);
        let mut grown = hourly("a b", PastRule::default(), false);
        grown.tasks[1].past = PastRule { ignore_first_depends_on_past: ignored, ..PAST };
        world.add(grown);
        world.pass(Duration::from_secs(3600));
        let expected = if ignored { TaskState::Running } else { TaskState::None };
        assert_eq!(world.state(2, "b"), expected);
    }
}

#[test]
fn with_catchup_a_run_before_the_tasks_start_date_asks_nothing() {
    let mut definition = hourly("a b", PAST, true);
    definition.tasks[0].start_date = Some(start_of_story() - Duration::from_secs(2 * 3600));
    let mut world = world(definition);
    assert_eq!(world.state(1, "a"), TaskState::Removed);
    assert_eq!((world.state(3, "a"), world.state(4, "a")), (TaskState::Running, TaskState::None));
    world.succeed(&["a", "a"]);
    assert_eq!(world.state(4, "a"), TaskState::Success);
}

#[test]
fn a_skip_waits_for_the_past_only_where_it_is_told_to() {
    for waits in [true, false] {
        let mut definition = hourly("a b", PastRule::default(), true);
        definition.tasks[1].upstream = vec![TaskId::new("a").expect("an id")];
        definition.tasks[1].past = PastRule { wait_for_past_depends_before_skipping: waits, ..PAST };
        let mut world = world(definition);
        world.succeed(&["a"]);
        world.finish("a", Outcome::Skipped);
        let expected = if waits { TaskState::None } else { TaskState::Skipped };
        assert_eq!(world.state(2, "b"), expected);
        world.succeed(&["b"]);
        assert_eq!(world.state(2, "b"), TaskState::Skipped);
    }
}

#[test]
fn a_failure_upstream_does_not_wait_for_the_past() {
    let mut definition = hourly("a b", PastRule::default(), true);
    definition.tasks[1].upstream = vec![TaskId::new("a").expect("an id")];
    definition.tasks[1].past = PAST;
    definition.tasks[1].trigger_rule = TriggerRule::AllSuccess;
    let mut world = world(definition);
    world.succeed(&["a"]);
    world.finish("a", FAILED);
    assert_eq!((world.state(2, "b"), world.run_state(2)), (TaskState::UpstreamFailed, RunState::Failed));
}
