//! Who lives, as far as the order of one queue can prove it (PROTOCOL L5, L6).
//!
//! ```text
//!  contact R ───── suspect_grace ──► suspect: shown, asked, nothing moves
//!     │
//!     └────── worker_lost_after ──► a marker leaves ──► it comes back, and no beat before it: lost
//!
//!  a subscription is new: nobody has an R until a marker of it came back (adopted)
//! ```
//!
//! A pure machine with a clock of its own: a tick is what the leader's monotonic clock shows, so that a wall
//! clock that is set can declare nobody lost. Nothing here counts attempts, sends, or asks what time it is.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use crate::domain::ids::{Epoch, Incarnation, WorkerId};
use crate::protocol::letter::Marker;

#[cfg(test)]
mod tests;

/// How long which silence may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LivenessTimes {
    pub suspect_grace: Duration,
    pub worker_lost_after: Duration,
    pub marker_retry: Duration,
}

/// What the leader does because of a silence, or of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LivenessOrder {
    /// To itself, through the queue that the workers write to.
    SendMarker(Marker),
    Suspect {
        worker: WorkerId,
        incarnation: Incarnation,
    },
    Trusted {
        worker: WorkerId,
        incarnation: Incarnation,
    },
    /// Proven: nothing of this life runs any more. It is no longer watched.
    Lost {
        worker: WorkerId,
        incarnation: Incarnation,
        sent_after_silence_of: Duration,
    },
}

/// What a marker that was read says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerMeaning {
    /// The first of this subscription: from now on contacts count.
    Adopted,
    Ours,
    /// A copy, or of another subscription or reign: it proves nothing.
    Old,
    /// Somebody else leads: step down, and leave the marker unacknowledged (L4).
    NewerEpoch(Epoch),
}

/// One life of a worker that is watched.
#[derive(Clone, Copy, Debug)]
struct Life {
    incarnation: Incarnation,
    /// R: its last sign of life under this subscription, at the earliest the adoption.
    contact: Option<Duration>,
    suspect: bool,
}

/// Everybody who is watched, and the markers on their way.
#[derive(Clone, Debug)]
pub struct Liveness {
    epoch: Epoch,
    times: LivenessTimes,
    /// Counts inside the epoch; 0 before the first.
    subscription: u64,
    adopted: bool,
    /// When each marker of this subscription that is still expected was sent.
    sent: BTreeMap<Uuid, Duration>,
    lives: BTreeMap<WorkerId, Life>,
}

impl Liveness {
    pub fn new(epoch: Epoch, times: LivenessTimes) -> Self {
        Self { epoch, times, subscription: 0, adopted: false, sent: BTreeMap::new(), lives: BTreeMap::new() }
    }

    /// The leader reads the queue under a new subscription: what it believed of contacts is void, because
    /// somebody else may have read meanwhile.
    pub fn subscribed(&mut self, tick: Duration, nonce: Uuid) -> Vec<LivenessOrder> {
        self.subscription += 1;
        self.adopted = false;
        self.sent.clear();
        for life in self.lives.values_mut() {
            life.contact = None;
        }
        vec![self.send_marker(tick, nonce)]
    }

    /// A life that the store names, or that has just said that it is online.
    pub fn knows(&mut self, tick: Duration, worker: WorkerId, incarnation: Incarnation) {
        let contact = self.adopted.then_some(tick);
        match self.lives.get_mut(&worker) {
            Some(life) if life.incarnation > incarnation => {}
            Some(life) if life.incarnation == incarnation => life.contact = contact,
            Some(_) | None => {
                self.lives.insert(worker, Life { incarnation, contact, suspect: false });
            }
        }
    }

    /// This life has ended, or one after it.
    pub fn gone(&mut self, worker: WorkerId, incarnation: Incarnation) {
        if self.lives.get(&worker).is_some_and(|life| life.incarnation <= incarnation) {
            self.lives.remove(&worker);
        }
    }

