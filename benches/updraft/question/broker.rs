//! Broker: messages of 400 bytes, persistent and confirmed, through our handle and through bare lapin, on the same
//! RabbitMQ in the same run; and through our handle on Redis.
//!
//! *Publish*: a thousand unconfirmed at a time. *Round trip*: to a worker and its answer back, one at a time.
//! *Through slots*: a backlog through 16 consumers of one credit each, an answer for each message, then the ack.
//! `UPDRAFT_TEST_RABBITMQ` and `UPDRAFT_TEST_REDIS` name the servers, `none` leaves one out.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use tokio::time::timeout;
use updraft::broker::{
    Address, AfterReconnect, Broker, Event, Listener, Names, Options, Outgoing, Published, Queue, Replies,
};
use updraft::domain::ids::QueueName;
use updraft::protocol::envelope::Installation;
use uuid::Uuid;

use crate::figure::{Figure, Target, Unit};
use crate::sample::{count, median};
use crate::{Bench, Result};

const MESSAGES: usize = 10_000;
const WINDOW: usize = 1_000;
const ROUND_TRIPS: usize = 500;
const SLOTS: usize = 16;
const BODY: [u8; 400] = [7; 400];
const PATIENCE: Duration = Duration::from_secs(60);

/// Messages per second published, milliseconds of a round trip, messages per second through the slots.
struct Measured {
    publish: Vec<f64>,
    trip: Vec<f64>,
    slots: Vec<f64>,
}

impl Measured {
    fn none() -> Self {
        Self { publish: Vec::new(), trip: Vec::new(), slots: Vec::new() }
    }
}

pub fn ask(bench: &Bench) -> Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let at = |variable: &str, usual: &str| std::env::var(variable).unwrap_or_else(|_| usual.to_owned());
    let rabbitmq = at("UPDRAFT_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672/");
    let redis = at("UPDRAFT_TEST_REDIS", "redis://127.0.0.1:6379/0");
    let rounds = bench.rounds.min(3);
    let mut figures = Vec::new();
    if rabbitmq != "none" {
        let (mut ours, mut bare) = (Measured::none(), Measured::none());
        for _ in 0..rounds {
            runtime.block_on(measure_ours(&rabbitmq, &mut ours))?;
            runtime.block_on(measure_bare(&rabbitmq, &mut bare))?;
        }
        figures.extend([
            Figure::new("RabbitMQ, publish, window 1,000", median(&ours.publish), Unit::PerSecond)
                .against("bare lapin", median(&bare.publish))
                .target(Target::RatioAtLeast(0.6)),
            Figure::new("RabbitMQ, round trip", median(&ours.trip), Unit::Milliseconds)
                .against("bare lapin", median(&bare.trip)),
            Figure::new("RabbitMQ, through 16 slots and back", median(&ours.slots), Unit::PerSecond)
                .against("bare lapin", median(&bare.slots))
                .target(Target::RatioAtLeast(0.6)),
        ]);
    }
    if redis != "none" {
        let mut ours = Measured::none();
        for _ in 0..rounds {
            runtime.block_on(measure_ours(&redis, &mut ours))?;
        }
        figures.extend([
            Figure::new("Redis, publish, window 1,000", median(&ours.publish), Unit::PerSecond),
            Figure::new("Redis, round trip", median(&ours.trip), Unit::Milliseconds),
            Figure::new("Redis, through 16 slots and back", median(&ours.slots), Unit::PerSecond),
        ]);
    }
    if figures.is_empty() {
        return Err("both brokers are left out".into());
    }
    Ok(figures)
}

/// A node of ours: its broker, what it hears, and where answers reach it.
async fn node(url: &str, names: &Names) -> Result<(Broker, Replies, Queue)> {
    let mut options = Options::new(Address::parse_all(url)?, names.clone(), Listener::Node(Uuid::new_v4()));
    options.window = WINDOW;
    let (broker, mut events, replies) = Broker::open(options);
    while let Some(event) = timeout(PATIENCE, events.recv()).await? {
        match event {
            Event::Up { reply_to, .. } => return Ok((broker, replies, reply_to)),
            Event::Failed { error, .. } => return Err(error.into()),
            _ => {}
        }
    }
    Err("the broker was closed".into())
}

