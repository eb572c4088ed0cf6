//! The worker's side: what it hears and says is watched here. It never waits, and nothing that it does depends on it.

use chrono::Utc;
use tokio::sync::mpsc;

use super::view::{News, TaskView, WorkerView};
use crate::domain::ids::Claim;
use crate::domain::time::Time;
use crate::protocol::work::{Beat, FromWorker, Online, Report, Standing, TaskMessage};

/// Watches one worker. By default it watches nothing and costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Witness(Option<mpsc::UnboundedSender<News>>);

impl Witness {
    pub(super) fn new(news: mpsc::UnboundedSender<News>) -> Self {
        Self(Some(news))
    }

    /// A slot has a task and will ask for it under this claim.
    pub fn delivered(&self, claim: Claim, task: &TaskMessage, redelivered: bool) {
        if let Some(news) = &self.0 {
            // Who shows nothing any more does not want to know.
            let _ = news.send(received(claim, task, redelivered, Utc::now()));
        }
    }

    /// The worker says this to its scheduler.
    pub fn said(&self, message: &FromWorker) {
        if let Some(news) = &self.0
            && let Some(word) = from(message, Utc::now())
        {
            let _ = news.send(word);
        }
    }
}

fn received(claim: Claim, task: &TaskMessage, redelivered: bool, at: Time) -> News {
    let task = TaskView {
        attempt: task.attempt,
        claim,
        key: task.key.clone(),
        try_number: task.try_number.0,
        has_more_tries: task.try_number.0 <= task.max_tries,
        queue: task.queue.clone(),
        redelivered,
    };
    News::Received { task, at }
}

fn from(message: &FromWorker, now: Time) -> Option<News> {
    match message {
        FromWorker::Online(Online { standing, .. }) => Some(News::Online(view(standing))),
        FromWorker::Beat(Beat { standing, held, .. }) => {
            Some(News::Standing(view(standing), held.iter().map(|(_, claim)| *claim).collect()))
        }
        FromWorker::Started { claim, pid, at, .. } => Some(News::Started { claim: *claim, pid: *pid, at: *at }),
        FromWorker::Finish(Report { claim, outcome, exit_code, started_at, ended_at, .. }) => Some(News::Ended {
            claim: *claim,
            outcome: *outcome,
            exit_code: *exit_code,
            started_at: *started_at,
            ended_at: *ended_at,
        }),
        FromWorker::Released { claim, .. } => Some(News::GivenBack { claim: *claim, at: now }),
        FromWorker::Claimed { .. }
        | FromWorker::Notified(_)
        | FromWorker::Asked { .. }
        | FromWorker::Offline { .. }
        | FromWorker::Obituary { .. } => None,
    }
}

fn view(standing: &Standing) -> WorkerView {
    WorkerView { slots: standing.slots, queues: standing.queues.clone(), draining: standing.draining }
}
