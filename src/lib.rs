#![forbid(unsafe_code)]

pub mod domain;
pub mod protocol;
pub mod scheduler;
pub mod store;
