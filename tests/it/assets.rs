//! Assets with the real program: made by Bash and Python, waited for by YAML and Python, remembered over a kill.

use updraft::domain::ids::AssetName;
use updraft::domain::run::RunType;
use updraft::store::write::RunRow;

use crate::kit::{Home, wait_for, wait_until};

const PRODUCER: &str = "\
dag_id: producer
schedule: null
tasks:
  orders: {bash: 'echo made', outlets: {name: orders, uri: s3://bucket/orders}}
";

const CONSUMER: &str = "\
dag_id: consumer
schedule: {all: [orders, counts]}
tasks:
  show: {bash: 'echo {% for uri, events in triggering_asset_events.items() %}{{ uri }}={{ events | length }} {% endfor %}'}
";

/// Counts what it was given and says so of its own asset.
const PYTHON: &str = r#"
from airflow.sdk import DAG, Asset, AssetAlias, Metadata, Variable, task

orders = Asset(name="orders")
counts = Asset("counts", "s3://bucket/counts")

with DAG("counter", schedule=[orders]):

    @task(inlets=[orders], outlets=[counts, AssetAlias("daily")])
    def count(inlet_events=None, outlet_events=None, triggering_asset_events=None):
        Variable.set("counted", str(len(inlet_events[orders])))
        event = triggering_asset_events[orders][0]
        print("from", event.source_dag_id, event.source_task_id, event.uri)
        outlet_events[AssetAlias("daily")].add(Asset("day", "s3://bucket/day"), extra={"n": 1})
        yield Metadata(counts, {"events": len(triggering_asset_events[orders])})
        return len(inlet_events[orders])

    count()

with DAG("of_the_day", schedule=AssetAlias("daily")):

    @task
    def look(triggering_asset_events=None):
        (events,) = [e for a, e in triggering_asset_events.items() if a.name == "day"]
        print("found", events[0].extra, Variable.get("counted"))
        assert Variable.delete("counted") == 1
        assert Variable.get("counted", default_var=None) is None

    look()
"#;

fn wait_asset_run(home: &Home, dag: &str) -> RunRow {
    let run = wait_for(&format!("assets start {dag}"), || home.runs(dag).into_iter().next());
    assert_eq!(run.run_type, RunType::AssetTriggered);
    home.wait_run(dag, &run.run_id).assert_success();
    run
}

#[test]
fn what_a_task_makes_starts_who_waits_for_it_and_carries_what_it_said() {
    let home = Home::new();
    home.write("producer.yaml", PRODUCER);
    home.write("consumer.yaml", CONSUMER);
    home.write("counter.py", PYTHON);
    let node = home.start();
    for dag in ["consumer", "counter", "of_the_day"] {
        home.wait_dag(dag);
    }
    home.trigger_and_wait("producer").assert_success();
    let counted = wait_asset_run(&home, "counter");
    let log = home.log(&counted, "count", 1);
    assert!(log.contains("from producer orders s3://bucket/orders"), "{log}");
    let found = wait_asset_run(&home, "of_the_day");
    let log = home.log(&found, "look", 1);
    assert!(log.contains("found {'n': 1} 1"), "{log}");
    let shown = wait_asset_run(&home, "consumer");
    let log = home.log(&shown, "show", 1);
    assert!(log.contains("s3://bucket/counts=1 s3://bucket/orders=1"), "{log}");
    let events = home.asset_events("counts");
    assert_eq!(serde_json::json!(events[0].extra), serde_json::json!({"events": 1}));
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn what_waits_for_a_second_asset_is_remembered_when_the_node_is_killed() {
    let home = Home::new();
    home.write("producer.yaml", PRODUCER);
    home.write("consumer.yaml", CONSUMER);
    home.write("other.yaml", "tasks: {c: {bash: 'true', outlets: {name: counts, uri: s3://bucket/counts}}}");
    let node = home.start();
    home.wait_dag("consumer");
    home.trigger_and_wait("producer").assert_success();
    node.kill();
    let node = home.start();
    assert_eq!(home.runs("consumer").len(), 0);
    home.trigger_and_wait("other").assert_success();
    let shown = wait_asset_run(&home, "consumer");
    let log = home.log(&shown, "show", 1);
    assert!(log.contains("s3://bucket/counts=1 s3://bucket/orders=1"), "{log}");
    home.trigger_and_wait("other").assert_success();
    wait_until("the second event is there", || home.asset_events("counts").len() == 2);
    assert_eq!(home.runs("consumer").len(), 1, "each event is given to one run");
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn an_asset_event_names_who_made_it() {
    let home = Home::new();
    home.write("producer.yaml", PRODUCER);
    let node = home.start();
    let run = home.trigger_and_wait("producer");
    let events = home.asset_events("orders");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].asset, AssetName::new("orders").expect("a name"));
    assert_eq!((&events[0].source.run, events[0].source.task.as_str()), (&run.row.run_id, "orders"));
    assert_eq!(node.stop().code, Some(0));
}
