//! Stories about assets: who makes them, who waits for them, and what a restart remembers.

use serde_json::json;

use super::world::{World, dag, settings};
use crate::domain::asset::{Asset, AssetCondition, AssetRef, Linked, OutletEvent};
use crate::domain::attempt::Outcome;
use crate::domain::dag::DagDefinition;
use crate::domain::ids::{AssetName, DagId, RunKey};
use crate::domain::operator::Operator;
use crate::domain::run::RunType;
use crate::domain::schedule::{Family, Schedule};
use crate::domain::state::RunState;
use crate::protocol::control::{Control, Materialize, Refused, Reply};
use crate::protocol::work::FromWorker;
use crate::scheduler::core::Settings;

fn name(text: &str) -> AssetName {
    AssetName::new(text).expect("a name")
}

fn one(text: &str) -> AssetCondition {
    AssetCondition::One(AssetRef::Asset(name(text)))
}

/// A DAG whose tasks each change the asset of their own name.
fn producer(id: &str, graph: &str) -> DagDefinition {
    let mut producer = dag(id, graph);
    for task in &mut producer.tasks {
        task.outlets = vec![AssetRef::Asset(name(task.task_id.as_str()))];
        producer.assets.push(Asset::bare(name(task.task_id.as_str())));
    }
    producer
}

fn consumer(id: &str, condition: AssetCondition) -> DagDefinition {
    DagDefinition { schedule: Schedule::Assets { condition, time: None }, ..dag(id, &format!("of_{id}")) }
}

/// `a` and `b` are made by one DAG; another one waits.
fn world(condition: AssetCondition) -> World {
    let mut world = World::new(settings());
    world.add(producer("producer", "a b"));
    world.add(consumer("consumer", condition));
    world
}

/// Another run of the producer, a second later: no two runs of one instant can have the same id.
fn trigger_again(world: &mut World) {
    world.now += chrono::Duration::seconds(1);
    world.trigger("producer");
}

/// The assets whose events each run of a DAG was given, oldest first.
fn given(world: &World, dag: &str) -> Vec<String> {
    let runs = world.store.runs.values().filter(|run| run.dag_id.as_str() == dag);
    runs.map(|run| {
        let names: Vec<String> = world.store.events_of(run.key).iter().map(|event| event.asset.to_string()).collect();
        names.join(" ")
    })
    .collect()
}

#[test]
fn a_success_starts_who_waits_for_the_asset_in_the_same_step() {
    let mut world = world(one("a"));
    world.trigger("producer");
    world.succeed(&["a"]);
    assert_eq!(world.names(), ["b", "of_consumer"]);
    let run = &world.store.runs[&RunKey(2)];
    assert_eq!((run.run_type, run.logical_date, run.interval), (RunType::AssetTriggered, None, None));
    assert!(run.run_id.as_str().starts_with("asset_triggered__2026-11-21T00:00:00+00:00_"), "{}", run.run_id);
    let (message, _) = &world.running[1];
    let [event] = message.run.asset_events.as_slice() else { panic!("{:?}", message.run.asset_events) };
    assert_eq!((event.asset.as_str(), event.source.task.as_str(), event.at), ("a", "a", world.now));
    assert_eq!(message.inlets, []);
    assert_eq!(world.running[0].0.outlets, [Linked::Asset(Asset::bare(name("b")))]);
    assert_eq!(world.store.assets.len(), 2);
    world.succeed(&["b", "of_consumer"]);
    assert_eq!(given(&world, "consumer"), ["a"], "nobody waits for b");
    assert_eq!(world.core.next_wake(), None);
}

#[test]
fn what_did_not_succeed_changes_nothing() {
    let mut world = world(AssetCondition::Any(vec![one("a"), one("b")]));
    world.trigger("producer");
    world.finish("a", Outcome::Failed { retryable: false });
    world.finish("b", Outcome::Skipped);
    assert_eq!(world.store.events.len(), 0);
}

