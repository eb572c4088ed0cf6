//! What workers say, and what they are answered (PROTOCOL §5). Every report is settled (L10).

use crate::domain::attempt::{AttemptEvent, AttemptState, Outcome, Reaction, Refusal, Verdict, Wish};
use crate::domain::ids::{AttemptId, Claim, Incarnation, NotificationId, WorkerId};
use crate::domain::limit::Limit;
use crate::domain::time::Time;
use crate::protocol::work::{Answer, Beat, FromWorker, Online, Question, Report, ToWorker};
use crate::store::write::{WorkerRow, Write};

use super::TaskRef;
use super::core::{Core, Effect, WorkerState};

impl Core {
    pub(super) fn on_worker(&mut self, now: Time, message: FromWorker) {
        match message {
            FromWorker::Online(online) => self.on_online(now, online),
            FromWorker::Claimed { attempt, claim, dispatch: _, redelivered: _ } => self.on_claimed(now, attempt, claim),
            // It was told as running when it was granted; its process id and time come with the report.
            FromWorker::Started { .. } => {}
            FromWorker::Finish(report) => {
                let verdict = self.on_report(now, &report);
                self.settle_reports(report.claim.worker, vec![(report.claim, verdict)]);
            }
            FromWorker::Released { attempt, claim } => {
                self.on_given_back(now, attempt, AttemptEvent::Released { by: claim })
            }
            FromWorker::Beat(beat) => self.on_beat(now, &beat),
            FromWorker::Notified(notified) => self.on_notified(now, notified),
            FromWorker::Asked { attempt, claim, seq, question } => self.on_asked(now, attempt, claim, seq, question),
            FromWorker::Offline { worker, incarnation } => {
                if self.workers.get(&worker).is_some_and(|known| known.row.incarnation == incarnation) {
                    self.on_offline(now, worker);
                }
            }
            FromWorker::Obituary { worker, incarnation, unsettled } => {
                self.on_obituary(now, worker, incarnation, &unsettled);
            }
        }
    }

    /// A new life of a worker: what it reports of earlier ones is taken first, the
    /// rest of what they owned is lost (L6a).
    fn on_online(&mut self, now: Time, online: Online) {
        let known = self.workers.get(&online.worker).map(|worker| worker.row.incarnation);
        if known.is_some_and(|known| online.incarnation < known) {
            let message = ToWorker::Fenced { incarnation: online.incarnation };
            self.effect(Effect::Send { to: Some(online.worker), message });
            return;
        }
        let settled: Vec<_> =
            online.unsettled.iter().map(|report| (report.claim, self.on_report(now, report))).collect();
        self.settle_reports(online.worker, settled);
        if known.is_some_and(|known| online.incarnation > known) {
            self.lose_all(now, online.worker);
        }
        let row = WorkerRow {
            id: online.worker,
            name: online.name,
            incarnation: online.incarnation,
            online: true,
            seen_at: now,
        };
        self.write(Write::Worker(row.clone()));
        let slots = Limit::from_zero_unlimited(online.standing.slots);
        let state = self.workers.entry(online.worker).or_insert_with(|| WorkerState {
            row: row.clone(),
            slots,
            queues: Vec::new(),
            last_n: 0,
            owned: Default::default(),
        });
        if state.row.incarnation != row.incarnation {
            state.last_n = 0;
        }
        (state.row, state.slots, state.queues) = (row, slots, online.standing.queues);
        self.take_back_notifications(online.worker, Some(online.incarnation));
    }

    /// The same, by the word of its companion (L6b): whatever its incarnation owned and does not report is lost.
    fn on_obituary(&mut self, now: Time, worker: WorkerId, incarnation: Incarnation, unsettled: &[Report]) {
        let settled: Vec<_> = unsettled.iter().map(|report| (report.claim, self.on_report(now, report))).collect();
        self.settle_reports(worker, settled);
        let Some(state) = self.workers.get_mut(&worker).filter(|state| state.row.incarnation == incarnation) else {
            return;
        };
        state.row.online = false;
        let row = state.row.clone();
        self.write(Write::Worker(row));
        self.lose_all(now, worker);
        self.take_back_notifications(worker, None);
    }

    fn lose_all(&mut self, now: Time, worker: WorkerId) {
        let owned: Vec<AttemptId> = self.workers.get(&worker).into_iter().flat_map(|w| w.owned.clone()).collect();
        for id in owned {
            let Some((at, claim)) = self.owner_of(id) else { continue };
            self.on_attempt_ended(now, at, AttemptEvent::OwnerGone { claim }, None);
        }
    }

    fn owner_of(&self, id: AttemptId) -> Option<(TaskRef, Claim)> {
        let at = *self.attempts.get(&id)?;
        let claim = self.instance(at).attempt.as_ref()?.state.owner()?;
        Some((at, claim))
    }

