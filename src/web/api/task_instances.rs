//! Task instances and their tries, for reading.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{Action, Resource};
use crate::domain::attempt::{AttemptState, Outcome};
use crate::domain::ids::{MapIndex, RunKey, TryNumber};
use crate::domain::state::TaskState;
use crate::protocol::control::{Control, TouchedTask};
use crate::store::query::{Cell, Listing, RUN_IS_OPEN, Test, task_fields};
use crate::store::write::{AttemptRow, RunRow, TaskRow};
use crate::web::Error;

use super::asked::Asked;
use super::dag_versions::{DagVersion, Known};
use super::find::{self, ALL};
use super::lists::{Cursors, Kind, Lists, Param, counted_limit, pattern, prefix, range, value, word};
use super::moment::seconds_between;
use super::operation::{Answer, Operation, good, may};

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TaskInstanceResponse)]
pub struct TaskInstance {
    id: Uuid,
    task_id: String,
    dag_id: String,
    dag_run_id: String,
    map_index: i32,
    logical_date: Option<DateTime<Utc>>,
    run_after: DateTime<Utc>,
    start_date: Option<DateTime<Utc>>,
    end_date: Option<DateTime<Utc>>,
    duration: Option<f64>,
    state: Option<&'static str>,
    try_number: i32,
    max_tries: i32,
    task_display_name: String,
    dag_display_name: String,
    hostname: Option<String>,
    unixname: Option<String>,
    pool: String,
    pool_slots: u32,
    queue: Option<String>,
    priority_weight: Option<i32>,
    operator: Option<String>,
    operator_name: Option<String>,
    queued_when: Option<DateTime<Utc>>,
    scheduled_when: Option<DateTime<Utc>>,
    pid: Option<u32>,
    executor: Option<String>,
    executor_config: &'static str,
    note: Option<String>,
    rendered_map_index: Option<String>,
    #[schema(value_type = Object)]
    rendered_fields: Value,
    #[schema(value_type = Option<Object>)]
    trigger: Option<Value>,
    #[schema(value_type = Option<Object>)]
    triggerer_job: Option<Value>,
    dag_version: Option<DagVersion>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TaskInstanceCollectionResponse)]
pub struct TaskInstances {
    pub task_instances: Vec<TaskInstance>,
    pub total_entries: u64,
    pub total_entries_limit: Option<u64>,
    pub next_cursor: Option<String>,
    pub previous_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TaskInstanceHistoryResponse)]
struct Try {
    task_id: String,
    dag_id: String,
    dag_run_id: String,
    map_index: i32,
    start_date: Option<DateTime<Utc>>,
    end_date: Option<DateTime<Utc>>,
    duration: Option<f64>,
    state: Option<&'static str>,
    try_number: i32,
    max_tries: i32,
    task_display_name: String,
    dag_display_name: String,
    hostname: Option<String>,
    unixname: Option<String>,
    pool: String,
    pool_slots: u32,
    queue: Option<String>,
    priority_weight: Option<i32>,
    operator: Option<String>,
    operator_name: Option<String>,
    queued_when: Option<DateTime<Utc>>,
    scheduled_when: Option<DateTime<Utc>>,
    pid: Option<u32>,
    executor: Option<String>,
    executor_config: &'static str,
    dag_version: Option<DagVersion>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TaskInstanceHistoryCollectionResponse)]
struct Tries {
    task_instances: Vec<Try>,
    total_entries: usize,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TaskDependencyResponse)]
struct Dependency {
    name: String,
    reason: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TaskDependencyCollectionResponse)]
struct Dependencies {
    dependencies: Vec<Dependency>,
}

/// Filters in a body.
#[derive(Deserialize, ToSchema)]
#[schema(as = TaskInstancesBatchBody)]
#[expect(dead_code, reason = "it is read like a query; this documents it")]
struct Batch {
    dag_ids: Option<Vec<String>>,
    dag_run_ids: Option<Vec<String>>,
    task_ids: Option<Vec<String>>,
    state: Option<Vec<Option<String>>>,
    pool: Option<Vec<String>>,
    queue: Option<Vec<String>>,
    order_by: Option<String>,
    page_offset: Option<u64>,
    page_limit: Option<u64>,
    run_after_gte: Option<DateTime<Utc>>,
    run_after_lte: Option<DateTime<Utc>>,
    logical_date_gte: Option<DateTime<Utc>>,
    logical_date_lte: Option<DateTime<Utc>>,
    start_date_gte: Option<DateTime<Utc>>,
    start_date_lte: Option<DateTime<Utc>>,
    end_date_gte: Option<DateTime<Utc>>,
    end_date_lte: Option<DateTime<Utc>>,
    duration_gte: Option<f64>,
    duration_lte: Option<f64>,
}

