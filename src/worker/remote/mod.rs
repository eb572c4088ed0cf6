//! A worker behind a broker: the connection of one incarnation, and what goes out and comes in over it.
//!
//! ```text
//!  updraft.task.<queue> ──► seat (one subscription per slot, credit 1) ──Delivered──► Worker
//!  reply queue ───────────► hear: envelope checked ───────────────────────Told──────► Worker
//!  updraft.scheduler ◄───── letters: signed, what was said in one wake-up ◄──say───── Worker
//! ```
//!
//! It carries and signs. What a claim may do, the claim table says; until when tasks may live, the lease;
//! whether anything is taken, the intake. It never decides about an attempt.

mod hear;
mod letters;
mod seats;

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::broker::{Broker, BrokerError, Delivery, Event, Events, Listener, Options, Outgoing, Published, Replies};
use crate::domain::ids::{Epoch, Incarnation, QueueName, WorkerId};
use crate::protocol::envelope::{Keys, Sender};
use crate::protocol::letter::Told;
use crate::protocol::work::{FromWorker, TaskMessage};

use super::autoscale::Autoscale;
use super::boot_time::BootTime;
use super::intake::Newest;
use super::lease::{Lease, LetterId};
pub use seats::{Parcel, SeatNumber, Seats};

/// What a worker behind a broker must be told beside [`WorkerSettings`](super::WorkerSettings).
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// Where the broker is. Whose reply queue it is and which queues are made, each incarnation says itself.
    pub options: Options,
    pub keys: Keys,
    pub times: RemoteTimes,
    /// The number of slots follows the work between these bounds.
    pub autoscale: Option<Autoscale>,
}

/// The times of PROTOCOL §8 that a worker keeps.
#[derive(Clone, Copy, Debug)]
pub struct RemoteTimes {
    pub heartbeat: Duration,
    pub fence_after: Duration,
    pub spawn_slack: Duration,
    pub worker_lost_after: Duration,
    pub claim_resend: Duration,
    pub claim_wait_max: Duration,
    pub leader_silent: Duration,
    pub long_task_after: Duration,
}

/// What happens at the broker, for the worker's actor.
#[derive(Debug)]
pub enum FromBroker {
    /// Everything that was said in this wake-up shall leave.
    Flush,
    Up {
        connection: u64,
        address: String,
        reply_to: String,
    },
    Lost(BrokerError),
    /// A try to connect failed; another follows.
    Failed {
        address: String,
        error: BrokerError,
    },
    /// What became of a letter. `kept` is what in it nothing else would repeat.
    LetterEnded {
        letter: LetterId,
        connection: u64,
        kept: Vec<FromWorker>,
        published: Published,
    },
    Told {
        epoch: Epoch,
        told: Told,
    },
    Delivered {
        seat: SeatNumber,
        delivery: Delivery,
        task: Box<TaskMessage>,
    },
    /// A seat takes nothing more, and nothing is under way to it.
    SeatIsDry(SeatNumber),
    /// How many messages wait in the worker's queues.
    Waiting(u64),
}

/// How the parts of a connection reach the actor. They are of the incarnation that it was made for.
pub type Tell = Rc<dyn Fn(FromBroker)>;

/// What one connection is to the incarnation that has it.
struct Connected {
    number: u64,
    reply_to: String,
}

/// One incarnation's side of the broker.
pub struct Remote {
    pub settings: Rc<RemoteSettings>,
    tell: Tell,
    broker: Broker,
    sender: Sender,
    connected: Option<Connected>,
    pub seats: Seats,
    pub lease: Lease,
    pub newest: Newest,
    /// The broker confirmed a word of ours over the connection that there is now.
    pub is_confirmed: bool,
    /// The leader that knows this incarnation.
    pub welcome: Option<Epoch>,
    /// The broker has a word of this incarnation, the first of which is `Online`: from then on beats are understood.
    pub has_spoken: bool,
    /// When `Online` was said last.
    pub online_at: Option<Instant>,
    /// Since when the broker takes our words and no leader answers them.
    pub unanswered_since: Option<Instant>,
    pub warned_of_silence: bool,
    pub last_beat: u64,
    last_letter: LetterId,
    outgoing: Vec<FromWorker>,
    flush_is_due: bool,
    /// After `Offline` nothing may be said.
    pub is_silent: bool,
    pub idle_since: Option<Instant>,
}

impl Remote {
    /// Begins to connect for this incarnation.
    ///
    /// # Errors
    /// When no broker can have a queue of that name.
    pub fn open(
        settings: Rc<RemoteSettings>,
        worker: WorkerId,
        incarnation: Incarnation,
        queues: &[QueueName],
        tell: Tell,
    ) -> Result<Self, BrokerError> {
        let mut options = settings.options.clone();
        options.listener = Listener::Worker { worker, incarnation };
        let names = options.names.clone();
        let tasks = queues.iter().map(|queue| names.task(queue)).collect::<Result<Vec<_>, _>>()?;
        // The scheduler's is made here too: a worker that starts first is online with its first word.
        options.queues.extend(tasks.into_iter().chain([names.scheduler()]));
        let (broker, events, replies) = Broker::open(options);
        actix::spawn(follow(events, replies, settings.keys.clone(), Rc::clone(&tell)));
        let lease = Lease::new(settings.times.fence_after);
        let seats = Seats::new(broker.clone(), settings.keys.clone(), queues.to_vec(), Rc::clone(&tell));
        Ok(Self {
            settings,
            tell,
            broker,
            sender: Sender::Worker { worker, incarnation },
            connected: None,
            seats,
            lease,
            newest: Newest::default(),
            is_confirmed: false,
            welcome: None,
            has_spoken: false,
            online_at: None,
            unanswered_since: None,
            warned_of_silence: false,
            last_beat: 0,
            last_letter: 0,
            outgoing: Vec::new(),
            flush_is_due: false,
            is_silent: false,
            idle_since: None,
        })
    }

