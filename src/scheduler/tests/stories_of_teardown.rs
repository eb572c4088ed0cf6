//! Stories about setups and teardowns.

use super::world::{World, compile, dag, settings};
use crate::domain::attempt::Outcome;
use crate::domain::dag::DagDefinition;
use crate::domain::ids::{DagId, TaskId};
use crate::domain::setup::TaskRole;
use crate::domain::state::{RunState, TaskState};
use crate::domain::trigger::TriggerRule;
use crate::protocol::control::{Clear, Control, Reply};
use crate::protocol::selection::Selection;

const FAILED: Outcome = Outcome::Failed { retryable: true };

/// Tasks whose names begin with `s` are setups, those with `t` teardowns.
fn with_roles(graph: &str) -> DagDefinition {
    let mut definition = dag("d", graph);
    for task in &mut definition.tasks {
        if task.task_id.as_str().starts_with('s') {
            task.role = TaskRole::Setup;
        } else if task.task_id.as_str().starts_with('t') {
            task.role = TaskRole::Teardown { on_failure_fail_dagrun: false };
            task.trigger_rule = TriggerRule::AllDoneSetupSuccess;
        }
    }
    definition
}

fn world(graph: &str) -> World {
    let mut world = World::new(settings());
    world.add(with_roles(graph));
    world.trigger("d");
    world
}

#[test]
fn a_teardown_runs_however_the_work_ended_and_the_work_decides_the_run() {
    for (outcome, end) in [(Outcome::Success, RunState::Success), (FAILED, RunState::Failed)] {
        for teardown in [Outcome::Success, FAILED] {
            let mut world = world("s >> a >> b >> t; s >> t");
            world.succeed(&["s"]);
            world.succeed(&["a"]);
            world.finish("b", outcome);
            assert_eq!(world.names(), ["t"]);
            world.finish("t", teardown);
            assert_eq!(world.run_state(1), end, "{outcome:?}, {teardown:?}");
        }
    }
}

#[test]
fn a_teardown_whose_failure_counts_fails_the_run() {
    let mut definition = with_roles("s >> a >> t; s >> t");
    definition.tasks[2].role = TaskRole::Teardown { on_failure_fail_dagrun: true };
    let mut world = World::new(settings());
    world.add(definition);
    world.trigger("d");
    world.succeed(&["s", "a"]);
    world.finish("t", FAILED);
    assert_eq!(world.run_state(1), RunState::Failed);
}

#[test]
fn a_teardown_does_not_run_where_no_setup_succeeded() {
    let mut world = world("s >> a >> t; s >> t");
    world.finish("s", FAILED);
    assert_eq!((world.state(1, "a"), world.state(1, "t")), (TaskState::UpstreamFailed, TaskState::UpstreamFailed));
    assert_eq!(world.run_state(1), RunState::Failed);
    let mut world = self::world("s >> a >> t; s >> t");
    world.finish("s", Outcome::Skipped);
    assert_eq!((world.state(1, "t"), world.run_state(1)), (TaskState::Skipped, RunState::Success));
}

#[test]
fn work_waits_for_setups_that_are_not_directly_upstream() {
    // `b` follows `a` whatever comes of it, and needs `s` for as long as `t` has not taken it away.
    let mut definition = with_roles("s >> a >> b >> t; s >> t");
    definition.tasks[2].trigger_rule = TriggerRule::AllDone;
    let mut world = World::new(settings());
    world.add(definition);
    world.trigger("d");
    world.finish("s", FAILED);
    assert_eq!(world.state(1, "b"), TaskState::UpstreamFailed, "`all_done` alone would have let it run");
    assert_eq!(world.run_state(1), RunState::Failed);
}

#[test]
fn which_setups_a_task_needs_and_what_a_clear_adds() {
    let dag = compile(with_roles("s1 >> a >> t1 >> after; s1 >> t1; s2 >> a; a >> b"));
    let ids = |list: &[crate::domain::graph::TaskIx]| -> Vec<String> {
        list.iter().map(|ix| dag.task(*ix).task_id.to_string()).collect()
    };
    let ix = |id: &str| dag.find(&TaskId::new(id).expect("an id")).expect("a task");
    let table = [
        ("a", vec![], vec!["s1", "t1", "s2"]),
        // `s1` is taken away before `after`; `s2` never is.
        ("after", vec!["s2"], vec!["s2"]),
        ("b", vec!["s2"], vec!["s2"]),
        ("s1", vec![], vec!["t1"]),
        ("t1", vec![], vec![]),
    ];
    for (task, indirect, companions) in table {
        assert_eq!(ids(dag.setups().indirect(ix(task))), indirect, "{task}");
        assert_eq!(ids(dag.setups().companions(ix(task))), companions, "{task}");
    }
    let deciding: Vec<&str> =
        dag.tasks().filter(|(ix, _)| dag.decides_the_run(*ix)).map(|(_, task)| task.task_id.as_str()).collect();
    assert_eq!(deciding, ["after", "b"]);
}

#[test]
fn where_only_teardowns_are_left_the_plain_leaves_decide() {
    let dag = compile(with_roles("t"));
    assert!(dag.tasks().all(|(ix, _)| dag.decides_the_run(ix)));
}

#[test]
fn clearing_work_clears_its_setups_and_their_teardowns() {
    let mut world = world("s >> a >> b >> t; s >> t");
    world.succeed(&["s", "a"]);
    world.finish("b", FAILED);
    world.succeed(&["t"]);
    let run = world.run_ids().swap_remove(0);
    let tasks = vec![TaskId::new("b").expect("an id")];
    let selection = Selection { tasks, ..Selection::whole_run(DagId::new("d").expect("an id"), run) };
    let clear = Clear { selection, only_failed: false, only_running: false, reset_runs: true, dry_run: false };
    let Reply::Touched { tasks, .. } = world.control(Control::Clear(clear)) else { panic!("it was refused") };
    let names: Vec<&str> = tasks.iter().map(|task| task.key.task.as_str()).collect();
    assert_eq!(names, ["s", "b", "t"]);
    assert_eq!(world.names(), ["s"]);
    world.succeed(&["s", "b", "t"]);
    assert_eq!(world.run_state(1), RunState::Success);
}

#[test]
fn a_run_that_is_marked_lets_its_teardowns_run_first() {
    let mut world = world("s >> a >> b >> t; s >> t");
    world.succeed(&["s"]);
    let dag = DagId::new("d").expect("an id");
    let control = Control::MarkRun { dag, run_id: world.run_ids().swap_remove(0), succeeded: false };
    assert!(matches!(world.control(control), Reply::RunMarked { state: RunState::Running, changed: true, .. }));
    world.finish("a", Outcome::Killed);
    assert_eq!((world.state(1, "a"), world.state(1, "b")), (TaskState::Failed, TaskState::Skipped));
    assert_eq!(world.names(), ["t"]);
    world.succeed(&["t"]);
    assert!(world.run_state(1).is_finished());
}

#[test]
fn failing_fast_leaves_teardowns_alone() {
    let mut definition = with_roles("s >> a >> t; s >> b >> t; s >> t");
    definition.fail_fast = true;
    let mut world = World::new(settings());
    world.add(definition);
    world.trigger("d");
    world.succeed(&["s"]);
    world.finish("a", FAILED);
    world.finish("b", Outcome::Killed);
    assert_eq!((world.state(1, "b"), world.names()), (TaskState::Failed, vec!["t".to_owned()]));
    world.succeed(&["t"]);
    assert_eq!(world.run_state(1), RunState::Failed);
}
