//! One broker over many connections: dials, declares, proves, subscribes, and does it again when a link is lost.
//!
//! Back-off and the order of addresses are here alone; what a connection is, the back ends know.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::address::{Address, Scheme};
use super::error::BrokerError;
use super::link::{Channel, Depth, Dial, Inbox, Link, Notice};
use super::message::{Deliveries, Outgoing, Published, Receipt};
use super::topology::{Listener, Names, Queue, Shape};
use super::{Tls, amqp, backoff, redis};

/// Begins the body of the message by which a connection is proved; no envelope begins so.
const PROOF: &[u8] = b"updraft proof ";

/// How a node works with its broker.
#[derive(Clone, Debug)]
pub struct Options {
    /// At least one; tried in turn.
    pub addresses: Vec<Address>,
    pub tls: Tls,
    pub names: Names,
    pub shape: Shape,
    /// Whose reply queue it is.
    pub listener: Listener,
    /// Made at each connection.
    pub queues: Vec<Queue>,
    /// How soon a silent peer is noticed; also told to the broker.
    pub heartbeat: Duration,
    /// For each step of a connection.
    pub timeout: Duration,
    /// How many publishes may be unconfirmed at once; more wait here.
    pub window: usize,
    /// What people at the broker see, for example `updraft worker@host`.
    pub label: String,
}

impl Options {
    pub fn new(addresses: Vec<Address>, names: Names, listener: Listener) -> Self {
        Self {
            addresses,
            tls: Tls::default(),
            names,
            shape: Shape::default(),
            listener,
            queues: Vec::new(),
            heartbeat: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            window: 1_000,
            label: "updraft".to_owned(),
        }
    }
}

/// What happens to the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Proved by a message to itself; every queue is there, every subscription stands. `reply_to` hears answers.
    Up {
        connection: u64,
        address: String,
        reply_to: Queue,
    },
    /// A try failed; another follows, whatever the reason is.
    Failed {
        address: String,
        error: BrokerError,
    },
    /// Deliveries are void, publishes without an answer are `Unknown`.
    Lost {
        connection: u64,
        error: BrokerError,
    },
    /// The broker takes no messages for now; receipts wait.
    Blocked {
        reason: String,
    },
    Unblocked,
    /// The broker ended one subscription (its queue was deleted, its channel closed); it begins anew by itself.
    Cancelled {
        queue: String,
        why: String,
    },
    /// By [`Broker::close`]. The last event.
    Closed,
}

pub type Events = mpsc::UnboundedReceiver<Event>;

/// What came to the reply queue. Nothing is to be settled: who asked asks again.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    pub connection: u64,
    pub body: Vec<u8>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("connection", &self.connection).field("bytes", &self.body.len()).finish()
    }
}

pub type Replies = mpsc::UnboundedReceiver<Reply>;

/// Whether a subscription takes messages again by itself after the connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterReconnect {
    /// With the credit that it had.
    Resume,
    /// With no credit until it is given some: a slot of a worker, whose `Online` must be confirmed first (W10).
    Pause,
}

struct Current {
    link: Arc<dyn Link>,
    reply_to: Queue,
}

struct Shared {
    options: Options,
    session: Uuid,
    /// Of the newest connection that came so far as to have one.
    last_reply: Mutex<Option<Queue>>,
    current: RwLock<Option<Current>>,
    declared: Mutex<Vec<Queue>>,
    /// Held while subscriptions are made, so that none is forgotten by a connection that just comes up.
    standing: AsyncMutex<Vec<Weak<Standing>>>,
    events: mpsc::UnboundedSender<Event>,
    close: watch::Sender<bool>,
}

impl Shared {
    fn link(&self) -> Result<Arc<dyn Link>, BrokerError> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let link = current.as_ref().map(|current| Arc::clone(&current.link));
        link.ok_or_else(|| if *self.close.borrow() { BrokerError::Closed } else { BrokerError::lost("there is none") })
    }

    fn set_current(&self, current: Option<Current>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
    }

    fn declared(&self) -> MutexGuard<'_, Vec<Queue>> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_reply(&self) -> MutexGuard<'_, Option<Queue>> {
        self.last_reply.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: Event) {
        // Who does not listen does not want to know.
        let _ = self.events.send(event);
    }
}

