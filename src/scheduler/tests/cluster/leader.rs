//! A leader: the core, the liveness machine and group commit, wired as PROTOCOL L1-L5 say.

use std::collections::BTreeSet;
use std::time::Duration;

use super::broker::{Answer, Broker, Letter, Parcel};
use super::{Mutation, tick, trace, wall};
use crate::domain::attempt::{AttemptState, Verdict};
use crate::domain::ids::{AttemptId, Claim, Epoch, WorkerId};
use crate::domain::state::RunState;
use crate::protocol::letter::Marker;
use crate::protocol::work::{FromWorker, ToWorker};
use crate::scheduler::core::{Core, Effect, Ids, Input, Settings};
use crate::scheduler::liveness::{Liveness, LivenessOrder, LivenessTimes, MarkerMeaning};
use crate::scheduler::tests::world::ModelStore;
use crate::store::write::Write;

/// The database: the rows, and the row that says who leads.
#[derive(Default)]
pub struct Database {
    pub rows: ModelStore,
    pub epoch: Epoch,
    /// Every claim that a committed row ever named as the owner of an attempt.
    pub owners: BTreeSet<(AttemptId, Claim)>,
}

/// What gathers until it is committed.
#[derive(Default)]
struct Batch {
    writes: Vec<Write>,
    said: Vec<(Option<WorkerId>, ToWorker)>,
    /// How many letters it was made of.
    letters: usize,
}

pub struct Leader {
    pub number: u32,
    pub core: Core,
    pub epoch: Epoch,
    liveness: Liveness,
    gathering: Batch,
    committing: Option<Batch>,
    /// On their way into the queue.
    markers: Vec<Marker>,
    /// Where each worker waited for answers last.
    addresses: Vec<(WorkerId, u64)>,
    pub paused: bool,
    pub cut: bool,
    nonces: u128,
}

/// How a step of a leader ended.
pub enum Fate {
    Leads,
    /// It knows that another one does.
    Deposed,
    /// A commit of unknown outcome: everything is forgotten (L3).
    Unknown,
}

/// A report of this claim was said to be the outcome, which must be true for good.
pub struct Applied(pub Claim);

const TIMES: LivenessTimes = LivenessTimes {
    suspect_grace: Duration::from_secs(5),
    worker_lost_after: Duration::from_secs(60),
    marker_retry: Duration::from_secs(5),
};

impl Leader {
    /// Takes a new epoch, loads what is committed, and reads the queue when nobody else does.
    pub fn takes_over(
        number: u32,
        now: u64,
        settings: &Settings,
        database: &mut Database,
        broker: &mut Broker,
        mutation: Option<Mutation>,
    ) -> Self {
        database.epoch = database.epoch.next();
        trace(now, || format!("leader {number} takes epoch {}", database.epoch));
        let epoch = database.epoch;
        let seed = u64::try_from(epoch.0).expect("few epochs");
        let mut core = Core::restore(settings.clone(), epoch, Ids::seeded(seed), database.rows.unfinished());
        let mut effects = core.resume(wall(now));
        effects.extend(core.apply(wall(now), Input::FolderRead));
        let mut leader = Self {
            number,
            core,
            epoch,
            liveness: Liveness::new(epoch, TIMES),
            gathering: Batch::default(),
            committing: None,
            markers: Vec::new(),
            addresses: Vec::new(),
            paused: false,
            cut: false,
            nonces: 0,
        };
        leader.take(effects);
        for row in database.rows.workers.values().filter(|row| row.status.lives()) {
            leader.liveness.knows(tick(now), row.id, row.incarnation);
        }
        if mutation == Some(Mutation::TrustsOldContacts) {
            leader.trust_old_contacts(now, database);
        }
        leader.subscribe(now, broker, mutation);
        leader
    }

