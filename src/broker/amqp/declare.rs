//! The queues as RabbitMQ is asked for them. Each question goes over a channel of its own, because a refusal closes it.

use lapin::ErrorKind;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, LongString};

use super::super::error::BrokerError;
use super::super::link::Depth;
use super::super::topology::{Queue, QueueKind, QueueType, Shape};
use super::{Core, failure, said, short};

/// A quorum queue drops a message that was given back too often; giving back is how a full worker says no.
const DELIVERY_LIMIT: i32 = 1_000_000;

pub(super) async fn declare(core: &Core, queue: &Queue) -> Result<(), BrokerError> {
    let channel = core.connection.create_channel().await.map_err(|error| failure(&error))?;
    let declared = channel.queue_declare(short(queue.name()), options(queue), arguments(queue, core.dial.shape)).await;
    declared.map(|_| ()).map_err(|error| match error.kind() {
        ErrorKind::ProtocolError(refusal) if refusal.get_id() == 406 => mismatch(queue, said(&error)),
        _ => failure(&error),
    })
}

pub(super) async fn depth(core: &Core, queue: &Queue) -> Result<Option<Depth>, BrokerError> {
    let channel = core.connection.create_channel().await.map_err(|error| failure(&error))?;
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    match channel.queue_declare(short(queue.name()), options, FieldTable::default()).await {
        Ok(found) => Ok(Some(Depth { ready: found.message_count().into(), consumers: found.consumer_count() })),
        Err(error) => match error.kind() {
            ErrorKind::ProtocolError(refusal) if refusal.get_id() == 404 => Ok(None),
            _ => Err(failure(&error)),
        },
    }
}

fn options(queue: &Queue) -> QueueDeclareOptions {
    let durable = queue.kind().is_durable();
    QueueDeclareOptions { durable, exclusive: !durable, auto_delete: !durable, ..Default::default() }
}

fn arguments(queue: &Queue, shape: Shape) -> FieldTable {
    let mut table = FieldTable::default();
    let mut set = |key: &str, value: AMQPValue| {
        table.insert(short(key), value);
    };
    let text = |text: &str| AMQPValue::LongString(LongString::from(text));
    let length = |n: u32| AMQPValue::LongLongInt(n.into());
    // A quorum queue cannot be exclusive, so a reply queue is always a classic one.
    if queue.kind().is_durable() {
        set("x-queue-type", text(shape.queue_type.as_str()));
    }
    match queue.kind() {
        QueueKind::Task | QueueKind::Reply => {}
        QueueKind::Scheduler => set("x-single-active-consumer", AMQPValue::Boolean(true)),
        QueueKind::Log => {
            set("x-max-length", length(shape.log_length));
            set("x-overflow", text("reject-publish"));
        }
        QueueKind::Dead => {
            set("x-max-length", length(shape.dead_length));
            set("x-overflow", text("drop-head"));
        }
    }
    if queue.kind().is_durable() && shape.queue_type == QueueType::Quorum {
        set("x-delivery-limit", AMQPValue::LongInt(DELIVERY_LIMIT));
    }
    table
}

/// `PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received ... but current is ...`
fn mismatch(queue: &Queue, why: String) -> BrokerError {
    let property = why.split('\'').nth(1).unwrap_or("property").to_owned();
    let why = why.split_once(": ").map_or(why.as_str(), |(_, difference)| difference).to_owned();
    BrokerError::Mismatch { queue: queue.to_string(), property, why }
}
