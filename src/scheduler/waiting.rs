//! Waiting without a slot: sensors between two looks, and what the scheduler itself watches for them.
//!
//! ```text
//!  ready ──► a moment, or another DAG's tasks? ──► waits, no process ──┬─ timer: the moment, the timeout
//!    │                                                                 └─ a run that moves wakes who watches it
//!    └─────► an attempt looks ──► rescheduled / deferred ──► waits ──► looks again, same try
//! ```
//!
//! Costs nothing while nothing happens: a timer for a moment, an entry in an index
//! for another run. Whether the waiting is over is `domain::wait`'s decision.

use std::collections::{BTreeSet, HashMap};

use crate::domain::ids::{DagId, RunId, RunKey};
use crate::domain::journal::{Held, Stretch};
use crate::domain::native::{Aim, Native, Poking, Sensor};
use crate::domain::operator::Operator;
use crate::domain::state::{Ending, Rest, RunState, TaskEvent, TaskState};
use crate::domain::template::has_templates;
use crate::domain::time::{Time, after};
use crate::domain::wait::{Awaited, Seen, Waiting};
use crate::protocol::work::Report;
use crate::store::write::TaskRow;

use super::TaskRef;
use super::core::{Core, Effect, Run};
use super::timers::Timer;

/// Who waits for which run: by its logical date, or by its id.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    by_date: HashMap<(DagId, Time), BTreeSet<TaskRef>>,
    by_id: HashMap<(DagId, RunId), BTreeSet<TaskRef>>,
}

impl Watchers {
    pub fn is_empty(&self) -> bool {
        self.by_date.is_empty() && self.by_id.is_empty()
    }

    pub fn add(&mut self, at: TaskRef, awaited: &Awaited) {
        match awaited {
            Awaited::Tasks(tasks) => {
                self.by_date.entry((tasks.dag.clone(), tasks.date)).or_default().insert(at);
            }
            Awaited::Run(run) => {
                self.by_id.entry((run.dag.clone(), run.run.clone())).or_default().insert(at);
            }
            Awaited::Look { .. } | Awaited::Moment { .. } => {}
        }
    }

    fn remove(&mut self, at: TaskRef, awaited: &Awaited) {
        match awaited {
            Awaited::Tasks(tasks) => take_out(&mut self.by_date, (tasks.dag.clone(), tasks.date), at),
            Awaited::Run(run) => take_out(&mut self.by_id, (run.dag.clone(), run.run.clone()), at),
            Awaited::Look { .. } | Awaited::Moment { .. } => {}
        }
    }

    fn of(&self, run: &Run) -> impl Iterator<Item = TaskRef> {
        let row = &run.row;
        let by_date = row.logical_date.and_then(|date| self.by_date.get(&(row.dag_id.clone(), date)));
        let by_id = self.by_id.get(&(row.dag_id.clone(), row.run_id.clone()));
        by_date.into_iter().chain(by_id).flatten().copied()
    }

    /// Every watcher with what it is listed for, for the invariants.
    pub fn count(&self) -> usize {
        self.by_date.values().chain(self.by_id.values()).map(BTreeSet::len).sum()
    }

    pub fn holds(&self, at: TaskRef, awaited: &Awaited) -> bool {
        match awaited {
            Awaited::Tasks(tasks) => {
                self.by_date.get(&(tasks.dag.clone(), tasks.date)).is_some_and(|set| set.contains(&at))
            }
            Awaited::Run(run) => {
                self.by_id.get(&(run.dag.clone(), run.run.clone())).is_some_and(|set| set.contains(&at))
            }
            Awaited::Look { .. } | Awaited::Moment { .. } => true,
        }
    }
}

fn take_out<K: Eq + std::hash::Hash>(index: &mut HashMap<K, BTreeSet<TaskRef>>, key: K, at: TaskRef) {
    if let Some(set) = index.get_mut(&key) {
        set.remove(&at);
        if set.is_empty() {
            index.remove(&key);
        }
    }
}

/// Whether a task instance waits for something without a slot.
pub(super) fn waits(state: TaskState) -> bool {
    matches!(state, TaskState::UpForReschedule | TaskState::Deferred)
}

