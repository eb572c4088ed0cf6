//! What a scheduler says of itself when it is asked how it is.

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
}
