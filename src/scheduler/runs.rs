//! How runs come to be, start and end.

use std::sync::Arc;

use crate::domain::dag::TaskLimitScope;
use crate::domain::graph::{Dag, TaskIx};
use crate::domain::ids::{DagId, MapIndex, RunKey, TryNumber};
use crate::domain::journal::Journal;
use crate::domain::notification::RunEnd;
use crate::domain::run::{PlannedRun, RunType};
use crate::domain::state::{Decision, RunEvent, RunState, TaskEvent, TaskState};
use crate::domain::time::{Time, after};
use crate::protocol::control::TriggeredBy;
use crate::protocol::event::Change;
use crate::store::write::{RunRow, TaskRow};

use super::TaskRef;
use super::admit::Scope;
use super::core::{Core, Effect, Run};
use super::instances::Task;
use super::timers::Timer;

impl Core {
    /// The timetable's next run may be due.
    pub(super) fn on_run_due(&mut self, now: Time, id: &DagId) {
        self.plan(now, id);
    }

    /// The DAGs are as their files have them now: the timetables may be followed.
    pub(super) fn on_folder_read(&mut self, now: Time) {
        self.planning = true;
        let ids: Vec<DagId> = self.dags.keys().cloned().collect();
        for id in ids {
            self.plan(now, &id);
            self.work.maybe_triggered.insert(id);
        }
    }

    /// Creates what the timetable asks for until the next run lies in the future
    /// or `max_active_runs` is reached, and starts what may start.
    pub(super) fn plan(&mut self, now: Time, id: &DagId) {
        if self.planning {
            self.follow_timetable(now, id);
        }
        self.start_runs(now, id);
        for backfill in self.backfills_of(id) {
            self.advance_backfill(backfill);
        }
    }

    fn follow_timetable(&mut self, now: Time, id: &DagId) {
        self.cancel_plan(id);
        while let Some(planned) = self.next_planned(now, id) {
            let dag = self.dags.get_mut(id).expect("a planned DAG is known");
            if dag.taken_dates.remove(&planned.logical_date) {
                dag.row.last_interval = Some(planned.interval);
                continue;
            }
            if dag.row.next_run != Some(planned) {
                dag.row.next_run = Some(planned);
                self.work.dirty_dags.insert(id.clone());
            }
            let dag = &self.dags[id];
            if dag.row.is_paused || dag.row.is_stale || !dag.has_room_for_a_run() {
                break;
            }
            if planned.run_after > now {
                self.timers.set(planned.run_after, Timer::NextRun(id.clone()));
                self.dags.get_mut(id).expect("a planned DAG is known").next = Some(planned);
                break;
            }
            self.create_scheduled(now, id, planned);
        }
    }

    pub(super) fn cancel_plan(&mut self, id: &DagId) {
        let Some(dag) = self.dags.get_mut(id) else { return };
        if let Some(planned) = dag.next.take() {
            self.timers.cancel(planned.run_after, Timer::NextRun(id.clone()));
        }
    }

    fn next_planned(&mut self, now: Time, id: &DagId) -> Option<PlannedRun> {
        let dag = self.dags.get_mut(id)?;
        let planned = dag.dag.timetable.next(&dag.dag.bounds(), dag.row.last_interval.as_ref(), now);
        if planned.is_none() && dag.row.next_run.take().is_some() {
            self.work.dirty_dags.insert(id.clone());
        }
        planned
    }

    fn create_scheduled(&mut self, now: Time, id: &DagId, planned: PlannedRun) {
        let dag = self.dags.get_mut(id).expect("a planned DAG is known");
        dag.row.last_interval = Some(planned.interval);
        self.work.dirty_dags.insert(id.clone());
        let row = RunRow {
            key: self.next_run,
            dag_id: id.clone(),
            run_id: RunType::Scheduled.run_id(planned.run_after),
            run_type: RunType::Scheduled,
            state: RunState::Queued,
            version: self.dags[id].row.version,
            logical_date: Some(planned.logical_date),
            interval: Some(planned.interval),
            run_after: planned.run_after,
            conf: serde_json::Map::new(),
            note: None,
            triggered_by: TriggeredBy::Timetable,
            user: None,
            queued_at: now,
            started_at: None,
            ended_at: None,
            clear_number: 0,
            backfill: None,
        };
        self.add_run(row);
    }

    /// A run exists from now on; it starts when its DAG has a place for it.
    pub(super) fn add_run(&mut self, row: RunRow) {
        let key = row.key;
        self.next_run = key.next();
        let compiled = self.dags.get(&row.dag_id).expect("a run is made of a known DAG").dag.clone();
        self.runs.insert(key, Run::new(row, compiled));
        self.set_deadlines(key);
        self.enter_timeline(key);
        self.enqueue(key);
        self.tell_run(key);
    }

