//! How attempts begin and end: dispatch, grants, outcomes, retries.
//!
//! The attempt's own state changes only through [`AttemptState::on`].

use crate::domain::attempt::{AttemptEvent, AttemptState, Outcome, Reaction, Wish};
use crate::domain::dag::TaskDefinition;
use crate::domain::graph::Dag;
use crate::domain::ids::{AttemptId, Claim, MapIndex, TaskKey, TryNumber, WorkerId};
use crate::domain::run::RunType;
use crate::domain::schedule::Bounds;
use crate::domain::state::{Ending, Mark, TaskEvent};
use crate::domain::time::Time;
use crate::protocol::work::{Report, RunContext, TaskMessage, ToWorker};
use crate::store::write::{AttemptRow, RunRow, Write, XComRow};

use super::TaskRef;
use super::core::{Core, Effect, Grant};
use super::runs::count;

impl Core {
    /// Gives places to whoever is next, while there are places and somebody to take the work.
    pub(super) fn admit_all(&mut self, now: Time) {
        self.grant_released(now);
        while self.somebody_is_free() {
            let Some(at) = self.admission.admit() else { return };
            self.instance_mut(at).rank = None;
            self.dispatch(now, at);
        }
    }

    /// In one process nothing is handed out that no slot can take; over a broker the queue waits.
    fn somebody_is_free(&self) -> bool {
        match self.settings.grant {
            Grant::InProcess => self.free_worker().is_some(),
            Grant::ByClaim => !self.leaving,
        }
    }

    fn free_worker(&self) -> Option<WorkerId> {
        if self.leaving {
            return None;
        }
        self.workers
            .values()
            .find(|worker| worker.row.online && worker.slots.allows_one_more(count(worker.owned.len())))
            .map(|worker| worker.row.id)
    }

    /// An attempt begins: published, or in one process granted at once.
    fn dispatch(&mut self, now: Time, at: TaskRef) {
        let id = self.ids.attempt(now);
        let key = self.key(at);
        let instance = self.instance_mut(at);
        let row = &mut instance.row;
        (row.attempt, row.queued_at) = (Some(id), Some(now));
        let attempt = AttemptRow {
            id,
            run: row.run,
            task_id: row.task_id.clone(),
            map_index: row.map_index,
            try_number: row.try_number,
            state: AttemptState::queued(),
            queued_at: now,
            started_at: None,
            ended_at: None,
            exit_code: None,
            message: None,
            log_path: log_path(&key, row.try_number),
        };
        if let Some(before) = instance.attempt.replace(attempt) {
            self.attempts.remove(&before.id);
        }
        self.attempts.insert(id, at);
        self.run_mut(at.run).open_attempts += 1;
        self.move_task(at, TaskEvent::Admitted);
        self.publish(now, at);
    }

    /// Sends a queued attempt on its way.
    pub(super) fn publish(&mut self, now: Time, at: TaskRef) {
        self.work.dirty_attempts.insert(at);
        match self.settings.grant {
            Grant::ByClaim => self.send_task(now, at, None, None),
            Grant::InProcess => match self.free_worker() {
                Some(worker) => self.grant_ahead(now, at, worker),
                None => {
                    self.unowned.insert(at);
                }
            },
        }
    }

    /// Attempts that were given back get the next free slot before anything new does.
    fn grant_released(&mut self, now: Time) {
        while let Some(worker) = self.free_worker() {
            let Some(at) = self.unowned.pop_first() else { return };
            self.grant_ahead(now, at, worker);
        }
    }

    /// PROTOCOL §9: the claim is made and granted in the commit that dispatches.
    fn grant_ahead(&mut self, now: Time, at: TaskRef, worker: WorkerId) {
        let state = self.workers.get_mut(&worker).expect("a free worker is known");
        state.last_n += 1;
        let claim = Claim { worker, incarnation: state.row.incarnation, n: state.last_n };
        let reaction = self.on_attempt(at, AttemptEvent::Claimed { by: claim, alive: true });
        if let Reaction::Grant(granted) = reaction {
            self.own(now, at, granted);
            self.send_task(now, at, Some(worker), Some(granted));
        }
    }

    /// The claim owns the attempt from now on.
    pub(super) fn own(&mut self, now: Time, at: TaskRef, claim: Claim) {
        let Some(id) = self.instance(at).row.attempt else { return };
        let hostname = self.workers.get_mut(&claim.worker).map(|worker| {
            worker.owned.insert(id);
            worker.row.name.clone()
        });
        let row = &mut self.instance_mut(at).row;
        (row.hostname, row.started_at) = (hostname, Some(now));
        self.move_task(at, TaskEvent::Started);
    }

