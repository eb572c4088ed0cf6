//! DAG files in Python as people write them: every name, whole files, hostile ones, and folders of a thousand.

mod corpus;
mod examples;
mod folder;
mod hooks;
mod hostile;
mod names;
mod programs;

use std::path::{Path, PathBuf};

use chrono::{TimeZone, Utc};
use updraft::domain::ids::DagId;
use updraft::protocol::control::{Control, Reply, Trigger, TriggeredBy};

use crate::kit::{FinishedRun, Home};

/// A folder of this module in the repository.
fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python").join(name)
}

/// A run of a day of its own, up to its end: without a logical date there would be no `ds`.
#[track_caller]
fn run_on_a_date(home: &Home, dag: &str) -> FinishedRun {
    home.wait_dag(dag);
    let trigger = Trigger {
        dag: DagId::new(dag).expect("a DAG id"),
        run_id: None,
        logical_date: Utc.with_ymd_and_hms(2026, 1, 15, 0, 0, 0).single(),
        conf: serde_json::Map::new(),
        note: None,
        by: TriggeredBy::Test,
        user: None,
    };
    match home.control(&Control::Trigger(trigger)) {
        Reply::Triggered(run) => home.wait_run(dag, &run.run_id),
        other => panic!("expected a run, got {other:?}"),
    }
}

/// Copies everything below a folder into the DAGs folder.
fn copy_all(from: &Path, home: &Home, below: &str) {
    for entry in std::fs::read_dir(from).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        let name = format!("{below}{}", path.file_name().expect("a name").to_string_lossy());
        if path.is_dir() {
            if !name.contains("__pycache__") {
                copy_all(&path, home, &format!("{name}/"));
            }
        } else {
            home.write(&name, &std::fs::read_to_string(&path).expect("a text"));
        }
    }
}
