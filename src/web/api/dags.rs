//! DAGs: what there is, and whether it is paused.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::domain::dag::DagDefinition;
use crate::domain::ids::DagId;
use crate::domain::run::RunType;
use crate::domain::schedule::{Schedule, Timetable};
use crate::domain::state::RunState;
use crate::protocol::control::Control;
use crate::store::query::{Cell, DagEntry, Listing, Test, dag_fields};
use crate::store::write::DagRow;
use crate::web::{Error, Web};

use super::asked::Asked;
use super::dag_versions::{BUNDLE, DagVersion, Known};
use super::find;
use super::lists::{Kind, Lists, Param, pattern, prefix, word};
use super::moment::iso_duration;
use super::operation::{Answer, Operation, good, may};

#[derive(Serialize, ToSchema)]
#[schema(as = DagTagResponse)]
struct DagTag {
    name: String,
    dag_id: String,
    dag_display_name: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DAGResponse)]
pub struct Dag {
    dag_id: String,
    dag_display_name: String,
    is_paused: bool,
    is_stale: bool,
    last_parsed_time: Option<DateTime<Utc>>,
    last_parse_duration: Option<f64>,
    last_expired: Option<DateTime<Utc>>,
    bundle_name: Option<String>,
    bundle_version: Option<String>,
    relative_fileloc: Option<String>,
    fileloc: String,
    description: Option<String>,
    timetable_summary: Option<String>,
    timetable_description: Option<String>,
    timetable_partitioned: bool,
    timetable_periodic: bool,
    tags: Vec<DagTag>,
    max_active_tasks: u32,
    max_active_runs: Option<u32>,
    max_consecutive_failed_dag_runs: u32,
    has_task_concurrency_limits: bool,
    has_import_errors: bool,
    next_dagrun_logical_date: Option<DateTime<Utc>>,
    next_dagrun_data_interval_start: Option<DateTime<Utc>>,
    next_dagrun_data_interval_end: Option<DateTime<Utc>>,
    next_dagrun_run_after: Option<DateTime<Utc>>,
    allowed_run_types: Option<Vec<String>>,
    owners: Vec<String>,
    is_backfillable: bool,
    file_token: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DAGDetailsResponse)]
struct DagDetails {
    #[serde(flatten)]
    dag: Dag,
    catchup: bool,
    dag_run_timeout: Option<String>,
    #[schema(value_type = Option<Object>)]
    asset_expression: Option<Value>,
    doc_md: Option<String>,
    start_date: Option<DateTime<Utc>>,
    end_date: Option<DateTime<Utc>>,
    is_paused_upon_creation: Option<bool>,
    #[schema(value_type = Option<Object>)]
    params: Option<Map<String, Value>>,
    render_template_as_native_obj: bool,
    template_search_path: Option<Vec<String>>,
    timezone: Option<String>,
    last_parsed: Option<DateTime<Utc>>,
    #[schema(value_type = Option<Object>)]
    default_args: Option<Map<String, Value>>,
    concurrency: u32,
    latest_dag_version: Option<DagVersion>,
    active_runs_count: u64,
    is_favorite: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DAGCollectionResponse)]
struct Dags {
    dags: Vec<Dag>,
    total_entries: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DAGTagCollectionResponse)]
struct Tags {
    tags: Vec<String>,
    total_entries: usize,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DAGPatchBody)]
struct Patch {
    is_paused: bool,
}

const LISTS: Lists = Lists {
    order: dag_fields::ALL,
    usual: "dag_id",
    filters: &[
        pattern("dag_id_pattern", dag_fields::DAG_ID),
        prefix("dag_id_prefix_pattern", dag_fields::DAG_ID),
        pattern("dag_display_name_pattern", dag_fields::DAG_ID),
        prefix("dag_display_name_prefix_pattern", dag_fields::DAG_ID),
        word("last_dag_run_state", dag_fields::LAST_RUN_STATE, run_states),
    ],
};

pub fn run_states() -> Vec<&'static str> {
    RunState::ALL.map(RunState::as_str).to_vec()
}

pub fn run_types() -> Vec<&'static str> {
    RunType::ALL.map(RunType::as_str).to_vec()
}

fn filters() -> [Param; 6] {
    [
        Param::new("tags", Kind::Text, "Only DAGs with these tags.").repeated(),
        Param { words: vec!["any", "all"], ..Param::new("tags_match_mode", Kind::Text, "Whether one tag is enough.") },
        Param::new("owners", Kind::Text, "Only DAGs that one of these owns.").repeated(),
        Param::new("exclude_stale", Kind::Flag, "Leaves out DAGs whose file is gone; true unless said."),
        Param::new("paused", Kind::Flag, "Only those that are, or are not."),
        Param::new("has_import_errors", Kind::Flag, "Only DAGs whose file has, or has not."),
    ]
}

