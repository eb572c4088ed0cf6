//! An installation of a test's own on RabbitMQ, and a worker that does what the test says: the crate's own broker and
//! envelope, with a hand instead of a program. Its queues are deleted afterwards.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use updraft::broker::{
    Address, AfterReconnect, Broker, Deliveries, Delivery, Event, Events, Listener, Names, Options, Outgoing,
    Published, Queue, Replies, Subscription,
};
use updraft::domain::attempt::Outcome;
use updraft::domain::ids::{AttemptId, Claim, Incarnation, QueueName, WorkerId};
use updraft::protocol::envelope::{self, Direction, Keys, Sender, VERSION};
use updraft::protocol::letter::{Kind, Said, Told};
use updraft::protocol::work::{Beat, FromWorker, Online, Report, Standing, TaskMessage, ToWorker};
use uuid::Uuid;

use super::home::Home;
use super::wait::PATIENCE;

pub const SECRET: &str = "the tests sign with this secret";

/// The names, the secret and the queues of one test.
pub struct Installation {
    name: String,
    url: String,
    queues: Mutex<BTreeSet<String>>,
    runtime: Runtime,
}

/// A connection to the broker that is up.
pub struct Line {
    pub broker: Broker,
    events: Events,
    replies: Replies,
    pub reply_to: Queue,
}

impl Installation {
    pub fn new() -> Self {
        let url = std::env::var("UPDRAFT_TEST_RABBITMQ");
        let url = url.unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/".to_owned());
        let name = format!("it-{}", Uuid::new_v4().simple());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let queues = Mutex::new(BTreeSet::from(["default".to_owned()]));
        Self { name, url, queues, runtime: runtime.expect("a runtime") }
    }

    /// A home whose scheduler works over this broker.
    pub fn home(&self) -> Home {
        Home::new()
            .with("core.executor", "CeleryExecutor")
            .with("core.installation", &self.name)
            .with("core.internal_secret", SECRET)
            .with("core.fernet_key", "cGx1bWIgbGluZXMgYXJlIHVwcmlnaHQgYWx3YXlzISE=")
            .with("celery.broker_url", &self.url)
    }

    pub fn names(&self) -> Names {
        Names::new(envelope::Installation::new(&self.name).expect("a good name"))
    }

    pub fn keys(&self) -> Keys {
        Keys::new(envelope::Installation::new(&self.name).expect("a good name"), SECRET).expect("a good secret")
    }

    /// A task queue, which goes with the installation.
    pub fn queue(&self, name: &str) -> Queue {
        self.queues.lock().expect("not poisoned").insert(name.to_owned());
        self.names().task(&QueueName::new(name).expect("a name")).expect("short")
    }

    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { timeout(PATIENCE, future).await.expect("the broker answers in time") })
    }

    #[track_caller]
    pub fn connect(&self, listener: Listener) -> Line {
        let addresses = Address::parse_all(&self.url).expect("an address to test with");
        let mut options = Options::new(addresses, self.names(), listener);
        options.queues = vec![self.names().scheduler(), self.names().log()];
        self.block_on(async {
            let (broker, mut events, replies) = Broker::open(options);
            loop {
                match events.recv().await.expect("the session lives") {
                    Event::Up { reply_to, .. } => return Line { broker, events, replies, reply_to },
                    Event::Failed { error, .. } => {
                        panic!("these tests need RabbitMQ; name one with UPDRAFT_TEST_RABBITMQ ({}): {error}", self.url)
                    }
                    other => eprintln!("passed over: {other:?}"),
                }
            }
        })
    }

    pub fn stranger(&self) -> Line {
        self.connect(Listener::Node(Uuid::new_v4()))
    }

    #[track_caller]
    pub fn publish(&self, line: &Line, to: &Queue, body: Vec<u8>) {
        let published = self.block_on(line.broker.publish(Outgoing::new(to.clone(), body)));
        assert_eq!(published, Published::Confirmed);
    }

    /// So many dead letters, with their reasons.
    #[track_caller]
    pub fn dead_letters(&self, count: usize) -> Vec<String> {
        let line = self.stranger();
        let reasons = self.block_on(async {
            let dead = [self.names().dead()];
            let (_subscription, mut deliveries) =
                line.broker.subscribe(&dead, 100, AfterReconnect::Resume).await.expect("a subscription");
            let mut reasons = Vec::new();
            while reasons.len() < count {
                let delivery = deliveries.next().await.expect("the subscription lives");
                reasons.push(delivery.header("updraft-reason").expect("a reason").to_owned());
                delivery.ack().await.expect("an acknowledgement");
            }
            reasons
        });
        self.hang_up(line);
        reasons
    }

    pub fn hang_up(&self, mut line: Line) {
        line.broker.close();
        self.block_on(async { while line.events.recv().await.is_some_and(|event| event != Event::Closed) {} });
    }

    /// A worker in its first life, connected and silent.
    #[track_caller]
    pub fn worker(&self) -> HandWorker<'_> {
        self.worker_in(WorkerId(Uuid::new_v4()), Incarnation(1))
    }

    #[track_caller]
    pub fn worker_in(&self, id: WorkerId, incarnation: Incarnation) -> HandWorker<'_> {
        let line = self.connect(Listener::Worker { worker: id, incarnation });
        HandWorker { installation: self, id, incarnation, line, heard: VecDeque::new(), tasks: None, n: 0, seq: 0 }
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the queues of the installation {} are left behind", self.name);
            return;
        }
        let line = self.stranger();
        let names = self.names();
        let tasks = self.queues.lock().expect("not poisoned").clone();
        let tasks = tasks.iter().map(|name| names.task(&QueueName::new(name).expect("a name")).expect("short"));
        for queue in tasks.chain([names.scheduler(), names.log(), names.dead()]) {
            if let Err(error) = self.block_on(line.broker.remove(&queue)) {
                eprintln!("the queue {queue} is left behind: {error}");
            }
        }
        self.hang_up(line);
    }
}

