//! What becomes of a run that is there: marked, cleared, deleted.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::protocol::control::{Clear, Control};
use crate::protocol::selection::Selection;
use crate::store::write::RunRow;
use crate::web::Error;

use super::asked::Asked;
use super::bulk::{self, Bulk, Outcome};
use super::dag_runs::{DagRun, DagRuns, shown};
use super::find::{self, ALL};
use super::lists::{Kind, Param};
use super::operation::{Answer, Operation, gone, good, may};
use super::task_instances::answer_touched;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DAGRunPatchBody)]
struct Patch {
    /// success or failed
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    note: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DAGRunClearBody)]
struct ClearBody {
    #[serde(default = "yes")]
    #[schema(default = true)]
    dry_run: bool,
    #[serde(default)]
    only_failed: bool,
    #[serde(default)]
    only_new: bool,
    /// A run that goes on always does so in the newest version of its DAG.
    #[serde(default, rename = "run_on_latest_version")]
    _run_on_latest_version: Option<bool>,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkDAGRunClearBody)]
struct ClearManyBody {
    #[serde(default = "yes")]
    #[schema(default = true)]
    dry_run: bool,
    #[serde(default)]
    only_failed: bool,
    #[serde(default)]
    only_new: bool,
    #[serde(default, rename = "run_on_latest_version")]
    _run_on_latest_version: Option<bool>,
    #[serde(default)]
    note: Option<String>,
    dag_runs: Vec<Named>,
}

/// A run by its names.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkDAGRunBody)]
struct Named {
    dag_run_id: String,
    #[serde(default)]
    dag_id: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    note: Option<String>,
}

pub fn operations() -> Vec<Operation> {
    let edit = may(Action::Edit, Resource::DagRun);
    vec![
        Operation::patch("/dags/{dag_id}/dagRuns/{dag_run_id}", "patch_dag_run", "Patch Dag Run", edit, patch)
            .params([Param::new("update_mask", Kind::Text, "The fields of the body that are meant.").repeated()])
            .takes::<Patch>()
            .answers::<DagRun>(),
        Operation::delete(
            "/dags/{dag_id}/dagRuns/{dag_run_id}",
            "delete_dag_run",
            "Delete Dag Run",
            may(Action::Delete, Resource::DagRun),
            delete,
        ),
        // Without a shape: it is the task instances that would be cleared, or the run.
        Operation::post("/dags/{dag_id}/dagRuns/{dag_run_id}/clear", "clear_dag_run", "Clear Dag Run", edit, clear)
            .takes::<ClearBody>(),
        Operation::post("/dags/{dag_id}/clearDagRuns", "clear_dag_runs", "Clear Dag Runs", edit, clear_many)
            .takes::<ClearManyBody>()
            .is_new(),
        Operation::patch("/dags/{dag_id}/dagRuns", "bulk_dag_runs", "Bulk Dag Runs", edit, change_many)
            .takes::<Bulk>()
            .answers::<bulk::Done>()
            .is_new(),
    ]
}

/// What is noted of a task instance is how it came to its state, in the engine's words.
pub fn refuse_note(note: Option<&String>) -> Result<(), Error> {
    match note {
        Some(_) => Err(Error::Bad("a note belongs to a run here: change the note of the run instead".to_owned())),
        None => Ok(()),
    }
}

async fn note_run(asked: &Asked, run: &RunRow, note: Option<String>) -> Result<(), Error> {
    const LONGEST: usize = 1_000;
    if note.as_ref().is_some_and(|note| note.chars().count() > LONGEST) {
        let message = format!("String should have at most {LONGEST} characters");
        return Err(Error::field("string_too_long", &["body", "note"], message, Value::Null));
    }
    let wish = Control::NoteRun { dag: run.dag_id.clone(), run_id: run.run_id.clone(), note };
    asked.web.control(asked.caller()?, wish).await.map(|_| ())
}

async fn patch(asked: Asked) -> Answer {
    let mut body: Patch = asked.body()?;
    if let Some(mask) = asked.update_mask() {
        body.state = body.state.filter(|_| mask.contains(&"state"));
        body.note = body.note.filter(|_| mask.contains(&"note"));
    }
    let run = find::run(&asked).await?;
    let fields = asked.object()?;
    if let Some(note) = body.note {
        note_run(&asked, &run, Some(note)).await?;
    } else if fields.contains_key("note") && asked.update_mask().is_none_or(|mask| mask.contains(&"note")) {
        // Null takes the note away.
        note_run(&asked, &run, None).await?;
    }
    if let Some(state) = &body.state {
        mark(&asked, &run, state).await?;
    }
    let row = find::run(&asked).await?;
    good(shown(&asked, row).await?)
}

async fn mark(asked: &Asked, run: &RunRow, state: &str) -> Result<(), Error> {
    let succeeded = match state {
        "success" => true,
        "failed" => false,
        "queued" => return queue(asked, run).await,
        other => {
            let message = "Input should be 'queued', 'success' or 'failed'";
            return Err(Error::field("enum", &["body", "state"], message, other.into()));
        }
    };
    let wish = Control::MarkRun { dag: run.dag_id.clone(), run_id: run.run_id.clone(), succeeded };
    asked.web.control(asked.caller()?, wish).await.map(|_| ())
}

