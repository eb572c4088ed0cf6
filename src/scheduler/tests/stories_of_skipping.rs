//! Stories about branches, short circuits and "latest only".

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{World, compile, dag, settings, start_of_story};
use crate::domain::dag::DagDefinition;
use crate::domain::expand::TaskGroup;
use crate::domain::graph::TaskIx;
use crate::domain::ids::{DagId, GroupId, RunKey, TaskId};
use crate::domain::operator::{Decide, Operator};
use crate::domain::schedule::{Family, Schedule};
use crate::domain::setup::TaskRole;
use crate::domain::skip::SkipDecision;
use crate::domain::state::{RunState, TaskState};
use crate::domain::trigger::TriggerRule;
use crate::protocol::control::{Clear, Control};
use crate::protocol::selection::Selection;
use crate::protocol::work::{Answer, FromWorker, Question};

fn world(definition: DagDefinition) -> World {
    let mut world = World::new(settings());
    world.add(definition);
    world.trigger("d");
    world
}

/// The running task says what follows it, and what it is answered.
fn decide(world: &mut World, task: &str, decision: Value) -> Answer {
    let running = world.running.iter().find(|(message, _)| message.key.task.as_str() == task);
    let (attempt, claim) = running.map(|(message, claim)| (message.attempt, *claim)).expect("it runs");
    let question = Question::SetXCom { key: "skipmixin_key".to_owned(), value: decision };
    world.told.clear();
    world.tell(FromWorker::Asked { attempt, claim, seq: 1, question });
    world.told.pop().expect("every question is answered")
}

fn decide_and_succeed(world: &mut World, task: &str, decision: Value) {
    assert_eq!(decide(world, task, decision), Answer::Stored);
    world.succeed(&[task]);
}

fn clear(world: &mut World, task: &str) {
    let run = world.run_ids().swap_remove(0);
    let tasks = vec![TaskId::new(task).expect("an id")];
    let selection = Selection { tasks, ..Selection::whole_run(DagId::new("d").expect("an id"), run) };
    let clear = Clear { selection, only_failed: false, only_running: false, reset_runs: true, dry_run: false };
    world.control(Control::Clear(clear));
}

#[test]
fn a_branch_skips_the_other_ways_at_once_and_keeps_the_join() {
    let mut definition = dag("d", "b >> x >> join; b >> y >> join; b >> join");
    definition.tasks[2].trigger_rule = TriggerRule::NoneFailedMinOneSuccess;
    let mut world = world(definition);
    decide_and_succeed(&mut world, "b", json!({ "branch": "x" }));
    assert_eq!((world.state(1, "x"), world.state(1, "y")), (TaskState::Running, TaskState::Skipped));
    assert_eq!(world.state(1, "join"), TaskState::None, "it comes after what is followed");
    world.succeed(&["x", "join"]);
    assert_eq!(world.run_state(1), RunState::Success);
    let stored = world.store.xcoms.values().next().expect("the decision is stored");
    assert_eq!(stored.value, json!({ "followed": ["join", "x"] }));
}

/// What a branch is, and which direct downstream tasks are followed; SCHEDULING §10.
#[test]
fn a_branch_is_an_id_a_list_a_group_or_nothing() {
    let dag = compile(dag("d", "b >> x >> deep; b >> y >> deep; b >> g.one >> g.two; b >> g.three"));
    let table = [
        (json!("x"), vec!["x"]),
        (json!(["x", "y"]), vec!["x", "y"]),
        (json!("g"), vec!["g.one", "g.three"]),
        (json!([]), vec![]),
        (json!(null), vec![]),
    ];
    for (branch, followed) in table {
        let decision = SkipDecision::resolve(&json!({ "branch": branch }), &dag, TaskIx(0));
        let expected = followed.into_iter().map(|id| TaskId::new(id).expect("an id")).collect();
        assert_eq!(decision, Ok(SkipDecision::Followed(expected)), "{branch}");
    }
    let wrong =
        |value: Value| SkipDecision::resolve(&value, &dag, TaskIx(0)).expect_err("it means nothing").to_string();
    assert_eq!(wrong(json!({ "branch": "dep" })), "`dep` is no task of DAG `d`: did you mean `deep`?");
    assert_eq!(wrong(json!({ "branch": 7 })), "expected a branch to be a task id or a list of task ids, got: 7");
    assert!(wrong(json!({ "skip": "x" })).starts_with("expected a skip decision to be"));
}

#[test]
fn a_branch_into_nowhere_is_refused_where_the_task_can_still_say_so() {
    let mut world = world(dag("d", "b >> big; b >> small"));
    let Answer::Refused { why } = decide(&mut world, "b", json!({ "branch": "smal" })) else { panic!("it was taken") };
    assert_eq!(why, "`smal` is no task of DAG `d`: did you mean `small`?");
    world.succeed(&["b"]);
    assert_eq!(world.names(), ["big", "small"], "nothing was decided");
}

