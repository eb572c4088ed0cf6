//! The integration tests, in one binary: every further one would cost a link.

mod python_tasks;
mod readme;
mod vectors;
mod worker;
