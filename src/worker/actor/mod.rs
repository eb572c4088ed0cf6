//! The worker actor: decides by the claim table, remembers by the journal, and speaks for its slots.
//!
//! ```text
//!  executor ──Task──► gate (slots) ──Taken, permit──► Worker ──► slot ──► companion ──► process
//!  scheduler ─Settled, Terminate, Drain, Values────────► │  ▲       │
//!       ▲──────────── Online, Started, Finish, Released ─┘  └───────┘ news
//! ```
//!
//! It starts nothing without a claim granted for its own incarnation, and says
//! nothing that the journal does not hold. It runs no work in its own context: slots are spawned on the arbiter.
//! Behind a broker ([`start_remote`]) seats take the place of the gate, and a lease keeps its tasks alive.

mod held;
mod leaving;
mod lifeline;
mod notices;
mod places;
mod rebirth;
mod ticks;
mod way;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroU32;
use std::process::Child;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::actor::gate::{Entrance, Gate, Permit};
use crate::actor::told::{Outlet, Told, tell};
use crate::broker::BrokerError;
use crate::domain::ids::{Claim, Incarnation, QueueName, WorkerId};
use crate::domain::limit::Limit;
use crate::protocol::work::{FromWorker, Report, TaskMessage, ToWorker};
use crate::worker::begin::{self, Life, Lived, WorkerError};
use crate::worker::claim::{ClaimAction, ClaimEvent, ClaimState};
use crate::worker::journal::{Journal, JournalError};
use crate::worker::leftover::TempFolders;
use crate::worker::process::Companion;
use crate::worker::remote::RemoteSettings;
use crate::worker::settings::WorkerSettings;
use crate::worker::slot::{Ended, Slot, SlotNews, SlotOrder, StopWhy};
use crate::worker::state_dir::StateDir;
use held::{Held, Open, Place};
use leaving::Leaving;
use lifeline::AtBroker;
use notices::Notices;
use rebirth::CompanionLost;
use way::Way;

/// Terminations of work that has not come out of the mailbox yet.
const MAX_DOOMED: usize = 4096;

/// A worker that is online.
pub struct RunningWorker {
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    /// The one way in for work: a full mailbox gives the task back.
    pub entrance: Entrance<ToWorker>,
    /// For everything that is said about work.
    pub told: Outlet<ToWorker>,
    /// Resolves when it has left: drained, or unable to go on (then with the reason).
    pub ended: oneshot::Receiver<Result<(), WorkerError>>,
}

/// A worker behind a broker, which has begun to connect.
pub struct RemoteWorker {
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    /// For orders from this process: drain, resize.
    pub told: Outlet<ToWorker>,
    /// Resolves when it has left: drained, or unable to go on (then with the reason).
    pub ended: oneshot::Receiver<Result<(), WorkerError>>,
}

/// The actor. Made by [`start`] or [`start_remote`].
pub struct Worker {
    settings: Rc<WorkerSettings>,
    folders: Rc<TempFolders>,
    way: Way,
    state_dir: Rc<StateDir>,
    journal: Journal,
    /// `None` between two incarnations.
    companion: Option<Companion>,
    child: Option<Child>,
    held: HashMap<Claim, Held>,
    notices: Notices,
    /// Work that came while nothing can start: it keeps its permit, so that the gate lets no more in.
    parked: Vec<Parked>,
    doomed: VecDeque<Claim>,
    /// The highest claim number of this incarnation that the worker made itself.
    last_n: i64,
    slots: Limit,
    queues: Vec<QueueName>,
    /// The newest reason of each address of the broker that does not let us in.
    refusals: BTreeMap<String, BrokerError>,
    /// The broker has let us in at some time.
    was_up: bool,
    ticking: bool,
    leaving: Option<Leaving>,
    journal_failed: bool,
    ended: Option<oneshot::Sender<Result<(), WorkerError>>>,
}

struct Parked {
    task: Box<TaskMessage>,
    granted: Option<Claim>,
    permit: Permit,
}

/// Work that came through the gate, with its place.
struct Taken(ToWorker, Permit);

impl Message for Taken {
    type Result = ();
}

struct FromSlot(Claim, SlotNews);

impl Message for FromSlot {
    type Result = ();
}

