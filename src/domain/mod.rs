//! What is true: the nouns of scheduling and the rules that hold between them.
//!
//! Nothing here does IO, awaits, reads a clock, draws a random number or makes
//! an id: time and randomness are arguments. Nothing here knows an actor, a
//! database or a broker.

pub mod asset;
pub mod attempt;
pub mod backfill;
pub mod backlog;
pub mod blocker;
pub mod connection;
pub mod dag;
pub mod deadline;
pub mod executor;
pub mod expand;
pub mod graph;
pub mod ids;
pub mod journal;
pub mod limit;
pub mod mapping;
pub mod native;
pub mod notification;
pub mod operator;
pub mod param;
pub mod past;
pub mod priority;
pub mod problem;
pub mod python_json;
pub mod retry;
pub mod run;
pub mod schedule;
pub mod secret;
pub mod setup;
pub mod skip;
pub mod state;
pub mod template;
pub mod time;
pub mod trigger;
pub mod wait;
pub mod worker;
