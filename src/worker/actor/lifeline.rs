//! What keeps a worker behind a broker alive: beats, the lease that they renew, the leader's welcome, and the connection
//! that comes and goes (PROTOCOL W3, W4, W10).

use std::time::Instant;

use actix::prelude::*;

use super::Worker;
use super::way::Way;
use crate::broker::{BrokerError, Published};
use crate::domain::ids::{Claim, Epoch, Incarnation};
use crate::protocol::envelope;
use crate::protocol::letter::Told;
use crate::protocol::work::{Beat, FromWorker, LeaseTimes, Online, Standing, ToWorker};
use crate::worker::begin::WorkerError;
use crate::worker::boot_time::BootTime;
use crate::worker::claim::{ClaimEvent, ClaimState};
use crate::worker::intake::misfit;
use crate::worker::lease::{LetterId, Renewal};
use crate::worker::remote::FromBroker;

/// Something happened at the broker, to this incarnation.
pub(super) struct AtBroker(pub(super) Incarnation, pub(super) FromBroker);

impl Message for AtBroker {
    type Result = ();
}

impl Worker {
    /// The first word of a life, and the same again while no leader has answered it.
    pub(super) fn say_online(&mut self) {
        let online = FromWorker::Online(Online {
            worker: self.journal.worker(),
            incarnation: self.journal.incarnation(),
            name: self.settings.name.clone(),
            standing: self.standing(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            understands: envelope::VERSION,
            unsettled: self.journal.unsettled().cloned().collect(),
        });
        if let Some(remote) = self.way.remote() {
            remote.online_at = Some(Instant::now());
        }
        self.way.say(online);
    }

    fn standing(&mut self) -> Standing {
        let draining = self.leaving.is_some();
        let (slots, free_slots, load) = match self.way.remote() {
            Some(remote) => {
                let (slots, taken) = (remote.seats.count(), remote.seats.taken());
                (slots, slots.saturating_sub(taken), Some(load()))
            }
            None => (self.slots.into(), 0, None),
        };
        Standing { slots, free_slots, queues: self.queues.clone(), draining, load }
    }

    /// A sign of life, now.
    pub(super) fn beat(&mut self, _: &mut Context<Self>) {
        let standing = self.standing();
        let held = self.held.iter().map(|(claim, held)| (held.attempt, *claim)).collect();
        let (worker, incarnation, highest_n) = (self.journal.worker(), self.journal.incarnation(), self.last_n);
        let Some(remote) = self.way.remote().filter(|remote| remote.is_connected() && remote.has_spoken) else {
            return;
        };
        remote.last_beat += 1;
        let seq = remote.last_beat;
        remote.say(FromWorker::Beat(Beat { worker, incarnation, seq, highest_n, held, standing }));
    }

    /// Every `heartbeat`.
    pub(super) fn heartbeat(&mut self, ctx: &mut Context<Self>) {
        let Some(remote) = self.way.remote() else { return };
        if remote.lease.has_lapsed(BootTime::now()) {
            return self.lapse();
        }
        let (now, times) = (Instant::now(), remote.settings.times);
        let is_due = remote.online_at.is_none_or(|at| now.duration_since(at) >= times.claim_resend);
        let is_unanswered = remote.welcome.is_none() && remote.is_connected();
        let has_spoken = remote.has_spoken;
        if is_unanswered {
            self.warn_of_silence(now);
        }
        if is_unanswered && (is_due || !has_spoken) {
            self.say_online();
        } else if has_spoken {
            self.beat(ctx);
        }
        self.look_at_queues();
        self.reconsider(ctx);
    }

    /// The broker takes what we say, and no leader answers: with another secret that is all that can be seen from here.
    fn warn_of_silence(&mut self, now: Instant) {
        let Some(remote) = self.way.remote() else { return };
        let since = *remote.unanswered_since.get_or_insert(now);
        if remote.warned_of_silence || now.duration_since(since) < remote.settings.times.leader_silent {
            return;
        }
        remote.warned_of_silence = true;
        let keys = &remote.settings.keys;
        tracing::warn!(
            installation = %keys.installation(),
            key = %keys.signing(),
            "no scheduler answers: is one running with executor = CeleryExecutor and this broker, and are [core] \
             internal_secret and [core] installation the same there? No task is taken until one does"
        );
    }

    /// W4 and W5: the lease is over, and with it everything that this incarnation holds.
    fn lapse(&mut self) {
        if let Some(companion) = &self.companion {
            tracing::error!(
                incarnation = %self.journal.incarnation(),
                "the broker confirmed no heartbeat for [workers] fence_after: all tasks are ended, a new incarnation begins"
            );
            companion.leave();
        }
    }

    fn letter_ended(
        &mut self,
        letter: LetterId,
        connection: u64,
        kept: Vec<FromWorker>,
        published: Published,
        ctx: &mut Context<Self>,
    ) {
        let Some(remote) = self.way.remote() else { return };
        match published {
            Published::Confirmed => match remote.lease.on_confirmed(letter, BootTime::now()) {
                Renewal::Until(until) => {
                    remote.has_spoken = true;
                    remote.is_confirmed |= remote.is_of_now(connection);
                    self.renew(until);
                    self.reconsider(ctx);
                }
                Renewal::Nothing => {}
                Renewal::Lapsed => self.lapse(),
            },
            Published::Returned { why } | Published::Nacked { why } | Published::Unknown { why } => {
                tracing::debug!(why, "a letter did not reach the scheduler's queue");
                remote.lease.on_failed(letter);
                // With the next beat: a broker that refuses is not asked again at once.
                kept.into_iter().for_each(|message| remote.keep(message));
            }
        }
    }

    /// The companion kills at that time, whatever becomes of this process (W2).
    fn renew(&mut self, until: BootTime) {
        if let Some(companion) = &self.companion {
            companion.lease_until(until);
        }
    }

    fn up(&mut self, connection: u64, address: &str, reply_to: String, ctx: &mut Context<Self>) {
        let Some(remote) = self.way.remote() else { return };
        remote.on_up(connection, reply_to);
        let is_new = remote.welcome.is_none();
        self.refusals.clear();
        self.was_up = true;
        tracing::info!(address, connection, "connected to the broker");
        if is_new {
            self.say_online();
        } else {
            self.beat(ctx);
        }
        for claim in self.claims() {
            self.happened(claim, ClaimEvent::ConnectionBack, ctx);
        }
        self.ask_again(None);
    }

    fn lost(&mut self, error: &BrokerError, ctx: &mut Context<Self>) {
        tracing::warn!(%error, "the connection is lost: running tasks go on, nothing new is taken");
        if let Some(remote) = self.way.remote() {
            remote.on_lost();
        }
        for claim in self.claims() {
            self.happened(claim, ClaimEvent::ConnectionLost, ctx);
        }
    }

    /// A worker that was never connected ends when no address could ever let it in; any other waits.
    fn refused(&mut self, address: String, error: BrokerError, ctx: &mut Context<Self>) {
        let addresses = self.way.remote().map_or(1, |remote| remote.settings.options.addresses.len());
        if self.refusals.get(&address) != Some(&error) {
            tracing::warn!(%error, "no connection to the broker: tried again");
        }
        self.refusals.insert(address, error);
        let is_hopeless = self.refusals.len() >= addresses && self.refusals.values().all(|error| !error.waits());
        if let (false, true, Some(error)) = (self.was_up, is_hopeless, self.refusals.values().next()) {
            let error = WorkerError::Broker(Box::new(error.clone()));
            self.give_up(error, ctx);
        }
    }

    /// The leader's times, when it first speaks and after each takeover.
    pub(super) fn welcomed(&mut self, epoch: Epoch, leader: &LeaseTimes, ctx: &mut Context<Self>) {
        let kill_grace = self.settings.kill_grace;
        let Some(remote) = self.way.remote() else { return };
        let times = remote.settings.times;
        let own = LeaseTimes {
            fence_after: times.fence_after,
            kill_grace,
            spawn_slack: times.spawn_slack,
            worker_lost_after: times.worker_lost_after,
        };
        if let Some(why) = misfit(&own, leader) {
            return self.give_up(WorkerError::Times(why), ctx);
        }
        if remote.welcome.is_none() {
            tracing::info!(%epoch, incarnation = %self.journal.incarnation(), "a scheduler knows this worker: ready for tasks");
        }
        remote.welcome = Some(epoch);
        remote.unanswered_since = None;
        self.reconsider(ctx);
    }

    fn told(&mut self, epoch: Epoch, letter: Told, ctx: &mut Context<Self>) {
        let Some(remote) = self.way.remote() else { return };
        let orders_count = remote.newest.admits(epoch, letter.seq);
        for message in letter.said {
            let is_order = match &message {
                ToWorker::Terminate { .. }
                | ToWorker::Drain { .. }
                | ToWorker::Resize { .. }
                | ToWorker::Queues { .. } => true,
                ToWorker::Task { .. }
                | ToWorker::Granted { .. }
                | ToWorker::Refused { .. }
                | ToWorker::Notify { .. }
                | ToWorker::Settled { .. }
                | ToWorker::Values { .. }
                | ToWorker::Fenced { .. }
                | ToWorker::Welcome { .. }
                | ToWorker::Probe => false,
            };
            if is_order && !orders_count {
                tracing::debug!(%epoch, seq = letter.seq, "an order that is not newer than the last one is a copy");
                continue;
            }
            self.heard(message, ctx);
        }
        self.reconsider(ctx);
    }

    /// A claim runs: after `long_task_after` nothing shall depend on the message that brought it.
    pub(super) fn watch_long_task(&mut self, claim: Claim, ctx: &mut Context<Self>) {
        if let Some(remote) = self.way.remote() {
            ctx.run_later(remote.settings.times.long_task_after, move |worker, ctx| {
                if worker.held.get(&claim).is_some_and(|held| held.state == ClaimState::Running) {
                    worker.happened(claim, ClaimEvent::LongTask, ctx);
                }
            });
        }
    }

    /// It cannot work here, and waiting will not help: whatever runs is ended, and its outcome stays in the journal.
    pub(super) fn give_up(&mut self, why: WorkerError, ctx: &mut Context<Self>) {
        let Some(settings) = self.way.remote_settings() else { return };
        self.way = Way::Nobody(settings);
        let (companion, child) = (self.companion.take(), self.child.take());
        if let Some(companion) = companion {
            companion.leave();
        }
        let gone = async move {
            // An error means that there is nothing to wait for.
            let _ = tokio::task::spawn_blocking(move || child.map(|mut child| child.wait())).await;
        };
        ctx.spawn(gone.into_actor(self).map(|(), worker, ctx| worker.finish(Err(why), ctx)));
    }
}

/// Of the machine, over the last minute.
fn load() -> f64 {
    /// The kernel counts in these parts.
    const PARTS: f64 = 65536.0;
    let [minute, ..] = rustix::system::sysinfo().loads;
    minute as f64 / PARTS
}

impl Handler<AtBroker> for Worker {
    type Result = ();

    fn handle(&mut self, AtBroker(incarnation, what): AtBroker, ctx: &mut Context<Self>) {
        if incarnation != self.journal.incarnation() {
            // Of a connection that is closed: its deliveries go back with it.
            return;
        }
        match what {
            FromBroker::Flush => {
                if let Some(remote) = self.way.remote() {
                    remote.flush();
                }
            }
            FromBroker::Up { connection, address, reply_to } => self.up(connection, &address, reply_to, ctx),
            FromBroker::Lost(error) => self.lost(&error, ctx),
            FromBroker::Failed { address, error } => self.refused(address, error, ctx),
            FromBroker::LetterEnded { letter, connection, kept, published } => {
                self.letter_ended(letter, connection, kept, published, ctx);
            }
            FromBroker::Told { epoch, told } => self.told(epoch, told, ctx),
            FromBroker::Delivered { seat, delivery, task } => self.delivered(seat, delivery, task, ctx),
            FromBroker::SeatIsDry(seat) => {
                if self.way.remote().is_some_and(|remote| remote.seats.is_dry(seat)) {
                    self.nothing_is_under_way(ctx);
                }
            }
            FromBroker::Waiting(ready) => self.scale(ready, ctx),
        }
    }
}
