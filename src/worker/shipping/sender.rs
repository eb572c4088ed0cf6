//! The task that ships: asks the backlog what is next, and tells it what became of it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::backlog::{Next, Piece};
use super::piece::{self, Sealed, Unreadable};
use super::{Inner, Note, Options};
use crate::broker::{Broker, Event, Events, Outgoing, Published, Queue};
use crate::domain::ids::AttemptId;

/// The journal is told how far a log came after so many bytes, and at its end: what is sent twice is harmless.
const NOTE_EVERY: u64 = 1 << 20;

/// How long the broker may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// What became of a piece.
enum Landed {
    Confirmed { piece: Piece, length: u64, is_end: bool },
    Refused { attempt: AttemptId, why: String },
    NothingThere(AttemptId),
    GivenUp { piece: Piece, error: Unreadable },
}

/// The shipper's own connection, and whether it is up.
struct Line {
    broker: Broker,
    events: Events,
    is_up: bool,
}

pub(super) async fn run(inner: Rc<Inner>, mut options: Options) {
    let log = options.broker.names.log();
    options.broker.queues.push(log.clone());
    let options = Arc::new(options);
    let mut line: Option<Line> = None;
    let mut under_way = FuturesUnordered::new();
    while !inner.is_leaving.get() {
        if line.is_none() && !inner.backlog.borrow().is_empty() {
            let (broker, events, _replies) = Broker::open(options.broker.clone());
            line = Some(Line { broker, events, is_up: false });
        }
        let next = match &line {
            Some(line) if line.is_up => inner.backlog.borrow_mut().next(Instant::now()),
            Some(_) | None => Next::Idle,
        };
        let wait = match (next, &line) {
            (Next::Send(piece), Some(line)) => {
                under_way.push(ship(piece, line.broker.clone(), log.clone(), Arc::clone(&options)));
                continue;
            }
            (Next::Wait(until), _) => Some(until),
            (Next::Send(_) | Next::Idle, _) => None,
        };
        tokio::select! {
            () = inner.changed.notified() => {}
            Some(landed) = under_way.next(), if !under_way.is_empty() => inner.landed(landed),
            () = until(wait) => {}
            event = event(&mut line) => inner.connection(&mut line, event),
        }
    }
    if let Some(Line { broker, mut events, .. }) = line {
        broker.close();
        let closed = async { while events.recv().await.is_some_and(|event| event != Event::Closed) {} };
        // Who does not say goodbye in time is left.
        let _ = tokio::time::timeout(GOODBYE, closed).await;
    }
}

async fn ship(piece: Piece, broker: Broker, log: Queue, options: Arc<Options>) -> Landed {
    let attempt = piece.mark.attempt;
    let of = piece.clone();
    let read = tokio::task::spawn_blocking(move || {
        piece::seal(&options.base_log_folder, &of, &options.keys, options.sender())
    });
    let Sealed { bytes, length, is_end } = match read.await {
        Ok(Ok(Some(sealed))) => sealed,
        Ok(Ok(None)) => return Landed::NothingThere(attempt),
        Ok(Err(error)) if error.is_for_good() => return Landed::GivenUp { piece, error },
        Ok(Err(error)) => return Landed::Refused { attempt, why: error.to_string() },
        Err(error) => return Landed::Refused { attempt, why: error.to_string() },
    };
    match broker.publish(Outgoing::new(log.clone(), bytes)).await {
        Published::Confirmed => Landed::Confirmed { piece, length, is_end },
        Published::Returned { why } => {
            // Somebody deleted the queue. Without a connection it is made with the next one.
            let _ = broker.declare(log).await;
            Landed::Refused { attempt, why }
        }
        Published::Nacked { why } | Published::Unknown { why } => Landed::Refused { attempt, why },
    }
}

impl Inner {
    fn landed(&self, landed: Landed) {
        let now = Instant::now();
        let mut backlog = self.backlog.borrow_mut();
        let note = match landed {
            Landed::Confirmed { piece, length, is_end } => {
                let mut mark = piece.mark;
                backlog.confirmed(now, mark.attempt, length, is_end);
                let before = mark.confirmed;
                mark.confirmed += length;
                if is_end {
                    Some(Note::Done(mark.attempt))
                } else {
                    (before / NOTE_EVERY != mark.confirmed / NOTE_EVERY).then_some(Note::Log(mark))
                }
            }
            Landed::Refused { attempt, why } => {
                tracing::debug!(%attempt, why, "a piece of a log was not taken, it is sent again");
                backlog.refused(now, attempt);
                None
            }
            Landed::NothingThere(attempt) => {
                backlog.nothing_there(attempt);
                None
            }
            Landed::GivenUp { piece, error } => {
                tracing::error!(log = piece.mark.path, %error, "a task's log cannot be shipped");
                backlog.give_up(piece.mark.attempt);
                Some(Note::Done(piece.mark.attempt))
            }
        };
        let is_empty = backlog.is_empty();
        drop(backlog);
        if let Some(note) = note {
            (self.note)(note);
        }
        if is_empty {
            self.emptied.notify_waiters();
        }
    }

    fn connection(&self, line: &mut Option<Line>, event: Option<Event>) {
        let Some(line) = line else { return };
        match event {
            Some(Event::Up { .. }) => {
                line.is_up = true;
                self.backlog.borrow_mut().resume();
            }
            Some(Event::Lost { error, .. } | Event::Failed { error, .. }) => {
                line.is_up = false;
                tracing::warn!(%error, logs = self.backlog.borrow().len(), "logs wait for the broker");
            }
            Some(Event::Closed) | None => line.is_up = false,
            // Receipts wait by themselves.
            Some(Event::Blocked { .. } | Event::Unblocked | Event::Cancelled { .. }) => {}
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

async fn event(line: &mut Option<Line>) -> Option<Event> {
    match line {
        Some(line) => match line.events.recv().await {
            Some(event) => Some(event),
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}
