//! The task queues of a broker: how far each is filled ahead of its workers (PROTOCOL §9), and what becomes of
//! work in it that nobody claims (L7).
//!
//! ```text
//!  published ─► claimed
//!      │ nobody claims it for `redispatch_after`, and all that while a worker of the queue reported a free slot
//!      ▼
//!  published again ... after `max_redispatch` times: undeliverable
//! ```
//!
//! Time with every slot taken does not count: then nothing is wrong. One timer per queue that has both, whatever
//! lies in it. In one process there is no queue, and nothing here does anything.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::attempt::{AttemptEvent, Reaction};
use crate::domain::ids::{QueueName, WorkerId};
use crate::domain::limit::Limit;
use crate::domain::time::{Time, after};
use crate::protocol::envelope::VERSION;

use super::TaskRef;
use super::core::{Core, Grant};
use super::timers::Timer;

/// Beside twice the slots of its workers so many lie in a queue: what keeps slots busy while claims are under way.
const AHEAD: u32 = 16;

/// A worker that takes work from a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taker {
    slots: Limit,
    /// It understands the messages that we write.
    understands: bool,
    is_free: bool,
}

/// One task queue.
#[derive(Debug, Default)]
pub(super) struct TaskQueue {
    takers: BTreeMap<WorkerId, Taker>,
    /// What lies unclaimed in it, by when it was published last.
    published: BTreeSet<(Time, TaskRef)>,
    /// Since when there was always a taker with a free slot.
    free_since: Option<Time>,
    /// When it is looked at.
    alarm: Option<Time>,
}

/// An attempt that nobody has claimed.
#[derive(Debug)]
struct Unclaimed {
    queue: QueueName,
    published: Time,
    /// How often it was published again.
    again: u32,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct TaskQueues {
    queues: BTreeMap<QueueName, TaskQueue>,
    unclaimed: BTreeMap<TaskRef, Unclaimed>,
}

impl TaskQueue {
    /// How much may lie unclaimed in it; `None` where nobody takes it.
    fn window(&self) -> Option<Limit> {
        let mut able = self.takers.values().filter(|taker| taker.understands).peekable();
        able.peek()?;
        let slots = able.try_fold(0_u32, |sum, taker| match taker.slots {
            Limit::Unlimited => None,
            Limit::AtMost(slots) => Some(sum.saturating_add(slots.get())),
        });
        Some(slots.map_or(Limit::Unlimited, |slots| Limit::from(slots.saturating_mul(2).saturating_add(AHEAD))))
    }

    /// How many workers take work from it, and how many of them understand it.
    pub fn takers(&self) -> (usize, usize) {
        (self.takers.len(), self.takers.values().filter(|taker| taker.understands).count())
    }

    fn note_free(&mut self, now: Time) {
        let is_free = self.takers.values().any(|taker| taker.is_free && taker.understands);
        self.free_since = is_free.then(|| self.free_since.unwrap_or(now));
    }
}

impl TaskQueues {
    pub fn get(&self, queue: &QueueName) -> Option<&TaskQueue> {
        self.queues.get(queue)
    }

    fn publish(&mut self, now: Time, at: TaskRef, queue: &QueueName) {
        let again = self.claimed(at).map_or(0, |before| before.again + 1);
        let entry = Unclaimed { queue: queue.clone(), published: now, again };
        self.unclaimed.insert(at, entry);
        self.queues.entry(queue.clone()).or_default().published.insert((now, at));
    }

    fn claimed(&mut self, at: TaskRef) -> Option<Unclaimed> {
        let entry = self.unclaimed.remove(&at)?;
        if let Some(queue) = self.queues.get_mut(&entry.queue) {
            queue.published.remove(&(entry.published, at));
        }
        Some(entry)
    }

