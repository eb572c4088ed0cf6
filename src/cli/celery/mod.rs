//! `updraft celery`: workers over a message broker, under the names that Airflow has for them.

mod stop;
mod worker;

use clap::{Args, Subcommand};

use super::error::CliError;
use super::session::Session;
pub use worker::Worker;

/// Run and stop workers over a message broker.
#[derive(Clone, Debug, Args)]
pub struct CeleryCommand {
    #[command(subcommand)]
    action: CeleryAction,
}

#[derive(Clone, Debug, Subcommand)]
enum CeleryAction {
    /// Take tasks from the broker and run them here; no database is needed.
    #[command(
        after_help = "Examples:\n  updraft celery worker\n  updraft celery worker -q etl,reports -c 8 -H etl@%h\n  updraft celery worker --autoscale 16,4 --pid /run/updraft-worker.pid"
    )]
    Worker(Worker),
    /// Ask the worker on this machine to finish what it runs and leave.
    #[command(
        after_help = "Examples:\n  updraft celery stop\n  updraft celery stop --pid /run/updraft-worker.pid     # twice: running tasks are stopped"
    )]
    Stop(stop::Stop),
}

impl CeleryCommand {
    pub fn run(self, session: &mut Session) -> Result<(), CliError> {
        match self.action {
            CeleryAction::Worker(worker) => worker.run(session),
            CeleryAction::Stop(stop) => stop.run(session),
        }
    }
}
