//! `updraft db …`: the tables of the database.

mod clean;
mod shell;

use std::io::Write;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};

use crate::node::client::{Tables, open_store};
use crate::node::scheduling_lock::SchedulingLock;
use crate::node::translate;
use crate::store::{OpenOptions, Store};

use super::error::CliError;
use super::session::Session;

/// Set up, check or empty the database.
#[derive(Clone, Debug, Args)]
pub struct DbCommand {
    #[command(subcommand)]
    action: DbAction,
}

#[derive(Clone, Debug, Subcommand)]
enum DbAction {
    /// Make the tables; Airflow 1 and 2's name of `migrate`.
    #[command(after_help = "Example:\n  updraft db init")]
    Init,
    /// Bring the tables to the shape that this version needs; harmless when they have it.
    #[command(alias = "upgrade", after_help = "Example:\n  updraft db migrate")]
    Migrate,
    /// Prove that the database can be reached and that its tables fit.
    #[command(after_help = "Example:\n  updraft db check && updraft scheduler")]
    Check,
    /// Wait until the tables have the shape that this version needs.
    #[command(after_help = "Example:\n  updraft db check-migrations -t 60 && updraft scheduler")]
    CheckMigrations(CheckMigrations),
    /// Open the database with its own client: sqlite3, psql or mysql.
    #[command(after_help = "Example:\n  updraft db shell")]
    Shell,
    /// Remove what ended long ago; nothing that is unfinished, and no DAG's newest run.
    #[command(
        after_help = "Examples:\n  updraft db clean --clean-before-timestamp 2026-01-01 --dry-run\n  updraft db clean --clean-before-timestamp 2026-01-01 --yes\n  updraft db clean --clean-before-timestamp 2026-01-01 --tables xcom,task_instance_history"
    )]
    Clean(clean::Clean),
    /// Remove everything that is recorded: DAGs, runs, tasks, XComs.
    #[command(after_help = "Example:\n  updraft db reset --yes")]
    Reset(Reset),
}

#[derive(Clone, Debug, Args)]
struct Reset {
    /// Say yes to the question beforehand.
    #[arg(short = 'y', long)]
    yes: bool,
}

#[derive(Clone, Debug, Args)]
struct CheckMigrations {
    /// How many seconds to wait.
    #[arg(short = 't', long, value_name = "SECONDS", default_value_t = 60)]
    migration_wait_timeout: u64,
}

/// How often the tables are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl DbCommand {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        match self.action {
            DbAction::Init => init(session).await,
            DbAction::Migrate => {
                migrate(session).await?;
                Ok(writeln!(session.out, "Database migration done!")?)
            }
            DbAction::Check => check(session).await,
            DbAction::CheckMigrations(check) => check.run(session).await,
            DbAction::Shell => shell::open(session),
            DbAction::Clean(clean) => clean.run(session).await,
            DbAction::Reset(reset) => reset.run(session).await,
        }
    }
}

async fn init(session: &mut Session) -> Result<(), CliError> {
    let config = session.config()?;
    writeln!(session.out, "DB: {}", config.settings().database.url)?;
    migrate(session).await?;
    Ok(writeln!(session.out, "Initialization done")?)
}

async fn migrate(session: &mut Session) -> Result<(), CliError> {
    let config = session.config()?;
    Ok(open_store(config.settings(), Tables::Migrate).await?.close().await?)
}

impl CheckMigrations {
    async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let config = session.config()?;
        let options = OpenOptions { create: false, ..translate::store(config.settings()) };
        let begun = Instant::now();
        let patience = Duration::from_secs(self.migration_wait_timeout);
        let store = Store::open(&options).await?;
        loop {
            match store.check().await {
                Ok(()) => break,
                Err(error) if begun.elapsed() >= patience => return Err(error.into()),
                Err(error) => session.say(format_args!("waiting: {error}")),
            }
            tokio::time::sleep(LOOK_EVERY.min(patience.saturating_sub(begun.elapsed()))).await;
        }
        store.close().await?;
        Ok(writeln!(session.out, "All migrations are applied.")?)
    }
}

async fn check(session: &mut Session) -> Result<(), CliError> {
    let config = session.config()?;
    let options = OpenOptions { create: false, ..translate::store(config.settings()) };
    let store = Store::open(&options).await?;
    store.check().await?;
    store.close().await?;
    Ok(writeln!(session.out, "Connection successful.")?)
}

impl Reset {
    async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let config = session.config()?;
        let settings = config.settings();
        // A node that runs would go on writing what it remembers.
        let _lock = SchedulingLock::take(&settings.home).map_err(|held| CliError::failed(held.to_string()))?;
        let store = Store::open(&translate::store(settings)).await?;
        session.say(format_args!("all DAGs, runs and tasks that {} holds will be removed", store.describe()));
        if !self.yes && !session.confirm("Proceed?")? {
            session.say("Nothing was changed");
            return Ok(());
        }
        store.reset().await?;
        store.close().await?;
        open_store(settings, Tables::Migrate).await?.close().await?;
        Ok(writeln!(session.out, "Database reset done!")?)
    }
}
