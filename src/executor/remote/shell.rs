//! The one task that owns the connection: it waits for whatever comes first, and does what the pure parts order.

use std::future::pending;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::actor::told::Outlet;
use crate::broker::{Broker, BrokerError, Delivery, Event, Events, Outgoing, Published, Queue, Receipt, Replies};
use crate::domain::ids::{Epoch, Incarnation, WorkerId};
use crate::protocol::envelope::{Direction, Keys, Sender};
use crate::protocol::execution::{self, Arrival, FromRemote, ToRemote};
use crate::protocol::letter::{Kind, Marker};
use crate::protocol::work::TaskMessage;

use super::addresses::Addresses;
use super::letters;
use super::line::{Line, Stirred};
use super::opening::{Letter, open};
use super::tasks::{Order, Tasks};
use super::{Command, Connection};

/// How soon a broker that takes nothing for now is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// What a publish was, for when its outcome is known.
enum Sent {
    Task(u64),
    Told(WorkerId, Incarnation, Queue),
    Marker,
}

pub(super) struct Shell {
    broker: Broker,
    keys: Keys,
    connection: watch::Sender<Connection>,
    line: Line,
    tasks: Tasks,
    addresses: Addresses,
    scheduler: Option<Outlet<FromRemote>>,
    /// Whose letters leave. `None` before the first reign.
    epoch: Option<Epoch>,
    /// Whether what workers say is wanted.
    leads: bool,
    connected: bool,
    seq: u64,
    receipts: FuturesUnordered<BoxFuture<'static, (Sent, Published)>>,
    declared: FuturesUnordered<BoxFuture<'static, (Queue, Result<(), BrokerError>)>>,
    retry_at: Option<Instant>,
    closing: Option<(Instant, oneshot::Sender<()>)>,
}

impl Shell {
    pub(super) fn new(broker: Broker, keys: Keys, connection: watch::Sender<Connection>) -> Self {
        Self {
            line: Line::new(broker.clone()),
            addresses: Addresses::new(broker.names().clone()),
            broker,
            keys,
            connection,
            tasks: Tasks::default(),
            scheduler: None,
            epoch: None,
            leads: false,
            connected: false,
            seq: 0,
            receipts: FuturesUnordered::new(),
            declared: FuturesUnordered::new(),
            retry_at: None,
            closing: None,
        }
    }

