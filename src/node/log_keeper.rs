//! Keeps the logs that workers ship: takes pieces from `updraft.log`, checks them, writes them where Airflow has them,
//! and acknowledges what is on disk (PROTOCOL §10).
//!
//! ```text
//!  updraft.log ─► signature ─► path inside? ─► place in the file ─► written (readers see it) ─► on disk ─► ack
//!                   └────────────┴─► dead letter                └─ another text there: kept out, counted
//! ```
//!
//! Only the leading scheduler keeps logs, into a folder of its own or one that schedulers share; a folder that it shares
//! with workers works too, since what is there already is not written again. What it cannot write it does not
//! acknowledge: then the queue fills, and the logs wait on the workers.

mod folder;
mod kept;
mod place;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::broker::{self, AfterReconnect, Broker, Deliveries, Delivery, Event, Events, Subscription};
use crate::protocol::envelope::Keys;
use kept::{Arrived, Became, Keeping};

/// How many pieces may be here unacknowledged. Their text leaves the memory when it is written.
const CREDIT: u16 = 256;

/// What was written is made durable together with what follows within this time: readers need not wait for it.
const SYNC_AFTER: Duration = Duration::from_millis(100);

/// A piece whose beginning is missing waits so long for it. Then it counts as lost, and a line says so.
const GAP_PATIENCE: Duration = Duration::from_secs(60);

/// How often what waits is tried again, and what could not be done.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What a keeper has done so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Pieces that brought text.
    pub kept: AtomicU64,
    /// Pieces that were there already.
    pub copies: AtomicU64,
    /// Pieces with another text where there is one already: kept out.
    pub different: AtomicU64,
    /// What was no piece of a log, or not one that may be written: dead letters.
    pub rejected: AtomicU64,
}

/// Keeps logs until it is stopped.
#[derive(Debug)]
pub struct LogKeeper {
    orders: mpsc::UnboundedSender<Order>,
    counts: Arc<Counts>,
    broker: Broker,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Order {
    Say { log_path: String, text: String },
    Stop,
}

impl LogKeeper {
    /// Begins to take logs, over a connection of its own, so that a flood of them delays no other word. Within a tokio
    /// runtime.
    ///
    /// # Errors
    /// When there is no log folder and none can be made.
    pub fn open(mut options: broker::Options, keys: Keys, base_log_folder: &Path) -> std::io::Result<Self> {
        let log = options.names.log();
        if !options.queues.contains(&log) {
            options.queues.push(log);
        }
        let (orders, hears) = mpsc::unbounded_channel();
        let counts = Arc::new(Counts::default());
        let keeping = Keeping::new(keys, base_log_folder)?;
        let work =
            Work { keeping: Some(keeping), counts: Arc::clone(&counts), unsynced: Vec::new(), waiting: Vec::new() };
        // The node's own connection tells people how the broker is.
        let (broker, events, _replies) = Broker::open(options);
        let own = broker.clone();
        let task = tokio::spawn(async move {
            work.run(&own, hears).await;
            own.close();
            say_goodbye(events).await;
        });
        Ok(Self { orders, counts, broker, task })
    }

    /// Ends a log with a line of the scheduler's, for an attempt whose worker was lost. What its worker may yet ship comes
    /// before that line.
    pub fn say(&self, log_path: &str, text: &str) {
        // A keeper that has ended keeps nothing.
        let _ = self.orders.send(Order::Say { log_path: log_path.to_owned(), text: text.to_owned() });
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Takes nothing more. What was taken is on disk and acknowledged when this returns, or, when the broker does not
    /// let it within `patience`, comes to the next keeper.
    pub async fn stop(mut self, patience: Duration) {
        // An error means that it has ended already.
        let _ = self.orders.send(Order::Stop);
        if tokio::time::timeout(patience, &mut self.task).await.is_err() {
            tracing::warn!("the broker lets the keeper of logs not go in order: what came last comes to the next one");
            self.task.abort();
            // Its connection would go on without it.
            self.broker.close();
        }
    }
}

struct Work {
    /// `None` while a thread that may wait has it.
    keeping: Option<Keeping>,
    counts: Arc<Counts>,
    /// Written, but not on disk for certain. Since when the first is.
    unsynced: Vec<(Instant, Delivery)>,
    waiting: Vec<Waiting>,
}

/// A piece that cannot be written yet.
struct Waiting {
    since: Instant,
    delivery: Delivery,
    /// It misses its beginning, and not the disk its room.
    is_gap: bool,
}

impl Work {
    async fn run(mut self, broker: &Broker, mut orders: mpsc::UnboundedReceiver<Order>) {
        let log = broker.names().log();
        let mut subscribed: Option<(Subscription, Deliveries)> = None;
        let mut try_again = Instant::now();
        loop {
            if subscribed.is_none() && try_again <= Instant::now() {
                match broker.subscribe(std::slice::from_ref(&log), CREDIT, AfterReconnect::Resume).await {
                    Ok(subscription) => subscribed = Some(subscription),
                    Err(error) => {
                        tracing::warn!(%error, "cannot take logs from the broker; trying again");
                        try_again = Instant::now() + TRY_AGAIN;
                    }
                }
            }
            let needs_retry = subscribed.is_none() || !self.waiting.is_empty();
            if needs_retry {
                try_again = try_again.max(Instant::now());
            }
            let sync_at = self.unsynced.first().map(|(since, _)| *since + SYNC_AFTER);
            tokio::select! {
                delivery = next(&mut subscribed) => match delivery {
                    Some(first) => {
                        let batch = gathered(first, &mut subscribed);
                        self.take(batch.into_iter().map(|delivery| (Instant::now(), delivery, false)).collect()).await;
                        if self.unsynced.len() >= usize::from(CREDIT) / 2 {
                            self.sync().await;
                        }
                    }
                    None => subscribed = None,
                },
                order = orders.recv() => match order {
                    Some(Order::Say { log_path, text }) => self.say(log_path, text).await,
                    Some(Order::Stop) | None => {
                        if let Some((subscription, _)) = subscribed.take() {
                            self.sync().await;
                            if let Err(error) = subscription.close().await {
                                tracing::debug!(%error, "the subscription to logs did not close in order");
                            }
                        }
                        return;
                    }
                },
                () = at(sync_at) => self.sync().await,
                () = at(needs_retry.then_some(try_again)) => {
                    try_again = Instant::now() + TRY_AGAIN;
                    self.try_again().await;
                }
            }
        }
    }

