//! The queues: how they are called and what each kind promises (DESIGN §4).
//!
//! | name | kind |
//! | --- | --- |
//! | `updraft.task.<queue>` | durable, persistent, one per Airflow queue |
//! | `updraft.scheduler` | durable, one active consumer: the leader |
//! | `updraft.reply.<worker>.<incarnation>.<k>` | exclusive to a connection, gone with it |
//! | `updraft.log` | durable, bounded: when it is full it refuses |
//! | `updraft.dead` | durable, bounded: when it is full the oldest goes; nothing that it holds is ever run |
//!
//! `updraft` is the name of the installation, so several can share a broker.
//! No queue has broker priorities: tasks are published in order of priority, and ahead of the free slots only by a
//! small window (PROTOCOL §9), which keeps the order ours on every broker and every type of queue.

use std::fmt;

use uuid::Uuid;

use crate::domain::ids::{Incarnation, QueueName, WorkerId};
use crate::protocol::envelope::Installation;

use super::error::BrokerError;

/// AMQP's limit for a name.
const MAX_NAME: usize = 255;

/// What a queue promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueKind {
    Task,
    Scheduler,
    Reply,
    Log,
    Dead,
}

impl QueueKind {
    /// Whether it outlives a restart of the broker, and its messages with it.
    pub fn is_durable(self) -> bool {
        match self {
            Self::Task | Self::Scheduler | Self::Log | Self::Dead => true,
            Self::Reply => false,
        }
    }
}

/// A queue by its whole name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Queue {
    name: String,
    kind: QueueKind,
}

impl Queue {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn kind(&self) -> QueueKind {
        self.kind
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Who listens on a reply queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    Worker {
        worker: WorkerId,
        incarnation: Incarnation,
    },
    /// Any other node, under a name made up when it started.
    Node(Uuid),
}

/// The names of one installation's queues.
#[derive(Clone, Debug)]
pub struct Names {
    installation: Installation,
}

impl Names {
    pub fn new(installation: Installation) -> Self {
        Self { installation }
    }

    /// # Errors
    /// When no broker can have a queue of that name.
    pub fn task(&self, queue: &QueueName) -> Result<Queue, BrokerError> {
        let name = format!("{}.task.{queue}", self.installation);
        match name.len() {
            ..=MAX_NAME => Ok(Queue { name, kind: QueueKind::Task }),
            length => Err(BrokerError::NameTooLong { queue: name, length }),
        }
    }

    /// Back from the name that the broker knows to Airflow's. `None`: it is no queue of tasks of this installation.
    pub fn task_of(&self, name: &str) -> Option<QueueName> {
        let rest = name.strip_prefix(self.installation.as_str())?.strip_prefix(".task.")?;
        QueueName::new(rest).ok()
    }

    pub fn scheduler(&self) -> Queue {
        self.named("scheduler", QueueKind::Scheduler)
    }

    pub fn log(&self) -> Queue {
        self.named("log", QueueKind::Log)
    }

    pub fn dead(&self) -> Queue {
        self.named("dead", QueueKind::Dead)
    }

    /// The queue of the `k`th connection of a listener. A fixed name would be refused as long as the broker has not
    /// noticed that the connection before is gone (PROTOCOL §10).
    pub fn reply(&self, listener: Listener, k: u64) -> Queue {
        match listener {
            Listener::Worker { worker, incarnation } => {
                self.named(&format!("reply.{worker}.{incarnation}.{k}"), QueueKind::Reply)
            }
            Listener::Node(node) => self.named(&format!("reply.{node}.{k}"), QueueKind::Reply),
        }
    }

    /// A reply queue that a message names: anything else is not one of this installation.
    pub fn reply_address(&self, name: &str) -> Option<Queue> {
        let rest = name.strip_prefix(self.installation.as_str())?.strip_prefix(".reply.")?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        (name.len() <= MAX_NAME && !rest.is_empty() && rest.chars().all(fits))
            .then(|| Queue { name: name.to_owned(), kind: QueueKind::Reply })
    }

    fn named(&self, rest: &str, kind: QueueKind) -> Queue {
        Queue { name: format!("{}.{rest}", self.installation), kind }
    }
}

/// Which type of queue RabbitMQ is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum QueueType {
    /// One copy, on one node of the broker's cluster.
    #[default]
    Classic,
    /// A copy on most nodes of the cluster (Raft). On a single node it costs latency and gains nothing.
    Quorum,
}

impl QueueType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }
}

/// How the queues are made. Every node of an installation must say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Shape {
    pub queue_type: QueueType,
    /// How many messages `updraft.log` holds before it refuses.
    pub log_length: u32,
    /// How many messages `updraft.dead` holds before the oldest goes.
    pub dead_length: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self { queue_type: QueueType::Classic, log_length: 10_000, dead_length: 10_000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(installation: &str) -> Names {
        Names::new(Installation::new(installation).expect("a good name"))
    }

    #[test]
    fn queues_are_called_as_the_design_says() {
        let names = names("updraft");
        let queue = QueueName::new("high mem").expect("a name");
        assert_eq!(names.task(&queue).expect("short").name(), "updraft.task.high mem");
        assert_eq!(names.task_of("updraft.task.high mem"), Some(queue));
        assert!(names.task_of("other.task.high mem").is_none() && names.task_of("updraft.log").is_none());
        assert_eq!(names.scheduler().name(), "updraft.scheduler");
        assert_eq!(names.log().name(), "updraft.log");
        assert_eq!(names.dead().name(), "updraft.dead");
        let worker = WorkerId(Uuid::from_u128(1));
        let reply = names.reply(Listener::Worker { worker, incarnation: Incarnation(4) }, 2);
        assert_eq!(reply.name(), "updraft.reply.00000000-0000-0000-0000-000000000001.4.2");
        assert_eq!(names.reply_address(reply.name()), Some(reply));
    }

    #[test]
    fn installations_do_not_meet_and_a_name_that_no_broker_takes_is_refused() {
        let queue = QueueName::new("a").expect("a name");
        assert_ne!(names("one").task(&queue), names("two").task(&queue));
        let long = QueueName::new("ü".repeat(200)).expect("200 characters are a queue name");
        let error = names("updraft").task(&long).expect_err("413 bytes");
        assert!(error.to_string().ends_with("413 bytes, at most 255"), "{error}");
    }

    #[test]
    fn a_reply_address_cannot_lead_elsewhere() {
        let names = names("updraft");
        for foreign in ["updraft.scheduler", "other.reply.x.1.1", "updraft.reply.", "updraft.reply.a b", "x"] {
            assert_eq!(names.reply_address(foreign), None, "{foreign}");
        }
        assert_eq!(names.reply_address(&format!("updraft.reply.{}", "a".repeat(255))), None);
    }
}