    pub(super) async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut events: Events,
        mut replies: Replies,
    ) {
        let (mut is_wanted, mut says_goodbye) = (true, false);
        loop {
            self.line.reconcile(self.connected && self.leads && self.scheduler.is_some());
            let is_done = !is_wanted || self.closing.is_some() && self.is_all_confirmed();
            if is_done && !says_goodbye {
                self.broker.close();
                says_goodbye = true;
            }
            let (retry, deadline) = (self.retry_at, self.closing.as_ref().map(|(deadline, _)| *deadline));
            tokio::select! {
                command = commands.recv(), if is_wanted => match command {
                    Some(command) => self.on_command(command),
                    // Nobody is left who could want anything.
                    None => is_wanted = false,
                },
                event = events.recv() => match event {
                    Some(Event::Closed) | None => break,
                    Some(event) => self.on_event(event),
                },
                stirred = self.line.stirs() => self.on_stirred(stirred),
                Some((sent, how)) = self.receipts.next() => self.on_published(sent, &how),
                Some((queue, how)) = self.declared.next() => self.on_declared(&queue, how),
                // The leader asks nothing of anybody, so nobody answers; hearing itself proves the connection.
                Some(_) = replies.recv() => {}
                () = at(retry) => {
                    self.retry_at = None;
                    let orders = self.tasks.on_retry();
                    self.carry_out(orders);
                }
                () = at(deadline), if !says_goodbye => {
                    self.broker.close();
                    says_goodbye = true;
                }
            }
        }
        if let Some((_, closed)) = self.closing.take() {
            // Who asked may be gone.
            let _ = closed.send(());
        }
    }

    /// Without a connection nothing that waits will be confirmed soon; the next leader says it again.
    fn is_all_confirmed(&self) -> bool {
        !self.connected || self.receipts.is_empty() && self.tasks.is_empty()
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Hear(scheduler) => {
                self.scheduler = Some(scheduler);
                self.line.hang_up();
            }
            Command::Told(ToRemote::Lead { epoch }) => {
                if self.epoch != Some(epoch) {
                    // Of an earlier reign: what is queued is published again by whoever leads now.
                    self.tasks.forget_all();
                }
                self.line.hang_up();
                (self.epoch, self.leads) = (Some(epoch), true);
            }
            Command::Told(ToRemote::StepDown) => self.leads = false,
            Command::Told(ToRemote::Committed { words, taken }) => {
                self.send(words);
                self.acknowledge(taken);
            }
            Command::Told(ToRemote::Marker(marker)) => self.send_marker(&marker),
            Command::Close { patience, closed } => {
                self.leads = false;
                self.closing = Some((Instant::now() + patience, closed));
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Up { address, .. } => {
                tracing::info!(%address, "connected to the broker");
                self.connected = true;
                self.connection.send_replace(Connection::Up { address });
                let orders = self.tasks.on_up();
                self.carry_out(orders);
            }
            Event::Failed { address, error } => self.on_failure(&address, error),
            Event::Lost { error, .. } => {
                tracing::warn!(%error, "the broker is gone: connecting again");
                self.connected = false;
                self.connection.send_replace(Connection::Down { error, tries: 0 });
                self.tasks.on_lost();
                self.unsubscribed();
                self.line.on_lost();
            }
            Event::Blocked { reason } => tracing::warn!(reason, "the broker takes no messages for now"),
            Event::Unblocked => tracing::info!("the broker takes messages again"),
            Event::Cancelled { queue, .. } if queue != self.broker.names().scheduler().name() => {}
            Event::Cancelled { queue, why } => {
                tracing::warn!(queue, why, "the broker ended a subscription: subscribing again");
                self.unsubscribed();
                self.line.hang_up();
            }
            Event::Closed => {}
        }
    }

    /// Said once for each reason, not at each try.
    fn on_failure(&mut self, address: &str, error: BrokerError) {
        let tries = match &*self.connection.borrow() {
            Connection::Down { error: before, tries } => {
                if *before != error {
                    tracing::warn!(%error, address, "cannot reach the broker");
                }
                tries + 1
            }
            Connection::Trying | Connection::Up { .. } => {
                tracing::warn!(%error, address, "cannot reach the broker");
                1
            }
        };
        self.connection.send_replace(Connection::Down { error, tries });
    }

    fn unsubscribed(&self) {
        if let Some(subscription) = self.line.standing() {
            self.tell(FromRemote::Unsubscribed { subscription });
        }
    }

    fn on_stirred(&mut self, stirred: Stirred) {
        match stirred {
            Stirred::Opened { subscription } => {
                if let Some(epoch) = self.epoch {
                    tracing::debug!(subscription, epoch = epoch.0, "listening to workers");
                    self.tell(FromRemote::Subscribed { subscription, epoch });
                }
            }
            Stirred::Failed(error) => tracing::warn!(%error, "cannot listen to workers yet"),
            Stirred::Closed => {}
            Stirred::Came { number, delivery } => self.on_delivery(number, delivery),
        }
    }

    fn on_delivery(&mut self, number: u64, delivery: Delivery) {
        let Some(subscription) = self.line.standing() else { return };
        let arrival = Arrival { subscription, number };
        let message = match open(&self.keys, &delivery.body) {
            Ok(Letter::Marker(marker)) => FromRemote::Marker { arrival, marker },
            Ok(Letter::Said { worker, incarnation, said }) => {
                if let Err(foreign) = self.addresses.learn(worker, incarnation, &said.reply_to) {
                    return self.reject(delivery, foreign.to_string());
                }
                FromRemote::Said { arrival, worker, incarnation, said: said.said }
            }
            Err(why) => return self.reject(delivery, why.to_string()),
        };
        self.line.hold(number, delivery);
        self.tell(message);
    }

    fn reject(&self, delivery: Delivery, why: String) {
        tracing::warn!(%why, "a message goes to the dead letters");
        self.tell(FromRemote::Rejected);
        tokio::spawn(async move {
            if let Err(error) = delivery.dead_letter(&why).await {
                tracing::warn!(%error, "a message could not be put to the dead letters: it comes again");
            }
        });
    }

    fn send(&mut self, words: Vec<execution::Outgoing>) {
        if words.is_empty() {
            return;
        }
        let Some(epoch) = self.epoch.filter(|_| self.leads) else {
            tracing::debug!(words = words.len(), "said by a leader that has stepped down: not sent");
            return;
        };
        let addresses = &self.addresses;
        let sorted = letters::sort(words, |worker| addresses.newest(worker).map(|(incarnation, _)| incarnation));
        for task in sorted.tasks {
            self.send_task(epoch, &task);
        }
        let mut unheard = sorted.unheard;
        for ((worker, incarnation), said) in sorted.told {
            let Some(queue) = self.addresses.of(worker, incarnation).cloned() else {
                unheard += said.len();
                continue;
            };
            match letters::told(&self.keys, epoch, &mut self.seq, said) {
                Ok(letters) => {
                    for body in letters {
                        let receipt = self.broker.publish(Outgoing::new(queue.clone(), body));
                        self.await_outcome(Sent::Told(worker, incarnation, queue.clone()), receipt);
                    }
                }
                Err(error) => tracing::error!(%error, %worker, "a message to a worker cannot be sent"),
            }
        }
        if unheard > 0 {
            tracing::debug!(unheard, "for workers whose address is not known: they will ask again");
        }
    }

    fn send_task(&mut self, epoch: Epoch, task: &TaskMessage) {
        let key = &task.key;
        let to = self.broker.names().task(&task.queue).map_err(|error| error.to_string());
        let body = letters::task(&self.keys, epoch, task).map_err(|error| error.to_string());
        match to.and_then(|to| Ok((to, body?))) {
            Ok((to, body)) => {
                let orders = self.tasks.add(to, body);
                self.carry_out(orders);
            }
            Err(error) => {
                tracing::error!(%error, dag = %key.dag, run = %key.run, task = %key.task, "a task cannot be sent");
            }
        }
    }

    fn send_marker(&mut self, marker: &Marker) {
        let sender = Sender::Scheduler { epoch: marker.epoch };
        match self.keys.seal(Direction::ToScheduler, sender, Kind::Marker.as_str(), marker) {
            Ok(body) => {
                let receipt = self.broker.publish(Outgoing::new(self.broker.names().scheduler(), body));
                self.await_outcome(Sent::Marker, receipt);
            }
            Err(error) => tracing::error!(%error, "a marker cannot be sent"),
        }
    }

    fn carry_out(&mut self, orders: Vec<Order>) {
        for order in orders {
            match order {
                Order::Publish { number, to, body } => {
                    let receipt = self.broker.publish(Outgoing::new(to, body));
                    self.await_outcome(Sent::Task(number), receipt);
                }
                Order::Declare(queue) => {
                    let broker = self.broker.clone();
                    self.declared.push(Box::pin(async move {
                        let declared = broker.declare(queue.clone()).await;
                        (queue, declared)
                    }));
                }
                Order::RetrySoon => {
                    self.retry_at.get_or_insert_with(|| Instant::now() + RETRY);
                }
            }
        }
    }

    fn await_outcome(&self, sent: Sent, receipt: Receipt) {
        self.receipts.push(Box::pin(async move { (sent, receipt.await) }));
    }

    fn on_published(&mut self, sent: Sent, how: &Published) {
        match (sent, how) {
            (Sent::Task(number), how) => {
                if let Published::Returned { why } | Published::Nacked { why } = how {
                    tracing::warn!(why, "the broker did not take a task: it is sent again");
                }
                let orders = self.tasks.on_published(number, how);
                self.carry_out(orders);
            }
            (Sent::Told(worker, incarnation, queue), Published::Returned { .. }) => {
                if self.addresses.forget(worker, incarnation, &queue) {
                    self.tell(FromRemote::Returned { worker, incarnation });
                }
            }
            // Whoever waits for an answer asks again; a marker that does not come back is followed by another.
            (Sent::Told(..), Published::Confirmed | Published::Nacked { .. } | Published::Unknown { .. })
            | (Sent::Marker, _) => {}
        }
    }

    fn on_declared(&mut self, queue: &Queue, how: Result<(), BrokerError>) {
        match how {
            Ok(()) => {}
            // The next connection makes it.
            Err(BrokerError::Lost { .. } | BrokerError::Closed) => return,
            Err(error) => {
                // It may be there all the same, made by somebody in another way; to make it again at each connection
                // would keep this node from connecting at all.
                tracing::error!(%error, %queue, "the queue cannot be made as it is configured");
                self.broker.forget(queue);
            }
        }
        let orders = self.tasks.on_declared(queue);
        self.carry_out(orders);
    }

    fn acknowledge(&mut self, taken: Option<Arrival>) {
        if let Some(taken) = taken.filter(|taken| self.line.standing() == Some(taken.subscription)) {
            self.line.acknowledge(taken.number);
        }
    }

    fn tell(&self, message: FromRemote) {
        if let Some(scheduler) = &self.scheduler {
            scheduler.say(message);
        }
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