    /// Writes pieces; what they brought is seen by readers when this returns.
    async fn take(&mut self, pieces: Vec<(Instant, Delivery, bool)>) {
        let Some(mut keeping) = self.keeping.take() else { return };
        let written = tokio::task::spawn_blocking(move || {
            let now = Utc::now();
            let arrived: Vec<Arrived<'_>> =
                pieces.iter().map(|(_, delivery, force)| Arrived { body: &delivery.body, force: *force }).collect();
            let became = keeping.write_all(now, &arrived);
            drop(arrived);
            (keeping, pieces, became)
        });
        let Ok((keeping, pieces, became)) = written.await else {
            tracing::error!(
                "the keeper of logs cannot go on, which is a fault of this program: logs wait in the broker"
            );
            return;
        };
        self.keeping = Some(keeping);
        for ((since, delivery, _), became) in pieces.into_iter().zip(became) {
            self.after(since, delivery, became).await;
        }
    }

    async fn after(&mut self, since: Instant, mut delivery: Delivery, became: Became) {
        let count = |counter: &AtomicU64| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        match became {
            Became::Kept => count(&self.counts.kept),
            Became::Copy => count(&self.counts.copies),
            Became::Different => count(&self.counts.different),
            Became::Rejected(why) => {
                count(&self.counts.rejected);
                tracing::warn!(why, "a message in the queue of logs is put aside");
                if let Err(error) = delivery.dead_letter(&why).await {
                    tracing::warn!(%error, "it could not be put aside, and comes again");
                }
                return;
            }
            Became::Gap => {
                self.waiting.push(Waiting { since, delivery, is_gap: true });
                return;
            }
            Became::Failed(error) => {
                tracing::error!(%error, "a log cannot be written; it waits in the broker");
                self.waiting.push(Waiting { since, delivery, is_gap: false });
                return;
            }
        }
        delivery.body = Vec::new();
        self.unsynced.push((Instant::now(), delivery));
    }

    /// What waits, the oldest first; what waits too long is written as it is.
    async fn try_again(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let is_full = waiting.len() >= usize::from(CREDIT) / 2;
        let pieces = waiting.into_iter().filter(|waiting| !waiting.delivery.is_void());
        let force = |waiting: &Waiting| waiting.is_gap && (is_full || waiting.since.elapsed() >= GAP_PATIENCE);
        let pieces: Vec<_> = pieces
            .map(|waiting| {
                let force = force(&waiting);
                (waiting.since, waiting.delivery, force)
            })
            .collect();
        if !pieces.is_empty() {
            self.take(pieces).await;
        }
    }

    async fn say(&mut self, log_path: String, text: String) {
        let Some(mut keeping) = self.keeping.take() else { return };
        let said = tokio::task::spawn_blocking(move || {
            let said = keeping.say(Utc::now(), &log_path, &text);
            (keeping, log_path, said)
        });
        let Ok((keeping, log_path, said)) = said.await else { return };
        self.keeping = Some(keeping);
        if let Err(error) = said {
            tracing::error!(log = log_path, %error, "cannot say in a task's log what became of it");
        }
    }

    /// Makes durable what was written, all together, and acknowledges it.
    async fn sync(&mut self) {
        if self.unsynced.is_empty() {
            return;
        }
        let Some(mut keeping) = self.keeping.take() else { return };
        let synced = tokio::task::spawn_blocking(move || {
            let synced = keeping.sync();
            (keeping, synced)
        });
        let Ok((keeping, synced)) = synced.await else { return };
        self.keeping = Some(keeping);
        let durable = match synced {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "logs cannot be made durable; the broker gives them again");
                tokio::time::sleep(TRY_AGAIN).await;
                false
            }
        };
        for (_, delivery) in std::mem::take(&mut self.unsynced) {
            // A delivery that is void comes again, and is found to be a copy.
            let _ = if durable { delivery.ack().await } else { delivery.give_back().await };
        }
    }
}

async fn say_goodbye(mut events: Events) {
    let closed = async { while events.recv().await.is_some_and(|event| event != Event::Closed) {} };
    // A broker that does not answer in time is left.
    let _ = tokio::time::timeout(TRY_AGAIN, closed).await;
}

async fn next(subscribed: &mut Option<(Subscription, Deliveries)>) -> Option<Delivery> {
    match subscribed {
        Some((_, deliveries)) => deliveries.next().await,
        None => std::future::pending().await,
    }
}

/// The first, and what has come with it.
fn gathered(first: Delivery, subscribed: &mut Option<(Subscription, Deliveries)>) -> Vec<Delivery> {
    let mut batch = vec![first];
    if let Some((_, deliveries)) = subscribed {
        while batch.len() < usize::from(CREDIT) / 4
            && let Some(Some(delivery)) = deliveries.next().now_or_never()
        {
            batch.push(delivery);
        }
    }
    batch
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
