//! Keeps a worker visible: connects, says what happened, answers, and does it again when the connection is lost.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};

use super::core::{Core, Effect};
use super::event::BEAT_SECONDS;
use super::machine::Vitals;
use super::mailbox::{Mailbox, queue_name};
use super::view::{About, News, Order, WorkerView};
use super::witness::Witness;
use crate::broker::address::Address;
use crate::broker::backoff;
use crate::broker::error::BrokerError;
use crate::broker::link::Dial;
use crate::broker::session::Options;

/// How long events of tasks gather before they leave together.
const GATHERS: Duration = Duration::from_millis(100);

/// How long the broker may take to hear the goodbye; without it viewers find out by themselves.
const GOODBYE: Duration = Duration::from_secs(2);

/// After which is tried again what a person has to mend, such as a name that another worker has.
const PATIENCE: Duration = Duration::from_secs(30);

/// Orders that the worker has not read yet. More are not taken: nobody honest is that fast.
const MOST_ORDERS: usize = 64;

/// What a worker gets that shows itself to Celery's tools.
#[derive(Debug)]
pub struct Post {
    /// For the worker to tell what happens.
    pub witness: Witness,
    /// For the worker to carry out.
    pub orders: mpsc::Receiver<Order>,
    pub presence: Presence,
}

/// As long as it is held, the worker is shown.
#[derive(Debug)]
pub struct Presence {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Presence {
    /// Says that the worker is offline, and waits a moment until the broker has heard it.
    pub async fn leave(self) {
        // It may have ended by itself only with its runtime.
        let _ = self.stop.send(());
        let _ = timeout(GOODBYE, self.ended).await;
    }
}

/// Shows a worker to Celery's tools from now on, at first as this `view` has it. Must be called within a tokio runtime, with addresses of RabbitMQ.
///
/// # Errors
/// When its name is too long for the broker.
pub fn announce(options: Options, about: About, view: WorkerView) -> Result<Post, BrokerError> {
    queue_name(&about.name)?;
    let (news, hears) = mpsc::unbounded_channel();
    let (orders, takes) = mpsc::channel(MOST_ORDERS);
    let (stop, stopped) = oneshot::channel();
    let post = Attendant { core: Core::new(about, view), options, news: hears, orders, stopped };
    let ended = tokio::spawn(post.run());
    Ok(Post { witness: Witness::new(news), orders: takes, presence: Presence { stop, ended } })
}

struct Attendant {
    core: Core,
    options: Options,
    news: mpsc::UnboundedReceiver<News>,
    orders: mpsc::Sender<Order>,
    stopped: oneshot::Receiver<()>,
}

/// How a connection ended.
enum End {
    Left,
    Lost(BrokerError),
}

impl Attendant {
    async fn run(mut self) {
        let (mut failed, mut reason) = (0, None);
        loop {
            let about = self.core.about();
            let (name, remote_control) = (about.name.clone(), about.remote_control);
            let (mut mailbox, address) = tokio::select! {
                connected = connect(&self.options, &name, remote_control, failed, &mut reason) => connected,
                () = keep_up(&mut self.core, &mut self.news) => return,
                _ = &mut self.stopped => return,
            };
            tracing::info!(%address, name, remote_control, "visible to Celery's tools");
            let since = Instant::now();
            let end = self.serve(&mut mailbox, address).await;
            // A connection that is lost has nobody to say goodbye to.
            let _ = timeout(GOODBYE, mailbox.close()).await;
            match end {
                End::Left => return,
                End::Lost(error) => tracing::info!(%error, "not visible to Celery's tools: tried again"),
            }
            failed = if since.elapsed() >= backoff::LONGEST { 0 } else { failed + 1 };
        }
    }

    async fn serve(&mut self, mailbox: &mut Mailbox, address: Address) -> End {
        let online = self.core.on_connected(address, Utc::now(), &Vitals::read());
        if let Err(error) = self.perform(mailbox, vec![online]).await {
            return End::Lost(error);
        }
        let period = Duration::from_secs(BEAT_SECONDS);
        let mut beat = interval_at(Instant::now() + period, period);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut flush_at, mut news_end) = (None, false);
        let mut batch = Vec::new();
        loop {
            if self.core.has_waiting() {
                flush_at.get_or_insert_with(|| Instant::now() + GATHERS);
            }
            let flush = flush_at.unwrap_or_else(Instant::now);
            let effects = tokio::select! {
                _ = &mut self.stopped => return self.leave(mailbox).await,
                arrived = mailbox.next() => match arrived {
                    Ok(request) => self.core.on_request(&request.body, request.clock, Utc::now(), &Vitals::read()),
                    Err(error) => return End::Lost(error),
                },
                taken = self.news.recv_many(&mut batch, 256), if !news_end => {
                    news_end = taken == 0;
                    batch.drain(..).for_each(|news| self.core.on_news(news, Utc::now()));
                    Vec::new()
                }
                _ = beat.tick() => vec![self.core.on_beat(Utc::now(), &Vitals::read())],
                () = sleep_until(flush), if flush_at.is_some() => {
                    flush_at = None;
                    std::iter::from_fn(|| self.core.flush()).collect()
                }
            };
            if let Err(error) = self.perform(mailbox, effects).await {
                return End::Lost(error);
            }
        }
    }