async fn measure_ours(url: &str, measured: &mut Measured) -> Result<()> {
    let names = Names::new(Installation::new(format!("bench-{}", Uuid::new_v4().simple()))?);
    let (leader, mut answers, reply_to) = node(url, &names).await?;
    let (worker, _replies, _) = node(url, &names).await?;
    let queue = names.task(&QueueName::new("bench")?)?;
    leader.declare(queue.clone()).await?;

    let begun = Instant::now();
    let receipts: Vec<_> = (0..MESSAGES).map(|_| leader.publish(Outgoing::new(queue.clone(), BODY))).collect();
    for receipt in receipts {
        assert_eq!(timeout(PATIENCE, receipt).await?, Published::Confirmed);
    }
    measured.publish.push(count(MESSAGES) / begun.elapsed().as_secs_f64());

    let begun = Instant::now();
    let mut slots = Vec::new();
    for _ in 0..SLOTS {
        let (subscription, mut deliveries) =
            worker.subscribe(std::slice::from_ref(&queue), 1, AfterReconnect::Pause).await?;
        let (worker, reply_to) = (worker.clone(), reply_to.clone());
        slots.push((
            subscription,
            tokio::spawn(async move {
                while let Some(delivery) = deliveries.next().await {
                    let answer = worker.publish(Outgoing::new(reply_to.clone(), BODY));
                    delivery.ack().await.expect("the connection holds");
                    drop(answer);
                }
            }),
        ));
    }
    for _ in 0..MESSAGES {
        timeout(PATIENCE, answers.recv()).await?.ok_or("the broker was closed")?;
    }
    measured.slots.push(count(MESSAGES) / begun.elapsed().as_secs_f64());

    for _ in 0..ROUND_TRIPS {
        let begun = Instant::now();
        let receipt = leader.publish(Outgoing::new(queue.clone(), BODY));
        timeout(PATIENCE, answers.recv()).await?.ok_or("the broker was closed")?;
        measured.trip.push(begun.elapsed().as_secs_f64() * 1e3);
        drop(receipt);
    }
    for (subscription, slot) in slots {
        subscription.close().await?;
        slot.abort();
    }
    for queue in [queue, names.dead()] {
        leader.remove(&queue).await?;
    }
    leader.close();
    worker.close();
    Ok(())
}

async fn channel(connection: &Connection, prefetch: u16) -> Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
    Ok(channel)
}

async fn consume(channel: &Channel, queue: &str, no_ack: bool) -> Result<Consumer> {
    let options = BasicConsumeOptions { no_ack, ..Default::default() };
    Ok(channel.basic_consume(queue.into(), ShortString::default(), options, FieldTable::default()).await?)
}

async fn publish(channel: &Channel, queue: &str, persistent: bool) -> Result<lapin::PublisherConfirm> {
    let mut properties = BasicProperties::default();
    if persistent {
        properties = properties.with_delivery_mode(2);
    }
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    Ok(channel.basic_publish(ShortString::default(), queue.into(), options, &BODY, properties).await?)
}

