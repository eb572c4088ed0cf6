//! Stories about changes of mind: what was over runs again, or ends as a user says.

use std::time::Duration;

use super::world::{World, dag, settings};
use crate::domain::attempt::{AttemptState, Outcome};
use crate::domain::ids::{DagId, RunId, RunKey, TaskId};
use crate::domain::state::{Mark, RunState, TaskState};
use crate::protocol::control::{Clear, Control, Refused, Reply};
use crate::protocol::selection::{RunRange, Selection};

const FAILED: Outcome = Outcome::Failed { retryable: true };

fn world(graph: &str) -> World {
    let mut world = World::new(settings());
    world.add(dag("d", graph));
    world.trigger("d");
    world
}

fn of(world: &World, tasks: &[&str], downstream: bool) -> Selection {
    let run = world.run_ids().swap_remove(0);
    let tasks = tasks.iter().map(|task| TaskId::new(*task).expect("an id")).collect();
    Selection { tasks, downstream, ..Selection::whole_run(DagId::new("d").expect("an id"), run) }
}

fn clear(selection: Selection) -> Control {
    Control::Clear(Clear { selection, only_failed: false, only_running: false, reset_runs: true, dry_run: false })
}

fn mark(selection: Selection, mark: Mark) -> Control {
    Control::MarkTasks { selection, mark, dry_run: false }
}

/// The names of what was touched.
fn touched(reply: Reply) -> Vec<String> {
    let tasks = reply.touched().expect("what a clear is answered with");
    tasks.into_iter().map(|task| task.key.task.to_string()).collect()
}

#[test]
fn a_cleared_task_and_what_follows_run_again_although_the_run_was_forgotten() {
    let mut world = world("a >> b >> c; x");
    world.succeed(&["a", "x"]);
    world.finish("b", FAILED);
    assert_eq!(world.run_state(1), RunState::Failed);
    assert_eq!(world.core.load().0, 0, "a finished run needs no memory");

    let reply = world.control(clear(of(&world, &["b"], true)));
    assert_eq!(touched(reply), ["b", "c"]);
    assert_eq!(world.names(), ["b"]);
    let run = &world.store.runs[&RunKey(1)];
    assert_eq!((run.state, run.clear_number, run.ended_at), (RunState::Running, 1, None));
    assert_eq!(world.state(1, "c"), TaskState::None);
    world.succeed(&["b", "c"]);
    assert_eq!(world.run_state(1), RunState::Success);
    assert_eq!(world.store.task(RunKey(1), "b").try_number.0, 2);
    assert_eq!(world.store.task(RunKey(1), "a").try_number.0, 1, "what was not cleared did not run");
    let tries = world.store.attempts.values().filter(|attempt| attempt.task_id.as_str() == "b").count();
    assert_eq!(tries, 2, "the history of every try is kept");
}

#[test]
fn a_preview_names_what_would_be_cleared_and_changes_nothing() {
    let mut world = world("a >> b");
    world.finish("a", FAILED);
    let before = world.store.clone();
    let Control::Clear(wish) = clear(of(&world, &[], false)) else { unreachable!("a clear is a clear") };
    let reply = world.control(Control::Clear(Clear { dry_run: true, only_failed: true, ..wish }));
    assert_eq!(touched(reply), ["a", "b"]);
    assert_eq!(format!("{:?}", world.store.tasks), format!("{:?}", before.tasks));
    assert_eq!(world.run_state(1), RunState::Failed);
    assert_eq!(world.core.load().0, 0);
}

#[test]
fn a_running_task_that_is_cleared_restarts_only_when_its_process_has_ended() {
    let mut world = world("a >> b");
    world.control(clear(of(&world, &["a"], false)));
    assert_eq!(world.state(1, "a"), TaskState::Restarting);
    assert_eq!(world.terminated.len(), 1, "its process is told to stop");
    assert_eq!(world.names(), ["a"], "and nothing starts beside it");
    world.finish("a", Outcome::Success);
    assert_eq!(world.state(1, "a"), TaskState::Running, "even a success came too late");
    assert_eq!(world.store.task(RunKey(1), "a").try_number.0, 2);
    world.succeed(&["a", "b"]);
    assert_eq!(world.run_state(1), RunState::Success);
}

