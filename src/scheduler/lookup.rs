//! What the core cannot know from memory: finished runs, and the values that tasks left.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::asset::{Asset, AssetEvent, normalized_uri};
use crate::domain::backfill::Step;
use crate::domain::connection::Connection;
use crate::domain::expand::{Piece, element_of};
use crate::domain::graph::Dag;
use crate::domain::ids::{
    AssetName, BackfillId, ConnectionId, DagId, MapIndex, RunId, RunKey, TaskId, VariableKey, VersionNumber,
};
use crate::domain::run::RunType;
use crate::domain::secret::Hidden;
use crate::domain::skip::SKIP_KEY;
use crate::domain::state::RunState;
use crate::domain::wait::Awaited;
use crate::protocol::control::{Control, Trigger};
use crate::protocol::selection::Selection;
use crate::protocol::work::{Answer, Question};
use crate::store::write::RunRow;
use crate::store::{Store, StoreError, Variable, Vault};

use super::core::{History, Input, Inquiry, KnownPast, KnownRun, LookBack, PreviousRun, Stands};
use super::finding;
use super::looking::look_at;

/// An input with what the store knows about it, read with nothing uncommitted.
pub(super) async fn with_history(store: &Store, input: Input) -> Result<Input, (Input, StoreError)> {
    match input {
        Input::Control { ticket, control, .. } => match history(store, &control).await {
            Ok(history) => Ok(Input::Control { ticket, control, history }),
            Err(error) => Err((Input::Control { ticket, control, history: History::default() }, error)),
        },
        Input::DatesKnown { inquiry, .. } => match dates(store, &inquiry).await {
            Ok(history) => Ok(Input::DatesKnown { inquiry, history }),
            Err(error) => Err((Input::DatesKnown { inquiry, history: History::default() }, error)),
        },
        Input::FilesChanged(_)
        | Input::LookedBack { .. }
        | Input::Seen { .. }
        | Input::Unreadable { .. }
        | Input::Worker(_)
        | Input::WorkerLost { .. }
        | Input::Suspect { .. }
        | Input::Trusted { .. }
        | Input::FolderRead
        | Input::Leaving
        | Input::Tick => Ok(input),
    }
}

/// What the history says about a control.
pub(super) async fn history(store: &Store, control: &Control) -> Result<History, StoreError> {
    match control {
        Control::Trigger(trigger) => taken(store, trigger).await,
        Control::Materialize(_)
        | Control::Pause { .. }
        | Control::SetPool(_)
        | Control::DeletePool { .. }
        | Control::OrderWorkers { .. }
        | Control::ExplainDag { .. } => Ok(History::default()),
        Control::Clear(clear) => selected(store, &clear.selection).await,
        Control::MarkTasks { selection, .. } => selected(store, selection).await,
        Control::MarkRun { dag, run_id, .. }
        | Control::NoteRun { dag, run_id, .. }
        | Control::Explain { dag, run_id, .. } => {
            selected(store, &Selection::whole_run(dag.clone(), run_id.clone())).await
        }
        Control::CreateBackfill { .. } => Ok(History::default()),
        Control::PauseBackfill { backfill, .. } | Control::CancelBackfill { backfill } => {
            let row = store.backfill(*backfill).await?.map(|entry| entry.row);
            Ok(History { backfills: row.into_iter().collect(), ..History::default() })
        }
        Control::Clean(clean) => Ok(History { old_runs: store.old_runs(clean).await?, ..History::default() }),
        Control::DeleteRun { dag, run_id } => {
            let run = store.run(dag, run_id).await?;
            Ok(History { old_runs: run.into_iter().map(|run| run.key).collect(), ..History::default() })
        }
        Control::DeleteDag { dag } => {
            let source = store.version(dag, None).await?.map(|version| version.source);
            Ok(History { source, ..History::default() })
        }
    }
}

async fn taken(store: &Store, trigger: &Trigger) -> Result<History, StoreError> {
    let mut history = History::default();
    if let Some(run_id) = &trigger.run_id {
        history.same_id = store.run(&trigger.dag, run_id).await?.map(|run| run.run_id);
    }
    if let Some(date) = trigger.logical_date {
        history.same_date = store.run_of_date(&trigger.dag, date).await?.map(|run| run.run_id);
    }
    Ok(history)
}

