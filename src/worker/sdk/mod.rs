//! Being the supervisor of Airflow's own task runner, where the Task SDK is installed.
//!
//! ```text
//!  slot ── Channel ── Supervisor (pure) ──► FromTask: questions, values, the outcome
//!             │            ▲
//!          frames       requests            (msgpack over the process's file descriptor 0)
//!             │            │
//!          python: airflow.sdk.execution_time.task_runner
//! ```
//!
//! The runner is the real one and knows nothing of us: it asks its supervisor for
//! what Airflow's API server would give. [`frame`] is the wire, [`request`] what is
//! asked, [`supervisor`] what each request means here, [`startup`] the first word.
//! Nothing in this folder waits, starts a process or decides about a claim: that is the slot's work.

pub mod frame;
mod happened;
pub mod request;
mod shape;
pub mod startup;
pub mod supervisor;
#[cfg(test)]
mod tests;

pub use supervisor::{Step, Supervisor};
