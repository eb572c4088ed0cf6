//! A worker's logs on their way to the scheduler: the files are the backlog, the broker takes pieces of them, the
//! journal remembers how far it came (PROTOCOL §7, §10).
//!
//! ```text
//!  slot ─ TaskLog ─► file ◄─ read ─ shipper ─ signed piece ─► updraft.log ─► log keeper of the scheduler
//!            └─ Feed: opened, grew, closed ─► │ ◄─ confirmed │ refused ─┘
//!                                             └─ Note ─► journal
//! ```
//!
//! There is one shipper per worker, with a connection of its own, so that a flood of logs delays no heartbeat. A task
//! never waits for it: when the broker does not take logs, they wait in the files. It must never keep text in memory
//! beyond the pieces that are under way. The files stay where they are when all is confirmed: the folder may be shared
//! with the scheduler, and whoever wants them gone can tell by the time of their last change.

mod backlog;
mod feed;
mod piece;
mod sender;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::broker;
use crate::domain::ids::{AttemptId, Incarnation, WorkerId};
use crate::protocol::envelope::{Keys, Sender};

use backlog::Backlog;
pub use backlog::{LINGER, Mark, PIECE};
pub use feed::Feed;

/// What a shipper needs.
#[derive(Clone, Debug)]
pub struct Options {
    /// For a connection of its own. The queue of logs is added to what is declared.
    pub broker: broker::Options,
    pub keys: Keys,
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    /// `[logging] base_log_folder`, absolute.
    pub base_log_folder: PathBuf,
}

/// What the journal should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A log begins, or has come further.
    Log(Mark),
    /// It was shipped to its end, or will never be.
    Done(AttemptId),
}

/// The one shipper of a worker; cheap to clone, on the worker's thread.
#[derive(Clone)]
pub struct Shipper(Rc<Inner>);

struct Inner {
    backlog: RefCell<Backlog>,
    note: Box<dyn Fn(Note)>,
    /// Something happened to the backlog.
    changed: Notify,
    /// Everything is confirmed.
    emptied: Notify,
    is_leaving: Cell<bool>,
}

impl Shipper {
    /// Begins to ship, with what an earlier life left (`Journal::unshipped`). It connects when there is something to ship.
    ///
    /// Must be called where `tokio::task::spawn_local` works, as on an actix arbiter.
    pub fn start(options: Options, inherited: Vec<Mark>, note: impl Fn(Note) + 'static) -> Self {
        let mut backlog = Backlog::default();
        let now = Instant::now();
        for mark in inherited {
            backlog.inherit(now, mark);
        }
        let inner = Rc::new(Inner {
            backlog: RefCell::new(backlog),
            note: Box::new(note),
            changed: Notify::new(),
            emptied: Notify::new(),
            is_leaving: Cell::new(false),
        });
        tokio::task::spawn_local(sender::run(Rc::clone(&inner), options));
        Self(inner)
    }

    /// For the log of an attempt that begins.
    pub fn feed(&self, attempt: AttemptId, path: &str) -> Feed {
        Feed::new(self.clone(), attempt, path)
    }

    /// Waits until everything is confirmed, at most for `patience`, and leaves the broker. False when something is left,
    /// for the next life.
    pub async fn leave(&self, patience: Duration) -> bool {
        let emptied = async {
            while !self.0.backlog.borrow().is_empty() {
                self.0.emptied.notified().await;
            }
        };
        let all = tokio::time::timeout(patience, emptied).await.is_ok();
        self.0.is_leaving.set(true);
        self.0.changed.notify_one();
        all
    }

    fn change(&self, change: impl FnOnce(&mut Backlog, Instant)) {
        let mut backlog = self.0.backlog.borrow_mut();
        change(&mut backlog, Instant::now());
        self.0.changed.notify_one();
        if backlog.is_empty() {
            self.0.emptied.notify_waiters();
        }
    }

    fn note(&self, note: Note) {
        (self.0.note)(note);
    }
}

impl Options {
    fn sender(&self) -> Sender {
        Sender::Worker { worker: self.worker, incarnation: self.incarnation }
    }
}