    /// Lets the table react to something that may end the attempt.
    fn on_attempt_ended(&mut self, now: Time, at: TaskRef, event: AttemptEvent, report: Option<&Report>) -> Reaction {
        let before = self.instance(at).attempt.as_ref().map(|attempt| attempt.state);
        let reaction = self.on_attempt(at, event);
        let after = self.instance(at).attempt.as_ref().map(|attempt| attempt.state);
        if after.is_some_and(|state| state.is_done()) && before != after {
            self.conclude(now, at, before.and_then(wish_of), report);
        }
        reaction
    }

    fn on_report(&mut self, now: Time, report: &Report) -> Verdict {
        let Some(&at) = self.attempts.get(&report.attempt) else { return Verdict::Stale };
        let mut report = std::borrow::Cow::Borrowed(report);
        if let Some(why) = self.unmappable(at, &report).filter(|_| report.outcome == Outcome::Success) {
            let failed = report.to_mut();
            (failed.outcome, failed.message) = (Outcome::Failed { retryable: true }, Some(why));
        }
        let event = AttemptEvent::Finished { by: report.claim, outcome: report.outcome };
        match self.on_attempt_ended(now, at, event, Some(&report)) {
            Reaction::Settle(verdict) => verdict,
            Reaction::Grant(_)
            | Reaction::Refuse(_)
            | Reaction::Fence
            | Reaction::Terminate(_)
            | Reaction::Publish
            | Reaction::Store
            | Reaction::Probe(_)
            | Reaction::RefuseAndSuspectOwner(_)
            | Reaction::Ended
            | Reaction::Nothing => Verdict::Stale,
        }
    }

    fn settle_reports(&mut self, worker: WorkerId, claims: Vec<(Claim, Verdict)>) {
        if !claims.is_empty() {
            self.effect(Effect::Send { to: Some(worker), message: ToWorker::Settled { claims } });
        }
    }

    fn on_claimed(&mut self, now: Time, attempt: AttemptId, claim: Claim) {
        let known = self.workers.get(&claim.worker).map(|worker| worker.row.incarnation);
        let alive = known == Some(claim.incarnation);
        let Some(&at) = self.attempts.get(&attempt) else {
            self.refuse(claim, Refusal::Unknown);
            return;
        };
        let owner = self.instance(at).attempt.as_ref().and_then(|attempt| attempt.state.owner());
        match self.on_attempt(at, AttemptEvent::Claimed { by: claim, alive }) {
            Reaction::Grant(claim) => {
                if owner.is_none() {
                    self.own(now, at, claim);
                }
                let message = ToWorker::Granted { attempt, claim, epoch: self.epoch };
                self.effect(Effect::Send { to: Some(claim.worker), message });
            }
            Reaction::Refuse(why) => self.refuse(claim, why),
            Reaction::RefuseAndSuspectOwner(_) => self.refuse(claim, Refusal::Owned),
            Reaction::Fence => {
                self.refuse(claim, Refusal::OldIncarnation);
                let message = ToWorker::Fenced { incarnation: claim.incarnation };
                self.effect(Effect::Send { to: Some(claim.worker), message });
            }
            Reaction::Terminate(claim) => self.terminate(claim),
            Reaction::Settle(_)
            | Reaction::Publish
            | Reaction::Store
            | Reaction::Probe(_)
            | Reaction::Ended
            | Reaction::Nothing => {}
        }
    }

    fn refuse(&mut self, claim: Claim, why: Refusal) {
        let message = ToWorker::Refused { claim, why, epoch: self.epoch };
        self.effect(Effect::Send { to: Some(claim.worker), message });
    }

    /// Given back: it is queued again and handed to the next free slot.
    fn on_given_back(&mut self, now: Time, attempt: AttemptId, event: AttemptEvent) {
        let Some(&at) = self.attempts.get(&attempt) else { return };
        if self.on_attempt_ended(now, at, event, None) == Reaction::Publish {
            self.move_task(at, crate::domain::state::TaskEvent::Released);
            self.publish(now, at);
        }
    }

    /// W8: a claim that its incarnation has passed and does not hold never started.
    fn on_beat(&mut self, now: Time, beat: &Beat) {
        // Of a worker that nobody knows the first word was lost: it comes online again, as one of an old incarnation does.
        let known = self.workers.get_mut(&beat.worker).filter(|worker| worker.row.incarnation == beat.incarnation);
        let Some(worker) = known else {
            let message = ToWorker::Fenced { incarnation: beat.incarnation };
            self.effect(Effect::Send { to: Some(beat.worker), message });
            return;
        };
        worker.row.seen_at = now;
        // A leader that has just taken over hears of a worker by its beat.
        worker.row.online = true;
        let owned: Vec<AttemptId> = worker.owned.iter().copied().collect();
        for id in owned {
            let Some((_, claim)) = self.owner_of(id) else { continue };
            if claim.n <= beat.highest_n && !beat.held.contains(&(id, claim)) {
                self.on_given_back(now, id, AttemptEvent::BeatWithout { claim });
            }
        }
        for &(id, by) in &beat.held {
            let Some(&at) = self.attempts.get(&id) else { continue };
            if let Reaction::Terminate(claim) = self.on_attempt(at, AttemptEvent::BeatHolding { by }) {
                self.terminate(claim);
            }
        }
    }

