#![forbid(unsafe_code)]

pub mod dagfile;
pub mod domain;
pub mod protocol;
pub mod store;
