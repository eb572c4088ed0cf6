//! A worker with its companion, as PROTOCOL §3 and §6 have them, and what may befall it.

use std::collections::{BTreeMap, VecDeque};

use super::broker::{Answer, Broker, Letter};
use super::{CLAIM_RESEND, FENCE_AFTER, HEARTBEAT, KILL_GRACE, LEADER_SILENT, Mutation, SPAWN_SLACK, trace, wall};
use crate::domain::attempt::Outcome;
use crate::domain::ids::{Claim, Incarnation, QueueName, WorkerId};
use crate::protocol::envelope::VERSION;
use crate::protocol::work::{Beat, FromWorker, Online, Report, Standing, TaskMessage, ToWorker};

/// A claim that has not started.
#[derive(Debug)]
pub struct Held {
    pub task: Box<TaskMessage>,
    asked_at: u64,
    asked_first: u64,
    /// The broker gives it back if the connection goes.
    delivery: bool,
}

/// A real process.
#[derive(Debug)]
pub struct Process {
    pub task: Box<TaskMessage>,
    ends: u64,
    /// It is being killed, and gone by then.
    dies: Option<u64>,
    /// By order of the leader, and not because the lease is over.
    told: bool,
    /// The broker gives the task back if the connection goes.
    delivery: bool,
}

/// On its way to the broker.
#[derive(Debug)]
struct Outgoing {
    message: FromWorker,
    sent: u64,
    renews: bool,
}

#[derive(Debug)]
pub struct Worker {
    pub id: WorkerId,
    pub queues: Vec<QueueName>,
    pub slots: u32,
    pub incarnation: Incarnation,
    pub alive: bool,
    pub paused: bool,
    pub cut: bool,
    pub draining: bool,
    connected: bool,
    connection: u64,
    online: bool,
    next_n: i64,
    seq: u64,
    lease_until: Option<u64>,
    last_beat: u64,
    pub held: BTreeMap<Claim, Held>,
    pub processes: BTreeMap<Claim, Process>,
    pub journal: Vec<Report>,
    /// Ended while the worker could not write it down.
    unwritten: Vec<Report>,
    last_words: Vec<Report>,
    last_report: u64,
    /// W5: the life is over, and processes may still be dying.
    ending: bool,
    /// The companion's last word is owed, about this life, with these reports.
    obituary: Option<Incarnation>,
    wire: VecDeque<Outgoing>,
    confirms: VecDeque<(u64, bool)>,
    mutation: Option<Mutation>,
    /// Lives whose lease has lapsed: no process of them starts.
    pub lapsed: Option<Incarnation>,
}

/// What a step of a worker meant outside.
#[derive(Debug)]
pub enum Deed {
    Started(Box<TaskMessage>, Claim),
}

impl Worker {
    pub fn new(n: u128, queues: Vec<QueueName>, slots: u32, mutation: Option<Mutation>) -> Self {
        Self {
            id: WorkerId(uuid::Uuid::from_u128(n)),
            queues,
            slots,
            incarnation: Incarnation(1),
            alive: true,
            paused: false,
            cut: false,
            draining: false,
            connected: false,
            connection: 0,
            online: false,
            next_n: 0,
            seq: 0,
            lease_until: None,
            last_beat: 0,
            held: BTreeMap::new(),
            processes: BTreeMap::new(),
            journal: Vec::new(),
            unwritten: Vec::new(),
            last_words: Vec::new(),
            last_report: 0,
            ending: false,
            obituary: None,
            wire: VecDeque::new(),
            confirms: VecDeque::new(),
            mutation,
            lapsed: None,
        }
    }

    fn acts(&self) -> bool {
        self.alive && !self.paused
    }

    pub fn is_idle(&self) -> bool {
        self.held.is_empty() && self.processes.is_empty() && self.journal.is_empty() && self.unwritten.is_empty()
    }

    fn lease_is_over(&self, now: u64) -> bool {
        self.lease_until.is_some_and(|until| now >= until)
    }

    /// Everything that is due now, each thing with a chance to come a little later.
    pub fn step(&mut self, now: u64, rng: &mut fastrand::Rng, broker: &mut Broker) -> Vec<Deed> {
        self.companion(now, rng, broker);
        let mut deeds = Vec::new();
        if !self.acts() {
            return deeds;
        }
        // W4: a lease that has lapsed is never renewed.
        if self.lease_is_over(now) && !self.ending && self.mutation != Some(Mutation::RenewsALapsedLease) {
            self.end_life(now, rng, broker);
        }
        if self.ending {
            self.begin_anew(now);
        }
        // Before any beat: one that does not list what has run says that it never started (W8).
        self.write_down(now);
        if !self.connected && !self.cut && !self.ending && rng.u32(0..4) > 0 {
            self.connect(now);
        }
        if !self.connected {
            return deeds;
        }
        if self.online && now >= self.last_beat + HEARTBEAT {
            self.beat(now);
        }
        self.ask_again(now);
        self.take_work(now, rng, broker);
        if !self.cut {
            for _ in 0..rng.usize(0..8) {
                self.flush(broker);
            }
            for _ in 0..rng.usize(0..8) {
                self.confirm(now, rng, broker);
            }
        }
        self.hear(now, rng, broker, &mut deeds);
        if self.draining && self.is_idle() && self.online && !self.ending {
            self.leave(now, rng, broker);
        }
        deeds
    }

