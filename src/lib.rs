#![forbid(unsafe_code)]

pub mod actor;
pub mod cli;
pub mod config;
pub mod domain;
pub mod executor;
pub mod protocol;
pub mod scheduler;
pub mod store;
pub mod worker;
