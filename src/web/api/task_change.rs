//! What becomes of task instances that are there: cleared, or marked by a person.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::domain::ids::{MapIndex, RunId, TaskId};
use crate::domain::state::Mark;
use crate::protocol::control::{Clear, Control, TouchedTask};
use crate::protocol::selection::{RunRange, Selection};
use crate::web::Error;

use super::asked::Asked;
use super::bulk::{self, Bulk, Outcome};
use super::find;
use super::lists::{Kind, Param};
use super::moment::Moment;
use super::operation::{Answer, Operation, good, may};
use super::run_change::refuse_note;
use super::task_instances::{TaskInstances, answer_touched};

fn yes() -> bool {
    true
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClearTaskInstancesBody)]
struct ClearBody {
    #[serde(default = "yes")]
    #[schema(default = true)]
    dry_run: bool,
    #[serde(default)]
    start_date: Option<Day>,
    #[serde(default)]
    end_date: Option<Day>,
    #[serde(default = "yes")]
    #[schema(default = true)]
    only_failed: bool,
    #[serde(default)]
    only_running: bool,
    #[serde(default = "yes")]
    #[schema(default = true)]
    reset_dag_runs: bool,
    /// Names of tasks, or pairs of a name and a map index.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Value>>)]
    task_ids: Option<Vec<Value>>,
    #[serde(default)]
    dag_run_id: Option<String>,
    #[serde(default)]
    include_upstream: bool,
    #[serde(default)]
    include_downstream: bool,
    #[serde(default)]
    include_future: bool,
    #[serde(default)]
    include_past: bool,
    /// A run that goes on always does so in the newest version of its DAG.
    #[serde(default, rename = "run_on_latest_version")]
    _run_on_latest_version: Option<bool>,
    /// Answers 409 instead of stopping a task that runs.
    #[serde(default)]
    prevent_running_task: bool,
    #[serde(default)]
    note: Option<String>,
    /// Airflow 2 had it.
    #[serde(default, rename = "include_subdags")]
    _include_subdags: Option<bool>,
    #[serde(default, rename = "include_parentdag")]
    _include_parentdag: Option<bool>,
}

/// An instant in a body, as it is documented.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(as = Instant, value_type = String, format = DateTime)]
struct Day(Moment);

#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PatchTaskInstanceBody)]
struct Patch {
    /// success, failed or skipped
    #[serde(default, alias = "state")]
    new_state: Option<String>,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    include_upstream: bool,
    #[serde(default)]
    include_downstream: bool,
    #[serde(default)]
    include_future: bool,
    #[serde(default)]
    include_past: bool,
    /// Airflow 2's way to only ask.
    #[serde(default)]
    dry_run: Option<bool>,
}

/// A task instance in a list of changes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    task_id: String,
    #[serde(default)]
    dag_id: Option<String>,
    #[serde(default)]
    dag_run_id: Option<String>,
    #[serde(default)]
    map_index: Option<i32>,
    #[serde(default)]
    new_state: Option<String>,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    include_upstream: bool,
    #[serde(default)]
    include_downstream: bool,
    #[serde(default)]
    include_future: bool,
    #[serde(default)]
    include_past: bool,
}

/// Airflow 2's `updateTaskInstancesState`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldPatch {
    #[serde(default = "yes")]
    dry_run: bool,
    task_id: String,
    #[serde(default)]
    dag_run_id: Option<String>,
    #[serde(default, alias = "logical_date")]
    execution_date: Option<Moment>,
    #[serde(default)]
    include_upstream: bool,
    #[serde(default)]
    include_downstream: bool,
    #[serde(default)]
    include_future: bool,
    #[serde(default)]
    include_past: bool,
    new_state: String,
}

const AT: &str = "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}";
const INDEXED: &str = "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/{map_index}";

