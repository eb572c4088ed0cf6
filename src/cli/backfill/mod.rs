//! `updraft backfill …`: runs of past dates, in Airflow 3's words. One file per kind of command.

mod change;
pub mod create;
mod list;

use clap::{Args, Subcommand};

pub use change::cancel;

use super::error::CliError;
use super::session::Session;

/// Run past dates of a DAG, and look after that.
#[derive(Clone, Debug, Args)]
pub struct BackfillCommand {
    #[command(subcommand)]
    action: BackfillAction,
}

#[derive(Clone, Debug, Subcommand)]
enum BackfillAction {
    /// Ask for a run of every date of a DAG's schedule between two dates.
    #[command(
        after_help = "Examples:\n  updraft backfill create --dag-id etl --from-date 2026-01-01 --to-date 2026-01-31 --dry-run\n  updraft backfill create --dag-id etl --from-date 2026-01-01 --to-date 2026-01-31 --max-active-runs 3\n  updraft backfill create --dag-id etl --from-date 2026-01-01 --to-date 2026-01-31 --reprocess-behavior failed"
    )]
    Create(create::Create),
    /// List backfills, newest first, and how far they have come.
    #[command(after_help = "Examples:\n  updraft backfill list\n  updraft backfill list --dag-id etl --active -o json")]
    List(list::List),
    /// Pause a backfill: no run of it starts any more, those under way go on.
    #[command(after_help = "Example:\n  updraft backfill pause 3")]
    Pause(change::Change),
    /// Let a paused backfill go on.
    #[command(after_help = "Example:\n  updraft backfill unpause 3")]
    Unpause(change::Change),
    /// End a backfill: its queued runs fail, those that run go on, and no more are made.
    #[command(after_help = "Example:\n  updraft backfill cancel 3")]
    Cancel(change::Change),
}

impl BackfillCommand {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        match self.action {
            BackfillAction::Create(create) => create.run(session).await,
            BackfillAction::List(list) => list.run(session).await,
            BackfillAction::Pause(change) => change.pause(session, true).await,
            BackfillAction::Unpause(change) => change.pause(session, false).await,
            BackfillAction::Cancel(change) => change.cancel(session).await,
        }
    }
}
