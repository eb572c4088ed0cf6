#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod domain;
pub mod protocol;
pub mod scheduler;
pub mod store;