    /// Without L5: as if every contact were as old as the database says, and the marker back already.
    fn trust_old_contacts(&mut self, now: u64, database: &Database) {
        let seen = database.rows.workers.values().filter(|row| row.status.lives()).map(|row| row.seen_at).min();
        let age = seen.map_or(0, |seen| (wall(now) - seen).num_milliseconds().unsigned_abs());
        let then = tick(now.saturating_sub(age));
        let orders = self.liveness.subscribed(then, uuid::Uuid::from_u128(u128::MAX));
        for order in orders {
            let LivenessOrder::SendMarker(marker) = order else { continue };
            let _ = self.liveness.on_marker(then, &marker);
        }
    }

    pub fn subscribe(&mut self, now: u64, broker: &mut Broker, mutation: Option<Mutation>) {
        broker.subscribe(self.number);
        if mutation != Some(Mutation::TrustsOldContacts) {
            let nonce = self.nonce();
            let orders = self.liveness.subscribed(tick(now), nonce);
            self.obey(now, orders);
        }
    }

    fn nonce(&mut self) -> uuid::Uuid {
        self.nonces += 1;
        let epoch = u128::try_from(self.epoch.0).expect("epochs count up");
        uuid::Uuid::from_u128(epoch << 64 | self.nonces)
    }

    pub fn is_idle(&self) -> bool {
        self.gathering.writes.is_empty() && self.gathering.said.is_empty() && self.committing.is_none()
    }

    /// The broker closed its channel: what it had read, others will read. What it made of that is not committed yet,
    /// and will be acknowledged by nobody.
    pub fn lose_channel(&mut self, broker: &mut Broker) {
        broker.close_channel(self.number);
        self.gathering.letters = 0;
        if let Some(batch) = &mut self.committing {
            batch.letters = 0;
        }
        self.markers.clear();
    }

    pub fn apply(&mut self, now: u64, input: Input) {
        let effects = self.core.apply(wall(now), input);
        self.take(effects);
    }

    fn take(&mut self, effects: Vec<Effect>) {
        assert_eq!(self.core.violations(), []);
        for effect in effects {
            match effect {
                Effect::Write(write) => self.gathering.writes.push(write),
                Effect::Send { to, message } => self.gathering.said.push((to, message)),
                Effect::Answer { .. }
                | Effect::Event(_)
                | Effect::LookUp { .. }
                | Effect::LookAt { .. }
                | Effect::Errand { .. }
                | Effect::LookBack(_)
                | Effect::Inquire(_) => {}
            }
        }
    }

    fn obey(&mut self, now: u64, orders: Vec<LivenessOrder>) {
        for order in orders {
            match order {
                LivenessOrder::SendMarker(marker) => self.markers.push(marker),
                LivenessOrder::Suspect { worker, incarnation } => {
                    self.apply(now, Input::Suspect { worker, incarnation });
                }
                LivenessOrder::Trusted { worker, incarnation } => {
                    self.apply(now, Input::Trusted { worker, incarnation });
                }
                LivenessOrder::Lost { worker, incarnation, sent_after_silence_of } => {
                    self.apply(now, Input::WorkerLost { worker, incarnation, silence: sent_after_silence_of });
                }
            }
        }
    }

    /// Reads some letters, looks at its clocks, and commits.
    pub fn step(
        &mut self,
        now: u64,
        rng: &mut fastrand::Rng,
        calm: bool,
        database: &mut Database,
        broker: &mut Broker,
        said: &mut Vec<Applied>,
    ) -> Fate {
        if self.paused {
            return Fate::Leads;
        }
        if !self.cut {
            if !broker.has_channel(self.number) {
                self.subscribe(now, broker, None);
            }
            for marker in std::mem::take(&mut self.markers) {
                match rng.u32(0..10) {
                    0..3 => self.markers.push(marker),
                    3 if !calm => {}
                    _ => broker.publish(Letter::Marker(marker)),
                }
            }
            for _ in 0..rng.usize(0..12) {
                let Some(letter) = broker.read(self.number) else { break };
                self.gathering.letters += 1;
                if let Fate::Deposed = self.on_letter(now, letter) {
                    return Fate::Deposed;
                }
            }
        }
        if self.liveness.next_alarm().is_some_and(|due| due <= tick(now)) {
            let nonce = self.nonce();
            let orders = self.liveness.on_alarm(tick(now), nonce);
            self.obey(now, orders);
        }
        if self.core.next_wake().is_some_and(|due| due <= wall(now)) {
            self.apply(now, Input::Tick);
        }
        for _ in 0..rng.usize(0..3) {
            match self.commit(rng, calm, database, broker, said) {
                Fate::Leads => {}
                ended @ (Fate::Deposed | Fate::Unknown) => return ended,
            }
        }
        Fate::Leads
    }

