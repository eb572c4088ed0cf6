//! The command line: one file per command group. Data goes to stdout, talk goes to stderr.

pub mod config;
pub mod output;
