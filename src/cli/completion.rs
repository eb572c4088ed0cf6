//! `updraft completion <shell>`

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::error::CliError;
use super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Completion {
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub fn run(self, session: &mut Session) -> Result<(), CliError> {
        // Into memory first, because the generator panics when its reader goes away.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), "updraft", &mut script);
        Ok(session.out.write_all(&script)?)
    }
}