/// How long it has waited so, up to now: since its attempt ended, or since it began where it has had none.
pub(super) fn waited(row: &TaskRow, now: Time) -> Option<Stretch> {
    let held = match row.state {
        TaskState::UpForReschedule => Held::Rescheduled,
        TaskState::Deferred => Held::Deferred,
        TaskState::None
        | TaskState::Scheduled
        | TaskState::Queued
        | TaskState::Running
        | TaskState::Restarting
        | TaskState::Success
        | TaskState::Failed
        | TaskState::Skipped
        | TaskState::UpstreamFailed
        | TaskState::UpForRetry
        | TaskState::Removed
        | TaskState::AwaitingInput => return None,
    };
    let from = row.ended_at.or(row.started_at)?;
    Some(Stretch { from, to: now, held })
}

impl Core {
    /// A sensor whose aim the scheduler can watch itself waits without ever having a process. False where an attempt
    /// is needed: what it waits for has to be looked at, or its templates are the worker's to render; and where it
    /// takes up room while it waits and has not yet been admitted to it.
    pub(super) fn waits_by_itself(&mut self, now: Time, at: TaskRef, is_admitted: bool) -> bool {
        let run = self.run(at.run);
        let operator = &run.dag.task(at.task).operator;
        let Some(sensor) = sensor_of(operator).filter(|sensor| sensor.poking.frees_its_slot()) else { return false };
        if has_templates(operator) {
            return false;
        }
        let row = &run.instance(at).row;
        let since = row.waiting.as_ref().map_or(now, |waiting| waiting.since);
        let aim = Aim {
            since,
            logical_date: run.row.logical_date,
            interval_end: run.row.interval.map(|interval| interval.end),
            run_after: run.row.run_after,
        };
        // Arguments that mean nothing fail the task where its log can say so.
        let Ok(Some(awaited)) = sensor.awaited(aim) else { return false };
        let rest = if sensor.poking.deferrable { Rest::Deferred } else { Rest::Rescheduled };
        let holds = self.holds(at);
        if is_admitted {
            self.admission.release(at, &holds);
        } else if rest == Rest::Deferred && self.admission.deferred_takes_room(&holds) {
            return false;
        }
        let row = &mut self.instance_mut(at).row;
        let reschedules = row.waiting.as_ref().map_or(0, |waiting| waiting.reschedules);
        row.started_at = Some(now);
        row.waiting = Some(Box::new(Waiting { since, reschedules, awaited }));
        self.move_task(at, TaskEvent::Waits(rest));
        self.watch(at);
        true
    }

    /// An attempt has looked and goes back to waiting.
    pub(super) fn wait_after_attempt(&mut self, now: Time, at: TaskRef, ending: Ending, report: Option<&Report>) {
        if let Err(why) = self.store_xcoms(now, at, report) {
            self.note(at, &why.to_string());
            self.fail_or_retry(now, at, true);
            return;
        }
        let Some(awaited) = report.and_then(|report| report.awaited.clone()) else {
            self.note(at, "it wants to wait, and does not say for what");
            self.fail(now, at);
            return;
        };
        let started = report.and_then(|report| report.started_at).unwrap_or(now);
        let row = &mut self.instance_mut(at).row;
        let (since, reschedules) =
            row.waiting.as_ref().map_or((started, 0), |before| (before.since, before.reschedules));
        row.waiting = Some(Box::new(Waiting { since, reschedules: reschedules.saturating_add(1), awaited }));
        self.move_task(at, TaskEvent::Ended(ending));
        self.watch(at);
    }

    /// Sets the timer and the entry in the index, and looks once at how things stand.
    pub(super) fn watch(&mut self, at: TaskRef) {
        let run = self.run(at.run);
        let timeout = sensor_of(&run.dag.task(at.task).operator).map(|sensor| sensor.poking.timeout);
        let Some(waiting) = &run.instance(at).row.waiting else { return };
        let (awaited, since) = (waiting.awaited.clone(), waiting.since);
        let timeout = timeout.map(|timeout| after(since, timeout));
        let due = match awaited {
            // Whether a look came too late is for the attempt to say that looks.
            Awaited::Look { at } => Some(at),
            Awaited::Moment { at } => Some(timeout.map_or(at, |timeout| timeout.min(at))),
            Awaited::Tasks(_) => timeout,
            Awaited::Run(_) => None,
        };
        self.instance_mut(at).row.next_try_at = due;
        self.work.dirty_tasks.insert(at);
        if let Some(due) = due {
            self.timers.set(due, Timer::Wait(at));
        }
        self.watchers.add(at, &awaited);
        match awaited {
            Awaited::Tasks(_) | Awaited::Run(_) => self.work.watched.push((at, None)),
            Awaited::Look { .. } | Awaited::Moment { .. } => {}
        }
    }