/// The runs that are meant, with everything about those that memory may have forgotten.
async fn selected(store: &Store, selection: &Selection) -> Result<History, StoreError> {
    let rows = store.selected_runs(selection).await?;
    let mut history = known(store, &selection.dag, rows, |run| run.state.is_finished()).await?;
    let ids: BTreeSet<BackfillId> =
        history.runs.iter().filter_map(|run| run.row.backfill).map(|place| place.backfill).collect();
    for id in ids {
        history.backfills.extend(store.backfill(id).await?.map(|entry| entry.row));
    }
    Ok(history)
}

/// What there is of the dates that a backfill comes to next.
async fn dates(store: &Store, inquiry: &Inquiry) -> Result<History, StoreError> {
    let days = || inquiry.dates.iter().map(|date| date.logical_date);
    let (Some(first), Some(last)) = (days().min(), days().max()) else { return Ok(History::default()) };
    let rows = store.runs_between(&inquiry.dag, first, last).await?;
    let runs_again = |run: &RunRow| inquiry.reprocess.step(Some(run.state)) == Step::Reprocess;
    let ids: Vec<RunId> = inquiry.dates.iter().map(|date| RunType::Backfill.run_id(date.run_after)).collect();
    let taken_ids = store.taken_run_ids(&inquiry.dag, &ids).await?;
    Ok(History { taken_ids, ..known(store, &inquiry.dag, rows, runs_again).await? })
}

/// The runs, with the task instances of those that are `wanted`.
async fn known(
    store: &Store,
    dag: &DagId,
    rows: Vec<RunRow>,
    wanted: impl Fn(&RunRow) -> bool,
) -> Result<History, StoreError> {
    let finished: Vec<RunKey> = rows.iter().filter(|run| wanted(run)).map(|run| run.key).collect();
    let mut tasks: HashMap<RunKey, Vec<_>> = HashMap::new();
    for task in store.tasks_of_runs(&finished).await? {
        tasks.entry(task.run).or_default().push(task);
    }
    let mut decisions: HashMap<RunKey, Vec<_>> = HashMap::new();
    for decision in store.xcoms_of_runs(&finished, SKIP_KEY).await? {
        decisions.entry(decision.run).or_default().push(decision);
    }
    let mut events = store.asset_events_of_runs(&finished).await?;
    let present = store.dag(dag).await?.map(|entry| entry.row.version);
    let mut versions: HashMap<VersionNumber, Option<Arc<Dag>>> = HashMap::new();
    let mut runs = Vec::with_capacity(rows.len());
    for row in rows {
        if wanted(&row) && Some(row.version) != present && !versions.contains_key(&row.version) {
            versions.insert(row.version, version(store, &row.dag_id, row.version).await?);
        }
        let dag = versions.get(&row.version).cloned().flatten();
        let tasks = tasks.remove(&row.key).unwrap_or_default();
        let decisions = decisions.remove(&row.key).unwrap_or_default();
        let events = events.remove(&row.key).unwrap_or_default();
        runs.push(KnownRun { tasks, decisions, events, dag, row });
    }
    Ok(History { runs, ..History::default() })
}

/// What the history says about the runs before one run.
pub(super) async fn past(store: &Store, question: &LookBack) -> Result<KnownPast, StoreError> {
    let LookBack { dag, before, manual_runs_count, first_of, .. } = question;
    let (before, manual_runs_count) = (*before, *manual_runs_count);
    let mut past = KnownPast {
        manual_runs_count,
        is_newest: !store.has_run_after(dag, before, manual_runs_count).await?,
        ..KnownPast::default()
    };
    if let Some(run) = store.run_before(dag, before, manual_runs_count).await? {
        let tasks = store.tasks(run.key).await?;
        past.previous = run.logical_date.map(|logical_date| PreviousRun {
            key: run.key,
            logical_date,
            stands: Stands::of_rows(&tasks),
        });
    }
    for task in first_of {
        if store.has_task_before(dag, task, before).await? {
            past.seen.insert(task.clone());
        }
    }
    Ok(past)
}

/// A version of former times; one that can no longer be used is said, and done without.
async fn version(store: &Store, dag: &DagId, number: VersionNumber) -> Result<Option<Arc<Dag>>, StoreError> {
    let Some(row) = store.version(dag, Some(number)).await? else { return Ok(None) };
    match Dag::compile(row.definition) {
        Ok(compiled) => Ok(Some(Arc::new(compiled))),
        Err(error) => {
            tracing::warn!(%dag, version = number.0, %error, "a stored DAG version cannot be used");
            Ok(None)
        }
    }
}