pub fn operations() -> Vec<Operation> {
    let (read, edit) = (may(Action::Read, Resource::Dag), may(Action::Edit, Resource::Dag));
    let mask = || Param::new("update_mask", Kind::Text, "The fields of the body that are meant.").repeated();
    vec![
        Operation::get("/dags", "get_dags", "Get Dags", read, list).lists(&LISTS).params(filters()).answers::<Dags>(),
        Operation::patch("/dags", "patch_dags", "Patch Dags", edit, patch_all)
            .lists(&LISTS)
            .params(filters())
            .params([mask()])
            .takes::<Patch>()
            .answers::<Dags>(),
        Operation::get("/dags/{dag_id}", "get_dag", "Get Dag", read, get).answers::<Dag>(),
        Operation::get("/dags/{dag_id}/details", "get_dag_details", "Get Dag Details", read, details)
            .answers::<DagDetails>(),
        Operation::patch("/dags/{dag_id}", "patch_dag", "Patch Dag", edit, patch)
            .params([mask()])
            .takes::<Patch>()
            .answers::<Dag>(),
        Operation::delete("/dags/{dag_id}", "delete_dag", "Delete Dag", may(Action::Delete, Resource::Dag), delete),
        Operation::get("/dagTags", "get_dag_tags", "Get Dag Tags", read, tags)
            .params([
                Param::new("limit", Kind::Integer, "At most so many."),
                Param::new("offset", Kind::Integer, "Leaves out so many."),
                Param::new("order_by", Kind::Text, "`name` or `-name`."),
                Param::new("tag_name_pattern", Kind::Text, "Stands somewhere in it."),
            ])
            .answers::<Tags>()
            .new_in_v2(),
    ]
}

/// What a DAG's list names besides its fields.
struct Sieve<'a> {
    tags: Vec<&'a str>,
    all_tags: bool,
    owners: Vec<&'a str>,
}

impl<'a> Sieve<'a> {
    fn read(asked: &'a Asked) -> Result<Self, Error> {
        let all_tags = match asked.one("tags_match_mode") {
            None | Some("any") => false,
            Some("all") => true,
            Some(other) => {
                let message = "Input should be 'any' or 'all'";
                return Err(Error::field("literal_error", &["query", "tags_match_mode"], message, other.into()));
            }
        };
        Ok(Self { tags: asked.all("tags").collect(), all_tags, owners: asked.all("owners").collect() })
    }

    fn is_idle(&self) -> bool {
        self.tags.is_empty() && self.owners.is_empty()
    }

    fn passes(&self, entry: &DagEntry) -> bool {
        let has = |tag: &&str| entry.definition.tags.iter().any(|known| known == tag);
        let tagged = match (self.tags.is_empty(), self.all_tags) {
            (true, _) => true,
            (false, true) => self.tags.iter().all(has),
            (false, false) => self.tags.iter().any(has),
        };
        tagged && (self.owners.is_empty() || entry.owners().iter().any(|owner| self.owners.contains(owner)))
    }
}

fn listing(asked: &Asked) -> Result<Listing, Error> {
    let mut listing = LISTS.read(asked)?;
    if asked.flag("exclude_stale")?.or(asked.flag("only_active")?).unwrap_or(true) {
        listing = listing.only(dag_fields::IS_STALE, Cell::Flag(false));
    }
    if let Some(paused) = asked.flag("paused")? {
        listing = listing.only(dag_fields::IS_PAUSED, Cell::Flag(paused));
    }
    if let Some(has) = asked.flag("has_import_errors")? {
        listing = listing.and(dag_fields::FILE_WITH_ERROR, Test::IsThere(has));
    }
    Ok(listing)
}

/// The DAGs that are asked for. Tags and owners stand in definitions, of which there are as many as DAGs and not as
/// many as runs: only who asks by them has all definitions read.
async fn found(asked: &Asked) -> Result<(Vec<DagEntry>, u64), Error> {
    let (mut listing, sieve) = (listing(asked)?, Sieve::read(asked)?);
    if sieve.is_idle() {
        let page = asked.web.store.list_dags(&listing).await?;
        return Ok((entries(&asked.web, page.rows).await?, page.total));
    }
    let (limit, offset) =
        (std::mem::replace(&mut listing.limit, i64::MAX.unsigned_abs()), std::mem::take(&mut listing.offset));
    let all = entries(&asked.web, asked.web.store.list_dags(&listing).await?.rows).await?;
    let fitting: Vec<DagEntry> = all.into_iter().filter(|entry| sieve.passes(entry)).collect();
    let total = fitting.len() as u64;
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    Ok((fitting.into_iter().skip(from).take(usize::try_from(limit).unwrap_or(usize::MAX)).collect(), total))
}