#[test]
fn a_clear_survives_a_crash_while_the_process_is_still_ending() {
    let mut world = world("a");
    world.control(clear(of(&world, &["a"], false)));
    world.crash_and_restart(settings());
    assert_eq!(world.names(), ["a"]);
    assert_eq!(world.store.task(RunKey(1), "a").try_number.0, 2);
    assert_eq!(world.open_attempts(), 1);
}

#[test]
fn a_cleared_task_has_all_its_retries_again() {
    let mut world = World::new(settings());
    let mut retried = dag("d", "a");
    retried.tasks[0].retries = 1;
    world.add(retried);
    world.trigger("d");
    let fail_for_good = |world: &mut World| {
        for _ in 0..2 {
            world.finish("a", FAILED);
            world.pass(Duration::from_secs(300));
        }
        assert_eq!(world.state(1, "a"), TaskState::Failed);
    };
    fail_for_good(&mut world);
    world.control(clear(of(&world, &[], false)));
    assert_eq!(world.store.task(RunKey(1), "a").max_tries, 3);
    fail_for_good(&mut world);
    assert_eq!(world.store.task(RunKey(1), "a").try_number.0, 4);
}

#[test]
fn a_cleared_run_goes_on_with_the_file_as_it_was_mended() {
    let mut world = world("a >> b >> gone");
    world.succeed(&["a"]);
    world.finish("b", FAILED);
    let mut mended = dag("d", "a >> b >> new");
    mended.tasks[1].operator_name = "Mended".to_owned();
    world.add(mended);
    world.control(clear(of(&world, &["b"], true)));
    assert_eq!(world.state(1, "gone"), TaskState::Removed);
    let (message, _) = &world.running[0];
    assert_eq!(message.operator_name, "Mended");
    world.succeed(&["b", "new"]);
    assert_eq!(world.run_state(1), RunState::Success);
    assert_eq!(world.store.task(RunKey(1), "a").try_number.0, 1);
}

#[test]
fn only_failed_and_only_running_leave_the_rest_alone() {
    let mut world = world("a b c");
    world.succeed(&["a"]);
    world.finish("b", FAILED);
    let Control::Clear(wish) = clear(of(&world, &[], false)) else { unreachable!("a clear is a clear") };
    let failed = Clear { only_failed: true, dry_run: true, ..wish.clone() };
    assert_eq!(touched(world.control(Control::Clear(failed))), ["b"]);
    let running = Clear { only_running: true, dry_run: true, ..wish.clone() };
    assert_eq!(touched(world.control(Control::Clear(running))), ["c"]);
    let either = Clear { only_failed: true, only_running: true, ..wish };
    assert_eq!(touched(world.control(Control::Clear(either))), ["b", "c"]);
    assert_eq!(world.state(1, "a"), TaskState::Success);
}

#[test]
fn cleared_runs_wait_for_their_place_like_any_other() {
    let mut world = World::new(settings());
    let mut limited = dag("d", "a");
    limited.max_active_runs = crate::domain::limit::Limit::from(1);
    world.add(limited);
    for _ in 0..3 {
        world.trigger("d");
        world.succeed(&["a"]);
        world.pass(Duration::from_secs(1));
    }
    let every = Selection { runs: RunRange::Dates { from: None, until: None }, ..of(&world, &[], false) };
    assert_eq!(touched(world.control(clear(every))).len(), 3);
    for run in 1..=3 {
        assert_eq!(world.names(), ["a"]);
        assert_eq!(world.run_state(run), RunState::Running);
        world.succeed(&["a"]);
    }
    assert!(world.running.is_empty());
}

#[test]
fn a_failed_task_that_is_marked_successful_lets_what_follows_run() {
    let mut world = world("a >> b >> c");
    world.finish("a", FAILED);
    assert_eq!(touched(world.control(mark(of(&world, &["a"], false), Mark::Success))), ["a"]);
    assert_eq!(world.state(1, "a"), TaskState::Success);
    assert_eq!(world.store.task(RunKey(1), "a").note.as_deref(), Some("marked success by a user"));
    world.succeed(&["b", "c"]);
    assert_eq!(world.run_state(1), RunState::Success);
    assert_eq!(world.store.task(RunKey(1), "a").try_number.0, 1);
}

