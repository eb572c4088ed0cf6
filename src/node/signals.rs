//! SIGINT and SIGTERM: the first one drains, each further one hurries.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config;

use super::files;
use super::run::{Node, NodeError};

/// The signals that ask a node to stop. From [`Signals::listen`] on they no longer end the process by themselves.
#[derive(Clone)]
pub struct Signals(Rc<RefCell<(Signal, Signal)>>);

impl Signals {
    /// To be called before anything runs that must not be torn down.
    pub fn listen() -> Result<Self, NodeError> {
        let listen = |kind| signal(kind).map_err(|why| NodeError::System { what: "cannot listen for signals", why });
        let signals = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        Ok(Self(Rc::new(RefCell::new(signals))))
    }

    /// Reads the DAG files, says so, and runs the node until a signal asks it to stop, also in the middle of reading.
    pub async fn run_until_asked(
        self,
        settings: &config::Settings,
        node: Node,
        on_ready: impl FnOnce(),
    ) -> Result<(), NodeError> {
        let followed = tokio::select! {
            followed = files::follow(settings, &node.store, &node.python, node.scheduler.clone()) => Some(followed),
            () = self.next() => None,
        };
        let mut was_asked = false;
        match followed {
            Some(Ok(_)) => on_ready(),
            Some(Err(error)) => {
                node.close().await?;
                return Err(error);
            }
            None => was_asked = true,
        }
        node.until(|| {
            let (signals, was_asked) = (self.clone(), std::mem::take(&mut was_asked));
            async move {
                if !was_asked {
                    signals.next().await;
                }
            }
        })
        .await
    }

    /// The next signal. Polls by hand, so that the two are borrowed only for an instant.
    pub async fn next(&self) {
        std::future::poll_fn(|task| {
            let (interrupt, terminate) = &mut *self.0.borrow_mut();
            if interrupt.poll_recv(task).is_ready() || terminate.poll_recv(task).is_ready() {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }
}