    fn on_letter(&mut self, now: u64, letter: Letter) -> Fate {
        match letter {
            Letter::Marker(marker) => {
                let (meaning, orders) = self.liveness.on_marker(tick(now), &marker);
                if let MarkerMeaning::NewerEpoch(_) = meaning {
                    return Fate::Deposed;
                }
                self.obey(now, orders);
            }
            Letter::Said { from, connection, message } => {
                trace(now, || format!("leader {} of epoch {} reads {message:?}", self.number, self.epoch));
                self.addresses.retain(|(worker, _)| *worker != from);
                self.addresses.push((from, connection));
                self.watch(now, &message);
                self.apply(now, Input::Worker(message));
            }
        }
        Fate::Leads
    }

    /// What a message says of the life that wrote it.
    fn watch(&mut self, now: u64, message: &FromWorker) {
        let heard = match message {
            FromWorker::Online(online) => return self.liveness.knows(tick(now), online.worker, online.incarnation),
            FromWorker::Offline { worker, incarnation } | FromWorker::Obituary { worker, incarnation, .. } => {
                return self.liveness.gone(*worker, *incarnation);
            }
            FromWorker::Beat(beat) => (beat.worker, beat.incarnation),
            FromWorker::Finish(report) => (report.claim.worker, report.claim.incarnation),
            FromWorker::Claimed { claim, .. }
            | FromWorker::Started { claim, .. }
            | FromWorker::Released { claim, .. }
            | FromWorker::Asked { claim, .. } => (claim.worker, claim.incarnation),
            FromWorker::Notified(_) => return,
        };
        let orders = self.liveness.heard(tick(now), heard.0, heard.1);
        self.obey(now, orders);
    }

    /// One at a time; while one commits the next one gathers.
    pub fn commit(
        &mut self,
        rng: &mut fastrand::Rng,
        calm: bool,
        database: &mut Database,
        broker: &mut Broker,
        said: &mut Vec<Applied>,
    ) -> Fate {
        let Some(batch) = self.committing.take() else {
            self.committing = Some(std::mem::take(&mut self.gathering));
            return Fate::Leads;
        };
        // L1: every commit reads the leader row under a lock that a takeover conflicts with. I5 one_epoch_writes.
        if database.epoch != self.epoch {
            return Fate::Deposed;
        }
        if !calm && !batch.writes.is_empty() && rng.u32(0..300) == 0 {
            let is_written = rng.bool();
            trace(0, || format!("a commit of epoch {} is of unknown outcome: written {is_written}", self.epoch));
            if is_written {
                write_all(database, batch.writes);
            }
            return Fate::Unknown;
        }
        write_all(database, batch.writes);
        for (to, message) in batch.said {
            self.say(to, message, rng, calm, database, broker, said);
        }
        broker.acknowledge(self.number, batch.letters);
        Fate::Leads
    }