    /// W2, W7: it sees the processes end, kills them when the lease is over, and has the last word.
    fn companion(&mut self, now: u64, rng: &mut fastrand::Rng, broker: &mut Broker) {
        if let Some(until) = self.lease_until.filter(|until| now >= *until) {
            for process in self.processes.values_mut() {
                let dead = until + rng.u64(0..=KILL_GRACE + SPAWN_SLACK);
                process.dies = Some(process.dies.map_or(dead, |dies| dies.min(until + KILL_GRACE + SPAWN_SLACK)));
            }
            self.lapsed = Some(self.incarnation);
        }
        let gone = |process: &Process| process.ends.min(process.dies.unwrap_or(u64::MAX)) <= now;
        let ended: Vec<(Claim, Process)> = self.processes.extract_if(.., |_, process| gone(process)).collect();
        for (claim, process) in ended {
            let by_itself = process.dies.is_none_or(|dies| process.ends <= dies);
            let outcome = match (by_itself, process.told) {
                (true, _) => match rng.u32(0..6) {
                    0 => Outcome::Failed { retryable: true },
                    1 => Outcome::Skipped,
                    _ => Outcome::Success,
                },
                (false, true) => Outcome::Killed,
                (false, false) => Outcome::Fenced,
            };
            let report = report(&process.task, claim, outcome, now);
            match (self.alive, self.paused) {
                (true, false) => self.finish(now, report),
                (true, true) => self.unwritten.push(report),
                // Nobody is there to hear how it ended: it is lost.
                (false, _) => {}
            }
        }
        let owed = self.obituary.filter(|_| self.processes.is_empty() && !self.cut && rng.u32(0..4) == 0);
        if let Some(incarnation) = owed {
            self.obituary = None;
            let (worker, unsettled) = (self.id, self.last_words.clone());
            let message = FromWorker::Obituary { worker, incarnation, unsettled };
            broker.publish(Letter::Said { from: self.id, connection: 0, message });
        }
    }

    fn finish(&mut self, now: u64, report: Report) {
        self.journal.push(report.clone());
        self.send(now, FromWorker::Finish(report), false);
    }

    fn write_down(&mut self, now: u64) {
        for report in std::mem::take(&mut self.unwritten) {
            self.finish(now, report);
        }
    }

    fn send(&mut self, now: u64, message: FromWorker, renews: bool) {
        if self.connected {
            self.wire.push_back(Outgoing { message, sent: now, renews });
        }
    }

    fn flush(&mut self, broker: &mut Broker) {
        if let Some(Outgoing { message, sent, renews }) = self.wire.pop_front() {
            broker.publish(Letter::Said { from: self.id, connection: self.connection, message });
            self.confirms.push_back((sent, renews));
        }
    }

    /// W3: the send time of what was confirmed counts.
    fn confirm(&mut self, now: u64, rng: &mut fastrand::Rng, broker: &mut Broker) {
        let Some((sent, renews)) = self.confirms.pop_front() else { return };
        if !renews || self.ending {
            return;
        }
        let until = sent + FENCE_AFTER;
        let is_void = now >= self.lease_until.unwrap_or(until);
        if is_void && self.mutation != Some(Mutation::RenewsALapsedLease) {
            self.end_life(now, rng, broker);
            return;
        }
        self.online = true;
        self.lease_until = Some(self.lease_until.map_or(until, |before| before.max(until)));
    }

    fn beat(&mut self, now: u64) {
        (self.last_beat, self.seq) = (now, self.seq + 1);
        let journaled = self.journal.iter().map(|report| (report.attempt, report.claim));
        let running = self.processes.iter().map(|(claim, process)| (process.task.attempt, *claim));
        let held = self.held.iter().map(|(claim, held)| (held.task.attempt, *claim));
        let beat = Beat {
            worker: self.id,
            incarnation: self.incarnation,
            seq: self.seq,
            highest_n: self.next_n,
            held: held.chain(running).chain(journaled).collect(),
            standing: self.standing(),
        };
        self.send(now, FromWorker::Beat(beat), true);
    }

    fn standing(&self) -> Standing {
        Standing {
            slots: self.slots,
            free_slots: self.free(),
            queues: self.queues.clone(),
            draining: self.draining,
            load: None,
        }
    }

