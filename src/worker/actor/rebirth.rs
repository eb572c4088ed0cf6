//! The end of an incarnation in the middle of work, and the beginning of the next (PROTOCOL W5).

use std::rc::Rc;

use actix::prelude::*;

use super::way::Way;
use super::{AtBroker, Worker};
use crate::actor::told::tell;
use crate::domain::ids::{Incarnation, QueueName};
use crate::worker::begin::{self, Life, Lived, WorkerError};
use crate::worker::claim::{ClaimEvent, ClaimState};
use crate::worker::journal::Journal;
use crate::worker::remote::{Remote, RemoteSettings};
use crate::worker::slot::SlotOrder;

/// The companion of this incarnation is gone.
pub(super) struct CompanionLost(pub(super) Incarnation);

impl Message for CompanionLost {
    type Result = ();
}

/// Begins to connect for the incarnation of this journal.
pub(super) fn connect(
    settings: Rc<RemoteSettings>,
    journal: &Journal,
    queues: &[QueueName],
    worker: Addr<Worker>,
) -> Result<Remote, WorkerError> {
    let incarnation = journal.incarnation();
    let tell = Rc::new(move |what| tell(&worker, AtBroker(incarnation, what)));
    Remote::open(settings, journal.worker(), incarnation, queues, tell)
        .map_err(|error| WorkerError::Broker(Box::new(error)))
}

impl Worker {
    /// The connection is closed, so that the broker takes back what it had delivered; what was asked for and not
    /// granted is forgotten; what waits for an answer that cannot come any more is told so.
    fn part(&mut self, ctx: &mut Context<Self>) {
        if let Some(settings) = self.way.remote_settings() {
            self.way = Way::Nobody(settings);
            if let Some(leaving) = &mut self.leaving {
                leaving.has_all = true;
            }
        }
        for claim in self.claims() {
            match self.held.get(&claim).map(|held| held.state) {
                Some(ClaimState::Claiming) => self.happened(claim, ClaimEvent::LeaseOver, ctx),
                Some(ClaimState::Granted | ClaimState::Running) => {
                    if let Some(held) = self.held.get(&claim) {
                        held.order(SlotOrder::Withdraw);
                    }
                    self.happened(claim, ClaimEvent::ConnectionLost, ctx);
                }
                Some(ClaimState::Free | ClaimState::Journaled) | None => {}
            }
        }
        self.notices.withdraw();
    }

    fn connect_again(&mut self, ctx: &mut Context<Self>) -> Result<(), WorkerError> {
        if let Way::Nobody(settings) = &self.way {
            let remote = connect(Rc::clone(settings), &self.journal, &self.queues, ctx.address())?;
            self.way = Way::Broker(Box::new(remote));
        }
        Ok(())
    }

    fn begin_again(&mut self, ctx: &mut Context<Self>) {
        let (settings, state_dir) = (Rc::clone(&self.settings), Rc::clone(&self.state_dir));
        let worker = ctx.address();
        let lived = if self.way.remote_settings().is_some() { Lived::ByLease } else { Lived::WithTheWorker };
        let begin = async move {
            begin::begin(&settings, &state_dir, lived, move |incarnation| tell(&worker, CompanionLost(incarnation)))
                .await
        };
        ctx.spawn(begin.into_actor(self).map(|life, worker, ctx| match life {
            Ok(Life { journal, companion, child, unsettled }) => {
                worker.journal = journal;
                worker.companion = Some(companion);
                worker.child = Some(child);
                worker.journal_failed = false;
                if let Err(error) = worker.connect_again(ctx) {
                    return worker.give_up(error, ctx);
                }
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
        self.part(ctx);
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
