//! Runs of DAGs: reading them, and asking for one.

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::domain::ids::{RunId, TaskId};
use crate::domain::state::RunState;
use crate::protocol::control::{Control, Reply, Trigger, TriggeredBy};
use crate::store::query::run_fields;
use crate::store::write::RunRow;
use crate::web::{Error, Web};

use super::asked::{Asked, Version};
use super::dag_versions::{DagVersion, Known};
use super::dags::{run_states, run_types};
use super::find::{self, ALL};
use super::lists::{Cursors, Kind, Lists, Param, counted_limit, pattern, prefix, range, value, word};
use super::moment::{Moment, present, seconds_between};
use super::operation::{Answer, Operation, good, may};

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DAGRunResponse)]
pub struct DagRun {
    dag_run_id: String,
    dag_id: String,
    logical_date: Option<DateTime<Utc>>,
    queued_at: Option<DateTime<Utc>>,
    start_date: Option<DateTime<Utc>>,
    end_date: Option<DateTime<Utc>>,
    duration: Option<f64>,
    data_interval_start: Option<DateTime<Utc>>,
    data_interval_end: Option<DateTime<Utc>>,
    run_after: DateTime<Utc>,
    last_scheduling_decision: Option<DateTime<Utc>>,
    run_type: &'static str,
    state: &'static str,
    triggered_by: Option<&'static str>,
    triggering_user_name: Option<String>,
    #[schema(value_type = Option<Object>)]
    conf: Option<Map<String, Value>>,
    note: Option<String>,
    dag_versions: Vec<DagVersion>,
    bundle_version: Option<String>,
    dag_display_name: String,
    partition_key: Option<String>,
    partition_date: Option<DateTime<Utc>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DAGRunCollectionResponse)]
pub struct DagRuns {
    pub dag_runs: Vec<DagRun>,
    pub total_entries: u64,
    pub total_entries_limit: Option<u64>,
    pub next_cursor: Option<String>,
    pub previous_cursor: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TriggerDAGRunPostBody)]
struct TriggerBody {
    #[serde(default)]
    dag_run_id: Option<String>,
    /// Has to be said; null for a run without a logical date.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    logical_date: Option<Option<Moment>>,
    /// Airflow 2's name of the logical date.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    execution_date: Option<Moment>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    data_interval_start: Option<Moment>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    data_interval_end: Option<Moment>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    run_after: Option<Moment>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    conf: Option<Map<String, Value>>,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    partition_key: Option<String>,
}

/// Filters in a body.
#[derive(Deserialize, ToSchema)]
#[schema(as = DAGRunsBatchBody)]
#[expect(dead_code, reason = "it is read like a query; this documents it")]
struct Batch {
    order_by: Option<String>,
    page_offset: Option<u64>,
    page_limit: Option<u64>,
    dag_ids: Option<Vec<String>>,
    states: Option<Vec<String>>,
    run_after_gte: Option<DateTime<Utc>>,
    run_after_lte: Option<DateTime<Utc>>,
    logical_date_gte: Option<DateTime<Utc>>,
    logical_date_lte: Option<DateTime<Utc>>,
    start_date_gte: Option<DateTime<Utc>>,
    start_date_lte: Option<DateTime<Utc>>,
    end_date_gte: Option<DateTime<Utc>>,
    end_date_lte: Option<DateTime<Utc>>,
}

pub const LISTS: Lists = Lists {
    order: run_fields::ALL,
    usual: "id",
    filters: &[
        range("run_after", run_fields::RUN_AFTER),
        range("logical_date", run_fields::LOGICAL_DATE),
        // Airflow 2's name.
        range("execution_date", run_fields::LOGICAL_DATE),
        range("start_date", run_fields::START_DATE),
        range("end_date", run_fields::END_DATE),
        range("duration", run_fields::DURATION),
        word("run_type", run_fields::RUN_TYPE, run_types),
        word("state", run_fields::STATE, run_states),
        value("dag_id", run_fields::DAG_ID),
        value("dag_version", run_fields::DAG_VERSION),
        pattern("conf_contains", run_fields::CONF),
        pattern("run_id_pattern", run_fields::RUN_ID),
        prefix("run_id_prefix_pattern", run_fields::RUN_ID),
        pattern("triggering_user_name_pattern", run_fields::USER),
        prefix("triggering_user_name_prefix_pattern", run_fields::USER),
        pattern("dag_id_pattern", run_fields::DAG_ID),
        prefix("dag_id_prefix_pattern", run_fields::DAG_ID),
    ],
};

