//! A leader's desk that does what a test says: it publishes tasks, hears workers and answers them, by the crate's own
//! broker and envelope. An installation of its own, whose queues go with the test.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::time::timeout;
use updraft::broker::{
    Address, AfterReconnect, Broker, Deliveries, Event, Events, Listener, Names, Options, Outgoing, Published, Queue,
    Subscription,
};
use updraft::domain::attempt::{Refusal, Verdict};
use updraft::domain::ids::{Claim, Epoch, QueueName};
use updraft::domain::operator::Operator;
use updraft::protocol::envelope::{Direction, Installation, Keys, Rejection, Sender};
use updraft::protocol::letter::{Kind, Said, Told};
use updraft::protocol::work::{Beat, FromWorker, LeaseTimes, Online, Report, TaskMessage, ToWorker};
use uuid::Uuid;

use crate::worker::world;

/// How long a condition may take on a loaded machine before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(40);

pub const SECRET: &str = "a secret of the tests that is long enough";

pub struct Desk {
    pub folder: TempDir,
    pub keys: Keys,
    pub names: Names,
    pub broker: Broker,
    pub epoch: Epoch,
    installation: String,
    address: Address,
    variables: BTreeMap<String, String>,
    _events: Events,
    _subscription: Subscription,
    deliveries: Deliveries,
    heard: VecDeque<FromWorker>,
    /// Letters that did not come from this installation.
    pub rejected: Vec<Rejection>,
    pub reply_to: String,
    seq: u64,
    made: i64,
}

/// The program as a worker.
pub struct WorkerProcess {
    pub child: Child,
    said: PathBuf,
}

pub fn broker_url() -> String {
    std::env::var("UPDRAFT_TEST_RABBITMQ").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/".to_owned())
}

impl Desk {
    pub async fn open() -> Self {
        let installation = format!("test-{}", Uuid::new_v4().simple());
        let name = Installation::new(installation.clone()).expect("a good name");
        let names = Names::new(name.clone());
        let address = Address::parse_all(&broker_url()).expect("an address to test with").remove(0);
        let mut options = Options::new(vec![address.clone()], names.clone(), Listener::Node(Uuid::new_v4()));
        options.queues = vec![names.scheduler(), names.task(&QueueName::default_queue()).expect("short")];
        let (broker, mut events, _replies) = Broker::open(options);
        let up = async { while !matches!(events.recv().await, Some(Event::Up { .. })) {} };
        timeout(PATIENCE, up).await.expect("a broker at UPDRAFT_TEST_RABBITMQ or the usual port of this machine");
        let subscribed = broker.subscribe(&[names.scheduler()], 1_000, AfterReconnect::Resume).await;
        let (subscription, deliveries) = subscribed.expect("a subscription");
        let desk = Self {
            folder: tempfile::tempdir().expect("a folder"),
            keys: Keys::new(name, SECRET).expect("a secret"),
            names,
            broker,
            epoch: Epoch(1),
            installation,
            address,
            variables: BTreeMap::new(),
            _events: events,
            _subscription: subscription,
            deliveries,
            heard: VecDeque::new(),
            rejected: Vec::new(),
            reply_to: String::new(),
            seq: 0,
            made: 0,
        };
        std::fs::create_dir_all(desk.in_home("dags")).expect("a folder");
        desk.with("workers.heartbeat", "0.2").with("workers.claim_resend", "1")
    }

