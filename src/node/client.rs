//! How another process (the command line) has its wishes carried out.
//!
//! A wish is a durable row first. When a node lives it is nudged and answers in
//! that row; when none does, this process leads for a moment: it takes a new
//! epoch, lets the same core carry out what waits, commits, and is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::config::{self, Environment};
use crate::dagfile::python::Interpreter;
use crate::domain::executor::ExecutorKind;
use crate::domain::ids::{CommandId, DagId};
use crate::domain::problem::Problem;
use crate::protocol::control::{Control, Reply};
use crate::scheduler::core::Input;
use crate::scheduler::interlude::Interlude;
use crate::store::{Given, Store, StoreError, Vault};
use crate::web::audit::{Deed, Record};

use super::dag_folder::DagFolder;
use super::fernet_key::{self, NoKey};
use super::file_values;
use super::nudge::nudge;
use super::run::shared_database;
use super::scheduling_lock::{NotLocked, SchedulingLock};
use super::translate;

/// How long a living node may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the answer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// A node that has just started may not listen yet.
const NUDGE_EVERY: Duration = Duration::from_millis(200);

/// A way to the scheduler of a home, whether or not one runs.
pub struct Client {
    pub store: Store,
    settings: config::Settings,
    /// Whether what it has done is put on the record here; the web server keeps its own.
    keeps_record: bool,
}

/// Why a wish was neither carried out nor refused.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Lock(#[from] NotLocked),
    #[error("{0}")]
    Configuration(Problem),
    #[error(transparent)]
    Key(#[from] NoKey),
    #[error(
        "the node in {home} did not answer within {} s; the command is kept and will be carried out (number {id})",
        PATIENCE.as_secs()
    )]
    NoAnswer { home: String, id: CommandId },
}

impl Client {
    /// Opens the database. An SQLite file is made, and its tables are brought up to date, without being asked.
    pub async fn open(settings: &config::Settings) -> Result<Self, ClientError> {
        let store = open_store(settings, Tables::AsTheyAre).await?;
        Ok(Self { store, settings: settings.clone(), keeps_record: true })
    }

    /// The same over a database that is open already, for a web server.
    pub fn over(store: Store, settings: &config::Settings) -> Self {
        Self { store, settings: settings.clone(), keeps_record: false }
    }

    /// Variables and connections; makes the key when there is none.
    pub fn vault(&self, environment: &Environment) -> Result<Vault, ClientError> {
        Ok(vault(&self.settings, environment, &self.store)?)
    }

    /// Whether a node schedules in this home now.
    pub fn node_lives(&self) -> bool {
        nudge(&self.settings.home)
    }

    /// Whether a scheduler of this home stands by while another one leads.
    pub fn node_stands_by(&self) -> bool {
        SchedulingLock::stands_by(&self.settings.home)
    }

    /// Whether a scheduler leads this database now, here or elsewhere.
    pub async fn scheduler_lives(&self) -> Result<bool, StoreError> {
        Ok(self.node_lives() || self.led_elsewhere().await?)
    }

    /// Has `control` carried out and gives the answer.
    pub async fn control(&self, control: &Control, user: Option<&str>) -> Result<Reply, ClientError> {
        let answered = self.carry_out(control, user).await;
        if let Some(deed) = Deed::of(control).filter(|_| self.keeps_record) {
            let (deed, outcome) = match &answered {
                Ok(Reply::Refused { why }) => (deed, why.to_string()),
                Ok(reply) => (deed.answered(reply), "done".to_owned()),
                Err(error) => (deed, error.to_string()),
            };
            Record::new(self.store.clone()).keep_command(user, deed, &outcome).await;
        }
        answered
    }

