//! What a back end must be able to do: one live connection, and nothing about how it comes back.
//!
//! A link that is lost stays lost; [`super::session`] makes a new one. Everything that was made on a link (channels,
//! deliveries, receipts) ends with it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use uuid::Uuid;

use super::Tls;
use super::address::Address;
use super::error::BrokerError;
use super::message::{Delivery, Outgoing, Receipt};
use super::topology::{Queue, Shape};

pub(super) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BrokerError>> + Send + 'a>>;

/// Hears what arrives on a reply queue; called in order.
pub(super) type Heard = Box<dyn Fn(Vec<u8>) + Send + Sync>;

/// What a link says by itself.
#[derive(Clone, Debug)]
pub(super) enum Notice {
    /// The last word.
    Lost(BrokerError),
    Blocked(String),
    Unblocked,
    /// The broker ended one subscription, which then begins anew.
    Cancelled {
        queue: String,
        why: String,
    },
}

pub(super) type Notices = mpsc::UnboundedSender<Notice>;

/// What a back end needs to connect.
#[derive(Clone)]
pub(super) struct Dial {
    pub address: Address,
    pub tls: Tls,
    pub shape: Shape,
    pub dead: Arc<Queue>,
    pub heartbeat: Duration,
    pub timeout: Duration,
    pub window: usize,
    /// Shown to those who look at the broker.
    pub label: String,
    /// Of the whole session, over all its connections.
    pub session: Uuid,
    /// The number of this connection.
    pub connection: u64,
    /// The reply queue of the connection before: nobody hears it any more.
    pub former_reply: Option<Queue>,
    pub notices: Notices,
}

/// One live connection.
pub(super) trait Link: Send + Sync {
    /// Makes the queue, or makes sure that it is as it should be.
    fn declare<'a>(&'a self, queue: &'a Queue) -> Answer<'a, ()>;

    /// Sends at once, in the order of the calls, as many unconfirmed as the window allows.
    fn publish(&self, message: Outgoing) -> Receipt;

    /// Hears a reply queue of this connection's own; what was heard is gone from it.
    fn listen<'a>(&'a self, queue: &'a Queue, heard: Heard) -> Answer<'a, ()>;

    /// Opens a channel of its own for a subscription.
    fn consume<'a>(&'a self, queues: Vec<Arc<Queue>>, credit: u16, inbox: Inbox) -> Answer<'a, Arc<dyn Channel>>;

    /// `None`: there is no such queue.
    fn depth<'a>(&'a self, queue: &'a Queue) -> Answer<'a, Option<Depth>>;

    /// Deletes the queue and what is in it.
    fn remove<'a>(&'a self, queue: &'a Queue) -> Answer<'a, ()>;

    /// Says goodbye. The broker takes back every delivery.
    fn close(&self) -> Answer<'_, ()>;
}

pub(super) type Inbox = mpsc::UnboundedSender<Delivery>;

/// A subscription on one link.
pub(super) trait Channel: Send + Sync {
    /// Returns when no delivery beyond the new credit can arrive any more; what came in between is given back.
    fn set_credit(&self, credit: u16) -> Answer<'_, ()>;

    /// Its deliveries become void, and the broker takes them back.
    fn close(&self) -> Answer<'_, ()>;
}

/// How full a queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Messages that nobody holds.
    pub ready: u64,
    /// Subscriptions that take from it.
    pub consumers: u32,
}