    /// Sets a key of the configuration of the workers that are started from now on.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.set(key, value);
        self
    }

    pub fn set(&mut self, key: &str, value: &str) {
        self.variables.insert(format!("UPDRAFT__{}", key.replace('.', "__").to_uppercase()), value.to_owned());
    }

    pub fn in_home(&self, name: &str) -> PathBuf {
        self.folder.path().join("home").join(name)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the broker listens.
    pub fn server(&self) -> SocketAddr {
        format!("127.0.0.1:{}", self.address.port).parse().expect("an address")
    }

    /// The broker's address with another port.
    pub fn url_at(&self, port: u16) -> String {
        broker_url().replacen(&format!(":{}/", self.address.port), &format!(":{port}/"), 1)
    }

    /// The program with this installation, and nothing else in its environment that it would heed.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_updraft"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("UPDRAFT") || name.to_string_lossy().starts_with("AIRFLOW") {
                command.env_remove(name);
            }
        }
        command.current_dir(self.folder.path()).env("UPDRAFT_HOME", self.in_home("")).env("NO_COLOR", "1");
        command.env("UPDRAFT__CELERY__BROKER_URL", broker_url()).env("UPDRAFT__CORE__INTERNAL_SECRET", SECRET);
        command.env("UPDRAFT__CORE__INSTALLATION", &self.installation).envs(&self.variables);
        command.args(words);
        command
    }

    pub fn start(&self, words: &[&str]) -> WorkerProcess {
        let said = self.folder.path().join(format!("said-{}", Uuid::new_v4().simple()));
        let into = std::fs::File::create(&said).expect("a file");
        let mut command = self.command(&["celery", "worker"]);
        command.args(words).stderr(into).stdout(Stdio::null()).stdin(Stdio::null());
        WorkerProcess { child: command.spawn().expect("the program runs"), said }
    }

    /// A worker that has been welcomed.
    pub async fn worker(&mut self, words: &[&str]) -> (WorkerProcess, Online) {
        let process = self.start(words);
        let online = self.online().await;
        self.welcome().await;
        (process, online)
    }

    async fn read(&mut self) {
        let delivery = timeout(PATIENCE, self.deliveries.next()).await;
        let delivery = delivery.expect("somebody says something in time").expect("the subscription lives");
        match self.keys.open(Direction::ToScheduler, &delivery.body) {
            Ok(opened) => {
                assert_eq!(opened.kind, Kind::Said.as_str());
                let Said { reply_to, said } = opened.read().expect("a letter");
                self.reply_to = reply_to;
                self.heard.extend(said);
            }
            Err(rejection) => self.rejected.push(rejection),
        }
        delivery.ack().await.expect("ours");
    }

    /// The next thing of a kind that a worker says; what it says before is passed over.
    pub async fn hear<T>(&mut self, what: &str, wanted: impl Fn(&FromWorker) -> Option<T>) -> T {
        let (begun, mut last) = (Instant::now(), None);
        loop {
            while let Some(said) = self.heard.pop_front() {
                if let Some(found) = wanted(&said) {
                    return found;
                }
                last = Some(said);
            }
            assert!(begun.elapsed() < PATIENCE, "no worker said in time: {what}; but at last: {last:?}");
            self.read().await;
        }
    }

    pub async fn rejection(&mut self) -> Rejection {
        while self.rejected.is_empty() {
            self.read().await;
        }
        self.rejected.remove(0)
    }

    pub async fn online(&mut self) -> Online {
        self.hear("online", |said| match said {
            FromWorker::Online(online) => Some(online.clone()),
            _ => None,
        })
        .await
    }

    pub async fn beat(&mut self, what: &str, is_so: impl Fn(&Beat) -> bool) -> Beat {
        self.hear(what, |said| match said {
            FromWorker::Beat(beat) if is_so(beat) => Some(beat.clone()),
            _ => None,
        })
        .await
    }

    /// The claim for this task, and whether the broker gave it to somebody before.
    pub async fn claimed(&mut self, task: &TaskMessage) -> (Claim, bool) {
        let attempt = task.attempt;
        self.hear("claimed", |said| match said {
            FromWorker::Claimed { attempt: of, claim, redelivered, .. } if *of == attempt => {
                Some((*claim, *redelivered))
            }
            _ => None,
        })
        .await
    }

    pub async fn started(&mut self, of: Claim) -> u32 {
        self.hear("started", |said| match said {
            FromWorker::Started { claim, pid, .. } if *claim == of => Some(*pid),
            _ => None,
        })
        .await
    }

    /// The report for this claim; it is not settled yet.
    pub async fn finished(&mut self, of: Claim) -> Report {
        self.hear("finished", |said| match said {
            FromWorker::Finish(report) if report.claim == of => Some(report.clone()),
            _ => None,
        })
        .await
    }

    pub async fn offline(&mut self) {
        self.hear("offline", |said| matches!(said, FromWorker::Offline { .. }).then_some(())).await;
    }

    pub async fn tell(&mut self, said: Vec<ToWorker>) {
        self.seq += 1;
        let letter = Told { seq: self.seq, said };
        let sender = Sender::Scheduler { epoch: self.epoch };
        let bytes = self.keys.seal(Direction::ToWorker, sender, Kind::Told.as_str(), &letter).expect("short");
        let to = self.names.reply_address(&self.reply_to).expect("a reply address");
        assert_eq!(self.put(&to, bytes).await, Published::Confirmed, "{}", self.reply_to);
    }

    pub async fn put(&self, to: &Queue, bytes: Vec<u8>) -> Published {
        timeout(PATIENCE, self.broker.publish(Outgoing::new(to.clone(), bytes))).await.expect("every publish ends")
    }

    pub fn times(&self) -> LeaseTimes {
        let s = Duration::from_secs;
        LeaseTimes { fence_after: s(45), kill_grace: s(5), spawn_slack: s(1), worker_lost_after: s(60) }
    }

    pub async fn welcome(&mut self) {
        let times = self.times();
        self.tell(vec![ToWorker::Welcome { epoch: self.epoch, times }]).await;
    }

    pub async fn grant(&mut self, task: &TaskMessage, claim: Claim) {
        self.tell(vec![ToWorker::Granted { attempt: task.attempt, claim, epoch: self.epoch }]).await;
    }

    pub async fn refuse(&mut self, claim: Claim) {
        self.tell(vec![ToWorker::Refused { claim, why: Refusal::Owned, epoch: self.epoch }]).await;
    }

    pub async fn settle(&mut self, claim: Claim) {
        self.tell(vec![ToWorker::Settled { claims: vec![(claim, Verdict::Applied)] }]).await;
    }

    pub fn bash(&mut self, command: &str) -> TaskMessage {
        self.made += 1;
        world::message(self.made, Operator::Bash(world::bash(command)))
    }

    pub fn queue(&self, name: &str) -> Queue {
        self.names.task(&QueueName::new(name).expect("a name")).expect("short")
    }

    pub fn sealed(&self, task: &TaskMessage) -> Vec<u8> {
        let sender = Sender::Scheduler { epoch: self.epoch };
        self.keys.seal(Direction::ToWorker, sender, Kind::Task.as_str(), task).expect("short")
    }

    pub async fn publish(&self, task: &TaskMessage) {
        let queue = self.names.task(&task.queue).expect("short");
        assert_eq!(self.put(&queue, self.sealed(task)).await, Published::Confirmed);
    }

    /// Publishes a Bash task, waits for its claim and grants it.
    pub async fn run(&mut self, command: &str) -> (TaskMessage, Claim) {
        let task = self.bash(command);
        self.publish(&task).await;
        let (claim, _) = self.claimed(&task).await;
        self.grant(&task, claim).await;
        (task, claim)
    }

    /// Waits until so many messages wait in a queue that nobody holds.
    pub async fn depth_becomes(&self, queue: &Queue, ready: u64) {
        let mut last = None;
        let reached = async {
            loop {
                last = self.broker.depth(queue).await.expect("an answer").map(|depth| depth.ready);
                if last == Some(ready) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(PATIENCE, reached).await.is_err() {
            panic!("{queue} holds {last:?}, expected {ready}");
        }
    }

    /// What the next dead letter says of its reason; the letter is gone then.
    pub async fn dead_letter(&self) -> String {
        let subscribed = self.broker.subscribe(&[self.names.dead()], 1, AfterReconnect::Resume).await;
        let (_subscription, mut dead) = subscribed.expect("a subscription");
        let next = timeout(PATIENCE, dead.next()).await;
        let letter = next.expect("a dead letter in time").expect("the subscription lives");
        let reason = letter.header("updraft-reason").expect("a reason").to_owned();
        letter.ack().await.expect("ours");
        reason
    }

    pub fn log(&self, task: &TaskMessage) -> String {
        std::fs::read_to_string(self.in_home("logs").join(&task.log_path)).expect("a log")
    }

    pub async fn close(self, queues: &[&str]) {
        let tasks = ["default"].into_iter().chain(queues.iter().copied()).map(|name| self.queue(name));
        let all = tasks.chain([self.names.scheduler(), self.names.log(), self.names.dead()]);
        for queue in all.collect::<Vec<_>>() {
            self.broker.remove(&queue).await.expect("a queue that can be deleted");
        }
        self.broker.close();
    }
}

impl WorkerProcess {
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
        rustix::process::kill_process(pid, signal).expect("ours");
    }

    /// Waits until it has ended by itself.
    pub async fn ended(mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("ours") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the worker does not end; it said:\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.said).expect("a file of the test")
    }

    pub async fn says(&self, text: &str) {
        let begun = Instant::now();
        while !self.said().contains(text) {
            assert!(begun.elapsed() < PATIENCE, "the worker never said `{text}`, but:\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.ended().await
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // One that has ended needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the worker said:\n{}", self.said());
        }
    }
}

/// A file that a task waits for.
pub fn until_there(path: &Path) -> String {
    format!("until [ -e '{}' ]; do sleep 0.02; done", path.display())
}
