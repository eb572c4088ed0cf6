//! The Scheduler actor: the thin shell around the core.
//!
//! ```text
//!  inputs ─► gather ─► core.apply (each) ─► one guarded commit ─► send, answer, tell
//!              ▲                                   │
//!              └──── while it commits, the next batch gathers ────┘   (group commit)
//! ```
//!
//! Nothing is said before its commit (PROTOCOL L2). A commit that certainly wrote
//! nothing is tried again; one of unknown outcome makes the shell forget
//! everything, take a new epoch and load (L3); a lost leadership ends it.
//! This file decides nothing about scheduling.

use std::collections::{HashMap, VecDeque};
use std::task::Waker;
use std::time::{Duration, Instant};

use actix::prelude::*;
use chrono::Utc;
use tokio::sync::{broadcast, oneshot};

use crate::actor::told::Outlet;
use crate::domain::ids::{Epoch, WorkerId};
use crate::domain::time::until;
use crate::domain::wait::Awaited;
use crate::protocol::control::{Refused, Reply};
use crate::protocol::event::{Change, Event};
use crate::protocol::work::{FromWorker, Online, ToWorker};
use crate::store::write::Write;
use crate::store::{CommitError, PendingCommand, Store, StoreError, Vault, Writer};

use super::TaskRef;
use super::core::{Core, Effect, History, Input, LookBack, Settings, Ticket, split};
use super::load::{fresh_ids, load};
use super::lookup;
use super::restore::Unfinished;

/// How many inputs one commit may carry: a bound on what a crash can undo.
const BATCH: usize = 1_000;
/// With so many attempts under way the next report is never far, and the places that wait for a commit are few
/// among those that work: then reports gather for a moment, because a commit costs the same for one as for ten.
const BUSY: u32 = 8;
/// So many reports are not kept waiting.
const ENOUGH: usize = 16;
/// How long the first of them waits at most.
const GATHER_FOR: Duration = Duration::from_millis(2);
/// How long a failed commit waits before it is tried again; doubled up to the second.
const RETRY_FIRST: Duration = Duration::from_millis(50);
pub(super) const RETRY_LONGEST: Duration = Duration::from_secs(5);
/// The invariants of the whole memory are checked at most this often.
const CHECK_EVERY: Duration = Duration::from_secs(60);

/// A message for a worker, or for whichever the executor chooses.
#[derive(Debug)]
pub struct Outgoing {
    pub to: Option<WorkerId>,
    pub message: ToWorker,
}

/// What a scheduler is made of.
pub struct Options {
    pub store: Store,
    /// Variables and connections, for the tasks that ask.
    pub vault: Vault,
    pub settings: Settings,
    /// Host and process, for people.
    pub holder: String,
    pub outbox: Outlet<Outgoing>,
    /// How often the leader row is renewed and commands are looked for; `None` where no
    /// other machine can reach the database, so that an idle node asks nothing.
    pub renew: Option<Duration>,
    /// Why the scheduler ended, when it ends by itself.
    pub ended: oneshot::Sender<Ended>,
}

/// Why a scheduler ended by itself.
#[derive(Debug)]
pub enum Ended {
    /// Another one leads now.
    Deposed { current: Epoch, holder: String },
}

/// The actor.
pub struct Scheduler {
    pub(super) store: Store,
    vault: Vault,
    settings: Settings,
    holder: String,
    pub(super) epoch: Epoch,
    pub(super) core: Core,
    /// Lent to the commit under way.
    pub(super) writer: Option<Writer>,
    pub(super) gathered: VecDeque<Input>,
    /// While it runs, reports gather.
    gathering: Option<SpawnHandle>,
    pub(super) callers: HashMap<u64, oneshot::Sender<Reply>>,
    pub(super) next_ticket: u64,
    /// Each worker's last word of its present life: said again to a core that was loaded anew.
    pub(super) online: HashMap<WorkerId, Online>,
    outbox: Outlet<Outgoing>,
    renew: Option<Duration>,
    pub(super) events: broadcast::Sender<Event>,
    event_number: u64,
    alarm: Option<SpawnHandle>,
    checked: Instant,
    pub(super) broken: u64,
    pub(super) commits: u64,
    pub(super) commands_waiting: bool,
    /// Said again to a core that was loaded anew.
    pub(super) folder_read: bool,
    /// What the core wants to know of the history.
    pub(super) looking_back: Vec<LookBack>,
    /// Who waits until nothing is gathered and nothing commits.
    pub(super) waits_for_rest: Option<Waker>,
    /// What the core wants to know of runs that it has forgotten.
    pub(super) to_look_at: Vec<(TaskRef, Awaited)>,
    ended: Option<oneshot::Sender<Ended>>,
}

