//! Leaving in order (PROTOCOL §11): take nothing, hand back what has not started, finish until the deadline, TERM, KILL, report,
//! wait a moment for `Settled`, prove that nothing runs, say `Offline`.

use std::time::Duration;

use actix::prelude::*;

use super::Worker;
use crate::actor::told::tell;
use crate::domain::ids::Claim;
use crate::protocol::work::FromWorker;
use crate::worker::begin::WorkerError;
use crate::worker::claim::{ClaimEvent, ClaimState};

/// How long a drained worker waits for its last reports to be settled; the journal keeps them.
const WAIT_FOR_SETTLED: Duration = Duration::from_secs(5);

/// How long it waits until the broker has its logs; the journal remembers what is left.
const WAIT_FOR_LOGS: Duration = Duration::from_secs(5);

/// How far leaving has come.
pub(super) struct Leaving {
    deadline: SpawnHandle,
    gate_is_empty: bool,
    pub(super) past_deadline: bool,
    waiting_for_settled: Option<SpawnHandle>,
}

/// Everything that was sent before the drain has been taken.
struct GateIsEmpty;

impl Message for GateIsEmpty {
    type Result = ();
}

impl Worker {
    pub(super) fn drain(&mut self, deadline: Duration, ctx: &mut Context<Self>) {
        let timer = ctx.run_later(deadline, |worker, ctx| worker.drain_deadline(ctx));
        if let Some(leaving) = &mut self.leaving {
            // A second drain may hurry the first.
            if !leaving.past_deadline {
                ctx.cancel_future(std::mem::replace(&mut leaving.deadline, timer));
            }
            return;
        }
        tracing::info!(deadline = ?deadline, running = self.held.len(), "draining");
        self.leaving =
            Some(Leaving { deadline: timer, gate_is_empty: false, past_deadline: false, waiting_for_settled: None });
        self.take_parked(ctx);
        let worker = ctx.address();
        self.gate.let_all_through(move || tell(&worker, GateIsEmpty));
        for claim in self.claims() {
            self.end(claim, ClaimEvent::DrainBegins, Duration::ZERO, ctx);
        }
    }

    pub(super) fn drain_deadline(&mut self, ctx: &mut Context<Self>) {
        if let Some(leaving) = &mut self.leaving {
            leaving.past_deadline = true;
        }
        for claim in self.claims() {
            self.happened(claim, ClaimEvent::DrainDeadline, ctx);
        }
        self.stop_notices();
        self.leave_if_done(ctx);
    }

    pub(super) fn claims(&self) -> Vec<Claim> {
        self.held.keys().copied().collect()
    }

    pub(super) fn leave_if_done(&mut self, ctx: &mut Context<Self>) {
        let unsettled = !self.held.is_empty();
        let busy = !self.notices.is_empty() || self.held.values().any(|held| held.state != ClaimState::Journaled);
        let Some(leaving) = &mut self.leaving else { return };
        if !leaving.gate_is_empty || busy {
            return;
        }
        if unsettled {
            if leaving.waiting_for_settled.is_none() {
                leaving.waiting_for_settled = Some(ctx.run_later(WAIT_FOR_SETTLED, |worker, ctx| worker.leave(ctx)));
            }
            return;
        }
        self.leave(ctx);
    }

    /// Ends the companion, which proves that nothing runs; then says goodbye.
    pub(super) fn leave(&mut self, ctx: &mut Context<Self>) {
        let (Some(companion), child) = (self.companion.take(), self.child.take()) else { return };
        companion.leave();
        let journal = self.journal.to_sync();
        let shipper = self.shipper.take();
        let gone = async move {
            if let Some(shipper) = shipper
                && !shipper.leave(WAIT_FOR_LOGS).await
            {
                tracing::warn!("not every log has reached the scheduler: the next life of this worker ships the rest");
            }
            let waited = tokio::task::spawn_blocking(move || {
                if let Some(file) = journal
                    && let Err(error) = file.sync_data()
                {
                    tracing::error!(%error, "cannot sync the worker's journal");
                }
                child.map(|mut child| child.wait())
            });
            waited.await
        };
        ctx.spawn(gone.into_actor(self).map(|_, worker, ctx| {
            let (id, incarnation) = (worker.journal.worker(), worker.journal.incarnation());
            worker.said.say(FromWorker::Offline { worker: id, incarnation });
            worker.finish(Ok(()), ctx);
        }));
    }

    pub(super) fn finish(&mut self, how: Result<(), WorkerError>, ctx: &mut Context<Self>) {
        if let Some(ended) = self.ended.take() {
            // Nobody may wait for it.
            let _ = ended.send(how);
        }
        self.gate.close();
        ctx.stop();
    }
}

impl Handler<GateIsEmpty> for Worker {
    type Result = ();

    fn handle(&mut self, _: GateIsEmpty, ctx: &mut Context<Self>) {
        if let Some(leaving) = &mut self.leaving {
            leaving.gate_is_empty = true;
        }
        self.leave_if_done(ctx);
    }
}