pub fn task_states() -> Vec<&'static str> {
    TaskState::ALL.map(TaskState::as_str).to_vec()
}

const LISTS: Lists = Lists {
    order: task_fields::ALL,
    usual: "",
    filters: &[
        value("task_id", task_fields::TASK_ID),
        value("dag_id", task_fields::DAG_ID),
        value("dag_run_id", task_fields::RUN_ID),
        range("run_after", task_fields::RUN_AFTER),
        range("logical_date", task_fields::LOGICAL_DATE),
        range("execution_date", task_fields::LOGICAL_DATE),
        range("start_date", task_fields::START_DATE),
        range("end_date", task_fields::END_DATE),
        range("duration", task_fields::DURATION),
        pattern("task_display_name_pattern", task_fields::TASK_ID),
        prefix("task_display_name_prefix_pattern", task_fields::TASK_ID),
        pattern("dag_id_pattern", task_fields::DAG_ID),
        prefix("dag_id_prefix_pattern", task_fields::DAG_ID),
        pattern("run_id_pattern", task_fields::RUN_ID),
        prefix("run_id_prefix_pattern", task_fields::RUN_ID),
        word("state", task_fields::STATE, task_states),
        value("pool", task_fields::POOL),
        pattern("pool_name_pattern", task_fields::POOL),
        prefix("pool_name_prefix_pattern", task_fields::POOL),
        value("queue", task_fields::QUEUE),
        pattern("queue_name_pattern", task_fields::QUEUE),
        prefix("queue_name_prefix_pattern", task_fields::QUEUE),
        value("operator", task_fields::OPERATOR),
        pattern("operator_name_pattern", task_fields::OPERATOR),
        prefix("operator_name_prefix_pattern", task_fields::OPERATOR),
        value("version_number", task_fields::VERSION_NUMBER),
        value("try_number", task_fields::TRY_NUMBER),
        value("map_index", task_fields::MAP_INDEX),
    ],
};

/// Where a task instance stands.
const AT: &str = "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}";

pub fn operations() -> Vec<Operation> {
    let read = may(Action::Read, Resource::TaskInstance);
    let group = || Param::new("task_group_id", Kind::Text, "Only the tasks of this group; for one DAG.");
    let index = || Param::new("map_index", Kind::Integer, "Which element of a mapped task.");
    vec![
        Operation::post(
            "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/list",
            "get_task_instances_batch",
            "Get Task Instances Batch",
            read,
            batch,
        )
        .takes::<Batch>()
        .answers::<TaskInstances>(),
        Operation::get(
            "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances",
            "get_task_instances",
            "Get Task Instances",
            read,
            list,
        )
        .lists(&LISTS)
        .params([group(), Cursors::param()])
        .answers::<TaskInstances>(),
        Operation::get(
            "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/listMapped",
            "get_mapped_task_instances",
            "Get Mapped Task Instances",
            read,
            list_mapped,
        )
        .lists(&LISTS)
        .answers::<TaskInstances>(),
        Operation::get(concat_at("/tries"), "get_task_instance_tries", "Get Task Instance Tries", read, tries)
            .params([index()])
            .answers::<Tries>(),
        Operation::get(
            concat_at("/tries/{task_try_number}"),
            "get_task_instance_try_details",
            "Get Task Instance Try Details",
            read,
            one_try,
        )
        .params([index()])
        .answers::<Try>(),
        Operation::get(
            concat_at("/dependencies"),
            "get_task_instance_dependencies",
            "What holds a task instance now",
            read,
            dependencies,
        )
        .params([index()])
        .answers::<Dependencies>(),
        Operation::get(
            concat_at("/{map_index}/tries"),
            "get_mapped_task_instance_tries",
            "Get Mapped Task Instance Tries",
            read,
            tries,
        )
        .answers::<Tries>(),
        Operation::get(
            concat_at("/{map_index}/tries/{task_try_number}"),
            "get_mapped_task_instance_try_details",
            "Get Mapped Task Instance Try Details",
            read,
            one_try,
        )
        .answers::<Try>(),
        Operation::get(
            concat_at("/{map_index}/dependencies"),
            "get_task_instance_dependencies_by_map_index",
            "What holds a mapped task instance now",
            read,
            dependencies,
        )
        .answers::<Dependencies>(),
        Operation::get(concat_at("/{map_index}"), "get_mapped_task_instance", "Get Mapped Task Instance", read, get)
            .answers::<TaskInstance>(),
        Operation::get(AT, "get_task_instance", "Get Task Instance", read, get).answers::<TaskInstance>(),
    ]
}

