//! What users want of workers behind a broker: passed on to those that live, once.
//!
//! It goes through the leader, because only a leader's letters are orders to a worker, and only it knows where they
//! are heard. Nothing about an attempt follows from an order: the worker gives back, finishes and reports by its rules.

use crate::domain::problem::suggestion;
use crate::protocol::control::{Refused, Reply, WorkerOrder};
use crate::protocol::work::ToWorker;
use crate::store::write::WorkerRow;

use super::core::{Core, Effect, Grant};

impl Core {
    pub(super) fn order_workers(&mut self, name: Option<String>, order: &WorkerOrder) -> Result<Reply, Refused> {
        if self.settings.grant == Grant::InProcess {
            let message = "this scheduler runs its tasks itself ([core] executor): there are no workers to order about";
            return Err(Refused::Invalid { message: message.to_owned() });
        }
        let live = || self.workers.values().map(|worker| &worker.row).filter(|row| row.status.lives());
        let meant: Vec<WorkerRow> =
            live().filter(|row| name.as_ref().is_none_or(|name| *name == row.name)).cloned().collect();
        if let (Some(name), true) = (name, meant.is_empty()) {
            let hint = suggestion(&name, live().map(|row| row.name.as_str()));
            return Err(Refused::WorkerNotFound { name, hint });
        }
        for row in &meant {
            let message = message(order, row);
            self.effect(Effect::Send { to: Some(row.id), message });
        }
        let mut workers: Vec<String> = meant.into_iter().map(|row| row.name).collect();
        workers.sort();
        Ok(Reply::WorkersOrdered { workers })
    }
}

fn message(order: &WorkerOrder, row: &WorkerRow) -> ToWorker {
    match order {
        WorkerOrder::Shutdown { deadline } => ToWorker::Drain { deadline: *deadline },
        WorkerOrder::AddQueue { queue } => ToWorker::Queues { add: vec![queue.clone()], remove: Vec::new() },
        WorkerOrder::RemoveQueue { queue } => ToWorker::Queues { add: Vec::new(), remove: vec![queue.clone()] },
        WorkerOrder::RemoveAllQueues => ToWorker::Queues { add: Vec::new(), remove: row.queues.clone() },
        WorkerOrder::Resize { slots } => ToWorker::Resize { slots: slots.get() },
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::domain::ids::{Incarnation, QueueName, WorkerId};
    use crate::domain::limit::Limit;
    use crate::domain::worker::WorkerStatus;

    #[test]
    fn each_wish_is_one_message_to_the_worker() {
        let queue = |name: &str| QueueName::new(name).expect("a name");
        let row = WorkerRow {
            id: WorkerId(uuid::Uuid::from_u128(1)),
            name: "celery@one".to_owned(),
            host: "one".to_owned(),
            incarnation: Incarnation(1),
            status: WorkerStatus::Online,
            slots: Limit::from(4),
            queues: vec![queue("a"), queue("b")],
            version: String::new(),
            understands: 1,
            seen_at: chrono::DateTime::UNIX_EPOCH,
        };
        let deadline = Duration::from_secs(60);
        let both = row.queues.clone();
        for (order, expected) in [
            (WorkerOrder::Shutdown { deadline }, ToWorker::Drain { deadline }),
            (
                WorkerOrder::AddQueue { queue: queue("c") },
                ToWorker::Queues { add: vec![queue("c")], remove: Vec::new() },
            ),
            (
                WorkerOrder::RemoveQueue { queue: queue("a") },
                ToWorker::Queues { add: Vec::new(), remove: vec![queue("a")] },
            ),
            (WorkerOrder::RemoveAllQueues, ToWorker::Queues { add: Vec::new(), remove: both }),
            (WorkerOrder::Resize { slots: NonZeroU32::MIN }, ToWorker::Resize { slots: 1 }),
        ] {
            assert_eq!(message(&order, &row), expected, "{order:?}");
        }
    }
}
