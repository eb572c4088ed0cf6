//! How task instances move, and what follows for those downstream of them.
//!
//! [`Core::move_task`] is the only place where a task instance's state changes.

use std::collections::VecDeque;

use crate::domain::graph::TaskIx;
use crate::domain::ids::{MapIndex, TaskKey, TryNumber};
use crate::domain::operator::Operator;
use crate::domain::state::{Ending, RunState, TaskEvent, TaskState};
use crate::domain::time::Time;
use crate::domain::trigger::{Verdict, evaluate};
use crate::protocol::event::Change;
use crate::store::write::Write;

use super::TaskRef;
use super::admit::{Holds, Rank, Scope};
use super::core::{Core, Effect};
use super::timers::Timer;
use crate::domain::dag::TaskLimitScope;

impl Core {
    /// Moves a task instance and keeps everything that counts states in step.
    /// Returns false, and changes nothing, where the state does not take the event.
    pub(super) fn move_task(&mut self, at: TaskRef, event: TaskEvent) -> bool {
        let from = self.instance(at).row.state;
        let Ok(to) = from.on(event) else { return false };
        if from == to {
            return true;
        }
        if from == TaskState::Scheduled && event != TaskEvent::Admitted {
            self.leave_lane(at);
        }
        self.instance_mut(at).row.state = to;
        self.count(at, from, to);
        self.work.dirty_tasks.insert(at);
        self.tell(at);
        if from.is_finished() != to.is_finished() || to.is_finished() {
            self.propagate(at, from, to);
        }
        true
    }

    /// The run's counters follow the move.
    fn count(&mut self, at: TaskRef, from: TaskState, to: TaskState) {
        let run = self.run_mut(at.run);
        let is_leaf = run.dag.is_leaf(at.task);
        let shift = |count: &mut u32, before: bool, after: bool| match (before, after) {
            (true, false) => *count -= 1,
            (false, true) => *count += 1,
            (true, true) | (false, false) => {}
        };
        shift(&mut run.unfinished, !from.is_finished(), !to.is_finished());
        shift(&mut run.moving, is_moving(from), is_moving(to));
        shift(&mut run.failed_leaves, is_leaf && from.is_failed_like(), is_leaf && to.is_failed_like());
        if run.unfinished == 0 || run.moving == 0 {
            self.work.maybe_over.insert(at.run);
        }
    }

    /// Whoever is downstream counts the move and may now be decided.
    fn propagate(&mut self, at: TaskRef, from: TaskState, to: TaskState) {
        let dag = self.run(at.run).dag.clone();
        let mut work: VecDeque<TaskIx> = VecDeque::new();
        for &next in dag.downstream(at.task) {
            let next_at = TaskRef { run: at.run, task: next };
            self.instance_mut(next_at).counts.moved(from, to, false);
            work.push_back(next);
        }
        self.work.undecided.extend(work.into_iter().map(|task| TaskRef { run: at.run, task }));
    }

    /// Decides every task instance whose upstreams have moved.
    pub(super) fn decide_all(&mut self, now: Time) {
        while let Some(at) = self.work.undecided.pop_front() {
            if self.runs.contains_key(&at.run) {
                self.decide(now, at);
            }
        }
    }

    fn decide(&mut self, now: Time, at: TaskRef) {
        let run = self.run(at.run);
        let instance = &run.tasks[at.task.usize()];
        if run.row.state != RunState::Running || instance.row.state != TaskState::None {
            return;
        }
        match evaluate(run.dag.task(at.task).trigger_rule, &instance.counts) {
            Verdict::Wait => {}
            Verdict::Run => self.make_ready(now, at),
            Verdict::Decide(decision) => {
                self.instance_mut(at).row.ended_at = Some(now);
                self.move_task(at, TaskEvent::Decided(decision));
            }
        }
    }

