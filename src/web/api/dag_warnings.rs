//! What is odd about DAGs that are used all the same: a pool that their tasks name and nobody made.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::store::query::DagEntry;
use crate::web::Error;

use super::asked::Asked;
use super::lists::{Kind, Param, paging};
use super::operation::{Answer, Operation, good, may};

/// The one kind that there is here.
const NO_POOL: &str = "non-existent pool";

#[derive(Serialize, ToSchema)]
#[schema(as = DAGWarningResponse)]
struct Warning {
    dag_id: String,
    warning_type: &'static str,
    message: String,
    timestamp: DateTime<Utc>,
    dag_display_name: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DAGWarningCollectionResponse)]
struct Warnings {
    dag_warnings: Vec<Warning>,
    total_entries: usize,
}

pub fn operations() -> Vec<Operation> {
    let read = may(Action::Read, Resource::DagWarning);
    let kinds = vec![NO_POOL, "asset conflict", "runtime varying value"];
    vec![
        Operation::get("/dagWarnings", "list_dag_warnings", "List Dag Warnings", read, list)
            .params([
                Param::new("dag_id", Kind::Text, "Only of this DAG."),
                Param { words: kinds, ..Param::new("warning_type", Kind::Text, "Only of this kind.") },
                Param::new("limit", Kind::Integer, "At most so many."),
                Param::new("offset", Kind::Integer, "Leaves out so many."),
                Param::new("order_by", Kind::Text, "`dag_id` or `-dag_id`."),
            ])
            .answers::<Warnings>(),
    ]
}

async fn list(asked: Asked) -> Answer {
    let (limit, offset) = paging(&asked)?;
    let descending = match asked.one("order_by") {
        None | Some("dag_id" | "warning_type" | "message" | "timestamp") => false,
        Some("-dag_id" | "-warning_type" | "-message" | "-timestamp") => true,
        Some(other) => {
            let why = format!("Ordering with '{other}' is disallowed or the attribute does not exist on the model");
            return Err(Error::Bad(why));
        }
    };
    let pools: BTreeSet<String> =
        asked.web.store.pools().await?.into_iter().map(|pool| pool.name.to_string()).collect();
    let is_meant = asked.one("warning_type").is_none_or(|kind| kind == NO_POOL);
    let dags = asked.web.store.dags(false).await?;
    let dags =
        dags.iter().filter(|entry| is_meant && asked.one("dag_id").is_none_or(|dag| entry.row.dag_id.as_str() == dag));
    let mut warnings: Vec<Warning> = dags.filter_map(|entry| without_pool(entry, &pools)).collect();
    if descending {
        warnings.reverse();
    }
    let total_entries = warnings.len();
    let (from, many) = (usize::try_from(offset).unwrap_or(usize::MAX), usize::try_from(limit).unwrap_or(usize::MAX));
    good(Warnings { dag_warnings: warnings.into_iter().skip(from).take(many).collect(), total_entries })
}

fn without_pool(entry: &DagEntry, pools: &BTreeSet<String>) -> Option<Warning> {
    let named = entry.definition.tasks.iter().map(|task| task.pool.as_str());
    let missing: BTreeSet<&str> = named.filter(|pool| !pools.contains(*pool)).collect();
    let missing: Vec<&str> = missing.into_iter().collect();
    (!missing.is_empty()).then(|| Warning {
        dag_id: entry.row.dag_id.to_string(),
        dag_display_name: entry.row.dag_id.to_string(),
        warning_type: NO_POOL,
        message: format!("Dag '{}' references non-existent pools: {}", entry.row.dag_id, missing.join(", ")),
        timestamp: entry.row.parsed_at,
    })
}
