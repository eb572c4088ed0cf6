//! Tasks on their way into the broker's queues: none is forgotten before the broker has confirmed it (L7). Pure.
//!
//! ```text
//!   add ─► (queue not made yet: Declare) ─► Publish ─► Confirmed: forgotten
//!                 ▲                            │
//!                 │ Returned: no such queue ◄──┤
//!                 └────── Unknown, Nacked ◄────┘  again when the connection is back, or a moment later
//! ```

use std::collections::{BTreeMap, HashMap};

use crate::broker::{Published, Queue};

/// A task that comes back so often waits for the next connection: somebody deletes the queue all the time.
const MOST_RETURNS: u32 = 3;

/// What the shell must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The number names the publish in [`Tasks::on_published`].
    Publish { number: u64, to: Queue, body: Vec<u8> },
    /// Make the queue, then [`Tasks::on_declared`].
    Declare(Queue),
    /// Call [`Tasks::on_retry`] in a moment.
    RetrySoon,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QueueIs {
    Asked,
    There,
}

#[derive(Debug)]
struct Kept {
    to: Queue,
    body: Vec<u8>,
    under_way: bool,
    returned: u32,
}

#[derive(Debug, Default)]
pub(super) struct Tasks {
    connected: bool,
    next: u64,
    /// In the order in which they are to be published.
    kept: BTreeMap<u64, Kept>,
    queues: HashMap<Queue, QueueIs>,
}

impl Tasks {
    pub(super) fn add(&mut self, to: Queue, body: Vec<u8>) -> Vec<Order> {
        self.next += 1;
        self.kept.insert(self.next, Kept { to: to.clone(), body, under_way: false, returned: 0 });
        if !self.connected {
            return Vec::new();
        }
        match self.queues.get(&to) {
            Some(QueueIs::There) => vec![self.publish(self.next)],
            Some(QueueIs::Asked) => Vec::new(),
            None => vec![self.declare(to)],
        }
    }

    /// Whether everything is confirmed.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// A new connection; the session has made every queue again that was there.
    pub(super) fn on_up(&mut self) -> Vec<Order> {
        self.connected = true;
        self.number_anew();
        self.everything_that_waits()
    }

    pub(super) fn on_lost(&mut self) {
        self.connected = false;
        self.queues.retain(|_, state| *state == QueueIs::There);
        self.number_anew();
    }

    /// The queue is there, or will not be made: what it holds back is tried in either case.
    pub(super) fn on_declared(&mut self, queue: &Queue) -> Vec<Order> {
        if !self.connected {
            return Vec::new();
        }
        self.queues.insert(queue.clone(), QueueIs::There);
        self.waiting(Some(queue)).into_iter().map(|number| self.publish(number)).collect()
    }

    /// How a publish ended; one of an earlier connection says nothing any more.
    pub(super) fn on_published(&mut self, number: u64, how: &Published) -> Vec<Order> {
        let Some(kept) = self.kept.get_mut(&number) else { return Vec::new() };
        match how {
            Published::Confirmed => {
                self.kept.remove(&number);
                Vec::new()
            }
            Published::Unknown { .. } => {
                kept.under_way = false;
                Vec::new()
            }
            Published::Nacked { .. } => {
                kept.under_way = false;
                vec![Order::RetrySoon]
            }
            Published::Returned { .. } => {
                (kept.under_way, kept.returned) = (false, kept.returned + 1);
                let (queue, again) = (kept.to.clone(), kept.returned < MOST_RETURNS);
                match self.queues.get(&queue) {
                    Some(QueueIs::There) | None if again && self.connected => vec![self.declare(queue)],
                    Some(_) | None => Vec::new(),
                }
            }
        }
    }

    pub(super) fn on_retry(&mut self) -> Vec<Order> {
        if self.connected { self.everything_that_waits() } else { Vec::new() }
    }

    /// With a new reign: its leader finds in the database what is queued, and publishes that.
    pub(super) fn forget_all(&mut self) {
        self.kept.clear();
    }

    fn everything_that_waits(&mut self) -> Vec<Order> {
        let mut orders = Vec::new();
        for number in self.waiting(None) {
            let to = self.kept[&number].to.clone();
            match self.queues.get(&to) {
                Some(QueueIs::There) => orders.push(self.publish(number)),
                Some(QueueIs::Asked) => {}
                None => orders.push(self.declare(to)),
            }
        }
        orders
    }

    fn waiting(&self, of: Option<&Queue>) -> Vec<u64> {
        let waits = |kept: &Kept| !kept.under_way && of.is_none_or(|queue| kept.to == *queue);
        self.kept.iter().filter(|(_, kept)| waits(kept)).map(|(number, _)| *number).collect()
    }

