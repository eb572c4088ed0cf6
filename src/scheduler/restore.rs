//! How the core comes back from the store after a start, a takeover or a commit of unknown outcome.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::attempt::{AttemptEvent, Reaction};
use crate::domain::dag::TaskLimitScope;
use crate::domain::graph::Dag;
use crate::domain::ids::{DagId, Epoch, RunKey, VersionNumber};
use crate::domain::limit::Limit;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::{Time, after, to_micros};
use crate::store::write::{AttemptRow, DagRow, PoolRow, RunRow, TaskRow, WorkerRow};

use super::TaskRef;
use super::admit::Scope;
use super::core::{Core, DagState, Effect, Ids, Run, Settings, WorkerState};
use super::runs::count;
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
    /// The latest finished runs of DAGs that are paused after so many failures.
    pub recent: Vec<RunRow>,
}

/// A run that is not finished, or has an attempt that is not.
#[derive(Clone, Debug)]
pub struct UnfinishedRun {
    pub row: RunRow,
    pub tasks: Vec<TaskRow>,
    /// The newest attempt of each task instance that has one.
    pub attempts: Vec<AttemptRow>,
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
        for run in unfinished.runs {
            core.restore_run(run);
        }
        core
    }

    /// Leads from here on, and says again what a new leader must.
    pub fn resume(&mut self, now: Time) -> Vec<Effect> {
        let now = to_micros(now);
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
        self.admission.set_pool(pool.name.clone(), slots);
        self.pools.insert(pool.name.clone(), pool);
    }

    /// Known, but not online before it says so again: it belonged to an earlier process.
    fn restore_worker(&mut self, mut row: WorkerRow) {
        row.online = false;
        let state = WorkerState { row, slots: Limit::Unlimited, last_n: 0, owned: Default::default() };
        self.workers.insert(state.row.id, state);
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
        };
        self.dags.insert(id.clone(), state);
        self.apply_limits(&id);
    }

    fn restore_run(&mut self, unfinished: UnfinishedRun) {
        let row = unfinished.row;
        let Some(dag) = self.versions.get(&(row.dag_id.clone(), row.version)).cloned() else { return };
        let (key, id, state) = (row.key, row.dag_id.clone(), row.state);
        if let Some(known) = self.dags.get_mut(&id) {
            match state {
                RunState::Queued => {
                    known.queued.insert((row.run_after, key));
                }
                RunState::Running => {
                    known.running.insert(key);
                }
                RunState::Success | RunState::Failed => {}
            }
        }
        let mut run = Run::new(row, dag);
        run.restore_tasks(unfinished.tasks, unfinished.attempts);
        self.runs.insert(key, run);
        self.restore_limits(key);
        self.restore_tasks(key);
    }

    fn restore_limits(&mut self, key: RunKey) {
        let run = self.run(key);
        let dag = run.dag.clone();
        if dag.definition.max_active_tasks_scope == TaskLimitScope::EachRun {
            self.admission.set_scope(Scope::Run(key), dag.definition.max_active_tasks);
        }
        self.ensure_task_limits(&dag);
        let run = self.run(key);
        let timeout = dag.definition.dagrun_timeout.zip(run.row.started_at);
        if let (RunState::Running, Some((timeout, started))) = (run.row.state, timeout) {
            self.timers.set(after(started, timeout), Timer::RunTimeout(key));
        }
    }

    /// Each task instance goes back to where its state says it stands.
    fn restore_tasks(&mut self, key: RunKey) {
        let tasks: Vec<TaskRef> = (0..count(self.run(key).tasks.len()))
            .map(|ix| TaskRef { run: key, task: crate::domain::graph::TaskIx(ix) })
            .collect();
        for at in tasks {
            let instance = self.instance(at);
            let (state, due) = (instance.row.state, instance.row.next_try_at);
            match state {
                TaskState::Scheduled => self.join_lane(at),
                TaskState::UpForRetry => {
                    if let Some(due) = due {
                        self.timers.set(due, Timer::Retry(at));
                    }
                }
                TaskState::None => self.work.undecided.push_back(at),
                TaskState::Queued
                | TaskState::Running
                | TaskState::Restarting
                | TaskState::Success
                | TaskState::Failed
                | TaskState::Skipped
                | TaskState::UpstreamFailed
                | TaskState::UpForReschedule
                | TaskState::Deferred
                | TaskState::Removed
                | TaskState::AwaitingInput => {}
            }
            self.restore_attempt(at);
        }
        self.work.maybe_over.insert(key);
        self.work.maybe_forgotten.insert(key);
    }

    fn restore_attempt(&mut self, at: TaskRef) {
        let Some(attempt) = self.instance(at).attempt.as_ref() else { return };
        let (id, state) = (attempt.id, attempt.state);
        self.attempts.insert(id, at);
        if !state.is_done() {
            let holds = self.holds(at);
            self.admission.occupy(&holds);
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
    pub(super) fn restore_tasks(&mut self, rows: Vec<TaskRow>, attempts: Vec<AttemptRow>) {
        let dag = self.dag.clone();
        let mut attempts: HashMap<_, _> = attempts.into_iter().map(|attempt| (attempt.id, attempt)).collect();
        let mut by_task: HashMap<_, _> = rows.into_iter().map(|row| (row.task_id.clone(), row)).collect();
        if by_task.is_empty() {
            return;
        }
        self.create_tasks();
        for (ix, task) in dag.tasks() {
            if let Some(row) = by_task.remove(&task.task_id) {
                let instance = &mut self.tasks[ix.usize()];
                instance.attempt = row.attempt.and_then(|id| attempts.remove(&id));
                instance.row = row;
            }
        }
        self.count_upstreams();
    }

    /// Counts how the upstreams of freshly made task instances stand.
    pub(super) fn count_upstreams(&mut self) {
        let dag = self.dag.clone();
        for (ix, _) in dag.tasks() {
            let state = self.tasks[ix.usize()].row.state;
            for next in dag.downstream(ix) {
                // What was removed when the run began is not counted at all.
                if state != TaskState::Removed {
                    self.tasks[next.usize()].counts.moved(TaskState::None, state, false);
                }
            }
        }
        self.recount();
    }
}
