//! The workers: each life from its first word to the proof of its end (PROTOCOL §5, L6).
//!
//! Only a proof moves what a worker owns: its next life, its companion's obituary, a marker that came back.
//! A life that has ended stays so: that is written, and the next leader reads it.

use std::time::Duration;

use crate::domain::attempt::AttemptEvent;
use crate::domain::ids::{AttemptId, Incarnation, WorkerId};
use crate::domain::limit::Limit;
use crate::domain::time::{Time, until};
use crate::domain::worker::{Proof, WorkerEvent, WorkerStatus};
use crate::protocol::work::{Beat, Online, Report, Standing, ToWorker};
use crate::store::write::{WorkerRow, Write};

use super::core::{Core, Effect, Grant, WorkerState};

/// That a worker was seen is written at most so often: beats are many and nobody decides by it.
const SEEN_EVERY: Duration = Duration::from_secs(60);

impl Core {
    /// A new life of a worker: what it reports of earlier ones is taken first, the
    /// rest of what they owned is lost (L6a).
    pub(super) fn on_online(&mut self, now: Time, online: Online) {
        let id = online.worker;
        let known = self.workers.get(&id).map(|worker| (worker.row.incarnation, worker.row.status));
        let is_over = |(newest, status): (Incarnation, WorkerStatus)| {
            online.incarnation < newest || online.incarnation == newest && !status.lives()
        };
        if known.is_some_and(is_over) {
            self.fence(id, online.incarnation);
            return;
        }
        self.take_reports(now, id, &online.unsettled);
        if known.is_some_and(|(newest, _)| newest < online.incarnation) {
            self.lose_all(now, id, Proof::NextLife(online.incarnation));
        }
        let row = WorkerRow {
            id,
            host: host(&online.name).to_owned(),
            name: online.name,
            incarnation: online.incarnation,
            status: WorkerStatus::Online,
            slots: Limit::Unlimited,
            queues: Vec::new(),
            version: online.version,
            understands: online.understands,
            seen_at: now,
        };
        let worker = self.workers.entry(id).or_insert_with(|| WorkerState::new(row.clone()));
        if worker.row.incarnation != row.incarnation {
            // A new life counts anew.
            (worker.last_n, worker.beats) = (0, 0);
        }
        (worker.row, worker.is_here, worker.written) = (row, true, None);
        self.take_standing(now, id, &online.standing);
        self.take_back_notifications(id, Some(online.incarnation));
        self.welcome(id);
    }

    /// W8: a claim that its incarnation has passed and does not hold never started.
    pub(super) fn on_beat(&mut self, now: Time, beat: &Beat) {
        let id = beat.worker;
        // Of a worker that nobody knows the first word was lost: it comes online again, as one of an old life does.
        if !self.lives(id, beat.incarnation) {
            self.fence(id, beat.incarnation);
            return;
        }
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if beat.seq < worker.beats {
            return;
        }
        worker.beats = beat.seq;
        // A leader that has just taken over hears of a worker by its beat.
        let is_new = !std::mem::replace(&mut worker.is_here, true);
        let owned: Vec<AttemptId> = worker.owned.iter().copied().collect();
        self.take_standing(now, id, &beat.standing);
        if is_new {
            self.welcome(id);
        }
        for attempt in owned {
            let Some((_, claim)) = self.owner_of(attempt) else { continue };
            if claim.n <= beat.highest_n && !beat.held.contains(&(attempt, claim)) {
                self.on_given_back(now, attempt, AttemptEvent::BeatWithout { claim });
            }
        }
        for &(attempt, by) in &beat.held {
            self.on_held(attempt, by);
        }
    }

    /// A drained worker swears that nothing of it runs.
    pub(super) fn on_offline(&mut self, now: Time, id: WorkerId, incarnation: Incarnation) {
        if !self.lives(id, incarnation) {
            return;
        }
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.row.seen_at = now;
        let owned = worker.owned.clone();
        self.end_life(now, id, WorkerEvent::Left);
        for attempt in owned {
            let Some((_, claim)) = self.owner_of(attempt) else { continue };
            self.on_given_back(now, attempt, AttemptEvent::OwnerOffline { claim });
        }
    }