    /// A drained worker swears that nothing of it runs.
    fn on_offline(&mut self, now: Time, worker: WorkerId) {
        let Some(state) = self.workers.get_mut(&worker) else { return };
        state.row.online = false;
        state.row.seen_at = now;
        let (row, owned) = (state.row.clone(), state.owned.clone());
        self.write(Write::Worker(row));
        self.take_back_notifications(worker, None);
        for id in owned {
            let Some((_, claim)) = self.owner_of(id) else { continue };
            self.on_given_back(now, id, AttemptEvent::OwnerOffline { claim });
        }
    }

    fn on_asked(&mut self, now: Time, attempt: AttemptId, claim: Claim, seq: u64, question: Question) {
        let Some(&at) = self.attempts.get(&attempt) else {
            self.on_callback_asked(attempt, claim, seq, question);
            return;
        };
        match self.on_attempt(at, AttemptEvent::Pushed { by: claim }) {
            Reaction::Store => match question {
                Question::SetXCom { key, value } => {
                    let answer = match self.store_xcom(now, at, key, value) {
                        Ok(()) => Answer::Stored,
                        Err(why) => Answer::Refused { why: why.to_string() },
                    };
                    self.answer(claim, seq, answer);
                }
                Question::TriggerDagRun(request) => self.on_trigger_asked(claim, seq, request),
                Question::ClearRun { dag_id, run_id } => self.on_clear_asked(claim, seq, dag_id, run_id),
                Question::GetXCom { .. }
                | Question::GetNewestXCom { .. }
                | Question::GetMapped { .. }
                | Question::GetVariable { .. }
                | Question::SetVariable { .. }
                | Question::DeleteVariable { .. }
                | Question::GetAssetEvents { .. }
                | Question::GetConnection { .. }
                | Question::GetRunState { .. }
                | Question::LookAt { .. } => {
                    self.effect(Effect::LookUp { run: at.run, claim, seq, question });
                }
            },
            Reaction::Grant(_)
            | Reaction::Refuse(_)
            | Reaction::Fence
            | Reaction::Settle(_)
            | Reaction::Terminate(_)
            | Reaction::Publish
            | Reaction::Probe(_)
            | Reaction::RefuseAndSuspectOwner(_)
            | Reaction::Ended
            | Reaction::Nothing => {
                self.answer(
                    claim,
                    seq,
                    Answer::Refused { why: "this attempt has another owner, or has ended".to_owned() },
                );
            }
        }
    }

    /// A callback may read whatever its run may, and leave nothing.
    fn on_callback_asked(&mut self, id: AttemptId, claim: Claim, seq: u64, question: Question) {
        let refused = |why: &str| Answer::Refused { why: why.to_owned() };
        let Some(run) = self.outbox.run_of(NotificationId(id.0)) else {
            self.answer(claim, seq, refused("the scheduler does not know this attempt"));
            return;
        };
        match question {
            Question::GetXCom { .. }
            | Question::GetNewestXCom { .. }
            | Question::GetMapped { .. }
            | Question::GetVariable { .. }
            | Question::SetVariable { .. }
            | Question::DeleteVariable { .. }
            | Question::GetAssetEvents { .. }
            | Question::GetConnection { .. }
            | Question::GetRunState { .. }
            | Question::LookAt { .. } => self.effect(Effect::LookUp { run, claim, seq, question }),
            Question::SetXCom { .. } => self.answer(claim, seq, refused("a callback cannot push an XCom")),
            Question::TriggerDagRun(request) => self.on_trigger_asked(claim, seq, request),
            Question::ClearRun { dag_id, run_id } => self.on_clear_asked(claim, seq, dag_id, run_id),
        }
    }

    pub(super) fn answer(&mut self, claim: Claim, seq: u64, answer: Answer) {
        self.effect(Effect::Send { to: Some(claim.worker), message: ToWorker::Values { claim, seq, answer } });
    }
}

/// What is applied when an attempt in this state ends.
fn wish_of(state: AttemptState) -> Option<Wish> {
    match state {
        AttemptState::Ending { wish, .. } => Some(wish),
        AttemptState::Queued { .. } | AttemptState::Run { .. } | AttemptState::Done { .. } => None,
    }
}
