//! The worker with real processes: what a task sees, and what becomes of it when something breaks.

mod death;
mod executor;
mod life;
mod measure;
pub mod world;