    /// A broken rule in words: exactly what is unclaimed lies in the queues, and what may be overdue is watched.
    pub fn check(&self, is_unclaimed: impl Fn(TaskRef) -> bool, unclaimed: usize, leaving: bool) -> Result<(), String> {
        if let Some(at) = self.unclaimed.keys().find(|at| !is_unclaimed(**at)) {
            return Err(format!("{at:?} is listed as unclaimed"));
        }
        let listed: usize = self.queues.values().map(|queue| queue.published.len()).sum();
        if self.unclaimed.len() != unclaimed || listed != unclaimed {
            return Err(format!("{unclaimed} are unclaimed, {} known, {listed} in queues", self.unclaimed.len()));
        }
        let unwatched =
            |queue: &TaskQueue| queue.free_since.is_some() && !queue.published.is_empty() && queue.alarm.is_none();
        match self.queues.iter().find(|(_, queue)| !leaving && unwatched(queue)) {
            Some((name, _)) => Err(format!("queue {name} has a free worker and unclaimed work, and no timer")),
            None => Ok(()),
        }
    }
}

impl Core {
    /// A worker's queues, slots or status may have changed.
    pub(super) fn join_queues(&mut self, now: Time, id: WorkerId) {
        if self.settings.grant != Grant::ByClaim {
            return;
        }
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let taker =
            Taker { slots: worker.row.slots, understands: worker.row.understands >= VERSION, is_free: worker.is_free };
        let wanted = if worker.row.status.takes_work() { worker.row.queues.clone() } else { Vec::new() };
        let before = std::mem::replace(&mut worker.joined, wanted.clone());
        for name in before.iter().filter(|name| !wanted.contains(name)) {
            self.take_part(now, id, name, None);
        }
        for name in &wanted {
            self.take_part(now, id, name, Some(taker));
        }
    }

    fn take_part(&mut self, now: Time, id: WorkerId, name: &QueueName, taker: Option<Taker>) {
        let queue = self.queues.queues.entry(name.clone()).or_default();
        let before = match taker {
            Some(taker) => queue.takers.insert(id, taker),
            None => queue.takers.remove(&id),
        };
        if before == taker {
            return;
        }
        queue.note_free(now);
        let offers = |taker: &Taker| (taker.slots, taker.understands);
        if before.as_ref().map(offers) != taker.as_ref().map(offers) {
            self.admission.set_queue(name.clone(), queue.window());
        }
        self.watch_queue(name);
    }

    /// It lies in its task queue from now on, or does so once more.
    pub(super) fn note_published(&mut self, now: Time, at: TaskRef) {
        let queue = self.queue_of(at);
        self.queues.publish(now, at, &queue);
        self.watch_queue(&queue);
    }

    /// It was claimed, or has ended.
    pub(super) fn note_claimed(&mut self, at: TaskRef) {
        self.queues.claimed(at);
    }

    pub(super) fn queue_of(&self, at: TaskRef) -> QueueName {
        self.run(at.run).dag.task(at.task).queue.clone()
    }

    /// Sees to it that what may become overdue is looked at then. A timer that turns out to be early is set again.
    fn watch_queue(&mut self, name: &QueueName) {
        // Whoever leaves hands out nothing.
        let is_free_to = |queue: &&mut TaskQueue| queue.alarm.is_none() && !self.leaving;
        let Some(queue) = self.queues.queues.get_mut(name).filter(is_free_to) else { return };
        let (Some(free_since), Some((oldest, _))) = (queue.free_since, queue.published.first()) else { return };
        let due = after(free_since.max(*oldest), self.settings.remote.redispatch_after);
        queue.alarm = Some(due);
        self.timers.set(due, Timer::TaskQueue(name.clone()));
    }

    /// L7: somebody was free all the while, and this work is still there.
    pub(super) fn on_queue_due(&mut self, now: Time, name: &QueueName) {
        let patience = self.settings.remote.redispatch_after;
        let Some(queue) = self.queues.queues.get_mut(name) else { return };
        queue.alarm = None;
        let was_free = queue.free_since.is_some_and(|since| after(since, patience) <= now);
        if was_free {
            let is_old = |(published, _): &&(Time, TaskRef)| after(*published, patience) <= now;
            let overdue: Vec<TaskRef> = queue.published.iter().take_while(is_old).map(|(_, at)| *at).collect();
            for at in overdue {
                self.redispatch(now, at, name);
            }
        }
        self.watch_queue(name);
    }

    fn redispatch(&mut self, now: Time, at: TaskRef, queue: &QueueName) {
        let again = self.queues.unclaimed.get(&at).map_or(0, |entry| entry.again);
        let exhausted = again >= self.settings.remote.max_redispatch;
        if let Some(attempt) = self.instance_mut(at).attempt.as_mut().filter(|_| exhausted) {
            let times = again + 1;
            attempt.message = Some(format!(
                "undeliverable: published {times} times to queue `{queue}`, and no worker took it although one was free"
            ));
        }
        let event = AttemptEvent::Unclaimed { exhausted };
        if self.on_attempt_ended(now, at, event, None) == Reaction::Publish {
            self.publish(now, at);
        }
    }
}
