//! What a broker must do to be ours, told once and tried on every kind.
//!
//! RabbitMQ is at `UPDRAFT_TEST_RABBITMQ`, Redis at `UPDRAFT_TEST_REDIS` (default: at the usual ports of this
//! machine). Without one the stories fail, unless that variable is `none`.

mod faults;
mod flow;
mod kill;
mod limits;
mod proxy;
mod refusals;
mod servers;
mod tls;

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use crate::domain::ids::QueueName;
use crate::protocol::envelope::Installation;

use super::*;

/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rabbit,
    RabbitQuorum,
    Redis,
}

/// An installation of its own on a broker; its queues are deleted when the story ends well.
struct Bed {
    kind: Kind,
    names: Names,
    address: Address,
    queues: Mutex<Vec<Queue>>,
}

/// A broker that is up, as a node has it.
struct Node {
    broker: Broker,
    events: Events,
    replies: Replies,
    connection: u64,
    reply_to: Queue,
}

fn address(variable: &str, usual: &str) -> Option<Address> {
    let text = std::env::var(variable).unwrap_or_else(|_| usual.to_owned());
    (text != "none").then(|| Address::parse_all(&text).expect("an address to test with").remove(0))
}

impl Bed {
    fn new(kind: Kind) -> Option<Self> {
        let address = match kind {
            Kind::Rabbit | Kind::RabbitQuorum => {
                address("UPDRAFT_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672/")?
            }
            Kind::Redis => address("UPDRAFT_TEST_REDIS", "redis://127.0.0.1:6379/0")?,
        };
        let installation = format!("test-{}", Uuid::new_v4().simple());
        let names = Names::new(Installation::new(installation).expect("a good name"));
        let queues = Mutex::new(vec![names.dead()]);
        Some(Self { kind, names, address, queues })
    }

    fn options(&self) -> Options {
        let listener = Listener::Node(Uuid::new_v4());
        let mut options = Options::new(vec![self.address.clone()], self.names.clone(), listener);
        options.heartbeat = Duration::from_secs(2);
        options.label = format!("updraft test {}", Uuid::new_v4().simple());
        if self.kind == Kind::RabbitQuorum {
            options.shape.queue_type = QueueType::Quorum;
        }
        options
    }

    fn remember(&self, queue: Queue) -> Queue {
        self.queues.lock().expect("not poisoned").push(queue.clone());
        queue
    }

    fn task(&self, name: &str) -> Queue {
        self.remember(self.names.task(&QueueName::new(name).expect("a name")).expect("short"))
    }

    fn scheduler(&self) -> Queue {
        self.remember(self.names.scheduler())
    }

    fn log(&self) -> Queue {
        self.remember(self.names.log())
    }

    async fn node(&self) -> Node {
        self.node_with(self.options()).await
    }

    async fn node_with(&self, options: Options) -> Node {
        let (broker, events, replies) = Broker::open(options);
        let reply_to = self.names.dead();
        let mut node = Node { broker, events, replies, connection: 0, reply_to };
        node.up().await;
        node
    }

    async fn sweep(&self) {
        let node = self.node().await;
        let queues = self.queues.lock().expect("not poisoned").clone();
        for queue in queues {
            node.broker.remove(&queue).await.expect("a queue that can be deleted");
        }
        node.close().await;
    }
}

impl Node {
    async fn event(&mut self) -> Event {
        let event = timeout(PATIENCE, self.events.recv()).await;
        event.expect("an event in time").expect("the session lives")
    }

    /// Waits for an event of a kind; the others are passed over.
    async fn event_like<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            let event = self.event().await;
            if let Some(found) = wanted(&event) {
                return found;
            }
            eprintln!("passed over: {event:?}");
        }
    }

    async fn up(&mut self) {
        let (connection, reply_to) = self
            .event_like(|event| match event {
                Event::Up { connection, reply_to, .. } => Some((*connection, reply_to.clone())),
                _ => None,
            })
            .await;
        self.connection = connection;
        self.reply_to = reply_to;
    }

    async fn lost(&mut self) -> BrokerError {
        self.event_like(|event| match event {
            Event::Lost { error, .. } => Some(error.clone()),
            _ => None,
        })
        .await
    }

    async fn publish(&self, to: &Queue, body: impl Into<Vec<u8>>) -> Published {
        ended(self.broker.publish(Outgoing::new(to.clone(), body))).await
    }

    async fn put(&self, to: &Queue, bodies: &[&str]) {
        for body in bodies {
            assert_eq!(self.publish(to, *body).await, Published::Confirmed, "{body}");
        }
    }

    async fn subscribe(&self, queues: &[&Queue], credit: u16) -> (Subscription, Deliveries) {
        let queues: Vec<Queue> = queues.iter().copied().cloned().collect();
        self.broker.subscribe(&queues, credit, AfterReconnect::Resume).await.expect("a subscription")
    }

    async fn depth(&self, queue: &Queue) -> Depth {
        self.broker.depth(queue).await.expect("an answer").expect("the queue is there")
    }

    /// Waits until so many messages are ready; what a broker says about depth may lag a little behind.
    async fn depth_becomes(&self, queue: &Queue, ready: u64) {
        let reached = async {
            loop {
                if self.depth(queue).await.ready == ready {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(PATIENCE, reached).await.is_err() {
            panic!("{queue} holds {:?}, expected {ready} ready", self.depth(queue).await);
        }
    }

    async fn close(mut self) {
        self.broker.close();
        self.event_like(|event| (*event == Event::Closed).then_some(())).await;
    }
}

async fn ended(receipt: Receipt) -> Published {
    timeout(PATIENCE, receipt).await.expect("every publish ends")
}

async fn next(deliveries: &mut Deliveries) -> Delivery {
    timeout(PATIENCE, deliveries.next()).await.expect("a delivery in time").expect("the subscription lives")
}

/// Takes the next delivery and says what it is.
async fn text(deliveries: &mut Deliveries) -> (String, Delivery) {
    let delivery = next(deliveries).await;
    (String::from_utf8(delivery.body.clone()).expect("text"), delivery)
}

/// Whether nothing waits in the subscription right now.
fn is_empty(deliveries: &mut Deliveries) -> bool {
    deliveries.0.try_recv().is_err()
}

/// Tells one story to every kind of broker.
async fn on_every_broker(story: impl AsyncFn(&Bed)) {
    for kind in [Kind::Rabbit, Kind::RabbitQuorum, Kind::Redis] {
        on(kind, &story).await;
    }
}

async fn on(kind: Kind, story: impl AsyncFn(&Bed)) {
    if let Some(bed) = Bed::new(kind) {
        eprintln!("on {kind:?}");
        story(&bed).await;
        bed.sweep().await;
    }
}
