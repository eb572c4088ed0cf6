//! A lane: task instances that are held by exactly the same limits, best first, and where it stands.

use std::collections::BTreeMap;

use crate::domain::time::Time;

use super::TaskRef;
use super::admit::{Constraint, Holds, Rank};
use super::waits::Log;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LaneId(pub u32);

#[derive(Debug)]
pub(super) struct Lane {
    pub holds: Holds,
    pub waiting: BTreeMap<Rank, Waiting>,
    pub place: Place,
    /// What it was parked at, and `None` while it was open.
    pub log: Log<Option<Constraint>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub task: TaskRef,
    /// When it became scheduled.
    pub since: Time,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Being moved, or new.
    Nowhere,
    Open {
        rank: Rank,
    },
    Parked {
        rank: Rank,
        at: Constraint,
    },
}

impl Place {
    pub fn parked_at(&self) -> Option<Constraint> {
        match self {
            Self::Nowhere | Self::Open { .. } => None,
            Self::Parked { at, .. } => Some(at.clone()),
        }
    }
}
