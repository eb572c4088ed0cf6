//! An installation of a test's own on a broker that others use too; its queues go when the test has passed.

use std::time::Duration;

use tokio::time::timeout;
use updraft::broker::{Address, Broker, Deliveries, Event, Listener, Names, Options, Queue};
use updraft::domain::secret::Hidden;
use updraft::protocol::envelope::{Installation, Keys};
use updraft::worker::companion::BrokerAccess;
use uuid::Uuid;

/// How long a condition may take on a loaded machine before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const SECRET: &str = "the secret of a test, long enough";

pub struct Bed {
    pub address: String,
    pub installation: Installation,
    pub log_length: u32,
}

impl Bed {
    /// `None` where the person at the keyboard leaves this broker out.
    pub fn rabbitmq() -> Option<Self> {
        Self::at("UPDRAFT_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672/")
    }

    pub fn redis() -> Option<Self> {
        Self::at("UPDRAFT_TEST_REDIS", "redis://127.0.0.1:6379/0")
    }

    fn at(variable: &str, default: &str) -> Option<Self> {
        let address = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
        let installation = Installation::new(format!("test-{}", Uuid::new_v4().simple())).expect("a name");
        (address != "none").then_some(Self { address, installation, log_length: 10_000 })
    }

    /// The same one, for another process.
    pub fn again(address: &str, installation: &str, log_length: u32) -> Self {
        let installation = Installation::new(installation).expect("a name");
        Self { address: address.to_owned(), installation, log_length }
    }

    pub fn keys(&self) -> Keys {
        Keys::new(self.installation.clone(), SECRET).expect("long enough")
    }

    pub fn names(&self) -> Names {
        Names::new(self.installation.clone())
    }

    pub fn options(&self) -> Options {
        let addresses = Address::parse_all(&self.address).expect("an address");
        let mut options = Options::new(addresses, self.names(), Listener::Node(Uuid::new_v4()));
        options.queues = vec![self.names().scheduler(), self.names().log()];
        options.shape.log_length = self.log_length;
        options
    }

    pub fn access(&self) -> BrokerAccess {
        BrokerAccess::new(&self.options(), self.installation.clone(), Hidden(SECRET.to_owned()))
    }

    pub async fn broker(&self) -> Broker {
        let (broker, mut events, _replies) = Broker::open(self.options());
        loop {
            match timeout(PATIENCE, events.recv()).await.expect("a connection in time") {
                Some(Event::Up { .. }) => break,
                Some(other) => println!("{other:?}"),
                None => panic!("the session ended"),
            }
        }
        broker
    }

    pub async fn sweep(self) {
        let broker = self.broker().await;
        for queue in [self.names().scheduler(), self.names().log(), self.names().dead()] {
            broker.remove(&queue).await.expect("a queue that can be deleted");
        }
        broker.close();
    }
}

pub async fn depth_becomes(broker: &Broker, queue: &Queue, ready: u64) {
    let begun = std::time::Instant::now();
    loop {
        let depth = broker.depth(queue).await.expect("a connection").expect("a queue");
        if depth.ready == ready {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{queue} has {depth:?} and not {ready}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub async fn next_body(deliveries: &mut Deliveries) -> Vec<u8> {
    let delivery = timeout(PATIENCE, deliveries.next()).await.expect("a message in time").expect("subscribed");
    let body = delivery.body.clone();
    delivery.ack().await.expect("not void");
    body
}