/// A worker that does what it is told by a test.
pub struct HandWorker<'a> {
    installation: &'a Installation,
    pub id: WorkerId,
    pub incarnation: Incarnation,
    pub line: Line,
    heard: VecDeque<ToWorker>,
    tasks: Option<(Subscription, Deliveries)>,
    n: i64,
    seq: u64,
}

impl HandWorker<'_> {
    pub fn sender(&self) -> Sender {
        Sender::Worker { worker: self.id, incarnation: self.incarnation }
    }

    pub fn standing(&self) -> Standing {
        Standing { slots: 4, free_slots: 4, queues: vec![QueueName::default_queue()], ..Standing::default() }
    }

    /// Signs anything as this worker would.
    pub fn sealed(&self, kind: Kind, message: &impl Serialize) -> Vec<u8> {
        let sealed = self.installation.keys().seal(Direction::ToScheduler, self.sender(), kind.as_str(), message);
        sealed.expect("it is short")
    }

    #[track_caller]
    pub fn say(&self, said: Vec<FromWorker>) {
        let letter = Said { reply_to: self.line.reply_to.name().to_owned(), said };
        let body = self.sealed(Kind::Said, &letter);
        self.installation.publish(&self.line, &self.installation.names().scheduler(), body);
    }

    /// Its first word, up to the welcome.
    #[track_caller]
    pub fn online(&mut self) {
        self.say(vec![FromWorker::Online(Online {
            worker: self.id,
            incarnation: self.incarnation,
            name: format!("hand@{}", self.id),
            standing: self.standing(),
            version: "by hand".to_owned(),
            understands: VERSION,
            unsettled: Vec::new(),
        })]);
        self.hear("a welcome", |message| matches!(message, ToWorker::Welcome { .. }).then_some(()));
    }

    #[track_caller]
    pub fn beat(&mut self, held: &[(AttemptId, Claim)]) {
        self.seq += 1;
        self.say(vec![FromWorker::Beat(Beat {
            worker: self.id,
            incarnation: self.incarnation,
            seq: self.seq,
            highest_n: self.n,
            held: held.to_vec(),
            standing: self.standing(),
        })]);
    }

    /// The next message of a kind; others are passed over, and kept for later.
    #[track_caller]
    pub fn hear<T>(&mut self, what: &str, wanted: impl Fn(&ToWorker) -> Option<T>) -> T {
        let found = self.heard.iter().enumerate().find_map(|(at, message)| Some((at, wanted(message)?)));
        if let Some((at, found)) = found {
            self.heard.remove(at);
            return found;
        }
        let keys = self.installation.keys();
        let (replies, heard) = (&mut self.line.replies, &mut self.heard);
        self.installation.runtime.block_on(async {
            loop {
                let reply = timeout(PATIENCE, replies.recv()).await;
                let reply = reply.unwrap_or_else(|_| panic!("waited in vain for {what}; heard {heard:?}"));
                let reply = reply.expect("the session lives");
                let opened = keys.open(Direction::ToWorker, &reply.body).expect("the leader signs");
                assert_eq!(opened.kind, Kind::Told.as_str());
                let mut found = None;
                for message in opened.read::<Told>().expect("a letter").said {
                    match found.is_none().then(|| wanted(&message)).flatten() {
                        Some(this) => found = Some(this),
                        None => heard.push_back(message),
                    }
                }
                if let Some(found) = found {
                    return found;
                }
            }
        })
    }

    /// The next task of the default queue.
    #[track_caller]
    pub fn take_task(&mut self) -> (TaskMessage, Delivery) {
        let installation = self.installation;
        if self.tasks.is_none() {
            let queue = installation.queue("default");
            self.tasks = Some(installation.block_on(async {
                self.line.broker.declare(queue.clone()).await.expect("a queue");
                let subscribed = self.line.broker.subscribe(&[queue], 10, AfterReconnect::Resume).await;
                subscribed.expect("a subscription")
            }));
        }
        let (_, deliveries) = self.tasks.as_mut().expect("it was made above");
        let delivery = installation.block_on(deliveries.next()).expect("the subscription lives");
        let keys = installation.keys();
        let opened = keys.open(Direction::ToWorker, &delivery.body).expect("the leader signs");
        assert_eq!(opened.kind, Kind::Task.as_str());
        let task = opened.read().expect("a task");
        (task, delivery)
    }

    /// Takes nothing more from the default queue; what it holds goes back.
    pub fn take_no_more(&mut self) {
        if let Some((subscription, _)) = self.tasks.take() {
            self.installation.block_on(subscription.close()).expect("the channel closes");
        }
    }

    /// A claim of this life that was never used.
    pub fn new_claim(&mut self) -> Claim {
        self.n += 1;
        Claim { worker: self.id, incarnation: self.incarnation, n: self.n }
    }

    #[track_caller]
    pub fn ask_for(&self, task: &TaskMessage, claim: Claim) {
        let (attempt, dispatch) = (task.attempt, task.dispatch);
        self.say(vec![FromWorker::Claimed { attempt, dispatch, claim, redelivered: false }]);
    }

    #[track_caller]
    pub fn hear_granted(&mut self, claim: Claim) {
        self.hear("the grant", |message| {
            matches!(message, ToWorker::Granted { claim: granted, .. } if *granted == claim).then_some(())
        });
    }

    /// Takes the next task and makes it its own.
    #[track_caller]
    pub fn own_task(&mut self) -> (TaskMessage, Claim) {
        let (task, delivery) = self.take_task();
        let claim = self.new_claim();
        self.ask_for(&task, claim);
        self.hear_granted(claim);
        self.installation.block_on(delivery.ack()).expect("an acknowledgement");
        (task, claim)
    }

    pub fn report(&self, task: &TaskMessage, claim: Claim) -> Report {
        let now = chrono::Utc::now();
        Report {
            attempt: task.attempt,
            claim,
            outcome: Outcome::Success,
            exit_code: Some(0),
            message: None,
            started_at: Some(now),
            ended_at: now,
            pid: Some(1),
            xcoms: Vec::new(),
            outlet_events: Vec::new(),
            awaited: None,
        }
    }

    /// Reports an end, and hears what became of the report.
    #[track_caller]
    pub fn finish(&mut self, report: Report) -> updraft::domain::attempt::Verdict {
        let claim = report.claim;
        self.say(vec![FromWorker::Finish(report)]);
        self.hear("that the report is settled", |message| match message {
            ToWorker::Settled { claims } => claims.iter().find(|(of, _)| *of == claim).map(|(_, verdict)| *verdict),
            _ => None,
        })
    }
}
