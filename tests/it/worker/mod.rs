//! The worker with real processes: what a task sees, and what becomes of it when something breaks.

mod death;
mod executor;
mod life;
mod measure;
mod warm;
pub mod world;