async fn entries(web: &Web, rows: Vec<DagRow>) -> Result<Vec<DagEntry>, Error> {
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        entries.extend(web.store.dag(&row.dag_id).await?);
    }
    Ok(entries)
}

async fn shown(asked: &Asked, entries: Vec<DagEntry>) -> Result<Vec<Dag>, Error> {
    let errors = asked.web.store.import_errors().await?;
    let is_broken = |entry: &DagEntry| {
        errors.iter().any(|error| {
            error.file == entry.row.file && error.problem.severity == crate::domain::problem::Severity::Error
        })
    };
    Ok(entries.iter().map(|entry| Dag::of(&asked.web, entry, is_broken(entry))).collect())
}

async fn one(asked: &Asked, entry: DagEntry) -> Result<Dag, Error> {
    shown(asked, vec![entry]).await?.pop().ok_or_else(|| Error::Internal("a DAG was lost".to_owned()))
}

async fn list(asked: Asked) -> Answer {
    let (entries, total_entries) = found(&asked).await?;
    good(Dags { dags: shown(&asked, entries).await?, total_entries })
}

async fn get(asked: Asked) -> Answer {
    let entry = find::dag(&asked).await?;
    good(one(&asked, entry).await?)
}

async fn details(asked: Asked) -> Answer {
    let entry = find::dag(&asked).await?;
    let (row, definition) = (entry.row.clone(), entry.definition.clone());
    let versions = Known::of(&asked, std::iter::once(row.dag_id.clone())).await?;
    let counts = asked.web.store.run_states(&[row.dag_id.to_string()]).await?;
    let active = counts.iter().filter(|(_, state, _)| !state.is_finished()).map(|(_, _, count)| count).sum();
    let dag = one(&asked, entry).await?;
    let concurrency = dag.max_active_tasks;
    good(DagDetails {
        dag,
        catchup: definition.catchup,
        dag_run_timeout: definition.dagrun_timeout.map(iso_duration),
        asset_expression: definition.schedule.assets().map(super::assets::expression),
        doc_md: definition.doc_md,
        start_date: definition.start_date,
        end_date: definition.end_date,
        is_paused_upon_creation: definition.is_paused_upon_creation,
        params: Some(params(&definition.params, &definition.param_schemas)),
        render_template_as_native_obj: definition.render_template_as_native_obj,
        template_search_path: Some(definition.template_searchpath),
        timezone: Some(definition.timezone.name().to_owned()),
        last_parsed: Some(row.parsed_at),
        default_args: None,
        concurrency,
        latest_dag_version: versions.get(&row.dag_id, row.version),
        active_runs_count: active,
        is_favorite: false,
    })
}

/// Parameters as Airflow shows them: each with its value and what that has to be.
pub fn params(values: &Map<String, Value>, schemas: &Map<String, Value>) -> Map<String, Value> {
    let names = values.keys().chain(schemas.keys().filter(|name| !values.contains_key(*name)));
    let param = |name: &String| {
        let schema = schemas.get(name).cloned().unwrap_or_else(|| Value::Object(Map::new()));
        let description = schema.get("description").cloned().unwrap_or(Value::Null);
        let value = values.get(name).cloned().unwrap_or(Value::Null);
        (name.clone(), serde_json::json!({ "value": value, "description": description, "schema": schema }))
    };
    names.map(param).collect()
}

fn is_masked_out(asked: &Asked) -> Result<bool, Error> {
    match asked.update_mask() {
        None => Ok(false),
        Some(fields) if fields == ["is_paused"] => Ok(false),
        Some(_) => Err(Error::Bad("Only `is_paused` field can be updated through the REST API".to_owned())),
    }
}

async fn patch(asked: Asked) -> Answer {
    let Patch { is_paused } = asked.body()?;
    let entry = find::dag(&asked).await?;
    if !is_masked_out(&asked)? {
        pause(&asked, &entry.row.dag_id, is_paused).await?;
    }
    let entry = find::dag(&asked).await?;
    good(one(&asked, entry).await?)
}

async fn patch_all(asked: Asked) -> Answer {
    let Patch { is_paused } = asked.body()?;
    is_masked_out(&asked)?;
    let (entries, total_entries) = found(&asked).await?;
    let mut changed = Vec::with_capacity(entries.len());
    for entry in entries {
        pause(&asked, &entry.row.dag_id, is_paused).await?;
        changed.push(DagEntry { row: DagRow { is_paused, ..entry.row }, ..entry });
    }
    good(Dags { dags: shown(&asked, changed).await?, total_entries })
}

