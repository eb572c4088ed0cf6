//! How the core comes back from the store after a start, a takeover or a commit of unknown outcome.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::asset::{Asset, AssetEvent};
use crate::domain::attempt::{AttemptEvent, Reaction};
use crate::domain::dag::TaskLimitScope;
use crate::domain::graph::Dag;
use crate::domain::ids::{AssetEventId, BackfillId, DagId, Epoch, RunKey, TaskId, VersionNumber};
use crate::domain::limit::Limit;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::{Time, after, to_micros};
use crate::store::write::{
    AttemptRow, BackfillRow, DagRow, DeadlineRow, NotificationRow, PoolRow, QueueRow, RunRow, TaskRow, WorkerRow,
    XComRow,
};

use super::TaskRef;
use super::admit::Scope;
use super::core::{Core, DagState, Effect, Ids, Run, Settings, WorkerState};
use super::deadline::OpenDeadline;
use super::timers::Timer;

/// Everything unfinished that the store holds.
#[derive(Clone, Debug, Default)]
pub struct Unfinished {
    pub dags: Vec<DagRow>,
    /// The current version of each DAG, and those that unfinished runs began with.
    pub versions: HashMap<(DagId, VersionNumber), Arc<Dag>>,
    pub runs: Vec<UnfinishedRun>,
    pub pools: Vec<PoolRow>,
    pub workers: Vec<WorkerRow>,
    pub next_run: RunKey,
    /// Logical dates that users' runs hold beyond a DAG's last scheduled interval.
    pub taken_dates: Vec<(DagId, Time)>,
    /// Notifications that are owed.
    pub notifications: Vec<NotificationRow>,
    /// Deadlines that are neither met nor missed; their runs are among the runs.
    pub deadlines: Vec<DeadlineRow>,
    /// The latest finished runs of DAGs that are paused after so many failures.
    pub recent: Vec<RunRow>,
    /// Backfills that are not over, or of which an unfinished run is one.
    pub backfills: Vec<BackfillRow>,
    pub next_backfill: BackfillId,
    pub assets: Vec<Asset>,
    /// Asset events that no run was given yet.
    pub queued: Vec<(QueueRow, AssetEvent)>,
    pub next_event: AssetEventId,
    /// Of each DAG the successful run of the latest logical date.
    pub successes: Vec<RunRow>,
}

/// A run that is not finished, or has an attempt or a deadline that is not.
#[derive(Clone, Debug)]
pub struct UnfinishedRun {
    pub row: RunRow,
    pub tasks: Vec<TaskRow>,
    /// The newest attempt of each task instance that has one.
    pub attempts: Vec<AttemptRow>,
    /// The skip decisions that its tasks have left.
    pub decisions: Vec<XComRow>,
    /// The asset events that it was made of.
    pub events: Vec<AssetEvent>,
}

impl Core {
    /// The core as it was when the store was last written. It does nothing by itself
    /// before [`Core::resume`]: whoever only carries out one command must not plan runs.
    pub fn restore(settings: Settings, epoch: Epoch, ids: Ids, unfinished: Unfinished) -> Self {
        let mut core = Self::new(settings, epoch, ids);
        core.planning = false;
        core.next_run = unfinished.next_run;
        core.versions = unfinished.versions;
        for pool in unfinished.pools {
            core.set_pool(pool);
        }
        for worker in unfinished.workers {
            core.restore_worker(worker);
        }
        for dag in unfinished.dags {
            core.restore_dag(dag);
        }
        for (id, date) in unfinished.taken_dates {
            if let Some(dag) = core.dags.get_mut(&id) {
                dag.taken_dates.insert(date);
            }
        }
        for run in unfinished.recent {
            if let Some(dag) = core.dags.get_mut(&run.dag_id) {
                dag.recent.insert((run.run_after, run.key), run.state);
            }
        }
        core.next_backfill = unfinished.next_backfill.max(BackfillId(1));
        for backfill in unfinished.backfills {
            core.restore_backfill(backfill);
        }
        for run in &unfinished.successes {
            core.remember_success(run);
        }
        core.assets.known = unfinished.assets.into_iter().map(|asset| (asset.name.clone(), asset)).collect();
        core.assets.next_event = unfinished.next_event.max(AssetEventId(1));
        for (row, event) in unfinished.queued {
            core.restore_waiting(row, event);
        }
        for run in unfinished.runs {
            core.restore_run(run);
        }
        for row in unfinished.deadlines {
            if let Some(run) = core.runs.get(&row.run) {
                let open = OpenDeadline { run: run.row.clone(), dag: run.dag.clone(), row };
                core.watch_deadline(open);
            }
        }
        for row in unfinished.notifications {
            if let Some(due) = row.next_try_at {
                core.timers.set(due, Timer::Notification(row.id));
            }
            core.outbox.add(row);
        }
        core
    }

