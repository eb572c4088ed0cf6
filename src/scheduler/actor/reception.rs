//! What workers say over the broker: the leader's side of the one queue that it alone reads.
//!
//! ```text
//!  letter ─► liveness (in the order of the queue) ─► gathered ─► batch, commit ─► acknowledged
//!                │ a marker of ours came back and somebody kept silent: lost, behind what is gathered
//!                │ a marker of a newer epoch: step down, and leave it unacknowledged (L4)
//!                └ a leader whose database does not answer: close the channel, so that another is heard
//! ```
//!
//! The clock is CLOCK_BOOTTIME: it counts while the machine sleeps, and nobody sets it.

use std::collections::HashMap;
use std::time::Duration;

use actix::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

use crate::actor::told::Told;
use crate::domain::ids::{Epoch, Incarnation, WorkerId};
use crate::protocol::execution::{Arrival, FromRemote, ToRemote};
use crate::protocol::letter::Marker;
use crate::protocol::work::FromWorker;
use crate::store::write::WorkerRow;

use super::super::core::Input;
use super::super::liveness::{Liveness, LivenessOrder, MarkerMeaning};
use super::telling::Remote;
use super::{Ended, Scheduler};

/// What a leader over a broker knows beside its core. Begun anew with each epoch.
pub(in super::super) struct Reception {
    remote: Remote,
    liveness: Liveness,
    /// The one whose letters count; those of an earlier one come again over this.
    subscription: Option<u64>,
    /// The newest beat of each life: an older one is a copy, and no sign of life.
    beats: HashMap<WorkerId, (Incarnation, u64)>,
    /// When the database last confirmed that this leader leads.
    proven: Duration,
    /// Given up because the database was silent; taken again when it answers.
    is_deaf: bool,
    alarm: Option<SpawnHandle>,
}

/// A clock that counts sleep and is never set.
fn boot_time() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    // The kernel's clock does not run below zero.
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

impl Reception {
    pub(super) fn begin(remote: &Remote, epoch: Epoch, workers: &[WorkerRow]) -> Self {
        let mut liveness = Liveness::new(epoch, remote.times);
        let now = boot_time();
        for row in workers.iter().filter(|row| row.status.lives()) {
            liveness.knows(now, row.id, row.incarnation);
        }
        Self {
            remote: remote.clone(),
            liveness,
            subscription: None,
            beats: HashMap::new(),
            proven: now,
            is_deaf: false,
            alarm: None,
        }
    }

    /// Whether a beat is newer than all that came before it of the same life.
    fn is_news(&mut self, worker: WorkerId, incarnation: Incarnation, seq: u64) -> bool {
        let known = self.beats.entry(worker).or_insert((incarnation, 0));
        if known.0 > incarnation || (known.0 == incarnation && known.1 >= seq && known.1 > 0) {
            return false;
        }
        *known = (incarnation, seq);
        true
    }

    /// What a message says about whether its sender lives.
    fn heed(&mut self, message: &FromWorker) -> Vec<LivenessOrder> {
        let now = boot_time();
        match message {
            FromWorker::Online(online) => self.liveness.knows(now, online.worker, online.incarnation),
            FromWorker::Beat(beat) => {
                if self.is_news(beat.worker, beat.incarnation, beat.seq) {
                    return self.liveness.heard(now, beat.worker, beat.incarnation);
                }
            }
            FromWorker::Offline { worker, incarnation } | FromWorker::Obituary { worker, incarnation, .. } => {
                self.liveness.gone(*worker, *incarnation);
            }
            // Only a beat is confirmed to the worker as one, so only a beat prolongs its lease.
            FromWorker::Claimed { .. }
            | FromWorker::Started { .. }
            | FromWorker::Finish(_)
            | FromWorker::Released { .. }
            | FromWorker::Notified(_)
            | FromWorker::Asked { .. } => {}
        }
        Vec::new()
    }
}

impl Handler<Told<FromRemote>> for Scheduler {
    type Result = ();

    fn handle(&mut self, Told(message): Told<FromRemote>, ctx: &mut Self::Context) {
        match message {
            FromRemote::Subscribed { subscription, epoch } => self.on_subscribed(subscription, epoch, ctx),
            FromRemote::Unsubscribed { subscription } => {
                if let Some(reception) = self.hears(subscription) {
                    reception.subscription = None;
                }
                self.gathered.forget_letters();
            }
            FromRemote::Said { arrival, worker: _, incarnation: _, said } => self.on_said(arrival, said, ctx),
            FromRemote::Marker { arrival, marker } => self.on_marker(arrival, &marker, ctx),
            FromRemote::Returned { worker, incarnation } => self.gather(Input::Suspect { worker, incarnation }, ctx),
            FromRemote::Rejected => self.rejected += 1,
        }
    }
}

impl Scheduler {
    /// The reception, if this subscription is the one whose letters count.
    fn hears(&mut self, subscription: u64) -> Option<&mut Reception> {
        self.reception.as_mut().filter(|reception| reception.subscription == Some(subscription))
    }

    fn on_subscribed(&mut self, subscription: u64, epoch: Epoch, ctx: &mut Context<Self>) {
        if epoch != self.epoch || self.leaves {
            return;
        }
        let Some(reception) = &mut self.reception else { return };
        reception.subscription = Some(subscription);
        // What the one before brought was not acknowledged, so it comes again.
        self.gathered.forget_letters();
        let orders = reception.liveness.subscribed(boot_time(), Uuid::new_v4());
        self.obey(orders, ctx);
    }

