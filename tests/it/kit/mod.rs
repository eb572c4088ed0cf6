//! What the tests of the whole product are made of: a home folder of its own, nodes that are
//! real processes in it, and questions about what they did. Nothing here knows a DAG.

pub mod broker;
mod browser;
mod counter;
mod database;
mod home;
mod node;
mod processes;
mod servers;
mod wait;
mod wire;

pub use browser::{Browser, Screen};
pub use counter::Counter;
pub use database::Database;
pub use home::{FinishedRun, Home};
pub use node::{Ended, Node};
pub use processes::Process;
pub use servers::{OwnPostgres, OwnRabbit};
pub use wait::{wait_for, wait_until};
pub use wire::Wire;
