//! `updraft celery stop`: TERM for the worker that a file names.

use std::path::PathBuf;

use clap::Args;

use crate::cli::error::CliError;
use crate::cli::session::Session;
use crate::node::{pid_file, worker};

#[derive(Clone, Debug, Args)]
pub struct Stop {
    /// The file that the worker wrote its process into; without it, the worker of this home is meant.
    #[arg(long, value_name = "FILE")]
    pid: Option<PathBuf>,
    /// The state folder of the worker, where it has another one than its home.
    #[arg(long, value_name = "FOLDER", conflicts_with = "pid")]
    state_dir: Option<PathBuf>,
}

impl Stop {
    pub fn run(self, session: &mut Session) -> Result<(), CliError> {
        let file = match (self.pid, self.state_dir) {
            (Some(file), _) => file,
            (None, Some(folder)) => worker::lock_file(&folder),
            (None, None) => worker::lock_file(&worker::state_dir(session.config()?.settings())),
        };
        let pid = pid_file::stop(&file).map_err(|error| CliError::failed(error.to_string()))?;
        session.say(format_args!("process {pid} was asked to finish what it runs and leave"));
        Ok(())
    }
}
