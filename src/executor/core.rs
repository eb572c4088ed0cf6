//! Which task goes next, and what becomes of those that wait. Pure: no message is sent here.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use crate::domain::ids::{AttemptId, Claim};
use crate::protocol::work::TaskMessage;

/// A task that no worker has taken yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    pub task: Box<TaskMessage>,
    pub granted: Option<Claim>,
}

/// A task that is given back: nothing started, and nothing will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenBack {
    pub attempt: AttemptId,
    pub claim: Claim,
}

/// What waits for a worker: the greater priority first, equals in the order in which they came.
#[derive(Debug, Default)]
pub struct Waiting {
    line: BTreeMap<Place, Carried>,
    by_claim: HashMap<Claim, Place>,
    came: u64,
    closed: bool,
}

type Place = (Reverse<i64>, u64);

impl Waiting {
    /// A task was dispatched. `Some` when it is given back at once, because the executor is draining.
    pub fn on_dispatch(&mut self, priority: i64, carried: Carried) -> Option<GivenBack> {
        if self.closed {
            return given_back(&carried);
        }
        self.came += 1;
        self.put((Reverse(priority), self.came), carried);
        None
    }

    /// A task is to end before it began. `None` when it is not here: then it is with the worker.
    pub fn on_terminate(&mut self, claim: Claim) -> Option<GivenBack> {
        let place = self.by_claim.remove(&claim)?;
        given_back(&self.line.remove(&place)?)
    }

    /// Nothing more is carried.
    pub fn on_drain(&mut self) -> Vec<GivenBack> {
        self.closed = true;
        self.by_claim.clear();
        std::mem::take(&mut self.line).values().filter_map(given_back).collect()
    }

    /// The task that goes next, with its place for [`Waiting::put_back`].
    pub fn take_next(&mut self) -> Option<(Place, Carried)> {
        let (place, carried) = self.line.pop_first()?;
        if let Some(claim) = carried.granted {
            self.by_claim.remove(&claim);
        }
        Some((place, carried))
    }

    /// No worker had a place: it waits where it was.
    pub fn put_back(&mut self, place: Place, carried: Carried) {
        self.put(place, carried);
    }

    pub fn len(&self) -> usize {
        self.line.len()
    }

    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    fn put(&mut self, place: Place, carried: Carried) {
        if let Some(claim) = carried.granted {
            self.by_claim.insert(claim, place);
        }
        self.line.insert(place, carried);
    }
}

/// A task without a claim belongs to nobody: there is nothing to give back.
fn given_back(carried: &Carried) -> Option<GivenBack> {
    carried.granted.map(|claim| GivenBack { attempt: carried.task.attempt, claim })
}
