//! `updraft db …`: the tables of the database.

use std::io::Write;

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

impl DbCommand {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        match self.action {
            DbAction::Init => init(session).await,
            DbAction::Migrate => {
                migrate(session).await?;
                Ok(writeln!(session.out, "Database migration done!")?)
            }
            DbAction::Check => check(session).await,
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
