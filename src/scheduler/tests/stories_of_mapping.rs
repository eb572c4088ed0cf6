//! Stories about mapped tasks and mapped groups.

use std::num::NonZeroU32;

use serde_json::{Value, json};

use super::world::{World, dag, settings};
use crate::domain::attempt::Outcome;
use crate::domain::dag::DagDefinition;
use crate::domain::expand::{Argument, Expand, Source, TaskGroup};
use crate::domain::ids::{GroupId, RunKey, TaskId};
use crate::domain::operator::Operator;
use crate::domain::state::{RunState, TaskState};
use crate::domain::trigger::TriggerRule;
use crate::protocol::control::{Clear, Control};
use crate::protocol::selection::Selection;

fn over(source: Source) -> Option<Expand> {
    Some(Expand::Product { arguments: vec![Argument { name: "x".to_owned(), source }] })
}

fn list(length: usize) -> Source {
    Source::List { values: (0..length).map(Value::from).collect() }
}

fn left_by(task: &str) -> Source {
    Source::XCom { task_id: TaskId::new(task).expect("an id"), key: "return_value".to_owned() }
}

/// `b` is expanded over what `a` returns.
fn fan_out(graph: &str) -> DagDefinition {
    let mut definition = dag("d", graph);
    for task in definition.tasks.iter_mut().filter(|task| task.task_id.as_str() == "b") {
        task.expand = over(left_by("a"));
    }
    definition
}

fn world_with(definition: DagDefinition) -> World {
    let mut world = World::new(settings());
    world.add(definition);
    world.trigger("d");
    world
}

fn clear(world: &mut World, run: i64, tasks: &[&str], downstream: bool) {
    let run_id = world.store.runs[&RunKey(run)].run_id.clone();
    let mut selection = Selection::whole_run(world.store.runs[&RunKey(run)].dag_id.clone(), run_id);
    selection.tasks = tasks.iter().map(|task| TaskId::new(task).expect("an id")).collect();
    selection.downstream = downstream;
    let clear = Clear { selection, only_failed: false, only_running: false, reset_runs: true, dry_run: false };
    world.control(Control::Clear(clear));
}

fn succeeded(n: i32) -> Vec<(i32, &'static str)> {
    (0..n).map(|n| (n, "success")).collect()
}

#[test]
fn a_task_becomes_as_many_as_the_list_that_it_is_expanded_over() {
    let mut world = world_with(fan_out("a >> b >> c"));
    assert_eq!(world.states(1, "b"), [(-1, "none")], "one stands for all");
    world.finish_with("a", -1, json!(["x", "y", "z"]));
    assert_eq!(world.states(1, "b"), [(0, "running"), (1, "running"), (2, "running")]);
    world.finish_with("b", 1, Value::Null);
    world.finish_with("b", 2, Value::Null);
    assert_eq!(world.names(), ["b"], "what comes after waits for every instance");
    world.finish_with("b", 0, Value::Null);
    assert_eq!(world.names(), ["c"]);
    world.succeed(&["c"]);
    assert_eq!(world.run_state(1), RunState::Success);
}

#[test]
fn a_literal_list_is_expanded_as_the_run_begins() {
    let mut definition = dag("d", "a >> b");
    definition.tasks[1].expand = over(list(2));
    let world = world_with(definition);
    assert_eq!(world.states(1, "b"), [(0, "none"), (1, "none")]);
}

#[test]
fn each_instance_is_told_what_it_gets_and_how_many_there_are() {
    let mut world = world_with(fan_out("a >> b"));
    world.finish_with("a", -1, json!({"k": 1, "l": 2}));
    let mapped: Vec<Value> =
        world.running.iter().map(|(task, _)| serde_json::to_value(&task.mapped).expect("JSON")).collect();
    assert_eq!(mapped[1]["count"], 2);
    let wanted = json!({"is": "wanted", "task_id": "a", "key": "return_value", "index": 1});
    assert_eq!(mapped[1]["pieces"]["arguments"][0], json!({"name": "x", "piece": wanted}));
}

#[test]
fn over_nothing_a_task_is_skipped() {
    let mut world = world_with(fan_out("a >> b >> c"));
    world.finish_with("a", -1, json!([]));
    assert_eq!((world.state(1, "b"), world.state(1, "c")), (TaskState::Skipped, TaskState::Skipped));
    assert_eq!(world.run_state(1), RunState::Success);
}

