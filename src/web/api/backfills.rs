//! Backfills: runs of past dates that somebody asks for at once.

use std::collections::HashMap;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::domain::backfill::{self, BackfillRequest, MAX_ACTIVE_RUNS, Reprocess, Step};
use crate::domain::ids::BackfillId;
use crate::domain::time::Time;
use crate::protocol::control::Control;
use crate::store::query::backfill_fields;
use crate::store::write::BackfillRow;
use crate::web::Error;

use super::asked::Asked;
use super::find;
use super::lists::{Lists, value};
use super::moment::Moment;
use super::operation::{Answer, Operation, good, may};

#[derive(Serialize, ToSchema)]
#[schema(as = BackfillResponse)]
struct Backfill {
    id: i64,
    dag_id: String,
    from_date: DateTime<Utc>,
    to_date: DateTime<Utc>,
    #[schema(value_type = Option<Object>)]
    dag_run_conf: Option<Map<String, Value>>,
    is_paused: bool,
    reprocess_behavior: &'static str,
    max_active_runs: u32,
    created_at: DateTime<Utc>,
    completed_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
    dag_display_name: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BackfillCollectionResponse)]
struct Backfills {
    backfills: Vec<Backfill>,
    total_entries: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DryRunBackfillResponse)]
struct Planned {
    logical_date: Option<DateTime<Utc>>,
    partition_key: Option<String>,
    partition_date: Option<DateTime<Utc>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DryRunBackfillCollectionResponse)]
struct Plan {
    backfills: Vec<Planned>,
    total_entries: usize,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BackfillPostBody)]
struct Body {
    dag_id: String,
    #[schema(value_type = String, format = DateTime)]
    from_date: Moment,
    #[schema(value_type = String, format = DateTime)]
    to_date: Moment,
    #[serde(default)]
    run_backwards: bool,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    dag_run_conf: Option<Map<String, Value>>,
    /// none, failed or completed
    #[serde(default)]
    reprocess_behavior: Option<String>,
    #[serde(default)]
    #[schema(minimum = 1)]
    max_active_runs: Option<u32>,
    /// A run that is run again always takes the newest version of its DAG.
    #[serde(default, rename = "run_on_latest_version")]
    _run_on_latest_version: Option<bool>,
}

const LISTS: Lists =
    Lists { order: backfill_fields::ALL, usual: "id", filters: &[value("dag_id", backfill_fields::DAG_ID)] };

pub fn operations() -> Vec<Operation> {
    let may = |action| may(action, Resource::Backfill);
    let edit = may(Action::Edit);
    vec![
        Operation::get("/backfills", "list_backfills", "List Backfills", may(Action::Read), list)
            .lists(&LISTS)
            .answers::<Backfills>()
            .new_in_v2(),
        Operation::post("/backfills", "create_backfill", "Create Backfill", may(Action::Create), create)
            .takes::<Body>()
            .answers::<Backfill>()
            .new_in_v2(),
        Operation::post(
            "/backfills/dry_run",
            "create_backfill_dry_run",
            "Create Backfill Dry Run",
            may(Action::Create),
            plan,
        )
        .takes::<Body>()
        .answers::<Plan>()
        .new_in_v2(),
        Operation::get("/backfills/{backfill_id}", "get_backfill", "Get Backfill", may(Action::Read), get)
            .answers::<Backfill>()
            .new_in_v2(),
        Operation::put("/backfills/{backfill_id}/pause", "pause_backfill", "Pause Backfill", edit, async |asked| {
            pause(asked, true).await
        })
        .answers::<Backfill>()
        .new_in_v2(),
        Operation::put(
            "/backfills/{backfill_id}/unpause",
            "unpause_backfill",
            "Unpause Backfill",
            edit,
            async |asked| pause(asked, false).await,
        )
        .answers::<Backfill>()
        .new_in_v2(),
        Operation::put("/backfills/{backfill_id}/cancel", "cancel_backfill", "Cancel Backfill", edit, cancel)
            .answers::<Backfill>()
            .new_in_v2(),
    ]
}

impl From<BackfillRow> for Backfill {
    fn from(row: BackfillRow) -> Self {
        Self {
            id: row.id.0,
            dag_display_name: row.request.dag.to_string(),
            dag_id: row.request.dag.to_string(),
            from_date: row.request.from,
            to_date: row.request.to,
            dag_run_conf: Some(row.request.conf),
            is_paused: row.is_paused,
            reprocess_behavior: row.request.reprocess.as_str(),
            max_active_runs: row.request.max_active_runs.get(),
            created_at: row.created_at,
            completed_at: row.completed_at,
            updated_at: row.updated_at,
        }
    }
}

