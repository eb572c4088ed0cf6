//! What is due when. A timer names what to look at, not what to do: whoever is
//! woken looks at the present state, so a timer that came too late harms nothing.

use std::collections::BTreeSet;

use crate::domain::ids::{DagId, NotificationId, QueueName, RunKey};
use crate::domain::time::Time;

use super::TaskRef;
use super::core::Core;

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The next run of a DAG.
    NextRun(DagId),
    /// A task instance that waits for its retry.
    Retry(TaskRef),
    /// A task instance that waits without a slot: its moment, its next look, or the end of its patience.
    Wait(TaskRef),
    /// A run that has taken as long as it may.
    RunTimeout(RunKey),
    /// A notification that failed and is tried again.
    Notification(NotificationId),
    /// One of a run's deadlines.
    Deadline(RunKey, u32),
    /// Work that nobody has claimed although somebody is free.
    TaskQueue(QueueName),
}

/// All timers, the next one first.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Time, Timer)>);

impl Timers {
    pub fn set(&mut self, at: Time, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub fn cancel(&mut self, at: Time, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    pub fn next(&self) -> Option<Time> {
        self.0.first().map(|(at, _)| *at)
    }

    pub fn is_set(&self, at: Time, timer: Timer) -> bool {
        self.0.contains(&(at, timer))
    }

    fn pop_due(&mut self, now: Time) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }
}

impl Core {
    /// Looks at everything that is due.
    pub(super) fn on_due(&mut self, now: Time) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::NextRun(dag) => self.on_run_due(now, &dag),
                Timer::Retry(task) => self.on_retry_due(now, task),
                Timer::Wait(task) => self.on_wait_due(now, task),
                Timer::RunTimeout(run) => self.on_run_timeout(now, run),
                Timer::Notification(id) => self.on_notification_due(id),
                Timer::Deadline(run, number) => self.on_deadline(now, run, number),
                Timer::TaskQueue(queue) => self.on_queue_due(now, &queue),
            }
        }
    }
}