    /// Leads from here on, and says again what a new leader must.
    pub fn resume(&mut self, now: Time) -> Vec<Effect> {
        let now = to_micros(now);
        self.admission.begin(now);
        let ids: Vec<DagId> = self.dags.keys().cloned().collect();
        for id in ids {
            self.start_runs(now, &id);
        }
        self.reload_attempts(now);
        self.on_due(now);
        self.settle(now);
        self.flush()
    }

    pub(super) fn set_pool(&mut self, pool: PoolRow) {
        let slots = match pool.slots {
            ..0 => Some(Limit::Unlimited),
            0 => None,
            1.. => Some(Limit::from_zero_unlimited(pool.slots.unsigned_abs())),
        };
        self.admission.set_pool(pool.name.clone(), slots, pool.include_deferred);
        self.pools.insert(pool.name.clone(), pool);
    }

    /// Known, and not here before it is heard.
    fn restore_worker(&mut self, row: WorkerRow) {
        let (id, seen_at) = (row.id, row.seen_at);
        let mut state = WorkerState::new(row.clone());
        state.written = Some(row);
        self.workers.insert(id, state);
        self.join_queues(seen_at, id);
    }

    fn restore_dag(&mut self, row: DagRow) {
        let Some(dag) = self.versions.get(&(row.dag_id.clone(), row.version)).cloned() else { return };
        let id = row.dag_id.clone();
        let state = DagState {
            row,
            dag,
            next: None,
            running: Default::default(),
            queued: Default::default(),
            taken_dates: Default::default(),
            recent: Default::default(),
            timeline: None,
            backfills: Default::default(),
            waiting: Default::default(),
            last_success: None,
        };
        self.dags.insert(id.clone(), state);
        self.subscribe(&id);
        self.apply_limits(&id);
    }

    fn restore_run(&mut self, unfinished: UnfinishedRun) {
        let row = unfinished.row;
        let Some(dag) = self.versions.get(&(row.dag_id.clone(), row.version)).cloned() else { return };
        let key = row.key;
        let mut run = Run::new(row, dag);
        run.events = unfinished.events.into_iter().map(Arc::new).collect();
        run.restore_tasks(unfinished.tasks, unfinished.attempts, &unfinished.decisions);
        self.runs.insert(key, run);
        self.enter_timeline(key);
        self.restore_place(key);
        self.restore_limits(key);
        self.restore_tasks(key);
    }

    /// The place that its state says it has.
    fn restore_place(&mut self, key: RunKey) {
        let row = &self.run(key).row;
        let (state, place, id) = (row.state, row.backfill, row.dag_id.clone());
        match state {
            RunState::Queued => self.enqueue(key),
            RunState::Running => {
                let running = match place.and_then(|place| self.backfills.get_mut(&place.backfill)) {
                    Some(backfill) => Some(&mut backfill.running),
                    None => self.dags.get_mut(&id).map(|dag| &mut dag.running),
                };
                running.map(|running| running.insert(key));
            }
            RunState::Success | RunState::Failed => {}
        }
    }

