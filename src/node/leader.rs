//! A scheduler node whose workers are behind a broker. Any number may run, each with a home of its own: one leads.
//!
//! ```text
//!  lock the home ─► open the store ─► connect to the broker
//!        ┌──► stand by ──── nobody leads ────► lead: load, listen to workers, read the DAG files ──┐
//!        └─────────────────── deposed: another one leads ◄─────────────────────────────────────────┘
//!  stop: hear nobody ─► last commit and words ─► resign ─► goodbye to the broker
//! ```
//!
//! Tasks do not stop with this node: they are the workers', and the next leader hears of them.

use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{mpsc, oneshot, watch};

use crate::actor::told::Outlet;
use crate::config::{self, Environment};
use crate::dagfile::python::Interpreter;
use crate::domain::ids::Epoch;
use crate::executor::remote::{Connection, Remote};
use crate::protocol::status::{NodeStatus, Part};
use crate::scheduler::actor::{self, Carrier, Ended, NotLeading, Options, Scheduler};
use crate::scheduler::message::{HowAreYou, Leave, Stop};
use crate::store::{Store, Vault};
use crate::web::health::Pulse;

use super::broker::{self, Role};
use super::client::{ClientError, Tables, open_store, vault};
use super::files::{self, Following};
use super::log_keeper::LogKeeper;
use super::run::{NodeError, holder};
use super::scheduling_lock::{Duty, SchedulingLock};
use super::signals::Signals;
use super::standby::{LeaseTimes, until_nobody_leads};
use super::translate;

/// How long the last words may take to the broker.
const GOODBYE: Duration = Duration::from_secs(5);

/// The scheduler of the present reign; none while it stands by.
type Reigning = Option<Addr<Scheduler>>;

/// A node that leads or stands by.
pub struct LeaderNode {
    pub store: Store,
    vault: Vault,
    python: Result<Interpreter, String>,
    remote: Remote,
    reigning: watch::Sender<Reigning>,
    lock: SchedulingLock,
}

/// How a reign ended.
enum Fate {
    Stopped,
    Deposed { holder: String, epoch: Epoch },
}

impl LeaderNode {
    /// Opens everything, up to the first word of the broker. What no waiting would mend is an error.
    pub async fn start(
        settings: &config::Settings,
        environment: &Environment,
        tables: Tables,
    ) -> Result<Self, NodeError> {
        let options = broker::options(settings, Role::Scheduler).map_err(NodeError::Configuration)?;
        let keys = broker::keys(settings).map_err(NodeError::Configuration)?;
        let addresses = options.addresses.len();
        let lock = SchedulingLock::take(&settings.home)?;
        let store = open_store(settings, tables).await?;
        let vault = vault(settings, environment, &store).map_err(ClientError::Key)?;
        let python = translate::interpreter(settings);
        let remote = Remote::open(options, keys);
        first_contact(&remote, addresses).await?;
        Ok(Self { store, vault, python, remote, reigning: watch::Sender::new(None), lock })
    }

