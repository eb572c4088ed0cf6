//! `updraft celery`: workers over a message broker, under the names that Airflow has for them.

mod flower;
mod orders;
mod stop;
mod worker;

use clap::{Args, Subcommand};

use super::arguments::Output;
use super::block_on;
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
    /// Serve the pages of workers and queues alone.
    #[command(after_help = "Example:\n  updraft celery flower -p 5555")]
    Flower(flower::Flower),
    /// Ask the worker on this machine to finish what it runs and leave.
    #[command(
        after_help = "Examples:\n  updraft celery stop\n  updraft celery stop --pid /run/updraft-worker.pid     # twice: running tasks are stopped"
    )]
    Stop(stop::Stop),
    /// List the workers that live, as the scheduler knows them.
    #[command(after_help = "Example:\n  updraft celery list-workers -o json")]
    ListWorkers(Output),
    /// Tell a worker to finish what it runs and leave.
    #[command(after_help = "Example:\n  updraft celery shutdown-worker -H celery@build-7")]
    ShutdownWorker(orders::Named),
    /// Tell all workers to finish what they run and leave.
    #[command(after_help = "Example:\n  updraft celery shutdown-all-workers --yes")]
    ShutdownAllWorkers(orders::Everybody),
    /// Let a worker take tasks from one more queue.
    #[command(after_help = "Example:\n  updraft celery add-queue -q etl -H celery@build-7")]
    AddQueue(orders::Queue),
    /// Let a worker take no more tasks from a queue; what it runs goes on.
    #[command(after_help = "Example:\n  updraft celery remove-queue -q etl -H celery@build-7")]
    RemoveQueue(orders::Queue),
    /// Let a worker take no more tasks from any queue; what it runs goes on.
    #[command(after_help = "Example:\n  updraft celery remove-all-queues -H celery@build-7")]
    RemoveAllQueues(orders::Named),
    /// Change how many tasks a worker runs at once, until it is started anew.
    #[command(after_help = "Example:\n  updraft celery resize -c 8 -H celery@build-7")]
    Resize(orders::Resize),
}

impl CeleryCommand {
    pub fn run(self, session: &mut Session) -> Result<(), CliError> {
        match self.action {
            CeleryAction::Worker(worker) => worker.run(session),
            CeleryAction::Flower(flower) => flower.run(session),
            CeleryAction::Stop(stop) => stop.run(session),
            CeleryAction::ListWorkers(output) => block_on(orders::list(session, output)),
            CeleryAction::ShutdownWorker(worker) => block_on(worker.shut_down(session)),
            CeleryAction::ShutdownAllWorkers(everybody) => block_on(everybody.shut_down(session)),
            CeleryAction::AddQueue(queue) => block_on(queue.add(session)),
            CeleryAction::RemoveQueue(queue) => block_on(queue.remove(session)),
            CeleryAction::RemoveAllQueues(worker) => block_on(worker.remove_all_queues(session)),
            CeleryAction::Resize(resize) => block_on(resize.run(session)),
        }
    }
}
