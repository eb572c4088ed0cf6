//! The slots of a worker as its broker sees them: one subscription each, with room for one message, so that what no
//! slot can take stays with the broker for a worker that can.
//!
//! ```text
//!            credit 1            Delivered            ended (or taken from it)
//!  closed ───────────► open ───────────────► taken ─────────────────────────► open, or gone when it retires
//!     ▲                  │                     │ long task: credit 0, then ack
//!     └── credit 0 ──────┘                     ▼
//!        (W10, drain)                       taken, and nothing depends on the delivery
//! ```
//!
//! Each seat has a task of its own, which does in order what it is told. Who sits where is decided by the actor.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::broker::{AfterReconnect, Broker, BrokerError, Delivery, Queue, Subscription};
use crate::domain::ids::{Claim, QueueName};
use crate::protocol::envelope::Keys;

use super::{FromBroker, Tell, hear, put};

/// Between two tries to get a subscription that the broker refuses.
const SUBSCRIBE_AGAIN: Duration = Duration::from_secs(3);

/// Never used twice in an incarnation.
pub type SeatNumber = u32;

#[derive(Debug)]
enum Order {
    Credit(u16),
    Ack(Delivery),
    GiveBack(Delivery),
    /// Take nothing more and say when nothing is under way any more.
    RunDry,
}

/// A delivery, with the seat that it came to.
pub struct Parcel {
    delivery: Delivery,
    seat: mpsc::UnboundedSender<Order>,
}

impl Parcel {
    /// It is done with. Void deliveries are dropped: their acknowledgement would be another's (W9).
    pub fn acknowledge(self) {
        if !self.delivery.is_void() {
            put(&self.seat, Order::Ack(self.delivery));
        }
    }

    /// Somebody else shall have it.
    pub fn give_back(self) {
        if !self.delivery.is_void() {
            put(&self.seat, Order::GiveBack(self.delivery));
        }
    }

    pub fn was_delivered_before(&self) -> bool {
        self.delivery.redelivered
    }
}

struct Seat {
    orders: mpsc::UnboundedSender<Order>,
    holds: Option<Claim>,
    credit: u16,
    /// It goes as soon as it is free: there are to be fewer, or it listens on other queues than it should.
    retires: bool,
    is_dry: bool,
}

/// All seats of one incarnation.
pub struct Seats {
    broker: Broker,
    keys: Keys,
    tell: Tell,
    queues: Vec<QueueName>,
    seats: BTreeMap<SeatNumber, Seat>,
    last: SeatNumber,
    wanted: u32,
    are_open: bool,
}

impl Seats {
    pub(super) fn new(broker: Broker, keys: Keys, queues: Vec<QueueName>, tell: Tell) -> Self {
        Self { broker, keys, tell, queues, seats: BTreeMap::new(), last: 0, wanted: 0, are_open: false }
    }

    /// The queues by their names at the broker.
    pub fn queues(&self) -> Vec<Queue> {
        let names = self.broker.names();
        // A name that is too long never came so far: see `listen_on`.
        self.queues.iter().filter_map(|queue| names.task(queue).ok()).collect()
    }

    /// So many seats from now on. Those that are too many go when they are free.
    pub fn resize(&mut self, wanted: u32) {
        self.wanted = wanted;
        self.settle();
    }

    /// Listens on these queues from now on; a seat that is taken changes over when it is free.
    ///
    /// # Errors
    /// When no broker can have a queue of that name.
    pub fn listen_on(&mut self, queues: Vec<QueueName>) -> Result<(), BrokerError> {
        for queue in &queues {
            let queue = self.broker.names().task(queue)?;
            let broker = self.broker.clone();
            actix::spawn(async move {
                if let Err(error) = broker.declare(queue).await {
                    // It is made with the next connection.
                    tracing::debug!(%error, "a queue is not made yet");
                }
            });
        }
        self.queues = queues;
        self.seats.values_mut().for_each(|seat| seat.retires = true);
        self.settle();
        Ok(())
    }

    /// Whether free seats take messages.
    pub fn set_open(&mut self, are_open: bool) {
        self.are_open = are_open;
        for seat in self.seats.values_mut().filter(|seat| seat.holds.is_none()) {
            seat.set_credit(u16::from(are_open && !seat.retires));
        }
    }

    /// The connection is gone: every seat begins closed on the next one.
    pub fn close_all(&mut self) {
        self.are_open = false;
        self.seats.values_mut().for_each(|seat| seat.set_credit(0));
    }

    /// Seats a claim. `Err` gives the delivery to be given back: the seat is taken, or is gone.
    pub fn take(&mut self, number: SeatNumber, claim: Claim, delivery: Delivery) -> Result<Parcel, Option<Parcel>> {
        let Some(seat) = self.seats.get_mut(&number) else { return Err(None) };
        let parcel = Parcel { delivery, seat: seat.orders.clone() };
        if seat.holds.is_some() {
            return Err(Some(parcel));
        }
        seat.holds = Some(claim);
        Ok(parcel)
    }

    /// Nothing depends on the delivery any more: the seat takes no other until it is free.
    pub fn cancel(&mut self, number: SeatNumber) {
        if let Some(seat) = self.seats.get_mut(&number) {
            seat.set_credit(0);
        }
    }

