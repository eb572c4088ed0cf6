//! A good citizen among Celery's tools: what a worker shows to Flower, `celery inspect` and `celery-exporter`, and what
//! they may ask of it. RabbitMQ only.
//!
//! ```text
//!  worker ── Witness ──► News ──► core ──► worker-online, -heartbeat, -offline, task-* ──► celeryev
//!         ◄── Order ─────────────  │ ◄──── ping, stats, pool_grow, shutdown, … ◄──────── celery.pidbox
//!                                  └─────► answers ───────────────────────────────────► reply.celery.pidbox
//! ```
//!
//! # What strangers may do here
//! Celery's remote control has no authentication: whoever may write to the broker's virtual host may use it. So it can make
//! a worker do less, leave, end a process that the scheduler then tries again, have more slots (up to a bound) or take from other
//! queues of its installation. Nothing that comes this way can start anything: an [`Order`] has no word for work, and
//! tasks run only when the scheduler signed them. `[celery] worker_enable_remote_control = False` ends it.
//!
//! # What never leaves
//! Arguments, environment, XComs, results, messages of exceptions. A task is shown by its ids, an end by its outcome.
//!
//! # Why a connection of its own
//! An exchange that somebody declared otherwise, a user without the right to declare it, a second worker of the same name:
//! the broker answers each by closing a channel. None of that may touch the connection on which a lease depends.

mod answer;
mod clock;
mod core;
mod event;
mod machine;
mod mailbox;
mod method;
mod python;
mod request;
mod shell;
mod tasks;
mod view;
mod witness;

#[cfg(test)]
mod on_rabbitmq;
#[cfg(test)]
mod tests;

pub use shell::{Post, Presence, announce};
pub use view::{About, Order, WorkerView};
pub use witness::Witness;
