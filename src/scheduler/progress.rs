//! How task instances move, and what follows for those downstream of them.
//!
//! [`Core::move_task`] is the only place where a task instance's state changes.

use crate::domain::ids::{TaskKey, TryNumber};
use crate::domain::journal::{Held, Stretch};
use crate::domain::operator::{Decide, Operator};
use crate::domain::state::{Decision, Ending, RunState, TaskEvent, TaskState};
use crate::domain::time::Time;
use crate::domain::trigger::{TriggerRule, UpstreamCounts, Verdict, evaluate, is_beyond};
use crate::protocol::event::Change;
use crate::store::write::Write;

use super::TaskRef;
use super::admit::{Holds, Rank, Scope};
use super::core::{Core, Effect, Grant, Run};
use super::instances::Counts;
use super::timers::Timer;
use super::waiting::waits;
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
        if waits(from) {
            self.stop_watching(at);
        }
        self.instance_mut(at).row.state = to;
        self.rest_or_rise(at, from, to);
        if from == TaskState::None {
            self.release(at);
        }
        self.count(at, from, to);
        self.work.dirty_tasks.insert(at);
        self.tell(at);
        self.wake_watchers(at.run);
        self.owe_for_task(at, event);
        if from.is_finished() != to.is_finished() || to.is_finished() {
            self.propagate(at, from, to);
        }
        true
    }

    /// What waits without a process takes up some room too.
    fn rest_or_rise(&mut self, at: TaskRef, from: TaskState, to: TaskState) {
        if !from.rests() && !to.rests() {
            return;
        }
        let holds = self.holds(at);
        if from.rests() {
            self.admission.rise(at, &holds);
        }
        if to.rests() {
            self.admission.rest(at, &holds, to == TaskState::Deferred);
        }
    }

    /// The run's counters follow the move.
    fn count(&mut self, at: TaskRef, from: TaskState, to: TaskState) {
        let run = self.run_mut(at.run);
        let is_leaf = run.dag.decides_the_run(at.task);
        let shift = |count: &mut u32, before: bool, after: bool| match (before, after) {
            (true, false) => *count -= 1,
            (false, true) => *count += 1,
            (true, true) | (false, false) => {}
        };
        shift(&mut run.task_mut(at.task).waiting, from == TaskState::None, to == TaskState::None);
        shift(&mut run.unfinished, !from.is_finished(), !to.is_finished());
        shift(&mut run.moving, is_moving(from), is_moving(to));
        shift(&mut run.failed_leaves, is_leaf && from.is_failed_like(), is_leaf && to.is_failed_like());
        if run.unfinished == 0 || run.moving == 0 {
            self.work.maybe_over.insert(at.run);
        }
    }

    /// Whoever is downstream counts the move and may now be decided.
    fn propagate(&mut self, at: TaskRef, from: TaskState, to: TaskState) {
        let run = self.run_mut(at.run);
        let dag = run.dag.clone();
        let is_setup = dag.task(at.task).role.is_setup();
        let mut undecided = Vec::new();
        for &task in dag.downstream(at.task) {
            run.count_move(at, task, &mut undecided, |counts| counts.upstreams.moved(from, to, is_setup));
        }
        for &task in dag.setups().needed_by(at.task) {
            run.count_move(at, task, &mut undecided, |counts| counts.setups.moved(from, to, false));
        }
        self.count_decision(at, from, to);
        self.work.undecided.extend(undecided);
        self.source_moved(at);
        self.tell_later_runs(at);
    }

    /// Decides every task instance whose upstreams have moved.
    pub(super) fn decide_all(&mut self, now: Time) {
        loop {
            if let Some((run, ix)) = self.work.expansions.pop_first() {
                self.look_at_expansion(now, run, ix);
            } else if let Some(at) = self.work.undecided.pop_front() {
                self.decide(now, at);
            } else {
                return;
            }
        }
    }

    fn decide(&mut self, now: Time, at: TaskRef) {
        // It may have become another one meanwhile: index -1 is 0 once the task is expanded.
        let Some(run) = self.runs.get(&at.run).filter(|run| run.row.state == RunState::Running) else { return };
        let Some(TaskState::None) = run.find(at).map(|instance| instance.row.state) else { return };
        let (rule, counts) = (run.dag.task(at.task).trigger_rule, run.upstreams(at).upstreams);
        let expansion = run.dag.mapping.of_task(at.task);
        match verdict(run, at) {
            Verdict::Wait => self.release(at),
            Verdict::Run if is_beyond(rule, &counts, at.map) => self.settle_undone(now, at, Decision::Removed, None),
            Verdict::Run if self.waits_for_past(at) => self.hold(at),
            Verdict::Decide(Decision::Skipped) if self.skip_waits_for_past(at) => self.hold(at),
            Verdict::Run => match expansion {
                Some(expansion) => self.expand_or_make_ready(now, at, expansion),
                None => self.make_ready(now, at),
            },
            Verdict::Decide(_) if self.is_too_early(at, rule) && !counts.all_done() => self.release(at),
            Verdict::Decide(decision) => self.settle_undone(now, at, decision, None),
        }
    }

    /// Its state is decided without an attempt.
    pub(super) fn settle_undone(&mut self, now: Time, at: TaskRef, decision: Decision, note: Option<String>) {
        let row = &mut self.instance_mut(at).row;
        row.ended_at = Some(now);
        if note.is_some() {
            row.note = note;
        }
        self.move_task(at, TaskEvent::Decided(decision));
    }

    /// Every dependency is met: the next try begins, or there is nothing to try.
    pub(super) fn make_ready(&mut self, now: Time, at: TaskRef) {
        let task = self.run(at.run).dag.task(at.task);
        let is_latest_only = matches!(task.operator, Operator::Decide(Decide::LatestOnly));
        // One that changes assets takes the way of all tasks: a DAG that waits for itself must not go round here.
        let passes = !task.operator.needs_worker() && (task.outlets.is_empty() || is_latest_only);
        let row = &mut self.instance_mut(at).row;
        row.xcom_lengths.clear();
        row.try_number = row.try_number.next();
        row.next_try_at = None;
        row.note = None;
        row.queued_at = None;
        row.hostname = None;
        row.pid = None;
        if passes {
            (row.scheduled_at, row.started_at, row.ended_at) = (Some(now), Some(now), Some(now));
            self.instance_mut(at).decision = None;
            if is_latest_only {
                self.decide_whether_latest(now, at);
            }
            self.move_task(at, TaskEvent::PassedThrough);
            self.apply_decision(now, at);
            return;
        }
        (row.scheduled_at, row.started_at, row.ended_at) = (Some(now), None, None);
        if row.try_number > TryNumber(1) {
            let (run, task, map_index) = (row.run, row.task_id.clone(), row.map_index);
            self.instance_mut(at).decision = None;
            self.write(Write::ClearXComs { run, task, map_index });
        }
        if !self.waits_by_itself(now, at, false) {
            self.move_task(at, TaskEvent::DependenciesMet);
            self.join_lane(at);
        }
    }

    pub(super) fn join_lane(&mut self, at: TaskRef) {
        self.arrivals += 1;
        let arrival = self.arrivals;
        let run = self.run(at.run);
        let rank = Rank {
            of_backfill: run.row.backfill.is_some(),
            weight: -i64::from(run.dag.priority(at.task)),
            date: match run.row.backfill {
                Some(place) => i64::from(place.ordinal),
                None => run.row.logical_date.unwrap_or(run.row.run_after).timestamp_micros(),
            },
            map_index: at.map.0,
            arrival,
        };
        let holds = self.holds(at);
        let instance = self.instance_mut(at);
        let since = instance.row.scheduled_at.unwrap_or_default();
        instance.rank = Some(rank);
        self.admission.add(at, since, rank, &holds);
    }

    pub(super) fn leave_lane(&mut self, at: TaskRef) {
        if let Some(rank) = self.instance_mut(at).rank.take() {
            let holds = self.holds(at);
            let held = self.admission.remove(rank, &holds);
            self.instance_mut(at).row.journal.extend(held);
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
        let task_of_run = task.max_active_tis_per_dagrun.map(|_| Scope::TaskOfRun(at.run, task.task_id.clone()));
        let (pool, pool_slots) = (task.pool.clone(), task.pool_slots.max(1));
        let queue = (self.settings.grant == Grant::ByClaim).then(|| task.queue.clone());
        Holds { dag, scope, task: task_scope, task_of_run, pool, pool_slots, queue }
    }

    /// A retry that was waited for.
    pub(super) fn on_retry_due(&mut self, now: Time, at: TaskRef) {
        let Some(run) = self.runs.get(&at.run) else { return };
        let row = &run.instance(at).row;
        let is_due = row.next_try_at.is_some_and(|due| due <= now);
        if run.row.state == RunState::Running && row.state == TaskState::UpForRetry && is_due {
            let waited = row.ended_at.map(|from| Stretch { from, to: now, held: Held::Retry });
            self.instance_mut(at).row.journal.extend(waited);
            self.make_ready(now, at);
        }
    }

    /// The task instance waits until `due` for its next try.
    pub(super) fn wait_for_retry(&mut self, at: TaskRef, due: Time) {
        self.move_task(at, TaskEvent::Ended(Ending::UpForRetry));
        self.instance_mut(at).row.next_try_at = Some(due);
        self.timers.set(due, Timer::Retry(at));
    }

    pub(super) fn key(&self, at: TaskRef) -> TaskKey {
        let run = self.run(at.run);
        let row = &run.instance(at).row;
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

/// What the tasks of its own run mean for it: decisions first, then setups, then its trigger rule.
fn verdict(run: &Run, at: TaskRef) -> Verdict {
    let instance = run.instance(at);
    let task = run.dag.task(at.task);
    if instance.skipped_by > 0 && !task.role.is_teardown() {
        return Verdict::Decide(Decision::Skipped);
    }
    of_rule(task.trigger_rule, &run.upstreams(at))
}

/// The same, by what is counted alone.
pub(super) fn of_rule(rule: TriggerRule, counts: &Counts) -> Verdict {
    match (verdict_of_setups(&counts.setups), evaluate(rule, &counts.upstreams)) {
        (Verdict::Decide(decision), _) => Verdict::Decide(decision),
        (Verdict::Wait, Verdict::Run) => Verdict::Wait,
        (Verdict::Run | Verdict::Wait, verdict) => verdict,
    }
}

/// Setups that are not directly upstream are one more condition (SCHEDULING §2): all succeed.
pub(super) fn verdict_of_setups(setups: &UpstreamCounts) -> Verdict {
    if setups.failed_like() > 0 {
        Verdict::Decide(Decision::UpstreamFailed)
    } else if setups.skipped > 0 {
        Verdict::Decide(Decision::Skipped)
    } else if setups.success + setups.removed < setups.total {
        Verdict::Wait
    } else {
        Verdict::Run
    }
}

/// Something is going to happen to it by itself: it is unfinished, and not waiting for its upstreams.
pub(super) fn is_moving(state: TaskState) -> bool {
    !state.is_finished() && state != TaskState::None
}
