//! What is wrong with DAG files.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::store::query::{Cell, Listing, NumberedError, import_error_fields};
use crate::web::Error;

use super::asked::Asked;
use super::dag_versions::BUNDLE;
use super::lists::{Lists, pattern, prefix, value};
use super::operation::{Answer, Operation, good, may};

#[derive(Serialize, ToSchema)]
#[schema(as = ImportErrorResponse)]
struct Shown {
    import_error_id: i64,
    timestamp: DateTime<Utc>,
    filename: String,
    bundle_name: Option<String>,
    stack_trace: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ImportErrorCollectionResponse)]
struct ImportErrors {
    import_errors: Vec<Shown>,
    total_entries: u64,
}

const LISTS: Lists = Lists {
    order: import_error_fields::ALL,
    usual: "id",
    filters: &[
        value("filename", import_error_fields::FILENAME),
        pattern("filename_pattern", import_error_fields::FILENAME),
        prefix("filename_prefix_pattern", import_error_fields::FILENAME),
    ],
};

pub fn operations() -> Vec<Operation> {
    let read = may(Action::Read, Resource::ImportError);
    vec![
        Operation::get("/importErrors", "get_import_errors", "Get Import Errors", read, list)
            .lists(&LISTS)
            .answers::<ImportErrors>(),
        Operation::get("/importErrors/{import_error_id}", "get_import_error", "Get Import Error", read, get)
            .answers::<Shown>(),
    ]
}

impl Shown {
    fn of(numbered: NumberedError) -> Self {
        let NumberedError { id, error } = numbered;
        let problem = error.problem;
        let stack_trace = match &problem.detail {
            Some(detail) => format!("{problem}\n{detail}"),
            None => problem.to_string(),
        };
        Self {
            import_error_id: id,
            timestamp: error.at,
            filename: error.file,
            bundle_name: Some(BUNDLE.to_owned()),
            stack_trace,
        }
    }
}

/// A warning is none: its DAG is used.
fn errors_only(listing: Listing) -> Listing {
    listing.only(import_error_fields::SEVERITY, "error")
}

async fn list(asked: Asked) -> Answer {
    let page = asked.web.store.list_import_errors(&errors_only(LISTS.read(&asked)?)).await?;
    good(ImportErrors { total_entries: page.total, import_errors: page.rows.into_iter().map(Shown::of).collect() })
}

async fn get(asked: Asked) -> Answer {
    let id: i64 = asked.number_in_path("import_error_id")?;
    let listing = Listing::first(1).only(import_error_fields::ID, Cell::Integer(id));
    let found = asked.web.store.list_import_errors(&listing).await?.rows.pop();
    let missing = || Error::NotFound(format!("The ImportError with import_error_id: `{id}` was not found"));
    good(Shown::of(found.ok_or_else(missing)?))
}
