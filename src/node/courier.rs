//! Carries the scheduler's words to the executor. The scheduler must exist before
//! the worker that reports to it, and the executor after that worker: until then
//! the courier keeps what was said.

use actix::prelude::*;

use crate::actor::told::{Told, tell};
use crate::executor::actor::Executor;
use crate::protocol::execution::{Outgoing, ToExecutor};

/// The actor.
#[derive(Default)]
pub struct Courier {
    executor: Option<Addr<Executor>>,
    kept: Vec<ToExecutor>,
}

impl Actor for Courier {
    type Context = Context<Self>;
}

impl Handler<Told<Outgoing>> for Courier {
    type Result = ();

    fn handle(&mut self, Told(outgoing): Told<Outgoing>, _: &mut Self::Context) {
        // The core sends in the order of picking, so equal priorities keep it.
        let message = ToExecutor { priority: 0, message: outgoing.message };
        match &self.executor {
            Some(executor) => tell(executor, Told(message)),
            None => self.kept.push(message),
        }
    }
}

/// The executor is there.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Attach(pub Addr<Executor>);

impl Handler<Attach> for Courier {
    type Result = ();

    fn handle(&mut self, Attach(executor): Attach, _: &mut Self::Context) {
        for message in self.kept.drain(..) {
            tell(&executor, Told(message));
        }
        self.executor = Some(executor);
    }
}
