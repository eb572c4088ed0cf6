//! Moving envelopes between nodes: queues on RabbitMQ (lapin) or Redis (streams) behind one handle.
//!
//! ```text
//!   Broker ── publish ─────────► Receipt: Confirmed | Returned | Nacked | Unknown
//!     │    ── subscribe ───────► (Subscription, Deliveries): credit, ack, give back, dead letter
//!     │
//!   session: one connection at a time, back-off, addresses in turn; at each connection
//!     dial ─► declare ─► reply queue ─► a message to itself comes back ─► subscriptions ─► Event::Up
//!     │
//!   link (one live connection) ── amqp: lapin, a channel per subscription, publisher confirms
//!                              └─ redis: streams with consumer groups, scripts, bells
//! ```
//!
//! # What it promises
//! - No message is lost in silence: each publish ends in one of four ways, `Unknown` among them.
//! - A delivery can be settled only on the connection that brought it; afterwards it is void (PROTOCOL W9).
//! - Never more deliveries are out than the credit of their subscription.
//! - Delivery is at least once and, for one consumer of one queue, in order.
//! - A connection is said to be up when a message to itself came back over it, not when a library says so.
//!
//! # What it does not
//! It knows no message: bodies are bytes, signed and checked by [`crate::protocol::envelope`]. It decides nothing
//! about attempts: a redelivery, a lost connection, a returned message prove nothing there (PROTOCOL L6).
//! [`celery`] stands beside it: what Celery's own tools are shown, over a connection of its own.
//! There is no in-process back end: within one process the actors' mailboxes do this work, with nothing to confirm.

pub mod address;
mod amqp;
mod backoff;
pub mod celery;
pub mod error;
mod ledger;
mod link;
pub mod message;
mod redis;
mod session;
pub mod topology;

#[cfg(test)]
mod conformance;

use std::path::PathBuf;

pub use address::{Address, InvalidAddress};
pub use backoff::LONGEST as LONGEST_BACKOFF;
pub use error::BrokerError;
pub use link::Depth;
pub use message::{Deliveries, Delivery, Outgoing, Published, Receipt};
pub use session::{AfterReconnect, Broker, Event, Events, Options, Replies, Reply, Subscription};
pub use topology::{Listener, Names, Queue, QueueKind, QueueType, Shape};

/// The files of an encrypted connection, in PEM. Empty: the public authorities are trusted, and no certificate shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tls {
    /// Encrypts also where the address does not say so (`[celery] ssl_active`).
    pub active: bool,
    pub ca: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// What those files hold.
struct TlsFiles {
    ca: Option<Vec<u8>>,
    /// Certificate and key.
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    fn read(&self, address: &Address) -> Result<TlsFiles, BrokerError> {
        let fails = |why: String| BrokerError::Tls { address: address.to_string(), why };
        let read = |path: &PathBuf| std::fs::read(path).map_err(|why| fails(format!("{}: {why}", path.display())));
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some((read(cert)?, read(key)?)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err(fails("a certificate and its key belong together, only one of them is given".to_owned()));
            }
        };
        Ok(TlsFiles { ca: self.ca.as_ref().map(read).transpose()?, identity })
    }
}
