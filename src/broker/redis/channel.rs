//! One subscription, driven by one task (the pump): takes as many as there is room for, then waits for a bell.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::select_all;
use redis::RedisError;
use tokio::sync::{Notify, mpsc, oneshot};

use super::super::error::BrokerError;
use super::super::ledger::Ledger;
use super::super::link::{Answer, Channel, Inbox, Link, Notice};
use super::super::message::{Delivery, Hold, Settle};
use super::super::topology::{Queue, QueueKind};
use super::{Core, GROUP, RedisLink, failure, said};

/// Between two tries to take from a queue that cannot be made.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Everything of a subscription is one source: the count is ours, not the server's.
const SOURCE: u64 = 0;

static CHANNELS: AtomicU64 = AtomicU64::new(0);

pub(super) struct RedisChannel {
    commands: mpsc::UnboundedSender<Command>,
}

enum Command {
    Credit(u16, oneshot::Sender<()>),
    Close(oneshot::Sender<Result<(), BrokerError>>),
}

struct Pump {
    core: Arc<Core>,
    link: Weak<RedisLink>,
    consumer: Arc<str>,
    /// False once the subscription is closed; its deliveries are void then.
    alive: Arc<AtomicBool>,
    ledger: Arc<Ledger>,
    queues: Vec<Arc<Queue>>,
    /// Beside `queues`.
    bells: Vec<Arc<Notify>>,
    /// Which queue is asked first, so that none starves.
    turn: usize,
    inbox: Inbox,
}

/// What a taken entry is: which queue, whether it was given back, its id, its body, its headers.
type Taken = (usize, i64, String, Vec<u8>, String);

impl RedisChannel {
    pub(super) async fn open(
        core: &Arc<Core>,
        link: Weak<RedisLink>,
        queues: Vec<Arc<Queue>>,
        credit: u16,
        inbox: Inbox,
    ) -> Result<Self, BrokerError> {
        let mut bells = Vec::new();
        for queue in &queues {
            core.declare(queue).await?;
            bells.push(core.hang_bell(queue).await?);
        }
        let number = CHANNELS.fetch_add(1, Ordering::Relaxed);
        let mut pump = Pump {
            core: Arc::clone(core),
            link,
            consumer: format!("{}/{number}", core.me).into(),
            alive: Arc::new(AtomicBool::new(true)),
            ledger: Arc::new(Ledger::new(credit)),
            queues,
            bells,
            turn: 0,
            inbox,
        };
        pump.enter().await.map_err(|error| core.failed(&error))?;
        let (commands, hears) = mpsc::unbounded_channel();
        tokio::spawn(async move { pump.run(hears).await });
        Ok(Self { commands })
    }
}

fn gone() -> BrokerError {
    BrokerError::lost("the channel is gone")
}

impl Channel for RedisChannel {
    fn set_credit(&self, credit: u16) -> Answer<'_, ()> {
        Box::pin(async move {
            let (answer, hears) = oneshot::channel();
            self.commands.send(Command::Credit(credit, answer)).map_err(|_| gone())?;
            hears.await.map_err(|_| gone())
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let (answer, hears) = oneshot::channel();
            self.commands.send(Command::Close(answer)).map_err(|_| gone())?;
            hears.await.map_err(|_| gone())?
        })
    }
}

/// What woke the pump.
enum Woken {
    Command(Option<Command>),
    Something,
    Gone,
}

