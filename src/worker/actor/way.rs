//! How a worker is reached and speaks: by mailboxes in one process, or over a broker.

use std::rc::Rc;

use crate::actor::gate::GateControl;
use crate::actor::told::Outlet;
use crate::protocol::work::{FromWorker, ToWorker};
use crate::worker::remote::{Remote, RemoteSettings};

/// The way between a worker and its scheduler.
pub(super) enum Way {
    /// Nothing is lost in between, and who grants dies with who is granted: no lease, no repeated questions.
    InProcess {
        said: Outlet<FromWorker>,
        gate: GateControl<ToWorker>,
    },
    Broker(Box<Remote>),
    /// Between two incarnations behind a broker: nobody is spoken to.
    Nobody(Rc<RemoteSettings>),
}

impl Way {
    pub(super) fn say(&mut self, message: FromWorker) {
        match self {
            Self::InProcess { said, gate: _ } => said.say(message),
            Self::Broker(remote) => remote.say(message),
            // What counts is in the journal, and travels in the next Online.
            Self::Nobody(_) => {}
        }
    }

    pub(super) fn remote(&mut self) -> Option<&mut Remote> {
        match self {
            Self::Broker(remote) => Some(remote),
            Self::InProcess { .. } | Self::Nobody(_) => None,
        }
    }

    /// What a worker behind a broker was told, in every phase of its life.
    pub(super) fn remote_settings(&self) -> Option<Rc<RemoteSettings>> {
        match self {
            Self::InProcess { .. } => None,
            Self::Broker(remote) => Some(Rc::clone(&remote.settings)),
            Self::Nobody(settings) => Some(Rc::clone(settings)),
        }
    }
}