#[test]
fn all_of_them_are_waited_for_and_everything_that_came_meanwhile_goes_along() {
    let mut world = world(AssetCondition::All(vec![one("a"), one("b")]));
    for _ in 0..2 {
        trigger_again(&mut world);
        world.succeed(&["a"]);
        world.finish("b", Outcome::Failed { retryable: false });
    }
    assert_eq!(given(&world, "consumer"), Vec::<String>::new());
    trigger_again(&mut world);
    world.succeed(&["b"]);
    assert_eq!(given(&world, "consumer"), ["a a b"]);
    world.succeed(&["a"]);
    assert_eq!(given(&world, "consumer"), ["a a b"], "the next run needs a new b as well");
}

#[test]
fn a_task_with_two_outlets_makes_one_run_of_who_waits_for_either() {
    let mut world = World::new(settings());
    let mut producer = producer("producer", "a");
    producer.tasks[0].outlets.push(AssetRef::Asset(name("b")));
    world.add(producer);
    world.add(consumer("consumer", AssetCondition::Any(vec![one("a"), one("b")])));
    world.trigger("producer");
    world.succeed(&["a"]);
    assert_eq!(given(&world, "consumer"), ["a b"]);
}

#[test]
fn while_a_dag_is_paused_nothing_counts_and_everything_goes_along_with_its_next_run() {
    let mut world = world(one("a"));
    world.pause("consumer", true);
    world.trigger("producer");
    world.succeed(&["a"]);
    world.pause("consumer", false);
    assert_eq!(given(&world, "consumer"), Vec::<String>::new());
    trigger_again(&mut world);
    world.finish("b", Outcome::Failed { retryable: false });
    world.succeed(&["a"]);
    assert_eq!(given(&world, "consumer"), ["a a"]);
}

#[test]
fn what_counted_before_a_pause_counts_when_it_is_over() {
    let mut world = world(AssetCondition::All(vec![one("a"), one("b")]));
    world.trigger("producer");
    world.succeed(&["a"]);
    world.pause("consumer", true);
    // The other condition is met by what has come already.
    world.add(consumer("consumer", one("a")));
    assert_eq!(given(&world, "consumer"), Vec::<String>::new());
    world.pause("consumer", false);
    assert_eq!(given(&world, "consumer"), ["a"]);
}

#[test]
fn a_dag_that_waits_for_something_else_forgets_what_it_no_longer_waits_for() {
    let mut world = world(AssetCondition::All(vec![one("a"), one("b")]));
    world.trigger("producer");
    world.succeed(&["a"]);
    world.add(consumer("consumer", AssetCondition::All(vec![one("b"), one("c")])));
    assert_eq!(world.store.queue.len(), 0);
    world.add(producer("other", "c"));
    world.trigger("other");
    world.succeed(&["b", "c"]);
    assert_eq!(given(&world, "consumer"), ["b c"]);
}

#[test]
fn a_dag_whose_file_is_gone_hears_of_nothing() {
    let mut world = world(one("a"));
    let change = crate::scheduler::core::FileChange {
        file: "consumer.yaml".to_owned(),
        source: String::new(),
        dags: Vec::new(),
        problems: Vec::new(),
        took: Default::default(),
    };
    world.apply(crate::scheduler::core::Input::FilesChanged(vec![change]));
    world.trigger("producer");
    world.succeed(&["a"]);
    assert_eq!(world.store.queue.len(), 0);
    world.add(consumer("consumer", one("a")));
    world.succeed(&["b"]);
    trigger_again(&mut world);
    world.succeed(&["a"]);
    assert_eq!(given(&world, "consumer"), ["a"], "it comes back and hears again");
}

