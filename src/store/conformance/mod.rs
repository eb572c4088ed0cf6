//! What a database must do to be ours, told once and tried on every kind: a
//! fresh SQLite file, Postgres database and MySQL or MariaDB database per story.
//!
//! Postgres is at `UPDRAFT_TEST_POSTGRES` (default: a local one that trusts
//! `postgres`), MySQL or MariaDB at `UPDRAFT_TEST_MYSQL` (default: a local one
//! that trusts `root`). Without one the stories fail, unless its variable is `none`.

mod accounts;
mod backfills;
mod commands;
mod faults;
mod figures;
mod leaders;
mod lists;
mod load;
mod mysql;
mod notifications;
mod pictures;
mod queries;
mod rows;
mod vault;
mod workers;

use std::path::PathBuf;

use sea_orm::{ConnectionTrait, Database, DbErr};
use tempfile::TempDir;

use crate::domain::ids::Epoch;

use super::{OpenOptions, Store, Writer, write::Write};

const DEFAULT_POSTGRES: &str = "postgres://postgres@127.0.0.1:5432/postgres";
const DEFAULT_MYSQL: &str = "mysql://root@127.0.0.1:3306/";

/// A database of its own, gone when the story ends, however it ends.
struct Bed {
    store: Store,
    options: OpenOptions,
    kind: Kind,
}

enum Kind {
    Sqlite(TempDir),
    Postgres { server: String, name: String },
    Mysql { server: String, name: String },
}

impl Bed {
    async fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let options = OpenOptions::new(format!("sqlite://{}", dir.path().join("updraft.db").display()));
        Self::new(options, Kind::Sqlite(dir)).await
    }

    /// `None` where the person at the keyboard said that there is none.
    async fn postgres() -> Option<Self> {
        let (server, name, options) = on_server("UPDRAFT_TEST_POSTGRES", DEFAULT_POSTGRES, "").await?;
        Some(Self::new(options, Kind::Postgres { server, name }).await)
    }

    /// Likewise. The database compares as people read: it is for the tables to say otherwise.
    async fn mysql() -> Option<Self> {
        let as_people_read = "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci";
        let (server, name, options) = on_server("UPDRAFT_TEST_MYSQL", DEFAULT_MYSQL, as_people_read).await?;
        Some(Self::new(options, Kind::Mysql { server, name }).await)
    }

    async fn new(options: OpenOptions, kind: Kind) -> Self {
        let store = Store::open(&options).await.expect("a database that opens");
        store.migrate().await.expect("tables that are made");
        Self { store, options, kind }
    }

    /// Another process, as far as the database can tell.
    async fn another(&self) -> Store {
        Store::open(&self.options).await.expect("a second opening")
    }

    async fn leader(&self) -> (Writer, Epoch) {
        let mut writer = self.store.writer();
        let epoch = writer.take_leadership("host:1").await.expect("a free leadership");
        (writer, epoch)
    }

    /// Commits as a new leader.
    async fn write(&self, writes: Vec<Write>) {
        let (mut writer, epoch) = self.leader().await;
        writer.commit(epoch, writes).await.expect("a commit");
    }

    async fn execute(&self, sql: &str) {
        self.store.write.execute_unprepared(sql).await.expect("a statement that the story needs");
    }

    /// The file, where the database is one.
    fn file(&self) -> PathBuf {
        match &self.kind {
            Kind::Sqlite(dir) => dir.path().join("updraft.db"),
            Kind::Postgres { .. } | Kind::Mysql { .. } => panic!("a server has no file"),
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let (server, sql) = match &self.kind {
            Kind::Sqlite(_) => return,
            Kind::Postgres { server, name } => (server.clone(), format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")),
            Kind::Mysql { server, name } => (server.clone(), format!("DROP DATABASE IF EXISTS {name}")),
        };
        // A thread of its own, because a failing story drops the bed inside its runtime.
        let swept = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(tell_server(&server, &sql))
        });
        let outcome = swept.join().expect("a sweeper that does not panic");
        if !std::thread::panicking() {
            outcome.expect("a test database that can be dropped");
        }
    }
}

/// A new database on a server: where that is, the database's name, and how to open it.
async fn on_server(variable: &str, default: &str, options: &str) -> Option<(String, String, OpenOptions)> {
    let server = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    if server == "none" {
        return None;
    }
    let name = format!("updraft_test_{}", uuid::Uuid::new_v4().simple());
    if let Err(error) = tell_server(&server, &format!("CREATE DATABASE {name} {options}")).await {
        panic!("no server to test with ({error}): start one, name it in {variable}, or set that to `none`");
    }
    let (base, _) = server.rsplit_once('/').expect("a URL with a path");
    let options = OpenOptions::new(format!("{base}/{name}"));
    Some((server, name, options))
}

async fn tell_server(server: &str, sql: &str) -> Result<(), DbErr> {
    let db = Database::connect(server).await?;
    db.execute_unprepared(sql).await?;
    db.close().await
}

/// Tells one story to every kind of database.
async fn on_every_database(story: impl AsyncFn(&Bed)) {
    let sqlite = Bed::sqlite().await;
    eprintln!("on {}", sqlite.store.describe());
    story(&sqlite).await;
    if let Some(postgres) = Bed::postgres().await {
        eprintln!("on {}", postgres.store.describe());
        story(&postgres).await;
    }
    if let Some(mysql) = Bed::mysql().await {
        eprintln!("on {}", mysql.store.describe());
        story(&mysql).await;
    }
}