    pub fn is_connected(&self) -> bool {
        self.connected.is_some()
    }

    /// Keeps a message for the letter that leaves when the actor has read what came with this one.
    pub fn say(&mut self, message: FromWorker) {
        if self.is_silent {
            return;
        }
        self.outgoing.push(message);
        if !self.flush_is_due {
            self.flush_is_due = true;
            (self.tell)(FromBroker::Flush);
        }
    }

    /// Keeps a message for the next letter, whenever that leaves.
    pub fn keep(&mut self, message: FromWorker) {
        self.outgoing.push(message);
    }

    pub fn on_up(&mut self, connection: u64, reply_to: String) {
        self.connected = Some(Connected { number: connection, reply_to });
        self.is_confirmed = false;
    }

    /// What was said and not yet sent is repeated by the rules, except what only its sender knows.
    pub fn on_lost(&mut self) {
        self.connected = None;
        self.is_confirmed = false;
        self.outgoing.retain(letters::is_kept);
        self.seats.close_all();
    }

    /// Whether a confirm was of the connection that there is now.
    pub fn is_of_now(&self, connection: u64) -> bool {
        self.connected.as_ref().is_some_and(|connected| connected.number == connection)
    }

    /// Sends everything that was said since the last time.
    pub fn flush(&mut self) {
        self.flush_is_due = false;
        let Some(connected) = &self.connected else {
            self.outgoing.retain(letters::is_kept);
            return;
        };
        let said = std::mem::take(&mut self.outgoing);
        let to = self.broker.names().scheduler();
        for letter in letters::seal(&self.settings.keys, self.sender, &connected.reply_to, said) {
            self.last_letter += 1;
            let id = self.last_letter;
            if letter.renews {
                // Before it is handed to the broker: a lease may be too short, never too long (W3).
                self.lease.on_sent(id, BootTime::now());
            }
            let receipt = self.broker.publish(Outgoing::new(to.clone(), letter.bytes));
            if !letter.renews && letter.kept.is_empty() {
                // Claims, reports and questions are asked until they are answered: their receipts say nothing new.
                drop(receipt);
                continue;
            }
            let (tell, connection) = (Rc::clone(&self.tell), connected.number);
            actix::spawn(async move {
                let published = receipt.await;
                tell(FromBroker::LetterEnded { letter: id, connection, kept: letter.kept, published });
            });
        }
    }

    /// Asks how much work waits; the answer comes as [`FromBroker::Waiting`].
    pub fn look_at_queues(&self) {
        let (broker, tell, queues) = (self.broker.clone(), Rc::clone(&self.tell), self.seats.queues());
        actix::spawn(async move {
            let mut ready = 0;
            for queue in &queues {
                match broker.depth(queue).await {
                    Ok(depth) => ready += depth.map_or(0, |depth| depth.ready),
                    // Without a connection nobody grows.
                    Err(_) => return,
                }
            }
            tell(FromBroker::Waiting(ready));
        });
    }

    /// The last word, said over this connection and waited for; then the connection is closed.
    pub fn say_goodbye(&mut self, offline: FromWorker) -> impl Future<Output = ()> + 'static {
        self.is_silent = true;
        let sealed = self
            .connected
            .as_ref()
            .map(|connected| letters::seal(&self.settings.keys, self.sender, &connected.reply_to, vec![offline]));
        let to = self.broker.names().scheduler();
        let receipts: Vec<_> = sealed
            .into_iter()
            .flatten()
            .map(|letter| self.broker.publish(Outgoing::new(to.clone(), letter.bytes)))
            .collect();
        let broker = self.broker.clone();
        async move {
            for receipt in receipts {
                match receipt.await {
                    Published::Confirmed => {}
                    Published::Returned { why } | Published::Nacked { why } | Published::Unknown { why } => {
                        tracing::warn!(why, "the broker did not take the goodbye: the scheduler will notice by itself");
                    }
                }
            }
            broker.close();
        }
    }
}

impl Drop for Remote {
    /// The broker takes back what it had delivered (W5).
    fn drop(&mut self) {
        self.broker.close();
    }
}

/// Passes on what the broker says and what comes to the reply queue, until the connection is closed for good.
async fn follow(mut events: Events, mut replies: Replies, keys: Keys, tell: Tell) {
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Up { connection, address, reply_to }) => {
                    tell(FromBroker::Up { connection, address, reply_to: reply_to.name().to_owned() });
                }
                Some(Event::Lost { connection: _, error }) => tell(FromBroker::Lost(error)),
                Some(Event::Failed { address, error }) => tell(FromBroker::Failed { address, error }),
                Some(Event::Blocked { reason }) => {
                    tracing::warn!(reason, "the broker takes no messages for now: leases are not renewed");
                }
                Some(Event::Unblocked) => tracing::info!("the broker takes messages again"),
                Some(Event::Cancelled { queue, why }) => {
                    tracing::warn!(queue, why, "the broker ended a subscription: it begins anew");
                }
                Some(Event::Closed) | None => return,
            },
            reply = replies.recv() => match reply.map(|reply| hear::told(&keys, &reply.body)) {
                Some(Ok((epoch, told))) => tell(FromBroker::Told { epoch, told }),
                Some(Err(why)) => tracing::error!(%why, "an answer is not taken"),
                None => return,
            },
        }
    }
}

/// A way into an unbounded queue whose reader may have ended.
fn put<M>(into: &mpsc::UnboundedSender<M>, message: M) {
    // Who has ended needs no order: its channel at the broker goes with it, and with the channel its delivery.
    let _ = into.send(message);
}
