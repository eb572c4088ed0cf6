//! One subscription on one channel, driven by one task (the pump) that keeps the credit exact.
//!
//! RabbitMQ counts a prefetch for each consumer of each queue; its count over a whole channel is deprecated and not
//! there for quorum queues. So the pump opens a consumer with as much prefetch as there is room, and cancels it when it
//! could bring more than there is room for: with one queue and a steady credit that never happens, with several
//! queues each delivery silences the other queues until it is settled. What arrives in between is given back.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery as Arrived;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Acker, Consumer};
use tokio::sync::{mpsc, oneshot};

use super::super::error::BrokerError;
use super::super::ledger::Ledger;
use super::super::link::{Answer, Channel, Inbox, Link, Notice};
use super::super::message::{Delivery, Hold, Settle};
use super::super::topology::Queue;
use super::{AmqpLink, Core, declare, failure, said, short};

/// Between two tries to open a channel that the broker closed.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

pub(super) struct AmqpChannel {
    commands: mpsc::UnboundedSender<Command>,
}

enum Command {
    Credit(u16, oneshot::Sender<Result<(), BrokerError>>),
    Close(oneshot::Sender<Result<(), BrokerError>>),
}

/// A consumer that is open.
struct Source {
    consumer: Consumer,
    number: u64,
    prefetch: usize,
}

struct Pump {
    core: Arc<Core>,
    link: Weak<AmqpLink>,
    channel: lapin::Channel,
    /// False once the channel is gone; its deliveries are void then.
    alive: Arc<AtomicBool>,
    ledger: Arc<Ledger>,
    queues: Vec<Arc<Queue>>,
    /// Beside `queues`.
    sources: Vec<Option<Source>>,
    next_source: u64,
    /// Which queue is asked first, so that none starves.
    turn: usize,
    inbox: Inbox,
    dead: Arc<Queue>,
}

impl AmqpChannel {
    pub(super) async fn open(
        core: &Arc<Core>,
        link: Weak<AmqpLink>,
        queues: Vec<Arc<Queue>>,
        credit: u16,
        inbox: Inbox,
    ) -> Result<Self, BrokerError> {
        let channel = core.connection.create_channel().await.map_err(|error| failure(&error))?;
        let mut pump = Pump {
            core: Arc::clone(core),
            link,
            channel,
            alive: Arc::new(AtomicBool::new(true)),
            ledger: Arc::new(Ledger::new(credit)),
            sources: queues.iter().map(|_| None).collect(),
            queues,
            next_source: 0,
            turn: 0,
            inbox,
            dead: Arc::clone(&core.dial.dead),
        };
        pump.reconcile().await.map_err(|error| failure(&error))?;
        let (commands, hears) = mpsc::unbounded_channel();
        tokio::spawn(pump.run(hears));
        Ok(Self { commands })
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), BrokerError>>) -> Command,
    ) -> Result<(), BrokerError> {
        let (answer, hears) = oneshot::channel();
        let gone = |()| BrokerError::lost("the channel is gone");
        self.commands.send(command(answer)).map_err(|_| gone(()))?;
        hears.await.map_err(|_| gone(()))?
    }
}

impl Channel for AmqpChannel {
    fn set_credit(&self, credit: u16) -> Answer<'_, ()> {
        Box::pin(self.ask(move |answer| Command::Credit(credit, answer)))
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(self.ask(Command::Close))
    }
}

/// What woke the pump.
enum Woken {
    Command(Option<Command>),
    Settled,
    Arrived(usize, Option<lapin::Result<Box<Arrived>>>),
}

