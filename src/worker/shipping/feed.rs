//! What a task's log tells the shipper. Dropped, the log is complete.

use super::backlog::Mark;
use super::{Note, Shipper};
use crate::domain::ids::AttemptId;

/// The shipper's ear at one log.
pub struct Feed {
    shipper: Shipper,
    mark: Mark,
    is_open: bool,
    is_released: bool,
}

impl Feed {
    pub(super) fn new(shipper: Shipper, attempt: AttemptId, path: &str) -> Self {
        let mark = Mark { attempt, path: path.to_owned(), base: 0, confirmed: 0 };
        Self { shipper, mark, is_open: false, is_released: false }
    }

    /// The file is open, and had `base` bytes.
    pub fn opened(&mut self, base: u64) {
        self.mark.base = base;
        self.is_open = true;
        self.shipper.note(Note::Log(self.mark.clone()));
        self.shipper.change(|backlog, _| backlog.opened(self.mark.clone()));
        if self.is_released {
            self.release();
        }
    }

    /// The attempt is this worker's for good: what it wrote may be shown. Before that it may be withdrawn, and then
    /// another worker writes this log from its beginning.
    pub fn release(&mut self) {
        self.is_released = true;
        if self.is_open {
            self.shipper.change(|backlog, now| backlog.released(now, self.mark.attempt));
        }
    }

    /// So many bytes were written by now.
    pub fn grew(&self, to: u64) {
        self.shipper.change(|backlog, now| backlog.grew(now, self.mark.attempt, to));
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let mut is_shipped = true;
        self.shipper.change(|backlog, now| is_shipped = backlog.closed(now, self.mark.attempt));
        if !is_shipped {
            self.shipper.note(Note::Done(self.mark.attempt));
        }
    }
}