/// Starts a worker on the current arbiter; it is online when this returns.
///
/// # Errors
/// When the state directory is another's, the journal cannot be written, or there is no companion.
pub async fn start(settings: WorkerSettings, said: Outlet<FromWorker>) -> Result<RunningWorker, WorkerError> {
    let slots = settings.slots;
    let mut way_in = None;
    let way = |worker: &Addr<Worker>, _: &Life| {
        let worker = worker.clone();
        let work = Box::new(move |message, permit| tell(&worker, Taken(message, permit)));
        let (entrance, gate) = Gate::open(at_most(slots), work);
        way_in = Some(entrance);
        Ok(Way::InProcess { said, gate })
    };
    let begun = begin_actor(settings, Lived::WithTheWorker, way).await?;
    let entrance = way_in.expect("the gate was opened while the actor was made");
    let Begun { worker, incarnation, told, ended } = begun;
    Ok(RunningWorker { worker, incarnation, entrance, told, ended })
}

/// Starts a worker behind a broker on the current arbiter. It connects, says that it is online, and takes tasks when a
/// leader has answered.
///
/// # Errors
/// When the state directory is another's, the journal cannot be written, or there is no companion.
pub async fn start_remote(settings: WorkerSettings, remote: RemoteSettings) -> Result<RemoteWorker, WorkerError> {
    let (remote, queues) = (Rc::new(remote), settings.queues.clone());
    let way = |worker: &Addr<Worker>, life: &Life| {
        Ok(Way::Broker(Box::new(rebirth::connect(remote, &life.journal, &queues, worker.clone())?)))
    };
    let Begun { worker, incarnation, told, ended } = begin_actor(settings, Lived::ByLease, way).await?;
    Ok(RemoteWorker { worker, incarnation, told, ended })
}

struct Begun {
    worker: WorkerId,
    incarnation: Incarnation,
    told: Outlet<ToWorker>,
    ended: oneshot::Receiver<Result<(), WorkerError>>,
}

async fn begin_actor(
    settings: WorkerSettings,
    lived: Lived,
    way: impl FnOnce(&Addr<Worker>, &Life) -> Result<Way, WorkerError>,
) -> Result<Begun, WorkerError> {
    let settings = Rc::new(settings);
    let state_dir = Rc::new(StateDir::take(&settings.state_dir)?);
    let (address_known, mut address) = oneshot::channel::<Addr<Worker>>();
    let on_lost = move |incarnation| {
        if let Ok(worker) = address.try_recv() {
            tell(&worker, CompanionLost(incarnation));
        }
    };
    let life = begin::begin(&settings, &state_dir, lived, on_lost).await?;
    let (worker, incarnation) = (life.journal.worker(), life.journal.incarnation());
    let (ended_tx, ended) = oneshot::channel();
    let (slots, queues) = (settings.slots, settings.queues.clone());
    let mut ctx = Context::new();
    let address = ctx.address();
    let way = way(&address, &life).inspect_err(|_| life.companion.leave())?;
    let mut actor = Worker {
        folders: TempFolders::under(&settings.temp_dir),
        settings,
        way,
        state_dir,
        journal: life.journal,
        companion: Some(life.companion),
        child: Some(life.child),
        held: HashMap::new(),
        notices: Notices::default(),
        parked: Vec::new(),
        doomed: VecDeque::new(),
        last_n: 0,
        slots,
        queues,
        refusals: BTreeMap::new(),
        was_up: false,
        ticking: false,
        leaving: None,
        journal_failed: false,
        ended: Some(ended_tx),
    };
    actor.go_online(life.unsettled, &mut ctx);
    ctx.run(actor);
    // It fails only when the companion was lost already, and then its listener has the sender no more.
    let _ = address_known.send(address.clone());
    Ok(Begun { worker, incarnation, told: Outlet::new(address.recipient()), ended })
}

fn at_most(limit: Limit) -> Option<NonZeroU32> {
    match limit {
        Limit::Unlimited => None,
        Limit::AtMost(n) => Some(n),
    }
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(remote) = self.way.remote_settings() {
            ctx.run_interval(remote.times.heartbeat, Worker::heartbeat);
        }
    }
}