    /// L6b, by the word of its companion: whatever this life or one before it owned and does not report is lost.
    pub(super) fn on_obituary(&mut self, now: Time, id: WorkerId, incarnation: Incarnation, unsettled: &[Report]) {
        self.take_reports(now, id, unsettled);
        let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.row.incarnation <= incarnation) else {
            return;
        };
        if worker.row.incarnation < incarnation {
            // It died before anybody heard of this life, whose first word may still be on its way.
            (worker.row.incarnation, worker.row.status) = (incarnation, WorkerStatus::Online);
        }
        self.end_life(now, id, WorkerEvent::Proven);
        self.lose_all(now, id, Proof::Obituary);
    }

    /// L6c, by a marker that came back.
    pub(super) fn on_worker_lost(&mut self, now: Time, id: WorkerId, incarnation: Incarnation, silence: Duration) {
        if self.lives(id, incarnation) {
            self.end_life(now, id, WorkerEvent::Proven);
            self.lose_all(now, id, Proof::Marker { silence });
        }
    }

    /// There is reason to look after it: it is asked, and shown so until it is heard.
    pub(super) fn on_suspect(&mut self, now: Time, id: WorkerId, incarnation: Incarnation) {
        if self.lives(id, incarnation) {
            self.set_status(now, id, WorkerEvent::Doubted);
            self.effect(Effect::Send { to: Some(id), message: ToWorker::Probe });
        }
    }

    /// It was heard again. What it says of itself came, or comes, with its beat.
    pub(super) fn on_trusted(&mut self, now: Time, id: WorkerId, incarnation: Incarnation) {
        let worker = self.workers.get(&id).filter(|worker| worker.row.incarnation == incarnation);
        if worker.is_some_and(|worker| worker.row.status == WorkerStatus::Suspect) {
            self.set_status(now, id, WorkerEvent::Heard { draining: false });
        }
    }

    /// Whether this life may own something: it is the newest known, and has not ended.
    pub(super) fn lives(&self, id: WorkerId, incarnation: Incarnation) -> bool {
        let known = self.workers.get(&id).filter(|worker| worker.row.incarnation == incarnation);
        known.is_some_and(|worker| worker.row.status.lives())
    }

    /// Workers that somebody could ask for something now.
    pub(super) fn workers_here(&self) -> impl Iterator<Item = &WorkerState> {
        // Behind a broker workers outlive a leader; in one process a worker of the store belonged to an earlier one.
        let outlives = self.settings.grant == Grant::ByClaim;
        self.workers.values().filter(move |worker| worker.row.status.lives() && (worker.is_here || outlives))
    }

    pub(super) fn fence(&mut self, id: WorkerId, incarnation: Incarnation) {
        self.effect(Effect::Send { to: Some(id), message: ToWorker::Fenced { incarnation } });
    }

    fn take_reports(&mut self, now: Time, id: WorkerId, reports: &[Report]) {
        let settled = reports.iter().map(|report| (report.claim, self.on_report(now, report))).collect();
        self.settle_reports(id, settled);
    }

    fn lose_all(&mut self, now: Time, id: WorkerId, proof: Proof) {
        let Some(worker) = self.workers.get(&id) else { return };
        let (owned, why) = (worker.owned.clone(), proof.sentence(&worker.row.name));
        for attempt in owned {
            let Some((at, claim)) = self.owner_of(attempt) else { continue };
            if let Some(attempt) = self.instance_mut(at).attempt.as_mut() {
                attempt.message = Some(why.clone());
            }
            self.on_attempt_ended(now, at, AttemptEvent::OwnerGone { claim }, None);
        }
    }

    fn end_life(&mut self, now: Time, id: WorkerId, event: WorkerEvent) {
        self.set_status(now, id, event);
        self.take_back_notifications(id, None);
    }

    fn set_status(&mut self, now: Time, id: WorkerId, event: WorkerEvent) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let status = worker.row.status.on(event);
        if worker.row.status == status {
            return;
        }
        worker.row.status = status;
        let row = worker.row.clone();
        worker.written = Some(row.clone());
        self.write(Write::Worker(row));
        self.join_queues(now, id);
    }

    /// What a worker says of itself, taken and, where it changes anything, written.
    fn take_standing(&mut self, now: Time, id: WorkerId, standing: &Standing) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let row = &mut worker.row;
        row.status = row.status.on(WorkerEvent::Heard { draining: standing.draining });
        row.slots = Limit::from_zero_unlimited(standing.slots);
        row.queues.clone_from(&standing.queues);
        row.seen_at = now;
        worker.is_free = standing.slots == 0 || standing.free_slots > 0;
        let is_written = worker.written.as_ref().is_some_and(|written| {
            let seen_at = row.seen_at;
            until(written.seen_at, now) < SEEN_EVERY && WorkerRow { seen_at, ..written.clone() } == *row
        });
        if !is_written {
            let row = row.clone();
            worker.written = Some(row.clone());
            self.write(Write::Worker(row));
        }
        self.join_queues(now, id);
    }

    /// The leader knows this life, and says with which times. Inside one process there is nothing to agree on.
    fn welcome(&mut self, id: WorkerId) {
        if self.settings.grant == Grant::ByClaim {
            let message = ToWorker::Welcome { epoch: self.epoch, times: self.settings.remote.lease };
            self.effect(Effect::Send { to: Some(id), message });
        }
    }
}

impl WorkerState {
    /// As the store has it, before it was heard.
    pub fn new(row: WorkerRow) -> Self {
        Self {
            row,
            is_here: false,
            is_free: false,
            beats: 0,
            written: None,
            joined: Vec::new(),
            last_n: 0,
            owned: Default::default(),
        }
    }
}

/// Of `name@host`.
fn host(name: &str) -> &str {
    name.rsplit_once('@').map_or("", |(_, host)| host)
}
