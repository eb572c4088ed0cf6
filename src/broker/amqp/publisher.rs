//! Publishing with confirms: one task that sends in order, keeps a window of unconfirmed messages, and gives each its
//! own outcome.
//!
//! lapin hands a returned message to whichever confirm it completes next, which is another message's when the broker
//! confirms several at once. So every message bears a number, the returned one is known by it, and outcomes are
//! given out only when every confirm that is ready has been looked at: a return comes before its confirm.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{mpsc, oneshot};

use super::super::error::BrokerError;
use super::super::link::Notice;
use super::super::message::{Outgoing, Published};
use super::{Core, failure, said, short};

/// AMQP's mark of a message that survives a restart.
const PERSISTENT: u8 = 2;

pub(super) struct Job {
    pub(super) message: Outgoing,
    pub(super) outcome: oneshot::Sender<Published>,
}

type Confirm = Pin<Box<dyn Future<Output = (u64, lapin::Result<Confirmation>)> + Send>>;

struct Publisher {
    channel: Channel,
    next: u64,
    waiting: HashMap<u64, oneshot::Sender<Published>>,
    confirms: FuturesUnordered<Confirm>,
}

/// Opens the channel and starts the task, which ends with the link or with its channel.
pub(super) async fn start(core: &Arc<Core>) -> Result<mpsc::UnboundedSender<Job>, BrokerError> {
    let channel = core.connection.create_channel().await.map_err(|error| failure(&error))?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(|error| failure(&error))?;
    let (jobs, queue) = mpsc::unbounded_channel();
    let (window, notices) = (core.dial.window, core.dial.notices.clone());
    let publisher = Publisher { channel, next: 0, waiting: HashMap::new(), confirms: FuturesUnordered::new() };
    tokio::spawn(async move {
        if let Err(error) = publisher.run(queue, window).await {
            // The channel is closed: what is unconfirmed is unknown, and only a new connection can publish.
            let _ = notices.send(Notice::Lost(BrokerError::lost(said(&error))));
        }
    });
    Ok(jobs)
}

impl Publisher {
    async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>, window: usize) -> lapin::Result<()> {
        let mut batch = Vec::new();
        loop {
            let room = window.saturating_sub(self.confirms.len());
            tokio::select! {
                taken = jobs.recv_many(&mut batch, room), if room > 0 => {
                    if taken == 0 {
                        return Ok(());
                    }
                    for job in batch.drain(..) {
                        self.send(job).await;
                    }
                }
                Some(confirm) = self.confirms.next(), if !self.confirms.is_empty() => self.settle(confirm)?,
            }
        }
    }

    /// Puts the message into lapin's queue now; what follows is waited for with all the others.
    async fn send(&mut self, Job { message, outcome }: Job) {
        let number = self.next;
        self.next += 1;
        self.waiting.insert(number, outcome);
        let channel = self.channel.clone();
        let mut confirm: Confirm = Box::pin(async move {
            let properties = properties(number, &message);
            let options = BasicPublishOptions { mandatory: true, immediate: false };
            let sent =
                channel.basic_publish(short(""), short(message.to.name()), options, &message.body, properties).await;
            match sent {
                Ok(confirm) => (number, confirm.await),
                Err(error) => (number, Err(error)),
            }
        });
        // The first poll is what fixes the order.
        let mut ready = None;
        std::future::poll_fn(|context| {
            if let Poll::Ready(done) = confirm.as_mut().poll(context) {
                ready = Some(done);
            }
            Poll::Ready(())
        })
        .await;
        match ready {
            None => self.confirms.push(confirm),
            Some(done) => self.confirms.push(Box::pin(std::future::ready(done))),
        }
    }

    fn settle(&mut self, first: (u64, lapin::Result<Confirmation>)) -> lapin::Result<()> {
        let mut done = vec![first];
        while let Some(Some(next)) = self.confirms.next().now_or_never() {
            done.push(next);
        }
        let mut returned = HashMap::new();
        for (_, confirmation) in &done {
            if let Ok(Confirmation::Ack(Some(message)) | Confirmation::Nack(Some(message))) = confirmation {
                let number = message.delivery.properties.message_id().as_ref().and_then(|id| id.as_str().parse().ok());
                if let Some(number) = number {
                    let number: u64 = number;
                    returned.insert(number, format!("{} `{}`", message.reply_text, message.routing_key));
                }
            }
        }
        let mut broken = None;
        for (number, confirmation) in done {
            let published = match (returned.remove(&number), confirmation) {
                (Some(why), _) => Published::Returned { why },
                (None, Ok(Confirmation::Ack(_))) => Published::Confirmed,
                (None, Ok(Confirmation::Nack(_))) => {
                    Published::Nacked { why: "the broker does not take the message: the queue is full".to_owned() }
                }
                (None, Ok(Confirmation::NotRequested)) => {
                    Published::Unknown { why: "the broker was not asked to confirm".to_owned() }
                }
                (None, Err(error)) => {
                    let why = said(&error);
                    broken = Some(error);
                    Published::Unknown { why }
                }
            };
            if let Some(outcome) = self.waiting.remove(&number) {
                // Nobody may be waiting any more.
                let _ = outcome.send(published);
            }
        }
        // A return whose confirm has not come is still waiting: it keeps its outcome.
        for (number, why) in returned {
            if let Some(outcome) = self.waiting.remove(&number) {
                let _ = outcome.send(Published::Returned { why });
            }
        }
        broken.map_or(Ok(()), Err)
    }
}

fn properties(number: u64, message: &Outgoing) -> BasicProperties {
    let mut properties = BasicProperties::default().with_message_id(short(&number.to_string()));
    if message.to.kind().is_durable() {
        properties = properties.with_delivery_mode(PERSISTENT);
    }
    if !message.headers.is_empty() {
        let mut table = FieldTable::default();
        for (key, value) in &message.headers {
            table.insert(short(key), AMQPValue::LongString(LongString::from(value.as_str())));
        }
        properties = properties.with_headers(table);
    }
    properties
}
