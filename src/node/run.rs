//! A node: scheduler, executor and worker in one process, from start to drained.
//!
//! ```text
//!  lock the home ─► open the store ─► lead ─► worker online ─► read the DAG files ─► run
//!  stop: hand out nothing ─► drain the worker ─► last commit ─► close the store ─► free the lock
//! ```

use std::path::PathBuf;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::actor::told::{Told, tell};
use crate::broker::BrokerError;
use crate::config::{self, Environment};
use crate::dagfile::python::{Interpreter, Runner};
use crate::domain::executor::ExecutorKind;
use crate::domain::ids::QueueName;
use crate::domain::limit::Limit;
use crate::domain::problem::{Place, Problem};
use crate::executor::actor::Executor;
use crate::protocol::execution::ToExecutor;
use crate::protocol::work::ToWorker;
use crate::scheduler::actor::{Carrier, Ended, NotLeading, Options, Scheduler};
use crate::scheduler::message::{Leave, Stop};
use crate::store::{Store, StoreError, Vault};
use crate::worker::actor::{self as worker, RunningWorker};
use crate::worker::begin::WorkerError;
use crate::worker::settings::{PythonRuntime, WorkerSettings};

use super::client::{ClientError, Tables, open_store, vault};
use super::courier::{Attach, Courier};
use super::leader::LeaderNode;
use super::scheduling_lock::{NotLocked, SchedulingLock};
use super::signals::Signals;
use super::translate;

/// A node that runs.
pub struct Node {
    pub scheduler: Addr<Scheduler>,
    pub store: Store,
    /// Who reads Python files and runs Python tasks, or why nobody can.
    pub(super) python: Result<Interpreter, String>,
    executor: Addr<Executor>,
    deposed: oneshot::Receiver<Ended>,
    worker_ended: oneshot::Receiver<Result<(), WorkerError>>,
    drain_deadline: Duration,
    _lock: SchedulingLock,
}

