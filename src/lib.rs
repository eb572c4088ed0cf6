#![forbid(unsafe_code)]

pub mod dagfile;
pub mod domain;
