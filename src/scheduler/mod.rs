//! What should happen next. The [`core`] is a pure function of (state, now,
//! input) that returns effects; the [`actor`] is its thin shell.
//!
//! Only the scheduler writes the state of runs and task instances. Nothing
//! here starts a process or knows where a worker is.

pub mod actor;
mod admit;
mod attempts;
mod clear;
mod controls;
pub mod core;
mod dags;
mod failure;
mod history;
pub mod interlude;
pub mod invariant;
mod load;
mod lookup;
mod mark;
pub mod message;
pub mod pools;
mod progress;
mod recall;
mod reports;
mod restore;
mod runs;
mod timers;

use crate::domain::graph::TaskIx;
use crate::domain::ids::RunKey;

/// A task instance, as the scheduler's memory names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskRef {
    pub run: RunKey,
    pub task: TaskIx,
}

#[cfg(test)]
mod tests;
