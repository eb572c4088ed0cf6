//! `updraft celery worker`: a worker node. It needs the broker's address, the installation's secret and a folder for its
//! state, and no database.
//!
//! ```text
//!  settings ─► state directory ─► companion ─► broker ─► Online ─► Welcome ─► tasks
//!  SIGTERM drains, a second one hurries; SIGHUP reads worker_concurrency again
//! ```

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

use crate::config::{self, Environment, Flag};
use crate::domain::ids::{Incarnation, QueueName, WorkerId};
use crate::domain::limit::Limit;
use crate::domain::problem::{Place, Problem};
use crate::protocol::work::ToWorker;
use crate::worker::state_dir::LOCK_FILE;
use crate::worker::{Autoscale, RemoteSettings, RemoteTimes, RemoteWorker, WorkerSettings, start_remote};

use super::broker::{self, Role};
use super::pid_file::PidFile;
use super::run::{NodeError, host_name, worker_settings};
use super::signals::Signals;
use super::translate;

/// What a person says of one worker; everything else is configuration.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Empty: `[operators] default_queue`.
    pub queues: Vec<QueueName>,
    /// `name@host`, for people.
    pub name: Option<String>,
    /// Where the worker keeps its journal; one worker at a time.
    pub state_dir: Option<PathBuf>,
    pub pid_file: Option<PathBuf>,
}

/// Where a worker of this home keeps its state, unless it was told another place.
pub fn state_dir(settings: &config::Settings) -> PathBuf {
    settings.home.join("worker")
}

/// The file of a state folder that names the process of the worker which uses it.
pub fn lock_file(state_dir: &Path) -> PathBuf {
    state_dir.join(LOCK_FILE)
}

/// Runs until it was asked to stop and has drained, or cannot go on.
///
/// # Errors
/// When the configuration does not let it, the state directory is another's, the broker will never let it in, or its
/// times do not fit those of its scheduler.
pub async fn run(
    config: config::Config,
    environment: Environment,
    flags: Vec<Flag>,
    wishes: Wishes,
) -> Result<(), NodeError> {
    let settings = config.settings();
    let signals = Signals::listen()?;
    let listen = |kind| signal(kind).map_err(|why| NodeError::System { what: "cannot listen for signals", why });
    let mut hang_up = listen(SignalKind::hangup())?;
    let remote = remote(settings).map_err(NodeError::Configuration)?;
    let own = of_this_worker(settings, &environment, &wishes, remote.autoscale);
    let _pid_file = wishes.pid_file.map(PidFile::write).transpose()?;
    tracing::info!(worker = own.name, state = %own.state_dir.display(), "the worker starts");
    let RemoteWorker { worker, incarnation, told, mut ended } = start_remote(own, remote).await?;
    tracing::debug!(%worker, %incarnation, "a new life begins");
    let mut deadline = settings.workers.drain_deadline;
    loop {
        tokio::select! {
            () = signals.next() => {
                tracing::info!(?deadline, "the worker is asked to stop; ask again to hurry");
                told.say(ToWorker::Drain { deadline: std::mem::take(&mut deadline) });
            }
            _ = hang_up.recv() => match slots_now(&environment, &flags) {
                Ok(slots) => told.say(ToWorker::Resize { slots }),
                Err(error) => tracing::error!(%error, "the configuration is not read again: the worker keeps its slots"),
            },
            left = &mut ended => return match left {
                Ok(left) => Ok(left?),
                Err(_) => Err(NodeError::WorkerVanished),
            },
        }
    }
}

fn slots_now(environment: &Environment, flags: &[Flag]) -> Result<u32, config::ConfigError> {
    Ok(config::load(environment, flags)?.config.settings().celery.worker_concurrency)
}

fn of_this_worker(
    settings: &config::Settings,
    environment: &Environment,
    wishes: &Wishes,
    autoscale: Option<Autoscale>,
) -> WorkerSettings {
    let slots = autoscale.map_or(settings.celery.worker_concurrency, |bounds| bounds.min.get());
    let slots = NonZeroU32::new(slots).map_or(Limit::Unlimited, Limit::AtMost);
    let python = translate::interpreter(settings);
    let mut own = worker_settings(settings, environment, slots, &python);
    own.name = wishes.name.clone().unwrap_or_else(|| format!("celery@{}", host_name()));
    own.state_dir = wishes.state_dir.clone().unwrap_or_else(|| state_dir(settings));
    if !wishes.queues.is_empty() {
        own.queues.clone_from(&wishes.queues);
    }
    own
}

fn remote(settings: &config::Settings) -> Result<RemoteSettings, Problem> {
    // Which worker it is stands in its journal, which is read later: each life says so itself.
    let nobody = Role::Worker { worker: WorkerId(Uuid::nil()), incarnation: Incarnation(0) };
    let times = settings.times();
    let autoscale = settings.celery.worker_autoscale.trim();
    let autoscale = (!autoscale.is_empty())
        .then(|| autoscale.parse::<Autoscale>())
        .transpose()
        .map_err(|why| Problem::error(Place::file("the configuration"), format!("[celery] worker_autoscale: {why}")))?;
    Ok(RemoteSettings {
        options: broker::options(settings, nobody)?,
        keys: broker::keys(settings)?,
        times: RemoteTimes {
            heartbeat: times.heartbeat,
            fence_after: times.fence_after,
            spawn_slack: times.spawn_slack,
            worker_lost_after: times.worker_lost_after,
            claim_resend: times.claim_resend,
            claim_wait_max: times.claim_wait_max,
            leader_silent: times.leader_silent,
            long_task_after: times.long_task_after,
        },
        autoscale,
    })
}
