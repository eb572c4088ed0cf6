//! Leaving in order (PROTOCOL §11): take nothing, hand back what has not started, finish until the deadline, TERM, KILL, report,
//! wait a moment for `Settled`, prove that nothing runs, say `Offline`.

use std::time::Duration;

use actix::prelude::*;

use super::Worker;
use super::way::Way;
use crate::actor::told::tell;
use crate::domain::ids::Claim;
use crate::protocol::work::FromWorker;
use crate::worker::begin::WorkerError;
use crate::worker::claim::{ClaimEvent, ClaimState};

/// How long a drained worker waits for its last reports to be settled; the journal keeps them.
const WAIT_FOR_SETTLED: Duration = Duration::from_secs(5);

/// How long the broker may take to hear the goodbye; without it the scheduler finds out by itself.
const WAIT_FOR_GOODBYE: Duration = Duration::from_secs(3);

/// How far leaving has come.
pub(super) struct Leaving {
    deadline: SpawnHandle,
    /// Nothing that was sent before the drain is still under way to this actor.
    pub(super) has_all: bool,
    pub(super) past_deadline: bool,
    waiting_for_settled: Option<SpawnHandle>,
}

/// Everything that was sent before the drain has been taken.
struct NothingIsUnderWay;

impl Message for NothingIsUnderWay {
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
            Some(Leaving { deadline: timer, has_all: false, past_deadline: false, waiting_for_settled: None });
        self.take_parked(ctx);
        let worker = ctx.address();
        match &mut self.way {
            Way::InProcess { said: _, gate } => gate.let_all_through(move || tell(&worker, NothingIsUnderWay)),
            Way::Broker(remote) => {
                remote.seats.run_dry();
                if remote.seats.count() == 0 {
                    tell(&worker, NothingIsUnderWay);
                }
                // The scheduler shall know, and offer nothing more.
                self.beat(ctx);
            }
            Way::Nobody(_) => tell(&worker, NothingIsUnderWay),
        }
        for claim in self.claims() {
            self.end(claim, ClaimEvent::DrainBegins, Duration::ZERO, ctx);
        }
    }

    pub(super) fn drain_deadline(&mut self, ctx: &mut Context<Self>) {
        if let Some(leaving) = &mut self.leaving {
            leaving.past_deadline = true;
            // A broker that does not answer does not hold it up any longer.
            leaving.has_all |= self.way.remote_settings().is_some();
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
        if !leaving.has_all || busy {
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
        let gone = async move {
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
            worker.say_goodbye(FromWorker::Offline { worker: id, incarnation }, ctx);
        }));
    }

    fn say_goodbye(&mut self, offline: FromWorker, ctx: &mut Context<Self>) {
        match &mut self.way {
            Way::InProcess { said, gate: _ } => {
                said.say(offline);
                self.finish(Ok(()), ctx);
            }
            Way::Broker(remote) => {
                let goodbye = tokio::time::timeout(WAIT_FOR_GOODBYE, remote.say_goodbye(offline));
                ctx.spawn(goodbye.into_actor(self).map(|_, worker, ctx| worker.finish(Ok(()), ctx)));
            }
            Way::Nobody(_) => self.finish(Ok(()), ctx),
        }
    }

    /// Nothing that was sent before the drain can come any more.
    pub(super) fn nothing_is_under_way(&mut self, ctx: &mut Context<Self>) {
        if let Some(leaving) = &mut self.leaving {
            leaving.has_all = true;
        }
        self.leave_if_done(ctx);
    }

    pub(super) fn finish(&mut self, how: Result<(), WorkerError>, ctx: &mut Context<Self>) {
        if let Some(ended) = self.ended.take() {
            // Nobody may wait for it.
            let _ = ended.send(how);
        }
        if let Way::InProcess { said: _, gate } = &self.way {
            gate.close();
        }
        ctx.stop();
    }
}

impl Handler<NothingIsUnderWay> for Worker {
    type Result = ();

    fn handle(&mut self, _: NothingIsUnderWay, ctx: &mut Context<Self>) {
        self.nothing_is_under_way(ctx);
    }
}
