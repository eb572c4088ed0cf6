//! The templates of a task as a run would render them, for people: nothing runs and nothing is recorded.

use chrono::Utc;
use serde_json::Value;

use crate::config::{Era, Settings};
use crate::domain::dag::DagDefinition;
use crate::domain::graph::{Dag, InvalidDag};
use crate::domain::ids::{AttemptId, Dispatch, MapIndex, RunKey, TaskId, TaskKey, TryNumber, VersionNumber};
use crate::domain::operator::Operator;
use crate::domain::problem::Problem;
use crate::domain::run::RunType;
use crate::domain::secret::Sensitive;
use crate::domain::state::RunState;
use crate::domain::template::{Lookups, Renderer};
use crate::domain::time::Time;
use crate::protocol::control::TriggeredBy;
use crate::protocol::work::TaskMessage;
use crate::scheduler::{Surroundings, answer, linked, run_context, success_of};
use crate::store::write::RunRow;
use crate::store::{Store, StoreError, Vault};
use crate::worker::mask::Mask;
use crate::worker::operator::bash;
use crate::worker::question::{found, question, secrets};
use crate::worker::render::context;

use super::run::base_url;
use super::translate::sensitive;

/// Why templates could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum NotRendered {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Template(Problem),
    #[error(transparent)]
    Dag(#[from] InvalidDag),
}

/// Each template field of the task with its text, secrets hidden. Without a run, as if one of `date` were there.
pub async fn rendered(
    store: &Store,
    vault: &Vault,
    settings: &Settings,
    definition: DagDefinition,
    task: &TaskId,
    run: Option<RunRow>,
    date: Option<Time>,
) -> Result<Vec<(String, String)>, NotRendered> {
    let definition = match &run {
        Some(run) => store.version(&run.dag_id, Some(run.version)).await?.map_or(definition, |row| row.definition),
        None => definition,
    };
    let dag = Dag::compile(definition)?;
    let row = run.unwrap_or_else(|| imagined(&dag, date.unwrap_or_else(Utc::now)));
    let surroundings = surroundings(store, settings, &row).await?;
    let Some(message) = message(store, &dag, task, &row, surroundings).await? else { return Ok(Vec::new()) };
    let mut fields = message.operator.template_fields();
    if let Operator::Bash(command) = &message.operator
        && bash::names_a_file(&command.command)
        && let Ok((_, source)) = bash::template_file(&command.command, &message.run, &settings.core.dags_folder)
    {
        fields[0].1 = source.into();
    }
    render(store, vault, row.key, &message, fields, &sensitive(settings), &base_url(settings)).await
}

async fn render(
    store: &Store,
    vault: &Vault,
    run: RunKey,
    message: &TaskMessage,
    fields: Vec<(String, Value)>,
    sensitive: &Sensitive,
    base_url: &str,
) -> Result<Vec<(String, String)>, NotRendered> {
    let (context, lookups, mut mask) = (context(message, base_url), Lookups::default(), Mask::default());
    loop {
        let renderer = Renderer::with_lookups(&context, lookups.clone());
        let render = |(name, value): &(String, Value)| Ok((name.clone(), renderer.render_value(value, name)?));
        let rendered: Result<Vec<(String, Value)>, Problem> = fields.iter().map(render).collect();
        let wanted = lookups.wanted();
        if wanted.is_empty() {
            let shown = |(name, value): (String, Value)| (name, mask.text(&text(value)));
            return Ok(rendered.map_err(NotRendered::Template)?.into_iter().map(shown).collect());
        }
        for wish in wanted {
            let answer = answer(store, vault, run, question(&wish)).await;
            mask.add(secrets(sensitive, &answer, &wish));
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
    let successes = store.latest_successes().await?;
    let before = successes.iter().find(|other| other.dag_id == run.dag_id && other.logical_date < run.logical_date);
    let asset_events = store.asset_events_of_runs(&[run.key]).await?.remove(&run.key).unwrap_or_default();
    Ok(Surroundings {
        conf_overrides_params: settings.core.dag_run_conf_overrides_params,
        xcom_of_any_task: settings.core.era == Era::Airflow2,
        previous_success: before.map(success_of),
        asset_events,
    })
}

/// The task's message, as a worker would get it; `None` where the run's version has no such task.
async fn message(
    store: &Store,
    dag: &Dag,
    task: &TaskId,
    run: &RunRow,
    surroundings: Surroundings,
) -> Result<Option<TaskMessage>, NotRendered> {
    let Some(ix) = dag.find(task) else { return Ok(None) };
    let definition = dag.task(ix);
    let known = store.task(run.key, task, MapIndex::UNMAPPED).await?;
    Ok(Some(TaskMessage {
        attempt: AttemptId(uuid::Uuid::nil()),
        dispatch: Dispatch(0),
        key: TaskKey {
            dag: run.dag_id.clone(),
            run: run.run_id.clone(),
            task: task.clone(),
            map_index: MapIndex::UNMAPPED,
        },
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
    }))
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