impl Worker {
    fn go_online(&mut self, unsettled: Vec<Report>, ctx: &mut Context<Self>) {
        for report in &unsettled {
            self.held.insert(report.claim, Held::of_an_earlier_life(report));
        }
        self.last_n = 0;
        match &mut self.way {
            Way::InProcess { .. } => self.say_online(),
            // It says so when there is a connection.
            Way::Broker(remote) => {
                if let Limit::AtMost(slots) = self.slots {
                    remote.seats.resize(slots.get());
                }
            }
            Way::Nobody(_) => {}
        }
        self.tick_if_needed(ctx);
    }

    fn take(&mut self, task: Box<TaskMessage>, granted: Option<Claim>, permit: Permit, ctx: &mut Context<Self>) {
        if (self.companion.is_none() || self.journal_failed) && self.leaving.is_none() {
            // To give it back would bring it again at once, and again.
            self.parked.push(Parked { task, granted, permit });
            return;
        }
        let claim = granted.unwrap_or_else(|| self.next_claim());
        self.last_n = self.last_n.max(claim.n);
        let doomed = self.doomed.iter().position(|doomed| *doomed == claim).map(|at| self.doomed.remove(at));
        let ours = claim.worker == self.journal.worker() && claim.incarnation == self.journal.incarnation();
        if !ours || doomed.is_some() || self.leaving.is_some() {
            // Granted to a life that has ended, told to end before it came, or come too late: nothing started.
            self.way.say(FromWorker::Released { attempt: task.attempt, claim });
            return;
        }
        if self.held.contains_key(&claim) {
            // A second delivery of what is held already: there is no broker to give it back to.
            return;
        }
        self.held.insert(claim, Held::new(task, Place::Gate(permit), None));
        self.happened(claim, ClaimEvent::Delivered { granted: granted.is_some() }, ctx);
    }

    /// Feeds the claim table and does what it says.
    fn happened(&mut self, claim: Claim, event: ClaimEvent, ctx: &mut Context<Self>) {
        let Some(held) = self.held.get_mut(&claim) else {
            // Free: settled, given back, or never ours.
            tracing::debug!(%claim, ?event, "said of a claim that is not held");
            return;
        };
        let (next, actions) = held.state.on(event);
        held.state = next;
        for action in actions {
            self.act(claim, *action, event, ctx);
        }
        if next == ClaimState::Free
            && let Some(held) = self.held.remove(&claim)
        {
            self.vacate(held.place);
        }
        if self.journal_failed {
            self.tick_if_needed(ctx);
        }
        self.leave_if_done(ctx);
    }

    fn act(&mut self, claim: Claim, action: ClaimAction, event: ClaimEvent, ctx: &mut Context<Self>) {
        use ClaimAction as A;
        let Some(held) = self.held.get_mut(&claim) else { return };
        match action {
            A::AskClaim => {
                let now = Instant::now();
                held.asked = Some((held.asked.map_or(now, |(first, _)| first), now));
                let (attempt, dispatch, redelivered) = (held.attempt, held.dispatch, held.was_delivered_before);
                self.way.say(FromWorker::Claimed { attempt, dispatch, claim, redelivered });
                self.tick_if_needed(ctx);
            }
            A::Spawn => self.launch(claim, ctx),
            A::Release => {
                let attempt = held.attempt;
                self.way.say(FromWorker::Released { attempt, claim });
            }
            A::JournalStart => {
                if let Some(process) = held.process {
                    let written = self.journal.start(claim, process);
                    self.journal_written(written);
                }
                self.watch_long_task(claim, ctx);
            }
            A::JournalOutcome => {
                held.orders = None;
                held.questions.clear();
                let place = held.place.take();
                if let Some(report) = &held.report {
                    let written = self.journal.outcome(report);
                    self.journal_written(written);
                }
                self.vacate(place);
            }
            A::SayFinish => {
                held.reported = Some(Instant::now());
                if let Some(report) = held.report.clone() {
                    self.way.say(FromWorker::Finish(report));
                }
                self.tick_if_needed(ctx);
            }
            A::JournalSettled => {
                let written = self.journal.settled(claim);
                self.journal_written(written);
            }
            A::Stop => {
                let why = if event == ClaimEvent::DrainDeadline { StopWhy::Drained } else { StopWhy::Terminated };
                let grace = self.settings.kill_grace;
                held.order(SlotOrder::Stop { why, grace });
            }
            // The end of an incarnation concerns all claims at once: see `CompanionLost`.
            A::EndIncarnation => {
                if let Some(companion) = &self.companion {
                    companion.leave();
                }
            }
            // Nothing to do at once: see `leave_if_done`.
            A::WaitForSettled => {}
            A::Acknowledge => {
                if let Some(parcel) = held.parcel.take() {
                    parcel.acknowledge();
                }
            }
            // What came while the consumer was cancelled has been given back by its seat; this delivery is acknowledged.
            A::GiveBack if event == ClaimEvent::LongTask => {}
            A::GiveBack => {
                if let Some(parcel) = held.parcel.take() {
                    parcel.give_back();
                }
            }
            A::ForgetDelivery => held.parcel = None,
            A::CancelConsumer => {
                if let (Some(Place::Seat(seat)), Some(remote)) = (&held.place, self.way.remote()) {
                    remote.seats.cancel(*seat);
                }
            }
            // A seat puts aside what it cannot read, and the intake decides when nothing is taken.
            A::DeadLetter | A::TakeNothing => {}
            A::Count => tracing::debug!(%claim, ?event, "changes nothing for this claim"),
        }
    }

