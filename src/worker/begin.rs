//! The beginning of an incarnation: nothing is said before everything of the lives before is proven gone (W6).
//!
//! ```text
//!  companion.lock free ─► journal: incarnation + 1, on disk ─► leftovers killed ─► companion ready ─► (Online)
//! ```

use std::process::Child;
use std::time::Duration;

use uuid::Uuid;

use super::companion::{BrokerAccess, Charge, Will};
use super::journal::{Journal, JournalError};
use super::process::{Companion, NoCompanion};
use super::settings::WorkerSettings;
use super::state_dir::{StateDir, StateDirError};
use crate::broker::BrokerError;
use crate::domain::ids::{Incarnation, WorkerId};
use crate::protocol::work::Report;

/// Beyond `kill_grace`: what the companion of an earlier worker may take to see its tasks vanish.
const ENDING: Duration = Duration::from_secs(15);

/// Why a worker cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Companion(#[from] NoCompanion),
    #[error(transparent)]
    Broker(Box<BrokerError>),
    /// A task could run here and at its next owner at the same time (PROTOCOL N1).
    #[error("this worker may not work for its scheduler: {0}; make them at most as long here")]
    Times(String),
}

/// What a new incarnation has.
pub struct Life {
    pub journal: Journal,
    pub companion: Companion,
    pub child: Child,
    /// Reports of earlier lives, for the first word.
    pub unsettled: Vec<Report>,
}

/// Begins the next incarnation. `on_lost` hears when its companion is gone.
pub async fn begin(
    settings: &WorkerSettings,
    state_dir: &StateDir,
    on_lost: impl FnOnce(Incarnation) + 'static,
) -> Result<Life, WorkerError> {
    state_dir.wait_for_earlier_companion(settings.kill_grace + ENDING).await?;
    let fresh = WorkerId(Uuid::new_v4());
    let (mut journal, past) = Journal::open(&state_dir.journal(), &settings.machine_id, fresh)?;
    for remark in &past.remarks {
        tracing::warn!(remark, "worker's journal");
    }
    let ended = state_dir.end_leftovers(journal.worker(), &past.running, settings.kill_grace).await?;
    if ended > 0 {
        tracing::warn!(processes = ended, "ended what an earlier worker had left running");
    }
    journal.earlier_processes_are_gone()?;
    let incarnation = journal.incarnation();
    let lost = move || on_lost(incarnation);
    let mut charge = Charge::new(state_dir.companion_lock(), settings.kill_grace);
    if let Some(posted) = &settings.posted {
        let installation = posted.keys.installation().clone();
        charge = charge.leased().with_will(Will {
            worker: journal.worker(),
            incarnation,
            journal: state_dir.journal(),
            base_log_folder: settings.base_log_folder.clone(),
            worker_lost_after: posted.worker_lost_after,
            broker: BrokerAccess::new(&posted.broker, installation, posted.internal_secret.clone()),
        });
    }
    let (companion, child) = Companion::start(&settings.companion, charge, lost).await?;
    // The companion has its limit from before: tasks keep the usual one, this process holds two files per task.
    raise_file_limit();
    Ok(Life { journal, companion, child, unsettled: past.unsettled })
}

fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "cannot raise the limit of open files");
        }
    }
}