    /// Starts queued runs while there is room: under `max_active_runs`, and then in each backfill.
    pub(super) fn start_runs(&mut self, now: Time, id: &DagId) {
        if self.dags.get(id).is_none_or(|dag| dag.row.is_paused) {
            return;
        }
        while let Some(key) = self.next_of_dag(id) {
            self.start_run(now, key);
        }
        for backfill in self.backfills_of(id) {
            while let Some(key) = self.next_of_backfill(backfill) {
                self.start_run(now, key);
            }
        }
    }

    /// The next run of a DAG that may start, which takes its place.
    fn next_of_dag(&mut self, id: &DagId) -> Option<RunKey> {
        let dag = self.dags.get_mut(id)?;
        let room = dag.dag.definition.max_active_runs.room(count(dag.running.len()));
        let (_, key) = if room > 0 { dag.queued.pop_first() } else { None }?;
        dag.running.insert(key);
        Some(key)
    }

    fn start_run(&mut self, now: Time, key: RunKey) {
        let run = self.run_mut(key);
        run.row.state = run.row.state.on(RunEvent::Started).expect("only queued runs wait for a place");
        run.row.started_at = Some(now);
        run.row.ended_at = None;
        // A run that was cleared goes on with what it has.
        if run.tasks.is_empty() {
            run.create_tasks();
        }
        let (dag, id) = (run.dag.clone(), run.row.dag_id.clone());
        if let Some(timeout) = dag.definition.dagrun_timeout {
            self.timers.set(after(now, timeout), Timer::RunTimeout(key));
        }
        if dag.definition.max_active_tasks_scope == TaskLimitScope::EachRun {
            self.admission.set_scope(Scope::Run(key), dag.definition.max_active_tasks);
        }
        self.ensure_task_limits(key, &dag);
        let places: Vec<TaskRef> = self.run(key).places().collect();
        self.work.dirty_tasks.extend(places.iter().copied());
        self.work.undecided.extend(places);
        self.work.expansions.extend(dag.mapping.expansions().map(|(ix, _)| (key, ix)));
        self.work.maybe_over.insert(key);
        self.effect(Effect::Event(Change::Dag { dag: id }));
        self.tell_run(key);
    }

    /// Ends the runs in which nothing more will happen (SCHEDULING §1).
    pub(super) fn close_runs(&mut self, now: Time) {
        // The end of one run may start another: its tasks are decided before it is looked at.
        while !self.work.has_undecided() {
            let Some(key) = self.work.maybe_over.pop_first() else { return };
            let Some(run) = self.runs.get(&key).filter(|run| run.row.state == RunState::Running) else { continue };
            if run.unfinished == 0 {
                let failed = run.failed_leaves > 0 || run.failed_fast();
                let event = if failed { RunEvent::Failed } else { RunEvent::Succeeded };
                self.end_run(now, key, event, RunEnd::Finished);
            } else if run.moving == 0 && run.held == 0 {
                // Every unfinished task waits for another one: a deadlock.
                self.end_run(now, key, RunEvent::Failed, RunEnd::Deadlocked);
            }
        }
    }

    /// Ends a run, whatever the state of its task instances.
    pub(super) fn end_run(&mut self, now: Time, key: RunKey, event: RunEvent, end: RunEnd) {
        let run = self.run_mut(key);
        let Some(state) = run.row.state.on(event) else { return };
        if !run.row.state.is_finished() {
            run.row.ended_at = Some(now);
        }
        run.row.state = state;
        let id = run.row.dag_id.clone();
        let timeout = run.dag.definition.dagrun_timeout.zip(run.row.started_at);
        if let Some((timeout, started)) = timeout {
            self.timers.cancel(after(started, timeout), Timer::RunTimeout(key));
        }
        self.leave_places(now, key);
        self.work.maybe_forgotten.insert(key);
        if state == RunState::Success {
            let row = self.run(key).row.clone();
            self.remember_success(&row);
        }
        self.tell_run(key);
        self.owe_for_run(key, end, event);
        self.end_meets_deadlines(now, key);
        self.count_failed_runs(now, key);
        self.plan(now, &id);
    }

    /// Later runs tell their tasks of it.
    pub(super) fn remember_success(&mut self, run: &RunRow) {
        let (Some(dag), Some(date)) = (self.dags.get_mut(&run.dag_id), run.logical_date) else { return };
        if dag.last_success.is_none_or(|(known, _)| known <= date) {
            dag.last_success = Some((date, super::success_of(run)));
        }
    }