    fn take_parked(&mut self, ctx: &mut Context<Self>) {
        for Parked { task, granted, permit } in std::mem::take(&mut self.parked) {
            self.take(task, granted, permit, ctx);
        }
    }

    /// A journal that cannot be written makes the worker stop taking tasks (PROTOCOL §7), until it can be.
    fn journal_written(&mut self, written: Result<(), JournalError>) {
        if let Err(error) = written
            && !self.journal_failed
        {
            self.journal_failed = true;
            tracing::error!(%error, "the worker starts no task until its journal can be written");
        }
    }

    fn launch(&mut self, claim: Claim, ctx: &mut Context<Self>) {
        let (Some(held), Some(companion)) = (self.held.get_mut(&claim), &self.companion) else { return };
        let Some(task) = held.task.take() else { return };
        let (orders, to_slot) = mpsc::unbounded_channel();
        held.orders = Some(orders);
        let worker = ctx.address();
        let slot = Slot {
            claim,
            task,
            settings: Rc::clone(&self.settings),
            folders: Rc::clone(&self.folders),
            companion: companion.clone(),
            orders: to_slot,
            tell: Box::new(move |claim, news| tell(&worker, FromSlot(claim, news))),
        };
        actix::spawn(slot.run());
    }

    /// What was granted and handed to a slot may be starting at this moment, which only the slot knows: it is asked, and
    /// either says that it withdrew, or that it started, and then has the order already.
    fn end(&mut self, claim: Claim, event: ClaimEvent, grace: Duration, ctx: &mut Context<Self>) {
        let Some(held) = self.held.get(&claim) else { return };
        match held.state {
            ClaimState::Granted => {
                let why = StopWhy::Terminated;
                let withdraw = event == ClaimEvent::DrainBegins;
                held.order(if withdraw { SlotOrder::Withdraw } else { SlotOrder::Stop { why, grace } });
            }
            ClaimState::Running if event == ClaimEvent::Terminate => {
                held.order(SlotOrder::Stop { why: StopWhy::Terminated, grace });
            }
            ClaimState::Free | ClaimState::Claiming | ClaimState::Running | ClaimState::Journaled => {
                self.happened(claim, event, ctx);
            }
        }
    }