impl Pump {
    /// Sweeps up what former connections held, and becomes a consumer that can be counted.
    async fn enter(&mut self) -> Result<(), RedisError> {
        let names: Vec<String> = self.queues.iter().map(ToString::to_string).collect();
        self.core.sweep(&names).await?;
        let mut connection = self.core.connection.clone();
        for name in names {
            let mut create = redis::cmd("XGROUP");
            create.arg("CREATECONSUMER").arg(name).arg(GROUP).arg(&*self.consumer);
            create.query_async::<()>(&mut connection).await?;
        }
        Ok(())
    }

    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut gone = self.core.gone.subscribe();
        loop {
            if let Err(error) = self.take().await
                && !self.begin_anew(&error, &mut commands).await
            {
                break;
            }
            let has_room = self.ledger.room() > 0;
            let woken = tokio::select! {
                command = commands.recv() => Woken::Command(command),
                () = self.ledger.changed() => Woken::Something,
                () = any(&self.bells), if has_room => Woken::Something,
                _ = gone.wait_for(|gone| *gone) => Woken::Gone,
            };
            match woken {
                Woken::Something => {}
                Woken::Gone => break,
                Woken::Command(Some(Command::Credit(credit, answer))) => {
                    self.ledger.set_credit(credit);
                    // Who asked may be gone.
                    let _ = answer.send(());
                }
                Woken::Command(Some(Command::Close(answer))) => {
                    let _ = answer.send(self.leave().await);
                    break;
                }
                Woken::Command(None) => {
                    // Nobody holds the subscription any more; what fails here is swept up by others.
                    let _ = self.leave().await;
                    break;
                }
            }
        }
        self.alive.store(false, Ordering::SeqCst);
        for (queue, bell) in self.queues.iter().zip(&self.bells) {
            self.core.take_down(queue, bell);
            // The bell may have rung for one who does not hear it any more.
            self.core.ring(queue.name());
        }
    }

    /// Takes until there is no room or nothing to take.
    async fn take(&mut self) -> Result<(), RedisError> {
        loop {
            let room = self.ledger.room();
            if room == 0 {
                return Ok(());
            }
            let order: Vec<usize> = (0..self.queues.len()).map(|step| (self.turn + step) % self.queues.len()).collect();
            let mut call = self.core.scripts.take.call(order.len());
            for queue in &order {
                call.arg(self.queues[*queue].name());
            }
            call.arg(GROUP).arg(&*self.consumer).arg(room).arg(&self.core.alive_prefix);
            for queue in &order {
                call.arg(i32::from(self.queues[*queue].kind() == QueueKind::Scheduler));
            }
            let taken: Vec<Taken> = call.query_async(&mut self.core.connection.clone()).await?;
            if taken.is_empty() {
                return Ok(());
            }
            for (key, back, id, body, headers) in taken {
                let queue = order[key - 1];
                self.turn = (queue + 1) % self.queues.len();
                self.hand_out(queue, back == 1, id, body, &headers);
            }
            for queue in &self.queues {
                // There may be more, for another slot of this node.
                self.core.ring(queue.name());
            }
        }
    }

    fn hand_out(&self, queue: usize, redelivered: bool, id: String, body: Vec<u8>, headers: &str) {
        self.ledger.hand_out(SOURCE);
        let hold = Held {
            core: Arc::clone(&self.core),
            queue: Arc::clone(&self.queues[queue]),
            consumer: Arc::clone(&self.consumer),
            id,
            ledger: Arc::clone(&self.ledger),
            alive: Arc::clone(&self.alive),
        };
        let link: Weak<dyn Link> = Weak::<RedisLink>::clone(&self.link);
        let delivery = Delivery {
            queue: Arc::clone(&self.queues[queue]),
            body,
            // Headers that are no JSON are a stranger's, and mean nothing here.
            headers: serde_json::from_str(headers).unwrap_or_default(),
            redelivered,
            connection: self.core.dial.connection,
            hold: Box::new(hold),
            link,
            dead: Arc::clone(&self.core.dial.dead),
        };
        // Nobody reads any more: the pump ends as soon as its last holder is gone, and gives it back.
        let _ = self.inbox.send(delivery);
    }

    async fn leave(&mut self) -> Result<(), BrokerError> {
        self.alive.store(false, Ordering::SeqCst);
        let mut call = self.core.scripts.release.call(self.queues.len());
        for queue in &self.queues {
            call.arg(queue.name());
        }
        call.arg(GROUP).arg(&*self.consumer);
        let released = call.query_async::<()>(&mut self.core.connection.clone()).await;
        released.map_err(|error| self.core.failed(&error))
    }

    /// A queue was deleted, or the server refuses. False: the link is gone.
    async fn begin_anew(&mut self, error: &RedisError, commands: &mut mpsc::UnboundedReceiver<Command>) -> bool {
        let mut error = self.core.failed(error);
        let mut credit = u16::try_from(self.ledger.credit()).unwrap_or(u16::MAX);
        loop {
            if self.core.is_gone() {
                return false;
            }
            let queue = self.queues.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let _ = self.core.dial.notices.send(Notice::Cancelled { queue, why: error.to_string() });
            self.alive.store(false, Ordering::SeqCst);
            self.alive = Arc::new(AtomicBool::new(true));
            self.ledger = Arc::new(Ledger::new(credit));
            match self.make_queues().await {
                Ok(()) => return true,
                Err(refusal) => error = refusal,
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN_AFTER) => {}
                command = commands.recv() => match command {
                    None => return false,
                    Some(Command::Close(answer)) => {
                        // Who asked may be gone.
                        let _ = answer.send(Ok(()));
                        return false;
                    }
                    Some(Command::Credit(new, answer)) => {
                        credit = new;
                        let _ = answer.send(());
                    }
                },
            }
        }
    }

    async fn make_queues(&mut self) -> Result<(), BrokerError> {
        for queue in &self.queues {
            self.core.declare(queue).await?;
        }
        self.enter().await.map_err(|error| self.core.failed(&error))?;
        self.take().await.map_err(|error| self.core.failed(&error))
    }
}

/// Until one of the bells rings. A ring that another branch wins is passed on to the next who waits.
async fn any(bells: &[Arc<Notify>]) {
    let waits: Vec<Pin<Box<_>>> = bells.iter().map(|bell| Box::pin(bell.notified())).collect();
    select_all(waits).await;
}

/// One delivery's side of the stream.
struct Held {
    core: Arc<Core>,
    queue: Arc<Queue>,
    consumer: Arc<str>,
    id: String,
    ledger: Arc<Ledger>,
    alive: Arc<AtomicBool>,
}

impl Hold for Held {
    fn is_void(&self) -> bool {
        !self.alive.load(Ordering::SeqCst) || self.core.is_gone()
    }

    fn settle(self: Box<Self>, how: Settle) -> Answer<'static, ()> {
        Box::pin(async move {
            if self.is_void() {
                return Err(BrokerError::Void);
            }
            let script = match how {
                Settle::Ack => &self.core.scripts.ack,
                Settle::GiveBack => &self.core.scripts.give_back,
            };
            let mut call = script.call(1);
            call.arg(self.queue.name()).arg(GROUP).arg(&*self.consumer).arg(&self.id);
            let settled: Result<i64, RedisError> = call.query_async(&mut self.core.connection.clone()).await;
            self.ledger.settle(SOURCE);
            match settled {
                Ok(1) => Ok(()),
                Ok(_) => Err(BrokerError::Void),
                Err(error) => match failure(&error) {
                    lost @ BrokerError::Lost { .. } => {
                        self.core.lose(lost);
                        Err(BrokerError::Void)
                    }
                    refused => Err(BrokerError::Refused { why: format!("{}: {refused}", said(&error)) }),
                },
            }
        })
    }
}
