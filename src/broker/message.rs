//! What goes out and what comes in: a publish with its outcome, and a delivery that must be settled.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};

use super::error::BrokerError;
use super::link::{Answer, Link};
use super::topology::Queue;

/// No broker is asked to take a longer body: RabbitMQ 4 would close the channel, and all that is under way on it.
pub const MAX_BODY: usize = 16 << 20;
/// A reason is a sentence, not a report.
const MAX_REASON: usize = 1_000;

/// Headers of a dead letter.
pub const REASON: &str = "updraft-reason";
pub const FROM_QUEUE: &str = "updraft-queue";

/// A message on its way to a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub to: Queue,
    pub body: Vec<u8>,
    pub headers: Vec<(&'static str, String)>,
}

impl Outgoing {
    pub fn new(to: Queue, body: impl Into<Vec<u8>>) -> Self {
        Self { to, body: body.into(), headers: Vec::new() }
    }
}

/// How a publish ended. There is no fifth way: none is ever lost in silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// The broker has it in the queue, durably where the queue is.
    Confirmed,
    /// There is no such queue.
    Returned { why: String },
    /// The broker does not take it: the queue is full, or the broker is out of memory or disk.
    Nacked { why: String },
    /// Nobody knows: the connection was lost before the broker answered, or there was none.
    Unknown { why: String },
}

/// The future outcome of a publish. The message is under way whether or not anybody waits.
#[derive(Debug)]
#[must_use = "a publish that nobody looks at may be lost"]
pub struct Receipt(oneshot::Receiver<Published>);

impl Receipt {
    /// The receipt and what fills it in; dropped unfilled, it says `Unknown`.
    pub(super) fn new() -> (oneshot::Sender<Published>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    pub(super) fn ended(published: Published) -> Self {
        let (sender, receipt) = Self::new();
        let _ = sender.send(published);
        receipt
    }
}

impl Future for Receipt {
    type Output = Published;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Published> {
        Pin::new(&mut self.0).poll(context).map(|outcome| {
            outcome.unwrap_or_else(|_| Published::Unknown { why: "the connection to the broker is lost".to_owned() })
        })
    }
}

/// What to do with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settle {
    Ack,
    GiveBack,
}

/// A back end's side of one delivery.
pub(super) trait Hold: Send + Sync {
    fn is_void(&self) -> bool;
    fn settle(self: Box<Self>, how: Settle) -> Answer<'static, ()>;
}

/// A message that the broker keeps until it is settled here.
///
/// Settling is possible only on the channel that delivered (PROTOCOL W9): once that is gone, the delivery is void,
/// the broker has taken the message back, and settling says [`BrokerError::Void`] and sends nothing. A delivery that
/// is dropped unsettled keeps its credit and goes back with its channel.
#[must_use = "a delivery that is not settled keeps its credit"]
pub struct Delivery {
    pub queue: Arc<Queue>,
    pub body: Vec<u8>,
    pub headers: Vec<(String, String)>,
    /// Whether it may have been delivered before, to anybody. No proof of anything (PROTOCOL L6).
    pub redelivered: bool,
    /// The number of the connection that brought it.
    pub connection: u64,
    pub(super) hold: Box<dyn Hold>,
    pub(super) link: Weak<dyn Link>,
    pub(super) dead: Arc<Queue>,
}

impl Delivery {
    pub fn is_void(&self) -> bool {
        self.hold.is_void()
    }

    /// It is done with.
    ///
    /// # Errors
    /// [`BrokerError::Void`], when the broker has taken it back already.
    pub async fn ack(self) -> Result<(), BrokerError> {
        self.hold.settle(Settle::Ack).await
    }

    /// Somebody else shall have it, before what waits behind it.
    ///
    /// # Errors
    /// [`BrokerError::Void`], when the broker has taken it back already.
    pub async fn give_back(self) -> Result<(), BrokerError> {
        self.hold.settle(Settle::GiveBack).await
    }

    /// Puts it into the queue of dead letters with the reason; it is acknowledged only when it is there.
    ///
    /// # Errors
    /// When the broker does not take the letter. The delivery then goes back with its channel, not at once: given
    /// back, it would come again and again.
    pub async fn dead_letter(self, reason: &str) -> Result<(), BrokerError> {
        let link = self.link.upgrade().filter(|_| !self.hold.is_void()).ok_or(BrokerError::Void)?;
        let reason = reason.chars().take(MAX_REASON).collect();
        let mut letter = Outgoing::new(Queue::clone(&self.dead), self.body);
        letter.headers = vec![(REASON, reason), (FROM_QUEUE, self.queue.to_string())];
        let mut published = link.publish(letter.clone()).await;
        if matches!(published, Published::Returned { .. }) {
            // Somebody deleted the queue.
            link.declare(&self.dead).await?;
            published = link.publish(letter).await;
        }
        match published {
            Published::Confirmed => self.hold.settle(Settle::Ack).await,
            Published::Returned { why } | Published::Nacked { why } => Err(BrokerError::Refused { why }),
            Published::Unknown { why } => Err(BrokerError::Lost { why }),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body may hold what nobody should read in a log.
        f.debug_struct("Delivery")
            .field("queue", &self.queue.name())
            .field("bytes", &self.body.len())
            .field("redelivered", &self.redelivered)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

/// What a subscription brings, over all connections.
#[derive(Debug)]
pub struct Deliveries(pub(super) mpsc::UnboundedReceiver<Delivery>);

impl Deliveries {
    /// The next delivery that is not void; `None` when the subscription was closed.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            let delivery = self.0.recv().await?;
            if !delivery.is_void() {
                return Some(delivery);
            }
        }
    }
}