    fn free(&self) -> u32 {
        let taken = u32::try_from(self.held.len() + self.processes.len()).expect("few");
        self.slots.saturating_sub(taken)
    }

    fn connect(&mut self, now: u64) {
        self.connection += 1;
        self.connected = true;
        if self.online {
            self.beat(now);
            return;
        }
        let online = Online {
            worker: self.id,
            incarnation: self.incarnation,
            name: format!("w{}@host", self.id.0.as_u128()),
            standing: self.standing(),
            version: String::new(),
            understands: VERSION,
            unsettled: self.journal.clone(),
        };
        self.last_beat = now;
        self.send(now, FromWorker::Online(online), true);
    }

    /// Some of what was on its way arrived, and nobody knows what.
    pub fn lose_connection(&mut self, rng: &mut fastrand::Rng, broker: &mut Broker) {
        if !self.connected {
            return;
        }
        for _ in 0..rng.usize(0..=self.wire.len()) {
            self.flush(broker);
        }
        self.wire.clear();
        self.confirms.clear();
        self.connected = false;
        for held in self.held.values_mut() {
            if std::mem::take(&mut held.delivery) {
                broker.give_back(held.task.clone());
            }
        }
        for process in self.processes.values_mut() {
            if std::mem::take(&mut process.delivery) {
                broker.give_back(process.task.clone());
            }
        }
    }

    /// W1, and reports until they are settled.
    fn ask_again(&mut self, now: u64) {
        let mut letters = Vec::new();
        for (claim, held) in self.held.iter_mut().filter(|(_, held)| held.asked_at + CLAIM_RESEND <= now) {
            held.asked_at = now;
            letters.push(claimed(&held.task, *claim, false));
        }
        if self.last_report + CLAIM_RESEND <= now {
            self.last_report = now;
            letters.extend(self.journal.iter().cloned().map(FromWorker::Finish));
        }
        for letter in letters {
            self.send(now, letter, false);
        }
    }

    /// Nothing runs and nothing will: it says so and leaves. Whoever starts it again starts a new life.
    fn leave(&mut self, now: u64, rng: &mut fastrand::Rng, broker: &mut Broker) {
        self.send(now, FromWorker::Offline { worker: self.id, incarnation: self.incarnation }, false);
        while !self.cut && !self.wire.is_empty() {
            self.flush(broker);
        }
        self.lose_connection(rng, broker);
        (self.alive, self.draining) = (false, false);
    }

    /// W10.
    fn take_work(&mut self, now: u64, rng: &mut fastrand::Rng, broker: &mut Broker) {
        let is_unanswered = self.held.values().any(|held| held.asked_first + LEADER_SILENT <= now);
        let may = self.online && !self.draining && !self.ending && !is_unanswered && !self.lease_is_over(now);
        while may && !self.cut && self.free() > 0 && rng.u32(0..4) > 0 {
            let queue = &self.queues[rng.usize(0..self.queues.len())];
            let Some(parcel) = broker.tasks.get_mut(queue).and_then(|queue| queue.pop_front()) else { return };
            self.next_n += 1;
            let claim = Claim { worker: self.id, incarnation: self.incarnation, n: self.next_n };
            let letter = claimed(&parcel.task, claim, parcel.redelivered);
            let held = Held { task: parcel.task, asked_at: now, asked_first: now, delivery: true };
            self.held.insert(claim, held);
            self.send(now, letter, false);
        }
    }

    /// Answers come in any order, twice, or never.
    fn hear(&mut self, now: u64, rng: &mut fastrand::Rng, broker: &mut Broker, deeds: &mut Vec<Deed>) {
        let connection = self.connection;
        let is_mine = |answer: &Answer| answer.to == self.id;
        let mine: Vec<Answer> = broker.answers.extract_if(.., |answer| is_mine(answer)).collect();
        for answer in mine {
            // One to a connection that is gone is returned to its sender.
            if answer.connection != connection || self.ending {
                continue;
            }
            match rng.u32(0..10) {
                0..3 if !self.cut => broker.answers.push(answer),
                _ if self.cut => {}
                _ => self.on_answer(now, answer.message, rng, broker, deeds),
            }
        }
    }

