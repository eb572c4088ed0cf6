//! The exchanges and the queue of Celery's tools on one connection, declared exactly as Celery declares them: another
//! property would be refused, here or to everybody who comes later.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Channel, Connection, Consumer, ErrorKind, ExchangeKind};

use super::core::REPLY_EXCHANGE;
use crate::broker::amqp::{connect, failure, said, short};
use crate::broker::error::BrokerError;
use crate::broker::link::Dial;

const EVENTS: &str = "celeryev";
const CONTROL: &str = "celery.pidbox";

/// After which the queue is gone when nobody consumes it, and a request when nobody read it, in ms.
const QUEUE_EXPIRES: i32 = 10_000;
const REQUEST_LIVES: i32 = 300_000;

/// Requests that may be here unread; the others wait at the broker.
const CREDIT: u16 = 16;

const TRANSIENT: u8 = 1;
const PERSISTENT: u8 = 2;

pub(super) struct Mailbox {
    connection: Connection,
    channel: Channel,
    /// Where remote control is wanted.
    requests: Option<Consumer>,
    events: Pin<Box<dyn Stream<Item = lapin::Event> + Send>>,
}

/// A request that has arrived.
pub(super) struct Arrived {
    pub(super) body: Vec<u8>,
    pub(super) clock: i64,
}

impl Mailbox {
    /// # Errors
    /// When the broker does not let us in, or has something of these names that differs.
    pub(super) async fn open(dial: &Dial, name: &str, remote_control: bool) -> Result<Self, BrokerError> {
        let connection = connect::connect(dial).await?;
        let events = Box::pin(connection.events_listener());
        let channel = connection.create_channel().await.map_err(|error| failure(&error))?;
        declare(&channel, EVENTS, ExchangeKind::Topic, true).await?;
        let requests = if remote_control { Some(listen(&channel, name).await?) } else { None };
        Ok(Self { connection, channel, requests, events })
    }

    /// The next request.
    ///
    /// # Errors
    /// When the connection or the channel has ended: both begin anew together.
    pub(super) async fn next(&mut self) -> Result<Arrived, BrokerError> {
        loop {
            let arrived = tokio::select! {
                arrived = next(&mut self.requests) => arrived,
                event = self.events.next() => match event {
                    Some(lapin::Event::Error(error)) => Some(Err(error)),
                    None => None,
                    // Connected, blocked, flow: what is published waits.
                    Some(_) => continue,
                },
            };
            let Some(arrived) = arrived else { return Err(BrokerError::lost("the subscription ended")) };
            return arrived.map(read).map_err(|error| BrokerError::lost(said(&error)));
        }
    }

    pub(super) async fn tell(&mut self, node: &str, routing_key: &str, body: &[u8]) -> Result<(), BrokerError> {
        let hostname = AMQPValue::LongString(LongString::from(node));
        self.publish((EVENTS, routing_key), &[("hostname", hostname)], TRANSIENT, body).await
    }

    pub(super) async fn answer(
        &mut self,
        routing_key: &str,
        ticket: Option<&str>,
        clock: i64,
        body: &[u8],
    ) -> Result<(), BrokerError> {
        let ticket = ticket.map_or(AMQPValue::Void, |ticket| AMQPValue::LongString(LongString::from(ticket)));
        let headers = [("ticket", ticket), ("clock", AMQPValue::LongLongInt(clock))];
        self.publish((REPLY_EXCHANGE, routing_key), &headers, PERSISTENT, body).await
    }

    async fn publish(
        &mut self,
        (exchange, routing_key): (&str, &str),
        headers: &[(&str, AMQPValue)],
        delivery_mode: u8,
        body: &[u8],
    ) -> Result<(), BrokerError> {
        let mut table = FieldTable::default();
        for (key, value) in headers {
            table.insert(short(key), value.clone());
        }
        let properties = BasicProperties::default()
            .with_content_type(short("application/json"))
            .with_content_encoding(short("utf-8"))
            .with_priority(0)
            .with_delivery_mode(delivery_mode)
            .with_headers(table);
        let options = BasicPublishOptions::default();
        let sent = self.channel.basic_publish(short(exchange), short(routing_key), options, body, properties).await;
        // Nothing is confirmed: who is not there to hear it does not want to know.
        sent.map(|_| ()).map_err(|error| failure(&error))
    }