pub fn operations() -> Vec<Operation> {
    let read = may(Action::Read, Resource::DagRun);
    vec![
        Operation::get("/dags/{dag_id}/dagRuns", "get_dag_runs", "Get Dag Runs", read, list)
            .lists(&LISTS)
            .params([Cursors::param()])
            .answers::<DagRuns>(),
        Operation::post(
            "/dags/{dag_id}/dagRuns",
            "trigger_dag_run",
            "Trigger Dag Run",
            may(Action::Create, Resource::DagRun),
            trigger,
        )
        .takes::<TriggerBody>()
        .answers::<DagRun>(),
        Operation::post(
            "/dags/{dag_id}/dagRuns/list",
            "get_list_dag_runs_batch",
            "Get List Dag Runs Batch",
            read,
            batch,
        )
        .takes::<Batch>()
        .answers::<DagRuns>(),
        Operation::get("/dags/{dag_id}/dagRuns/{dag_run_id}", "get_dag_run", "Get Dag Run", read, get)
            .answers::<DagRun>(),
        Operation::get(
            "/dags/{dag_id}/dagRuns/{dag_run_id}/wait",
            "wait_dag_run_until_finished",
            "Wait until a run is over: one line of JSON whenever its state is looked at",
            read,
            wait,
        )
        .params([
            Param::new("interval", Kind::Number, "Seconds between two looks, 2 unless said."),
            Param::new("result", Kind::Text, "Tasks whose return value comes with the end.").repeated(),
        ])
        .or_as(&["application/x-ndjson"])
        .is_new(),
    ]
}

impl DagRun {
    pub fn of(row: RunRow, versions: &Known) -> Self {
        Self {
            dag_versions: versions.get(&row.dag_id, row.version).into_iter().collect(),
            dag_run_id: row.run_id.to_string(),
            dag_display_name: row.dag_id.to_string(),
            dag_id: row.dag_id.to_string(),
            logical_date: row.logical_date,
            queued_at: Some(row.queued_at),
            start_date: row.started_at,
            end_date: row.ended_at,
            duration: seconds_between(row.started_at, row.ended_at),
            data_interval_start: row.interval.map(|interval| interval.start),
            data_interval_end: row.interval.map(|interval| interval.end),
            run_after: row.run_after,
            last_scheduling_decision: None,
            run_type: row.run_type.as_str(),
            state: row.state.as_str(),
            triggered_by: Some(row.triggered_by.as_str()),
            triggering_user_name: row.user,
            conf: Some(row.conf),
            note: row.note,
            bundle_version: None,
            partition_key: None,
            partition_date: None,
        }
    }
}

/// One run, as it is shown.
pub async fn shown(asked: &Asked, row: RunRow) -> Result<DagRun, Error> {
    let versions = Known::of(asked, std::iter::once(row.dag_id.clone())).await?;
    Ok(DagRun::of(row, &versions))
}

async fn list(asked: Asked) -> Answer {
    let mut listing = LISTS.read(&asked)?;
    let by_cursor = Cursors::read(&asked, &mut listing)?;
    if asked.path("dag_id") != ALL {
        listing = listing.only(run_fields::DAG_ID, find::dag(&asked).await?.row.dag_id.as_str());
    }
    let page = asked.web.store.list_runs(&listing).await?;
    let versions = Known::of(&asked, page.rows.iter().map(|row| row.dag_id.clone())).await?;
    let cursors = Cursors::around(by_cursor, &listing, page.rows.len());
    good(DagRuns {
        dag_runs: page.rows.into_iter().map(|row| DagRun::of(row, &versions)).collect(),
        total_entries: page.total,
        total_entries_limit: counted_limit(page.total),
        next_cursor: cursors.next,
        previous_cursor: cursors.previous,
    })
}

async fn batch(asked: Asked) -> Answer {
    let names = [("dag_ids", "dag_id"), ("states", "state"), ("page_limit", "limit"), ("page_offset", "offset")];
    list(asked.with_filters_of_body(&names)?).await
}

async fn get(asked: Asked) -> Answer {
    let row = find::run(&asked).await?;
    good(shown(&asked, row).await?)
}

