//! The integration tests, in one binary: every further one would cost a link.

mod adversity;
mod api;
mod architecture;
mod assets;
mod callbacks;
mod cli;
mod distributed;
mod docker;
mod files;
mod kit;
mod mapping;
mod mysql;
mod operators;
mod postgres;
mod python;
mod python_tasks;
mod readme;
mod reasons;
mod restart;
mod rules;
mod sdk;
mod server;
mod tutorials;
mod vectors;
mod web;
mod worker;