pub fn operations() -> Vec<Operation> {
    let edit = may(Action::Edit, Resource::TaskInstance);
    let mask = || Param::new("update_mask", Kind::Text, "The fields of the body that are meant.").repeated();
    let index = || Param::new("map_index", Kind::Integer, "Which element of a mapped task.");
    vec![
        Operation::post(
            "/dags/{dag_id}/clearTaskInstances",
            "post_clear_task_instances",
            "Post Clear Task Instances",
            edit,
            clear,
        )
        .takes::<ClearBody>()
        .answers::<TaskInstances>(),
        Operation::patch(
            "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/dry_run",
            "patch_task_instance_dry_run",
            "Patch Task Instance Dry Run",
            edit,
            async |asked| patch(asked, true).await,
        )
        .params([index(), mask()])
        .takes::<Patch>()
        .answers::<TaskInstances>()
        .is_new(),
        Operation::patch(
            "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/{map_index}/dry_run",
            "patch_task_instance_dry_run_by_map_index",
            "Patch Mapped Task Instance Dry Run",
            edit,
            async |asked| patch(asked, true).await,
        )
        .params([mask()])
        .takes::<Patch>()
        .answers::<TaskInstances>()
        .is_new(),
        Operation::patch(
            INDEXED,
            "patch_task_instance_by_map_index",
            "Patch Mapped Task Instance",
            edit,
            async |asked| patch(asked, false).await,
        )
        .params([mask()])
        .takes::<Patch>()
        .answers::<TaskInstances>(),
        Operation::patch(AT, "patch_task_instance", "Patch Task Instance", edit, async |asked| {
            patch(asked, false).await
        })
        .params([index(), mask()])
        .takes::<Patch>()
        .answers::<TaskInstances>(),
        Operation::patch(
            "/dags/{dag_id}/dagRuns/{dag_run_id}/taskGroupInstances/{group_id}",
            "patch_task_group_instances",
            "Patch Task Group Instances",
            edit,
            async |asked| patch_group(asked, false).await,
        )
        .params([mask()])
        .takes::<Patch>()
        .answers::<TaskInstances>()
        .is_new(),
        Operation::patch(
            "/dags/{dag_id}/dagRuns/{dag_run_id}/taskGroupInstances/{group_id}/dry_run",
            "patch_task_group_instances_dry_run",
            "Patch Task Group Instances Dry Run",
            edit,
            async |asked| patch_group(asked, true).await,
        )
        .takes::<Patch>()
        .answers::<TaskInstances>()
        .is_new(),
        Operation::patch(
            "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances",
            "bulk_task_instances",
            "Bulk Task Instances",
            edit,
            change_many,
        )
        .takes::<Bulk>()
        .answers::<bulk::Done>()
        .is_new(),
    ]
}

/// The engine clears and marks all instances of a mapped task together.
fn refuse_one_of_many(map_index: MapIndex) -> Result<(), Error> {
    match map_index {
        MapIndex::UNMAPPED => Ok(()),
        MapIndex(index) => Err(Error::Bad(format!(
            "element {index} of a mapped task cannot be changed alone: name the task without a map index, which means all its elements"
        ))),
    }
}

fn task_named(value: Value) -> Result<TaskId, Error> {
    let wrong = |message: String| Error::field("value_error", &["body", "task_ids"], message, Value::Null);
    let (name, map_index) = match value {
        Value::String(name) => (name, -1),
        Value::Array(pair) => match <[Value; 2]>::try_from(pair) {
            Ok([Value::String(name), Value::Number(index)]) => (name, index.as_i64().unwrap_or(-1)),
            Ok(_) | Err(_) => return Err(wrong("expected a pair of a task id and a map index".to_owned())),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(wrong("expected a task id, or a pair of a task id and a map index".to_owned()));
        }
    };
    refuse_one_of_many(MapIndex(i32::try_from(map_index).unwrap_or(0)))?;
    TaskId::new(&name).map_err(|error| wrong(error.to_string()))
}