impl Pump {
    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            let woken = tokio::select! {
                command = commands.recv() => Woken::Command(command),
                () = self.ledger.changed() => Woken::Settled,
                (queue, arrived) = next(&mut self.sources, &mut self.turn) => {
                    Woken::Arrived(queue, arrived.map(|arrived| arrived.map(Box::new)))
                }
            };
            let outcome = match woken {
                // Nobody holds the subscription any more.
                Woken::Command(None) => {
                    self.close().await;
                    return;
                }
                Woken::Command(Some(Command::Close(answer))) => {
                    self.close().await;
                    // Who asked may be gone.
                    let _ = answer.send(Ok(()));
                    return;
                }
                Woken::Command(Some(Command::Credit(credit, answer))) => {
                    self.ledger.set_credit(credit);
                    let outcome = self.reconcile().await;
                    let _ = answer.send(outcome.as_ref().copied().map_err(failure));
                    outcome.map_err(|error| said(&error))
                }
                Woken::Settled => self.reconcile().await.map_err(|error| said(&error)),
                Woken::Arrived(queue, Some(Ok(arrived))) => match self.take(queue, *arrived).await {
                    Ok(()) => self.reconcile().await.map_err(|error| said(&error)),
                    Err(error) => Err(said(&error)),
                },
                Woken::Arrived(_, Some(Err(error))) => Err(said(&error)),
                Woken::Arrived(queue, None) => Err(format!("the queue `{}` was deleted", self.queues[queue])),
            };
            if let Err(why) = outcome
                && !self.reopen(why, &mut commands).await
            {
                return;
            }
        }
    }

    /// Opens and cancels consumers until what they can bring is what there is room for.
    async fn reconcile(&mut self) -> lapin::Result<()> {
        for queue in 0..self.sources.len() {
            let (room, credit) = (self.ledger.room(), self.ledger.credit());
            if let Some(source) = &self.sources[queue] {
                let could = source.prefetch.saturating_sub(self.ledger.out_of(source.number));
                let too_much = could > room || source.prefetch > credit || credit == 0;
                // Beside other queues a little more would not be worth the round trips.
                let too_little = if self.queues.len() == 1 { could < room } else { could * 2 <= room };
                if too_much || too_little {
                    self.cancel(queue).await?;
                }
            }
            let room = self.ledger.room();
            if self.sources[queue].is_none() && room > 0 {
                self.consume(queue, room).await?;
            }
        }
        Ok(())
    }

    async fn consume(&mut self, queue: usize, room: usize) -> lapin::Result<()> {
        let prefetch = u16::try_from(room).unwrap_or(u16::MAX);
        self.channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let (name, options) = (short(self.queues[queue].name()), BasicConsumeOptions::default());
        let consumer = self.channel.basic_consume(name, short(""), options, FieldTable::default()).await?;
        self.next_source += 1;
        self.sources[queue] = Some(Source { consumer, number: self.next_source, prefetch: prefetch.into() });
        Ok(())
    }

    /// Cancels a consumer, waits until the broker has heard it, and deals with what came before that.
    async fn cancel(&mut self, queue: usize) -> lapin::Result<()> {
        let Some(mut source) = self.sources[queue].take() else { return Ok(()) };
        self.channel.basic_cancel(source.consumer.tag(), BasicCancelOptions::default()).await?;
        let mut back = Vec::new();
        while let Some(arrived) = source.consumer.next().await {
            let arrived = arrived?;
            if self.ledger.room() > 0 {
                self.hand_out(queue, source.number, arrived);
            } else {
                back.push(arrived);
            }
        }
        for arrived in back {
            arrived.nack(BasicNackOptions { requeue: true, multiple: false }).await?;
        }
        Ok(())
    }

    async fn take(&mut self, queue: usize, arrived: Arrived) -> lapin::Result<()> {
        let number = self.sources[queue].as_ref().map(|source| source.number);
        match number {
            Some(number) if self.ledger.room() > 0 => self.hand_out(queue, number, arrived),
            Some(_) | None => {
                arrived.nack(BasicNackOptions { requeue: true, multiple: false }).await?;
            }
        }
        Ok(())
    }

    fn hand_out(&self, queue: usize, source: u64, arrived: Arrived) {
        let Arrived { acker, data, properties, redelivered, .. } = arrived;
        self.ledger.hand_out(source);
        let hold = Held { acker, source, ledger: Arc::clone(&self.ledger), alive: Arc::clone(&self.alive) };
        let link: Weak<dyn Link> = Weak::<AmqpLink>::clone(&self.link);
        let delivery = Delivery {
            queue: Arc::clone(&self.queues[queue]),
            body: data,
            headers: headers(properties.headers().as_ref()),
            redelivered,
            connection: self.core.dial.connection,
            hold: Box::new(hold),
            link,
            dead: Arc::clone(&self.dead),
        };
        // Nobody reads any more: the channel is closed as soon as its last holder is gone, and takes it back.
        let _ = self.inbox.send(delivery);
    }

    async fn close(&mut self) {
        self.alive.store(false, Ordering::SeqCst);
        // It may be closed already.
        let _ = self.channel.close(200, short("done")).await;
    }

    /// The broker closed the channel, or ended a consumer. False: the connection itself is gone.
    async fn reopen(&mut self, why: String, commands: &mut mpsc::UnboundedReceiver<Command>) -> bool {
        self.close().await;
        if !self.core.connection.status().connected() {
            return false;
        }
        let queue = self.queues.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let _ = self.core.dial.notices.send(Notice::Cancelled { queue, why });
        let mut credit = u16::try_from(self.ledger.credit()).unwrap_or(u16::MAX);
        loop {
            match self.begin_anew(credit).await {
                Ok(()) => return true,
                Err(BrokerError::Lost { .. }) => return false,
                Err(error) => {
                    let queue = self.queues.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                    let _ = self.core.dial.notices.send(Notice::Cancelled { queue, why: error.to_string() });
                }
            }
            tokio::select! {
                () = tokio::time::sleep(REOPEN_AFTER) => {}
                command = commands.recv() => match command {
                    None => return false,
                    Some(Command::Close(answer)) => {
                        let _ = answer.send(Ok(()));
                        return false;
                    }
                    Some(Command::Credit(new, answer)) => {
                        credit = new;
                        let _ = answer.send(Ok(()));
                    }
                },
            }
        }
    }

    async fn begin_anew(&mut self, credit: u16) -> Result<(), BrokerError> {
        for queue in &self.queues {
            declare::declare(&self.core, queue).await?;
        }
        self.channel = self.core.connection.create_channel().await.map_err(|error| failure(&error))?;
        self.alive = Arc::new(AtomicBool::new(true));
        self.ledger = Arc::new(Ledger::new(credit));
        self.sources = self.queues.iter().map(|_| None).collect();
        self.reconcile().await.map_err(|error| failure(&error))
    }
}

