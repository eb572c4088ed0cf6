//! Publishing: one task that sends in order, everything that waits in one round trip.

use std::sync::Arc;

use redis::{RedisError, RedisResult};
use tokio::sync::{mpsc, oneshot};

use super::super::error::BrokerError;
use super::super::link::Notice;
use super::super::message::{Outgoing, Published};
use super::super::topology::{QueueKind, Shape};
use super::{Core, failure, said};

/// More than this at once only makes the first wait for the last.
const AT_ONCE: usize = 200;

pub(super) struct Job {
    pub(super) message: Outgoing,
    pub(super) outcome: oneshot::Sender<Published>,
}

/// Starts the task, which ends with the link.
pub(super) fn start(core: &Arc<Core>) -> mpsc::UnboundedSender<Job> {
    let (jobs, queue) = mpsc::unbounded_channel();
    tokio::spawn(run(Arc::clone(core), queue));
    jobs
}

async fn run(core: Arc<Core>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    let mut gone = core.gone.subscribe();
    let mut connection = core.connection.clone();
    let mut batch = Vec::new();
    let mut is_blocked = false;
    loop {
        tokio::select! {
            taken = jobs.recv_many(&mut batch, core.dial.window.min(AT_ONCE)) => if taken == 0 { return },
            _ = gone.wait_for(|gone| *gone) => return,
        }
        let mut calls = redis::pipe();
        calls.ignore_errors();
        for job in &batch {
            calls.add_command(call(&core, &job.message));
        }
        let answers: RedisResult<Vec<RedisResult<String>>> = calls.query_async(&mut connection).await;
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                // Dropped with the batch, each receipt says `Unknown`.
                core.lose(BrokerError::lost(said(&error)));
                return;
            }
        };
        let mut refusal = None;
        for (job, answer) in batch.drain(..).zip(answers) {
            let published = outcome(answer.as_deref(), &job.message);
            if let Err(error) = &answer {
                refusal = Some(failure(error));
            }
            // Nobody may be waiting any more.
            let _ = job.outcome.send(published);
        }
        match refusal {
            Some(error @ BrokerError::Lost { .. }) => {
                core.lose(error);
                return;
            }
            // Out of memory, or forbidden to write: it stays so until somebody acts.
            Some(error) if !is_blocked => {
                is_blocked = true;
                let _ = core.dial.notices.send(Notice::Blocked(error.to_string()));
            }
            None if is_blocked => {
                is_blocked = false;
                let _ = core.dial.notices.send(Notice::Unblocked);
            }
            Some(_) | None => {}
        }
    }
}

fn call(core: &Core, message: &Outgoing) -> redis::Cmd {
    let Shape { log_length, dead_length, .. } = core.dial.shape;
    let (refuse_at, trim_to) = match message.to.kind() {
        QueueKind::Task | QueueKind::Scheduler | QueueKind::Reply => (String::new(), String::new()),
        QueueKind::Log => (log_length.to_string(), String::new()),
        QueueKind::Dead => (String::new(), dead_length.to_string()),
    };
    let mut call = core.scripts.publish.call(1);
    call.arg(message.to.name()).arg(&message.body).arg(headers(message)).arg(refuse_at).arg(trim_to);
    call
}

fn headers(message: &Outgoing) -> String {
    if message.headers.is_empty() {
        return String::new();
    }
    serde_json::to_string(&message.headers).expect("pairs of texts are JSON")
}

fn outcome(answer: Result<&str, &RedisError>, message: &Outgoing) -> Published {
    match answer {
        Ok("ok") => Published::Confirmed,
        Ok("returned") => Published::Returned { why: format!("there is no queue `{}`", message.to) },
        Ok("full") => Published::Nacked { why: "the broker does not take the message: the queue is full".to_owned() },
        Ok(other) => Published::Unknown { why: format!("the script answered `{other}`") },
        Err(error) => Published::Nacked { why: said(error) },
    }
}
