#![forbid(unsafe_code)]

pub mod actor;
pub mod domain;
pub mod executor;
pub mod protocol;
pub mod store;
pub mod worker;
