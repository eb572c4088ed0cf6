//! What should happen next. The [`core`] is a pure function of (state, now,
//! input) that returns effects; the [`actor`] is its thin shell.
//!
//! Only the scheduler writes the state of runs and task instances. Nothing
//! here starts a process or knows where a worker is.

pub mod actor;
mod admit;
mod assets;
mod attempts;
mod backfills;
mod clear;
mod context;
mod controls;
pub mod core;
mod dags;
mod deadline;
mod delete;
pub mod dependency;
mod errand;
mod expansion;
mod explain;
mod failure;
mod finding;
mod gathered;
mod gauge;
mod history;
mod instances;
pub mod interlude;
pub mod invariant;
mod lane;
mod line;
pub mod liveness;
mod load;
pub mod look_back;
mod looking;
mod lookup;
mod mark;
pub mod message;
mod notify;
mod orders;
mod past;
pub mod pools;
mod progress;
mod queues;
mod recall;
mod reports;
mod restore;
mod runs;
pub mod simulate;
mod skip;
mod timeline;
mod timers;
mod waiting;
mod waits;
mod workers;

pub use assets::linked;
pub use context::{Surroundings, run_context, success_of};
pub use instances::TaskRef;
pub use lookup::answer;

#[cfg(test)]
mod tests;
