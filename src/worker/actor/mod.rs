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

mod leaving;
mod notices;
mod rebirth;
mod shipped;

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::process::Child;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::actor::gate::{Entrance, Gate, GateControl, Permit};
use crate::actor::told::{Outlet, Told, tell};
use crate::domain::ids::{AttemptId, Claim, Dispatch, Incarnation, WorkerId};
use crate::domain::limit::Limit;
use crate::protocol::envelope;
use crate::protocol::work::{FromWorker, Online, Report, Standing, TaskMessage, ToWorker};
use crate::worker::begin::{self, WorkerError};
use crate::worker::claim::{ClaimAction, ClaimEvent, ClaimState};
use crate::worker::companion::ProcessId;
use crate::worker::journal::{Journal, JournalError};
use crate::worker::leftover::TempFolders;
use crate::worker::process::Companion;
use crate::worker::settings::WorkerSettings;
use crate::worker::shipping::Shipper;
use crate::worker::slot::{Ended, Slot, SlotNews, SlotOrder, StopWhy};
use crate::worker::state_dir::StateDir;
use leaving::Leaving;
use notices::Notices;
use rebirth::CompanionLost;

/// An outcome that is not settled within this is synced to the disk (PROTOCOL §7). Only then does the timer run.
const JOURNAL_SYNC_AFTER: Duration = Duration::from_secs(1);

/// A report that is not settled is said again after this (`claim_resend`).
const RESEND_AFTER: Duration = Duration::from_secs(5);

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

/// The actor. Made by [`start`].
pub struct Worker {
    settings: Rc<WorkerSettings>,
    folders: Rc<TempFolders>,
    said: Outlet<FromWorker>,
    state_dir: Rc<StateDir>,
    gate: GateControl<ToWorker>,
    journal: Journal,
    /// Over a broker: who ships the logs.
    shipper: Option<Shipper>,
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
    ticking: bool,
    leaving: Option<Leaving>,
    journal_failed: bool,
    ended: Option<oneshot::Sender<Result<(), WorkerError>>>,
}

/// A claim that is held.
struct Held {
    state: ClaimState,
    attempt: AttemptId,
    dispatch: Dispatch,
    /// Until it is spawned.
    task: Option<Box<TaskMessage>>,
    /// Its place among the slots, given back when the attempt ends.
    permit: Option<Permit>,
    orders: Option<mpsc::UnboundedSender<SlotOrder>>,
    report: Option<Report>,
    reported: Option<Instant>,
    process: Option<ProcessId>,
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
    let settings = Rc::new(settings);
    let state_dir = Rc::new(StateDir::take(&settings.state_dir)?);
    let (address_known, mut address) = oneshot::channel::<Addr<Worker>>();
    let on_lost = move |incarnation| {
        if let Ok(worker) = address.try_recv() {
            tell(&worker, CompanionLost(incarnation));
        }
    };
    let life = begin::begin(&settings, &state_dir, on_lost).await?;
    let (worker_id, incarnation) = (life.journal.worker(), life.journal.incarnation());
    let (ended_tx, ended) = oneshot::channel();
    let slots = settings.slots;
    let mut way_in = None;
    let address = Worker::create(|ctx| {
        let worker = ctx.address();
        let work = Box::new(move |message, permit| tell(&worker, Taken(message, permit)));
        let (entrance, gate) = Gate::open(at_most(slots), work);
        way_in = Some(entrance);
        let shipper = settings.posted.clone().map(|posted| shipped::shipper(posted, &settings, &life.journal, ctx));
        let mut worker = Worker {
            shipper,
            folders: TempFolders::under(&settings.temp_dir),
            settings,
            said,
            state_dir,
            gate,
            journal: life.journal,
            companion: Some(life.companion),
            child: Some(life.child),
            held: HashMap::new(),
            notices: Notices::default(),
            parked: Vec::new(),
            doomed: VecDeque::new(),
            last_n: 0,
            slots,
            ticking: false,
            leaving: None,
            journal_failed: false,
            ended: Some(ended_tx),
        };
        worker.go_online(life.unsettled, ctx);
        worker
    });
    // It fails only when the companion was lost already, and then its listener has the sender no more.
    let _ = address_known.send(address.clone());
    let entrance = way_in.expect("the gate was opened while the actor was made");
    Ok(RunningWorker { worker: worker_id, incarnation, entrance, told: Outlet::new(address.recipient()), ended })
}

