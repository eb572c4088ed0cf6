//! The text of a DAG's file, as it was when a version of the DAG was read.

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::domain::ids::VersionNumber;
use crate::web::Error;

use super::asked::{Accepts, Asked};
use super::find;
use super::lists::{Kind, Param};
use super::operation::{Answer, Operation, good, may};

#[derive(Serialize, ToSchema)]
#[schema(as = DAGSourceResponse)]
struct Source {
    content: Option<String>,
    dag_id: String,
    version_number: Option<i32>,
    dag_display_name: String,
}

pub fn operations() -> Vec<Operation> {
    let read = may(Action::Read, Resource::DagCode);
    vec![
        Operation::get("/dagSources/{dag_id}", "get_dag_source", "Get Dag Source", read, get)
            .params([Param::new("version_number", Kind::Integer, "Which version; the newest unless said.")])
            .answers::<Source>()
            .or_as(&["text/plain"]),
    ]
}

async fn get(asked: Asked) -> Answer {
    let entry = find::dag(&asked).await?;
    let number = asked.integer("version_number", 0..=i64::from(i32::MAX))?;
    let number = number.and_then(|number| i32::try_from(number).ok()).map(VersionNumber);
    let number = number.unwrap_or(entry.row.version);
    let found = asked.web.store.version(&entry.row.dag_id, Some(number)).await?;
    let id = entry.row.dag_id.to_string();
    let version = found.ok_or_else(|| {
        Error::NotFound(format!("The source code of the DAG {id}, version_number {number} was not found"))
    })?;
    match asked.accepts {
        Accepts::Text => Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(version.source)),
        Accepts::Json | Accepts::Lines => good(Source {
            content: Some(version.source),
            dag_display_name: id.clone(),
            dag_id: id,
            version_number: Some(number.0),
        }),
    }
}