/// What happened to a batch.
struct Committed {
    writer: Writer,
    result: Result<(), CommitError>,
    writes: Vec<Write>,
    after: Vec<Effect>,
}

impl Scheduler {
    /// Takes the leadership, loads what is unfinished and makes the actor; start it with [`Actor::start`].
    pub async fn lead(options: Options) -> Result<Self, StoreError> {
        let Options { store, vault, settings, holder, outbox, renew, ended } = options;
        let mut writer = store.writer();
        let epoch = writer.take_leadership(&holder).await?;
        let unfinished = load(&store).await?;
        let mut core = Core::restore(settings.clone(), epoch, fresh_ids(), unfinished);
        let effects = core.resume(Utc::now());
        let (events, _) = broadcast::channel(4_096);
        let mut scheduler = Self {
            store,
            vault,
            settings,
            holder,
            epoch,
            core,
            writer: Some(writer),
            gathered: VecDeque::new(),
            gathering: None,
            callers: HashMap::new(),
            next_ticket: 0,
            online: HashMap::new(),
            outbox,
            renew,
            events,
            event_number: 0,
            alarm: None,
            checked: Instant::now(),
            broken: 0,
            commits: 0,
            commands_waiting: true,
            folder_read: false,
            looking_back: Vec::new(),
            waits_for_rest: None,
            to_look_at: Vec::new(),
            ended: Some(ended),
        };
        scheduler.commit_first(effects).await?;
        tracing::info!(epoch = epoch.0, "scheduler leads");
        Ok(scheduler)
    }

    /// What the restored core has to say is committed before the actor starts.
    async fn commit_first(&mut self, effects: Vec<Effect>) -> Result<(), StoreError> {
        let (writes, after) = split(effects);
        let mut writer = self.writer.take().expect("nothing commits before the actor starts");
        let result = writer.commit(self.epoch, writes).await;
        self.writer = Some(writer);
        result.map_err(|error| error.for_giving_up(self.store.describe()))?;
        self.say(after);
        Ok(())
    }

    pub(super) fn gather(&mut self, input: Input, ctx: &mut Context<Self>) {
        self.gathered.push_back(input);
        self.go_on(ctx);
    }

    /// Starts the next batch unless one commits.
    pub(super) fn go_on(&mut self, ctx: &mut Context<Self>) {
        if self.writer.is_none() || self.lets_reports_gather(ctx) {
            return;
        }
        self.take_batch(ctx);
    }

    fn take_batch(&mut self, ctx: &mut Context<Self>) {
        if self.writer.is_none() {
            return;
        }
        if self.commands_waiting {
            self.commands_waiting = false;
            self.read_commands(ctx);
        }
        let mut effects = Vec::new();
        for _ in 0..BATCH {
            let Some(input) = self.gathered.front() else { break };
            // What is decided by the history must see everything before it committed.
            if matches!(input, Input::Control { .. } | Input::DatesKnown { .. }) {
                if effects.is_empty() {
                    self.look_up_then_apply(ctx);
                    return;
                }
                break;
            }
            let input = self.gathered.pop_front().expect("there was one a line above");
            effects.extend(self.core.apply(Utc::now(), input));
        }
        self.commit(effects, ctx);
    }

    /// Whether the next batch waits for more reports. Nothing but reports is ever kept waiting.
    fn lets_reports_gather(&mut self, ctx: &mut Context<Self>) -> bool {
        let is_report =
            |input: &Input| matches!(input, Input::Worker(FromWorker::Finish(_) | FromWorker::Started { .. }));
        let waits = !self.commands_waiting
            && (1..ENOUGH).contains(&self.gathered.len())
            && self.core.load().1 >= BUSY
            && self.gathered.iter().all(is_report);
        match self.gathering.take() {
            Some(timer) if waits => self.gathering = Some(timer),
            Some(timer) => {
                ctx.cancel_future(timer);
            }
            None if waits => {
                self.gathering = Some(ctx.run_later(GATHER_FOR, |this, ctx| {
                    this.gathering = None;
                    this.take_batch(ctx);
                }));
            }
            None => {}
        }
        waits
    }

