//! The slots of a worker behind a broker: what a seat brings becomes a claim, and how many seats there are follows
//! orders and work.

use std::num::NonZeroU32;
use std::time::Instant;

use actix::prelude::*;

use super::Worker;
use super::held::{Held, Place};
use super::way::Way;
use crate::broker::Delivery;
use crate::domain::ids::{Claim, QueueName};
use crate::domain::limit::Limit;
use crate::protocol::work::TaskMessage;
use crate::worker::autoscale::Use;
use crate::worker::boot_time::BootTime;
use crate::worker::claim::{ClaimEvent, ClaimState};
use crate::worker::intake::Facts;
use crate::worker::remote::SeatNumber;

impl Worker {
    /// A seat has a task: it is claimed, under the next number.
    pub(super) fn delivered(
        &mut self,
        seat: SeatNumber,
        delivery: Delivery,
        task: Box<TaskMessage>,
        ctx: &mut Context<Self>,
    ) {
        let may_take = self.may_take();
        let claim = self.next_claim();
        let Some(remote) = self.way.remote() else { return };
        match remote.seats.take(seat, claim, delivery) {
            Ok(parcel) if !may_take => {
                // It was under way when the seat was closed.
                remote.seats.free(seat);
                parcel.give_back();
            }
            Ok(parcel) => {
                self.last_n = claim.n;
                self.held.insert(claim, Held::new(task, Place::Seat(seat), Some(parcel)));
                self.happened(claim, ClaimEvent::Delivered { granted: false }, ctx);
            }
            Err(parcel) => {
                tracing::warn!(task = %task.key, "a slot got a second task and gives it back");
                if let Some(parcel) = parcel {
                    parcel.give_back();
                }
            }
        }
    }

    /// The number after the last one, which counts as used only when something is claimed under it.
    pub(super) fn next_claim(&self) -> Claim {
        Claim { worker: self.journal.worker(), incarnation: self.journal.incarnation(), n: self.last_n + 1 }
    }

    pub(super) fn vacate(&mut self, place: Option<Place>) {
        match place {
            Some(Place::Gate(permit)) => drop(permit),
            Some(Place::Seat(seat)) => {
                if let Some(remote) = self.way.remote() {
                    remote.seats.free(seat);
                }
            }
            None => {}
        }
    }

    /// W10, as it stands now.
    pub(super) fn may_take(&mut self) -> bool {
        let now = Instant::now();
        let waits = |held: &Held| held.asked.filter(|_| held.state == ClaimState::Claiming).map(|(first, _)| first);
        let oldest = self.held.values().filter_map(waits).min();
        let (is_leaving, can_start) = (self.leaving.is_some(), self.companion.is_some() && !self.journal_failed);
        let Some(remote) = self.way.remote() else { return false };
        let facts = Facts {
            is_welcome: remote.welcome.is_some(),
            is_confirmed: remote.is_confirmed,
            has_lease: remote.lease.is_valid(BootTime::now()),
            unanswered: oldest.map(|first| now.duration_since(first)),
            leader_silent: remote.settings.times.leader_silent,
            is_leaving,
            can_start,
        };
        facts.may_take()
    }

    /// Opens or closes the free seats, whatever changed.
    pub(super) fn reconsider(&mut self, _: &mut Context<Self>) {
        if matches!(self.way, Way::Broker(_)) {
            let may_take = self.may_take();
            if let Some(remote) = self.way.remote().filter(|remote| remote.is_connected()) {
                remote.seats.set_open(may_take);
            }
        }
    }

    /// The number of slots from now on.
    pub(super) fn resize(&mut self, slots: Limit, ctx: &mut Context<Self>) {
        if self.leaving.is_some() {
            return;
        }
        match &mut self.way {
            Way::InProcess { said: _, gate } => {
                self.slots = slots;
                gate.resize(super::at_most(slots));
            }
            Way::Broker(remote) => {
                let Limit::AtMost(n) = slots else {
                    tracing::warn!(
                        "a worker behind a broker has a number of slots: the order to have no limit is ignored"
                    );
                    return;
                };
                self.slots = slots;
                tracing::info!(slots = n, "the number of slots changes");
                remote.seats.resize(n.get());
                self.beat(ctx);
                self.reconsider(ctx);
            }
            Way::Nobody(_) => self.slots = slots,
        }
    }

    /// More queues, fewer queues.
    pub(super) fn listen_on(&mut self, add: &[QueueName], remove: &[QueueName], ctx: &mut Context<Self>) {
        let mut queues = self.queues.clone();
        queues.extend(add.iter().filter(|queue| !self.queues.contains(queue)).cloned());
        queues.retain(|queue| !remove.contains(queue));
        if queues == self.queues {
            return;
        }
        let Some(remote) = self.way.remote() else { return };
        if let Err(error) = remote.seats.listen_on(queues.clone()) {
            tracing::error!(%error, "the worker keeps its queues");
            return;
        }
        tracing::info!(queues = %names(&queues), "the worker listens on other queues");
        self.queues = queues;
        self.beat(ctx);
        self.reconsider(ctx);
    }

    /// Looks at the queues, with bounds for the number of slots: only then anybody needs to know.
    pub(super) fn look_at_queues(&mut self) {
        if let Some(remote) = self.way.remote()
            && remote.settings.autoscale.is_some()
            && remote.is_connected()
        {
            remote.look_at_queues();
        }
    }

    pub(super) fn scale(&mut self, ready: u64, ctx: &mut Context<Self>) {
        let Some(remote) = self.way.remote() else { return };
        let Some(autoscale) = remote.settings.autoscale else { return };
        let (slots, busy) = (remote.seats.count(), remote.seats.taken());
        let now = Instant::now();
        let idle_since = if busy >= slots { None } else { Some(remote.idle_since.unwrap_or(now)) };
        remote.idle_since = idle_since;
        let idle = idle_since.map_or_else(Default::default, |since| now.duration_since(since));
        let wanted = autoscale.wanted(Use { slots, busy, ready, idle });
        if wanted != slots
            && let Some(wanted) = NonZeroU32::new(wanted)
        {
            self.resize(Limit::AtMost(wanted), ctx);
        }
    }
}

pub(super) fn names(queues: &[QueueName]) -> String {
    queues.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
