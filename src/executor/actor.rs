//! The executor actor: the thin shell around [`super::core`].
//!
//! ```text
//!  scheduler ──ToExecutor──► Executor ──try_send──► gate of the worker
//!                               ▲  Full: it waits here   │
//!                               └────── there is room ◄──┘      (no timer, no polling)
//! ```

use std::sync::Arc;

use actix::prelude::*;

use super::core::{Carried, GivenBack, Waiting};
use crate::actor::gate::{Entrance, NotTaken};
use crate::actor::told::{Outlet, Told, tell};
use crate::protocol::execution::ToExecutor;
use crate::protocol::work::{FromWorker, ToWorker};

/// Carries work to one worker, in this process or behind a broker.
pub struct Executor {
    waiting: Waiting,
    entrance: Entrance<ToWorker>,
    worker: Outlet<ToWorker>,
    said: Outlet<FromWorker>,
}

/// The worker has a place again.
struct ThereIsRoom;

impl Message for ThereIsRoom {
    type Result = ();
}

impl Executor {
    /// Starts an executor on the current arbiter. `said` hears what it gives back, as if the worker had.
    pub fn start(entrance: Entrance<ToWorker>, worker: Outlet<ToWorker>, said: Outlet<FromWorker>) -> Addr<Self> {
        Self::create(|ctx| {
            // Weak, because the entrance is ours: two that hold each other would never end.
            let executor = ctx.address().downgrade();
            entrance.on_room(Arc::new(move || {
                if let Some(executor) = executor.upgrade() {
                    tell(&executor, ThereIsRoom);
                }
            }));
            Self { waiting: Waiting::default(), entrance, worker, said }
        })
    }

    fn carry(&mut self) {
        while let Some((place, Carried { task, granted })) = self.waiting.take_next() {
            match self.entrance.try_send(ToWorker::Task { task, granted }) {
                Ok(()) => {}
                Err(NotTaken::Full(ToWorker::Task { task, granted })) => {
                    self.waiting.put_back(place, Carried { task, granted });
                    return;
                }
                Err(NotTaken::Closed(ToWorker::Task { task, granted })) => {
                    // The worker has left for good. Nothing started.
                    if let Some(claim) = granted {
                        self.give_back(GivenBack { attempt: task.attempt, claim });
                    }
                }
                Err(NotTaken::Full(other) | NotTaken::Closed(other)) => {
                    unreachable!("only what was sent comes back, got: {other:?}")
                }
            }
        }
    }

    fn give_back(&self, GivenBack { attempt, claim }: GivenBack) {
        self.said.say(FromWorker::Released { attempt, claim });
    }
}

impl Actor for Executor {
    type Context = Context<Self>;
}

impl Handler<Told<ToExecutor>> for Executor {
    type Result = ();

    fn handle(&mut self, Told(ToExecutor { priority, message }): Told<ToExecutor>, _: &mut Context<Self>) {
        match message {
            ToWorker::Task { task, granted } => {
                if let Some(back) = self.waiting.on_dispatch(priority, Carried { task, granted }) {
                    self.give_back(back);
                }
                self.carry();
            }
            ToWorker::Terminate { claim, grace } => match self.waiting.on_terminate(claim) {
                Some(back) => self.give_back(back),
                None => self.worker.say(ToWorker::Terminate { claim, grace }),
            },
            ToWorker::Drain { deadline } => {
                for back in self.waiting.on_drain() {
                    self.give_back(back);
                }
                self.worker.say(ToWorker::Drain { deadline });
            }
            about_work @ (ToWorker::Granted { .. }
            | ToWorker::Refused { .. }
            | ToWorker::Settled { .. }
            | ToWorker::Values { .. }
            | ToWorker::Notify { .. }
            | ToWorker::Fenced { .. }
            | ToWorker::Resize { .. }
            | ToWorker::Queues { .. }
            | ToWorker::Welcome { .. }
            | ToWorker::Probe) => self.worker.say(about_work),
        }
    }
}

impl Handler<ThereIsRoom> for Executor {
    type Result = ();

    fn handle(&mut self, _: ThereIsRoom, _: &mut Context<Self>) {
        self.carry();
    }
}
