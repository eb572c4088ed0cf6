//! Stories about what a failure or a limit does to the neighbours: fail fast, pausing after
//! failures, and limits of single tasks.

use std::num::NonZeroU32;
use std::time::Duration;

use super::world::{World, dag, settings};
use crate::domain::attempt::Outcome;
use crate::domain::ids::{DagId, RunKey};
use crate::domain::state::{RunState, TaskState};
use crate::protocol::control::{Clear, Control};
use crate::protocol::selection::Selection;

const FAILED: Outcome = Outcome::Failed { retryable: true };

#[test]
fn a_dag_that_fails_fast_stops_what_runs_and_skips_what_waits() {
    let mut world = World::new(settings());
    let mut fast = dag("d", "a b >> c; x");
    fast.fail_fast = true;
    fast.tasks[0].retries = 1;
    world.add(fast);
    world.trigger("d");
    world.succeed(&["x"]);
    world.finish("a", FAILED);
    assert!(world.terminated.is_empty(), "a failure that is retried ends nothing");
    world.pass(Duration::from_secs(300));
    world.finish("a", FAILED);
    assert_eq!(world.terminated.len(), 1, "b is told to stop");
    assert_eq!(world.state(1, "c"), TaskState::Skipped);
    world.finish("b", Outcome::Killed);
    assert_eq!((world.state(1, "b"), world.state(1, "x")), (TaskState::Failed, TaskState::Success));
    let note = world.store.task(RunKey(1), "b").note.clone();
    assert_eq!(note.as_deref(), Some("stopped, because another task of the run failed (fail_fast)"));
    assert_eq!(world.run_state(1), RunState::Failed);
}

fn fragile() -> World {
    let mut world = World::new(settings());
    let mut fragile = dag("d", "a");
    fragile.max_consecutive_failed_runs = NonZeroU32::new(2);
    world.add(fragile);
    world
}

fn run(world: &mut World, outcome: Outcome) -> bool {
    world.trigger("d");
    world.finish("a", outcome);
    world.pass(Duration::from_secs(1));
    world.store.dags[&DagId::new("d").expect("an id")].is_paused
}

#[test]
fn a_dag_whose_latest_runs_all_failed_is_paused() {
    let mut world = fragile();
    assert!(!run(&mut world, FAILED));
    assert!(!run(&mut world, Outcome::Success));
    assert!(!run(&mut world, FAILED), "a success came in between");
    assert!(run(&mut world, FAILED));
}

#[test]
fn failures_before_a_restart_count_too() {
    let mut world = fragile();
    assert!(!run(&mut world, FAILED));
    world.crash_and_restart(settings());
    assert!(run(&mut world, FAILED));
}

#[test]
fn a_run_that_goes_on_is_no_failure_however_it_ended_before() {
    let mut world = fragile();
    assert!(!run(&mut world, FAILED));
    let selection = Selection::whole_run(DagId::new("d").expect("an id"), world.run_ids().swap_remove(0));
    let clear = Clear { selection, only_failed: false, only_running: false, reset_runs: true, dry_run: false };
    world.control(Control::Clear(clear));
    world.trigger("d");
    // Two runs of the task go on; the second one fails while the first is tried again.
    let (message, claim) = world.running.pop().expect("the newer run's");
    let report = world.report(&message, claim, FAILED);
    world.tell(crate::protocol::work::FromWorker::Finish(report));
    assert!(!world.store.dags[&DagId::new("d").expect("an id")].is_paused);
    world.finish("a", FAILED);
    assert!(world.store.dags[&DagId::new("d").expect("an id")].is_paused);
}

#[test]
fn max_active_tis_per_dag_holds_one_task_over_all_runs_and_no_other() {
    let mut world = World::new(settings());
    let mut limited = dag("d", "a b");
    limited.tasks[0].max_active_tis_per_dag = NonZeroU32::new(2);
    world.add(limited);
    for _ in 0..4 {
        world.trigger("d");
    }
    let running = |world: &World, task: &str| world.names().iter().filter(|name| *name == task).count();
    assert_eq!((running(&world, "a"), running(&world, "b")), (2, 4));
    world.crash_and_restart(settings());
    assert_eq!((running(&world, "a"), running(&world, "b")), (2, 4), "after a restart as well");
    for _ in 0..4 {
        world.succeed(&["a"]);
        assert!(running(&world, "a") <= 2);
    }
    world.succeed(&["b", "b", "b", "b"]);
    assert!((1..=4).all(|run| world.run_state(run) == RunState::Success));
}