    /// A sign of life was read.
    pub fn heard(&mut self, tick: Duration, worker: WorkerId, incarnation: Incarnation) -> Vec<LivenessOrder> {
        let Some(life) = self.lives.get_mut(&worker).filter(|life| life.incarnation == incarnation) else {
            return Vec::new();
        };
        if self.adopted {
            life.contact = Some(tick);
        }
        let was_suspect = std::mem::take(&mut life.suspect);
        was_suspect.then_some(LivenessOrder::Trusted { worker, incarnation }).into_iter().collect()
    }

    /// A marker was read: everything that was queued before it has been read too.
    pub fn on_marker(&mut self, tick: Duration, marker: &Marker) -> (MarkerMeaning, Vec<LivenessOrder>) {
        if marker.epoch > self.epoch {
            return (MarkerMeaning::NewerEpoch(marker.epoch), Vec::new());
        }
        if marker.epoch < self.epoch || marker.subscription != self.subscription {
            return (MarkerMeaning::Old, Vec::new());
        }
        let Some(sent) = self.sent.remove(&marker.nonce) else { return (MarkerMeaning::Old, Vec::new()) };
        if self.adopted {
            return (MarkerMeaning::Ours, self.lose_the_silent(sent));
        }
        self.adopted = true;
        for life in self.lives.values_mut() {
            life.contact = Some(tick);
        }
        (MarkerMeaning::Adopted, Vec::new())
    }

    /// L6(c): whoever was silent for long enough when the marker was sent, and until it came back.
    fn lose_the_silent(&mut self, sent: Duration) -> Vec<LivenessOrder> {
        let lost_after = self.times.worker_lost_after;
        let silence = |life: &Life| sent.checked_sub(life.contact?).filter(|silence| *silence >= lost_after);
        let lost = self.lives.extract_if(.., |_, life| silence(life).is_some());
        lost.map(|(worker, life)| LivenessOrder::Lost {
            worker,
            incarnation: life.incarnation,
            sent_after_silence_of: silence(&life).unwrap_or_default(),
        })
        .collect()
    }

    /// Something may be due. `nonce` is used if a marker leaves.
    pub fn on_alarm(&mut self, tick: Duration, nonce: Uuid) -> Vec<LivenessOrder> {
        let mut orders = Vec::new();
        for (worker, life) in &mut self.lives {
            let is_silent = life.contact.is_some_and(|contact| contact + self.times.suspect_grace <= tick);
            if is_silent && !life.suspect {
                life.suspect = true;
                orders.push(LivenessOrder::Suspect { worker: *worker, incarnation: life.incarnation });
            }
        }
        if self.next_marker().is_some_and(|due| due <= tick) {
            orders.push(self.send_marker(tick, nonce));
        }
        orders
    }

    /// The tick of the next thing to do, if nothing else happens before.
    pub fn next_alarm(&self) -> Option<Duration> {
        let trusted = self.lives.values().filter(|life| !life.suspect);
        let suspicion = trusted.filter_map(|life| Some(life.contact? + self.times.suspect_grace)).min();
        suspicion.into_iter().chain(self.next_marker()).min()
    }

    /// Whether contacts count: a marker of this subscription has come back.
    pub fn is_adopted(&self) -> bool {
        self.adopted
    }

    /// When the next marker leaves: because none came back, or because somebody has been silent for so long.
    fn next_marker(&self) -> Option<Duration> {
        let newest = self.sent.values().max().copied();
        if !self.adopted {
            return Some(newest? + self.times.marker_retry);
        }
        let silent = self.lives.values().filter_map(|life| Some(life.contact? + self.times.worker_lost_after));
        silent
            .map(|due| match newest {
                // One that was sent before this silence was long enough proves nothing about it.
                Some(sent) if sent >= due => sent + self.times.marker_retry,
                Some(_) | None => due,
            })
            .min()
    }

    fn send_marker(&mut self, tick: Duration, nonce: Uuid) -> LivenessOrder {
        self.sent.insert(nonce, tick);
        LivenessOrder::SendMarker(Marker { epoch: self.epoch, subscription: self.subscription, nonce })
    }
}