    /// It no longer waits, whatever made it stop.
    pub(super) fn stop_watching(&mut self, at: TaskRef) {
        let row = &self.instance(at).row;
        let (due, waiting) = (row.next_try_at, row.waiting.clone());
        if let Some(due) = due {
            self.timers.cancel(due, Timer::Wait(at));
        }
        if let Some(waiting) = waiting {
            self.watchers.remove(at, &waiting.awaited);
        }
        self.instance_mut(at).row.next_try_at = None;
    }

    /// Something in the run moved: who watches it is asked again.
    pub(super) fn wake_watchers(&mut self, key: RunKey) {
        if self.watchers.is_empty() {
            return;
        }
        let Some(run) = self.runs.get(&key) else { return };
        self.work.watched.extend(self.watchers.of(run).map(|at| (at, Some(key))));
    }

    /// Judges everybody whose watched run has moved.
    pub(super) fn judge_watched(&mut self, now: Time) {
        while let Some((at, hint)) = self.work.watched.pop() {
            let Some(awaited) = self.awaited_by(at) else { continue };
            let missing = if hint.is_none() { self.missing(&awaited) } else { None };
            match missing.or_else(|| self.judge_in_memory(&awaited, hint)) {
                Some(seen) => self.on_seen(now, at, &awaited, seen),
                None => self.effect(Effect::LookAt { at, awaited }),
            }
        }
    }

    fn awaited_by(&self, at: TaskRef) -> Option<Awaited> {
        let run = self.runs.get(&at.run)?;
        let row = &run.find(at)?.row;
        let waits = waits(row.state) && run.row.state == RunState::Running;
        waits.then(|| row.waiting.as_ref().map(|waiting| waiting.awaited.clone())).flatten()
    }

    /// What memory says; `None` when the run is not there, and may have ended long ago.
    pub(super) fn judge_in_memory(&self, awaited: &Awaited, hint: Option<RunKey>) -> Option<Seen> {
        let find = |dag: &DagId, is_it: &dyn Fn(&Run) -> bool| {
            let known = self.dags.get(dag);
            let open = known
                .into_iter()
                .flat_map(|dag| dag.running.iter().copied().chain(dag.queued.iter().map(|(_, key)| *key)));
            hint.into_iter()
                .chain(open)
                .filter_map(|key| self.runs.get(&key))
                .find(|run| run.row.dag_id == *dag && is_it(run))
        };
        match awaited {
            Awaited::Look { .. } | Awaited::Moment { .. } => Some(Seen::NotYet),
            Awaited::Run(awaited) => {
                let run = find(&awaited.dag, &|run| run.row.run_id == awaited.run)?;
                Some(awaited.judge(Some(run.row.state)))
            }
            Awaited::Tasks(awaited) => {
                let run = find(&awaited.dag, &|run| run.row.logical_date == Some(awaited.date))?;
                let states: Vec<_> =
                    run.instances().map(|(_, task)| (task.row.task_id.clone(), task.row.state)).collect();
                Some(awaited.judge(Some(run.row.state), &states, Some(&run.dag.definition)))
            }
        }
    }

    /// At the first look, where the author wants to hear of it: a DAG or task that does not exist.
    fn missing(&self, awaited: &Awaited) -> Option<Seen> {
        let Awaited::Tasks(awaited) = awaited else { return None };
        if !awaited.check_existence {
            return None;
        }
        let Some(known) = self.dags.get(&awaited.dag).filter(|dag| !dag.row.is_stale) else {
            return Some(Seen::Failed { why: format!("The external DAG {} does not exist.", awaited.dag) });
        };
        let groups = &known.dag.definition.groups;
        let is_known = |group: &&String| groups.iter().any(|known| known.group_id.as_str() == group.as_str());
        if let Some(group) = awaited.group.as_ref().filter(|group| !is_known(group)) {
            let why = format!("The external task group '{group}' in DAG '{}' does not exist.", awaited.dag);
            return Some(Seen::Failed { why });
        }
        let task = awaited.tasks.iter().find(|task| known.dag.find(task).is_none())?;
        let why = format!("The external task {task} in DAG {} does not exist.", awaited.dag);
        Some(Seen::Failed { why })
    }