    fn heard(&mut self, message: ToWorker, ctx: &mut Context<Self>) {
        match message {
            // Only the gate brings work, since only the gate brings a permit.
            ToWorker::Task { task, granted } => {
                tracing::error!(task = %task.key, "a task came beside the gate and is given back");
                if let Some(claim) = granted {
                    self.way.say(FromWorker::Released { attempt: task.attempt, claim });
                }
            }
            ToWorker::Granted { attempt, claim, epoch: _ } => match self.held.get(&claim).map(|held| held.attempt) {
                Some(asked) if asked == attempt => self.happened(claim, ClaimEvent::Granted, ctx),
                Some(asked) => {
                    tracing::error!(%claim, %asked, got = %attempt, "a grant for another attempt is ignored")
                }
                None => self.way.say(FromWorker::Released { attempt, claim }),
            },
            ToWorker::Refused { claim, why, epoch: _ } => {
                tracing::info!(%claim, ?why, "claim refused");
                self.happened(claim, ClaimEvent::Refused, ctx);
            }
            ToWorker::Settled { claims } => {
                for (claim, _verdict) in claims {
                    self.happened(claim, ClaimEvent::Settled, ctx);
                }
            }
            ToWorker::Terminate { claim, grace } => {
                if self.held.contains_key(&claim) {
                    self.end(claim, ClaimEvent::Terminate, grace, ctx);
                } else if matches!(self.way, Way::InProcess { .. }) {
                    // It may still be in the mailbox, where nobody can look.
                    if self.doomed.len() == MAX_DOOMED {
                        self.doomed.pop_front();
                    }
                    self.doomed.push_back(claim);
                }
            }
            ToWorker::Notify { id, task } => self.notify(id, task, ctx),
            ToWorker::Values { claim, seq, answer } => {
                let answer = SlotOrder::Answer { seq, answer };
                let may_repeat = self.way.remote().is_some();
                match self.held.get_mut(&claim) {
                    // A question that was repeated is answered twice; the slot hears one answer.
                    Some(held) => {
                        if held.questions.remove(&seq).is_some() || !may_repeat {
                            held.order(answer);
                        }
                    }
                    None => self.notices.order(claim, answer),
                }
            }
            ToWorker::Fenced { incarnation } => {
                if incarnation >= self.journal.incarnation()
                    && let Some(companion) = &self.companion
                {
                    // It kills everything; its going ends the incarnation.
                    companion.leave();
                }
            }
            ToWorker::Drain { deadline } => self.drain(deadline, ctx),
            ToWorker::Resize { slots } => self.resize(Limit::from_zero_unlimited(slots), ctx),
            ToWorker::Queues { add, remove } => self.listen_on(&add, &remove, ctx),
            ToWorker::Welcome { epoch, times } => self.welcomed(epoch, &times, ctx),
            ToWorker::Probe => self.beat(ctx),
        }
    }
}

impl Handler<Told<ToWorker>> for Worker {
    type Result = ();

    fn handle(&mut self, Told(message): Told<ToWorker>, ctx: &mut Context<Self>) {
        self.heard(message, ctx);
    }
}

impl Handler<Taken> for Worker {
    type Result = ();

    fn handle(&mut self, Taken(message, permit): Taken, ctx: &mut Context<Self>) {
        match message {
            ToWorker::Task { task, granted } => self.take(task, granted, permit, ctx),
            about_work => self.heard(about_work, ctx),
        }
    }
}

impl Handler<FromSlot> for Worker {
    type Result = ();

    fn handle(&mut self, FromSlot(claim, news): FromSlot, ctx: &mut Context<Self>) {
        let Some(held) = self.held.get_mut(&claim) else { return };
        match news {
            SlotNews::Started { process, at } => {
                held.process = Some(process);
                let attempt = held.attempt;
                self.happened(claim, ClaimEvent::Spawned, ctx);
                self.way.say(FromWorker::Started { attempt, claim, pid: process.pid, at });
                if self.leaving.as_ref().is_some_and(|leaving| leaving.past_deadline) {
                    self.happened(claim, ClaimEvent::DrainDeadline, ctx);
                }
            }
            SlotNews::Asked { seq, question } => {
                let attempt = held.attempt;
                if self.way.remote().is_some() {
                    held.questions.insert(seq, Open { question: question.clone(), said: Instant::now() });
                    self.tick_if_needed(ctx);
                }
                self.way.say(FromWorker::Asked { attempt, claim, seq, question });
            }
            SlotNews::Withdrawn => self.happened(claim, ClaimEvent::Terminate, ctx),
            SlotNews::Ended { how, report } => {
                held.report = Some(*report);
                let event = match how {
                    Ended::Unstartable => ClaimEvent::Unstartable,
                    Ended::Exited => ClaimEvent::Exited,
                    Ended::Fenced => {
                        // Whether it started is not known when the companion went in between: then it counts as started.
                        held.state = ClaimState::Running;
                        ClaimEvent::LeaseOver
                    }
                };
                self.happened(claim, event, ctx);
            }
        }
    }
}
