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
//! This file decides nothing about scheduling. How a reign begins and ends is in `actor/reign.rs`, what a commit lets
//! out in `actor/telling.rs`, what comes over a broker in `actor/reception.rs`.

mod commands;
mod reception;
mod reign;
mod telling;

use std::collections::HashMap;
use std::task::Waker;
use std::time::{Duration, Instant};

use actix::prelude::*;
use chrono::Utc;
use tokio::sync::{broadcast, oneshot};

use crate::domain::ids::{Epoch, WorkerId};
use crate::domain::time::until;
use crate::domain::wait::Awaited;
use crate::protocol::control::{Refused, Reply};
use crate::protocol::event::Event;
use crate::protocol::work::Online;
use crate::store::write::Write;
use crate::store::{CommitError, Store, StoreError, Vault, Writer};

use super::TaskRef;
use super::core::{Core, Effect, Input, LookBack, Settings, Ticket, split};
use super::gathered::{Gathered, is_report};
use super::lookup;

use commands::TakenUp;
use reception::Reception;
pub use reign::{NotLeading, Options};
pub use telling::{Carrier, Remote};

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
    pub(super) gathered: Gathered,
    /// While it runs, reports gather.
    gathering: Option<SpawnHandle>,
    pub(super) callers: HashMap<u64, oneshot::Sender<Reply>>,
    pub(super) next_ticket: u64,
    /// Each worker's last word of its present life: said again to a core that was loaded anew.
    pub(super) online: HashMap<WorkerId, Online>,
    carrier: Carrier,
    /// What is heard over a broker; `None` where the worker is in this process.
    reception: Option<Reception>,
    /// It hears nobody any more, and says its last words.
    leaves: bool,
    /// Messages that were none of ours.
    pub(super) rejected: u64,
    renew: Option<Duration>,
    pub(super) events: broadcast::Sender<Event>,
    event_number: u64,
    alarm: Option<SpawnHandle>,
    checked: Instant,
    pub(super) broken: u64,
    pub(super) commits: u64,
    pub(super) commands_waiting: bool,
    commands: TakenUp,
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
    pub(super) fn gather(&mut self, input: Input, ctx: &mut Context<Self>) {
        self.gathered.push(input);
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
            let input = self.gathered.pop().expect("there was one a line above");
            effects.extend(self.core.apply(Utc::now(), input));
        }
        self.commit(effects, ctx);
    }

    /// Whether the next batch waits for more reports. Nothing but reports is ever kept waiting.
    fn lets_reports_gather(&mut self, ctx: &mut Context<Self>) -> bool {
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
        let Some(input) = self.gathered.pop() else { return };
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
                        if let Ticket::Command(id) = ticket {
                            this.commands.give_back(id);
                        }
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
                self.trust_the_database();
                self.end_logs_of_the_lost(&writes);
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
        self.leave_reception(ctx);
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
