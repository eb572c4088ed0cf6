//! What a running task wants to know of runs, task instances and the values of mapped tasks: looked up, never changed.

use std::collections::HashSet;
use std::str::FromStr;

use serde_json::Value;

use crate::domain::ids::{DagId, MapIndex, RunId, RunKey, TaskId};
use crate::domain::state::RunState;
use crate::protocol::found::{FoundRun, FoundTask, RunsAsked, TasksAsked};
use crate::store::query::RunFilter;
use crate::store::write::RunRow;
use crate::store::{Store, StoreError};

/// Nobody counts further than this by asking; who has more runs gives names or dates.
const MOST_RUNS: u64 = 10_000;

/// Runs, the newest first.
pub(super) async fn runs(store: &Store, asked: RunsAsked) -> Result<Vec<FoundRun>, String> {
    Ok(rows(store, asked).await?.into_iter().map(found_run).collect())
}

/// Task instances of such runs, in the order of the runs.
pub(super) async fn tasks(store: &Store, asked: TasksAsked) -> Result<Vec<FoundTask>, String> {
    let rows = rows(store, asked.runs).await?;
    let keys: Vec<RunKey> = rows.iter().map(|run| run.key).collect();
    let instances = store.tasks_of_runs(&keys).await.map_err(said)?;
    let mut found = Vec::new();
    for run in rows {
        let group = match &asked.group {
            Some(group) => Some(members(store, &run, group).await?),
            None => None,
        };
        let is_wanted = |task: &TaskId| {
            let is_named = asked.task_ids.as_ref().is_none_or(|ids| ids.iter().any(|id| id == task.as_str()));
            group.as_ref().map_or(is_named, |group| group.contains(task))
        };
        let of_run = instances.iter().filter(|task| task.run == run.key && is_wanted(&task.task_id));
        let of_index = of_run.filter(|task| asked.map_index.is_none_or(|index| task.map_index == MapIndex(index)));
        found.extend(of_index.map(|task| FoundTask {
            run_id: run.run_id.to_string(),
            logical_date: run.logical_date,
            task_id: task.task_id.to_string(),
            map_index: task.map_index.0,
            state: task.state,
            try_number: task.try_number.0,
            operator: task.operator.clone(),
            started_at: task.started_at,
            ended_at: task.ended_at,
        }));
    }
    Ok(found)
}

/// What a task left under a key: one value, or one of each instance by map index.
pub(super) async fn xcoms(
    store: &Store,
    own: RunKey,
    task_id: String,
    key: &str,
    elsewhere: Option<(String, String)>,
) -> Result<Vec<Value>, String> {
    let task = TaskId::new(task_id).map_err(|invalid| invalid.to_string())?;
    let run = match elsewhere {
        None => Some(own),
        Some((dag, run)) => {
            let (dag, run) = (dag_id(dag)?, RunId::new(run).map_err(|invalid| invalid.to_string())?);
            store.run(&dag, &run).await.map_err(said)?.map(|run| run.key)
        }
    };
    let Some(run) = run else { return Ok(Vec::new()) };
    if let Some(row) = store.xcom(run, &task, MapIndex::UNMAPPED, key).await.map_err(said)? {
        return Ok(vec![row.value]);
    }
    let all = store.xcoms_of_instances(run, &task, key).await.map_err(said)?;
    Ok(all.into_iter().map(|row| row.value).collect())
}

async fn rows(store: &Store, asked: RunsAsked) -> Result<Vec<RunRow>, String> {
    let RunsAsked { dag_id: dag, run_ids, logical_dates, states, before, limit } = asked;
    let dag = dag_id(dag)?;
    // A state that no run can have is no mistake: none has it.
    let states = states.map(|words| words.iter().filter_map(|word| RunState::from_str(word).ok()).collect::<Vec<_>>());
    if states.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let mut rows = match (&run_ids, &logical_dates) {
        (Some(ids), _) => {
            let mut rows = Vec::new();
            for id in ids.iter().collect::<HashSet<_>>() {
                let id = RunId::new(id.clone()).map_err(|invalid| invalid.to_string())?;
                rows.extend(store.run(&dag, &id).await.map_err(said)?);
            }
            rows
        }
        (None, Some(dates)) => {
            let mut rows = Vec::new();
            for date in dates.iter().collect::<HashSet<_>>() {
                rows.extend(store.run_of_date(&dag, *date).await.map_err(said)?);
            }
            rows
        }
        (None, None) => {
            let until = before;
            // The run of that very date may be the newest one found, and is none of those before it.
            let limit = Some(limit.map_or(MOST_RUNS, |limit| limit.saturating_add(1).min(MOST_RUNS)));
            let states = states.clone().unwrap_or_default();
            let filter = RunFilter { dag: Some(dag), states, until, limit, ..RunFilter::default() };
            store.runs(&filter).await.map_err(said)?
        }
    };
    rows.retain(|run| {
        states.as_ref().is_none_or(|states| states.contains(&run.state))
            && logical_dates.as_ref().is_none_or(|dates| run.logical_date.is_some_and(|date| dates.contains(&date)))
            && before.is_none_or(|before| run.logical_date.is_some_and(|date| date < before))
    });
    rows.sort_by_key(|run| std::cmp::Reverse((run.run_after, run.key)));
    rows.truncate(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX));
    Ok(rows)
}

/// The tasks of a group as the run knows it.
async fn members(store: &Store, run: &RunRow, group: &str) -> Result<HashSet<TaskId>, String> {
    let version = store.version(&run.dag_id, Some(run.version)).await.map_err(said)?;
    Ok(version.map(|row| row.definition.tasks_of_group(group).into_iter().cloned().collect()).unwrap_or_default())
}

fn found_run(run: RunRow) -> FoundRun {
    FoundRun {
        run_id: run.run_id.to_string(),
        run_type: run.run_type,
        state: run.state,
        logical_date: run.logical_date,
        interval: run.interval,
        run_after: run.run_after,
        started_at: run.started_at,
        ended_at: run.ended_at,
        conf: run.conf,
        note: run.note,
        user: run.user,
        clear_number: run.clear_number,
    }
}

fn dag_id(dag: String) -> Result<DagId, String> {
    DagId::new(dag).map_err(|invalid| invalid.to_string())
}

fn said(error: StoreError) -> String {
    error.to_string()
}