async fn clear(asked: Asked) -> Answer {
    let body: ClearBody = asked.body()?;
    let entry = find::dag(&asked).await?;
    refuse_note(body.note.as_ref())?;
    let runs = match &body.dag_run_id {
        Some(name) => {
            let run = find::run_named(&asked, entry.row.dag_id.as_str(), name).await?;
            RunRange::Names { run_ids: vec![run.run_id] }
        }
        None => RunRange::Dates { from: body.start_date.map(|day| day.0.0), until: body.end_date.map(|day| day.0.0) },
    };
    if body.dag_run_id.is_none() && (body.include_future || body.include_past) {
        return Err(Error::Bad("Cannot use include_past or include_future with no dag_run_id".to_owned()));
    }
    let tasks = body.task_ids.unwrap_or_default().into_iter().map(task_named).collect::<Result<_, _>>()?;
    let selection = Selection {
        dag: entry.row.dag_id,
        runs,
        tasks,
        upstream: body.include_upstream,
        downstream: body.include_downstream,
        past: body.include_past,
        future: body.include_future,
    };
    let wish = |dry_run| {
        Control::Clear(Clear {
            selection: selection.clone(),
            only_failed: body.only_failed,
            only_running: body.only_running,
            reset_runs: body.reset_dag_runs,
            dry_run,
        })
    };
    if body.prevent_running_task && !body.dry_run {
        let planned = touched(&asked, wish(true)).await?;
        if let Some(task) = planned.iter().find(|task| task.state.occupies_slots()) {
            return Err(Error::conflict(format!(
                "{} is {} and is not stopped, as prevent_running_task says",
                task.key, task.state
            )));
        }
    }
    let touched = touched(&asked, wish(body.dry_run)).await?;
    answer_touched(&asked, &touched).await
}

async fn touched(asked: &Asked, wish: Control) -> Result<Vec<TouchedTask>, Error> {
    let reply = asked.web.control(asked.caller()?, wish).await?;
    reply.touched().map_err(|error| Error::Internal(error.to_string()))
}

fn mark_of(word: &str) -> Result<Mark, Error> {
    match word {
        "success" => Ok(Mark::Success),
        "failed" => Ok(Mark::Failed),
        "skipped" => Ok(Mark::Skipped),
        other => {
            let message = format!("'{other}' is not one of ['success', 'failed', 'skipped']");
            Err(Error::field("value_error", &["body", "new_state"], message, other.into()))
        }
    }
}

fn read_patch(asked: &Asked) -> Result<Patch, Error> {
    let mut body: Patch = asked.body()?;
    if let Some(mask) = asked.update_mask() {
        body.new_state = body.new_state.filter(|_| mask.contains(&"new_state"));
        body.note = body.note.filter(|_| mask.contains(&"note"));
    }
    refuse_note(body.note.as_ref())?;
    Ok(body)
}

impl Patch {
    fn selection(&self, run: &crate::store::write::RunRow, tasks: Vec<TaskId>) -> Selection {
        Selection {
            tasks,
            upstream: self.include_upstream,
            downstream: self.include_downstream,
            past: self.include_past,
            future: self.include_future,
            ..Selection::whole_run(run.dag_id.clone(), run.run_id.clone())
        }
    }
}

async fn patch(asked: Asked, only_asks: bool) -> Answer {
    let body = read_patch(&asked)?;
    let (run, row) = match asked.path("map_index") {
        "" if asked.one("map_index").is_none() => {
            let run = find::run(&asked).await?;
            let id = find::task_id(&asked, &run)?;
            let row = asked.web.store.tasks(run.key).await?.into_iter().find(|row| row.task_id == id);
            match row {
                Some(row) => (run, row),
                // For its 404.
                None => find::task(&asked).await?,
            }
        }
        _ => {
            let (run, row) = find::task(&asked).await?;
            refuse_one_of_many(row.map_index)?;
            (run, row)
        }
    };
    let Some(word) = &body.new_state else {
        let key = crate::domain::ids::TaskKey {
            dag: run.dag_id,
            run: run.run_id,
            task: row.task_id,
            map_index: row.map_index,
        };
        return answer_touched(&asked, &[TouchedTask { key, state: row.state }]).await;
    };
    let mark = mark_of(word)?;
    let dry_run = only_asks || body.dry_run.unwrap_or(false);
    let wish = Control::MarkTasks { selection: body.selection(&run, vec![row.task_id]), mark, dry_run };
    let touched = touched(&asked, wish).await?;
    answer_touched(&asked, &touched).await
}

