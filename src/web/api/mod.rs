//! Airflow's REST API: one file per group of resources, each a table of [operations](operation::Operation) from which
//! both the routes and the OpenAPI document are made.
//!
//! ```text
//!  request ─► asked (path, query, body) ─► a resource's function ─► store (reads) or Web::control (changes) ─► JSON
//! ```
//!
//! Nothing here changes a run or a task itself: it sends control.

mod asked;
mod assets;
mod backfills;
mod bulk;
mod config;
mod connections;
mod dag_runs;
mod dag_sources;
mod dag_stats;
mod dag_versions;
mod dag_warnings;
mod dags;
mod document;
mod event_logs;
mod extra_links;
mod find;
mod import_errors;
mod jobs;
mod lists;
mod logs;
mod moment;
mod openapi;
mod operation;
mod page;
mod plugins;
mod pools;
mod run_change;
mod task_change;
mod task_instances;
mod tasks;
mod v1;
mod variables;
mod version;
mod xcoms;

use std::sync::LazyLock;

use actix_web::HttpResponse;

use super::error::Error;
use super::page::shell::Shell;
use super::route::{Needs, Route};
use super::view::frame::Here;
use asked::Asked;
use operation::Operation;

/// Every operation, in the order of the document.
static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let groups: [(&'static str, Vec<Operation>); 24] = [
        ("DAG", dags::operations()),
        ("Task", tasks::operations()),
        ("Task Instance", logs::operations()),
        ("Task Instance", extra_links::operations()),
        ("XCom", xcoms::operations()),
        ("Task Instance", task_instances::operations()),
        ("Task Instance", task_change::operations()),
        ("DagRun", dag_runs::operations()),
        ("DagRun", run_change::operations()),
        ("DagVersion", dag_versions::operations()),
        ("DagSource", dag_sources::operations()),
        ("DagStats", dag_stats::operations()),
        ("DagWarning", dag_warnings::operations()),
        ("Asset", assets::operations()),
        ("Backfill", backfills::operations()),
        ("Pool", pools::operations()),
        ("Variable", variables::operations()),
        ("Connection", connections::operations()),
        ("Import Error", import_errors::operations()),
        ("Event Log", event_logs::operations()),
        ("Job", jobs::operations()),
        ("Config", config::operations()),
        ("Plugin", plugins::operations()),
        ("Version", version::operations()),
    ];
    let named = |(group, operations): (&'static str, Vec<Operation>)| {
        operations.into_iter().map(move |operation| operation.of(group))
    };
    groups.into_iter().flat_map(named).collect()
});

/// The paths under both roots, made once.
static PATHS: LazyLock<Vec<(String, Option<String>)>> = LazyLock::new(|| {
    let paths = |operation: &Operation| {
        (format!("/api/v2{}", operation.path), operation.old_path.map(|path| format!("/api/v1{path}")))
    };
    OPERATIONS.iter().map(paths).collect()
});

/// Everything under `/api`, and its documentation.
pub fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::get("/openapi.json", Needs::Nobody, document_for_programs),
        Route::get("/api/v2/openapi.json", Needs::Nobody, document_for_programs),
        Route::get("/docs", Needs::SignedIn, document_for_people),
        Route::post(
            "/api/v1/dags/{dag_id}/updateTaskInstancesState",
            operation::may(crate::auth::Action::Edit, crate::auth::Resource::TaskInstance),
            task_change::mark_the_old_way,
        ),
    ];
    let mut rows: Vec<_> = OPERATIONS.iter().zip(PATHS.iter()).collect();
    // The first path that fits is taken. A brace comes after every letter: so what is spelt out comes before what may
    // be anything.
    rows.sort_by_key(|(operation, _)| operation.path);
    for (operation, (path, old_path)) in rows {
        routes.push(operation.route(path));
        routes.extend(old_path.as_deref().map(|path| operation.route(path)));
    }
    routes
}

async fn document_for_programs(asked: Asked) -> HttpResponse {
    HttpResponse::Ok().json(openapi::document(asked.web.settings.version, &OPERATIONS))
}

async fn document_for_people(shell: Shell) -> Result<HttpResponse, Error> {
    let document = openapi::document(shell.web.settings.version, &OPERATIONS);
    let body = document::body(&serde_json::to_value(&document).unwrap_or_default());
    shell.page("REST API", Here::Elsewhere, &body).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_has_a_name_of_its_own_and_names_its_right() {
        let mut names = BTreeSet::new();
        for operation in OPERATIONS.iter() {
            assert!(names.insert(operation.id), "{} is there twice", operation.id);
            assert!(!operation.group.is_empty(), "{} belongs to a group", operation.id);
            let is_open = operation.needs == Needs::Nobody;
            assert_eq!(is_open, operation.id == "get_version", "{} is open to everybody", operation.id);
        }
        assert!(names.len() > 90, "{} operations", names.len());
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document = serde_json::to_value(openapi::document("test", &OPERATIONS)).expect("JSON");
        let schemas = document["components"]["schemas"].as_object().expect("schemas");
        let text = document.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap_or_default();
            assert!(schemas.contains_key(name), "{name} is described");
        }
        let page = document::body(&document).into_string();
        assert!(page.contains("trigger_dag_run") && !page.contains("<script"));
    }
}