async fn pause(asked: &Asked, dag: &DagId, paused: bool) -> Result<(), Error> {
    asked.web.control(asked.caller()?, Control::Pause { dag: dag.clone(), paused }).await.map(|_| ())
}

async fn delete(asked: Asked) -> Answer {
    let entry = find::dag(&asked).await?;
    asked.web.control(asked.caller()?, Control::DeleteDag { dag: entry.row.dag_id }).await?;
    super::operation::gone()
}

async fn tags(asked: Asked) -> Answer {
    let (limit, offset) = super::lists::paging(&asked)?;
    let wanted = asked.one("tag_name_pattern").map(str::to_lowercase).filter(|text| text != "~");
    let entries = asked.web.store.dags(false).await?;
    let mut tags: Vec<String> = entries.into_iter().flat_map(|entry| entry.definition.tags).collect();
    tags.sort_unstable();
    tags.dedup();
    if asked.one("order_by").is_some_and(|order| order.starts_with('-')) {
        tags.reverse();
    }
    tags.retain(|tag| wanted.as_ref().is_none_or(|wanted| tag.to_lowercase().contains(wanted.trim_matches('%'))));
    let total_entries = tags.len();
    let (from, many) = (usize::try_from(offset).unwrap_or(usize::MAX), usize::try_from(limit).unwrap_or(usize::MAX));
    good(Tags { tags: tags.into_iter().skip(from).take(many).collect(), total_entries })
}

impl Dag {
    fn of(web: &Web, entry: &DagEntry, has_import_errors: bool) -> Self {
        let (row, definition) = (&entry.row, &entry.definition);
        let next = row.next_run.as_ref();
        let timetable = Timetable::compile(&definition.schedule).ok();
        let periodic = timetable.as_ref().is_some_and(Timetable::is_periodic);
        let id = row.dag_id.to_string();
        let tag = |name: &String| DagTag { name: name.clone(), dag_id: id.clone(), dag_display_name: id.clone() };
        Self {
            is_paused: row.is_paused,
            is_stale: row.is_stale,
            last_parsed_time: Some(row.parsed_at),
            last_parse_duration: None,
            last_expired: None,
            bundle_name: Some(BUNDLE.to_owned()),
            bundle_version: None,
            relative_fileloc: Some(row.file.clone()),
            fileloc: web.settings.dags_folder.join(&row.file).to_string_lossy().into_owned(),
            description: definition.description.clone(),
            timetable_summary: summary(&definition.schedule),
            timetable_description: timetable.map(|timetable| timetable.summary().to_owned()),
            timetable_partitioned: false,
            timetable_periodic: periodic,
            tags: definition.tags.iter().map(tag).collect(),
            max_active_tasks: definition.max_active_tasks.into(),
            max_active_runs: Some(definition.max_active_runs.into()),
            max_consecutive_failed_dag_runs: definition.max_consecutive_failed_runs.map_or(0, Into::into),
            has_task_concurrency_limits: is_limited(definition),
            has_import_errors,
            next_dagrun_logical_date: next.map(|next| next.logical_date),
            next_dagrun_data_interval_start: next.map(|next| next.interval.start),
            next_dagrun_data_interval_end: next.map(|next| next.interval.end),
            next_dagrun_run_after: next.map(|next| next.run_after),
            allowed_run_types: None,
            owners: entry.owners().into_iter().map(str::to_owned).collect(),
            is_backfillable: periodic,
            file_token: base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &row.file),
            dag_display_name: id.clone(),
            dag_id: id,
        }
    }
}

fn is_limited(definition: &DagDefinition) -> bool {
    let tasks = &definition.tasks;
    tasks.iter().any(|task| task.max_active_tis_per_dag.is_some() || task.max_active_tis_per_dagrun.is_some())
}

/// As Airflow's list of DAGs shows a schedule.
fn summary(schedule: &Schedule) -> Option<String> {
    match schedule {
        Schedule::Never => None,
        Schedule::Once => Some("@once".to_owned()),
        Schedule::Continuous => Some("@continuous".to_owned()),
        Schedule::Cron { expression, .. } => Some(expression.clone()),
        Schedule::Every { period, .. } => Some(format!("{} s", period.as_secs_f64())),
        Schedule::EveryMonths { months, plus, .. } if plus.is_zero() => Some(format!("{months} months")),
        Schedule::EveryMonths { months, plus, .. } => Some(format!("{months} months and {} s", plus.as_secs_f64())),
        Schedule::Assets { time: None, .. } => Some("Asset".to_owned()),
        Schedule::Assets { time: Some(time), .. } => {
            Some(format!("Asset or {}", summary(time).unwrap_or_else(|| "None".to_owned())))
        }
    }
}
