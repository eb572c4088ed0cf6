//! What a commit lets out: words to workers, answers to callers, events to whoever watches, questions to the store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;

use crate::actor::told::Outlet;
use crate::domain::attempt::Outcome;
use crate::domain::ids::Epoch;
use crate::protocol::control::Reply;
use crate::protocol::event::{Change, Event};
use crate::protocol::execution::{Arrival, Outgoing, ToRemote};
use crate::protocol::work::ToWorker;
use crate::store::write::Write;

use super::super::core::{Effect, History, Input, Ticket};
use super::super::liveness::LivenessTimes;
use super::super::lookup;
use super::Scheduler;

/// How words reach workers.
#[derive(Clone)]
pub enum Carrier {
    /// One worker, in this process.
    Local(Outlet<Outgoing>),
    /// Workers behind a broker.
    Remote(Remote),
}

/// The way to workers behind a broker.
#[derive(Clone)]
pub struct Remote {
    pub tell: Arc<dyn Fn(ToRemote) + Send + Sync>,
    /// Ends the log of an attempt that nobody else can end: its path, and the last line.
    pub end_log: Arc<dyn Fn(String, String) + Send + Sync>,
    pub times: LivenessTimes,
    /// A leader whose database is silent for so long hears nobody any more.
    pub lease_ttl: Duration,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("times", &self.times).finish_non_exhaustive()
    }
}

impl Carrier {
    pub(super) fn remote(&self) -> Option<&Remote> {
        match self {
            Self::Local(_) => None,
            Self::Remote(remote) => Some(remote),
        }
    }

    /// What is said from now on is this epoch's, and whoever speaks is heard.
    pub(super) fn lead(&self, epoch: Epoch) {
        if let Some(remote) = self.remote() {
            (remote.tell)(ToRemote::Lead { epoch });
        }
    }

    /// One commit: its words leave, then what it took is acknowledged.
    fn committed(&self, words: Vec<Outgoing>, taken: Option<Arrival>) {
        match self {
            Self::Local(outlet) => words.into_iter().for_each(|word| outlet.say(word)),
            Self::Remote(_) if words.is_empty() && taken.is_none() => {}
            Self::Remote(remote) => (remote.tell)(ToRemote::Committed { words, taken }),
        }
    }
}

impl Scheduler {
    /// A lost worker cannot say in the log of its task what became of it.
    pub(super) fn end_logs_of_the_lost(&self, writes: &[Write]) {
        let Some(remote) = self.carrier.remote() else { return };
        for write in writes {
            if let Write::Attempt(row) = write
                && row.state.outcome() == Some(Outcome::Lost)
            {
                let why = row.message.clone().unwrap_or_else(|| "lost: its worker is gone".to_owned());
                (remote.end_log)(row.log_path.clone(), why);
            }
        }
    }

    /// Everything that waited for the commit; then the letters that it took are acknowledged.
    pub(super) fn say(&mut self, after: Vec<Effect>) {
        let mut words = Vec::new();
        for effect in after {
            match effect {
                Effect::Send { to, message } => words.push(Outgoing { to, message }),
                Effect::Answer { ticket, reply } => self.answer(ticket, reply),
                Effect::LookUp { run, claim, seq, question } => {
                    let (store, vault, carrier) = (self.store.clone(), self.vault.clone(), self.carrier.clone());
                    actix::spawn(async move {
                        let answer = lookup::answer(&store, &vault, run, question).await;
                        let message = ToWorker::Values { claim, seq, answer };
                        carrier.committed(vec![Outgoing { to: Some(claim.worker), message }], None);
                    });
                }
                Effect::LookAt { at, awaited } => self.to_look_at.push((at, awaited)),
                // The next batch begins with it: the history that it needs is read then.
                Effect::Errand { ticket, control } => {
                    self.gathered.push(Input::Control { ticket, control, history: History::default() });
                }
                Effect::LookBack(question) => self.looking_back.push(question),
                // Whoever says this goes on afterwards, and finds it gathered.
                Effect::Inquire(inquiry) => {
                    self.gathered.push(Input::DatesKnown { inquiry, history: History::default() });
                }
                Effect::Event(change) => self.tell(change),
                Effect::Write(_) => {}
            }
        }
        let taken = self.gathered.committed();
        self.carrier.committed(words, taken);
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

    pub(super) fn answer(&mut self, ticket: Ticket, reply: Reply) {
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
}