    /// Every dependency is met: the next try begins, or there is nothing to try.
    pub(super) fn make_ready(&mut self, now: Time, at: TaskRef) {
        let operator = &self.run(at.run).dag.task(at.task).operator;
        let passes = matches!(operator, Operator::Empty);
        let row = &mut self.instance_mut(at).row;
        row.try_number = row.try_number.next();
        row.next_try_at = None;
        row.note = None;
        row.queued_at = None;
        row.hostname = None;
        row.pid = None;
        if passes {
            (row.scheduled_at, row.started_at, row.ended_at) = (Some(now), Some(now), Some(now));
            self.move_task(at, TaskEvent::PassedThrough);
            return;
        }
        (row.scheduled_at, row.started_at, row.ended_at) = (Some(now), None, None);
        if row.try_number > TryNumber(1) {
            let (run, task, map_index) = (row.run, row.task_id.clone(), row.map_index);
            self.write(Write::ClearXComs { run, task, map_index });
        }
        self.move_task(at, TaskEvent::DependenciesMet);
        self.join_lane(at);
    }

    pub(super) fn join_lane(&mut self, at: TaskRef) {
        self.arrivals += 1;
        let arrival = self.arrivals;
        let run = self.run(at.run);
        let rank = Rank {
            weight: -i64::from(run.dag.priority(at.task)),
            date: run.row.logical_date.unwrap_or(run.row.run_after),
            map_index: MapIndex::UNMAPPED.0,
            arrival,
        };
        let holds = self.holds(at);
        self.instance_mut(at).rank = Some(rank);
        self.admission.add(at, rank, &holds);
    }

    fn leave_lane(&mut self, at: TaskRef) {
        if let Some(rank) = self.instance_mut(at).rank.take() {
            let holds = self.holds(at);
            self.admission.remove(rank, &holds);
        }
    }

    /// The limits that a task instance must fit into.
    pub(super) fn holds(&self, at: TaskRef) -> Holds {
        let run = self.run(at.run);
        let task = run.dag.task(at.task);
        let scope = match run.dag.definition.max_active_tasks_scope {
            TaskLimitScope::AllRuns => Scope::Dag(run.row.dag_id.clone()),
            TaskLimitScope::EachRun => Scope::Run(at.run),
        };
        let dag = run.row.dag_id.clone();
        let task_scope = task.max_active_tis_per_dag.map(|_| Scope::Task(dag.clone(), task.task_id.clone()));
        Holds { dag, scope, task: task_scope, pool: task.pool.clone(), pool_slots: task.pool_slots.max(1) }
    }

    /// A retry that was waited for.
    pub(super) fn on_retry_due(&mut self, now: Time, at: TaskRef) {
        let Some(run) = self.runs.get(&at.run) else { return };
        let row = &run.tasks[at.task.usize()].row;
        let is_due = row.next_try_at.is_some_and(|due| due <= now);
        if run.row.state == RunState::Running && row.state == TaskState::UpForRetry && is_due {
            self.make_ready(now, at);
        }
    }

    /// The task instance waits until `due` for its next try.
    pub(super) fn wait_for_retry(&mut self, at: TaskRef, due: Time) {
        self.instance_mut(at).row.next_try_at = Some(due);
        self.move_task(at, TaskEvent::Ended(Ending::UpForRetry));
        self.timers.set(due, Timer::Retry(at));
    }

    pub(super) fn key(&self, at: TaskRef) -> TaskKey {
        let run = self.run(at.run);
        let row = &run.tasks[at.task.usize()].row;
        TaskKey {
            dag: run.row.dag_id.clone(),
            run: run.row.run_id.clone(),
            task: row.task_id.clone(),
            map_index: row.map_index,
        }
    }

    fn tell(&mut self, at: TaskRef) {
        let row = &self.instance(at).row;
        let (state, try_number) = (row.state, row.try_number);
        let key = self.key(at);
        self.effect(Effect::Event(Change::Task { key, state, try_number }));
    }
}

/// Something is going to happen to it by itself: it is unfinished, and not waiting for its upstreams.
pub(super) fn is_moving(state: TaskState) -> bool {
    !state.is_finished() && state != TaskState::None
}