    async fn leave(&mut self, mailbox: &mut Mailbox) -> End {
        while let Ok(news) = self.news.try_recv() {
            self.core.on_news(news, Utc::now());
        }
        let mut effects: Vec<Effect> = std::iter::from_fn(|| self.core.flush()).collect();
        effects.push(self.core.on_leaving(Utc::now(), &Vitals::read()));
        if let Err(error) = self.perform(mailbox, effects).await {
            tracing::debug!(%error, "Celery's tools will notice by themselves that the worker is gone");
        }
        End::Left
    }

    async fn perform(&self, mailbox: &mut Mailbox, effects: Vec<Effect>) -> Result<(), BrokerError> {
        for effect in effects {
            match effect {
                Effect::Tell { routing_key, body } => {
                    let node = &self.core.about().name;
                    self.in_time(mailbox.tell(node, &routing_key, &body)).await?;
                }
                Effect::Answer { routing_key, ticket, clock, body } => {
                    self.in_time(mailbox.answer(&routing_key, ticket.as_deref(), clock, &body)).await?;
                }
                Effect::Order(order) => {
                    tracing::info!(?order, "ordered by Celery's remote control");
                    if self.orders.try_send(order).is_err() {
                        tracing::warn!("the worker does not take the order: too many at once, or it has left");
                    }
                }
            }
        }
        Ok(())
    }

    /// A broker that takes no messages must not keep us from hearing what the worker says.
    async fn in_time(&self, sent: impl Future<Output = Result<(), BrokerError>>) -> Result<(), BrokerError> {
        let late = |_| BrokerError::lost("the broker takes no messages");
        timeout(self.options.timeout, sent).await.map_err(late)?
    }
}

/// Without a connection the worker is still watched: what it holds is known when there is one.
async fn keep_up(core: &mut Core, news: &mut mpsc::UnboundedReceiver<News>) {
    while let Some(news) = news.recv().await {
        core.on_news(news, Utc::now());
    }
    // The worker has left; whoever holds the presence ends it.
    std::future::pending().await
}

/// Tries the addresses in turn until one lets us in. Each new reason is said once.
async fn connect(
    options: &Options,
    name: &str,
    remote_control: bool,
    mut failed: u32,
    reason: &mut Option<String>,
) -> (Mailbox, Address) {
    let mut needs_somebody = false;
    loop {
        let pause = if needs_somebody { PATIENCE } else { backoff::delay(failed, fastrand::f64()) };
        sleep(pause).await;
        for address in &options.addresses {
            let dial = dial(options, address);
            let opened = timeout(options.timeout, Mailbox::open(&dial, name, remote_control)).await;
            let late =
                || BrokerError::Unreachable { address: address.to_string(), why: "no answer in time".to_owned() };
            match opened.unwrap_or_else(|_| Err(late())) {
                Ok(mailbox) => {
                    *reason = None;
                    return (mailbox, dial.address);
                }
                Err(error) => {
                    needs_somebody = !matches!(error, BrokerError::Unreachable { .. } | BrokerError::Lost { .. });
                    let error = error.to_string();
                    if reason.as_ref() != Some(&error) {
                        tracing::warn!(error, "the worker is not visible to Celery's tools: tried again");
                    }
                    *reason = Some(error);
                }
            }
        }
        failed = failed.saturating_add(1);
    }
}

fn dial(options: &Options, address: &Address) -> Dial {
    // Nobody asks this connection for its notices: its mailbox sees by itself when it ends.
    let (notices, _) = mpsc::unbounded_channel();
    Dial {
        address: Address { tls: address.tls || options.tls.active, ..address.clone() },
        tls: options.tls.clone(),
        shape: options.shape,
        dead: Arc::new(options.names.dead()),
        heartbeat: options.heartbeat,
        timeout: options.timeout,
        window: options.window,
        label: format!("{} for Celery's tools", options.label),
        session: uuid::Uuid::new_v4(),
        connection: 0,
        former_reply: None,
        notices,
    }
}
