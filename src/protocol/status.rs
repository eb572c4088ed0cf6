//! What a scheduler says of itself when it is asked how it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::ids::Epoch;

/// How the scheduler is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub epoch: Epoch,
    /// Runs in memory: unfinished, or with an attempt that is.
    pub runs: usize,
    /// Task instances that hold a place.
    pub occupied: u32,
    pub commits: u64,
    /// Broken invariants found; anything but 0 is a fault of this program.
    pub violations: u64,
    /// Messages from the broker that were none of ours; they lie with the dead letters.
    #[serde(default)]
    pub rejected: u64,
}

/// How a scheduler node is.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeStatus {
    /// `None`: it does not answer.
    pub scheduler: Option<Part>,
    /// Whether it is connected to its broker, where it has one.
    pub broker: Option<bool>,
    /// A leader that has said nothing for so long counts as dead.
    pub threshold: Duration,
}

/// The part that a scheduler node plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Leads(Status),
    /// Another one leads; this one would follow it.
    StandsBy,
    /// It schedules nothing itself: it serves pages, and knows whether somebody schedules.
    Serves {
        scheduler_lives: bool,
    },
}