#[test]
fn what_cannot_be_expanded_over_fails_whoever_left_it() {
    let too_long = Value::Array(vec![json!(1); 1025]);
    let cases = [
        (Value::Null, "it left no XCom `return_value`, but `b` is expanded over it"),
        (json!("text"), "is neither a list nor a dict"),
        (too_long, "has 1025 elements"),
    ];
    for (value, why) in cases {
        let mut world = world_with(fan_out("a >> b"));
        world.finish_with("a", -1, value);
        assert_eq!((world.state(1, "a"), world.state(1, "b")), (TaskState::Failed, TaskState::UpstreamFailed));
        let note = world.store.task(RunKey(1), "a").note.clone().unwrap_or_default();
        assert!(note.contains(why), "{note}");
    }
}

#[test]
fn whose_source_failed_or_was_skipped_does_not_run_whatever_its_rule_says() {
    for (outcome, state) in
        [(Outcome::Failed { retryable: false }, TaskState::UpstreamFailed), (Outcome::Skipped, TaskState::Skipped)]
    {
        let mut definition = fan_out("a >> b");
        definition.tasks[1].trigger_rule = TriggerRule::AllDone;
        let mut world = world_with(definition);
        world.finish("a", outcome);
        assert_eq!(world.state(1, "b"), state);
    }
}

#[test]
fn a_mapped_task_is_expanded_over_what_each_instance_of_another_left() {
    let mut definition = fan_out("a >> b c");
    definition.tasks[2].expand = over(left_by("b"));
    definition.tasks[2].trigger_rule = TriggerRule::NoneFailed;
    let mut world = world_with(definition);
    world.finish_with("a", -1, json!([1, 2, 3]));
    world.finish_with("b", 0, json!("any"));
    world.finish("b", Outcome::Skipped);
    world.finish_with("b", 2, json!(7));
    assert_eq!(world.states(1, "c"), [(0, "running"), (1, "running")], "the one that was skipped left nothing");
}

#[test]
fn cleared_with_another_length_a_task_loses_or_gains_instances() {
    let mut world = world_with(fan_out("a >> b >> c"));
    let run = |world: &mut World, length: usize| {
        world.finish_with("a", -1, Value::Array(vec![json!(0); length]));
        for n in 0..length {
            world.finish_with("b", i32::try_from(n).expect("few"), Value::Null);
        }
    };
    run(&mut world, 3);
    world.succeed(&["c"]);
    clear(&mut world, 1, &["a"], true);
    run(&mut world, 1);
    world.succeed(&["c"]);
    assert_eq!(world.states(1, "b"), [(0, "success"), (1, "removed"), (2, "removed")]);
    assert_eq!(world.run_state(1), RunState::Success);
    clear(&mut world, 1, &["a"], true);
    run(&mut world, 4);
    world.succeed(&["c"]);
    assert_eq!(world.states(1, "b"), succeeded(4));
    clear(&mut world, 1, &["a"], true);
    run(&mut world, 0);
    assert!(world.states(1, "b").iter().all(|(_, state)| *state == "removed"), "{:?}", world.states(1, "b"));
}

#[test]
fn after_a_crash_lengths_are_known_without_reading_values() {
    let mut world = world_with(fan_out("a z >> b"));
    world.finish_with("a", -1, json!([1, 2]));
    world.crash_and_restart(settings());
    assert_eq!(world.states(1, "b"), [(-1, "none")]);
    world.pass(std::time::Duration::from_secs(1));
    world.succeed(&["z"]);
    assert_eq!(world.states(1, "b"), [(0, "running"), (1, "running")]);
    world.crash_and_restart(settings());
    world.pass(std::time::Duration::from_secs(1));
    let indexes: Vec<i32> = world.running.iter().map(|(task, _)| task.key.map_index.0).collect();
    assert_eq!(indexes, [0, 1]);
    assert!(world.running.iter().all(|(task, _)| task.mapped.as_ref().is_some_and(|mapped| mapped.pieces.is_some())));
}

