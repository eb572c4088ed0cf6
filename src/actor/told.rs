//! Telling: a message that must arrive, whatever the mailbox limit says.
//!
//! Work goes through [`super::gate`], where a full mailbox pushes back. What is
//! said *about* work (an outcome, a wish to end it, an answer) has already been
//! admitted: its number is bounded by the work that it is about, and to refuse
//! it would lose it. So it is sent with `do_send`, here and nowhere else.

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message, Recipient};

/// A message of a border (`ToWorker`, `FromWorker`, …) in the form that actix carries.
#[derive(Debug)]
pub struct Told<M>(pub M);

impl<M: Send + 'static> Message for Told<M> {
    type Result = ();
}

/// Puts `message` into the mailbox even when it is full. An actor that has ended hears nothing.
#[allow(clippy::disallowed_methods, reason = "the one place where it is meant, see the module")]
pub fn tell<A, M>(to: &Addr<A>, message: M)
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    to.do_send(message);
}

/// Where messages of one border go; whoever holds it does not know which actor listens.
pub struct Outlet<M: Send + 'static>(Recipient<Told<M>>);

impl<M: Send + 'static> Clone for Outlet<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Send + 'static> Outlet<M> {
    pub fn new(to: Recipient<Told<M>>) -> Self {
        Self(to)
    }

    /// Says `message`. An actor that has ended hears nothing.
    #[allow(clippy::disallowed_methods, reason = "the one place where it is meant, see the module")]
    pub fn say(&self, message: M) {
        self.0.do_send(Told(message));
    }
}

impl<M: Send + 'static> From<Recipient<Told<M>>> for Outlet<M> {
    fn from(to: Recipient<Told<M>>) -> Self {
        Self::new(to)
    }
}