#[test]
fn a_running_task_that_is_marked_is_stopped_first() {
    let mut world = world("a >> b");
    world.control(mark(of(&world, &["a"], false), Mark::Failed));
    assert_eq!(world.state(1, "a"), TaskState::Running, "the mark stands when the process has ended");
    world.finish("a", Outcome::Killed);
    assert_eq!((world.state(1, "a"), world.state(1, "b")), (TaskState::Failed, TaskState::UpstreamFailed));
    assert_eq!(world.run_state(1), RunState::Failed);
    let attempt = world.store.attempts.values().next().expect("one attempt");
    assert!(matches!(attempt.state, AttemptState::Done { outcome: Outcome::Killed, .. }), "and says what happened");
}

#[test]
fn marking_a_run_ends_what_runs_and_skips_what_waits() {
    let mut world = world("a >> c; b >> c");
    world.succeed(&["a"]);
    let run_id = world.run_ids().swap_remove(0);
    let control = Control::MarkRun { dag: DagId::new("d").expect("an id"), run_id: run_id.clone(), succeeded: true };
    assert!(matches!(world.control(control.clone()), Reply::RunMarked { changed: true, .. }));
    assert_eq!((world.run_state(1), world.state(1, "c")), (RunState::Success, TaskState::Skipped));
    assert_eq!(world.terminated.len(), 1);
    world.finish("b", Outcome::Killed);
    assert_eq!(world.state(1, "b"), TaskState::Success);
    assert!(matches!(world.control(control), Reply::RunMarked { changed: false, .. }));
    let ended = world.store.runs[&RunKey(1)].ended_at;
    world.pass(Duration::from_secs(60));
    let control = Control::MarkRun { dag: DagId::new("d").expect("an id"), run_id, succeeded: false };
    assert!(matches!(world.control(control), Reply::RunMarked { state: RunState::Failed, changed: true, .. }));
    assert_eq!(world.store.runs[&RunKey(1)].ended_at, ended, "a change of mind does not change when it ended");
}

#[test]
fn a_run_that_has_not_begun_can_be_marked() {
    let mut world = World::new(settings());
    world.add(dag("d", "a"));
    world.pause("d", true);
    world.trigger("d");
    let run_id = world.run_ids().swap_remove(0);
    world.control(Control::MarkRun { dag: DagId::new("d").expect("an id"), run_id, succeeded: false });
    assert_eq!((world.run_state(1), world.state(1, "a")), (RunState::Failed, TaskState::Skipped));
    world.pause("d", false);
    assert!(world.running.is_empty());
}

#[test]
fn what_is_not_there_is_named_with_a_hint() {
    let mut world = world("extract >> load");
    let reply = world.control(clear(of(&world, &["exract"], false)));
    let Reply::Refused { why } = reply else { panic!("it was taken: {reply:?}") };
    assert_eq!(why.to_string(), "DAG `d` has no task `exract`: did you mean `extract`?");
    let selection = Selection::whole_run(DagId::new("d").expect("an id"), RunId::new("nowhere").expect("an id"));
    let reply = world.control(clear(selection));
    assert!(matches!(reply, Reply::Refused { why: Refused::RunNotFound { .. } }), "{reply:?}");
}

#[test]
fn a_run_that_is_over_is_noted_and_deleted_and_one_that_is_not_stays() {
    let mut world = world("a");
    let (dag, run_id) = (DagId::new("d").expect("an id"), world.run_ids().swap_remove(0));
    let note = |text: &str| Control::NoteRun { dag: dag.clone(), run_id: run_id.clone(), note: Some(text.to_owned()) };
    let delete = Control::DeleteRun { dag: dag.clone(), run_id: run_id.clone() };
    let why = Refused::RunNotOver { dag: dag.clone(), run_id: run_id.clone() };
    assert_eq!(world.control(delete.clone()), Reply::Refused { why });
    world.control(note("while it runs"));
    assert_eq!(world.store.runs[&RunKey(1)].note.as_deref(), Some("while it runs"));

    world.succeed(&["a"]);
    assert_eq!(world.core.load().0, 0, "a finished run needs no memory");
    world.control(note("after its end"));
    let run = &world.store.runs[&RunKey(1)];
    assert_eq!((run.note.as_deref(), run.state), (Some("after its end"), RunState::Success));
    assert_eq!(world.core.load().0, 0, "a note does not keep it there");

    let reply = Reply::RunDeleted { dag: dag.clone(), run_id: run_id.clone() };
    assert_eq!(world.control(delete.clone()), reply);
    assert!(world.store.runs.is_empty() && world.store.tasks.is_empty());
    let why = Refused::RunNotFound { dag, run_id };
    assert_eq!(world.control(delete), Reply::Refused { why });
}