    /// What the store said of a run that memory does not know.
    pub(super) fn on_looked_at(&mut self, now: Time, at: TaskRef, awaited: &Awaited, seen: Seen) {
        // It may have stopped waiting meanwhile, or wait for something else.
        if self.awaited_by(at).as_ref() == Some(awaited) {
            self.on_seen(now, at, awaited, seen);
        }
    }

    fn on_seen(&mut self, now: Time, at: TaskRef, awaited: &Awaited, seen: Seen) {
        match seen {
            Seen::NotYet => {}
            Seen::Done => self.end_waiting(now, at, None, TaskEvent::Ended(Ending::Success)),
            Seen::Skipped { why } => self.end_waiting(now, at, Some(why), TaskEvent::Ended(Ending::Skipped)),
            Seen::Failed { why } => {
                let is_soft = matches!(awaited, Awaited::Tasks(_)) && self.poking(at).is_some_and(is_soft);
                if is_soft {
                    self.end_waiting(now, at, Some(why), TaskEvent::Ended(Ending::Skipped));
                } else {
                    self.remember_waiting(now, at);
                    self.instance_mut(at).row.ended_at = Some(now);
                    self.note(at, &why);
                    self.fail_or_retry(now, at, true);
                }
            }
        }
    }

    /// A moment has come, or the time is over.
    pub(super) fn on_wait_due(&mut self, now: Time, at: TaskRef) {
        let Some(awaited) = self.awaited_by(at) else { return };
        if self.instance(at).row.next_try_at.is_none_or(|due| due > now) {
            return;
        }
        match awaited {
            Awaited::Look { .. } => self.look_again(now, at),
            Awaited::Moment { at: moment } if moment <= now => {
                self.end_waiting(now, at, None, TaskEvent::Ended(Ending::Success));
            }
            Awaited::Moment { .. } | Awaited::Tasks(_) => self.waited_too_long(now, at),
            Awaited::Run(_) => {}
        }
    }

    /// The next look of the same try: nothing that it left is cleared away.
    fn look_again(&mut self, now: Time, at: TaskRef) {
        let row = &mut self.instance_mut(at).row;
        row.journal.extend(waited(row, now));
        (row.scheduled_at, row.queued_at, row.ended_at) = (Some(now), None, None);
        (row.hostname, row.pid, row.note) = (None, None, None);
        self.move_task(at, TaskEvent::DependenciesMet);
        self.join_lane(at);
    }

    /// SCHEDULING §9: no further try, or skipped if the author wants it so.
    fn waited_too_long(&mut self, now: Time, at: TaskRef) {
        let since = self.instance(at).row.waiting.as_ref().map_or(now, |waiting| waiting.since);
        let Some(poking) = self.poking(at) else { return };
        let (why, is_soft) = (poking.timed_out(since, now), is_soft(poking));
        if is_soft {
            self.end_waiting(now, at, Some(why), TaskEvent::Ended(Ending::Skipped));
        } else {
            self.remember_waiting(now, at);
            self.instance_mut(at).row.ended_at = Some(now);
            self.note(at, &why);
            self.fail(now, at);
        }
    }

    /// The wait that ends now, as its journal keeps it.
    fn remember_waiting(&mut self, now: Time, at: TaskRef) {
        let row = &mut self.instance_mut(at).row;
        row.journal.extend(waited(row, now));
    }

    fn end_waiting(&mut self, now: Time, at: TaskRef, note: Option<String>, event: TaskEvent) {
        self.remember_waiting(now, at);
        let row = &mut self.instance_mut(at).row;
        (row.ended_at, row.note) = (Some(now), note);
        self.move_task(at, event);
        if event == TaskEvent::Ended(Ending::Success) {
            self.apply_decision(now, at);
        }
    }

    fn poking(&self, at: TaskRef) -> Option<&Poking> {
        sensor_of(&self.run(at.run).dag.task(at.task).operator).map(|sensor| &sensor.poking)
    }
}

fn is_soft(poking: &Poking) -> bool {
    poking.soft_fail || poking.never_fail
}

fn sensor_of(operator: &Operator) -> Option<&Sensor> {
    match operator {
        Operator::Native(native) => match &**native {
            Native::Sensor(sensor) => Some(sensor),
            Native::Http(_) | Native::Sql(_) | Native::Email(_) | Native::TriggerDagRun(_) => None,
        },
        Operator::Empty | Operator::Bash(_) | Operator::Python(_) | Operator::Decide(_) => None,
    }
}
