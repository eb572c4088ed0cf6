//! `updraft celery flower`: the pages of workers and queues alone, where Flower would be.

use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::node;
use crate::node::web_server::Served;

use super::super::error::CliError;
use super::super::node::{configured, flag};
use super::super::services::Background;
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Flower {
    /// The port to listen on.
    #[arg(short = 'p', long, value_name = "PORT")]
    port: Option<u16>,
    /// The address to listen on.
    #[arg(short = 'H', long, visible_alias = "host", value_name = "HOST")]
    hostname: Option<String>,
    /// Further users, as `user:password`, separated by commas. Shown to everybody who lists the processes of this
    /// machine: better in `[celery] flower_basic_auth`.
    #[arg(short = 'A', long, value_name = "USERS")]
    basic_auth: Option<String>,
    /// Accepted for Airflow; the scheduler knows the broker.
    #[arg(short = 'a', long, hide = true)]
    broker_api: Option<String>,
    #[arg(short = 'c', long, hide = true)]
    flower_conf: Option<PathBuf>,
    #[arg(short = 'u', long, hide = true)]
    url_prefix: Option<String>,
    #[command(flatten)]
    background: Background,
}

impl Flower {
    pub fn run(self, session: &mut Session) -> Result<(), CliError> {
        let without_effect = [
            ("--daemon", self.background.daemon),
            ("--url-prefix", self.url_prefix.is_some()),
            ("--flower-conf", self.flower_conf.is_some()),
        ];
        for (flag, _) in without_effect.into_iter().filter(|(_, given)| *given) {
            session.say(format_args!("{flag} has no effect here"));
        }
        let flags = [
            ("celery", "flower_host", "--hostname", self.hostname),
            ("celery", "flower_port", "--port", self.port.map(|port| port.to_string())),
            ("celery", "flower_basic_auth", "--basic-auth", self.basic_auth),
        ];
        let config = configured(session, &flags.into_iter().filter_map(flag).collect::<Vec<_>>())?;
        let environment = session.environment.clone();
        Ok(actix::System::new().block_on(node::web_server::run(
            config,
            environment,
            Served::Workers,
            &mut io::stderr(),
        ))?)
    }
}
