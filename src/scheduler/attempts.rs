//! How attempts begin and end: dispatch, grants, outcomes, retries.
//!
//! The attempt's own state changes only through [`AttemptState::on`].

use crate::domain::attempt::{AttemptEvent, AttemptState, Outcome, Reaction, Wish};
use crate::domain::ids::{AttemptId, Claim, DagId, MapIndex, TaskKey, TryNumber, WorkerId};
use crate::domain::skip::{InvalidDecision, SKIP_KEY};
use crate::domain::state::{Ending, Mark, TaskEvent};
use crate::domain::template::PreviousSuccess;
use crate::domain::time::Time;
use crate::protocol::work::{Report, TaskMessage, ToWorker};
use crate::store::write::{AttemptRow, RunRow, Write, XComRow};

use super::TaskRef;
use super::admit::Stopped;
use super::assets::linked;
use super::context::{Surroundings, run_context};
use super::core::{Core, Effect, Grant};
use super::runs::count;

impl Core {
    /// Gives places to whoever is next, while there are places and somebody to take the work.
    pub(super) fn admit_all(&mut self, now: Time) {
        self.grant_released(now);
        while self.somebody_is_free() {
            let Some((at, held)) = self.admission.admit() else { break };
            let instance = self.instance_mut(at);
            instance.rank = None;
            instance.row.journal.extend(held);
            if !self.waits_by_itself(now, at, true) {
                self.dispatch(now, at);
            }
        }
        self.admission.stop(self.stopped());
    }

