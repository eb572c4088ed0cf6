//! `updraft standalone` and `updraft scheduler`: flags become configuration, then the node takes over.

use std::io;

use clap::Args;

use crate::config::{self, Flag, Name};
use crate::node;
use crate::telemetry;

use super::error::CliError;
use super::session::Session;

/// What both may be told; each flag is a key of the configuration.
#[derive(Clone, Debug, Args)]
struct NodeFlags {
    /// Where the DAG files are.
    #[arg(long, value_name = "FOLDER")]
    dags_folder: Option<String>,
    /// SequentialExecutor, LocalExecutor or CeleryExecutor.
    #[arg(long, value_name = "NAME")]
    executor: Option<String>,
    /// How many tasks run at once; 0 is no limit.
    #[arg(long, value_name = "N")]
    parallelism: Option<u32>,
}

impl NodeFlags {
    fn given(self) -> Vec<Flag> {
        let flags = [
            ("core", "dags_folder", "--dags-folder", self.dags_folder),
            ("core", "executor", "--executor", self.executor),
            ("core", "parallelism", "--parallelism", self.parallelism.map(|n| n.to_string())),
        ];
        flags.into_iter().filter_map(flag).collect()
    }
}

pub(super) fn flag((section, key, flag, value): (&'static str, &'static str, &str, Option<String>)) -> Option<Flag> {
    Some(Flag { name: Name::new(section, key), value: value?, flag: flag.to_owned() })
}

#[derive(Clone, Debug, Args)]
pub struct Standalone {
    #[command(flatten)]
    node: NodeFlags,
    /// The address to listen on.
    #[arg(short = 'H', long, value_name = "HOST")]
    host: Option<String>,
    /// The port to listen on.
    #[arg(short = 'p', long, value_name = "PORT")]
    port: Option<u16>,
}

impl Standalone {
    pub fn run(self, session: &mut Session) -> Result<(), CliError> {
        let port = self.port.map(|port| port.to_string());
        let own = [("api", "host", "--host", self.host), ("api", "port", "--port", port)];
        let flags: Vec<Flag> = self.node.given().into_iter().chain(own.into_iter().filter_map(flag)).collect();
        let config = configured(session, &flags)?;
        let environment = session.environment.clone();
        Ok(actix::System::new().block_on(node::standalone::run(config, environment, &mut io::stderr()))?)
    }
}

#[derive(Clone, Debug, Args)]
pub struct Scheduler {
    #[command(flatten)]
    node: NodeFlags,
}

impl Scheduler {
    pub fn run(self, session: &mut Session) -> Result<(), CliError> {
        let config = configured(session, &self.node.given())?;
        let environment = session.environment.clone();
        Ok(actix::System::new().block_on(node::run::scheduler(config, environment))?)
    }
}

pub(super) fn configured(session: &mut Session, flags: &[Flag]) -> Result<config::Config, CliError> {
    let config = session.configure(flags)?;
    let level = config.settings().logging.logging_level.as_tracing();
    telemetry::init(if session.verbose { "debug" } else { level }, session.colours());
    Ok((*config).clone())
}