    fn on_answer(
        &mut self,
        now: u64,
        message: ToWorker,
        rng: &mut fastrand::Rng,
        broker: &mut Broker,
        deeds: &mut Vec<Deed>,
    ) {
        trace(now, || format!("w{} of life {} hears {message:?}", self.id.0.as_u128(), self.incarnation));
        match message {
            ToWorker::Granted { attempt, claim, .. } => {
                let like_it = |(_, held): &(&Claim, &Held)| held.task.attempt == attempt;
                let meant = match self.mutation {
                    Some(Mutation::TakesAnyGrant) => self.held.iter().find(like_it).map(|(claim, _)| *claim),
                    _ => self.held.contains_key(&claim).then_some(claim),
                };
                let is_known = self.processes.contains_key(&claim) || self.journal.iter().any(|r| r.claim == claim);
                match meant {
                    // W2: asked of the companion, which looks at the lease.
                    Some(claim) if !self.lease_is_over(now) => self.start(now, claim, rng, deeds),
                    Some(_) => {}
                    None if is_known || claim.incarnation != self.incarnation => {}
                    None => self.send(now, FromWorker::Released { attempt, claim }, false),
                }
            }
            ToWorker::Refused { claim, .. } => {
                self.held.remove(&claim);
            }
            ToWorker::Settled { claims } => {
                self.journal.retain(|report| claims.iter().all(|(claim, _)| *claim != report.claim));
            }
            ToWorker::Terminate { claim, .. } => {
                if let Some(held) = self.held.remove(&claim) {
                    self.send(now, FromWorker::Released { attempt: held.task.attempt, claim }, false);
                } else if let Some(process) = self.processes.get_mut(&claim) {
                    process.told |= process.dies.is_none();
                    process.dies.get_or_insert(now + rng.u64(0..KILL_GRACE));
                }
            }
            ToWorker::Fenced { incarnation } if incarnation == self.incarnation => self.end_life(now, rng, broker),
            ToWorker::Probe => self.beat(now),
            ToWorker::Fenced { .. } | ToWorker::Welcome { .. } | ToWorker::Notify { .. } | ToWorker::Values { .. } => {}
            ToWorker::Task { .. } | ToWorker::Drain { .. } | ToWorker::Resize { .. } | ToWorker::Queues { .. } => {
                unreachable!("the leader of this story says no such thing: {message:?}")
            }
        }
    }

    fn start(&mut self, now: u64, claim: Claim, rng: &mut fastrand::Rng, deeds: &mut Vec<Deed>) {
        let Some(Held { task, delivery, .. }) = self.held.remove(&claim) else { return };
        let ends = now + if rng.u32(0..5) == 0 { rng.u64(0..120_000) } else { rng.u64(0..5_000) };
        deeds.push(Deed::Started(task.clone(), claim));
        self.processes.insert(claim, Process { task, ends, dies: None, told: false, delivery });
    }

    /// W5: what runs is killed, what has not started is forgotten, the connection is closed.
    fn end_life(&mut self, now: u64, rng: &mut fastrand::Rng, broker: &mut Broker) {
        self.lose_connection(rng, broker);
        self.held.clear();
        for process in self.processes.values_mut() {
            process.dies.get_or_insert(now + rng.u64(0..KILL_GRACE));
        }
        self.ending = true;
        self.lapsed = Some(self.incarnation);
    }

    /// W6: once every process is gone.
    fn begin_anew(&mut self, now: u64) {
        if self.processes.is_empty() {
            self.write_down(now);
            self.incarnation = self.incarnation.next();
            (self.next_n, self.seq, self.lease_until) = (0, 0, None);
            (self.ending, self.online, self.connected) = (false, false, false);
        }
    }

    /// `kill -9`: its companion kills what it ran, and says so.
    pub fn die(&mut self, now: u64, rng: &mut fastrand::Rng, broker: &mut Broker) {
        self.lose_connection(rng, broker);
        self.held.clear();
        self.unwritten.clear();
        for process in self.processes.values_mut() {
            process.dies.get_or_insert(now + rng.u64(0..KILL_GRACE));
        }
        (self.alive, self.paused, self.draining) = (false, false, false);
        // Read after the last kill; nothing is written once the worker is dead.
        (self.obituary, self.last_words) = (Some(self.incarnation), self.journal.clone());
    }

    /// The power goes: nobody says anything.
    pub fn lose_power(&mut self, rng: &mut fastrand::Rng, broker: &mut Broker) {
        self.die(0, rng, broker);
        self.processes.clear();
        self.obituary = None;
    }

    /// It starts again as soon as nothing of its earlier life is left.
    pub fn restart(&mut self, now: u64) {
        if !self.alive && self.processes.is_empty() {
            self.alive = true;
            self.ending = true;
            self.begin_anew(now);
        }
    }
}

fn claimed(task: &TaskMessage, claim: Claim, redelivered: bool) -> FromWorker {
    FromWorker::Claimed { attempt: task.attempt, dispatch: task.dispatch, claim, redelivered }
}

fn report(task: &TaskMessage, claim: Claim, outcome: Outcome, now: u64) -> Report {
    Report {
        attempt: task.attempt,
        claim,
        outcome,
        exit_code: None,
        message: None,
        started_at: Some(wall(now)),
        ended_at: wall(now),
        pid: Some(1),
        xcoms: Vec::new(),
        outlet_events: Vec::new(),
        awaited: None,
    }
}
