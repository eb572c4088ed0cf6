//! RabbitMQ, by AMQP 0-9-1: one connection, a channel for publishing, one for the reply queue, and one for each
//! subscription, so that a channel that the broker closes takes nothing else with it.
//!
//! lapin's own recovery is off: what it restores cannot be told from outside, and a connection of ours is a new one.

mod channel;
pub(super) mod connect;
mod declare;
mod publisher;

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use lapin::options::{BasicConsumeOptions, QueueDeleteOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Connection, ConnectionStatus, ErrorKind};
use tokio::sync::mpsc;

use super::error::BrokerError;
use super::link::{Answer, Channel, Depth, Dial, Heard, Inbox, Link, Notice, Notices};
use super::message::{MAX_BODY, Outgoing, Published, Receipt};
use super::topology::Queue;
use channel::AmqpChannel;
use publisher::Job;

/// What every part of a link needs.
struct Core {
    connection: Connection,
    dial: Dial,
}

struct AmqpLink {
    core: Arc<Core>,
    publisher: mpsc::UnboundedSender<Job>,
    /// For the deliveries, which may outlive the link.
    me: std::sync::Weak<AmqpLink>,
}

/// Connects and logs in.
pub(super) async fn dial(dial: Dial) -> Result<Arc<dyn Link>, BrokerError> {
    let connection = connect::connect(&dial).await?;
    tokio::spawn(watch(connection.events_listener(), connection.status().clone(), dial.notices.clone()));
    let core = Arc::new(Core { connection, dial });
    let publisher = publisher::start(&core).await?;
    Ok(Arc::new_cyclic(|me| AmqpLink { core, publisher, me: me.clone() }))
}

/// Tells what lapin tells, until the connection ends.
async fn watch(events: impl Stream<Item = lapin::Event>, connection: ConnectionStatus, notices: Notices) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let notice = match event {
            lapin::Event::ConnectionBlocked(reason) => Notice::Blocked(reason),
            lapin::Event::ConnectionUnblocked => Notice::Unblocked,
            // Of one channel: whoever uses that hears it there.
            lapin::Event::Error(_) if connection.connected() => continue,
            lapin::Event::Error(error) => {
                let _ = notices.send(Notice::Lost(BrokerError::lost(said(&error))));
                return;
            }
            // Connected: known already. Flow of single channels shows in their confirms. lapin may add others.
            _ => continue,
        };
        if notices.send(notice).is_err() {
            return;
        }
    }
    let _ = notices.send(Notice::Lost(BrokerError::lost("the connection ended")));
}

/// What the broker said, without lapin's frame around it.
pub(super) fn said(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        ErrorKind::IOError(error) => error.to_string(),
        ErrorKind::MissingHeartbeatError => "it has been silent for too long".to_owned(),
        _ => error.to_string(),
    }
}

/// A lapin error in the middle of a connection's life.
pub(super) fn failure(error: &lapin::Error) -> BrokerError {
    match error.kind() {
        ErrorKind::ProtocolError(refusal) if refusal.get_id() == 403 => BrokerError::Forbidden { why: said(error) },
        ErrorKind::ProtocolError(refusal) if refusal.get_id() < 500 && refusal.get_id() != 320 => {
            BrokerError::Refused { why: said(error) }
        }
        _ => BrokerError::lost(said(error)),
    }
}

/// Names of queues are checked where they are made.
pub(super) fn short(text: &str) -> ShortString {
    ShortString::try_new(text).unwrap_or_default()
}

impl Link for AmqpLink {
    fn declare<'a>(&'a self, queue: &'a Queue) -> Answer<'a, ()> {
        Box::pin(declare::declare(&self.core, queue))
    }

    fn publish(&self, message: Outgoing) -> Receipt {
        if message.body.len() > MAX_BODY {
            let why = format!("a body of {} bytes: expected at most {MAX_BODY}", message.body.len());
            return Receipt::ended(Published::Nacked { why });
        }
        let (outcome, receipt) = Receipt::new();
        // A publisher that has ended drops the job, and the receipt says `Unknown`.
        let _ = self.publisher.send(Job { message, outcome });
        receipt
    }

    fn listen<'a>(&'a self, queue: &'a Queue, heard: Heard) -> Answer<'a, ()> {
        Box::pin(async move {
            let channel = self.core.connection.create_channel().await.map_err(|error| failure(&error))?;
            let options = BasicConsumeOptions { no_ack: true, exclusive: true, ..Default::default() };
            let consumer = channel.basic_consume(short(queue.name()), short(""), options, FieldTable::default()).await;
            let mut consumer = consumer.map_err(|error| failure(&error))?;
            let (notices, queue) = (self.core.dial.notices.clone(), queue.to_string());
            tokio::spawn(async move {
                // The channel lives as long as somebody hears it.
                let _channel = channel;
                while let Some(Ok(delivery)) = consumer.next().await {
                    heard(delivery.data);
                }
                // Without its ear a node is deaf to every answer: only a new connection helps.
                let why = format!("the broker ended the reply queue {queue}");
                let _ = notices.send(Notice::Lost(BrokerError::lost(why)));
            });
            Ok(())
        })
    }

    fn consume<'a>(&'a self, queues: Vec<Arc<Queue>>, credit: u16, inbox: Inbox) -> Answer<'a, Arc<dyn Channel>> {
        Box::pin(async move {
            let channel = AmqpChannel::open(&self.core, self.me.clone(), queues, credit, inbox).await?;
            Ok(Arc::new(channel) as Arc<dyn Channel>)
        })
    }

    fn depth<'a>(&'a self, queue: &'a Queue) -> Answer<'a, Option<Depth>> {
        Box::pin(declare::depth(&self.core, queue))
    }

    fn remove<'a>(&'a self, queue: &'a Queue) -> Answer<'a, ()> {
        Box::pin(async move {
            let channel = self.core.connection.create_channel().await.map_err(|error| failure(&error))?;
            let removed = channel.queue_delete(short(queue.name()), QueueDeleteOptions::default()).await;
            removed.map(|_| ()).map_err(|error| failure(&error))
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.core.connection.close(200, short("goodbye")).await.map_err(|error| BrokerError::lost(said(&error)))
        })
    }
}
