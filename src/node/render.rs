//! The templates of a task as a run would render them, for people: nothing runs and nothing is recorded.

use std::collections::HashMap;

use chrono::Utc;
use serde_json::Value;

use crate::config::{Era, Settings};
use crate::domain::dag::DagDefinition;
use crate::domain::expand::Mapped;
use crate::domain::graph::{Dag, InvalidDag, TaskIx};
use crate::domain::ids::{AttemptId, Dispatch, MapIndex, RunKey, TaskId, TaskKey, TryNumber, VersionNumber};
use crate::domain::operator::Operator;
use crate::domain::problem::Problem;
use crate::domain::run::RunType;
use crate::domain::state::RunState;
use crate::domain::template::Lookups;
use crate::domain::time::Time;
use crate::protocol::control::TriggeredBy;
use crate::protocol::work::TaskMessage;
use crate::scheduler::{Surroundings, answer, linked, run_context, success_of};
use crate::store::write::{RunRow, TaskRow};
use crate::store::{Store, StoreError, Vault};
use crate::worker::mapped;
use crate::worker::mask::Mask;
use crate::worker::operator::{Unstartable, bash};
use crate::worker::question::{found, question, secrets};
use crate::worker::render::{Templates, context};

use super::run::base_url;
use super::translate::sensitive;

/// Why templates could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum NotRendered {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Template(Problem),
    /// There is no such instance of a mapped task.
    #[error("{0}")]
    Index(String),
    #[error(transparent)]
    Dag(#[from] InvalidDag),
}

/// Whose templates, and when.
pub struct Wish<'a> {
    pub task: &'a TaskId,
    /// Which instance of a mapped task; `UNMAPPED`: what is the same for all.
    pub map_index: MapIndex,
    /// Without a run, as if one of `date` were there.
    pub run: Option<RunRow>,
    pub date: Option<Time>,
}

/// Each template field of the task with its text, secrets hidden.
pub async fn rendered(
    store: &Store,
    vault: &Vault,
    settings: &Settings,
    definition: DagDefinition,
    wish: Wish<'_>,
) -> Result<Vec<(String, String)>, NotRendered> {
    let definition = match &wish.run {
        Some(run) => store.version(&run.dag_id, Some(run.version)).await?.map_or(definition, |row| row.definition),
        None => definition,
    };
    let dag = Dag::compile(definition)?;
    let Some(ix) = dag.find(wish.task) else { return Ok(Vec::new()) };
    let row = wish.run.unwrap_or_else(|| imagined(&dag, wish.date.unwrap_or_else(Utc::now)));
    let rows = if dag.mapping.of_task(ix).is_some() { store.tasks(row.key).await? } else { Vec::new() };
    let mapped = mapped(&dag, ix, &rows, wish.map_index)?;
    let surroundings = surroundings(store, settings, &row).await?;
    let mut message = message(store, &dag, ix, &row, wish.map_index, surroundings).await?;
    message.mapped = mapped;
    take_pieces(store, vault, row.key, &mut message).await?;
    let fields = fields(&message, settings);
    render(store, vault, row.key, &message, fields, settings).await
}

/// What people see instead of the map index, where a task has a `map_index_template`.
#[derive(Debug, Default)]
pub struct Labels {
    labels: HashMap<(TaskId, MapIndex), String>,
    /// Why one of them could not be rendered; the index stands for itself there.
    pub problem: Option<NotRendered>,
}

impl Labels {
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    pub fn of(&self, row: &TaskRow) -> Option<&str> {
        self.labels.get(&(row.task_id.clone(), row.map_index)).map(String::as_str)
    }
}