/// A node's hand on its broker; cheap to clone.
#[derive(Clone)]
pub struct Broker(Arc<Shared>);

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("addresses", &self.0.options.addresses).finish_non_exhaustive()
    }
}

impl Broker {
    /// Begins to connect, and to connect again, until [`Broker::close`]. Must be called within a tokio runtime.
    pub fn open(options: Options) -> (Self, Events, Replies) {
        let (events, hears_events) = mpsc::unbounded_channel();
        let (replies, hears_replies) = mpsc::unbounded_channel();
        let (close, closing) = watch::channel(false);
        let shared = Arc::new(Shared {
            declared: Mutex::new(options.queues.clone()),
            options,
            session: Uuid::new_v4(),
            last_reply: Mutex::new(None),
            current: RwLock::new(None),
            standing: AsyncMutex::new(Vec::new()),
            events,
            close,
        });
        tokio::spawn(run(Arc::clone(&shared), replies, closing));
        (Self(shared), hears_events, hears_replies)
    }

    pub fn names(&self) -> &Names {
        &self.0.options.names
    }

    /// Where answers reach this node now.
    pub fn reply_to(&self) -> Option<Queue> {
        let current = self.0.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|current| current.reply_to.clone())
    }

    /// Sends at once, in the order of the calls. Without a connection the receipt says `Unknown` at once.
    pub fn publish(&self, message: Outgoing) -> Receipt {
        match self.0.link() {
            Ok(link) => link.publish(message),
            Err(error) => Receipt::ended(Published::Unknown { why: error.to_string() }),
        }
    }

    /// Makes a queue now, and again at each connection to come.
    ///
    /// # Errors
    /// When it is there already and differs, or there is no connection (then it is made with the next one).
    pub async fn declare(&self, queue: Queue) -> Result<(), BrokerError> {
        {
            let mut declared = self.0.declared();
            if !declared.contains(&queue) {
                declared.push(queue.clone());
            }
        }
        self.0.link()?.declare(&queue).await
    }

    /// Forgets a queue: it is not made again. What it holds stays.
    pub fn forget(&self, queue: &Queue) {
        self.0.declared().retain(|known| known != queue);
    }

    /// Deletes a queue with everything in it, and forgets it.
    ///
    /// # Errors
    /// When the broker does not let it.
    pub async fn remove(&self, queue: &Queue) -> Result<(), BrokerError> {
        self.forget(queue);
        self.0.link()?.remove(queue).await
    }

    /// How full a queue is; `None` when there is no such queue.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn depth(&self, queue: &Queue) -> Result<Option<Depth>, BrokerError> {
        self.0.link()?.depth(queue).await
    }

    /// Takes from these queues over a channel of its own, at most `credit` unsettled deliveries at a time, now or as
    /// soon as there is a connection.
    ///
    /// # Errors
    /// When the broker does not let it.
    pub async fn subscribe(
        &self,
        queues: &[Queue],
        credit: u16,
        after_reconnect: AfterReconnect,
    ) -> Result<(Subscription, Deliveries), BrokerError> {
        let (inbox, deliveries) = mpsc::unbounded_channel();
        let standing = Arc::new(Standing {
            queues: queues.iter().cloned().map(Arc::new).collect(),
            after_reconnect,
            inbox,
            state: AsyncMutex::new(State { credit, channel: None, is_closed: false }),
        });
        {
            let mut all = self.0.standing.lock().await;
            if let Ok(link) = self.0.link() {
                standing.open(&link).await?;
            }
            all.retain(|standing| standing.strong_count() > 0);
            all.push(Arc::downgrade(&standing));
        }
        Ok((Subscription(standing), Deliveries(deliveries)))
    }

    /// Says goodbye to the broker, which takes back every delivery. The last event is [`Event::Closed`].
    pub fn close(&self) {
        self.0.close.send_replace(true);
    }
}

/// One subscription, as it survives connections.
struct Standing {
    queues: Vec<Arc<Queue>>,
    after_reconnect: AfterReconnect,
    inbox: Inbox,
    state: AsyncMutex<State>,
}

struct State {
    credit: u16,
    channel: Option<Arc<dyn Channel>>,
    is_closed: bool,
}

impl Standing {
    async fn open(&self, link: &Arc<dyn Link>) -> Result<(), BrokerError> {
        let mut state = self.state.lock().await;
        if !state.is_closed {
            state.channel = Some(link.consume(self.queues.clone(), state.credit, self.inbox.clone()).await?);
        }
        Ok(())
    }

