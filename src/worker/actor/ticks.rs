//! What has to be said again: reports that are not settled, claims and questions without an answer (PROTOCOL W1, §7).
//!
//! One timer, and only while something is open.

use std::time::{Duration, Instant};

use actix::prelude::*;

use super::Worker;
use crate::domain::ids::Claim;
use crate::protocol::work::{FromWorker, Question};
use crate::worker::claim::{ClaimEvent, ClaimState};

/// An outcome that is not settled within this is synced to the disk (PROTOCOL §7). Only then does the timer run.
const JOURNAL_SYNC_AFTER: Duration = Duration::from_secs(1);

/// In one process a report is only unsettled while the scheduler commits; said again after this all the same.
const RESEND_AFTER: Duration = Duration::from_secs(5);

impl Worker {
    pub(super) fn tick_if_needed(&mut self, ctx: &mut Context<Self>) {
        let is_open = |held: &super::held::Held| {
            matches!(held.state, ClaimState::Journaled | ClaimState::Claiming) || !held.questions.is_empty()
        };
        let needed = self.journal_failed || self.held.values().any(is_open);
        if self.ticking || !needed {
            return;
        }
        self.ticking = true;
        ctx.run_later(JOURNAL_SYNC_AFTER.min(self.resend_after()), |worker, ctx| {
            worker.ticking = false;
            worker.tick(ctx);
            worker.tick_if_needed(ctx);
        });
    }

    fn resend_after(&self) -> Duration {
        self.way.remote_settings().map_or(RESEND_AFTER, |settings| settings.times.claim_resend)
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        if self.journal_failed && self.journal.mend().is_ok() {
            tracing::info!("the worker's journal can be written again");
            self.journal_failed = false;
            self.take_parked(ctx);
        }
        let now = Instant::now();
        self.sync_journal(now);
        let resend = self.resend_after();
        for (claim, event) in self.due(now, resend) {
            self.happened(claim, event, ctx);
        }
        self.ask_again(Some((now, resend)));
        self.reconsider(ctx);
    }

    fn sync_journal(&mut self, now: Instant) {
        let is_old = |at: Instant| now.duration_since(at) >= JOURNAL_SYNC_AFTER;
        if self.held.values().any(|held| held.reported.is_some_and(is_old))
            && let Some(file) = self.journal.to_sync()
        {
            actix::spawn(async move {
                match tokio::task::spawn_blocking(move || file.sync_data()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!(%error, "cannot sync the worker's journal"),
                    Err(error) => tracing::error!(%error, "cannot sync the worker's journal"),
                }
            });
        }
    }

    /// The claims to which waiting itself happens.
    fn due(&self, now: Instant, resend: Duration) -> Vec<(Claim, ClaimEvent)> {
        let settings = self.way.remote_settings();
        let wait_max = settings.map_or(Duration::MAX, |settings| settings.times.claim_wait_max);
        let event = |held: &super::held::Held| match (held.state, held.asked) {
            (ClaimState::Claiming, Some((first, _))) if now.duration_since(first) >= wait_max => {
                Some(ClaimEvent::ClaimWaitOver)
            }
            (ClaimState::Claiming, Some((_, last))) if now.duration_since(last) >= resend => {
                Some(ClaimEvent::ResendDue)
            }
            (ClaimState::Journaled, _) => {
                let reported = held.reported.filter(|at| now.duration_since(*at) >= resend);
                reported.map(|_| ClaimEvent::ResendDue)
            }
            (ClaimState::Free | ClaimState::Claiming | ClaimState::Granted | ClaimState::Running, _) => None,
        };
        self.held.iter().filter_map(|(claim, held)| Some((*claim, event(held)?))).collect()
    }

    /// Asks again what slots want to know: everything, or what is older than a time. A repeated question is answered like
    /// the first. One that starts a run is only repeated when a connection was lost, and with it the answer: a leader
    /// that is merely slow would start two.
    pub(super) fn ask_again(&mut self, older: Option<(Instant, Duration)>) {
        let said = Instant::now();
        for (claim, held) in &mut self.held {
            for (seq, open) in &mut held.questions {
                let is_old = |(now, age): (Instant, Duration)| now.duration_since(open.said) >= age;
                if older.is_none_or(|older| is_old(older) && !starts_a_run(&open.question)) {
                    open.said = said;
                    let (attempt, question) = (held.attempt, open.question.clone());
                    self.way.say(FromWorker::Asked { attempt, claim: *claim, seq: *seq, question });
                }
            }
        }
    }
}

fn starts_a_run(question: &Question) -> bool {
    match question {
        Question::TriggerDagRun(_) | Question::ClearRun { .. } => true,
        Question::GetXCom { .. }
        | Question::GetNewestXCom { .. }
        | Question::SetXCom { .. }
        | Question::GetMapped { .. }
        | Question::GetVariable { .. }
        | Question::GetConnection { .. }
        | Question::SetVariable { .. }
        | Question::DeleteVariable { .. }
        | Question::GetAssetEvents { .. }
        | Question::GetRunState { .. }
        | Question::LookAt { .. }
        | Question::GetXComs { .. }
        | Question::FindRuns(_)
        | Question::FindTasks(_) => false,
    }
}
