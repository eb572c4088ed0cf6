//! The writes of one commit, sorted by table, at most one per key. Pure.
//!
//! Whole rows make this sound: of two writes to one key the last one is all
//! that a reader could ever see after the commit.

use std::collections::HashMap;
use std::hash::Hash;

use crate::domain::asset::{Asset, AssetEvent};
use crate::domain::attempt::AttemptState;
use crate::domain::ids::{
    AssetEventId, AssetName, AttemptId, BackfillId, CommandId, DagId, MapIndex, NotificationId, PoolName, RunKey,
    TaskId, VersionNumber, WorkerId,
};
use crate::domain::problem::Problem;
use crate::domain::time::Time;
use crate::protocol::control::Reply;

use super::error::Refused;
use super::write::{
    AttemptRow, BackfillRow, CleanedRows, DagRow, DeadlineRow, NotificationRow, PoolRow, QueueRow, RunRow, TaskRow,
    VersionRow, WorkerRow, Write, XComRow,
};

pub(super) type QueueKey = (DagId, AssetEventId);
type TaskKey = (RunKey, TaskId, MapIndex);

/// What one commit writes, table by table.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// What goes before anything comes.
    pub deleted: Keyed<DagId, DagId>,
    pub cleaned: Vec<CleanedRows>,
    pub versions: Keyed<(DagId, VersionNumber), VersionRow>,
    pub dags: Keyed<DagId, DagRow>,
    pub runs: Keyed<RunKey, RunRow>,
    /// `Err`: the row goes.
    pub tasks: Keyed<TaskKey, Result<TaskRow, TaskKey>>,
    pub attempts: Keyed<AttemptId, AttemptRow>,
    /// Whose values go, before any value comes.
    pub cleared: Keyed<TaskKey, TaskKey>,
    pub xcoms: Keyed<(TaskKey, String), XComRow>,
    pub notifications: Keyed<NotificationId, NotificationRow>,
    pub deadlines: Keyed<(RunKey, u32), DeadlineRow>,
    pub problems: Keyed<String, (String, Vec<Problem>, Time)>,
    pub assets: Keyed<AssetName, Asset>,
    pub events: Keyed<AssetEventId, AssetEvent>,
    /// `Err`: nobody waits for it any more.
    pub queued: Keyed<QueueKey, Result<QueueRow, QueueKey>>,
    pub workers: Keyed<WorkerId, WorkerRow>,
    /// `Err`: the pool goes.
    pub pools: Keyed<PoolName, Result<PoolRow, PoolName>>,
    pub backfills: Keyed<BackfillId, BackfillRow>,
    pub replies: Keyed<CommandId, (CommandId, Reply, Time)>,
}

impl Batch {
    pub fn collect(writes: Vec<Write>) -> Result<Self, Refused> {
        let mut batch = Self::default();
        for write in writes {
            batch.add(write)?;
        }
        Ok(batch)
    }

    fn add(&mut self, write: Write) -> Result<(), Refused> {
        match write {
            Write::Dag(row) => self.dags.put(row.dag_id.clone(), row),
            Write::Version(row) => self.add_version(*row)?,
            Write::Run(row) => self.runs.put(row.key, row),
            Write::Task(row) => self.tasks.put((row.run, row.task_id.clone(), row.map_index), Ok(row)),
            Write::DropTask { run, task, map_index } => {
                let key = (run, task, map_index);
                self.tasks.put(key.clone(), Err(key));
            }
            Write::Attempt(row) => self.add_attempt(row)?,
            Write::XCom(row) => {
                let key = ((row.run, row.task_id.clone(), row.map_index), row.key.clone());
                self.xcoms.put(key, row);
            }
            Write::Notification(row) => self.notifications.put(row.id, *row),
            Write::Deadline(row) => self.deadlines.put((row.run, row.number), row),
            Write::ClearXComs { run, task, map_index } => {
                let key = (run, task, map_index);
                self.xcoms.drop_where(|(of, _)| *of == key);
                self.cleared.put(key.clone(), key);
            }
            Write::FileProblems { file, problems, at } => self.problems.put(file.clone(), (file, problems, at)),
            Write::Asset(asset) => self.assets.put(asset.name.clone(), asset),
            Write::AssetEvent(event) => self.events.put(event.id, event),
            Write::Queued(row) => self.queued.put((row.dag.clone(), row.event), Ok(row)),
            Write::Dequeued { dag, event } => self.queued.put((dag.clone(), event), Err((dag, event))),
            Write::Worker(row) => self.workers.put(row.id, row),
            Write::Pool(row) => self.pools.put(row.name.clone(), Ok(row)),
            Write::DeletePool(name) => self.pools.put(name.clone(), Err(name)),
            Write::Backfill(row) => self.backfills.put(row.id, *row),
            Write::Clean(rows) => self.cleaned.push(*rows),
            Write::DeleteDag(dag) => self.delete(dag),
            Write::CommandDone { id, reply, at } => self.replies.put(id, (id, reply, at)),
        }
        Ok(())
    }