/// Why a node did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error(transparent)]
    Lock(#[from] NotLocked),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the worker cannot start: {0}")]
    Worker(#[from] WorkerError),
    /// It panicked: to leave as if all were well would hide that.
    #[error("the worker ended without a word, which is a fault of this program: please report it with the log above")]
    WorkerVanished,
    /// The same of the scheduler.
    #[error(
        "the scheduler ended without a word, which is a fault of this program: please report it with the log above"
    )]
    SchedulerVanished,
    #[error("{0}")]
    Configuration(Problem),
    /// No waiting would mend it.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("another scheduler took over this database ({holder}, epoch {epoch}): this node has stopped")]
    Deposed { holder: String, epoch: i64 },
    #[error("cannot listen on {address}: {why}")]
    Listen { address: String, why: std::io::Error },
    #[error(transparent)]
    PidFile(#[from] super::pid_file::PidFileError),
    #[error("{what}: {why}")]
    System { what: &'static str, why: std::io::Error },
}

impl Node {
    /// Starts everything but the reading of DAG files (see [`files::follow`](super::files::follow)).
    pub async fn start(
        settings: &config::Settings,
        environment: &Environment,
        tables: Tables,
    ) -> Result<Self, NodeError> {
        let (slots, lock) = (local_slots(settings)?, SchedulingLock::take(&settings.home)?);
        let store = open_store(settings, tables).await?;
        let vault = vault(settings, environment, &store).map_err(ClientError::Key)?;
        Self::launch(settings, environment, slots, lock, store, vault).await
    }

    /// The same with a new store, but with the variables and connections of another.
    pub(super) async fn start_with(
        settings: &config::Settings,
        environment: &Environment,
        vault: Vault,
    ) -> Result<Self, NodeError> {
        let (slots, lock) = (local_slots(settings)?, SchedulingLock::take(&settings.home)?);
        let store = open_store(settings, Tables::Migrate).await?;
        Self::launch(settings, environment, slots, lock, store, vault).await
    }

    async fn launch(
        settings: &config::Settings,
        environment: &Environment,
        slots: Limit,
        lock: SchedulingLock,
        store: Store,
        vault: Vault,
    ) -> Result<Self, NodeError> {
        // Laid out and verified once: it reads DAG files, and runs Python tasks.
        let python = translate::interpreter(settings);
        let courier = Courier::default().start();
        let (ended, deposed) = oneshot::channel();
        let scheduler = Scheduler::lead(Options {
            store: store.clone(),
            vault,
            settings: translate::scheduler(settings),
            holder: holder(),
            carrier: Carrier::Local(courier.clone().recipient().into()),
            after: None,
            renew: shared_database(settings).then_some(settings.scheduler.lease_renew),
            ended,
        })
        .await?
        .start();
        let said = scheduler.clone().recipient::<Told<_>>();
        let RunningWorker { entrance, told, ended: worker_ended, .. } =
            worker::start(worker_settings(settings, environment, slots, &python), said.clone().into()).await?;
        let executor = Executor::start(entrance, told, said.into());
        tell(&courier, Attach(executor.clone()));
        let drain_deadline = settings.workers.drain_deadline;
        Ok(Self { scheduler, store, python, executor, deposed, worker_ended, drain_deadline, _lock: lock })
    }

    /// Runs until somebody asks it to stop (`stop` resolves; the next time it does, hurry) or it cannot go on.
    pub async fn until<S: Future<Output = ()>>(mut self, mut stop: impl FnMut() -> S) -> Result<(), NodeError> {
        let fate = tokio::select! {
            () = stop() => Ok(()),
            ended = &mut self.deposed => Err(ended.map_or(NodeError::SchedulerVanished, why)),
            left = &mut self.worker_ended => return match left {
                Ok(left) => left.map_err(NodeError::Worker),
                Err(_) => Err(NodeError::WorkerVanished),
            },
        };
        if fate.is_err() {
            self.say(ToWorker::Drain { deadline: Duration::ZERO });
        } else {
            // A mailbox that has closed belongs to an actor that has stopped already.
            let _ = self.scheduler.send(Leave).await;
            tracing::info!(deadline = ?self.drain_deadline, "draining: running tasks may finish; ask again to stop them");
            self.say(ToWorker::Drain { deadline: self.drain_deadline });
        }
        loop {
            tokio::select! {
                () = stop() => {
                    tracing::info!("hurrying: running tasks are stopped");
                    self.say(ToWorker::Drain { deadline: Duration::ZERO });
                }
                left = &mut self.worker_ended => {
                    if let Ok(Err(error)) = left {
                        tracing::warn!(%error, "the worker did not leave in peace");
                    }
                    break;
                }
            }
        }
        self.finish().await?;
        fate
    }

    /// Ends the node now: what still runs is stopped.
    pub async fn close(mut self) -> Result<(), NodeError> {
        // A mailbox that has closed belongs to an actor that has stopped already.
        let _ = self.scheduler.send(Leave).await;
        self.say(ToWorker::Drain { deadline: Duration::ZERO });
        if let Ok(Err(error)) = (&mut self.worker_ended).await {
            tracing::warn!(%error, "the worker did not leave in peace");
        }
        self.finish().await
    }

    /// The worker has left: the last commit, and the end.
    async fn finish(self) -> Result<(), NodeError> {
        // A mailbox that has closed belongs to an actor that has stopped already.
        let _ = self.scheduler.send(Stop).await;
        Ok(self.store.close().await?)
    }

    fn say(&self, message: ToWorker) {
        tell(&self.executor, Told(ToExecutor { priority: 0, message }));
    }
}

impl From<NotLeading> for NodeError {
    fn from(why: NotLeading) -> Self {
        match why {
            NotLeading::Store(error) => Self::Store(error),
            NotLeading::Overtaken { current, holder } => Self::Deposed { holder, epoch: current.0 },
        }
    }
}

fn why(ended: Ended) -> NodeError {
    match ended {
        Ended::Deposed { current, holder } => NodeError::Deposed { holder, epoch: current.0 },
    }
}

/// `updraft scheduler`: a node without anything for people to look at.
pub async fn scheduler(config: config::Config, environment: Environment) -> Result<(), NodeError> {
    let settings = config.settings();
    let signals = Signals::listen()?;
    if settings.core.executor == ExecutorKind::Celery {
        let node = LeaderNode::start(settings, &environment, Tables::AsTheyAre).await?;
        return node.run(settings, &signals, |_| tracing::info!("ready")).await;
    }
    let node = Node::start(settings, &environment, Tables::AsTheyAre).await?;
    signals.run_until_asked(settings, node, || tracing::info!("ready")).await
}

fn local_slots(settings: &config::Settings) -> Result<Limit, NodeError> {
    let parallelism = Limit::from_zero_unlimited(settings.core.parallelism);
    settings.core.executor.local_slots(parallelism).ok_or_else(|| {
        let message = "[core] executor = CeleryExecutor: this node has no worker of its own";
        let problem = Problem::error(Place::file("the configuration"), message);
        NodeError::Configuration(problem.hint("use LocalExecutor or SequentialExecutor here"))
    })
}

pub(super) fn worker_settings(
    settings: &config::Settings,
    environment: &Environment,
    slots: Limit,
    python: &Result<Interpreter, String>,
) -> WorkerSettings {
    let sdk = python.as_ref().is_ok_and(|python| matches!(python.runner, Runner::Sdk(_)));
    let can_be_warm = python.is_ok();
    let python = python.as_ref().map_or_else(
        // The task that needs it will say what is missing; others do not care.
        |_| vec![settings.python.interpreter.clone().into()],
        Interpreter::command_line,
    );
    WorkerSettings {
        name: host_name(),
        queues: vec![QueueName::new(&settings.operators.default_queue).unwrap_or_else(|_| QueueName::default_queue())],
        slots,
        state_dir: settings.home.join("worker"),
        base_log_folder: settings.logging.base_log_folder.clone(),
        dags_folder: settings.core.dags_folder.clone(),
        temp_dir: environment.get("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from),
        search_path: environment.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin").into(),
        companion: PathBuf::from("/proc/self/exe"),
        machine_id: std::fs::read_to_string("/etc/machine-id").unwrap_or_default().trim().to_owned(),
        kill_grace: settings.workers.kill_grace,
        max_task_log_bytes: settings.logging.max_task_log_bytes,
        python: PythonRuntime { warm: can_be_warm, command: python, sdk },
        mail: translate::mail(settings),
        sensitive: translate::sensitive(settings),
        base_url: base_url(settings),
        posted: None,
    }
}

/// `[api] base_url`, or where this node would serve its pages.
pub(super) fn base_url(settings: &config::Settings) -> String {
    match settings.api.base_url.as_str() {
        "" => format!("http://{}:{}", host_name(), settings.api.port),
        url => url.to_owned(),
    }
}

/// Whether processes of other machines may use the database too.
pub fn shared_database(settings: &config::Settings) -> bool {
    match settings.database.url {
        config::DatabaseUrl::Sqlite { .. } => false,
        config::DatabaseUrl::Postgres(_) | config::DatabaseUrl::Mysql(_) => true,
    }
}

/// Who leads, for people: no other process on earth is called so now.
pub(super) fn holder() -> String {
    format!("{}, process {}", host_name(), std::process::id())
}

/// The machine's name, for people.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