    fn restore_limits(&mut self, key: RunKey) {
        let run = self.run(key);
        let dag = run.dag.clone();
        if dag.definition.max_active_tasks_scope == TaskLimitScope::EachRun {
            self.admission.set_scope(Scope::Run(key), dag.definition.max_active_tasks);
        }
        self.ensure_task_limits(key, &dag);
        let run = self.run(key);
        let timeout = dag.definition.dagrun_timeout.zip(run.row.started_at);
        if let (RunState::Running, Some((timeout, started))) = (run.row.state, timeout) {
            self.timers.set(after(started, timeout), Timer::RunTimeout(key));
        }
    }

    /// Each task instance goes back to where its state says it stands.
    fn restore_tasks(&mut self, key: RunKey) {
        let places: Vec<TaskRef> = self.run(key).places().collect();
        for at in places {
            let instance = self.instance(at);
            let (state, due) = (instance.row.state, instance.row.next_try_at);
            if state.rests() {
                self.admission.rest(at, &self.holds(at), state == TaskState::Deferred);
            }
            match state {
                TaskState::Scheduled => self.join_lane(at),
                TaskState::UpForRetry => {
                    if let Some(due) = due {
                        self.timers.set(due, Timer::Retry(at));
                    }
                }
                TaskState::UpForReschedule | TaskState::Deferred => self.watch(at),
                TaskState::None => self.work.undecided.push_back(at),
                TaskState::Queued
                | TaskState::Running
                | TaskState::Restarting
                | TaskState::Success
                | TaskState::Failed
                | TaskState::Skipped
                | TaskState::UpstreamFailed
                | TaskState::Removed
                | TaskState::AwaitingInput => {}
            }
            self.restore_attempt(at);
        }
        let dag = self.run(key).dag.clone();
        self.work.expansions.extend(dag.mapping.expansions().map(|(ix, _)| (key, ix)));
        self.work.maybe_over.insert(key);
        self.work.maybe_forgotten.insert(key);
    }

    fn restore_attempt(&mut self, at: TaskRef) {
        let Some(attempt) = self.instance(at).attempt.as_ref() else { return };
        let (id, state) = (attempt.id, attempt.state);
        self.attempts.insert(id, at);
        if !state.is_done() {
            let holds = self.holds(at);
            self.admission.occupy(at, &holds);
            if state.is_queued() {
                self.admission.enter_queue(at, &holds);
            }
        }
        if let Some(worker) = state.owner().and_then(|claim| self.workers.get_mut(&claim.worker)) {
            worker.owned.insert(id);
        }
    }

    /// PROTOCOL §5, "takeover or reload": what nobody owns is published again, what ends is told again.
    fn reload_attempts(&mut self, now: Time) {
        let open: Vec<TaskRef> =
            self.attempts.values().copied().collect::<std::collections::BTreeSet<_>>().into_iter().collect();
        for at in open {
            match self.on_attempt(at, AttemptEvent::Reloaded) {
                Reaction::Publish => self.publish(now, at),
                Reaction::Terminate(claim) => self.terminate(claim),
                Reaction::Grant(_)
                | Reaction::Refuse(_)
                | Reaction::Fence
                | Reaction::Settle(_)
                | Reaction::Store
                | Reaction::Probe(_)
                | Reaction::RefuseAndSuspectOwner(_)
                | Reaction::Ended
                | Reaction::Nothing => {}
            }
        }
    }
}

impl Run {
    pub(super) fn restore_tasks(&mut self, rows: Vec<TaskRow>, attempts: Vec<AttemptRow>, decisions: &[XComRow]) {
        let dag = self.dag.clone();
        let mut attempts: HashMap<_, _> = attempts.into_iter().map(|attempt| (attempt.id, attempt)).collect();
        if rows.is_empty() {
            return;
        }
        let mut by_task: HashMap<TaskId, Vec<TaskRow>> = HashMap::new();
        for row in rows {
            by_task.entry(row.task_id.clone()).or_default().push(row);
        }
        self.create_tasks();
        for (ix, task) in dag.tasks() {
            let rows = by_task.remove(&task.task_id).unwrap_or_default();
            // What an older version left is history.
            let _ = self.take_rows(ix, rows, |instance, row| {
                instance.attempt = row.attempt.and_then(|id| attempts.remove(&id));
                instance.row = row;
            });
        }
        self.restore_decisions(decisions);
        self.count_all();
    }
}