async fn list(asked: Asked) -> Answer {
    let page = asked.web.store.list_backfills(&LISTS.read(&asked)?).await?;
    good(Backfills { total_entries: page.total, backfills: page.rows.into_iter().map(Into::into).collect() })
}

async fn existing(asked: &Asked, id: BackfillId) -> Result<BackfillRow, Error> {
    let found = asked.web.store.backfill(id).await?;
    let missing = || Error::NotFound(format!("Could not find backfill with id {id}"));
    found.map(|entry| entry.row).ok_or_else(missing)
}

fn id_in_path(asked: &Asked) -> Result<BackfillId, Error> {
    asked.number_in_path("backfill_id").map(BackfillId)
}

async fn get(asked: Asked) -> Answer {
    good(Backfill::from(existing(&asked, id_in_path(&asked)?).await?))
}

impl Body {
    async fn request(self, asked: &Asked) -> Result<BackfillRequest, Error> {
        let entry = find::dag_named(asked, &self.dag_id).await?;
        let wrong = |field: &str, message: &str| Error::field("value_error", &["body", field], message, Value::Null);
        let reprocess = match self.reprocess_behavior.as_deref() {
            None => Reprocess::None,
            Some(word) => Reprocess::from_word(word)
                .ok_or_else(|| wrong("reprocess_behavior", "Input should be 'failed', 'completed' or 'none'"))?,
        };
        let max_active_runs = match self.max_active_runs {
            None => MAX_ACTIVE_RUNS,
            Some(count) => {
                NonZeroU32::new(count).ok_or_else(|| wrong("max_active_runs", "Input should be at least 1"))?
            }
        };
        Ok(BackfillRequest {
            dag: entry.row.dag_id,
            from: self.from_date.0,
            to: self.to_date.0,
            max_active_runs,
            backwards: self.run_backwards,
            reprocess,
            conf: self.dag_run_conf.unwrap_or_default(),
        })
    }
}

async fn create(asked: Asked) -> Answer {
    let body: Body = asked.body()?;
    let request = body.request(&asked).await?;
    let caller = asked.caller()?;
    let reply = asked.web.control(caller, Control::CreateBackfill { request, user: Some(caller.user.clone()) }).await?;
    let created = reply.backfill_created().map_err(|error| Error::Internal(error.to_string()))?;
    good(Backfill::from(existing(&asked, created.backfill).await?))
}

async fn plan(asked: Asked) -> Answer {
    let body: Body = asked.body()?;
    let request = body.request(&asked).await?;
    let entry = find::dag_named(&asked, request.dag.as_str()).await?;
    let dates =
        backfill::dates(&request, &entry.definition, Utc::now()).map_err(|unfit| Error::Bad(unfit.to_string()))?;
    let runs = asked.web.store.runs_between(&request.dag, request.from, request.to).await?;
    let states: HashMap<Time, _> = runs.into_iter().filter_map(|run| Some((run.logical_date?, run.state))).collect();
    let is_run = |date: &Time| match request.reprocess.step(states.get(date).copied()) {
        Step::Create | Step::Reprocess => true,
        Step::AlreadyExists | Step::InFlight => false,
    };
    let dates = dates.into_iter().map(|run| run.logical_date).filter(is_run);
    let planned = |date| Planned { logical_date: Some(date), partition_key: None, partition_date: None };
    let backfills: Vec<Planned> = dates.map(planned).collect();
    good(Plan { total_entries: backfills.len(), backfills })
}

async fn pause(asked: Asked, paused: bool) -> Answer {
    let id = id_in_path(&asked)?;
    existing(&asked, id).await?;
    asked.web.control(asked.caller()?, Control::PauseBackfill { backfill: id, paused }).await?;
    good(Backfill::from(existing(&asked, id).await?))
}

async fn cancel(asked: Asked) -> Answer {
    let id = id_in_path(&asked)?;
    existing(&asked, id).await?;
    asked.web.control(asked.caller()?, Control::CancelBackfill { backfill: id }).await?;
    good(Backfill::from(existing(&asked, id).await?))
}