    fn declare(&mut self, queue: Queue) -> Order {
        self.queues.insert(queue.clone(), QueueIs::Asked);
        Order::Declare(queue)
    }

    fn publish(&mut self, number: u64) -> Order {
        let kept = self.kept.get_mut(&number).expect("only what is kept is published");
        kept.under_way = true;
        Order::Publish { number, to: kept.to.clone(), body: kept.body.clone() }
    }

    /// So that the outcome of a publish over the connection before is not taken for one over this.
    fn number_anew(&mut self) {
        for (_, mut kept) in std::mem::take(&mut self.kept) {
            self.next += 1;
            kept.under_way = false;
            self.kept.insert(self.next, kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Names;
    use crate::domain::ids::QueueName;
    use crate::protocol::envelope::Installation;

    fn queue(name: &str) -> Queue {
        let names = Names::new(Installation::new("x").expect("a name"));
        names.task(&QueueName::new(name).expect("a name")).expect("short")
    }

    fn published(orders: &[Order]) -> Vec<(u64, u8)> {
        let one = |order: &Order| match order {
            Order::Publish { number, body, .. } => Some((*number, body[0])),
            Order::Declare(_) | Order::RetrySoon => None,
        };
        orders.iter().filter_map(one).collect()
    }

    /// Connected, with the queue `a` made and these tasks published.
    fn under_way(bodies: &[u8]) -> (Tasks, Vec<(u64, u8)>) {
        let mut tasks = Tasks::default();
        assert_eq!(tasks.on_up(), []);
        let mut orders = Vec::new();
        for &body in bodies {
            orders.extend(tasks.add(queue("a"), vec![body]));
        }
        assert_eq!(orders, [Order::Declare(queue("a"))], "asked for once");
        let sent = published(&tasks.on_declared(&queue("a")));
        (tasks, sent)
    }

    const LOST: Published = Published::Unknown { why: String::new() };
    const GONE: Published = Published::Returned { why: String::new() };

    #[test]
    fn a_task_waits_for_its_queue_and_is_forgotten_when_it_is_confirmed() {
        let (mut tasks, sent) = under_way(b"12");
        assert_eq!(sent.iter().map(|(_, body)| *body).collect::<Vec<_>>(), b"12");
        let third = published(&tasks.add(queue("a"), b"3".to_vec()));
        assert_eq!(third.len(), 1, "the queue is there now");
        for (number, _) in sent.into_iter().chain(third) {
            assert_eq!(tasks.on_published(number, &Published::Confirmed), []);
        }
        assert!(tasks.is_empty());
    }

    #[test]
    fn what_was_not_confirmed_is_published_again_in_its_order_over_the_next_connection() {
        let (mut tasks, sent) = under_way(b"123");
        tasks.on_published(sent[1].0, &Published::Confirmed);
        tasks.on_lost();
        assert_eq!(tasks.add(queue("b"), b"4".to_vec()), [], "there is no connection");
        let orders = tasks.on_up();
        assert_eq!(published(&orders).iter().map(|(_, body)| *body).collect::<Vec<_>>(), b"13");
        assert!(orders.contains(&Order::Declare(queue("b"))));
        assert_eq!(tasks.on_published(sent[0].0, &LOST), [], "the word of the old connection means nothing");
        let (again, _) = published(&orders)[0];
        tasks.on_published(again, &Published::Confirmed);
        assert_eq!(tasks.kept.len(), 2);
    }

    #[test]
    fn a_queue_that_somebody_deleted_is_made_again_but_not_for_ever() {
        let (mut tasks, sent) = under_way(b"1");
        let mut number = sent[0].0;
        for _ in 1..MOST_RETURNS {
            assert_eq!(tasks.on_published(number, &GONE), [Order::Declare(queue("a"))]);
            number = published(&tasks.on_declared(&queue("a")))[0].0;
        }
        assert_eq!(tasks.on_published(number, &GONE), []);
        assert_eq!(tasks.kept.len(), 1, "it waits for the next connection");
    }

    #[test]
    fn a_broker_that_is_full_is_asked_again_in_a_moment() {
        let (mut tasks, sent) = under_way(b"1");
        let full = Published::Nacked { why: String::new() };
        assert_eq!(tasks.on_published(sent[0].0, &full), [Order::RetrySoon]);
        assert_eq!(published(&tasks.on_retry()), sent);
        assert_eq!(tasks.on_retry(), [], "it is under way");
    }

    #[test]
    fn a_new_reign_publishes_nothing_of_the_one_before() {
        let (mut tasks, sent) = under_way(b"1");
        tasks.forget_all();
        assert_eq!(tasks.on_published(sent[0].0, &LOST), []);
        tasks.on_lost();
        assert_eq!(tasks.on_up(), []);
    }
}