/// The labels of the instances of a run; `rows` are all of its task instances.
pub async fn labels(
    store: &Store,
    vault: &Vault,
    settings: &Settings,
    run: &RunRow,
    rows: &[TaskRow],
) -> Result<Labels, NotRendered> {
    let mut found = Labels::default();
    let Some(version) = store.version(&run.dag_id, Some(run.version)).await? else { return Ok(found) };
    if version.definition.tasks.iter().all(|task| task.map_index_template.is_none()) {
        return Ok(found);
    }
    let dag = Dag::compile(version.definition)?;
    let template = |row: &TaskRow| {
        let ix = dag.find(&row.task_id).filter(|_| row.map_index != MapIndex::UNMAPPED)?;
        dag.task(ix).map_index_template.clone().map(|template| (ix, template))
    };
    let surroundings = surroundings(store, settings, run).await?;
    for row in rows {
        let Some((ix, template)) = template(row) else { continue };
        let label = async {
            let mut message = message(store, &dag, ix, run, row.map_index, surroundings.clone()).await?;
            message.mapped = mapped(&dag, ix, rows, row.map_index)?;
            take_pieces(store, vault, run.key, &mut message).await?;
            let field = vec![("map_index_template".to_owned(), Value::String(template))];
            render(store, vault, run.key, &message, field, settings).await
        };
        match label.await {
            Ok(fields) => {
                let label = fields.into_iter().next().map(|(_, text)| text).unwrap_or_default();
                found.labels.insert((row.task_id.clone(), row.map_index), label);
            }
            Err(NotRendered::Store(error)) => return Err(error.into()),
            Err(problem) => found.problem = found.problem.or(Some(problem)),
        }
    }
    Ok(found)
}

/// What this instance is expanded over; an index that means nothing is refused.
fn mapped(dag: &Dag, ix: TaskIx, rows: &[TaskRow], map_index: MapIndex) -> Result<Option<Mapped>, NotRendered> {
    let task = &dag.task(ix).task_id;
    let refused = |why: String| Err(NotRendered::Index(why));
    let (expansion, index) = match (dag.mapping.of_task(ix), u32::try_from(map_index.0)) {
        (Some(at), Ok(index)) => (dag.mapping.expansion(at), index),
        (None, Ok(_)) => return refused(format!("task `{task}` is not mapped: leave out --map-index")),
        (_, Err(_)) => return Ok(None),
    };
    let mut lengths = HashMap::new();
    for (source, key) in expansion.expand.wants() {
        let Some(length) = left(rows, source, key) else {
            let why = format!("task `{task}` is expanded over what `{source}` leaves, and it left nothing in this run");
            return refused(why);
        };
        lengths.insert((source.clone(), key.to_owned()), length);
    }
    let length_of = |task: &TaskId, key: &str| lengths.get(&(task.clone(), key.to_owned())).copied().unwrap_or(0);
    let count = expansion.expand.length(&length_of).unwrap_or(0);
    match expansion.expand.pick(index, &length_of).filter(|_| index < count) {
        Some(pieces) => Ok(Some(Mapped { count, of_group: expansion.group.is_some(), pieces: Some(pieces) })),
        None => refused(no_such_index(task, index, count)),
    }
}

/// The sentence for an index beyond the last one.
pub fn no_such_index(task: &TaskId, index: u32, count: u32) -> String {
    match count {
        0 => format!("task `{task}` has no instance {index}: there is nothing to expand it over"),
        1 => format!("task `{task}` has no instance {index}: its only one is 0"),
        count => format!("task `{task}` has no instance {index}: its instances are 0 to {}", count - 1),
    }
}

/// How many values a task left under a key, for whoever is expanded over them.
fn left(rows: &[TaskRow], task: &TaskId, key: &str) -> Option<u32> {
    let mut of_task = rows.iter().filter(|row| row.task_id == *task).peekable();
    match of_task.peek() {
        None => None,
        Some(row) if row.map_index == MapIndex::UNMAPPED => row.xcom_lengths.get(key).copied().flatten(),
        Some(_) => u32::try_from(of_task.filter(|row| row.xcom_lengths.contains_key(key)).count()).ok(),
    }
}

/// Gives the operator what this instance gets, as a slot does.
async fn take_pieces(store: &Store, vault: &Vault, run: RunKey, message: &mut TaskMessage) -> Result<(), NotRendered> {
    let mut answers = Vec::new();
    for question in mapped::questions(message) {
        answers.push(answer(store, vault, run, question).await);
    }
    mapped::settle(message, answers).map_err(|Unstartable(why)| NotRendered::Index(why))
}

/// What people see: the fields of the operator; of an object of a DAG file also what it is expanded with.
fn fields(message: &TaskMessage, settings: &Settings) -> Vec<(String, Value)> {
    let mut fields = message.operator.template_fields();
    if let Operator::Bash(command) = &message.operator
        && bash::names_a_file(&command.command)
        && let Ok((_, source)) = bash::template_file(&command.command, &message.run, &settings.core.dags_folder)
    {
        fields[0].1 = source.into();
    }
    if mapped::in_dag_file(&message.operator) {
        fields.extend(mapped::names(message));
    }
    fields
}