    /// `dagrun_timeout` passed: the run fails, and what is unfinished is skipped.
    pub(super) fn on_run_timeout(&mut self, now: Time, key: RunKey) {
        let Some(run) = self.runs.get(&key).filter(|run| run.row.state == RunState::Running) else { return };
        let tasks: Vec<TaskRef> = run.places().collect();
        self.end_run(now, key, RunEvent::Failed, RunEnd::TimedOut);
        for at in tasks {
            self.abandon(now, at);
        }
    }

    /// Runs that are over, with every attempt done, need no memory.
    pub(super) fn forget_finished(&mut self, touched: &std::collections::BTreeSet<RunKey>) {
        for key in touched {
            let Some(run) = self.runs.get(key) else { continue };
            if !run.row.state.is_finished() || run.open_attempts > 0 {
                continue;
            }
            let run = self.runs.remove(key).expect("it was there a line above");
            for attempt in run.instances().filter_map(|(_, task)| task.attempt.as_ref()) {
                self.attempts.remove(&attempt.id);
            }
            self.leave_timeline(&run);
            self.admission.forget_scope(&Scope::Run(*key));
            self.forget_task_limits(&run);
            self.forget_version(&run);
        }
    }

    /// A version that no run and no DAG needs any more is dropped from memory.
    pub(super) fn forget_version(&mut self, run: &Run) {
        let name = (run.row.dag_id.clone(), run.row.version);
        // One reference is the map's, one the run's that is being dropped.
        if self.versions.get(&name).is_some_and(|dag| Arc::strong_count(dag) <= 2) {
            self.versions.remove(&name);
        }
    }

    pub(super) fn tell_run(&mut self, key: RunKey) {
        let row = &self.run(key).row;
        let change = Change::Run { dag: row.dag_id.clone(), run: row.run_id.clone(), state: row.state };
        self.work.dirty_runs.insert(key);
        self.effect(Effect::Event(change));
        self.wake_watchers(key);
    }
}

impl super::core::DagState {
    /// Whether the timetable may create one more run.
    fn has_room_for_a_run(&self) -> bool {
        let active = count(self.running.len() + self.queued.len());
        self.dag.definition.max_active_runs.allows_one_more(active)
    }
}

impl Run {
    pub(super) fn new(row: RunRow, dag: Arc<Dag>) -> Self {
        let measured = dag.mapping.expansions().map(|_| None).collect();
        Self {
            row,
            dag,
            tasks: Vec::new(),
            measured,
            unfinished: 0,
            moving: 0,
            held: 0,
            failed_leaves: 0,
            open_attempts: 0,
            events: Vec::new(),
        }
    }

    /// One task instance for each task; those whose own dates exclude this run are removed at once.
    pub(super) fn create_tasks(&mut self) {
        let dag = self.dag.clone();
        self.tasks = dag.tasks().map(|(ix, _)| Task::new(self.fresh(ix, MapIndex::UNMAPPED))).collect();
        self.count_all();
    }

    /// The leaves of a run that failed fast are skipped, and would tell of a success.
    fn failed_fast(&self) -> bool {
        self.dag.definition.fail_fast && self.instances().any(|(_, task)| task.row.state == TaskState::Failed)
    }
}

impl TaskRow {
    /// A task instance of a run that starts.
    pub(super) fn new(run: &RunRow, dag: &Dag, ix: TaskIx, map_index: MapIndex) -> Self {
        let task = dag.task(ix);
        // A backfill is asked for by date, so the dates of tasks say nothing.
        let is_bounded = run.run_type != RunType::Backfill;
        let outside = run.logical_date.filter(|_| is_bounded).is_some_and(|date| {
            task.start_date.is_some_and(|start| date < start) || task.end_date.is_some_and(|end| date > end)
        });
        let removed = TaskState::None.on(TaskEvent::Decided(Decision::Removed)).expect("a new task can be removed");
        Self {
            run: run.key,
            task_id: task.task_id.clone(),
            map_index,
            state: if outside { removed } else { TaskState::None },
            try_number: TryNumber(0),
            max_tries: i32::try_from(task.retries).unwrap_or(i32::MAX),
            infra_tries: 0,
            attempt: None,
            operator: task.operator_name.clone(),
            pool: task.pool.clone(),
            pool_slots: task.pool_slots,
            queue: task.queue.clone(),
            priority_weight: dag.priority(ix),
            scheduled_at: None,
            queued_at: None,
            started_at: None,
            ended_at: None,
            next_try_at: None,
            hostname: None,
            pid: None,
            note: None,
            journal: Journal::default(),
            waiting: None,
            xcom_lengths: Default::default(),
        }
    }
}

/// Counts in memory are far below 2^32.
pub(super) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
