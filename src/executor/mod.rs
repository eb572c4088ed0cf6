//! Where it should happen: carries what the scheduler dispatched to a worker that has a place for it, in this process
//! ([`actor`]) or behind a broker ([`remote`]).
//!
//! An executor knows neither the scheduler's reasons nor the worker's processes.
//! It never drops a task: what no worker takes waits here, or is given back.

pub mod actor;
pub mod core;
pub mod remote;

pub use actor::Executor;