/// What a bare exchange does: messages per second published to a durable queue, confirmed, consumed through so many slots
/// of one credit each, reported over a durable queue and acknowledged at both ends, all at the same time.
pub(super) async fn publish_consume_report(url: &str, slots: usize, messages: usize) -> Result<f64> {
    let url = url.trim_end_matches('/');
    let leader = Connection::connect(url, ConnectionProperties::default()).await?;
    let worker = Connection::connect(url, ConnectionProperties::default()).await?;
    let (queue, reports) = (format!("bare-{}", Uuid::new_v4()), format!("bare-reports-{}", Uuid::new_v4()));
    let to_worker = channel(&leader, 0).await?;
    for name in [&queue, &reports] {
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        to_worker.queue_declare(name.as_str().into(), durable, FieldTable::default()).await?;
    }
    let ear = channel(&leader, u16::try_from(WINDOW)?).await?;
    let mut heard = consume(&ear, &reports, false).await?;
    let back = channel(&worker, 0).await?;
    let mut tasks = Vec::new();
    for _ in 0..slots {
        let channel = channel(&worker, 1).await?;
        let mut deliveries = consume(&channel, &queue, false).await?;
        let (back, reports) = (back.clone(), reports.clone());
        tasks.push(tokio::spawn(async move {
            let _channel = channel;
            while let Some(Ok(delivery)) = deliveries.next().await {
                let report = publish(&back, &reports, true).await.expect("the connection holds");
                delivery.ack(BasicAckOptions::default()).await.expect("the connection holds");
                drop(report);
            }
        }));
    }

    let begun = Instant::now();
    let publishing = async {
        let mut confirms = FuturesUnordered::new();
        for _ in 0..messages {
            confirms.push(publish(&to_worker, &queue, true).await?);
            if confirms.len() == WINDOW {
                confirms.next().await.ok_or("no confirm")??;
            }
        }
        while let Some(confirm) = confirms.next().await {
            confirm?;
        }
        Result::Ok(())
    };
    let hearing = async {
        for _ in 0..messages {
            let report = timeout(PATIENCE, heard.next()).await?.ok_or("no report")??;
            report.ack(BasicAckOptions::default()).await?;
        }
        Result::Ok(())
    };
    futures_util::future::try_join(publishing, hearing).await?;
    let rate = count(messages) / begun.elapsed().as_secs_f64();

    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    for name in [&queue, &reports] {
        to_worker.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await?;
    }
    leader.close(200, "done".into()).await?;
    worker.close(200, "done".into()).await?;
    Ok(rate)
}

async fn measure_bare(url: &str, measured: &mut Measured) -> Result<()> {
    // Without a path lapin takes the virtual host `/`; a path that is only a slash would name one without a name.
    let url = url.trim_end_matches('/');
    let leader = Connection::connect(url, ConnectionProperties::default()).await?;
    let worker = Connection::connect(url, ConnectionProperties::default()).await?;
    let (queue, reply) = (format!("bare-{}", Uuid::new_v4()), format!("bare-reply-{}", Uuid::new_v4()));
    let to_worker = channel(&leader, 0).await?;
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    to_worker.queue_declare(queue.as_str().into(), durable, FieldTable::default()).await?;
    let exclusive = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let ear = channel(&leader, 0).await?;
    ear.queue_declare(reply.as_str().into(), exclusive, FieldTable::default()).await?;
    let mut answers = consume(&ear, &reply, true).await?;

    let begun = Instant::now();
    let mut confirms = FuturesUnordered::new();
    for _ in 0..MESSAGES {
        confirms.push(publish(&to_worker, &queue, true).await?);
        if confirms.len() == WINDOW {
            assert!(confirms.next().await.ok_or("no confirm")??.is_ack());
        }
    }
    while let Some(confirm) = confirms.next().await {
        assert!(confirm?.is_ack());
    }
    measured.publish.push(count(MESSAGES) / begun.elapsed().as_secs_f64());

    let begun = Instant::now();
    let back = channel(&worker, 0).await?;
    let mut slots = Vec::new();
    for _ in 0..SLOTS {
        let channel = channel(&worker, 1).await?;
        let mut deliveries = consume(&channel, &queue, false).await?;
        let (back, reply) = (back.clone(), reply.clone());
        slots.push(tokio::spawn(async move {
            let _channel = channel;
            while let Some(Ok(delivery)) = deliveries.next().await {
                let answer = publish(&back, &reply, false).await.expect("the connection holds");
                delivery.ack(BasicAckOptions::default()).await.expect("the connection holds");
                drop(answer);
            }
        }));
    }
    for _ in 0..MESSAGES {
        timeout(PATIENCE, answers.next()).await?.ok_or("no answer")??;
    }
    measured.slots.push(count(MESSAGES) / begun.elapsed().as_secs_f64());

    for _ in 0..ROUND_TRIPS {
        let begun = Instant::now();
        let confirm = publish(&to_worker, &queue, true).await?;
        timeout(PATIENCE, answers.next()).await?.ok_or("no answer")??;
        measured.trip.push(begun.elapsed().as_secs_f64() * 1e3);
        drop(confirm);
    }
    for slot in slots {
        slot.abort();
    }
    to_worker.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
    leader.close(200, "done".into()).await?;
    worker.close(200, "done".into()).await?;
    Ok(())
}