/// A path below a task instance.
fn concat_at(rest: &'static str) -> &'static str {
    // Made once for the one table of operations, which lives as long as the program.
    format!("{AT}{rest}").leak()
}

impl TaskInstance {
    pub fn of(run: &RunRow, row: TaskRow, versions: &Known, executor: &str) -> Self {
        let name = format!("updraft:task_instance/{}/{}/{}/{}", run.dag_id, run.run_id, row.task_id, row.map_index);
        Self {
            id: Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()),
            task_id: row.task_id.to_string(),
            task_display_name: row.task_id.to_string(),
            dag_id: run.dag_id.to_string(),
            dag_display_name: run.dag_id.to_string(),
            dag_run_id: run.run_id.to_string(),
            map_index: row.map_index.0,
            logical_date: run.logical_date,
            run_after: run.run_after,
            start_date: row.started_at,
            end_date: row.ended_at,
            duration: seconds_between(row.started_at, row.ended_at),
            state: word_of(row.state),
            try_number: row.try_number.0,
            max_tries: row.max_tries,
            hostname: row.hostname,
            unixname: None,
            pool: row.pool.to_string(),
            pool_slots: row.pool_slots,
            queue: Some(row.queue.to_string()),
            priority_weight: Some(row.priority_weight),
            operator_name: Some(row.operator.clone()),
            operator: Some(row.operator),
            queued_when: row.queued_at,
            scheduled_when: row.scheduled_at,
            pid: row.pid,
            executor: Some(executor.to_owned()),
            executor_config: "{}",
            note: row.note,
            rendered_map_index: (row.map_index != MapIndex::UNMAPPED).then(|| row.map_index.to_string()),
            rendered_fields: json!({}),
            trigger: None,
            triggerer_job: None,
            dag_version: versions.get(&run.dag_id, run.version),
        }
    }
}

/// Airflow's `none` is null.
fn word_of(state: TaskState) -> Option<&'static str> {
    (state != TaskState::None).then(|| state.as_str())
}

/// Task instances as they are shown, in their order.
pub async fn shown(asked: &Asked, rows: Vec<TaskRow>) -> Result<Vec<TaskInstance>, Error> {
    let keys: Vec<RunKey> = rows.iter().map(|row| row.run).collect();
    let runs = asked.web.store.runs_by_key(&keys).await?;
    let versions = Known::of(asked, runs.values().map(|run| run.dag_id.clone())).await?;
    let executor = asked.web.settings.executor.to_string();
    let one = |row: TaskRow| runs.get(&row.run).map(|run| TaskInstance::of(run, row, &versions, &executor));
    Ok(rows.into_iter().filter_map(one).collect())
}

fn collection(task_instances: Vec<TaskInstance>, total_entries: u64) -> TaskInstances {
    TaskInstances {
        task_instances,
        total_entries,
        total_entries_limit: counted_limit(total_entries),
        next_cursor: None,
        previous_cursor: None,
    }
}

/// What a change touched, as it is now.
pub async fn answer_touched(asked: &Asked, touched: &[TouchedTask]) -> Answer {
    let mut runs: HashMap<(&str, &str), Option<RunRow>> = HashMap::new();
    let mut rows = Vec::with_capacity(touched.len());
    for TouchedTask { key, .. } in touched {
        let names = (key.dag.as_str(), key.run.as_str());
        let run = match runs.get(&names) {
            Some(known) => known.clone(),
            None => {
                let found = asked.web.store.run(&key.dag, &key.run).await?;
                runs.insert(names, found.clone());
                found
            }
        };
        if let Some(run) = run {
            rows.extend(asked.web.store.task(run.key, &key.task, key.map_index).await?);
        }
    }
    let total = rows.len() as u64;
    good(collection(shown(asked, rows).await?, total))
}

/// Where the path says to look: in one run, in a DAG's runs, or everywhere.
async fn scope(asked: &Asked, listing: Listing) -> Result<Listing, Error> {
    let (dag, run) = (asked.path("dag_id"), asked.path("dag_run_id"));
    match (dag == ALL, run == ALL) {
        (true, true) => Ok(listing),
        (true, false) => Ok(listing.only(task_fields::RUN_ID, run)),
        (false, true) => {
            let entry = find::dag(asked).await?;
            Ok(listing.only(task_fields::DAG_ID, entry.row.dag_id.as_str()))
        }
        (false, false) => {
            let run = find::run(asked).await?;
            Ok(listing.only(task_fields::RUN, Cell::Integer(run.key.0)))
        }
    }
}