/// The next word of any open consumer, the queue after the last one first.
async fn next(sources: &mut [Option<Source>], turn: &mut usize) -> (usize, Option<lapin::Result<Arrived>>) {
    poll_fn(|context| {
        let count = sources.len();
        for step in 0..count {
            let queue = (*turn + step) % count;
            if let Some(source) = &mut sources[queue]
                && let Poll::Ready(arrived) = source.consumer.poll_next_unpin(context)
            {
                *turn = (queue + 1) % count;
                return Poll::Ready((queue, arrived));
            }
        }
        Poll::Pending
    })
    .await
}

fn headers(table: Option<&FieldTable>) -> Vec<(String, String)> {
    let pairs = table.into_iter().flat_map(|table| table.inner());
    let text = |value: &AMQPValue| match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        // Other kinds are set by the broker itself or by strangers, and mean nothing here.
        _ => None,
    };
    pairs.filter_map(|(key, value)| Some((key.to_string(), text(value)?))).collect()
}

/// One delivery's side of the channel.
struct Held {
    acker: Acker,
    source: u64,
    ledger: Arc<Ledger>,
    alive: Arc<AtomicBool>,
}

impl Hold for Held {
    fn is_void(&self) -> bool {
        !self.alive.load(Ordering::SeqCst) || !self.acker.usable()
    }

    fn settle(self: Box<Self>, how: Settle) -> Answer<'static, ()> {
        Box::pin(async move {
            if self.is_void() {
                return Err(BrokerError::Void);
            }
            self.ledger.settle(self.source);
            let sent = match how {
                Settle::Ack => self.acker.ack(BasicAckOptions::default()).await,
                Settle::GiveBack => self.acker.nack(BasicNackOptions { requeue: true, multiple: false }).await,
            };
            match sent {
                Ok(true) => Ok(()),
                Ok(false) | Err(_) => Err(BrokerError::Void),
            }
        })
    }
}
