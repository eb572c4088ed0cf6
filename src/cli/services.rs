//! `updraft dag-processor` and `updraft triggerer`: services of Airflow that are part of the scheduler here. The words
//! are accepted, so that the unit files of an Airflow installation start something that stays up, and does nothing.

use std::path::PathBuf;

use clap::Args;

use crate::node;

use super::error::CliError;
use super::session::Session;

/// What sends a service of Airflow into the background, and is without effect here.
#[derive(Clone, Debug, Args)]
pub struct Background {
    /// Accepted for Airflow; it stays in the foreground, as supervisors want it.
    #[arg(short = 'D', long, hide = true)]
    pub daemon: bool,
    /// Accepted for Airflow; without effect.
    #[arg(long, hide = true)]
    pid: Option<PathBuf>,
    #[arg(short = 'l', long, hide = true)]
    log_file: Option<PathBuf>,
    #[arg(long, hide = true)]
    stdout: Option<PathBuf>,
    #[arg(long, hide = true)]
    stderr: Option<PathBuf>,
}

/// What the unit files of Airflow may say.
#[derive(Clone, Debug, Args)]
pub struct Service {
    #[command(flatten)]
    background: Background,
    #[arg(short = 's', long, hide = true)]
    skip_serve_logs: bool,
    #[arg(short = 'd', long, hide = true)]
    dev: bool,
}

#[derive(Clone, Debug, Args)]
pub struct DagProcessor {
    #[command(flatten)]
    service: Service,
    #[arg(short = 'B', long, hide = true)]
    bundle_name: Vec<String>,
    #[arg(short = 'S', long, hide = true)]
    subdir: Option<PathBuf>,
    #[arg(short = 'n', long, hide = true, allow_negative_numbers = true)]
    num_runs: Option<i64>,
    #[arg(short = 'p', long, hide = true)]
    do_pickle: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Triggerer {
    #[command(flatten)]
    service: Service,
    #[arg(long, hide = true)]
    capacity: Option<u32>,
    #[arg(long, hide = true)]
    queues: Option<String>,
}

impl DagProcessor {
    pub fn run(self, session: &mut Session) -> Result<(), CliError> {
        idle(session, "the scheduler reads DAG files itself (`updraft scheduler`)", &self.service)
    }
}

impl Triggerer {
    pub fn run(self, session: &mut Session) -> Result<(), CliError> {
        idle(session, "the scheduler waits for triggers itself (`updraft scheduler`)", &self.service)
    }
}

fn idle(session: &mut Session, who: &str, service: &Service) -> Result<(), CliError> {
    if service.background.daemon {
        session.say("--daemon has no effect: this stays in the foreground");
    }
    let say =
        || session.say(format_args!("{who}: there is nothing to do here, and this waits until it is asked to stop"));
    Ok(actix::System::new().block_on(node::idle::until_asked(say))?)
}