async fn trigger(asked: Asked) -> Answer {
    let body: TriggerBody = asked.body()?;
    let entry = find::dag(&asked).await?;
    let logical_date = match (body.logical_date, body.execution_date, asked.version) {
        (Some(date), None, _) => date,
        (None | Some(None), Some(date), _) => Some(date),
        (Some(Some(_)), Some(_), _) => {
            return Err(Error::Bad("logical_date and execution_date are the same: give only one".to_owned()));
        }
        (None, None, Version::V1) => None,
        (None, None, Version::V2) => {
            return Err(Error::field("missing", &["body", "logical_date"], "Field required", json!({})));
        }
    };
    for (name, is_given) in [
        ("data_interval_start", body.data_interval_start.is_some()),
        ("data_interval_end", body.data_interval_end.is_some()),
        ("run_after", body.run_after.is_some()),
        ("partition_key", body.partition_key.is_some()),
    ] {
        if is_given {
            let why = format!(
                "{name} cannot be given: the interval of a run follows from its logical date, and it starts now"
            );
            return Err(Error::Bad(why));
        }
    }
    let run_id = body.dag_run_id.filter(|id| !id.is_empty());
    let wrong = |error: crate::domain::ids::InvalidId| {
        Error::field("value_error", &["body", "dag_run_id"], error.to_string(), Value::Null)
    };
    let run_id = run_id.map(|id| RunId::new(&id).map_err(wrong)).transpose()?;
    let caller = asked.caller()?;
    let wish = Control::Trigger(Trigger {
        dag: entry.row.dag_id.clone(),
        run_id,
        logical_date: logical_date.map(|date| date.0),
        conf: body.conf.unwrap_or_default(),
        note: body.note,
        by: TriggeredBy::RestApi,
        user: Some(caller.user.clone()),
    });
    let reply = asked.web.control(caller, wish).await?;
    answer_triggered(&asked, reply).await
}

/// The run that was made, as it is shown.
pub async fn answer_triggered(asked: &Asked, reply: Reply) -> Answer {
    let made = reply.triggered().map_err(|error| Error::Internal(error.to_string()))?;
    let row = find::run_named(asked, made.dag.as_str(), made.run_id.as_str()).await?;
    good(shown(asked, row).await?)
}

/// A run that somebody waits for.
struct Waited {
    web: Web,
    run: RunRow,
    results: Vec<TaskId>,
    interval: std::time::Duration,
    is_first: bool,
    is_over: bool,
}

async fn wait(asked: Asked) -> Answer {
    let run = find::run(&asked).await?;
    let seconds = asked.one("interval").unwrap_or("2");
    let interval = seconds.parse().ok().filter(|seconds: &f64| (0.05..=3600.0).contains(seconds));
    let message = "Input should be a number of seconds between 0.05 and 3600";
    let interval =
        interval.ok_or_else(|| Error::field("float_parsing", &["query", "interval"], message, seconds.into()))?;
    let results = asked.all("result").filter_map(|name| TaskId::new(name).ok()).collect();
    let waited = Waited {
        web: asked.web.clone(),
        run,
        results,
        interval: std::time::Duration::from_secs_f64(interval),
        is_first: true,
        is_over: false,
    };
    let lines = stream::unfold(waited, |mut waited| async move {
        let line = waited.next().await?;
        Some((Ok::<Bytes, Error>(line), waited))
    });
    Ok(HttpResponse::Ok().content_type("application/x-ndjson").streaming(Box::pin(lines)))
}

impl Waited {
    /// The next line; none once the run is over, or gone.
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        if !std::mem::take(&mut self.is_first) {
            tokio::time::sleep(self.interval).await;
        }
        self.run = self.web.store.run_by_key(self.run.key).await.ok()??;
        self.is_over = self.run.state.is_finished();
        let mut line = json!({ "state": self.run.state.as_str() });
        if self.is_over && !self.results.is_empty() && self.run.state == RunState::Success {
            let mut values = Map::new();
            for task in &self.results {
                let value = self.web.store.newest_xcom(self.run.key, Some(task), "return_value").await.ok()?;
                values.insert(task.to_string(), value.unwrap_or(Value::Null));
            }
            line["results"] = Value::Object(values);
        }
        Some(Bytes::from(format!("{line}\n")))
    }
}