    /// A crash in the middle: the commit under way reached the database, or did not.
    pub fn crash(self, rng: &mut fastrand::Rng, database: &mut Database, broker: &mut Broker) {
        broker.close_channel(self.number);
        if let Some(batch) = self.committing.filter(|_| rng.bool() && database.epoch == self.epoch) {
            write_all(database, batch.writes);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn say(
        &self,
        to: Option<WorkerId>,
        message: ToWorker,
        rng: &mut fastrand::Rng,
        calm: bool,
        database: &Database,
        broker: &mut Broker,
        said: &mut Vec<Applied>,
    ) {
        check_word(&message, database, said);
        let is_lost = !calm && (self.cut || rng.u32(0..20) == 0);
        let copies = if is_lost { 0 } else { 1 + usize::from(!calm && rng.u32(0..15) == 0) };
        for _ in 0..copies {
            match (to, message.clone()) {
                (None, ToWorker::Task { task, .. }) => {
                    let queue = broker.tasks.entry(task.queue.clone()).or_default();
                    queue.push_back(Parcel { task, redelivered: false });
                }
                (Some(to), message) => {
                    let address = self.addresses.iter().find(|(worker, _)| *worker == to);
                    let connection = address.map_or(0, |(_, connection)| *connection);
                    broker.answers.push(Answer { to, connection, message });
                }
                (None, message) => unreachable!("only tasks are for whoever takes them: {message:?}"),
            }
        }
    }

    /// I6 memory_is_store: what an idle leader of this epoch remembers is what the database has.
    pub fn compare(&self, database: &Database) -> Result<(), String> {
        if !self.is_idle() || self.epoch != database.epoch {
            return Ok(());
        }
        for run in self.core.runs.values() {
            if database.rows.runs.get(&run.row.key) != Some(&run.row) {
                return Err(format!("I6 memory_is_store: run {} differs", run.row.run_id));
            }
            for (_, instance) in run.instances() {
                let row = &instance.row;
                let stored = database.rows.tasks.get(&(row.run, row.task_id.clone(), row.map_index));
                // A run that waits for its start has rows once it has started.
                let is_written = stored.is_some() || run.row.state != RunState::Queued;
                if is_written && stored != Some(row) {
                    return Err(format!("I6 memory_is_store: {} differs: {stored:?} and {row:?}", row.task_id));
                }
                let open = instance.attempt.as_ref().filter(|attempt| !attempt.state.is_done());
                if let Some(attempt) = open.filter(|attempt| database.rows.attempts.get(&attempt.id) != Some(attempt)) {
                    return Err(format!("I6 memory_is_store: attempt {} differs", attempt.id));
                }
            }
        }
        let stored = database.rows.attempts.values().filter(|attempt| !attempt.state.is_done()).count();
        let instances = self.core.runs.values().flat_map(|run| run.instances());
        let open = |(_, instance): &(_, &crate::scheduler::instances::Instance)| {
            instance.attempt.as_ref().is_some_and(|attempt| !attempt.state.is_done())
        };
        let remembered = instances.filter(open).count();
        match stored == remembered {
            true => Ok(()),
            false => Err(format!("I6 memory_is_store: {stored} attempts are open, {remembered} are known")),
        }
    }
}

fn write_all(database: &mut Database, writes: Vec<Write>) {
    for write in writes {
        if let Write::Attempt(row) = &write {
            trace(0, || format!("committed: attempt {} is {:?}", row.id, row.state));
            database.owners.extend(row.state.owner().map(|claim| (row.id, claim)));
        }
        database.rows.apply(write);
    }
}

/// I7 grant_is_committed, and what I8 will look at.
fn check_word(message: &ToWorker, database: &Database, said: &mut Vec<Applied>) {
    match message {
        ToWorker::Granted { attempt, claim, .. } => {
            let is_committed = database.owners.contains(&(*attempt, *claim));
            assert!(is_committed, "I7 grant_is_committed: no row ever gave attempt {attempt} to {claim}");
        }
        ToWorker::Settled { claims } => {
            let applied = claims.iter().filter(|(_, verdict)| *verdict == Verdict::Applied);
            for (claim, _) in applied {
                let of_it =
                    |state: &AttemptState| matches!(state, AttemptState::Done { claim: Some(by), .. } if by == claim);
                let is_recorded = database.rows.attempts.values().any(|attempt| of_it(&attempt.state));
                assert!(is_recorded, "I8 settled_is_recorded: nothing of claim {claim} is recorded");
                said.push(Applied(*claim));
            }
        }
        ToWorker::Task { .. }
        | ToWorker::Refused { .. }
        | ToWorker::Notify { .. }
        | ToWorker::Terminate { .. }
        | ToWorker::Values { .. }
        | ToWorker::Fenced { .. }
        | ToWorker::Drain { .. }
        | ToWorker::Resize { .. }
        | ToWorker::Queues { .. }
        | ToWorker::Welcome { .. }
        | ToWorker::Probe => {}
    }
}