async fn list(asked: Asked) -> Answer {
    let mut listing = scope(&asked, LISTS.read(&asked)?).await?;
    if let Some(group) = asked.one("task_group_id").filter(|_| asked.path("dag_id") != ALL) {
        let entry = find::dag(&asked).await?;
        let names = entry.definition.tasks_of_group(group).into_iter().map(|id| id.as_str().into()).collect();
        listing = listing.and(task_fields::TASK_ID, Test::OneOf(names));
    }
    answer_page(&asked, listing).await
}

/// Who asks for what is under way is led there by the runs that are: what a task instance of a run that is over can
/// be is left out of account.
fn narrowed(listing: Listing) -> Listing {
    let is_under_way = |cell: &Cell| match cell {
        Cell::Text(word) => {
            word.parse::<TaskState>().is_ok_and(|state| !state.is_finished() && state != TaskState::None)
        }
        Cell::Integer(_) | Cell::Flag(_) => false,
    };
    let states = listing.wanted.iter().filter(|wanted| wanted.field == task_fields::STATE);
    let is_narrow = states.into_iter().any(|wanted| match &wanted.test {
        Test::OneOf(cells) => cells.iter().all(is_under_way),
        _ => false,
    });
    if is_narrow { listing.and(RUN_IS_OPEN, Test::Holds) } else { listing }
}

async fn answer_page(asked: &Asked, mut listing: Listing) -> Answer {
    let by_cursor = Cursors::read(asked, &mut listing)?;
    let listing = narrowed(listing);
    let page = asked.web.store.list_tasks(&listing).await?;
    let cursors = Cursors::around(by_cursor, &listing, page.rows.len());
    let collection = collection(shown(asked, page.rows).await?, page.total);
    good(TaskInstances { next_cursor: cursors.next, previous_cursor: cursors.previous, ..collection })
}

async fn batch(asked: Asked) -> Answer {
    let names = [
        ("dag_ids", "dag_id"),
        ("dag_run_ids", "dag_run_id"),
        ("task_ids", "task_id"),
        ("page_limit", "limit"),
        ("page_offset", "offset"),
    ];
    let asked = asked.with_filters_of_body(&names)?;
    let listing = scope(&asked, LISTS.read(&asked)?).await?;
    answer_page(&asked, listing).await
}

async fn list_mapped(asked: Asked) -> Answer {
    let run = find::run(&asked).await?;
    let task = find::task_id(&asked, &run)?;
    let listing = LISTS
        .read(&asked)?
        .only(task_fields::RUN, Cell::Integer(run.key.0))
        .only(task_fields::TASK_ID, task.as_str())
        .and(task_fields::MAP_INDEX, Test::AtLeast(Cell::Integer(0)));
    let page = asked.web.store.list_tasks(&listing).await?;
    if page.total == 0 && asked.web.store.task(run.key, &task, MapIndex::UNMAPPED).await?.is_none() {
        return Err(Error::NotFound(format!("Task id {task} not found")));
    }
    good(collection(shown(&asked, page.rows).await?, page.total))
}

async fn get(asked: Asked) -> Answer {
    let (_, row) = find::task(&asked).await?;
    let shown = shown(&asked, vec![row]).await?.pop();
    good(shown.ok_or_else(|| Error::NotFound("its run is gone".to_owned()))?)
}

/// The attempts of a task instance, oldest first.
pub async fn attempts(asked: &Asked, run: &RunRow, row: &TaskRow) -> Result<Vec<AttemptRow>, Error> {
    let mut attempts = asked.web.store.attempts(run.key, Some(&row.task_id)).await?;
    attempts.retain(|attempt| attempt.map_index == row.map_index);
    Ok(attempts)
}

async fn every_try(asked: &Asked) -> Result<Vec<Try>, Error> {
    let (run, row) = find::task(asked).await?;
    let versions = Known::of(asked, std::iter::once(run.dag_id.clone())).await?;
    let version = versions.get(&run.dag_id, run.version);
    let executor = asked.web.settings.executor.to_string();
    // A sensor that looked twice in one try had two attempts: the newest tells how the try stands.
    let mut tries: Vec<AttemptRow> = Vec::new();
    for attempt in attempts(asked, &run, &row).await? {
        tries.retain(|known| known.try_number != attempt.try_number);
        tries.push(attempt);
    }
    Ok(tries.into_iter().map(|attempt| Try::of(&run, &row, &attempt, version.clone(), &executor)).collect())
}