/// A run goes on where it ended: with what failed. Where nothing did there is nothing to go on with.
async fn queue(asked: &Asked, run: &RunRow) -> Result<(), Error> {
    if !run.state.is_finished() {
        return Ok(());
    }
    let cleared = clear_run(asked, run, true, false).await?;
    if cleared.is_empty() {
        return Err(Error::conflict(format!(
            "run `{}` of DAG `{}` has no failed task, so it would end again at once: clear what is to run again",
            run.run_id, run.dag_id
        )));
    }
    Ok(())
}

async fn delete(asked: Asked) -> Answer {
    let run = find::run(&asked).await?;
    delete_run(&asked, &run).await?;
    gone()
}

async fn delete_run(asked: &Asked, run: &RunRow) -> Result<(), Error> {
    let wish = Control::DeleteRun { dag: run.dag_id.clone(), run_id: run.run_id.clone() };
    asked.web.control(asked.caller()?, wish).await.map(|_| ())
}

async fn clear_run(
    asked: &Asked,
    run: &RunRow,
    only_failed: bool,
    dry_run: bool,
) -> Result<Vec<crate::protocol::control::TouchedTask>, Error> {
    let selection = Selection::whole_run(run.dag_id.clone(), run.run_id.clone());
    let wish = Control::Clear(Clear { selection, only_failed, only_running: false, reset_runs: true, dry_run });
    let reply = asked.web.control(asked.caller()?, wish).await?;
    reply.touched().map_err(|error| Error::Internal(error.to_string()))
}

fn refuse_only_new(only_new: bool) -> Result<(), Error> {
    match only_new {
        true => Err(Error::Bad("only_new: tasks that are new in a DAG run with every clear of the run".to_owned())),
        false => Ok(()),
    }
}

async fn clear(asked: Asked) -> Answer {
    let body: ClearBody = asked.body()?;
    refuse_only_new(body.only_new)?;
    let run = find::run(&asked).await?;
    if !body.dry_run && body.note.is_some() {
        note_run(&asked, &run, body.note.clone()).await?;
    }
    let touched = clear_run(&asked, &run, body.only_failed, body.dry_run).await?;
    if body.dry_run {
        return answer_touched(&asked, &touched).await;
    }
    let row = find::run(&asked).await?;
    good(shown(&asked, row).await?)
}

async fn clear_many(asked: Asked) -> Answer {
    let body: ClearManyBody = asked.body()?;
    refuse_only_new(body.only_new)?;
    let mut runs = Vec::new();
    for named in &body.dag_runs {
        runs.push(named_run(&asked, named).await?);
    }
    let mut touched = Vec::new();
    for run in &runs {
        if !body.dry_run && body.note.is_some() {
            note_run(&asked, run, body.note.clone()).await?;
        }
        touched.append(&mut clear_run(&asked, run, body.only_failed, body.dry_run).await?);
    }
    if body.dry_run {
        return answer_touched(&asked, &touched).await;
    }
    let mut dag_runs = Vec::new();
    for run in runs {
        let row = asked.web.store.run_by_key(run.key).await?.unwrap_or(run);
        dag_runs.push(shown(&asked, row).await?);
    }
    let total_entries = dag_runs.len() as u64;
    good(DagRuns { dag_runs, total_entries, total_entries_limit: None, next_cursor: None, previous_cursor: None })
}

async fn named_run(asked: &Asked, named: &Named) -> Result<RunRow, Error> {
    let dag = named.dag_id.as_deref().unwrap_or_else(|| asked.path("dag_id"));
    if dag == ALL {
        let message = "dag_id has to be said for each run where the path says `~`";
        return Err(Error::field("missing", &["body", "entities", "dag_id"], message, json!({})));
    }
    find::run_named(asked, dag, &named.dag_run_id).await
}

async fn change_many(asked: Asked) -> Answer {
    let bulk: Bulk = asked.body()?;
    let asked = &asked;
    let change = async |verb: bulk::Verb, entity: Value, _: bool| {
        let named: Named = match entity {
            Value::String(dag_run_id) => Named { dag_run_id, dag_id: None, state: None, note: None },
            entity => super::asked::shaped(entity, &["body", "actions", "entities"])?,
        };
        let name = named.dag_run_id.clone();
        let run = match verb {
            bulk::Verb::Create => return Err(Error::Bad("a run is created by triggering it".to_owned())),
            bulk::Verb::Update | bulk::Verb::Delete => named_run(asked, &named).await?,
        };
        if let Some(note) = named.note.clone().filter(|_| verb == bulk::Verb::Update) {
            note_run(asked, &run, Some(note)).await?;
        }
        match (verb, &named.state) {
            (bulk::Verb::Delete, _) => delete_run(asked, &run).await?,
            (bulk::Verb::Create | bulk::Verb::Update, Some(state)) => mark(asked, &run, state).await?,
            (bulk::Verb::Create | bulk::Verb::Update, None) => {}
        }
        Ok(Outcome::Did(name))
    };
    good(bulk.carry_out(change).await?)
}