async fn patch_group(asked: Asked, only_asks: bool) -> Answer {
    let body = read_patch(&asked)?;
    let (entry, run) = (find::dag(&asked).await?, find::run(&asked).await?);
    let group = asked.path("group_id");
    let tasks: Vec<TaskId> = entry.definition.tasks_of_group(group).into_iter().cloned().collect();
    if tasks.is_empty() {
        return Err(Error::NotFound(format!("The task group `{group}` was not found in DAG `{}`", run.dag_id)));
    }
    let word = body.new_state.as_deref();
    let word = word.ok_or_else(|| Error::field("missing", &["body", "new_state"], "Field required", json!({})))?;
    let wish = Control::MarkTasks { mark: mark_of(word)?, selection: body.selection(&run, tasks), dry_run: only_asks };
    let touched = touched(&asked, wish).await?;
    answer_touched(&asked, &touched).await
}

async fn change_many(asked: Asked) -> Answer {
    let bulk: Bulk = asked.body()?;
    let asked = &asked;
    let change = async |verb: bulk::Verb, entity: Value, _: bool| {
        match verb {
            bulk::Verb::Update => {}
            bulk::Verb::Create => return Err(Error::Bad("a task instance is created with its run".to_owned())),
            bulk::Verb::Delete => return Err(Error::Bad("a task instance is deleted with its run".to_owned())),
        }
        let named: Named = super::asked::shaped(entity, &["body", "actions", "entities"])?;
        refuse_note(named.note.as_ref())?;
        refuse_one_of_many(MapIndex(named.map_index.unwrap_or(-1)))?;
        let dag = named.dag_id.as_deref().unwrap_or_else(|| asked.path("dag_id"));
        let run = named.dag_run_id.as_deref().unwrap_or_else(|| asked.path("dag_run_id"));
        let run = find::run_named(asked, dag, run).await?;
        let task = TaskId::new(&named.task_id).map_err(|error| Error::NotFound(error.to_string()))?;
        let name = format!("{}.{}.{}[-1]", run.dag_id, run.run_id, task);
        if let Some(word) = &named.new_state {
            let selection = Selection {
                tasks: vec![task],
                upstream: named.include_upstream,
                downstream: named.include_downstream,
                past: named.include_past,
                future: named.include_future,
                ..Selection::whole_run(run.dag_id.clone(), run.run_id.clone())
            };
            touched(asked, Control::MarkTasks { selection, mark: mark_of(word)?, dry_run: false }).await?;
        }
        Ok(Outcome::Did(name))
    };
    good(bulk.carry_out(change).await?)
}

/// Airflow 2's way to mark: by a task and a run, or the run's date.
pub async fn mark_the_old_way(asked: Asked) -> Answer {
    let body: OldPatch = asked.body()?;
    let entry = find::dag(&asked).await?;
    let missing = |name: &str| Error::NotFound(format!("The DagRun with {name} was not found"));
    let run_id: RunId = match (&body.dag_run_id, body.execution_date) {
        (Some(name), _) => find::run_named(&asked, entry.row.dag_id.as_str(), name).await?.run_id,
        (None, Some(date)) => {
            let run = asked.web.store.run_of_date(&entry.row.dag_id, date.0).await?;
            run.ok_or_else(|| missing("that execution_date"))?.run_id
        }
        (None, None) => return Err(Error::Bad("give dag_run_id or execution_date".to_owned())),
    };
    let task = TaskId::new(&body.task_id).map_err(|error| Error::NotFound(error.to_string()))?;
    let selection = Selection {
        tasks: vec![task],
        upstream: body.include_upstream,
        downstream: body.include_downstream,
        past: body.include_past,
        future: body.include_future,
        ..Selection::whole_run(entry.row.dag_id, run_id)
    };
    let wish = Control::MarkTasks { selection, mark: mark_of(&body.new_state)?, dry_run: body.dry_run };
    let touched = touched(&asked, wish).await?;
    answer_touched(&asked, &touched).await
}