    async fn carry_out(&self, control: &Control, user: Option<&str>) -> Result<Reply, ClientError> {
        let id = self.store.submit(control, user, Utc::now()).await?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if nudge(&self.settings.home) {
                if let Some(reply) = self.wait_for(id, NUDGE_EVERY).await? {
                    return Ok(reply);
                }
                continue;
            }
            if self.led_elsewhere().await? {
                if let Some(reply) = self.wait_for(id, NUDGE_EVERY).await? {
                    return Ok(reply);
                }
                continue;
            }
            match SchedulingLock::take(&self.settings.home) {
                Ok(lock) => {
                    self.lead_for_a_moment(&lock, Vec::new()).await?;
                    if let Some(reply) = self.store.reply(id).await? {
                        return Ok(reply);
                    }
                }
                // A node that starts or stops: it will listen soon, or be gone.
                Err(NotLocked::Held { .. }) => tokio::time::sleep(LOOK_EVERY).await,
                Err(error @ NotLocked::Unwritable { .. }) => return Err(error.into()),
            }
        }
        Err(ClientError::NoAnswer { home: self.settings.home.display().to_string(), id })
    }

    /// Whether a scheduler of another home or machine leads this database: it looks for commands itself.
    async fn led_elsewhere(&self) -> Result<bool, StoreError> {
        if !shared_database(&self.settings) && self.settings.core.executor != ExecutorKind::Celery {
            return Ok(false);
        }
        Ok(self.store.leader().await?.age < self.settings.scheduler.lease_ttl)
    }

    async fn wait_for(&self, id: CommandId, at_most: Duration) -> Result<Option<Reply>, StoreError> {
        let begun = Instant::now();
        loop {
            let reply = self.store.reply(id).await?;
            if reply.is_some() || begun.elapsed() > at_most {
                return Ok(reply);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Brings the store up to date with the DAGs folder, when no node does so already.
    pub async fn sync_dags(&self) -> Result<(), ClientError> {
        if self.node_lives() || self.led_elsewhere().await? {
            return Ok(());
        }
        let begun = Instant::now();
        let lock = loop {
            match SchedulingLock::take(&self.settings.home) {
                Ok(lock) => break lock,
                // A node that starts reads the folder itself, and listens when it has.
                Err(NotLocked::Held { .. }) if self.node_lives() || begun.elapsed() > PATIENCE => return Ok(()),
                Err(NotLocked::Held { .. }) => tokio::time::sleep(LOOK_EVERY).await,
                Err(error @ NotLocked::Unwritable { .. }) => return Err(error.into()),
            }
        };
        let mut folder = dag_folder(&self.settings, translate::interpreter(&self.settings), &self.store)?;
        remember_all(&self.store, &mut folder, true).await?;
        let mut changes = folder.look().await;
        while folder.is_reading() {
            changes.extend(folder.more().await);
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.lead_for_a_moment(&lock, vec![Input::FilesChanged(changes)]).await
    }

    async fn lead_for_a_moment(&self, _lock: &SchedulingLock, inputs: Vec<Input>) -> Result<(), ClientError> {
        let holder = format!("command line, process {}", std::process::id());
        let mut interlude = Interlude::begin(&self.store, translate::scheduler(&self.settings), &holder).await?;
        for input in inputs {
            interlude.apply(input).await?;
        }
        interlude.carry_out_commands().await?;
        Ok(interlude.end().await?)
    }
}

/// What to do about tables that are missing or old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// Bring them up to date.
    Migrate,
    /// Say so, unless the database is an SQLite file: that needs no set-up. On a server
    /// others may be working, so somebody has to say `updraft db migrate`.
    AsTheyAre,
}

/// Opens the configured database.
pub async fn open_store(settings: &config::Settings, tables: Tables) -> Result<Store, ClientError> {
    let store = Store::open(&translate::store(settings)).await?;
    if tables == Tables::Migrate || !shared_database(settings) {
        store.migrate().await?;
    }
    if store.pools().await?.is_empty() {
        let slots = i32::try_from(settings.core.default_pool_task_slot_count).unwrap_or(i32::MAX);
        store.ensure_default_pool(slots).await?;
    }
    Ok(store)
}

/// The variables and connections of a store, with those that the environment names.
pub(super) fn vault(settings: &config::Settings, environment: &Environment, store: &Store) -> Result<Vault, NoKey> {
    let cipher = fernet_key::cipher(settings)?;
    Ok(Vault::new(store.clone(), Arc::new(cipher), Arc::new(Given::new(environment.variables()))))
}

/// The configured DAGs folder, read by this interpreter; what its files ask for is asked of this store.
pub fn dag_folder(
    settings: &config::Settings,
    python: Result<Interpreter, String>,
    store: &Store,
) -> Result<DagFolder, ClientError> {
    let values = file_values::of(settings, store);
    let options = translate::loader(settings, python, Some(values)).map_err(ClientError::Configuration)?;
    Ok(DagFolder::new(translate::folder(settings), options))
}

/// Tells a folder what the store knows of it. With `trust`, a file whose text is
/// still the stored one is not read again.
pub async fn remember_all(store: &Store, folder: &mut DagFolder, trust: bool) -> Result<(), StoreError> {
    let mut files: BTreeMap<String, Vec<DagId>> = BTreeMap::new();
    for entry in store.dags(false).await? {
        files.entry(entry.row.file.clone()).or_default().push(entry.row.dag_id);
    }
    for (file, dags) in files {
        let text = match dags.first() {
            Some(dag) if trust => store.version(dag, None).await?.map(|version| version.source),
            Some(_) | None => None,
        };
        folder.remember(&file, dags, text.as_deref());
    }
    Ok(())
}