    /// Asks the store for what a decision must know of the past, with nothing uncommitted in between.
    fn look_up_then_apply(&mut self, ctx: &mut Context<Self>) {
        let Some(input) = self.gathered.pop_front() else { return };
        let writer = self.writer.take();
        let store = self.store.clone();
        let looked_up = async move { (writer, lookup::with_history(&store, input).await) };
        let then =
            |(writer, looked_up): (_, Result<Input, (Input, StoreError)>), this: &mut Self, ctx: &mut Context<Self>| {
                this.writer = writer;
                match looked_up {
                    Ok(input) => {
                        let effects = this.core.apply(Utc::now(), input);
                        this.commit(effects, ctx);
                    }
                    Err((Input::Control { ticket, .. }, error)) => {
                        let why = Refused::Invalid { message: format!("the database could not be asked: {error}") };
                        this.answer(ticket, Reply::Refused { why });
                        this.rest(ctx);
                    }
                    Err((input, error)) => {
                        tracing::warn!(%error, retry_in = ?RETRY_LONGEST, "the history cannot be read yet");
                        ctx.run_later(RETRY_LONGEST, |this, ctx| this.gather(input, ctx));
                        this.rest(ctx);
                    }
                }
            };
        ctx.spawn(looked_up.into_actor(self).map(then));
    }

    fn commit(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        let (writes, after) = split(effects);
        if writes.is_empty() && after.iter().all(|effect| matches!(effect, Effect::Event(_))) {
            self.say(after);
            self.rest(ctx);
            return;
        }
        self.write(writes, after, RETRY_FIRST, ctx);
    }

    fn write(&mut self, writes: Vec<Write>, after: Vec<Effect>, patience: Duration, ctx: &mut Context<Self>) {
        let Some(mut writer) = self.writer.take() else { return };
        let epoch = self.epoch;
        let committed = async move {
            let result = writer.commit(epoch, writes.clone()).await;
            Committed { writer, result, writes, after }
        };
        let then = move |committed: Committed, this: &mut Self, ctx: &mut Context<Self>| {
            this.on_committed(committed, patience, ctx);
        };
        ctx.spawn(committed.into_actor(self).map(then));
    }

    fn on_committed(&mut self, committed: Committed, patience: Duration, ctx: &mut Context<Self>) {
        let Committed { writer, result, writes, after } = committed;
        self.writer = Some(writer);
        match result {
            Ok(()) => {
                self.commits += 1;
                self.say(after);
                self.check_invariants();
                self.rest(ctx);
            }
            Err(CommitError::Aborted(error)) => {
                tracing::warn!(%error, retry_in = ?patience, "commit failed and is tried again");
                let held = self.writer.take();
                ctx.run_later(patience, move |this, ctx| {
                    this.writer = held;
                    this.write(writes, after, (patience * 2).min(RETRY_LONGEST), ctx);
                });
            }
            Err(CommitError::Unknown(error)) => {
                tracing::warn!(%error, "commit of unknown outcome: loading everything anew");
                self.reload(ctx);
            }
            Err(CommitError::Refused(refused)) => {
                tracing::error!(%refused, "the store refused a commit: loading everything anew");
                self.broken += 1;
                self.reload(ctx);
            }
            Err(CommitError::Conflict { current, holder }) => {
                tracing::warn!(epoch = current.0, %holder, "another scheduler leads: stepping down");
                self.end(Ended::Deposed { current, holder }, ctx);
            }
        }
    }

    /// Others see that it lives, and it sees what they left. A commit under way says it as well.
    fn renew(&mut self, ctx: &mut Context<Self>) {
        self.commands_waiting = true;
        let Some(mut writer) = self.writer.take() else { return };
        let epoch = self.epoch;
        let renewed = async move {
            let result = writer.renew_leadership(epoch).await;
            (writer, result)
        };
        let then = |(writer, result): (Writer, Result<(), CommitError>), this: &mut Self, ctx: &mut Context<Self>| {
            this.writer = Some(writer);
            match result {
                Err(CommitError::Conflict { current, holder }) => this.end(Ended::Deposed { current, holder }, ctx),
                Err(CommitError::Aborted(error) | CommitError::Unknown(error)) => {
                    tracing::warn!(%error, "the lease could not be renewed");
                    this.rest(ctx);
                }
                Err(CommitError::Refused(refused)) => {
                    tracing::error!(%refused, "the lease could not be renewed");
                    this.rest(ctx);
                }
                Ok(()) => this.rest(ctx),
            }
        };
        ctx.spawn(renewed.into_actor(self).map(then));
    }

