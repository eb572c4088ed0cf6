//! SIGINT and SIGTERM: the first one drains, each further one hurries.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::run::{Node, NodeError};

/// Runs the node until a signal asks it to stop.
pub async fn run_until_asked(node: Node) -> Result<(), NodeError> {
    let listen = |kind| signal(kind).map_err(|why| NodeError::System { what: "cannot listen for signals", why });
    let signals = Rc::new(RefCell::new((listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?)));
    node.until(|| next(Rc::clone(&signals))).await
}

/// Polls by hand, so that the two signals are borrowed only for an instant.
async fn next(signals: Rc<RefCell<(Signal, Signal)>>) {
    std::future::poll_fn(|task| {
        let (interrupt, terminate) = &mut *signals.borrow_mut();
        if interrupt.poll_recv(task).is_ready() || terminate.poll_recv(task).is_ready() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}
