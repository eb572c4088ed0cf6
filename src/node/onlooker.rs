//! How a process that schedules nothing hears of changes: by looking at the database, while somebody watches. What it
//! saw before is compared with what it sees now.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::domain::ids::{DagId, MapIndex, RunId, TaskId, TaskKey, TryNumber};
use crate::protocol::event::Change;
use crate::store::query::{Stirring, StirringDag, StirringTask};
use crate::store::{Store, StoreError};
use crate::web::watch::Sink;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(150);
/// A look that takes long is taken seldom: at most this part of the time is spent on looking.
const SHARE: u32 = 8;
/// What cannot be read now may be read later.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks, and tells what changed, for as long as it is polled.
pub(super) async fn look_on(store: Store, sink: &Sink) {
    let mut seen: Option<Seen> = None;
    loop {
        let begun = Instant::now();
        match look(&store, seen.as_ref()).await {
            Ok(now) => {
                match &seen {
                    None => sink.opened(),
                    Some(before) => now.since(before).into_iter().for_each(|change| sink.change(Utc::now(), change)),
                }
                seen = Some(now);
                tokio::time::sleep(EVERY.max(begun.elapsed() * SHARE)).await;
            }
            Err(error) => {
                tracing::debug!(%error, "cannot look at the database now");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}

async fn look(store: &Store, before: Option<&Seen>) -> Result<Seen, StoreError> {
    let Some(before) = before else {
        let newest = store.newest_run().await?;
        return Ok(Seen::of(store.stirring(&[], None).await?, newest));
    };
    // Where there was no run, every run is new.
    let newest = before.newest.unwrap_or(i64::MIN);
    Ok(Seen::of(store.stirring(&before.under_way(), Some(newest)).await?, before.newest))
}

/// What one look saw.
#[derive(Default)]
struct Seen {
    /// The newest run of all.
    newest: Option<i64>,
    /// DAG, run and state.
    runs: HashMap<i64, (String, String, String)>,
    tasks: HashMap<(i64, String, i32), (String, i32)>,
    dags: HashMap<String, StirringDag>,
}

impl Seen {
    fn of(stirring: Stirring, newest: Option<i64>) -> Self {
        let task = |task: StirringTask| ((task.run, task.task_id, task.map_index), (task.state, task.try_number));
        Self {
            newest: stirring.runs.iter().map(|run| run.id).max().max(newest),
            runs: stirring.runs.into_iter().map(|run| (run.id, (run.dag_id, run.run_id, run.state))).collect(),
            tasks: stirring.tasks.into_iter().map(task).collect(),
            dags: stirring.dags.into_iter().map(|dag| (dag.dag_id.clone(), dag)).collect(),
        }
    }

    fn under_way(&self) -> Vec<i64> {
        let is_under_way = |state: &str| matches!(state, "queued" | "running");
        self.runs.iter().filter(|(_, (.., state))| is_under_way(state)).map(|(id, _)| *id).collect()
    }

    /// What changed, in an order that makes sense: DAGs, then tasks, then the runs that they are part of. A name that
    /// this version does not understand is passed over.
    fn since(&self, before: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (dag, now) in &self.dags {
            if before.dags.get(dag) != Some(now)
                && let Ok(dag) = DagId::new(dag)
            {
                changes.push(Change::Dag { dag });
            }
        }
        for (place, now) in &self.tasks {
            if before.tasks.get(place) != Some(now)
                && let Some(change) = self.task(place, now)
            {
                changes.push(change);
            }
        }
        for (id, (dag, run, state)) in &self.runs {
            let was = before.runs.get(id).map(|(.., state)| state);
            if was != Some(state)
                && let (Ok(dag), Ok(run), Ok(state)) = (DagId::new(dag), RunId::new(run), state.parse())
            {
                changes.push(Change::Run { dag, run, state });
            }
        }
        changes
    }

    fn task(&self, (run, task, map_index): &(i64, String, i32), (state, number): &(String, i32)) -> Option<Change> {
        let (dag, run, _) = self.runs.get(run)?;
        let key = TaskKey {
            dag: DagId::new(dag).ok()?,
            run: RunId::new(run).ok()?,
            task: TaskId::new(task).ok()?,
            map_index: MapIndex(*map_index),
        };
        Some(Change::Task { key, state: state.parse().ok()?, try_number: TryNumber(*number) })
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::state::{RunState, TaskState};
    use crate::store::query::StirringRun;

    use super::*;

    fn look(run: &str, task: (&str, i32), paused: bool) -> Seen {
        let run = StirringRun { id: 1, dag_id: "d".into(), run_id: "r".into(), state: run.into() };
        let task =
            StirringTask { run: 1, task_id: "t".into(), map_index: -1, state: task.0.into(), try_number: task.1 };
        let dag =
            StirringDag { dag_id: "d".into(), version: 1, is_paused: paused, is_stale: false, next_run_after: None };
        Seen::of(Stirring { runs: vec![run], tasks: vec![task], dags: vec![dag] }, None)
    }

    #[test]
    fn only_what_changed_between_two_looks_is_told() {
        let before = look("running", ("running", 1), false);
        assert_eq!(look("running", ("running", 1), false).since(&before), []);
        let changes = look("success", ("success", 1), true).since(&before);
        assert_eq!(changes.len(), 3, "{changes:?}");
        assert!(matches!(&changes[0], Change::Dag { dag } if dag.as_str() == "d"));
        assert!(matches!(&changes[1], Change::Task { state: TaskState::Success, .. }));
        assert!(matches!(&changes[2], Change::Run { state: RunState::Success, .. }));
        let retried = look("running", ("running", 2), false).since(&before);
        assert!(matches!(&retried[..], [Change::Task { try_number: TryNumber(2), .. }]));
    }

    #[test]
    fn a_run_that_ended_is_looked_at_once_more_and_then_forgotten() {
        assert_eq!(look("running", ("none", 0), false).under_way(), [1]);
        assert!(look("failed", ("none", 0), false).under_way().is_empty());
    }
}
