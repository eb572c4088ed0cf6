//! The Python examples of the repository run to their ends, and none of them has anything to warn of.

use std::path::Path;

use updraft::domain::ids::MapIndex;
use updraft::domain::ids::TaskId;
use updraft::domain::state::TaskState;

use super::copy_all;
use crate::kit::{Home, wait_for};

#[test]
fn every_python_example_runs_to_its_end() {
    let home = Home::new();
    copy_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("dags/examples"), &home, "examples/");
    let _node = home.start();
    for dag in [
        "example_taskflow_etl",
        "example_dynamic_mapping",
        "example_waiting",
        "example_setup_and_teardown",
        "example_groups_and_params",
        "example_assets_producer",
        "example_own_classes",
    ] {
        home.trigger_and_wait(dag).assert_success();
    }
    let branched = home.trigger_and_wait("example_branching");
    let states = ["small", "large", "join", "celebrate"].map(|task| branched.task(task).state);
    assert_eq!(states, [TaskState::Success, TaskState::Skipped, TaskState::Success, TaskState::Success]);

    let mapped = home.runs("example_dynamic_mapping").remove(0);
    let sum = home.result_of(&mapped, &TaskId::new("add_up").expect("an id"), MapIndex(-1));
    assert_eq!(sum, Some(serde_json::json!(130)));

    let used = wait_for("the assets start their consumer", || home.runs("example_assets_consumer").into_iter().next());
    home.wait_run("example_assets_consumer", &used.run_id).assert_success();
    assert!(home.log(&used, "use", 1).contains("example_orders [{'rows': 3}]"), "{}", home.log(&used, "use", 1));
    assert_eq!(home.import_errors(), [], "no warning either");
}