    fn send_task(&mut self, now: Time, at: TaskRef, to: Option<WorkerId>, granted: Option<Claim>) {
        if let Some(task) = self.task_message(now, at) {
            self.effect(Effect::Send { to, message: ToWorker::Task { task: Box::new(task), granted } });
        }
    }

    /// Everything that a worker needs, from memory alone: a takeover says the same again.
    fn task_message(&self, now: Time, at: TaskRef) -> Option<TaskMessage> {
        let run = self.run(at.run);
        let instance = &run.tasks[at.task.usize()];
        let attempt = instance.attempt.as_ref()?;
        let dispatch = match attempt.state {
            AttemptState::Queued { dispatch }
            | AttemptState::Run { dispatch, .. }
            | AttemptState::Ending { dispatch, .. } => dispatch,
            AttemptState::Done { .. } => return None,
        };
        let task = run.dag.task(at.task);
        Some(TaskMessage {
            attempt: attempt.id,
            dispatch,
            key: self.key(at),
            try_number: instance.row.try_number,
            max_tries: instance.row.max_tries,
            operator: task.operator.clone(),
            operator_name: task.operator_name.clone(),
            retries: task.retries,
            queue: task.queue.clone(),
            owner: task.owner.clone(),
            execution_timeout: task.execution_timeout,
            do_xcom_push: task.do_xcom_push,
            log_path: attempt.log_path.clone(),
            run: run_context(&run.row, &run.dag, task, now),
        })
    }

    /// Lets the attempt's state table react, and keeps the owner's list in step.
    pub(super) fn on_attempt(&mut self, at: TaskRef, event: AttemptEvent) -> Reaction {
        let Some(attempt) = self.instance_mut(at).attempt.as_mut() else { return Reaction::Nothing };
        let before = attempt.state;
        let (after, reaction) = before.on(event);
        if before == after {
            return reaction;
        }
        attempt.state = after;
        let id = attempt.id;
        self.work.dirty_attempts.insert(at);
        if let (Some(owner), None) = (before.owner(), after.owner()) {
            self.disown(owner, id);
        }
        reaction
    }

    fn disown(&mut self, owner: Claim, id: AttemptId) {
        if let Some(worker) = self.workers.get_mut(&owner.worker) {
            worker.owned.remove(&id);
        }
    }

    /// The attempt is done: its places are free, and the task instance moves on.
    pub(super) fn conclude(&mut self, now: Time, at: TaskRef, wish: Option<Wish>, report: Option<&Report>) {
        let Some(AttemptState::Done { outcome, .. }) = self.instance(at).attempt.as_ref().map(|a| a.state) else {
            return;
        };
        self.record(now, at, report);
        let holds = self.holds(at);
        self.admission.release(&holds);
        self.unowned.remove(&at);
        self.run_mut(at.run).open_attempts -= 1;
        self.work.maybe_forgotten.insert(at.run);
        match wish {
            Some(wish) => self.fulfil(now, at, wish),
            None => self.follow(now, at, outcome, report),
        }
    }

    /// What the report says is kept with the attempt and the task instance.
    fn record(&mut self, now: Time, at: TaskRef, report: Option<&Report>) {
        let instance = self.instance_mut(at);
        let attempt = instance.attempt.as_mut().expect("an attempt that is done exists");
        attempt.ended_at = Some(report.map_or(now, |report| report.ended_at));
        attempt.started_at = report.and_then(|report| report.started_at);
        attempt.exit_code = report.and_then(|report| report.exit_code);
        attempt.message = report.and_then(|report| report.message.clone());
        let row = &mut instance.row;
        row.ended_at = attempt.ended_at;
        if let Some(report) = report {
            row.pid = report.pid;
            row.started_at = report.started_at.or(row.started_at);
        }
        row.note = attempt.message.clone();
        // Written here and not when all is flushed: a retry may put the next attempt in its place before.
        let last_word = attempt.clone();
        self.work.dirty_tasks.insert(at);
        self.work.dirty_attempts.remove(&at);
        self.write(Write::Attempt(last_word));
    }

    /// The wish that made it end is applied now (L9).
    pub(super) fn fulfil(&mut self, now: Time, at: TaskRef, wish: Wish) {
        match wish {
            Wish::Clear => {
                self.move_task(at, TaskEvent::Cleared);
                self.move_task(at, TaskEvent::Ended(Ending::Failed));
                self.forget_try(at);
            }
            Wish::Mark { mark } => self.apply_mark(now, at, mark),
            Wish::Abandon => {
                self.instance_mut(at).row.ended_at = Some(now);
                self.move_task(at, TaskEvent::Abandoned);
            }
            Wish::FailFast => {
                self.note(at, "stopped, because another task of the run failed (fail_fast)");
                self.move_task(at, TaskEvent::Marked(Mark::Failed));
            }
        }
    }