    /// The last word of a leader that leaves.
    pub(super) fn resign(&mut self) -> ResponseActFuture<Self, ()> {
        let Some(mut writer) = self.writer.take() else { return Box::pin(actix::fut::ready(())) };
        let epoch = self.epoch;
        let resigned = async move {
            if let Err(error) = writer.resign_leadership(epoch).await {
                tracing::debug!(%error, "left without resigning: the lease will end by itself");
            }
        };
        Box::pin(resigned.into_actor(self))
    }

    /// The batch is done: the next one, or the next alarm.
    fn rest(&mut self, ctx: &mut Context<Self>) {
        self.look_around(ctx);
        self.look_back(ctx);
        if self.gathered.is_empty() && !self.commands_waiting {
            self.set_alarm(ctx);
            if let Some(waiting) = self.waits_for_rest.take() {
                waiting.wake();
            }
        } else {
            self.go_on(ctx);
        }
    }

    /// L3: a new epoch, everything from the store; the workers of this process live on.
    fn reload(&mut self, ctx: &mut Context<Self>) {
        let Some(mut writer) = self.writer.take() else { return };
        let (store, holder) = (self.store.clone(), self.holder.clone());
        let loaded = async move {
            let mut patience = RETRY_FIRST;
            loop {
                let attempt = async {
                    let epoch = writer.take_leadership(&holder).await?;
                    Ok::<_, StoreError>((epoch, load(&store).await?))
                };
                match attempt.await {
                    Ok((epoch, unfinished)) => return (writer, epoch, unfinished),
                    Err(error) => {
                        tracing::warn!(%error, retry_in = ?patience, "the store cannot be loaded yet");
                        tokio::time::sleep(patience).await;
                        patience = (patience * 2).min(RETRY_LONGEST);
                    }
                }
            }
        };
        let then =
            |(writer, epoch, unfinished): (Writer, Epoch, Unfinished), this: &mut Self, ctx: &mut Context<Self>| {
                this.writer = Some(writer);
                this.epoch = epoch;
                let mut core = Core::restore(this.settings.clone(), epoch, fresh_ids(), unfinished);
                core.never_reuse_claims_of(&this.core);
                let mut effects = core.resume(Utc::now());
                this.core = core;
                for online in this.online.values() {
                    let again = Online { unsettled: Vec::new(), ..online.clone() };
                    effects.extend(this.core.apply(Utc::now(), Input::Worker(FromWorker::Online(again))));
                }
                if this.folder_read {
                    effects.extend(this.core.apply(Utc::now(), Input::FolderRead));
                }
                tracing::info!(epoch = epoch.0, "scheduler leads again");
                this.commit(effects, ctx);
            };
        ctx.spawn(loaded.into_actor(self).map(then));
    }

    /// Everything that waited for the commit.
    fn say(&mut self, after: Vec<Effect>) {
        for effect in after {
            match effect {
                Effect::Send { to, message } => self.outbox.say(Outgoing { to, message }),
                Effect::Answer { ticket, reply } => self.answer(ticket, reply),
                Effect::LookUp { run, claim, seq, question } => {
                    let (store, vault, outbox) = (self.store.clone(), self.vault.clone(), self.outbox.clone());
                    actix::spawn(async move {
                        let answer = lookup::answer(&store, &vault, run, question).await;
                        let message = ToWorker::Values { claim, seq, answer };
                        outbox.say(Outgoing { to: Some(claim.worker), message });
                    });
                }
                Effect::LookAt { at, awaited } => self.to_look_at.push((at, awaited)),
                // The next batch begins with it: the history that it needs is read then.
                Effect::Errand { ticket, control } => {
                    self.gathered.push_back(Input::Control { ticket, control, history: History::default() });
                }
                Effect::LookBack(question) => self.looking_back.push(question),
                // Whoever says this goes on afterwards, and finds it gathered.
                Effect::Inquire(inquiry) => {
                    self.gathered.push_back(Input::DatesKnown { inquiry, history: History::default() });
                }
                Effect::Event(change) => self.tell(change),
                Effect::Write(_) => {}
            }
        }
    }