    /// The claim has left its seat.
    pub fn free(&mut self, number: SeatNumber) {
        let open = self.are_open;
        if let Some(seat) = self.seats.get_mut(&number) {
            seat.holds = None;
            seat.set_credit(u16::from(open && !seat.retires));
        }
        self.settle();
    }

    /// No seat takes anything from now on; each says when it is dry.
    pub fn run_dry(&mut self) {
        self.are_open = false;
        for seat in self.seats.values_mut() {
            seat.credit = 0;
            put(&seat.orders, Order::RunDry);
        }
    }

    /// A seat is dry. True when all are.
    pub fn is_dry(&mut self, number: SeatNumber) -> bool {
        if let Some(seat) = self.seats.get_mut(&number) {
            seat.is_dry = true;
        }
        self.seats.values().all(|seat| seat.is_dry)
    }

    pub fn count(&self) -> u32 {
        self.wanted
    }

    pub fn taken(&self) -> u32 {
        u32::try_from(self.seats.values().filter(|seat| seat.holds.is_some()).count()).unwrap_or(u32::MAX)
    }

    /// Opens, retires and removes seats until they are those that there should be.
    fn settle(&mut self) {
        self.seats.retain(|_, seat| !(seat.retires && seat.holds.is_none()));
        let staying = self.seats.values().filter(|seat| !seat.retires).count();
        let wanted = usize::try_from(self.wanted).unwrap_or(usize::MAX);
        // One that still holds a claim counts: there are never more claims than slots.
        let held = self.seats.values().filter(|seat| seat.retires).count();
        for _ in (staying + held)..wanted {
            self.open_one();
        }
        // Free ones first.
        let mut too_many = staying.saturating_sub(wanted);
        let mut order: Vec<SeatNumber> = self.seats.keys().copied().collect();
        order.sort_by_key(|number| self.seats[number].holds.is_some());
        for number in order {
            let Some(seat) = self.seats.get_mut(&number).filter(|seat| too_many > 0 && !seat.retires) else { continue };
            too_many -= 1;
            seat.retires = true;
            if seat.holds.is_none() {
                // Its channel closes: a message that is under way to it goes back to the broker.
                self.seats.remove(&number);
            }
        }
    }

    fn open_one(&mut self) {
        self.last += 1;
        let number = self.last;
        let (orders, hears) = mpsc::unbounded_channel();
        let usher = Usher {
            number,
            broker: self.broker.clone(),
            queues: self.queues(),
            keys: self.keys.clone(),
            tell: Rc::clone(&self.tell),
        };
        actix::spawn(usher.run(hears));
        let mut seat = Seat { orders, holds: None, credit: 0, retires: false, is_dry: false };
        seat.set_credit(u16::from(self.are_open));
        self.seats.insert(number, seat);
    }
}

impl Seat {
    fn set_credit(&mut self, credit: u16) {
        if self.credit != credit {
            self.credit = credit;
            put(&self.orders, Order::Credit(credit));
        }
    }
}

/// The task of one seat.
struct Usher {
    number: SeatNumber,
    broker: Broker,
    queues: Vec<Queue>,
    keys: Keys,
    tell: Tell,
}

impl Usher {
    /// Until nobody has an order for it any more.
    async fn run(self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let (subscription, mut deliveries) = loop {
            match self.broker.subscribe(&self.queues, 0, AfterReconnect::Pause).await {
                Ok(subscribed) => break subscribed,
                Err(error) => tracing::error!(%error, "cannot take tasks from the broker: tried again"),
            }
            tokio::time::sleep(SUBSCRIBE_AGAIN).await;
            if orders.is_closed() && orders.is_empty() {
                return;
            }
        };
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order, &subscription).await,
                    None => break,
                },
                delivery = deliveries.next() => match delivery {
                    Some(delivery) => self.deliver(delivery).await,
                    None => break,
                },
            }
        }
        if let Err(error) = subscription.close().await {
            tracing::debug!(%error, "a subscription did not end in peace");
        }
    }

    async fn obey(&self, order: Order, subscription: &Subscription) {
        let done = match order {
            Order::Credit(credit) => subscription.set_credit(credit).await,
            Order::Ack(delivery) => delivery.ack().await,
            Order::GiveBack(delivery) => delivery.give_back().await,
            Order::RunDry => {
                let done = subscription.set_credit(0).await;
                (self.tell)(FromBroker::SeatIsDry(self.number));
                done
            }
        };
        match done {
            // The connection ended in between, and the broker has taken everything back.
            Ok(()) | Err(BrokerError::Void | BrokerError::Lost { .. } | BrokerError::Closed) => {}
            Err(error) => tracing::warn!(%error, "the broker did not do what a slot asked of it"),
        }
    }

    async fn deliver(&self, delivery: Delivery) {
        match hear::task(&self.keys, &delivery.body) {
            Ok(task) => (self.tell)(FromBroker::Delivered { seat: self.number, delivery, task }),
            Err(why) => {
                tracing::error!(queue = %delivery.queue, %why, "a message is no task of ours: it goes to the dead letters");
                if let Err(error) = delivery.dead_letter(&why.to_string()).await {
                    tracing::warn!(%error, "the broker did not take the dead letter: the message will come again");
                }
            }
        }
    }
}