#[test]
fn a_skipped_task_that_is_cleared_is_skipped_again_also_after_a_restart() {
    for restart in [false, true] {
        let mut world = world(dag("d", "b >> x; b >> y >> z"));
        decide_and_succeed(&mut world, "b", json!({ "branch": "x" }));
        if restart {
            world.crash_and_restart(settings());
        } else {
            world.succeed(&["x"]);
            assert_eq!(world.core.load().0, 0, "the run is forgotten");
        }
        clear(&mut world, "y");
        assert_eq!((world.state(1, "y"), world.state(1, "z")), (TaskState::Skipped, TaskState::Skipped));
        assert_eq!(world.store.task(RunKey(1), "y").try_number.0, 0);
    }
}

#[test]
fn a_branch_that_runs_again_may_change_its_mind() {
    let mut world = world(dag("d", "b >> x; b >> y"));
    decide_and_succeed(&mut world, "b", json!({ "branch": "x" }));
    clear(&mut world, "b");
    clear(&mut world, "y");
    assert_eq!(world.state(1, "y"), TaskState::None, "the old decision went with the old try");
    decide_and_succeed(&mut world, "b", json!({ "branch": "y" }));
    assert_eq!((world.state(1, "y"), world.state(1, "x")), (TaskState::Running, TaskState::Running));
}

#[test]
fn a_short_circuit_skips_everything_downstream_whatever_its_rule_or_only_what_is_direct() {
    for (kind, expected) in [("all", TaskState::Skipped), ("direct", TaskState::Running)] {
        let mut definition = dag("d", "s >> x >> join; other >> join");
        definition.tasks[2].trigger_rule = TriggerRule::AllDone;
        let mut world = world(definition);
        world.succeed(&["other"]);
        decide_and_succeed(&mut world, "s", json!({ "short_circuit": kind }));
        assert_eq!((world.state(1, "x"), world.state(1, "join")), (TaskState::Skipped, expected), "{kind}");
    }
}

#[test]
fn a_short_circuit_leaves_teardowns_alone() {
    let mut definition = dag("d", "setup >> s >> work >> teardown; setup >> teardown");
    definition.tasks[0].role = TaskRole::Setup;
    definition.tasks[3].role = TaskRole::Teardown { on_failure_fail_dagrun: false };
    definition.tasks[3].trigger_rule = TriggerRule::AllDoneSetupSuccess;
    let mut world = world(definition);
    world.succeed(&["setup"]);
    decide_and_succeed(&mut world, "s", json!({ "short_circuit": "all" }));
    assert_eq!(world.state(1, "work"), TaskState::Skipped);
    world.succeed(&["teardown"]);
    assert_eq!(world.run_state(1), RunState::Success);
}

#[test]
fn latest_only_lets_only_the_newest_scheduled_run_and_every_manual_one_go_on() {
    let mut definition = dag("d", "latest >> work");
    definition.tasks[0].operator = Operator::Decide(Decide::LatestOnly);
    for family in [Family::DataInterval, Family::Trigger] {
        let mut definition = definition.clone();
        definition.schedule = Schedule::Every { period: Duration::from_secs(3600), family };
        definition.start_date = Some(start_of_story() - Duration::from_secs(3 * 3600));
        definition.catchup = true;
        let mut world = World::new(settings());
        world.add(definition);
        let states: Vec<TaskState> = world.store.runs.keys().map(|key| world.store.task(*key, "work").state).collect();
        let (newest, older) = states.split_last().expect("some runs");
        assert_eq!(*newest, TaskState::Running, "{family:?}");
        assert!(older.len() >= 2 && older.iter().all(|state| *state == TaskState::Skipped), "{family:?}: {older:?}");
        assert_eq!(world.store.task(RunKey(1), "latest").state, TaskState::Success, "without a process");
        world.trigger("d");
        assert_eq!(world.running.len(), 2);
    }
}

#[test]
fn a_branch_to_a_group_follows_its_tasks_whatever_they_are_called() {
    let group = |id: &str| GroupId::new(id).expect("an id");
    let declared = |id: &str, parent: Option<&str>| TaskGroup {
        group_id: group(id),
        label: None,
        tooltip: None,
        parent: parent.map(group),
        expand: None,
    };
    let mut definition = dag("d", "b >> first >> second; b >> load.x; b >> other");
    definition.groups = vec![declared("load", None), declared("inner", Some("load"))];
    for task in &mut definition.tasks {
        task.group = match task.task_id.as_str() {
            "first" => Some(group("inner")),
            "second" => Some(group("load")),
            _ => None,
        };
    }
    let mut world = world(definition);
    decide_and_succeed(&mut world, "b", json!({ "branch": "load" }));
    assert_eq!(world.names(), ["first"], "only the name of load.x looks like one of the group");
    assert_eq!((world.state(1, "load.x"), world.state(1, "other")), (TaskState::Skipped, TaskState::Skipped));
    world.succeed(&["first", "second"]);
    assert_eq!(world.run_state(1), RunState::Success);
}