    /// Stands by and leads by turns, until a signal asks it to stop. `on_part` hears which of the two begins.
    pub async fn run(
        mut self,
        settings: &config::Settings,
        signals: &Signals,
        mut on_part: impl FnMut(&'static str),
    ) -> Result<(), NodeError> {
        let times = LeaseTimes { renew: settings.scheduler.lease_renew, ttl: settings.scheduler.lease_ttl };
        let mut was_told = false;
        let result = loop {
            self.lock.note(Duty::StandsBy);
            let nobody_leads = async {
                // A node that leads at once need not say that it stands by.
                let first_look = tokio::time::timeout(times.renew / 2, until_nobody_leads(&self.store, times)).await;
                match first_look {
                    Ok(epoch) => epoch,
                    Err(_) => {
                        if !std::mem::replace(&mut was_told, true) {
                            on_part("stands by");
                        }
                        until_nobody_leads(&self.store, times).await
                    }
                }
            };
            let after = tokio::select! {
                after = nobody_leads => after,
                () = signals.next() => break Ok(()),
            };
            match self.reign(settings, signals, after, &mut on_part).await {
                Ok(Fate::Stopped) => break Ok(()),
                Ok(Fate::Deposed { holder, epoch }) => {
                    tracing::warn!(leader = holder, epoch = epoch.0, "deposed: standing by again");
                    was_told = false;
                }
                Err(NodeError::Store(error)) => {
                    tracing::warn!(%error, "cannot lead yet");
                    tokio::time::sleep(times.renew).await;
                }
                Err(error) => break Err(error),
            }
        };
        tokio::select! {
            () = self.remote.close(GOODBYE) => {}
            () = signals.next() => tracing::info!("hurrying"),
        }
        self.store.close().await?;
        result
    }

    /// One reign, from the new epoch to its end.
    async fn reign(
        &mut self,
        settings: &config::Settings,
        signals: &Signals,
        after: Epoch,
        on_part: &mut impl FnMut(&'static str),
    ) -> Result<Fate, NodeError> {
        let (ended, mut deposed) = oneshot::channel();
        let (end_log, mut ended_logs) = mpsc::unbounded_channel();
        let scheduler = match Scheduler::lead(self.options(settings, after, ended, end_log)).await {
            Ok(scheduler) => scheduler.start(),
            Err(NotLeading::Overtaken { current, holder }) => return Ok(Fate::Deposed { holder, epoch: current }),
            Err(NotLeading::Store(error)) => return Err(error.into()),
        };
        self.remote.hear(Outlet::new(scheduler.clone().recipient()));
        self.lock.note(Duty::Leads);
        self.reigning.send_replace(Some(scheduler.clone()));
        // Only who leads keeps logs: pieces of one log that went to several keepers would be in several folders.
        let keeper = self.log_keeper(settings)?;
        let mut following = None;
        let fate = {
            let reading = files::follow(settings, &self.store, &self.python, scheduler.clone());
            let lives = async {
                following = Some(reading.await?);
                on_part("leads");
                while let Some((log_path, last_line)) = ended_logs.recv().await {
                    keeper.say(&log_path, &last_line);
                }
                std::future::pending::<Result<(), NodeError>>().await
            };
            let lives = std::pin::pin!(lives);
            tokio::select! {
                failed = lives => failed.map(|()| Fate::Stopped),
                ended = &mut deposed => match ended {
                    Ok(Ended::Deposed { current, holder }) => Ok(Fate::Deposed { holder, epoch: current }),
                    Err(_) => Err(NodeError::SchedulerVanished),
                },
                () = signals.next() => Ok(Fate::Stopped),
            }
        };
        self.reigning.send_replace(None);
        if let Some(following) = following {
            Following::end(following).await;
        }
        keeper.stop(GOODBYE).await;
        if !matches!(fate, Ok(Fate::Deposed { .. })) {
            // A mailbox that has closed belongs to an actor that has stopped already.
            let _ = scheduler.send(Leave).await;
            tokio::select! {
                _ = scheduler.send(Stop) => {}
                () = signals.next() => tracing::info!("hurrying: the lease ends by itself"),
            }
        }
        fate
    }

    fn log_keeper(&self, settings: &config::Settings) -> Result<LogKeeper, NodeError> {
        let options = broker::options(settings, Role::Scheduler).map_err(NodeError::Configuration)?;
        let keys = broker::keys(settings).map_err(NodeError::Configuration)?;
        let kept = LogKeeper::open(options, keys, &settings.logging.base_log_folder);
        kept.map_err(|why| NodeError::System { what: "cannot keep logs in [logging] base_log_folder", why })
    }

    fn options(
        &self,
        settings: &config::Settings,
        after: Epoch,
        ended: oneshot::Sender<Ended>,
        end_log: mpsc::UnboundedSender<(String, String)>,
    ) -> Options {
        let remote = self.remote.clone();
        Options {
            store: self.store.clone(),
            vault: self.vault.clone(),
            settings: translate::scheduler(settings),
            holder: holder(),
            carrier: Carrier::Remote(actor::Remote {
                tell: std::sync::Arc::new(move |message| remote.tell(message)),
                end_log: std::sync::Arc::new(move |log_path, last_line| {
                    // A reign that is over ends no logs.
                    let _ = end_log.send((log_path, last_line));
                }),
                times: translate::liveness(settings),
                lease_ttl: settings.scheduler.lease_ttl,
            }),
            after: Some(after),
            renew: Some(settings.scheduler.lease_renew),
            ended,
        }
    }

    /// The scheduler of this process, whenever it leads.
    pub(super) fn here(&self) -> watch::Receiver<Reigning> {
        self.reigning.subscribe()
    }

    /// How the health page asks this node.
    pub fn pulse(&self, settings: &config::Settings) -> Pulse {
        let (reigning, connection) = (self.reigning.subscribe(), self.remote.connection());
        let threshold = settings.scheduler.scheduler_health_check_threshold;
        std::sync::Arc::new(move || {
            let scheduler = reigning.borrow().clone();
            let broker = Some(matches!(*connection.borrow(), Connection::Up { .. }));
            Box::pin(async move {
                let part = match scheduler {
                    Some(scheduler) => scheduler.send(HowAreYou).await.ok().map(Part::Leads),
                    None => Some(Part::StandsBy),
                };
                NodeStatus { scheduler: part, broker, threshold }
            })
        })
    }
}

/// Waits until the broker has answered, or has not: then it is tried on and on, unless that would be in vain.
async fn first_contact(remote: &Remote, addresses: usize) -> Result<(), NodeError> {
    let mut connection = remote.connection();
    let is_known = |connection: &Connection| match connection {
        Connection::Trying => false,
        Connection::Up { .. } => true,
        Connection::Down { tries, .. } => *tries >= addresses,
    };
    let known = connection.wait_for(is_known).await.map(|connection| connection.clone());
    match known {
        Ok(Connection::Down { error, .. }) if !error.waits() => Err(NodeError::Broker(error)),
        // It vanished: whoever speaks to it next is told so by its silence.
        Ok(Connection::Down { .. } | Connection::Up { .. } | Connection::Trying) | Err(_) => Ok(()),
    }
}