    pub(super) async fn close(&mut self) {
        // It may be gone already.
        let _ = self.connection.close(200, short("goodbye")).await;
    }
}

/// Takes the request from the queue at once: one that is repeated after a lost connection would be carried out twice.
fn read(delivery: Delivery) -> Arrived {
    let Delivery { acker, data, properties, .. } = delivery;
    tokio::spawn(async move {
        // A channel that is gone has nothing to be acknowledged.
        let _ = acker.ack(BasicAckOptions::default()).await;
    });
    let headers = properties.headers().as_ref();
    let clock = headers.and_then(|headers| headers.inner().get("clock")).map_or(0, number);
    Arrived { body: data, clock }
}

async fn next(requests: &mut Option<Consumer>) -> Option<lapin::Result<Delivery>> {
    match requests {
        Some(requests) => requests.next().await,
        None => std::future::pending().await,
    }
}

async fn declare(channel: &Channel, exchange: &str, kind: ExchangeKind, durable: bool) -> Result<(), BrokerError> {
    let options = ExchangeDeclareOptions { durable, ..Default::default() };
    let declared = channel.exchange_declare(short(exchange), kind, options, FieldTable::default()).await;
    declared.map_err(|error| failure(&error))
}

async fn listen(channel: &Channel, name: &str) -> Result<Consumer, BrokerError> {
    declare(channel, CONTROL, ExchangeKind::Fanout, false).await?;
    declare(channel, REPLY_EXCHANGE, ExchangeKind::Direct, false).await?;
    let queue = queue_name(name)?;
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let mut arguments = FieldTable::default();
    arguments.insert(short("x-expires"), AMQPValue::LongInt(QUEUE_EXPIRES));
    arguments.insert(short("x-message-ttl"), AMQPValue::LongInt(REQUEST_LIVES));
    channel.queue_declare(queue.clone(), options, arguments).await.map_err(|error| taken(&error, name))?;
    let (bind, none) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(queue.clone(), short(CONTROL), short(""), bind, none).await.map_err(|error| failure(&error))?;
    channel.basic_qos(CREDIT, BasicQosOptions::default()).await.map_err(|error| failure(&error))?;
    let consume = BasicConsumeOptions { exclusive: true, ..Default::default() };
    let consumer = channel.basic_consume(queue, short(""), consume, FieldTable::default()).await;
    consumer.map_err(|error| failure(&error))
}

/// # Errors
/// When no broker can have a queue of that name.
pub(super) fn queue_name(name: &str) -> Result<ShortString, BrokerError> {
    let queue = format!("{name}.{CONTROL}");
    let length = queue.len();
    ShortString::try_new(queue.as_str()).map_err(|_| BrokerError::NameTooLong { queue, length })
}

fn taken(error: &lapin::Error, name: &str) -> BrokerError {
    match error.kind() {
        ErrorKind::ProtocolError(refusal) if refusal.get_id() == 405 => {
            let why =
                format!("another worker at this broker is called `{name}`; give one of them another name with -H");
            BrokerError::Refused { why }
        }
        _ => failure(error),
    }
}

fn number(value: &AMQPValue) -> i64 {
    match value {
        AMQPValue::ShortShortInt(n) => (*n).into(),
        AMQPValue::ShortShortUInt(n) => (*n).into(),
        AMQPValue::ShortInt(n) => (*n).into(),
        AMQPValue::ShortUInt(n) => (*n).into(),
        AMQPValue::LongInt(n) => (*n).into(),
        AMQPValue::LongUInt(n) => (*n).into(),
        AMQPValue::LongLongInt(n) => *n,
        // Not a count of anybody's.
        _ => 0,
    }
}