/// The answer to a running task's question.
pub async fn answer(store: &Store, vault: &Vault, run: RunKey, question: Question) -> Answer {
    match question {
        Question::GetXCom { task_id, map_index, key, run_id, dag_id } => {
            match xcom(store, run, task_id, map_index, key, dag_id.zip(run_id)).await {
                Ok(value) => Answer::XCom { value },
                Err(why) => Answer::Refused { why },
            }
        }
        Question::GetNewestXCom { task_id, key, run_id, dag_id, prior_dates } => {
            match newest_xcom(store, run, task_id, key, dag_id, run_id, prior_dates).await {
                Ok(value) => Answer::XCom { value },
                Err(why) => Answer::Refused { why },
            }
        }
        Question::GetMapped { task_id, key, index } => match mapped(store, run, task_id, &key, index).await {
            Ok(piece) => Answer::Mapped { piece },
            Err(why) => Answer::Refused { why },
        },
        Question::GetVariable { key } => match variable(vault, &key).await {
            Ok(value) => Answer::Variable { value: value.map(Hidden) },
            Err(why) => Answer::Refused { why },
        },
        Question::GetConnection { conn_id } => match connection(vault, &conn_id).await {
            Ok(connection) => Answer::Connection { connection: connection.map(Box::new) },
            Err(why) => Answer::Refused { why },
        },
        Question::SetVariable { key, value, description } => {
            let set = set_variable(vault, key, value, description).await;
            set.map_or_else(|why| Answer::Refused { why }, |()| Answer::Stored)
        }
        Question::DeleteVariable { key } => match delete_variable(vault, &key).await {
            Ok(existed) => Answer::Deleted { existed },
            Err(why) => Answer::Refused { why },
        },
        Question::GetAssetEvents { name, uri, limit } => match asset_events(store, name, uri, limit).await {
            Ok(events) => Answer::AssetEvents { events },
            Err(why) => Answer::Refused { why },
        },
        Question::GetRunState { dag_id, run_id } => match run_state(store, dag_id, run_id).await {
            Ok(state) => Answer::RunState { state },
            Err(why) => Answer::Refused { why },
        },
        Question::GetXComs { task_id, key, run_id, dag_id } => {
            match finding::xcoms(store, run, task_id, &key, dag_id.zip(run_id)).await {
                Ok(values) => Answer::XComs { values },
                Err(why) => Answer::Refused { why },
            }
        }
        Question::FindRuns(asked) => match finding::runs(store, asked).await {
            Ok(runs) => Answer::Runs { runs },
            Err(why) => Answer::Refused { why },
        },
        Question::FindTasks(asked) => match finding::tasks(store, asked).await {
            Ok(tasks) => Answer::Tasks { tasks },
            Err(why) => Answer::Refused { why },
        },
        Question::LookAt { tasks } => match look_at(store, &Awaited::Tasks(tasks)).await {
            Ok(seen) => Answer::Seen { seen },
            Err(error) => Answer::Refused { why: error.to_string() },
        },
        // Done by the core, never looked up.
        Question::SetXCom { .. } | Question::TriggerDagRun(_) | Question::ClearRun { .. } => {
            Answer::Refused { why: "a wish is no question".to_owned() }
        }
    }
}

async fn run_state(store: &Store, dag: String, run: String) -> Result<Option<RunState>, String> {
    let dag = DagId::new(dag).map_err(|invalid| invalid.to_string())?;
    let run = RunId::new(run).map_err(|invalid| invalid.to_string())?;
    let row = store.run(&dag, &run).await.map_err(|error| error.to_string())?;
    Ok(row.map(|row| row.state))
}

async fn variable(vault: &Vault, key: &str) -> Result<Option<String>, String> {
    let key = VariableKey::new(key).map_err(|invalid| invalid.to_string())?;
    vault.find_variable(&key).await.map_err(|error| error.to_string())
}

async fn set_variable(vault: &Vault, key: String, value: Hidden, description: Option<String>) -> Result<(), String> {
    let key = VariableKey::new(key).map_err(|invalid| invalid.to_string())?;
    // As in Airflow, what is only changed keeps its description.
    let description = match description {
        Some(text) => Some(text),
        None => vault.variable(&key).await.ok().flatten().and_then(|known| known.description),
    };
    let variable = Variable { key, value: value.0, description };
    vault.set_variables(&[variable]).await.map_err(|error| error.to_string())
}

async fn delete_variable(vault: &Vault, key: &str) -> Result<bool, String> {
    let key = VariableKey::new(key).map_err(|invalid| invalid.to_string())?;
    vault.delete_variable(&key).await.map_err(|error| error.to_string())
}

