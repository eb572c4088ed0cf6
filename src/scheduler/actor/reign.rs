//! The beginning, the renewal and the end of a reign, and its new beginning after a commit of unknown outcome.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use actix::prelude::*;
use chrono::Utc;
use tokio::sync::{broadcast, oneshot};

use crate::domain::ids::Epoch;
use crate::protocol::work::{FromWorker, Online};
use crate::store::{CommitError, Store, StoreError, Succession, Vault, Writer};

use super::super::core::{Core, Effect, Input, Settings, split};
use super::super::gathered::Gathered;
use super::super::load::{fresh_ids, load};
use super::super::restore::Unfinished;
use super::commands::TakenUp;
use super::reception::Reception;
use super::telling::Carrier;
use super::{Ended, RETRY_FIRST, RETRY_LONGEST, Scheduler};

/// What a scheduler is made of.
pub struct Options {
    pub store: Store,
    /// Variables and connections, for the tasks that ask.
    pub vault: Vault,
    pub settings: Settings,
    /// Host and process, for people.
    pub holder: String,
    pub carrier: Carrier,
    /// Whom it follows; `None`: whoever leads is deposed.
    pub after: Option<Epoch>,
    /// How often the leader row is renewed and commands are looked for; `None` where no
    /// other machine can reach the database, so that an idle node asks nothing.
    pub renew: Option<Duration>,
    /// Why the scheduler ended, when it ends by itself.
    pub ended: oneshot::Sender<Ended>,
}

/// Why there is no new leader here.
#[derive(Debug, thiserror::Error)]
pub enum NotLeading {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("another scheduler leads: {holder}, epoch {current}")]
    Overtaken { current: Epoch, holder: String },
}

/// What became of the wish to lead again.
enum Again {
    Leads { writer: Writer, epoch: Epoch, unfinished: Box<Unfinished> },
    Deposed { current: Epoch, holder: String },
}

impl Scheduler {
    /// Takes the leadership, loads what is unfinished and makes the actor; start it with [`Actor::start`].
    pub async fn lead(options: Options) -> Result<Self, NotLeading> {
        let Options { store, vault, settings, holder, carrier, after, renew, ended } = options;
        let mut writer = store.writer();
        let epoch = match after {
            None => writer.take_leadership(&holder).await?,
            Some(after) => match writer.succeed(&holder, after).await? {
                Succession::Leads(epoch) => epoch,
                Succession::Overtaken { current, holder } => return Err(NotLeading::Overtaken { current, holder }),
            },
        };
        let unfinished = load(&store).await?;
        let reception = carrier.remote().map(|remote| Reception::begin(remote, epoch, &unfinished.workers));
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
            gathered: Gathered::default(),
            gathering: None,
            callers: HashMap::new(),
            next_ticket: 0,
            online: HashMap::new(),
            carrier,
            reception,
            leaves: false,
            rejected: 0,
            renew,
            events,
            event_number: 0,
            alarm: None,
            checked: Instant::now(),
            broken: 0,
            commits: 0,
            commands_waiting: true,
            commands: TakenUp::default(),
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
        self.carrier.lead(self.epoch);
        self.say(after);
        Ok(())
    }

    /// Others see that it lives, and it sees what they left. A commit under way says it as well.
    pub(super) fn renew(&mut self, ctx: &mut Context<Self>) {
        self.commands_waiting = true;
        self.doubt_the_database();
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
                Ok(()) => {
                    this.trust_the_database();
                    this.rest(ctx);
                }
            }
        };
        ctx.spawn(renewed.into_actor(self).map(then));
    }

    /// The last word of a leader that leaves.
    pub(in super::super) fn resign(&mut self) -> ResponseActFuture<Self, ()> {
        let Some(mut writer) = self.writer.take() else { return Box::pin(actix::fut::ready(())) };
        let epoch = self.epoch;
        let resigned = async move {
            if let Err(error) = writer.resign_leadership(epoch).await {
                tracing::debug!(%error, "left without resigning: the lease will end by itself");
            }
        };
        Box::pin(resigned.into_actor(self))
    }

    /// L3: a new epoch, everything from the store; the workers live on.
    pub(super) fn reload(&mut self, ctx: &mut Context<Self>) {
        let Some(writer) = self.writer.take() else { return };
        // What was said over the broker and not acknowledged comes again, to whoever leads then.
        self.leave_reception(ctx);
        self.gathered.forget_what_comes_again();
        self.commands = TakenUp::default();
        let (store, holder) = (self.store.clone(), self.holder.clone());
        let after = self.carrier.remote().map(|_| self.epoch);
        let led = lead_again(writer, store, holder, after);
        let then = |led: Again, this: &mut Self, ctx: &mut Context<Self>| match led {
            Again::Leads { writer, epoch, unfinished } => {
                this.writer = Some(writer);
                this.take_over(epoch, *unfinished, ctx);
            }
            Again::Deposed { current, holder } => this.end(Ended::Deposed { current, holder }, ctx),
        };
        ctx.spawn(led.into_actor(self).map(then));
    }

    fn take_over(&mut self, epoch: Epoch, unfinished: Unfinished, ctx: &mut Context<Self>) {
        self.epoch = epoch;
        self.reception = self.carrier.remote().map(|remote| Reception::begin(remote, epoch, &unfinished.workers));
        let mut core = Core::restore(self.settings.clone(), epoch, fresh_ids(), unfinished);
        core.never_reuse_claims_of(&self.core);
        let mut effects = core.resume(Utc::now());
        self.core = core;
        for online in self.online.values() {
            let again = Online { unsettled: Vec::new(), ..online.clone() };
            effects.extend(self.core.apply(Utc::now(), Input::Worker(FromWorker::Online(again))));
        }
        if self.folder_read {
            effects.extend(self.core.apply(Utc::now(), Input::FolderRead));
        }
        tracing::info!(epoch = epoch.0, "scheduler leads again");
        self.carrier.lead(epoch);
        self.commit(effects, ctx);
    }
}

/// Takes a new epoch and loads, as soon as the database lets it. A remote leader follows nobody but itself: if
/// somebody has taken over meanwhile, its reign is over.
async fn lead_again(mut writer: Writer, store: Store, holder: String, mut after: Option<Epoch>) -> Again {
    let mut patience = RETRY_FIRST;
    loop {
        let taken = match after {
            None => writer.take_leadership(&holder).await.map(Succession::Leads),
            Some(after) => writer.succeed(&holder, after).await,
        };
        let error = match taken {
            Ok(Succession::Leads(epoch)) => {
                after = after.map(|_| epoch);
                match load(&store).await {
                    Ok(unfinished) => return Again::Leads { writer, epoch, unfinished: Box::new(unfinished) },
                    Err(error) => error,
                }
            }
            // A try of ours of which nobody knew the outcome.
            Ok(Succession::Overtaken { current, holder: by }) if by == holder => {
                after = Some(current);
                continue;
            }
            Ok(Succession::Overtaken { current, holder }) => return Again::Deposed { current, holder },
            Err(error) => error,
        };
        tracing::warn!(%error, retry_in = ?patience, "the store cannot be loaded yet");
        tokio::time::sleep(patience).await;
        patience = (patience * 2).min(RETRY_LONGEST);
    }
}
