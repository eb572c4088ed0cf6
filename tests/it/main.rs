//! The integration tests, in one binary: every further one would cost a link.

mod cli;
mod python_tasks;
mod vectors;
mod worker;
