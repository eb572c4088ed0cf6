//! What is known of a worker here, and what it may be asked: plain values, no protocol of Celery's in them.

use serde_json::Value;

use crate::broker::topology::Names;
use crate::domain::attempt::Outcome;
use crate::domain::ids::{AttemptId, Claim, QueueName, TaskKey};
use crate::domain::time::Time;

/// What does not change while a worker lives.
#[derive(Clone, Debug)]
pub struct About {
    /// `celery@host`: unique among the workers of a virtual host, or the second one cannot be asked.
    pub name: String,
    pub version: String,
    pub pid: u32,
    pub started_at: Time,
    /// How the queues of the installation are called.
    pub names: Names,
    /// Whether the number of slots follows the work (`max,min`); then nobody else changes it.
    pub autoscale: Option<(u32, u32)>,
    /// What a worker can run, as `celery inspect registered` lists it.
    pub can_run: Vec<String>,
    /// Settings for `celery inspect conf`. No secret belongs in here.
    pub conf: Vec<(String, Value)>,
    /// `[celery] worker_enable_remote_control`
    pub remote_control: bool,
    /// `[celery] worker_send_task_events`: from the beginning, not only when a viewer asks.
    pub task_events: bool,
}

/// What changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerView {
    pub slots: u32,
    pub queues: Vec<QueueName>,
    /// It takes nothing more and will leave.
    pub draining: bool,
}

/// A task, by nothing but its ids.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TaskView {
    pub attempt: AttemptId,
    pub claim: Claim,
    pub key: TaskKey,
    pub try_number: i32,
    /// Whether a failure that may be repeated will be, as far as a worker can tell.
    pub has_more_tries: bool,
    pub queue: QueueName,
    pub redelivered: bool,
}

/// What happened at the worker.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News {
    /// It begins a life: nothing of an earlier one runs.
    Online(WorkerView),
    /// As it stands now, with every claim that it holds.
    Standing(WorkerView, Vec<Claim>),
    Received {
        task: TaskView,
        at: Time,
    },
    Started {
        claim: Claim,
        pid: u32,
        at: Time,
    },
    Ended {
        claim: Claim,
        outcome: Outcome,
        exit_code: Option<i32>,
        started_at: Option<Time>,
        ended_at: Time,
    },
    /// Nothing started.
    GivenBack {
        claim: Claim,
        at: Time,
    },
}

/// What a worker is asked to do. There is no word here that starts anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    Resize {
        slots: u32,
    },
    Queues {
        add: Vec<QueueName>,
        remove: Vec<QueueName>,
    },
    /// TERM, a grace, KILL; without the grace when it shall be gone at once.
    Terminate {
        claim: Claim,
        at_once: bool,
    },
    /// As SIGTERM: take nothing more, finish, leave.
    Shutdown,
}