    /// The connection is gone.
    async fn part(&self) {
        let mut state = self.state.lock().await;
        state.channel = None;
        if self.after_reconnect == AfterReconnect::Pause {
            state.credit = 0;
        }
    }
}

/// The control of a subscription. Dropped, it ends as if it were closed, but nobody hears when, or whether it worked.
pub struct Subscription(Arc<Standing>);

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("queues", &self.0.queues).finish_non_exhaustive()
    }
}

impl Subscription {
    /// Changes how many unsettled deliveries it may have. When this returns, no delivery beyond the new credit can
    /// arrive any more: what was on its way is given back. Zero is how a slot takes nothing (PROTOCOL §6).
    ///
    /// # Errors
    /// When the broker does not let it. A lost connection is no error: the credit counts for the next one.
    pub async fn set_credit(&self, credit: u16) -> Result<(), BrokerError> {
        let mut state = self.0.state.lock().await;
        state.credit = credit;
        match &state.channel {
            None => Ok(()),
            Some(channel) => match channel.set_credit(credit).await {
                Err(BrokerError::Lost { .. }) => Ok(()),
                outcome => outcome,
            },
        }
    }

    /// Closes the channel: its deliveries are void, and the broker gives them to others. On a queue with a single
    /// consumer this is what lets the next one in (PROTOCOL L4); taking the credit away is not.
    ///
    /// # Errors
    /// When the broker does not let it.
    pub async fn close(self) -> Result<(), BrokerError> {
        let mut state = self.0.state.lock().await;
        state.is_closed = true;
        match state.channel.take() {
            None => Ok(()),
            Some(channel) => match channel.close().await {
                Err(BrokerError::Lost { .. }) => Ok(()),
                outcome => outcome,
            },
        }
    }
}

/// How a connection ended.
enum End {
    Closed,
    Lost(BrokerError),
}

async fn run(shared: Arc<Shared>, replies: mpsc::UnboundedSender<Reply>, mut closing: watch::Receiver<bool>) {
    let addresses = shared.options.addresses.len().max(1);
    let (mut failed, mut connection) = (0usize, 0u64);
    let mut at = 0usize;
    loop {
        connection += 1;
        let Some(address) = shared.options.addresses.get(at % addresses) else { break };
        let shown = address.to_string();
        let attempt = tokio::select! {
            attempt = establish(&shared, address, connection, &replies) => attempt,
            () = closed(&mut closing) => break,
        };
        match attempt {
            Ok((link, notices)) => {
                let since = Instant::now();
                let end = serve(&shared, notices, &mut closing).await;
                shared.set_current(None);
                part_all(&shared).await;
                // A link that is lost has nobody to say goodbye to; its back end still gives up what it holds.
                let _ = timeout(shared.options.timeout, link.close()).await;
                match end {
                    End::Closed => break,
                    End::Lost(error) => shared.tell(Event::Lost { connection, error }),
                }
                // A broker that lets us in only to throw us out is no better than one that does not.
                failed = if since.elapsed() >= backoff::LONGEST { 0 } else { failed + addresses };
            }
            Err(error) => {
                shared.tell(Event::Failed { address: shown, error });
                failed += 1;
                at += 1;
            }
        }
        // The other addresses are tried before anything is waited for.
        if failed.is_multiple_of(addresses) {
            let rounds = u32::try_from(failed / addresses).unwrap_or(u32::MAX);
            tokio::select! {
                () = sleep(backoff::delay(rounds, fastrand::f64())) => {}
                () = closed(&mut closing) => break,
            }
        }
    }
    shared.set_current(None);
    shared.tell(Event::Closed);
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    if closing.wait_for(|closed| *closed).await.is_err() {
        // Nobody is left who could close it: `run` itself holds the sender, so this cannot be.
        std::future::pending::<()>().await;
    }
}

type Established = (Arc<dyn Link>, mpsc::UnboundedReceiver<Notice>);