    /// What keeps everybody from being admitted at this instant, whatever their own limits.
    pub(super) fn stopped(&self) -> Stopped {
        if self.leaving {
            return Stopped::Leaving;
        }
        if self.admission.is_full() {
            return Stopped::Parallelism;
        }
        match self.settings.grant {
            Grant::ByClaim => Stopped::No,
            Grant::InProcess if self.workers_here().next().is_none() => Stopped::NoWorker,
            Grant::InProcess if self.free_worker().is_none() => Stopped::NoFreeSlot,
            Grant::InProcess => Stopped::No,
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
        self.workers_here()
            .find(|worker| worker.row.slots.allows_one_more(count(worker.owned.len())))
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
            Grant::ByClaim => {
                self.note_published(now, at);
                self.send_task(now, at, None, None);
            }
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
        // First, because whether it has begun before is what `owe_for_task` looks at.
        self.move_task(at, TaskEvent::Started);
        let row = &mut self.instance_mut(at).row;
        (row.hostname, row.started_at) = (hostname, Some(now));
    }

    fn send_task(&mut self, now: Time, at: TaskRef, to: Option<WorkerId>, granted: Option<Claim>) {
        if let Some(task) = self.task_message(now, at) {
            self.effect(Effect::Send { to, message: ToWorker::Task { task: Box::new(task), granted } });
        }
    }

    /// Everything that a worker needs, from memory alone: a takeover says the same again.
    fn task_message(&mut self, now: Time, at: TaskRef) -> Option<TaskMessage> {
        let mapped = self.mapped(at);
        let run = self.run(at.run);
        let instance = run.instance(at);
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
            inlets: linked(&run.dag.definition, &task.inlets),
            outlets: linked(&run.dag.definition, &task.outlets),
            waiting_since: instance.row.waiting.as_ref().map(|waiting| waiting.since),
            reschedules: instance.row.waiting.as_ref().map_or(0, |waiting| waiting.reschedules),
            run: run_context(&run.row, &run.dag, Some(task), self.surroundings(&run.row), now),
            mapped,
            notice: None,
        })
    }

    /// What the run itself does not know.
    pub(super) fn surroundings(&self, run: &RunRow) -> Surroundings {
        let events = self.runs.get(&run.key).map(|run| run.events.iter().map(|event| event.as_ref().clone()).collect());
        Surroundings {
            conf_overrides_params: self.settings.conf_overrides_params,
            xcom_of_any_task: self.settings.xcom_of_any_task,
            previous_success: self.previous_success(run),
            file_hash: self.file_hash(&run.dag_id),
            asset_events: events.unwrap_or_default(),
        }
    }

    /// Of the DAG's file as it was read. Only workers behind a broker may have another.
    fn file_hash(&self, dag: &DagId) -> Option<String> {
        let known = self.dags.get(dag).filter(|_| self.settings.grant == Grant::ByClaim)?;
        self.file_hashes.get(&known.row.file).cloned()
    }

    /// The latest success, where this run comes after it.
    fn previous_success(&self, run: &RunRow) -> Option<PreviousSuccess> {
        let (date, success) = self.dags.get(&run.dag_id)?.last_success?;
        run.logical_date.is_some_and(|own| date < own).then_some(success)
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
        self.in_or_out_of_the_queue(at, before, after);
        reaction
    }

    /// Over a broker an attempt lies in its task queue as long as it is queued.
    fn in_or_out_of_the_queue(&mut self, at: TaskRef, before: AttemptState, after: AttemptState) {
        let (was, is) = (before.is_queued(), after.is_queued());
        if was == is || self.settings.grant != Grant::ByClaim {
            return;
        }
        let holds = self.holds(at);
        if is {
            self.admission.enter_queue(at, &holds);
        } else {
            self.note_claimed(at);
            self.admission.leave_queue(at, &holds);
        }
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
        self.admission.release(at, &holds);
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
        // Without a report whoever ended it has left a word, or there is none.
        if let Some(report) = report {
            attempt.message.clone_from(&report.message);
        }
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
                if let Err(why) = self.store_xcoms(now, at, report) {
                    self.note(at, &why.to_string());
                    self.fail_or_retry(now, at, true);
                    return;
                }
                self.move_task(at, TaskEvent::Ended(Ending::Success));
                self.apply_decision(now, at);
                self.change_outlets(now, at, report.map_or(&[], |report| &report.outlet_events));
            }
            Outcome::Skipped => {
                self.move_task(at, TaskEvent::Ended(Ending::Skipped));
            }
            Outcome::Rescheduled => self.wait_after_attempt(now, at, Ending::UpForReschedule, report),
            Outcome::Deferred => self.wait_after_attempt(now, at, Ending::Deferred, report),
            Outcome::Failed { retryable } => self.fail_or_retry(now, at, retryable),
            Outcome::TimedOut => self.fail_or_retry(now, at, true),
            Outcome::Lost | Outcome::Fenced | Outcome::Killed => self.retry_what_was_lost(now, at, outcome),
            Outcome::NeverStarted => {
                self.note(at, "no worker took it");
                self.fail(now, at);
            }
            // Its note says how often it was tried.
            Outcome::Undeliverable => self.fail(now, at),
        }
    }

    pub(super) fn store_xcoms(
        &mut self,
        now: Time,
        at: TaskRef,
        report: Option<&Report>,
    ) -> Result<(), InvalidDecision> {
        for (key, value) in report.into_iter().flat_map(|report| report.xcoms.clone()) {
            self.store_xcom(now, at, key, value)?;
        }
        Ok(())
    }

    /// Stores a value; a skip decision that means nothing in the graph is refused.
    pub(super) fn store_xcom(
        &mut self,
        now: Time,
        at: TaskRef,
        key: String,
        value: serde_json::Value,
    ) -> Result<(), InvalidDecision> {
        let value = if key == SKIP_KEY { self.take_decision(at, &value)? } else { value };
        self.write_xcom(now, at, key, value);
        Ok(())
    }

    pub(super) fn write_xcom(&mut self, now: Time, at: TaskRef, key: String, value: serde_json::Value) {
        self.note_length(at, &key, &value);
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
    format!("{}attempt={try_number}.log", log_folder(key))
}

/// Where the logs of a task instance are, with the slash at its end.
pub(super) fn log_folder(key: &TaskKey) -> String {
    let mapped = match key.map_index {
        MapIndex::UNMAPPED => String::new(),
        index => format!("map_index={index}/"),
    };
    format!("dag_id={}/run_id={}/task_id={}/{mapped}", key.dag, key.run, key.task)
}
