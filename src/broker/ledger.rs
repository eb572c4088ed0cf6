//! How many deliveries a subscription may still hand out: the credit, and what of it is in use.
//!
//! A delivery is counted under the source that brought it (one consumer of one queue), so that a back end can tell
//! how much a source may still bring by itself.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Shared between a subscription and the deliveries that it handed out.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    book: Mutex<Book>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Book {
    credit: usize,
    out: HashMap<u64, usize>,
}

impl Ledger {
    pub(super) fn new(credit: u16) -> Self {
        Self { book: Mutex::new(Book { credit: credit.into(), out: HashMap::new() }), changed: Notify::new() }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Each change is whole when the lock is given back, so a panic elsewhere leaves nothing half.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn credit(&self) -> usize {
        self.book().credit
    }

    pub(super) fn set_credit(&self, credit: u16) {
        self.book().credit = credit.into();
        self.changed.notify_one();
    }

    /// How many more may be handed out now.
    pub(super) fn room(&self) -> usize {
        let book = self.book();
        book.credit.saturating_sub(book.out.values().sum())
    }

    /// How many of a source's deliveries are not settled.
    pub(super) fn out_of(&self, source: u64) -> usize {
        self.book().out.get(&source).copied().unwrap_or(0)
    }

    /// Counts a delivery that is handed out.
    pub(super) fn hand_out(&self, source: u64) {
        *self.book().out.entry(source).or_default() += 1;
    }

    /// A delivery is settled. Where the broker pushes (AMQP) this is said *before* it hears of it, so that what it
    /// sends because of it finds room.
    pub(super) fn settle(&self, source: u64) {
        let mut book = self.book();
        if let Some(out) = book.out.get_mut(&source) {
            *out -= 1;
            if *out == 0 {
                book.out.remove(&source);
            }
        }
        drop(book);
        self.changed.notify_one();
    }

    /// Returns when something may have changed since the last time.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_the_credit_less_what_is_out() {
        let ledger = Ledger::new(2);
        ledger.hand_out(1);
        ledger.hand_out(2);
        assert_eq!((ledger.room(), ledger.out_of(1), ledger.out_of(2)), (0, 1, 1));
        ledger.set_credit(1);
        assert_eq!(ledger.room(), 0, "less credit than is out leaves no room, and no debt");
        ledger.settle(1);
        assert_eq!(ledger.room(), 0);
        ledger.settle(2);
        assert_eq!((ledger.room(), ledger.out_of(2)), (1, 0));
        ledger.settle(2);
        assert_eq!(ledger.room(), 1, "a settlement that is not owed changes nothing");
    }
}
