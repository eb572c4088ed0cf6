//! `updraft celery list-workers`, and what workers are told from here: through the leader, who alone may order them.

use std::io::Write;
use std::num::NonZeroU32;

use clap::Args;

use crate::cli::arguments::Output;
use crate::cli::error::CliError;
use crate::cli::output::Rows;
use crate::cli::session::Session;
use crate::domain::ids::QueueName;
use crate::protocol::control::{Control, WorkerOrder};

/// One worker.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// The worker's name, as `celery list-workers` shows it.
    #[arg(short = 'H', long, value_name = "NAME")]
    celery_hostname: String,
}

/// One queue of one worker.
#[derive(Clone, Debug, Args)]
pub struct Queue {
    /// The queue.
    #[arg(short = 'q', long, value_name = "QUEUE")]
    queues: QueueName,
    #[command(flatten)]
    worker: Named,
}

/// How many slots one worker has.
#[derive(Clone, Debug, Args)]
pub struct Resize {
    /// How many tasks it runs at once from now on.
    #[arg(short = 'c', long, value_name = "N")]
    concurrency: NonZeroU32,
    #[command(flatten)]
    worker: Named,
}

/// All workers.
#[derive(Clone, Debug, Args)]
pub struct Everybody {
    /// Do not ask.
    #[arg(short = 'y', long)]
    yes: bool,
}

pub async fn list(session: &mut Session, output: Output) -> Result<(), CliError> {
    let client = session.client().await?;
    let mut rows = Rows::new(["worker_name", "queues", "state", "slots", "running", "host", "version", "seen"]);
    for worker in client.store.list_workers().await?.into_iter().filter(|worker| worker.row.status.lives()) {
        let row = worker.row;
        rows.push([
            row.name.into(),
            row.queues.iter().map(ToString::to_string).collect::<Vec<_>>().join(",").into(),
            row.status.as_str().into(),
            row.slots.to_string().into(),
            i64::try_from(worker.owned).unwrap_or(i64::MAX).into(),
            row.host.into(),
            row.version.into(),
            row.seen_at.into(),
        ]);
    }
    Ok(rows.write(output.format, &mut session.out)?)
}

impl Named {
    pub async fn shut_down(self, session: &mut Session) -> Result<(), CliError> {
        let order = shutdown(session)?;
        say(session, Some(self.celery_hostname), order).await
    }

    pub async fn remove_all_queues(self, session: &mut Session) -> Result<(), CliError> {
        say(session, Some(self.celery_hostname), WorkerOrder::RemoveAllQueues).await
    }
}

impl Everybody {
    pub async fn shut_down(self, session: &mut Session) -> Result<(), CliError> {
        if !self.yes && !session.confirm("Shut down all workers?")? {
            return Err(CliError::failed("Cancelled"));
        }
        let order = shutdown(session)?;
        say(session, None, order).await
    }
}

impl Queue {
    pub async fn add(self, session: &mut Session) -> Result<(), CliError> {
        say(session, Some(self.worker.celery_hostname), WorkerOrder::AddQueue { queue: self.queues }).await
    }

    pub async fn remove(self, session: &mut Session) -> Result<(), CliError> {
        say(session, Some(self.worker.celery_hostname), WorkerOrder::RemoveQueue { queue: self.queues }).await
    }
}

impl Resize {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        say(session, Some(self.worker.celery_hostname), WorkerOrder::Resize { slots: self.concurrency }).await
    }
}

fn shutdown(session: &mut Session) -> Result<WorkerOrder, CliError> {
    Ok(WorkerOrder::Shutdown { deadline: session.config()?.settings().workers.drain_deadline })
}

async fn say(session: &mut Session, name: Option<String>, order: WorkerOrder) -> Result<(), CliError> {
    let client = session.client().await?;
    let told = client.control(&Control::OrderWorkers { name, order }, session.user()).await?.workers_ordered()?;
    if told.is_empty() {
        return Err(CliError::failed("there are no workers"));
    }
    for worker in told {
        writeln!(session.out, "{worker} was told")?;
    }
    Ok(())
}
