//! The end of an incarnation in the middle of work, and the beginning of the next (PROTOCOL W5).

use std::rc::Rc;

use actix::prelude::*;

use super::Worker;
use crate::actor::told::tell;
use crate::domain::ids::Incarnation;
use crate::worker::begin::{self, Life};

/// The companion of this incarnation is gone.
pub(super) struct CompanionLost(pub(super) Incarnation);

impl Message for CompanionLost {
    type Result = ();
}

impl Worker {
    fn begin_again(&mut self, ctx: &mut Context<Self>) {
        let (settings, state_dir) = (Rc::clone(&self.settings), Rc::clone(&self.state_dir));
        let worker = ctx.address();
        let begin = async move {
            begin::begin(&settings, &state_dir, move |incarnation| tell(&worker, CompanionLost(incarnation))).await
        };
        ctx.spawn(begin.into_actor(self).map(|life, worker, ctx| match life {
            Ok(Life { journal, companion, child, unsettled }) => {
                worker.journal = journal;
                worker.companion = Some(companion);
                worker.child = Some(child);
                worker.journal_failed = false;
                worker.go_online(unsettled, ctx);
                worker.take_parked(ctx);
                worker.leave_if_done(ctx);
            }
            Err(error) => {
                tracing::error!(%error, "the worker cannot go on");
                worker.finish(Err(error), ctx);
            }
        }));
    }
}

impl Handler<CompanionLost> for Worker {
    type Result = ();

    /// W5: every slot has lost its process and reports it as fenced; then a new incarnation begins.
    fn handle(&mut self, CompanionLost(incarnation): CompanionLost, ctx: &mut Context<Self>) {
        if incarnation != self.journal.incarnation() || self.companion.is_none() {
            // It left because it was told to.
            return;
        }
        tracing::error!(%incarnation, "the companion is gone: its tasks are ended, a new incarnation begins");
        self.companion = None;
        // The slots' last news is on the way to this mailbox: it is read before the journal is opened again.
        let child = self.child.take();
        let slots = self.held.values().filter_map(|held| held.orders.clone()).chain(self.notices.slots());
        let slots: Vec<_> = slots.collect();
        let reaped = async move {
            for slot in slots {
                slot.closed().await;
            }
            if let Some(mut child) = child {
                // An error means that there is nothing to wait for.
                let _ = tokio::task::spawn_blocking(move || child.wait()).await;
            }
        };
        ctx.spawn(reaped.into_actor(self).map(|(), worker, ctx| {
            let worker_address = ctx.address();
            tell(&worker_address, BeginAgain);
            worker.doomed.clear();
        }));
    }
}

/// Behind the last news of the slots of the incarnation that ended.
struct BeginAgain;

impl Message for BeginAgain {
    type Result = ();
}

impl Handler<BeginAgain> for Worker {
    type Result = ();

    fn handle(&mut self, _: BeginAgain, ctx: &mut Context<Self>) {
        self.begin_again(ctx);
    }
}
