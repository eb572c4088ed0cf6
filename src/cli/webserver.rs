//! `updraft webserver` (Airflow 2) and `updraft api-server` (Airflow 3): the pages and the API in their own process.

use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::node;
use crate::node::web_server::Served;

use super::error::CliError;
use super::node::{configured, flag};
use super::session::Session;

/// What both may be told.
#[derive(Clone, Debug, Args)]
pub struct Webserver {
    /// The port to listen on.
    #[arg(short = 'p', long, value_name = "PORT")]
    port: Option<u16>,
    /// The address to listen on.
    #[arg(short = 'H', long, visible_alias = "hostname", value_name = "HOST")]
    host: Option<String>,
    /// Accepted for Airflow; one process serves everything here.
    #[arg(short = 'w', long, hide = true)]
    workers: Option<u32>,
    #[arg(short = 'k', long, hide = true)]
    workerclass: Option<String>,
    #[arg(short = 't', long, alias = "worker-timeout", hide = true)]
    worker_timeout: Option<u32>,
    #[arg(long, hide = true)]
    apps: Option<String>,
    /// Accepted for Airflow; it stays in the foreground, as supervisors want it.
    #[arg(short = 'D', long, hide = true)]
    daemon: bool,
    #[arg(short = 'd', long, alias = "dev", hide = true)]
    debug: bool,
    #[arg(long, hide = true)]
    proxy_headers: bool,
    #[arg(long, hide = true)]
    pid: Option<PathBuf>,
    #[arg(short = 'l', long, hide = true)]
    log_file: Option<PathBuf>,
    #[arg(short = 'A', long, hide = true)]
    access_logfile: Option<PathBuf>,
    #[arg(short = 'E', long, hide = true)]
    error_logfile: Option<PathBuf>,
    #[arg(long, hide = true)]
    stdout: Option<PathBuf>,
    #[arg(long, hide = true)]
    stderr: Option<PathBuf>,
}

impl Webserver {
    pub fn run(self, session: &mut Session) -> Result<(), CliError> {
        if self.daemon {
            session.say("--daemon has no effect: this stays in the foreground");
        }
        let port = self.port.map(|port| port.to_string());
        let flags = [("api", "host", "--host", self.host), ("api", "port", "--port", port)];
        let config = configured(session, &flags.into_iter().filter_map(flag).collect::<Vec<_>>())?;
        let environment = session.environment.clone();
        Ok(actix::System::new().block_on(node::web_server::run(
            config,
            environment,
            Served::Everything,
            &mut io::stderr(),
        ))?)
    }
}