async fn establish(
    shared: &Arc<Shared>,
    address: &Address,
    connection: u64,
    replies: &mpsc::UnboundedSender<Reply>,
) -> Result<Established, BrokerError> {
    let options = &shared.options;
    let (notices, hears) = mpsc::unbounded_channel();
    let dial = Dial {
        address: Address { tls: address.tls || options.tls.active, ..address.clone() },
        tls: options.tls.clone(),
        shape: options.shape,
        dead: Arc::new(options.names.dead()),
        heartbeat: options.heartbeat,
        timeout: options.timeout,
        window: options.window.max(1),
        label: options.label.clone(),
        session: shared.session,
        connection,
        former_reply: shared.last_reply().clone(),
        notices,
    };
    let within = |what: &'static str| {
        let address = address.to_string();
        move |_| BrokerError::Unreachable { address, why: format!("no answer in time to {what}") }
    };
    let dialled = async {
        match address.scheme {
            Scheme::Amqp => amqp::dial(dial).await,
            Scheme::Redis => redis::dial(dial).await,
        }
    };
    let link = timeout(options.timeout, dialled).await.map_err(within("a greeting"))??;
    let reply_to = options.names.reply(options.listener, connection);
    *shared.last_reply() = Some(reply_to.clone());
    let ready = async {
        let queues = shared.declared().clone();
        link.declare(&options.names.dead()).await?;
        for queue in &queues {
            link.declare(queue).await?;
        }
        prove(&link, &reply_to, connection, replies).await
    };
    let outcome = match timeout(options.timeout, ready).await.map_err(within("a message to itself")) {
        Ok(Ok(())) => subscribe_all(shared, &link, &reply_to).await,
        Ok(Err(error)) | Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        shared.set_current(None);
        part_all(shared).await;
        let _ = timeout(options.timeout, link.close()).await;
        return Err(error);
    }
    shared.tell(Event::Up { connection, address: address.to_string(), reply_to });
    Ok((link, hears))
}

/// Sends itself a message and waits until it is both confirmed and heard: then publishing, confirming, routing and
/// consuming work on this connection.
async fn prove(
    link: &Arc<dyn Link>,
    reply_to: &Queue,
    connection: u64,
    replies: &mpsc::UnboundedSender<Reply>,
) -> Result<(), BrokerError> {
    let proof = [PROOF, Uuid::new_v4().as_bytes()].concat();
    let heard = Arc::new(Notify::new());
    let (expected, tell, replies) = (proof.clone(), Arc::clone(&heard), replies.clone());
    let hear = move |body: Vec<u8>| {
        if body == expected {
            tell.notify_one();
        } else {
            // Who does not listen does not want to know.
            let _ = replies.send(Reply { connection, body });
        }
    };
    link.declare(reply_to).await?;
    link.listen(reply_to, Box::new(hear)).await?;
    match link.publish(Outgoing::new(reply_to.clone(), proof)).await {
        Published::Confirmed => {}
        Published::Returned { why } | Published::Nacked { why } => return Err(BrokerError::Refused { why }),
        Published::Unknown { why } => return Err(BrokerError::Lost { why }),
    }
    heard.notified().await;
    Ok(())
}

async fn subscribe_all(shared: &Arc<Shared>, link: &Arc<dyn Link>, reply_to: &Queue) -> Result<(), BrokerError> {
    let mut all = shared.standing.lock().await;
    // From here on a new subscription opens itself; before its first delivery one can publish.
    shared.set_current(Some(Current { link: Arc::clone(link), reply_to: reply_to.clone() }));
    all.retain(|standing| standing.strong_count() > 0);
    for standing in all.iter().filter_map(Weak::upgrade) {
        standing.open(link).await?;
    }
    Ok(())
}

async fn part_all(shared: &Shared) {
    let all: Vec<Arc<Standing>> = shared.standing.lock().await.iter().filter_map(Weak::upgrade).collect();
    for standing in all {
        standing.part().await;
    }
}

async fn serve(
    shared: &Shared,
    mut notices: mpsc::UnboundedReceiver<Notice>,
    closing: &mut watch::Receiver<bool>,
) -> End {
    loop {
        let notice = tokio::select! {
            notice = notices.recv() => notice,
            () = closed(closing) => return End::Closed,
        };
        match notice {
            Some(Notice::Lost(error)) => return End::Lost(error),
            None => return End::Lost(BrokerError::lost("it ended without a word")),
            Some(Notice::Blocked(reason)) => shared.tell(Event::Blocked { reason }),
            Some(Notice::Unblocked) => shared.tell(Event::Unblocked),
            Some(Notice::Cancelled { queue, why }) => shared.tell(Event::Cancelled { queue, why }),
        }
    }
}
