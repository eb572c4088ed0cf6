//! What workers say of their attempts, and what they are answered (PROTOCOL §5). Every report is settled (L10).
//! What they say of themselves is in `workers.rs`.

use crate::domain::attempt::{AttemptEvent, AttemptState, Outcome, Reaction, Refusal, Verdict, Wish};
use crate::domain::ids::{AttemptId, Claim, NotificationId, WorkerId};
use crate::domain::time::Time;
use crate::protocol::work::{Answer, FromWorker, Question, Report, ToWorker};

use super::TaskRef;
use super::core::{Core, Effect};

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
            FromWorker::Offline { worker, incarnation } => self.on_offline(now, worker, incarnation),
            FromWorker::Obituary { worker, incarnation, unsettled } => {
                self.on_obituary(now, worker, incarnation, &unsettled);
            }
        }
    }

    pub(super) fn owner_of(&self, id: AttemptId) -> Option<(TaskRef, Claim)> {
        let at = *self.attempts.get(&id)?;
        let claim = self.instance(at).attempt.as_ref()?.state.owner()?;
        Some((at, claim))
    }

    /// Lets the table react to something that may end the attempt.
    pub(super) fn on_attempt_ended(
        &mut self,
        now: Time,
        at: TaskRef,
        event: AttemptEvent,
        report: Option<&Report>,
    ) -> Reaction {
        let before = self.instance(at).attempt.as_ref().map(|attempt| attempt.state);
        let reaction = self.on_attempt(at, event);
        let after = self.instance(at).attempt.as_ref().map(|attempt| attempt.state);
        if after.is_some_and(|state| state.is_done()) && before != after {
            self.conclude(now, at, before.and_then(wish_of), report);
        }
        reaction
    }

    pub(super) fn on_report(&mut self, now: Time, report: &Report) -> Verdict {
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

    pub(super) fn settle_reports(&mut self, worker: WorkerId, claims: Vec<(Claim, Verdict)>) {
        if !claims.is_empty() {
            self.effect(Effect::Send { to: Some(worker), message: ToWorker::Settled { claims } });
        }
    }

    fn on_claimed(&mut self, now: Time, attempt: AttemptId, claim: Claim) {
        if !self.lives(claim.worker, claim.incarnation) {
            self.refuse(claim, Refusal::OldIncarnation);
            self.fence(claim.worker, claim.incarnation);
            return;
        }
        let Some(&at) = self.attempts.get(&attempt) else {
            self.refuse(claim, Refusal::Unknown);
            return;
        };
        let owner = self.instance(at).attempt.as_ref().and_then(|attempt| attempt.state.owner());
        match self.on_attempt(at, AttemptEvent::Claimed { by: claim, alive: true }) {
            Reaction::Grant(claim) => {
                if owner.is_none() {
                    self.own(now, at, claim);
                }
                let message = ToWorker::Granted { attempt, claim, epoch: self.epoch };
                self.effect(Effect::Send { to: Some(claim.worker), message });
            }
            Reaction::Refuse(why) => self.refuse(claim, why),
            Reaction::RefuseAndSuspectOwner(owner) => {
                self.refuse(claim, Refusal::Owned);
                // That it asks is itself a sign of that life.
                if (owner.worker, owner.incarnation) != (claim.worker, claim.incarnation) {
                    self.on_suspect(now, owner.worker, owner.incarnation);
                }
            }
            Reaction::Terminate(claim) => self.terminate(claim),
            Reaction::Fence
            | Reaction::Settle(_)
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
    pub(super) fn on_given_back(&mut self, now: Time, attempt: AttemptId, event: AttemptEvent) {
        let Some(&at) = self.attempts.get(&attempt) else { return };
        if self.on_attempt_ended(now, at, event, None) == Reaction::Publish {
            self.move_task(at, crate::domain::state::TaskEvent::Released);
            self.publish(now, at);
        }
    }

    /// A claim that a worker holds: told again to stop where it must, and an orphan is told so too.
    pub(super) fn on_held(&mut self, id: AttemptId, by: Claim) {
        let Some(&at) = self.attempts.get(&id) else { return };
        if let Reaction::Terminate(claim) = self.on_attempt(at, AttemptEvent::BeatHolding { by }) {
            self.terminate(claim);
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
                Question::TriggerDagRun(request) => self.on_trigger_asked(attempt, claim, seq, request),
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
                | Question::GetXComs { .. }
                | Question::FindRuns(_)
                | Question::FindTasks(_)
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
            | Question::GetXComs { .. }
            | Question::FindRuns(_)
            | Question::FindTasks(_)
            | Question::LookAt { .. } => self.effect(Effect::LookUp { run, claim, seq, question }),
            Question::SetXCom { .. } => self.answer(claim, seq, refused("a callback cannot push an XCom")),
            Question::TriggerDagRun(request) => self.on_trigger_asked(id, claim, seq, request),
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
