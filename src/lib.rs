//! Updraft: a workflow orchestrator, Airflow's job done by one program.
//!
//! ```text
//!  dags/*.yaml ─┐                                     in one process: actor mailboxes
//!  dags/*.py  ──┤ dagfile ─► Dag (compiled graph)     on many nodes:  queues of a broker
//!               ▼                                             │
//!         ┌───────────┐  ToWorker   ┌──────────┐             │  ┌────────────────────┐
//! timers ►│ Scheduler │────────────►│ Executor │────────────►│  │ Worker             │
//!  users ►│  (leader) │             └──────────┘                │  slot │ slot │ ... │─► companion ─► bash, python
//!         └─────┬─────┘◄──────────────────────────────────────│  one attempt each  │
//!         group commit            FromWorker                   └────────────────────┘
//!               ▼
//!         Store (SQLite, Postgres, MySQL) ──► CLI, pages, REST API
//! ```
//!
//! # The way of one task
//! [`dagfile`] turns a file into a [`domain::graph::Dag`]. The pure core
//! ([`scheduler::core`]) decides and returns effects; the Scheduler actor commits
//! them in one guarded transaction and only then speaks. The [`executor`] hands the
//! task to a [`worker`] slot, whose companion process starts it; the report comes
//! back and releases, in the same step, whatever waited for it. What needs neither
//! Bash nor Python is done by this very program as such a process ([`operator`]).
//!
//! People and programs see it through [`web`], after [`auth`] knows who they are: it
//! reads the store and sends control.
//!
//! # What holds everywhere
//! - Nothing is said before its commit, and every commit checks the leader's epoch.
//! - A process starts only for a claim that a committed row names.
//! - Only the scheduler writes the state of runs and task instances.
//! - Decisions are functions of (state, input, now): no clock, no socket, no await.
//!
//! # What is absent, on purpose
//! No polling loop, no timer that looks whether something happened, no thread that
//! owns state outside an actor, no `unsafe`. Who may name whom is a test
//! (`tests/it/architecture.rs`). (A web server without a scheduler in its process
//! looks at the database for changes, but only while somebody watches.)

#![forbid(unsafe_code)]

pub mod actor;
pub mod auth;
pub mod broker;
pub mod cli;
pub mod config;
pub mod dagfile;
pub mod domain;
pub mod executor;
pub mod node;
pub mod operator;
pub mod protocol;
pub mod scheduler;
pub mod store;
pub mod telemetry;
pub mod web;
pub mod worker;