/// Enough for everybody who does not say how many.
const EVENTS: u64 = 1_000;

async fn asset_events(
    store: &Store,
    name: Option<String>,
    uri: Option<String>,
    limit: Option<u64>,
) -> Result<Vec<AssetEvent>, String> {
    let said = |error: StoreError| error.to_string();
    let mut known = None;
    if let Some(name) = name {
        let name = AssetName::new(name).map_err(|invalid| invalid.to_string())?;
        known = store.asset(&name).await.map_err(said)?;
    }
    if let (None, Some(uri)) = (&known, uri) {
        // As a task writes it, which may be another form of the one that is kept.
        let uri = normalized_uri(&uri).map_or(uri, |(uri, _)| uri);
        known = store.asset_by_uri(&uri).await.map_err(said)?;
    }
    let Some(Asset { name, .. }) = known else { return Ok(Vec::new()) };
    store.asset_events(&name, limit.unwrap_or(EVENTS).min(EVENTS)).await.map_err(|error| error.to_string())
}

async fn connection(vault: &Vault, id: &str) -> Result<Option<Connection>, String> {
    let id = ConnectionId::new(id).map_err(|invalid| invalid.to_string())?;
    vault.find_connection(&id).await.map_err(|error| error.to_string())
}

/// `prior_dates` counts up to the logical date of the run that asks, whatever DAG it asks about.
async fn newest_xcom(
    store: &Store,
    own: RunKey,
    task_id: Option<String>,
    key: String,
    dag_id: Option<String>,
    run_id: Option<String>,
    prior_dates: bool,
) -> Result<Option<serde_json::Value>, String> {
    let said = |error: StoreError| error.to_string();
    let Some(asking) = store.run_by_key(own).await.map_err(said)? else { return Ok(None) };
    let dag = match dag_id {
        Some(dag) => DagId::new(dag).map_err(|invalid| invalid.to_string())?,
        None => asking.dag_id,
    };
    let task = task_id.map(TaskId::new).transpose().map_err(|invalid| invalid.to_string())?;
    if let (true, Some(until)) = (prior_dates, asking.logical_date) {
        return store.prior_xcom(&dag, task.as_ref(), &key, until).await.map_err(said);
    }
    let run = match run_id {
        Some(run) => {
            let run = RunId::new(run).map_err(|invalid| invalid.to_string())?;
            store.run(&dag, &run).await.map_err(said)?.map(|run| run.key)
        }
        None => Some(own),
    };
    match run {
        Some(run) => store.newest_xcom(run, task.as_ref(), &key).await.map_err(said),
        None => Ok(None),
    }
}

/// One element: of a list or a dict, or of what the instances of a mapped task left.
async fn mapped(store: &Store, run: RunKey, task_id: String, key: &str, index: u32) -> Result<Option<Piece>, String> {
    let task = TaskId::new(task_id).map_err(|invalid| invalid.to_string())?;
    let whole = store.xcom(run, &task, MapIndex::UNMAPPED, key).await.map_err(|error| error.to_string())?;
    if let Some(row) = whole {
        return Ok(element_of(&row.value, index));
    }
    let one = store.xcom_of_instance(run, &task, key, index).await.map_err(|error| error.to_string())?;
    Ok(one.map(|row| Piece::Found { value: row.value }))
}

async fn xcom(
    store: &Store,
    own: RunKey,
    task_id: String,
    map_index: Option<i32>,
    key: String,
    elsewhere: Option<(String, String)>,
) -> Result<Option<serde_json::Value>, String> {
    let task = TaskId::new(task_id).map_err(|invalid| invalid.to_string())?;
    let run = match elsewhere {
        None => Some(own),
        Some((dag, run)) => {
            let dag = DagId::new(dag).map_err(|invalid| invalid.to_string())?;
            let run = RunId::new(run).map_err(|invalid| invalid.to_string())?;
            store.run(&dag, &run).await.map_err(|error| error.to_string())?.map(|run| run.key)
        }
    };
    let Some(run) = run else { return Ok(None) };
    let index = map_index.map_or(MapIndex::UNMAPPED, MapIndex);
    let row = store.xcom(run, &task, index, &key).await.map_err(|error| error.to_string())?;
    if row.is_some() || map_index.is_some() {
        return Ok(row.map(|row| row.value));
    }
    // Of a mapped task: what each instance left, by map index.
    let all = store.xcoms_of_instances(run, &task, &key).await.map_err(|error| error.to_string())?;
    Ok((!all.is_empty()).then(|| all.into_iter().map(|row| row.value).collect()))
}