#[test]
fn a_restart_remembers_what_waits_and_what_a_run_was_given() {
    let mut world = world(AssetCondition::All(vec![one("a"), one("b")]));
    world.trigger("producer");
    world.succeed(&["a"]);
    world.crash_and_restart(settings());
    world.succeed(&["b"]);
    assert_eq!(given(&world, "consumer"), ["a b"]);
    world.now += chrono::Duration::seconds(1);
    world.crash_and_restart(settings());
    let (message, _) = &world.running[0];
    let names: Vec<&str> = message.run.asset_events.iter().map(|event| event.asset.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    world.succeed(&["of_consumer"]);
    assert_eq!(world.run_state(2), RunState::Success);
}

#[test]
fn an_empty_task_that_changes_an_asset_cannot_make_the_scheduler_go_round() {
    let mut world = World::new(settings());
    let mut own = producer("own", "a");
    own.tasks[0].operator = Operator::Empty;
    own.schedule = Schedule::Assets { condition: one("a"), time: None };
    world.add(own);
    world.trigger("own");
    world.succeed(&["a"]);
    world.succeed(&["a"]);
    assert_eq!(world.store.runs.len(), 3, "one run after the other, each at the pace of its task");
}

#[test]
fn a_schedule_may_have_times_and_assets() {
    let mut world = World::new(settings());
    world.add(producer("producer", "a"));
    let mut both = consumer("consumer", one("a"));
    let hourly = Schedule::Every { period: std::time::Duration::from_secs(3600), family: Family::Trigger };
    both.schedule = Schedule::Assets { condition: one("a"), time: Some(Box::new(hourly)) };
    both.start_date = Some(world.now);
    world.add(both);
    world.trigger("producer");
    world.succeed(&["a"]);
    let types: Vec<RunType> = world.store.runs.values().map(|run| run.run_type).collect();
    assert_eq!(types, [RunType::Scheduled, RunType::Manual, RunType::AssetTriggered]);
}

#[test]
fn in_the_second_era_the_run_covers_what_its_producers_were_about() {
    let mut world = World::new(Settings { manual_runs_have_dates: true, ..settings() });
    world.add(producer("producer", "a"));
    world.add(consumer("consumer", one("a")));
    for _ in 0..2 {
        world.now += chrono::Duration::seconds(1);
        world.trigger("producer");
        world.succeed(&["a", "of_consumer"]);
    }
    let run = &world.store.runs[&RunKey(4)];
    assert_eq!(run.logical_date, Some(world.now));
    assert_eq!(run.interval, world.store.runs[&RunKey(3)].interval);
    assert_eq!(run.run_id.as_str(), "asset_triggered__2026-11-21T00:00:02+00:00");
}

#[test]
fn what_a_task_says_of_its_assets_is_kept_and_an_alias_may_become_any_asset() {
    let mut world = World::new(settings());
    let mut producer = producer("producer", "a");
    producer.tasks[0].outlets.push(AssetRef::Alias(name("daily")));
    world.add(producer);
    world.add(consumer("consumer", AssetCondition::One(AssetRef::Alias(name("daily")))));
    world.trigger("producer");
    let (message, claim) = world.running.remove(0);
    let mut report = world.report(&message, claim, Outcome::Success);
    let extra = |rows: i64| json!({"rows": rows}).as_object().cloned().expect("an object");
    let found = Asset { uri: "s3://bucket/day".to_owned(), ..Asset::bare(name("day")) };
    report.outlet_events = vec![
        OutletEvent { asset: Asset::bare(name("a")), alias: None, extra: extra(1) },
        OutletEvent { asset: found.clone(), alias: Some(name("daily")), extra: extra(2) },
        OutletEvent { asset: Asset::bare(name("x")), alias: Some(name("unknown")), extra: extra(3) },
        OutletEvent { asset: Asset::bare(name("y")), alias: None, extra: extra(4) },
    ];
    world.tell(FromWorker::Finish(report));
    let kept: Vec<_> = world.store.events.values().map(|event| (event.asset.as_str(), json!(event.extra))).collect();
    assert_eq!(
        kept,
        [("a", json!({"rows": 1})), ("day", json!({"rows": 2}))],
        "only its own outlets are its to change"
    );
    assert_eq!(world.store.assets[&name("day")], found);
    assert_eq!(given(&world, "consumer"), ["day"]);
}

#[test]
fn a_cleared_run_still_knows_what_it_was_made_of() {
    let mut world = world(one("a"));
    world.trigger("producer");
    world.succeed(&["a", "b", "of_consumer"]);
    let run_id = world.store.runs[&RunKey(2)].run_id.clone();
    let selection = crate::protocol::selection::Selection::whole_run(DagId::new("consumer").expect("an id"), run_id);
    world.control(Control::Clear(crate::protocol::control::Clear {
        selection,
        only_failed: false,
        only_running: false,
        reset_runs: true,
        dry_run: false,
    }));
    assert_eq!(world.running[0].0.run.asset_events.len(), 1);
}

#[test]
fn an_asset_is_made_by_the_one_dag_that_makes_it() {
    let mut world = world(one("a"));
    let mut wanted = Materialize { name: Some("b".to_owned()), uri: None, user: None };
    let Reply::Triggered(run) = world.control(Control::Materialize(wanted.clone())) else { panic!("no run") };
    assert_eq!((run.dag.as_str(), run.run_type), ("producer", RunType::AssetMaterialization));
    for (text, said) in [("c", "no task makes the asset `c`"), ("prodcer", "no task makes")] {
        wanted.name = Some(text.to_owned());
        let reply = world.control(Control::Materialize(wanted.clone()));
        let Reply::Refused { why: Refused::Invalid { message } } = reply else { panic!("{reply:?}") };
        assert!(message.contains(said), "{message}");
    }
    world.add(producer("second", "b"));
    wanted.name = Some("b".to_owned());
    let reply = world.control(Control::Materialize(wanted));
    let Reply::Refused { why: Refused::Invalid { message } } = reply else { panic!("{reply:?}") };
    assert!(message.contains("`producer`, `second`"), "{message}");
}

#[test]
fn a_value_that_a_parameter_cannot_have_is_refused_with_what_and_where() {
    let mut world = World::new(settings());
    let mut strict = dag("strict", "a");
    let map = |value: serde_json::Value| value.as_object().cloned().expect("an object");
    strict.params = map(json!({"rows": 3}));
    strict.param_schemas = map(json!({"rows": {"type": "integer", "minimum": 1}, "table": {"type": "string"}}));
    strict.tasks[0].param_schemas = map(json!({"size": {"maximum": 5}}));
    world.add(strict);
    for (conf, said) in [
        (json!({}), "the parameter `table` (by default): it has no default and needs a value"),
        (json!({"table": "t", "rows": 0}), "the parameter `rows` (in conf): 0 is less than the minimum of 1"),
        (
            json!({"table": "t", "size": 6}),
            "the parameter `size` of task `a` (in conf): 6 is greater than the maximum of 5",
        ),
    ] {
        let reply = world.trigger_with(conf.clone());
        let Reply::Refused { why: Refused::Invalid { message } } = reply else { panic!("{conf}: {reply:?}") };
        assert!(message.contains(said), "{message}");
    }
    let reply = world.trigger_with(json!({"table": "t", "rows": 1}));
    assert!(matches!(reply, Reply::Triggered(_)), "{reply:?}");
    assert_eq!(json!(world.running[0].0.run.params), json!({"rows": 1, "table": "t"}));
}

#[test]
fn a_task_is_told_of_the_success_before_it_also_after_a_restart() {
    let mut world = World::new(settings());
    let mut hourly = dag("hourly", "a");
    let hour = std::time::Duration::from_secs(3600);
    hourly.schedule = Schedule::Every { period: hour, family: Family::DataInterval };
    hourly.start_date = Some(world.now);
    world.add(hourly);
    world.pass(hour);
    assert_eq!(world.running[0].0.run.previous_success, None);
    world.succeed(&["a"]);
    world.crash_and_restart(settings());
    world.pass(hour);
    let run = &world.running[0].0.run;
    let before = run.previous_success.expect("the run before succeeded");
    assert_eq!(before.data_interval.map(|interval| interval.end), run.interval.map(|interval| interval.start));
    assert_eq!((before.start_date, before.end_date), (Some(world.now - hour), Some(world.now - hour)));
    assert_eq!(run.previous_logical_date, run.logical_date.map(|date| date - hour));
    assert_eq!(run.next_logical_date, run.logical_date.map(|date| date + hour));
}
