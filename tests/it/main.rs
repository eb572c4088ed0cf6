//! The integration tests, in one binary: every further one would cost a link.

mod adversity;
mod architecture;
mod cli;
mod files;
mod kit;
mod postgres;
mod python_tasks;
mod readme;
mod restart;
mod tutorials;
mod vectors;
mod worker;
