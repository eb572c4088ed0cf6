//! Redis 6.2 or newer: a stream with one consumer group for each queue, and scripts, so that each step is whole.
//!
//! ```text
//!   publish   exists? room? XADD, PUBLISH (the bell)          one script, many in one round trip
//!   take      what was given back, then what is new            for as many as the credit leaves room for
//!   ack       still mine? XACK, XDEL
//!   give back still mine? XCLAIM to the consumer `free`, bell
//! ```
//! A subscription that has room waits for the bell of its queues; nothing polls.
//!
//! # What differs from RabbitMQ, and is not hidden
//! - **A connection that ends unseen.** RabbitMQ notices a closed socket at once; to Redis a consumer is only a name.
//!   So each session holds a key that expires after three heartbeats, and says in it which connection is its
//!   living one. Others sweep up what belongs to a name that is not alive; a session that comes back releases its
//!   own former connection at once. After `kill -9` its messages return after three heartbeats.
//!   As everywhere, that a message comes again proves nothing (PROTOCOL L6). The reply queue of a killed node
//!   lives as long, so an answer to it is returned only then.
//! - **A confirm means: Redis has it.** Whether that survives a power cut is up to its `appendonly` and
//!   `appendfsync`; whether it survives a failover, to its replicas. RabbitMQ's confirm means the disk.
//! - **An ack is checked**, not addressed: who lost a message to another hears that its delivery is void.
//! - The log's bound counts what is taken and not acknowledged too.
//! - Redis Cluster and Sentinel are not supported: a script touches several keys.

mod channel;
mod connect;
mod publisher;
mod script;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, RedisError, Value};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::error::BrokerError;
use super::link::{Answer, Channel, Depth, Dial, Heard, Inbox, Link, Notice};
use super::message::{MAX_BODY, Outgoing, Published, Receipt};
use super::topology::{Queue, QueueKind};
use channel::RedisChannel;
use publisher::Job;
use script::Scripts;

/// The consumer group of every stream.
const GROUP: &str = "updraft";
/// After so many heartbeats without a sign a session is presumed gone.
const HEARTBEATS: u32 = 3;
/// So many replies are taken at once.
const REPLIES: usize = 100;

/// What every part of a link needs.
struct Core {
    dial: Dial,
    connection: MultiplexedConnection,
    scripts: Scripts,
    /// `<session>.<connection>`; consumers are called `<me>/<n>`.
    me: String,
    /// Where a session says which connection of it lives: this, then the session.
    alive_prefix: String,
    /// The reply queue, once there is one: it lives as long as the session does.
    reply: Mutex<Option<String>>,
    /// Queues whose dead consumers are swept up.
    known: Mutex<BTreeSet<String>>,
    bells: Mutex<HashMap<String, Vec<Arc<Notify>>>>,
    is_gone: AtomicBool,
    gone: watch::Sender<bool>,
}

impl Core {
    fn alive_key(&self) -> String {
        format!("{}{}", self.alive_prefix, self.dial.session)
    }

    fn lifetime_ms(&self) -> u64 {
        u64::try_from((self.dial.heartbeat * HEARTBEATS).as_millis()).unwrap_or(u64::MAX)
    }

    /// The end of the link: everything that was made on it is void.
    fn lose(&self, error: BrokerError) {
        if !self.is_gone.swap(true, Ordering::SeqCst) {
            self.gone.send_replace(true);
            // The session may be gone itself.
            let _ = self.dial.notices.send(Notice::Lost(error));
        }
    }

    fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::SeqCst)
    }

    /// Judges an error of a command: some of them are the end of the link.
    fn failed(&self, error: &RedisError) -> BrokerError {
        let judged = failure(error);
        if matches!(judged, BrokerError::Lost { .. }) {
            self.lose(judged.clone());
        }
        judged
    }

    fn bells(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Notify>>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hangs up a bell. The slots of a task queue share one, which wakes one of them at a time: who finds something
    /// rings again. Elsewhere each has its own, because only one of them may be let in.
    async fn hang_bell(&self, queue: &Queue) -> Result<Arc<Notify>, BrokerError> {
        let bell = {
            let mut bells = self.bells();
            let hung = bells.entry(queue.name().to_owned()).or_default();
            match (queue.kind(), hung.first()) {
                (QueueKind::Task, Some(shared)) => Arc::clone(shared),
                (QueueKind::Task | QueueKind::Scheduler | QueueKind::Reply | QueueKind::Log | QueueKind::Dead, _) => {
                    let bell = Arc::new(Notify::new());
                    hung.push(Arc::clone(&bell));
                    bell
                }
            }
        };
        let mut connection = self.connection.clone();
        connection.subscribe(queue.name()).await.map_err(|error| self.failed(&error))?;
        Ok(bell)
    }

    fn take_down(&self, queue: &Queue, bell: &Arc<Notify>) {
        if queue.kind() != QueueKind::Task {
            let mut bells = self.bells();
            if let Some(hung) = bells.get_mut(queue.name()) {
                hung.retain(|other| !Arc::ptr_eq(other, bell));
            }
        }
    }

    fn ring(&self, queue: &str) {
        for bell in self.bells().get(queue).into_iter().flatten() {
            bell.notify_one();
        }
    }

    fn know(&self, queue: &Queue) {
        if queue.kind().is_durable() {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.name().to_owned());
        }
    }

    fn forget(&self, queue: &Queue) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(queue.name());
    }

    async fn declare(&self, queue: &Queue) -> Result<(), BrokerError> {
        let mut connection = self.connection.clone();
        let mut create = redis::cmd("XGROUP");
        create.arg("CREATE").arg(queue.name()).arg(GROUP).arg("0").arg("MKSTREAM");
        match create.query_async::<()>(&mut connection).await {
            Ok(()) => {}
            Err(error) if error.code() == Some("BUSYGROUP") => {}
            Err(error) if error.code() == Some("WRONGTYPE") => {
                let why = "a key of another type has its name".to_owned();
                return Err(BrokerError::Mismatch { queue: queue.to_string(), property: "type".to_owned(), why });
            }
            Err(error) => return Err(self.failed(&error)),
        }
        if queue.kind() == QueueKind::Reply {
            let mut expire = redis::cmd("PEXPIRE");
            expire.arg(queue.name()).arg(self.lifetime_ms());
            expire.query_async::<()>(&mut connection).await.map_err(|error| self.failed(&error))?;
            *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = Some(queue.name().to_owned());
        }
        self.know(queue);
        Ok(())
    }

    /// Takes what belongs to the dead from these queues.
    async fn sweep(&self, queues: &[String]) -> Result<(), RedisError> {
        let mut connection = self.connection.clone();
        let mut call = self.scripts.sweep.call(queues.len());
        call.arg(queues).arg(GROUP).arg(&self.alive_prefix);
        call.query_async::<()>(&mut connection).await
    }
}

struct RedisLink {
    core: Arc<Core>,
    publisher: mpsc::UnboundedSender<Job>,
    me: std::sync::Weak<RedisLink>,
}

/// Connects and says that this connection is the living one of its session.
pub(super) async fn dial(dial: Dial) -> Result<Arc<dyn Link>, BrokerError> {
    let (pushes, hears) = mpsc::unbounded_channel();
    let connection = connect::connect(&dial, pushes).await?;
    let scripts = Scripts::load(connection.clone()).await.map_err(|error| failure(&error))?;
    let prefix = dial.dead.name().strip_suffix("dead").unwrap_or_default().to_owned();
    let core = Arc::new(Core {
        me: format!("{}.{}", dial.session, dial.connection),
        alive_prefix: format!("{prefix}alive."),
        dial,
        connection,
        scripts,
        reply: Mutex::new(None),
        known: Mutex::new(BTreeSet::new()),
        bells: Mutex::new(HashMap::new()),
        is_gone: AtomicBool::new(false),
        gone: watch::channel(false).0,
    });
    let mut alive = redis::pipe();
    alive.cmd("SET").arg(core.alive_key()).arg(core.dial.connection).arg("PX").arg(core.lifetime_ms()).ignore();
    if let Some(former) = &core.dial.former_reply {
        // RabbitMQ would have deleted it with its connection; here it would take answers until it expires.
        alive.del(former.name()).ignore();
    }
    alive.query_async::<()>(&mut core.connection.clone()).await.map_err(|error| failure(&error))?;
    tokio::spawn(hear(Arc::clone(&core), hears));
    tokio::spawn(beat(Arc::clone(&core)));
    let publisher = publisher::start(&core);
    Ok(Arc::new_cyclic(|me| RedisLink { core, publisher, me: me.clone() }))
}

/// Rings the bells, until the connection ends.
async fn hear(core: Arc<Core>, mut pushes: mpsc::UnboundedReceiver<PushInfo>) {
    let mut gone = core.gone.subscribe();
    loop {
        let push = tokio::select! {
            push = pushes.recv() => push,
            _ = gone.wait_for(|gone| *gone) => return,
        };
        match push {
            None => break,
            Some(PushInfo { kind: PushKind::Disconnection, .. }) => break,
            Some(PushInfo { kind: PushKind::Message, data }) => {
                if let Some(Value::BulkString(queue)) = data.first() {
                    core.ring(&String::from_utf8_lossy(queue));
                }
            }
            // Answers to SUBSCRIBE, and kinds that were not asked for.
            Some(_) => {}
        }
    }
    core.lose(BrokerError::lost("the connection ended"));
}