fn at_most(limit: Limit) -> Option<NonZeroU32> {
    match limit {
        Limit::Unlimited => None,
        Limit::AtMost(n) => Some(n),
    }
}

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Worker {
    fn go_online(&mut self, unsettled: Vec<Report>, ctx: &mut Context<Self>) {
        for report in &unsettled {
            self.held.insert(report.claim, Held::of_an_earlier_life(report));
        }
        self.last_n = 0;
        self.said.say(FromWorker::Online(Online {
            worker: self.journal.worker(),
            incarnation: self.journal.incarnation(),
            name: self.settings.name.clone(),
            standing: Standing {
                slots: self.slots.into(),
                queues: self.settings.queues.clone(),
                ..Standing::default()
            },
            version: env!("CARGO_PKG_VERSION").to_owned(),
            understands: envelope::VERSION,
            unsettled,
        }));
        self.tick_if_needed(ctx);
    }

    fn take(&mut self, task: Box<TaskMessage>, granted: Option<Claim>, permit: Permit, ctx: &mut Context<Self>) {
        if (self.companion.is_none() || self.journal_failed) && self.leaving.is_none() {
            // To give it back would bring it again at once, and again.
            self.parked.push(Parked { task, granted, permit });
            return;
        }
        let claim = granted.unwrap_or_else(|| {
            self.last_n += 1;
            Claim { worker: self.journal.worker(), incarnation: self.journal.incarnation(), n: self.last_n }
        });
        let doomed = self.doomed.iter().position(|doomed| *doomed == claim).map(|at| self.doomed.remove(at));
        let ours = claim.worker == self.journal.worker() && claim.incarnation == self.journal.incarnation();
        if !ours || doomed.is_some() || self.leaving.is_some() {
            // Granted to a life that has ended, told to end before it came, or come too late: nothing started.
            self.said.say(FromWorker::Released { attempt: task.attempt, claim });
            return;
        }
        let held = Held {
            state: ClaimState::Free,
            attempt: task.attempt,
            dispatch: task.dispatch,
            task: Some(task),
            permit: Some(permit),
            orders: None,
            report: None,
            reported: None,
            process: None,
        };
        if self.held.contains_key(&claim) {
            // A second delivery of what is held already: there is no broker to give it back to.
            return;
        }
        self.held.insert(claim, held);
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
        if next == ClaimState::Free {
            self.held.remove(&claim);
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
                let (attempt, dispatch) = (held.attempt, held.dispatch);
                self.said.say(FromWorker::Claimed { attempt, dispatch, claim, redelivered: false });
            }
            A::Spawn => self.launch(claim, ctx),
            A::Release => {
                let attempt = held.attempt;
                self.said.say(FromWorker::Released { attempt, claim });
            }
            A::JournalStart => {
                if let Some(process) = held.process {
                    let written = self.journal.start(claim, process);
                    self.journal_written(written);
                }
            }
            A::JournalOutcome => {
                held.permit = None;
                held.orders = None;
                if let Some(report) = &held.report {
                    let written = self.journal.outcome(report);
                    self.journal_written(written);
                }
            }
            A::SayFinish => {
                held.reported = Some(Instant::now());
                if let Some(report) = held.report.clone() {
                    self.said.say(FromWorker::Finish(report));
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
                order(held, SlotOrder::Stop { why, grace });
            }
            // The end of an incarnation concerns all claims at once: see `CompanionLost`.
            A::EndIncarnation => {
                if let Some(companion) = &self.companion {
                    companion.leave();
                }
            }
            A::WaitForSettled => {}
            // In one process there is no broker: no delivery to acknowledge, give back or put aside, no consumer.
            A::GiveBack | A::Acknowledge | A::DeadLetter | A::ForgetDelivery | A::CancelConsumer | A::TakeNothing => {}
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
            shipper: self.shipper.clone(),
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
                order(
                    held,
                    if event == ClaimEvent::DrainBegins { SlotOrder::Withdraw } else { SlotOrder::Stop { why, grace } },
                );
            }
            ClaimState::Running if event == ClaimEvent::Terminate => {
                order(held, SlotOrder::Stop { why: StopWhy::Terminated, grace });
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
                    self.said.say(FromWorker::Released { attempt: task.attempt, claim });
                }
            }
            ToWorker::Granted { attempt, claim, epoch: _ } => {
                if self.held.contains_key(&claim) {
                    self.happened(claim, ClaimEvent::Granted, ctx);
                } else {
                    self.said.say(FromWorker::Released { attempt, claim });
                }
            }
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
                } else {
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
                match self.held.get(&claim) {
                    Some(held) => order(held, answer),
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
            ToWorker::Resize { slots } => {
                self.slots = Limit::from_zero_unlimited(slots);
                if self.leaving.is_none() {
                    self.gate.resize(at_most(self.slots));
                }
            }
            // In one process there is one queue, no lease and nobody who doubts it.
            ToWorker::Queues { .. } | ToWorker::Welcome { .. } | ToWorker::Probe => {}
        }
    }

    /// One timer, and only while a report is unsettled.
    fn tick_if_needed(&mut self, ctx: &mut Context<Self>) {
        let needed = self.journal_failed || self.held.values().any(|held| held.state == ClaimState::Journaled);
        if self.ticking || !needed {
            return;
        }
        self.ticking = true;
        ctx.run_later(JOURNAL_SYNC_AFTER, |worker, ctx| {
            worker.ticking = false;
            worker.tick(ctx);
            worker.tick_if_needed(ctx);
        });
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        if self.journal_failed && self.journal.mend().is_ok() {
            tracing::info!("the worker's journal can be written again");
            self.journal_failed = false;
            self.take_parked(ctx);
        }
        let now = Instant::now();
        let age = |held: &Held| held.reported.map_or(Duration::ZERO, |at| now.duration_since(at));
        if self.held.values().any(|held| age(held) >= JOURNAL_SYNC_AFTER)
            && let Some(file) = self.journal.to_sync()
        {
            actix::spawn(async move {
                match tokio::task::spawn_blocking(move || file.sync_data()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!(%error, "cannot sync the worker's journal"),
                    Err(error) => tracing::error!(%error, "cannot sync the worker's journal"),
                }
            });
        }
        let again: Vec<Claim> =
            self.held.iter().filter(|(_, held)| age(held) >= RESEND_AFTER).map(|(claim, _)| *claim).collect();
        for claim in again {
            self.happened(claim, ClaimEvent::ResendDue, ctx);
        }
    }
}

impl Held {
    fn of_an_earlier_life(report: &Report) -> Self {
        Self {
            state: ClaimState::Journaled,
            attempt: report.attempt,
            dispatch: Dispatch::default(),
            task: None,
            permit: None,
            orders: None,
            report: Some(report.clone()),
            reported: Some(Instant::now()),
            process: None,
        }
    }
}

fn order(held: &Held, order: SlotOrder) {
    if let Some(orders) = &held.orders {
        // A slot that has ended needs no order; its news is on the way.
        let _ = orders.send(order);
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
                self.said.say(FromWorker::Started { attempt, claim, pid: process.pid, at });
                if self.leaving.as_ref().is_some_and(|leaving| leaving.past_deadline) {
                    self.happened(claim, ClaimEvent::DrainDeadline, ctx);
                }
            }
            SlotNews::Asked { seq, question } => {
                let attempt = held.attempt;
                self.said.say(FromWorker::Asked { attempt, claim, seq, question });
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
