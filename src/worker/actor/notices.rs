//! Notifications, carried out beside the tasks: each by a slot of its own that takes no task's place.
//!
//! There is no journal of them: the scheduler's row stays pending until it hears that one was carried out, so one
//! that is lost with its worker is said again. How many come at once is the scheduler's business.

use std::collections::HashMap;
use std::rc::Rc;

use actix::prelude::*;
use tokio::sync::mpsc;

use super::Worker;
use crate::actor::told::tell;
use crate::domain::attempt::Outcome;
use crate::domain::ids::{AttemptId, Claim, NotificationId};
use crate::protocol::work::{FromWorker, Notified, Report, TaskMessage};
use crate::worker::slot::{Slot, SlotNews, SlotOrder, StopWhy};

/// The notifications that this worker is carrying out.
#[derive(Default)]
pub(super) struct Notices {
    running: HashMap<Claim, Running>,
    /// Numbers below zero: never those of a task's claim.
    last_n: i64,
}

struct Running {
    id: NotificationId,
    orders: mpsc::UnboundedSender<SlotOrder>,
}

struct FromNotice(Claim, SlotNews);

impl Message for FromNotice {
    type Result = ();
}

impl Notices {
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// For those who wait until every slot has said its last word.
    pub fn slots(&self) -> impl Iterator<Item = mpsc::UnboundedSender<SlotOrder>> {
        self.running.values().map(|running| running.orders.clone())
    }

    /// What waits for an answer that cannot come any more, starts nothing.
    pub fn withdraw(&self) {
        for running in self.running.values() {
            // A slot that has ended needs no order; its news is on the way.
            let _ = running.orders.send(SlotOrder::Withdraw);
        }
    }

    pub fn order(&self, claim: Claim, order: SlotOrder) {
        if let Some(running) = self.running.get(&claim) {
            // A slot that has ended needs no order; its news is on the way.
            let _ = running.orders.send(order);
        }
    }
}

impl Worker {
    /// One that is under way already is not begun again. One that comes while nothing can start is
    /// left alone: the scheduler says it again to the next life.
    pub(super) fn notify(&mut self, id: NotificationId, task: Box<TaskMessage>, ctx: &mut Context<Self>) {
        let Some(companion) = &self.companion else { return };
        if self.leaving.is_some() || self.notices.running.values().any(|running| running.id == id) {
            return;
        }
        self.notices.last_n -= 1;
        let n = self.notices.last_n;
        let claim = Claim { worker: self.journal.worker(), incarnation: self.journal.incarnation(), n };
        let (orders, to_slot) = mpsc::unbounded_channel();
        self.notices.running.insert(claim, Running { id, orders });
        let worker = ctx.address();
        let slot = Slot {
            claim,
            task,
            settings: Rc::clone(&self.settings),
            folders: Rc::clone(&self.folders),
            companion: companion.clone(),
            orders: to_slot,
            tell: Box::new(move |claim, news| tell(&worker, FromNotice(claim, news))),
        };
        actix::spawn(slot.run());
    }

    /// The worker has to leave: what is not carried out stays owed.
    pub(super) fn stop_notices(&mut self) {
        let grace = self.settings.kill_grace;
        for running in self.notices.running.values() {
            // A slot that has ended needs no order.
            let _ = running.orders.send(SlotOrder::Stop { why: StopWhy::Drained, grace });
        }
    }

    fn notice_ended(&mut self, id: NotificationId, report: Report) {
        let succeeded = match report.outcome {
            Outcome::Success | Outcome::Skipped => true,
            Outcome::Failed { .. }
            | Outcome::TimedOut
            | Outcome::NeverStarted
            | Outcome::Undeliverable
            // Only tasks can wait.
            | Outcome::Rescheduled
            | Outcome::Deferred => false,
            // It ended with the worker and was not tried to its end.
            Outcome::Killed | Outcome::Fenced | Outcome::Lost => return,
        };
        let message = report.message.filter(|_| !succeeded);
        let notified = Notified { id, worker: self.journal.worker(), succeeded, message, ended_at: report.ended_at };
        self.way.say(FromWorker::Notified(notified));
    }
}

impl Handler<FromNotice> for Worker {
    type Result = ();

    fn handle(&mut self, FromNotice(claim, news): FromNotice, ctx: &mut Context<Self>) {
        let Some(running) = self.notices.running.get(&claim) else { return };
        let id = running.id;
        match news {
            SlotNews::Started { .. } => {
                if self.leaving.as_ref().is_some_and(|leaving| leaving.past_deadline) {
                    self.stop_notices();
                }
            }
            SlotNews::Asked { seq, question } => {
                self.way.say(FromWorker::Asked { attempt: AttemptId(id.0), claim, seq, question });
            }
            SlotNews::Withdrawn => {
                self.notices.running.remove(&claim);
                self.leave_if_done(ctx);
            }
            SlotNews::Ended { how: _, report } => {
                self.notices.running.remove(&claim);
                self.notice_ended(id, *report);
                self.leave_if_done(ctx);
            }
        }
    }
}