    /// What an outcome means for the task instance.
    fn follow(&mut self, now: Time, at: TaskRef, outcome: Outcome, report: Option<&Report>) {
        match outcome {
            Outcome::Success => {
                self.store_xcoms(now, at, report);
                self.move_task(at, TaskEvent::Ended(Ending::Success));
            }
            Outcome::Skipped => {
                self.move_task(at, TaskEvent::Ended(Ending::Skipped));
            }
            Outcome::Failed { retryable } => self.fail_or_retry(now, at, retryable),
            Outcome::TimedOut => self.fail_or_retry(now, at, true),
            Outcome::Lost | Outcome::Fenced | Outcome::Killed => self.retry_what_was_lost(now, at, outcome),
            Outcome::NeverStarted | Outcome::Undeliverable => {
                self.note(at, "no worker took it");
                self.fail(now, at);
            }
        }
    }

    fn store_xcoms(&mut self, now: Time, at: TaskRef, report: Option<&Report>) {
        for (key, value) in report.into_iter().flat_map(|report| report.xcoms.clone()) {
            self.store_xcom(now, at, key, value);
        }
    }

    pub(super) fn store_xcom(&mut self, now: Time, at: TaskRef, key: String, value: serde_json::Value) {
        let row = &self.instance(at).row;
        let xcom =
            XComRow { run: row.run, task_id: row.task_id.clone(), map_index: row.map_index, key, value, at: now };
        self.write(Write::XCom(xcom));
    }

    /// A user or a timeout no longer wants what the task instance does.
    pub(super) fn abandon(&mut self, now: Time, at: TaskRef) {
        let state = self.instance(at).row.state;
        if state.is_finished() {
            return;
        }
        if state.occupies_slots() {
            self.wish(now, at, Wish::Abandon);
        } else {
            self.fulfil(now, at, Wish::Abandon);
        }
    }

    /// Makes an attempt end; the wish is applied when it has (L9).
    pub(super) fn wish(&mut self, now: Time, at: TaskRef, wish: Wish) {
        match self.on_attempt(at, AttemptEvent::Wished(wish)) {
            Reaction::Terminate(claim) => self.terminate(claim),
            Reaction::Ended => self.conclude(now, at, Some(wish), None),
            Reaction::Grant(_)
            | Reaction::Refuse(_)
            | Reaction::Fence
            | Reaction::Settle(_)
            | Reaction::Publish
            | Reaction::Store
            | Reaction::Probe(_)
            | Reaction::RefuseAndSuspectOwner(_)
            | Reaction::Nothing => {}
        }
    }

    pub(super) fn terminate(&mut self, claim: Claim) {
        let grace = self.settings.kill_grace;
        self.effect(Effect::Send { to: Some(claim.worker), message: ToWorker::Terminate { claim, grace } });
    }

    pub(super) fn note(&mut self, at: TaskRef, note: &str) {
        self.instance_mut(at).row.note = Some(note.to_owned());
        self.work.dirty_tasks.insert(at);
    }
}

/// Airflow's layout below the base log folder.
fn log_path(key: &TaskKey, try_number: TryNumber) -> String {
    let mapped = match key.map_index {
        MapIndex::UNMAPPED => String::new(),
        index => format!("map_index={index}/"),
    };
    format!("dag_id={}/run_id={}/task_id={}/{mapped}attempt={try_number}.log", key.dag, key.run, key.task)
}

fn run_context(run: &RunRow, dag: &Dag, task: &TaskDefinition, now: Time) -> RunContext {
    let mut params = dag.definition.params.clone();
    params.extend(task.params.clone());
    params.extend(run.conf.clone());
    RunContext {
        run_type: run.run_type,
        logical_date: run.logical_date,
        interval: run.interval,
        run_after: run.run_after,
        started_at: run.started_at,
        conf: run.conf.clone(),
        params,
        previous_logical_date: None,
        next_logical_date: next_logical_date(run, dag, now),
        description: dag.definition.description.clone(),
        tags: dag.definition.tags.clone(),
        file: dag.definition.file.clone(),
        template_searchpath: dag.definition.template_searchpath.clone(),
    }
}

/// Where the schedule goes on after this run; a run that no schedule made has no next one.
fn next_logical_date(run: &RunRow, dag: &Dag, now: Time) -> Option<Time> {
    let interval = run.interval.filter(|_| run.run_type == RunType::Scheduled)?;
    // Every run of the past counts as a neighbour, whether or not catchup would make it.
    let bounds = Bounds { catchup: true, ..dag.bounds() };
    dag.timetable.next(&bounds, Some(&interval), now).map(|planned| planned.logical_date)
}