/// Says that this session lives, and sweeps up after those that do not.
async fn beat(core: Arc<Core>) {
    let mut gone = core.gone.subscribe();
    let mut ticks = interval(core.dial.heartbeat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = gone.wait_for(|gone| *gone) => return,
        }
        let reply = core.reply.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut connection = core.connection.clone();
        let mut call = core.scripts.beat.call(2);
        call.arg(core.alive_key()).arg(reply.unwrap_or_default());
        call.arg(core.dial.connection).arg(core.lifetime_ms());
        match call.query_async::<i64>(&mut connection).await {
            Ok(1) => {}
            Ok(_) => core.lose(BrokerError::lost("it was silent for so long that others took its messages")),
            Err(error) => core.lose(BrokerError::lost(said(&error))),
        }
        let known: Vec<String> = core.known.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        if !core.is_gone()
            && let Err(error) = core.sweep(&known).await
        {
            core.failed(&error);
        }
    }
}

fn said(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (_, Some(detail)) => detail.to_owned(),
        (Some(_) | None, None) => error.to_string(),
    }
}

fn failure(error: &RedisError) -> BrokerError {
    match error.code() {
        // A replica now, or busy coming up: another connection may find the one that takes writes.
        Some("READONLY" | "LOADING" | "MASTERDOWN" | "NOSCRIPT") => BrokerError::lost(said(error)),
        Some("NOPERM") => BrokerError::Forbidden { why: said(error) },
        Some(_) if !error.is_io_error() => BrokerError::Refused { why: said(error) },
        Some(_) | None => BrokerError::lost(said(error)),
    }
}

impl Drop for RedisLink {
    /// A link that is given up half made must not go on saying that it lives.
    fn drop(&mut self) {
        self.core.is_gone.store(true, Ordering::SeqCst);
        self.core.gone.send_replace(true);
    }
}

impl Link for RedisLink {
    fn declare<'a>(&'a self, queue: &'a Queue) -> Answer<'a, ()> {
        Box::pin(self.core.declare(queue))
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
            let bell = self.core.hang_bell(queue).await?;
            tokio::spawn(listen(Arc::clone(&self.core), queue.clone(), bell, heard));
            Ok(())
        })
    }

    fn consume<'a>(&'a self, queues: Vec<Arc<Queue>>, credit: u16, inbox: Inbox) -> Answer<'a, Arc<dyn Channel>> {
        Box::pin(async move {
            let channel = RedisChannel::open(&self.core, self.me.clone(), queues, credit, inbox).await?;
            Ok(Arc::new(channel) as Arc<dyn Channel>)
        })
    }

    fn depth<'a>(&'a self, queue: &'a Queue) -> Answer<'a, Option<Depth>> {
        Box::pin(async move {
            let mut call = self.core.scripts.depth.call(1);
            call.arg(queue.name()).arg(GROUP);
            let depth: Option<(u64, u32)> =
                call.query_async(&mut self.core.connection.clone()).await.map_err(|error| self.core.failed(&error))?;
            Ok(depth.map(|(ready, consumers)| Depth { ready, consumers }))
        })
    }

    fn remove<'a>(&'a self, queue: &'a Queue) -> Answer<'a, ()> {
        Box::pin(async move {
            self.core.forget(queue);
            let mut remove = redis::pipe();
            remove.del(queue.name()).ignore().del(format!("{}.owner", queue.name())).ignore();
            remove.cmd("PUBLISH").arg(queue.name()).arg("").ignore();
            let removed = remove.query_async::<()>(&mut self.core.connection.clone()).await;
            removed.map_err(|error| self.core.failed(&error))
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            if self.core.is_gone.swap(true, Ordering::SeqCst) {
                return Ok(());
            }
            // From now on this session is dead to the others, and so to its own sweep.
            let reply = self.core.reply.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let known: Vec<String> =
                self.core.known.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
            let mut goodbye = redis::pipe();
            goodbye.del(self.core.alive_key()).ignore().del(reply.unwrap_or_default()).ignore();
            let mut connection = self.core.connection.clone();
            let parted = match goodbye.query_async::<()>(&mut connection).await {
                Ok(()) => self.core.sweep(&known).await,
                Err(error) => Err(error),
            };
            self.core.gone.send_replace(true);
            parted.map_err(|error| BrokerError::lost(said(&error)))
        })
    }
}

/// Hears the reply queue until the link ends.
async fn listen(core: Arc<Core>, queue: Queue, bell: Arc<Notify>, heard: Heard) {
    let mut gone = core.gone.subscribe();
    loop {
        let mut call = core.scripts.listen.call(1);
        call.arg(queue.name()).arg(GROUP).arg(&core.me).arg(REPLIES);
        let replies: Vec<Vec<u8>> = match call.query_async(&mut core.connection.clone()).await {
            Ok(replies) => replies,
            Err(error) => {
                // Without its ear a node is deaf to every answer: only a new connection helps.
                core.lose(BrokerError::lost(format!("the reply queue {queue}: {}", said(&error))));
                return;
            }
        };
        if !replies.is_empty() {
            replies.into_iter().for_each(&heard);
            continue;
        }
        tokio::select! {
            () = bell.notified() => {}
            _ = gone.wait_for(|gone| *gone) => return,
        }
    }
}