    fn tell(&mut self, change: Change) {
        match &change {
            Change::Task { key, state, try_number } if state.is_finished() => {
                tracing::info!(dag = %key.dag, run = %key.run, task = %key.task, attempt = try_number.0, %state, "task instance ended");
            }
            Change::Task { key, state, try_number } => {
                tracing::debug!(dag = %key.dag, run = %key.run, task = %key.task, attempt = try_number.0, %state, "task instance moved");
            }
            Change::Run { dag, run, state } => tracing::info!(%dag, %run, %state, "run changed"),
            Change::Dag { dag } => tracing::debug!(%dag, "dag changed"),
            Change::Notification { key, occasion, state, error } => {
                let occasion = occasion.as_str();
                match error {
                    None => {
                        tracing::debug!(dag = %key.dag, run = %key.run, occasion, state = state.as_str(), "notification carried out")
                    }
                    Some(error) => {
                        tracing::warn!(dag = %key.dag, run = %key.run, occasion, state = state.as_str(), %error, "notification failed");
                    }
                }
            }
            Change::DeadlineMissed { dag, run, due_at } => tracing::warn!(%dag, %run, due = %due_at, "deadline missed"),
        }
        self.event_number += 1;
        let event = Event { number: self.event_number, at: Utc::now(), change };
        // Nobody watching is no error.
        let _ = self.events.send(event);
    }

    fn answer(&mut self, ticket: Ticket, reply: Reply) {
        match ticket {
            Ticket::Caller(number) => {
                if let Some(caller) = self.callers.remove(&number) {
                    // A caller that has gone away needs no answer.
                    let _ = caller.send(reply);
                }
            }
            // The answer is a row, or a message to a worker, that was sent with the change.
            Ticket::Command(_) | Ticket::Task { .. } => {}
        }
    }

    /// Durable commands of other processes become inputs.
    fn read_commands(&mut self, ctx: &mut Context<Self>) {
        let store = self.store.clone();
        let read = async move { store.pending_commands().await };
        let then = |pending: Result<Vec<PendingCommand>, StoreError>, this: &mut Self, ctx: &mut Context<Self>| {
            match pending {
                Ok(commands) => {
                    for command in commands {
                        this.on_command(command, ctx);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "commands cannot be read yet");
                    ctx.run_later(RETRY_LONGEST, |this, ctx| {
                        this.commands_waiting = true;
                        this.go_on(ctx);
                    });
                }
            }
        };
        ctx.spawn(read.into_actor(self).map(then));
    }

    /// A command that is gathered already is not gathered twice.
    fn on_command(&mut self, command: PendingCommand, ctx: &mut Context<Self>) {
        let ticket = Ticket::Command(command.id);
        let known = self.gathered.iter().any(|input| matches!(input, Input::Control { ticket: t, .. } if *t == ticket));
        if known {
            return;
        }
        let input = match command.control {
            Ok(control) => Input::Control { ticket, control, history: History::default() },
            Err(why) => Input::Unreadable { ticket, why },
        };
        self.gather(input, ctx);
    }

    fn set_alarm(&mut self, ctx: &mut Context<Self>) {
        if let Some(alarm) = self.alarm.take() {
            ctx.cancel_future(alarm);
        }
        if let Some(due) = self.core.next_wake() {
            // A timer far ahead is set anew on the way, so a clock that is corrected is noticed.
            let wait = until(Utc::now(), due).min(Duration::from_secs(600));
            self.alarm = Some(ctx.run_later(wait, |this, ctx| {
                this.alarm = None;
                this.gather(Input::Tick, ctx);
            }));
        }
    }

    fn check_invariants(&mut self) {
        if self.checked.elapsed() < CHECK_EVERY || !self.gathered.is_empty() {
            return;
        }
        self.checked = Instant::now();
        for violation in self.core.violations() {
            self.broken += 1;
            tracing::error!(%violation, "please report this");
        }
    }

    fn end(&mut self, why: Ended, ctx: &mut Context<Self>) {
        if let Some(ended) = self.ended.take() {
            // Whoever started it may have stopped listening.
            let _ = ended.send(why);
        }
        ctx.stop();
    }
}

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Every message in it is bounded by what it is about: attempts, files, commands.
        ctx.set_mailbox_capacity(0);
        self.set_alarm(ctx);
        self.look_around(ctx);
        self.go_on(ctx);
        if let Some(renew) = self.renew {
            ctx.run_interval(renew, |this, ctx| this.renew(ctx));
        }
    }
}
