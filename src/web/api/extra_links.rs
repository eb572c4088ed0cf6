//! Links that operators add to their task instances, and questions that they put to people. Operators here do neither.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::web::Error;

use super::asked::Asked;
use super::find::{self, ALL};
use super::lists::{Kind, Param, paging};
use super::operation::{Answer, Operation, good, may};

#[derive(Serialize, ToSchema)]
#[schema(as = ExtraLinkCollectionResponse)]
struct ExtraLinks {
    #[schema(value_type = Object)]
    extra_links: Map<String, Value>,
    total_entries: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HITLDetailCollection)]
struct Questions {
    #[schema(value_type = Vec<Object>)]
    hitl_details: Vec<Value>,
    total_entries: u64,
}

pub fn operations() -> Vec<Operation> {
    let read = may(Action::Read, Resource::TaskInstance);
    let at = "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}";
    vec![
        Operation::get(format!("{at}/links").leak(), "get_extra_links", "Get Extra Links", read, links)
            .params([
                Param::new("map_index", Kind::Integer, "Which element of a mapped task."),
                Param::new("try_number", Kind::Integer, "Which try."),
            ])
            .answers::<ExtraLinks>(),
        Operation::get(
            "/dags/{dag_id}/dagRuns/{dag_run_id}/hitlDetails",
            "get_hitl_details",
            "Get Hitl Details",
            read,
            questions,
        )
        .params([
            Param::new("limit", Kind::Integer, "At most so many."),
            Param::new("offset", Kind::Integer, "Leaves out so many."),
        ])
        .answers::<Questions>()
        .is_new(),
        Operation::get(
            format!("{at}/{{map_index}}/hitlDetails").leak(),
            "get_hitl_detail",
            "Get Hitl Detail",
            read,
            question,
        )
        .is_new(),
    ]
}

async fn links(asked: Asked) -> Answer {
    find::task(&asked).await?;
    good(ExtraLinks { extra_links: Map::new(), total_entries: 0 })
}

async fn questions(asked: Asked) -> Answer {
    paging(&asked)?;
    match (asked.path("dag_id"), asked.path("dag_run_id")) {
        (ALL, _) => {}
        (_, ALL) => {
            find::dag(&asked).await?;
        }
        (_, _) => {
            find::run(&asked).await?;
        }
    }
    good(Questions { hitl_details: Vec::new(), total_entries: 0 })
}

async fn question(asked: Asked) -> Answer {
    find::task(&asked).await?;
    Err(Error::NotFound("Human-in-the-loop detail not found: no operator here puts a question to a person".to_owned()))
}
