//! The store's rows as the core wants them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::graph::Dag;
use crate::domain::state::RunState;
use crate::store::query::RunFilter;
use crate::store::{Store, StoreError};

use super::core::Ids;
use super::restore::{Unfinished, UnfinishedRun};

/// Ids that no other life of any scheduler makes.
pub(super) fn fresh_ids() -> Ids {
    Ids::seeded(fastrand::u64(..))
}

/// The store's rows as the core wants them.
pub(super) async fn load(store: &Store) -> Result<Unfinished, StoreError> {
    let loaded = store.load().await?;
    let mut versions = HashMap::new();
    for version in loaded.versions {
        let name = (version.dag_id.clone(), version.version);
        match Dag::compile(version.definition) {
            Ok(dag) => {
                versions.insert(name, Arc::new(dag));
            }
            Err(error) => {
                tracing::error!(dag = %version.dag_id, version = version.version.0, %error, "a stored DAG version cannot be used")
            }
        }
    }
    let mut recent = Vec::new();
    for dag in &loaded.dags {
        let newest: Option<&Arc<Dag>> = versions.get(&(dag.dag_id.clone(), dag.version));
        let Some(limit) = newest.and_then(|dag| dag.definition.max_consecutive_failed_runs) else { continue };
        let filter = RunFilter {
            dag: Some(dag.dag_id.clone()),
            states: vec![RunState::Success, RunState::Failed],
            limit: Some(limit.get().into()),
            ..RunFilter::default()
        };
        recent.extend(store.runs(&filter).await?);
    }
    let mut events = loaded.events_of_runs;
    let mut tasks: HashMap<_, Vec<_>> = HashMap::new();
    for task in loaded.tasks {
        tasks.entry(task.run).or_default().push(task);
    }
    let mut decisions: HashMap<_, Vec<_>> = HashMap::new();
    for decision in loaded.decisions {
        decisions.entry(decision.run).or_default().push(decision);
    }
    let mut attempts: HashMap<_, Vec<_>> = HashMap::new();
    for attempt in loaded.attempts {
        attempts.entry(attempt.run).or_default().push(attempt);
    }
    let runs = loaded.runs.into_iter().map(|row| UnfinishedRun {
        tasks: tasks.remove(&row.key).unwrap_or_default(),
        attempts: attempts.remove(&row.key).unwrap_or_default(),
        decisions: decisions.remove(&row.key).unwrap_or_default(),
        events: events.remove(&row.key).unwrap_or_default(),
        row,
    });
    Ok(Unfinished {
        dags: loaded.dags,
        versions,
        runs: runs.collect(),
        notifications: loaded.notifications,
        deadlines: loaded.deadlines,
        pools: loaded.pools,
        workers: loaded.workers,
        next_run: loaded.next_run,
        taken_dates: loaded.taken_dates,
        recent,
        backfills: loaded.backfills,
        next_backfill: loaded.next_backfill,
        assets: loaded.assets,
        queued: loaded.queued,
        next_event: loaded.next_event,
        successes: store.latest_successes().await?,
    })
}