    fn on_said(&mut self, arrival: Arrival, said: Vec<FromWorker>, ctx: &mut Context<Self>) {
        for message in said {
            let Some(reception) = self.hears(arrival.subscription) else { return };
            let orders = reception.heed(&message);
            self.gathered.push(Input::Worker(message));
            self.push_orders(orders);
        }
        self.end_of_letter(arrival, ctx);
    }

    fn on_marker(&mut self, arrival: Arrival, marker: &Marker, ctx: &mut Context<Self>) {
        let Some(reception) = self.hears(arrival.subscription) else { return };
        let (meaning, orders) = reception.liveness.on_marker(boot_time(), marker);
        match meaning {
            MarkerMeaning::NewerEpoch(current) => {
                tracing::warn!(epoch = current.0, "another scheduler leads: stepping down");
                self.end(Ended::Deposed { current, holder: "another scheduler".to_owned() }, ctx);
                return;
            }
            MarkerMeaning::Adopted => {
                tracing::debug!(subscription = arrival.subscription, "the silence of workers counts")
            }
            MarkerMeaning::Ours | MarkerMeaning::Old => {}
        }
        self.push_orders(orders);
        self.end_of_letter(arrival, ctx);
    }

    fn end_of_letter(&mut self, arrival: Arrival, ctx: &mut Context<Self>) {
        self.gathered.end_of_letter(arrival);
        if self.gathered.is_empty() && self.writer.is_some() {
            self.say(Vec::new());
        }
        self.go_on(ctx);
        self.set_liveness_alarm(ctx);
    }

    fn obey(&mut self, orders: Vec<LivenessOrder>, ctx: &mut Context<Self>) {
        self.push_orders(orders);
        self.go_on(ctx);
        self.set_liveness_alarm(ctx);
    }

    /// Markers leave at once; what is known of workers goes behind what they said before.
    fn push_orders(&mut self, orders: Vec<LivenessOrder>) {
        for order in orders {
            match order {
                LivenessOrder::SendMarker(marker) => {
                    if let Some(reception) = &self.reception {
                        (reception.remote.tell)(ToRemote::Marker(marker));
                    }
                }
                LivenessOrder::Suspect { worker, incarnation } => {
                    tracing::warn!(%worker, %incarnation, "a worker is silent");
                    self.gathered.push(Input::Suspect { worker, incarnation });
                }
                LivenessOrder::Trusted { worker, incarnation } => {
                    tracing::info!(%worker, %incarnation, "a worker is heard again");
                    self.gathered.push(Input::Trusted { worker, incarnation });
                }
                LivenessOrder::Lost { worker, incarnation, sent_after_silence_of: silence } => {
                    tracing::warn!(%worker, %incarnation, ?silence, "a worker is lost");
                    self.gathered.push(Input::WorkerLost { worker, incarnation, silence });
                }
            }
        }
    }

    fn set_liveness_alarm(&mut self, ctx: &mut Context<Self>) {
        let Some(reception) = &mut self.reception else { return };
        if let Some(alarm) = reception.alarm.take() {
            ctx.cancel_future(alarm);
        }
        if reception.subscription.is_none() {
            return;
        }
        if let Some(due) = reception.liveness.next_alarm() {
            let wait = due.saturating_sub(boot_time());
            reception.alarm = Some(ctx.run_later(wait, Self::on_liveness_alarm));
        }
    }

    fn on_liveness_alarm(&mut self, ctx: &mut Context<Self>) {
        let Some(reception) = &mut self.reception else { return };
        reception.alarm = None;
        if reception.subscription.is_none() {
            return;
        }
        let orders = reception.liveness.on_alarm(boot_time(), Uuid::new_v4());
        self.obey(orders, ctx);
    }

    /// Nothing more is heard: the channel closes, and what is not acknowledged goes back.
    pub(super) fn leave_reception(&mut self, ctx: &mut Context<Self>) {
        let Some(reception) = &mut self.reception else { return };
        reception.subscription = None;
        if let Some(alarm) = reception.alarm.take() {
            ctx.cancel_future(alarm);
        }
        (reception.remote.tell)(ToRemote::StepDown);
        self.gathered.forget_letters();
    }

    /// The node leaves: letters that come now are for the next leader, while the last words still go out.
    pub(in super::super) fn hear_no_more(&mut self) {
        self.leaves = true;
        if let Some(reception) = &mut self.reception {
            reception.subscription = None;
        }
        self.gathered.forget_letters();
    }

    /// A leader cut off from its database cannot know whether it leads: another one is to be heard (PROTOCOL §12).
    pub(super) fn doubt_the_database(&mut self) {
        let Some(reception) = &mut self.reception else { return };
        let silence = boot_time().saturating_sub(reception.proven);
        if silence >= reception.remote.lease_ttl && !reception.is_deaf {
            tracing::warn!(?silence, "the database does not answer: hearing no workers until it does");
            (reception.is_deaf, reception.subscription) = (true, None);
            (reception.remote.tell)(ToRemote::StepDown);
            self.gathered.forget_letters();
        }
    }

    /// The database has just confirmed that this leader leads.
    pub(super) fn trust_the_database(&mut self) {
        let epoch = self.epoch;
        let Some(reception) = &mut self.reception else { return };
        reception.proven = boot_time();
        if std::mem::take(&mut reception.is_deaf) {
            tracing::info!("the database answers: hearing workers again");
            (reception.remote.tell)(ToRemote::Lead { epoch });
        }
    }
}
