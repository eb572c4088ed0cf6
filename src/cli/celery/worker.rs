//! `updraft celery worker`, or as Airflow 1.10 has it, `updraft worker`: flags become configuration, then the node takes over.

use std::path::PathBuf;

use clap::Args;

use crate::cli::error::CliError;
use crate::cli::session::Session;
use crate::config::{Flag, Name};
use crate::domain::ids::QueueName;
use crate::node;
use crate::telemetry;

#[derive(Clone, Debug, Args)]
pub struct Worker {
    /// The queues to take tasks from, separated by commas; without them `[operators] default_queue`.
    #[arg(short = 'q', long, value_name = "QUEUES", value_delimiter = ',')]
    queues: Vec<String>,
    /// How many tasks run at once.
    #[arg(short = 'c', long, value_name = "N")]
    concurrency: Option<u32>,
    /// The worker's name for people; `%h` is the host's name.
    #[arg(short = 'H', long, value_name = "NAME")]
    celery_hostname: Option<String>,
    /// As many slots as there is work for, between these two numbers.
    #[arg(short = 'a', long, value_name = "MAX,MIN")]
    autoscale: Option<String>,
    /// Where to write the number of the process.
    #[arg(long, value_name = "FILE")]
    pid: Option<PathBuf>,
    /// Where the worker keeps its state; several workers on one machine need one each.
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    accepted: Accepted,
}

/// Flags of Celery's own machinery, so that a unit file of Airflow starts this worker as it stands.
#[derive(Clone, Debug, Args)]
struct Accepted {
    #[arg(long, hide = true)]
    without_mingle: bool,
    #[arg(long, hide = true)]
    without_gossip: bool,
    #[arg(short = 's', long, hide = true)]
    skip_serve_logs: bool,
}

impl Worker {
    pub fn run(self, session: &mut Session) -> Result<(), CliError> {
        let flags = self.flags();
        let queues = self.queues.iter().map(|queue| queue.trim()).filter(|queue| !queue.is_empty());
        let queues = queues.map(QueueName::new).collect::<Result<Vec<_>, _>>();
        let wishes = node::worker::Wishes {
            queues: queues.map_err(|error| CliError::usage(format!("--queues: {error}")))?,
            name: self.celery_hostname.map(|name| name.replace("%h", &node::run::host_name())),
            state_dir: self.state_dir,
            pid_file: self.pid,
        };
        let config = session.configure(&flags)?;
        let level = config.settings().logging.logging_level.as_tracing();
        telemetry::init(if session.verbose { "debug" } else { level }, session.colours());
        let environment = session.environment.clone();
        Ok(actix::System::new().block_on(node::worker::run((*config).clone(), environment, flags, wishes))?)
    }

    fn flags(&self) -> Vec<Flag> {
        let flags = [
            ("worker_concurrency", "--concurrency", self.concurrency.map(|n| n.to_string())),
            ("worker_autoscale", "--autoscale", self.autoscale.clone()),
        ];
        let flag = |(key, flag, value): (&'static str, &str, Option<String>)| {
            Some(Flag { name: Name::new("celery", key), value: value?, flag: flag.to_owned() })
        };
        flags.into_iter().filter_map(flag).collect()
    }
}