/// `a >> g.b >> g.c >> d`, with `g` expanded over what `a` returns.
fn grouped(expand: Option<Expand>) -> DagDefinition {
    let mut definition = dag("d", "a >> b >> c >> z");
    let group_id = GroupId::new("g").expect("an id");
    for task in &mut definition.tasks[1..3] {
        task.group = Some(group_id.clone());
    }
    definition.groups.push(TaskGroup { group_id, label: None, tooltip: None, parent: None, expand });
    definition
}

#[test]
fn in_a_mapped_group_each_instance_depends_on_its_own_before_it() {
    let mut world = world_with(grouped(over(left_by("a"))));
    world.finish_with("a", -1, json!([1, 2]));
    assert_eq!(world.states(1, "c"), [(0, "none"), (1, "none")]);
    world.finish_with("b", 1, Value::Null);
    assert_eq!(world.states(1, "c"), [(0, "none"), (1, "running")], "it does not wait for the other one");
    world.finish("b", Outcome::Failed { retryable: false });
    assert_eq!(world.states(1, "c"), [(0, "upstream_failed"), (1, "running")]);
    world.finish_with("c", 1, Value::Null);
    assert_eq!(world.state(1, "z"), TaskState::UpstreamFailed, "what comes after the group sees all of it");
}

#[test]
fn a_group_over_nothing_is_skipped_and_one_without_source_follows_it() {
    let mut world = world_with(grouped(over(left_by("a"))));
    world.finish_with("a", -1, json!([]));
    assert_eq!((world.state(1, "b"), world.state(1, "c")), (TaskState::Skipped, TaskState::Skipped));
    let mut world = world_with(grouped(over(left_by("a"))));
    world.finish("a", Outcome::Failed { retryable: false });
    assert_eq!((world.state(1, "b"), world.state(1, "c")), (TaskState::UpstreamFailed, TaskState::UpstreamFailed));
}

#[test]
fn fast_rules_of_a_group_wait_until_it_is_expanded() {
    let mut definition = grouped(over(left_by("a")));
    definition.tasks.push(super::world::task("early"));
    definition.tasks[2].upstream.push(TaskId::new("early").expect("an id"));
    definition.tasks[2].trigger_rule = TriggerRule::OneSuccess;
    let mut world = world_with(definition);
    world.succeed(&["early"]);
    assert_eq!(world.states(1, "c"), [(-1, "none")]);
    world.finish_with("a", -1, json!([1, 2]));
    assert_eq!(world.states(1, "c"), [(0, "running"), (1, "running")]);
}

#[test]
fn max_active_tis_per_dagrun_holds_the_instances_of_one_run() {
    let mut definition = fan_out("a >> b");
    definition.tasks[1].max_active_tis_per_dagrun = NonZeroU32::new(2);
    let mut world = world_with(definition);
    world.trigger("d");
    world.finish_with("a", -1, json!([1, 2, 3]));
    world.finish_with("a", -1, json!([1, 2, 3]));
    assert_eq!(world.running.len(), 4, "two of each run");
    world.finish_with("b", 0, Value::Null);
    assert_eq!(world.states(1, "b"), [(0, "success"), (1, "running"), (2, "running")]);
}

#[test]
fn instances_start_in_the_order_of_their_index() {
    let mut world = World::new(crate::scheduler::core::Settings { parallelism: 1.into(), ..settings() });
    world.add(fan_out("a >> b"));
    world.trigger("d");
    world.finish_with("a", -1, json!([1, 2, 3]));
    for index in 0..3 {
        world.finish_with("b", index, Value::Null);
    }
    assert_eq!(world.run_state(1), RunState::Success);
}

#[test]
fn a_thousand_instances_after_a_thousand_cost_what_they_are() {
    let mut definition = dag("d", "a >> b >> c");
    for task in &mut definition.tasks[..2] {
        task.operator = Operator::Empty;
        task.expand = over(list(1000));
    }
    let begun = std::time::Instant::now();
    let mut world = World::new(settings());
    world.add(definition);
    world.trigger("d");
    assert_eq!(world.states(1, "b"), succeeded(1000));
    assert_eq!(world.names(), ["c"]);
    // Every pair of them would be a million steps of several hundred nanoseconds, and the check of the invariants on top.
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}
