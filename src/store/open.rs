//! From a URL to a [`Store`]: one connection that writes, a few that read.

use std::fs;
use std::future::ready;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::DatabaseConnection;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::sqlx::{ConnectOptions as _, Connection as _};

use super::error::StoreError;
use super::location::Location;
use super::mysql;
use super::nodelay::send_at_once;

/// How much SQLite waits for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// A commit survives the loss of power.
    #[default]
    Full,
    /// A commit survives the death of every process, but not the loss of power.
    Normal,
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// `sqlite:///absolute/path.db`, or `postgres://` or `mysql://` and `user:password@host:port/database`.
    pub url: String,
    /// Of SQLite alone; servers have their own setting.
    pub synchronous: Synchronous,
    /// How many connections read, at most; none is opened before it is needed.
    pub readers: u32,
    /// Make the file of a new SQLite database, and its folder.
    pub create: bool,
    /// `db_txn_timeout` of PROTOCOL §8: the writer's session gives up after it, whoever waits.
    pub txn_timeout: Duration,
}

impl OpenOptions {
    /// The defaults for `url`: durable, four readers, created when missing, two seconds.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            synchronous: Synchronous::Full,
            readers: 4,
            create: true,
            txn_timeout: Duration::from_secs(2),
        }
    }
}

/// The database. Cheap to clone; every clone shares the same connections.
#[derive(Clone)]
pub struct Store {
    pub(super) location: Arc<Location>,
    /// The one connection that writes.
    pub(super) write: DatabaseConnection,
    /// Read-only: a query can never become a change.
    pub(super) read: DatabaseConnection,
    pub(super) txn_timeout: Duration,
}

/// How long to wait for a server before it counts as unreachable.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a reader waits for one of the few connections.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// SQLite's lock is passed on by polling, so who waits for it must be patient:
/// several transactions of another process may come between.
const BUSY_TIMEOUTS: u32 = 5;
/// Statements of every table and chunk size fit.
pub(super) const STATEMENT_CACHE: usize = 300;

impl Store {
    /// Opens the database and proves that it can be used; does not look at its tables ([`Store::check`] does).
    pub async fn open(options: &OpenOptions) -> Result<Self, StoreError> {
        let location = Location::parse(&options.url)?;
        let (write, read) = match &location {
            Location::Sqlite(connect) => open_sqlite(&location, connect, options).await?,
            Location::Postgres(connect) => open_postgres(&location, connect, options).await?,
            Location::Mysql(connect) => mysql::open(&location, connect, options).await?,
        };
        Ok(Self { location: Arc::new(location), write, read, txn_timeout: options.txn_timeout })
    }

    /// Ends all connections; SQLite then folds its log into the file.
    pub async fn close(self) -> Result<(), StoreError> {
        let Self { location, write, read, .. } = self;
        read.close().await.map_err(|error| location.explain(&error))?;
        write.close().await.map_err(|error| location.explain(&error))
    }

    /// The database as people may see it: kind, place and name, never a password.
    pub fn describe(&self) -> String {
        self.location.to_string()
    }
}

async fn open_sqlite(
    location: &Location,
    connect: &SqliteConnectOptions,
    options: &OpenOptions,
) -> Result<(DatabaseConnection, DatabaseConnection), StoreError> {
    prepare_file(connect.get_filename(), options.create)?;
    let connect = connect
        .clone()
        .create_if_missing(false)
        .foreign_keys(false)
        .busy_timeout(options.txn_timeout * BUSY_TIMEOUTS)
        .synchronous(match options.synchronous {
            Synchronous::Full => SqliteSynchronous::Full,
            Synchronous::Normal => SqliteSynchronous::Normal,
        })
        .statement_cache_capacity(STATEMENT_CACHE)
        .disable_statement_logging();
    let writer = connect.clone().journal_mode(SqliteJournalMode::Wal).thread_name(|_| "store-write".into());
    let reader = connect.read_only(true).thread_name(|id| format!("store-read-{id}"));
    let write = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(writer)
        .await
        .map_err(|error| location.explain_sqlx(&error))?;
    let read = SqlitePoolOptions::new()
        .max_connections(options.readers.max(1))
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(reader);
    Ok((write.into(), read.into()))
}

/// Makes a new database readable for its owner alone: it holds what tasks push and users write.
fn prepare_file(path: &Path, create: bool) -> Result<(), StoreError> {
    let cannot = |why: String| StoreError::CannotOpen { path: path.to_path_buf(), why };
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(cannot("it is a folder; name a file in it".into())),
        Ok(_) => {
            // SQLite would open it read-only and fail at the first commit.
            fs::OpenOptions::new().read(true).write(true).open(path).map_err(|error| cannot(reason(&error)))?;
            return Ok(());
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(reason(&error))),
        Err(_) if !create => {
            return Err(cannot("there is no such file; run `updraft db migrate` to make it".into()));
        }
        Err(_) => {}
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| cannot(format!("cannot make the folder {}: {error}", folder.display())))?;
    }
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        // Another process was quicker, with the same permissions.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(cannot(reason(&error))),
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "permission denied; this user must be able to write the file and its folder".to_owned()
        }
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        _ => error.to_string(),
    }
}

async fn open_postgres(
    location: &Location,
    connect: &PgConnectOptions,
    options: &OpenOptions,
) -> Result<(DatabaseConnection, DatabaseConnection), StoreError> {
    let connect = connect.clone().application_name("updraft").disable_statement_logging();
    let limit = format!("{}ms", options.txn_timeout.as_millis());
    let writer = connect.clone().statement_cache_capacity(STATEMENT_CACHE).options([
        ("statement_timeout", limit.as_str()),
        ("lock_timeout", limit.as_str()),
        ("idle_in_transaction_session_timeout", limit.as_str()),
    ]);
    let unreachable = |detail: &str| StoreError::Unreachable { server: location.server(), detail: detail.to_owned() };
    // The first connection by hand: a pool would repeat its attempts and report only that time ran out.
    let proof = tokio::time::timeout(CONNECT_TIMEOUT, writer.connect())
        .await
        .map_err(|_| unreachable("it does not answer"))?
        .map_err(|error| location.explain_sqlx(&error))?;
    let reader = connect.options([("default_transaction_read_only", "on")]);
    let pool = || {
        let port = reader.get_port();
        PgPoolOptions::new().after_connect(move |_, _| {
            send_at_once(port);
            Box::pin(ready(Ok(())))
        })
    };
    let write = pool()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(writer);
    let read =
        pool().max_connections(options.readers.max(1)).acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(reader);
    proof.close().await.map_err(|error| location.explain_sqlx(&error))?;
    Ok((write.into(), read.into()))
}
