//! How much of a limit is taken, by whom, and when it held somebody up.

use std::collections::BTreeSet;

use crate::domain::limit::Limit;
use crate::domain::time::Time;

use super::TaskRef;
use super::waits::Log;

/// What is taken of one limit; without a limit there is no room at all.
#[derive(Debug)]
pub(super) struct Gauge {
    pub limit: Option<Limit>,
    pub taken: u32,
    /// Who takes it: for people, nothing is decided by it.
    pub holders: BTreeSet<TaskRef>,
    /// Whether it held somebody up.
    pub shut: Log<bool>,
}

impl Gauge {
    pub fn new(limit: Option<Limit>) -> Self {
        Self { limit, taken: 0, holders: BTreeSet::new(), shut: Log::new() }
    }

    pub fn room(&self) -> u32 {
        self.limit.map_or(0, |limit| limit.room(self.taken))
    }

    pub fn take(&mut self, task: TaskRef, slots: u32, now: Option<Time>) {
        self.taken += slots;
        self.holders.insert(task);
        if let Some(now) = now.filter(|_| self.room() == 0) {
            self.shut.note(now, true);
        }
    }

    pub fn give_back(&mut self, task: TaskRef, slots: u32) {
        self.taken = self.taken.saturating_sub(slots);
        self.holders.remove(&task);
    }
}