impl Try {
    fn of(run: &RunRow, row: &TaskRow, attempt: &AttemptRow, dag_version: Option<DagVersion>, executor: &str) -> Self {
        let is_newest = row.attempt == Some(attempt.id) || row.try_number == attempt.try_number;
        let state = if is_newest { row.state } else { state_of(attempt.state) };
        Self {
            task_id: row.task_id.to_string(),
            task_display_name: row.task_id.to_string(),
            dag_id: run.dag_id.to_string(),
            dag_display_name: run.dag_id.to_string(),
            dag_run_id: run.run_id.to_string(),
            map_index: row.map_index.0,
            start_date: attempt.started_at,
            end_date: attempt.ended_at,
            duration: seconds_between(attempt.started_at, attempt.ended_at),
            state: word_of(state),
            try_number: attempt.try_number.0,
            max_tries: row.max_tries,
            hostname: row.hostname.clone().filter(|_| is_newest),
            unixname: None,
            pool: row.pool.to_string(),
            pool_slots: row.pool_slots,
            queue: Some(row.queue.to_string()),
            priority_weight: Some(row.priority_weight),
            operator: Some(row.operator.clone()),
            operator_name: Some(row.operator.clone()),
            queued_when: Some(attempt.queued_at),
            scheduled_when: row.scheduled_at.filter(|_| is_newest),
            pid: row.pid.filter(|_| is_newest),
            executor: Some(executor.to_owned()),
            executor_config: "{}",
            dag_version,
        }
    }
}

/// What an attempt that is not the newest left behind.
fn state_of(state: AttemptState) -> TaskState {
    match state {
        AttemptState::Queued { .. } => TaskState::Queued,
        AttemptState::Run { .. } => TaskState::Running,
        AttemptState::Ending { .. } => TaskState::Restarting,
        AttemptState::Done { outcome, .. } => match outcome {
            Outcome::Success => TaskState::Success,
            Outcome::Skipped => TaskState::Skipped,
            Outcome::Rescheduled => TaskState::UpForReschedule,
            Outcome::Deferred => TaskState::Deferred,
            Outcome::Failed { .. }
            | Outcome::TimedOut
            | Outcome::Killed
            | Outcome::Fenced
            | Outcome::Lost
            | Outcome::NeverStarted
            | Outcome::Undeliverable => TaskState::Failed,
        },
    }
}

async fn tries(asked: Asked) -> Answer {
    let task_instances = every_try(&asked).await?;
    good(Tries { total_entries: task_instances.len(), task_instances })
}

async fn one_try(asked: Asked) -> Answer {
    let number: i32 = asked.number_in_path("task_try_number")?;
    let found = every_try(&asked).await?.into_iter().find(|one| one.try_number == number);
    good(found.ok_or_else(|| no_try(&asked, TryNumber(number)))?)
}

pub fn no_try(asked: &Asked, number: TryNumber) -> Error {
    Error::NotFound(format!(
        "The Task Instance with dag_id: `{}`, run_id: `{}`, task_id: `{}` has no try {number}",
        asked.path("dag_id"),
        asked.path("dag_run_id"),
        asked.path("task_id")
    ))
}

/// Airflow names what a task waits for only while it waits; so does this.
async fn dependencies(asked: Asked) -> Answer {
    let (run, row) = find::task(&asked).await?;
    let is_waiting = matches!(row.state, TaskState::None | TaskState::Scheduled | TaskState::UpForRetry);
    if !is_waiting {
        return good(Dependencies { dependencies: Vec::new() });
    }
    let wish = Control::Explain { dag: run.dag_id, run_id: run.run_id, task: row.task_id, map_index: row.map_index };
    let reply = asked.web.control(asked.caller()?, wish).await?;
    let explained = reply.explained().map_err(|error| Error::Internal(error.to_string()))?;
    let dependency = |blocker: &crate::domain::blocker::Blocker| {
        let name = serde_json::to_value(blocker).ok().and_then(|value| value["reason"].as_str().map(str::to_owned));
        Dependency { name: name.unwrap_or_default(), reason: blocker.sentence(explained.at) }
    };
    good(Dependencies { dependencies: explained.reasons.iter().map(dependency).collect() })
}