    /// What was written of the DAG so far is not written at all.
    fn delete(&mut self, dag: DagId) {
        let is_run = |run: &RunRow| run.dag_id == dag;
        let runs: Vec<RunKey> = self.runs.iter().filter(|run| is_run(run)).map(|run| run.key).collect();
        self.versions.drop_where(|(of, _)| *of == dag);
        self.dags.drop_where(|of| *of == dag);
        self.runs.drop_where(|key| runs.contains(key));
        self.tasks.drop_where(|(run, ..)| runs.contains(run));
        self.xcoms.drop_where(|((run, ..), _)| runs.contains(run));
        let attempts: Vec<AttemptId> =
            self.attempts.iter().filter(|attempt| runs.contains(&attempt.run)).map(|attempt| attempt.id).collect();
        self.attempts.drop_where(|id| attempts.contains(id));
        let backfills: Vec<BackfillId> =
            self.backfills.iter().filter(|row| row.request.dag == dag).map(|row| row.id).collect();
        self.backfills.drop_where(|id| backfills.contains(id));
        self.deleted.put(dag.clone(), dag);
    }

    /// Coalescing must not hide a second outcome of the same batch (I3).
    fn add_attempt(&mut self, row: AttemptRow) -> Result<(), Refused> {
        match self.attempts.get(&row.id) {
            Some(earlier) if earlier.state.is_done() && *earlier != row => Err(second_outcome(&earlier.state, &row)),
            Some(_) | None => {
                self.attempts.put(row.id, row);
                Ok(())
            }
        }
    }

    fn add_version(&mut self, row: VersionRow) -> Result<(), Refused> {
        match self.versions.get(&(row.dag_id.clone(), row.version)) {
            Some(earlier) if earlier.hash != row.hash => {
                Err(Refused::VersionChanged { dag: row.dag_id, version: row.version })
            }
            Some(_) => Ok(()),
            None => {
                self.versions.put((row.dag_id.clone(), row.version), row);
                Ok(())
            }
        }
    }
}

pub(super) fn second_outcome(recorded: &AttemptState, offered: &AttemptRow) -> Refused {
    Refused::OneOutcome {
        attempt: offered.id,
        recorded: format!("{recorded:?}"),
        offered: format!("{:?}", offered.state),
    }
}

/// Values in the order of their first write, the last one of each key.
#[derive(Debug)]
pub(super) struct Keyed<K, V> {
    at: HashMap<K, usize>,
    values: Vec<Option<V>>,
}

impl<K, V> Default for Keyed<K, V> {
    fn default() -> Self {
        Self { at: HashMap::new(), values: Vec::new() }
    }
}

impl<K: Eq + Hash, V> Keyed<K, V> {
    fn put(&mut self, key: K, value: V) {
        let next = self.values.len();
        let at = *self.at.entry(key).or_insert(next);
        if at == next {
            self.values.push(Some(value));
        } else {
            self.values[at] = Some(value);
        }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.at.get(key).and_then(|at| self.values[*at].as_ref())
    }

    fn drop_where(&mut self, gone: impl Fn(&K) -> bool) {
        let values = &mut self.values;
        self.at.retain(|key, at| {
            let keep = !gone(key);
            if !keep {
                values[*at] = None;
            }
            keep
        });
    }

    fn iter(&self) -> impl Iterator<Item = &V> {
        self.values.iter().flatten()
    }

    pub fn into_rows(self) -> impl Iterator<Item = V> {
        self.values.into_iter().flatten()
    }
}
