//! The leader's one subscription to `scheduler`: it is opened and closed here, and what is held is acknowledged here.
//!
//! ```text
//!          Idle ──► Opening ──► Open
//!           ▲          │          │   wanted no more, or anew: the channel closes, and with it
//!           └──────────┴── Closing┘   everything goes back to the broker that is not acknowledged (L4)
//! ```
//!
//! A new subscription begins only when the channel of the one before is closed: the broker lets one consumer in.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::join_all;

use crate::broker::{AfterReconnect, Broker, BrokerError, Deliveries, Delivery, Subscription};

/// How many letters may be under way between the broker and a commit. A bound on memory, far above one batch.
const CREDIT: u16 = 2_000;
/// How soon a subscription that was refused is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

enum State {
    Idle,
    Opening(Boxed<Result<(Subscription, Deliveries), BrokerError>>),
    Open(Subscription, Deliveries),
    Closing(Boxed<()>),
}

/// What the line woke for.
pub(super) enum Stirred {
    Opened { subscription: u64 },
    Failed(BrokerError),
    Closed,
    Came { number: u64, delivery: Delivery },
}

pub(super) struct Line {
    broker: Broker,
    state: State,
    /// Counts the subscriptions of this process.
    subscription: u64,
    came: u64,
    held: VecDeque<(u64, Delivery)>,
}

impl Line {
    pub(super) fn new(broker: Broker) -> Self {
        Self { broker, state: State::Idle, subscription: 0, came: 0, held: VecDeque::new() }
    }

    /// Opens a subscription where there is none and it is `wanted`, closes the one there is where it is not.
    pub(super) fn reconcile(&mut self, wanted: bool) {
        match (&self.state, wanted) {
            (State::Idle, true) => {
                let (broker, queue) = (self.broker.clone(), self.broker.names().scheduler());
                self.state = State::Opening(Box::pin(async move {
                    let opened = broker.subscribe(&[queue], CREDIT, AfterReconnect::Pause).await;
                    if opened.is_err() {
                        tokio::time::sleep(TRY_AGAIN).await;
                    }
                    opened
                }));
            }
            (State::Open(..), false) => self.hang_up(),
            // Dropped half-way, the channel closes by itself.
            (State::Opening(_), false) => self.state = State::Idle,
            (State::Idle | State::Closing(_), false)
            | (State::Opening(_) | State::Open(..) | State::Closing(_), true) => {}
        }
    }

    /// Ends the subscription; what is held goes back. The next `reconcile` begins another.
    pub(super) fn hang_up(&mut self) {
        self.held.clear();
        self.state = match std::mem::replace(&mut self.state, State::Idle) {
            State::Open(subscription, _) => State::Closing(Box::pin(async move {
                if let Err(error) = subscription.close().await {
                    tracing::warn!(%error, "the subscription did not close");
                }
            })),
            closing @ State::Closing(_) => closing,
            State::Idle | State::Opening(_) => State::Idle,
        };
    }

    /// The connection is gone, and every channel with it.
    pub(super) fn on_lost(&mut self) {
        self.held.clear();
        self.state = State::Idle;
    }

    /// The number of the subscription that stands.
    pub(super) fn standing(&self) -> Option<u64> {
        match &self.state {
            State::Open(..) => Some(self.subscription),
            State::Idle | State::Opening(_) | State::Closing(_) => None,
        }
    }

    /// What happens next. May be dropped and asked again at any time.
    pub(super) async fn stirs(&mut self) -> Stirred {
        match &mut self.state {
            State::Idle => pending().await,
            State::Opening(opening) => match opening.await {
                Ok((subscription, deliveries)) => {
                    self.state = State::Open(subscription, deliveries);
                    self.subscription += 1;
                    Stirred::Opened { subscription: self.subscription }
                }
                Err(error) => {
                    self.state = State::Idle;
                    Stirred::Failed(error)
                }
            },
            State::Open(_, deliveries) => match deliveries.next().await {
                Some(delivery) => {
                    self.came += 1;
                    Stirred::Came { number: self.came, delivery }
                }
                None => {
                    self.on_lost();
                    Stirred::Closed
                }
            },
            State::Closing(closing) => {
                closing.await;
                self.state = State::Idle;
                Stirred::Closed
            }
        }
    }

    /// Keeps a delivery until it is acknowledged, or goes back with its channel.
    pub(super) fn hold(&mut self, number: u64, delivery: Delivery) {
        self.held.push_back((number, delivery));
    }

    /// Everything up to this number is committed: the broker may forget it. In order, and without waiting for each.
    pub(super) fn acknowledge(&mut self, through: u64) {
        let mut acks = Vec::new();
        while self.held.front().is_some_and(|(number, _)| *number <= through) {
            let (_, delivery) = self.held.pop_front().expect("there was one a line above");
            acks.push(delivery.ack());
        }
        if acks.is_empty() {
            return;
        }
        tokio::spawn(async move {
            let void = join_all(acks).await.into_iter().filter(Result::is_err).count();
            if void > 0 {
                tracing::debug!(void, "the broker has taken letters back that were dealt with: they come again");
            }
        });
    }
}