async fn render(
    store: &Store,
    vault: &Vault,
    run: RunKey,
    message: &TaskMessage,
    fields: Vec<(String, Value)>,
    settings: &Settings,
) -> Result<Vec<(String, String)>, NotRendered> {
    let (sensitive, base_url) = (sensitive(settings), base_url(settings));
    let (context, lookups, mut mask) = (context(message, &base_url), Lookups::default(), Mask::default());
    loop {
        let mut verbatim = mapped::verbatim(message);
        if mapped::in_dag_file(&message.operator) {
            verbatim.extend(mapped::found_names(message));
        }
        let templates = Templates::new(&context, &lookups, verbatim);
        let render = |(name, value): &(String, Value)| Ok((name.clone(), templates.render_shown(name, value)?));
        let rendered: Result<Vec<(String, Value)>, Problem> = fields.iter().map(render).collect();
        let wanted = lookups.wanted();
        if wanted.is_empty() {
            let shown = |(name, value): (String, Value)| (name, mask.text(&text(value)));
            return Ok(rendered.map_err(NotRendered::Template)?.into_iter().map(shown).collect());
        }
        for wish in wanted {
            let answer = answer(store, vault, run, question(&wish)).await;
            mask.add(secrets(&sensitive, &answer, &wish));
            lookups.put(wish, found(answer));
        }
    }
}

fn text(value: Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::String(text) => text,
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            crate::domain::python_json::python_json(&value)
        }
    }
}

/// What the scheduler would know of the run from memory.
async fn surroundings(store: &Store, settings: &Settings, run: &RunRow) -> Result<Surroundings, StoreError> {
    let before = match run.logical_date {
        Some(date) => store.latest_success_before(&run.dag_id, date).await?,
        None => None,
    };
    let asset_events = store.asset_events_of_runs(&[run.key]).await?.remove(&run.key).unwrap_or_default();
    Ok(Surroundings {
        conf_overrides_params: settings.core.dag_run_conf_overrides_params,
        xcom_of_any_task: settings.core.era == Era::Airflow2,
        previous_success: before.as_ref().map(success_of),
        asset_events,
        // Nothing runs here that could be another version's.
        file_hash: None,
    })
}

/// The task's message, as a worker would get it.
async fn message(
    store: &Store,
    dag: &Dag,
    ix: TaskIx,
    run: &RunRow,
    map_index: MapIndex,
    surroundings: Surroundings,
) -> Result<TaskMessage, NotRendered> {
    let definition = dag.task(ix);
    let task = &definition.task_id;
    let known = store.task(run.key, task, map_index).await?;
    Ok(TaskMessage {
        attempt: AttemptId(uuid::Uuid::nil()),
        dispatch: Dispatch(0),
        key: TaskKey { dag: run.dag_id.clone(), run: run.run_id.clone(), task: task.clone(), map_index },
        try_number: known.map_or(TryNumber(1), |row| row.try_number.max(TryNumber(1))),
        max_tries: i32::try_from(definition.retries).unwrap_or(i32::MAX),
        operator: definition.operator.clone(),
        operator_name: definition.operator_name.clone(),
        retries: definition.retries,
        queue: definition.queue.clone(),
        owner: definition.owner.clone(),
        execution_timeout: definition.execution_timeout,
        do_xcom_push: definition.do_xcom_push,
        log_path: String::new(),
        inlets: linked(&dag.definition, &definition.inlets),
        outlets: linked(&dag.definition, &definition.outlets),
        waiting_since: None,
        reschedules: 0,
        mapped: None,
        notice: None,
        run: run_context(run, dag, Some(definition), surroundings, Utc::now()),
    })
}

/// A run that nobody asked for and nothing remembers.
fn imagined(dag: &Dag, date: Time) -> RunRow {
    let definition = &dag.definition;
    RunRow {
        key: RunKey(0),
        dag_id: definition.dag_id.clone(),
        run_id: RunType::Manual.run_id(date),
        run_type: RunType::Manual,
        state: RunState::Running,
        version: VersionNumber(0),
        logical_date: Some(date),
        interval: Some(dag.timetable.manual_interval(definition.timezone, date)),
        run_after: date,
        conf: serde_json::Map::new(),
        note: None,
        triggered_by: TriggeredBy::Test,
        user: None,
        queued_at: date,
        started_at: Some(date),
        ended_at: None,
        clear_number: 0,
        backfill: None,
    }
}
