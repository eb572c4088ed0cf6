//! Which pieces of which logs are to be sent, and when. Pure: files and broker are elsewhere, time is an argument.
//!
//! ```text
//!  opened ─► released ─► grew ... ─► closed ─► confirmed to the end: forgotten
//!    │                    └ due after LINGER, at once when a whole piece is there
//!    └─ dropped (nothing started): never sent
//! ```
//!
//! Of each log one piece is under way at a time, so the broker has them in order; pieces of many logs are under way
//! together, in the order in which they became due, so that a long log holds up no other.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::domain::ids::AttemptId;

/// The most bytes of log in one message (PROTOCOL §10).
pub const PIECE: u64 = 64 * 1024;

/// How long a little text waits for more: a message per line would cost more than the task.
pub const LINGER: Duration = Duration::from_millis(50);

/// How many pieces may be under way: with their copies, what shipping takes of the memory at most.
const WINDOW: usize = 8;

/// The first pause when the broker does not take a piece, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A log, as the journal remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub attempt: AttemptId,
    /// Relative to the base log folder.
    pub path: String,
    /// Where the attempt's part of the file begins: several attempts may write to one file, one after the other.
    pub base: u64,
    /// How much of it the broker has.
    pub confirmed: u64,
}

/// How much of a log there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// So much was written by now; more may come.
    Growing(u64),
    /// That is all.
    Final(u64),
    /// Of an earlier life: up to the end of the file, or to where another attempt goes on in it.
    EndOfFile { at_most: Option<u64> },
}

#[derive(Debug)]
struct Log {
    mark: Mark,
    length: Length,
    /// False until it is known that the attempt is this worker's for good.
    released: bool,
    under_way: bool,
    due: Option<(Instant, u64)>,
}

/// A piece to be read and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub mark: Mark,
    /// Beyond `mark.confirmed`, no more than this are to be sent; `None`: as much as a piece may have.
    pub at_most: Option<u64>,
    /// Nothing will be added to the log: with the last byte its end is told.
    pub is_closed: bool,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Send(Piece),
    /// Not before then, unless something happens.
    Wait(Instant),
    /// Until something happens.
    Idle,
}

#[derive(Debug, Default)]
pub struct Backlog {
    logs: HashMap<AttemptId, Log>,
    due: BTreeSet<(Instant, u64, AttemptId)>,
    under_way: usize,
    turn: u64,
    /// After a refusal.
    pause: Option<Pause>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    length: Duration,
}

impl Backlog {
    /// What an earlier life left: its processes are gone, so its files are whole.
    pub fn inherit(&mut self, now: Instant, mark: Mark) {
        let end = self.logs.values().filter(|log| log.mark.path == mark.path && log.mark.base > mark.base);
        let at_most = end.map(|log| log.mark.base - mark.base).min();
        for log in self.logs.values_mut() {
            log.ends_where_begins(&mark);
        }
        let attempt = mark.attempt;
        let length = Length::EndOfFile { at_most };
        self.logs.insert(attempt, Log { mark, length, released: true, under_way: false, due: None });
        self.schedule(now, attempt);
    }

    /// A log begins. Nothing of it is sent before it is released.
    pub fn opened(&mut self, mark: Mark) {
        for log in self.logs.values_mut() {
            log.ends_where_begins(&mark);
        }
        let log = Log { length: Length::Growing(0), mark, released: false, under_way: false, due: None };
        self.logs.insert(log.mark.attempt, log);
    }

    pub fn released(&mut self, now: Instant, attempt: AttemptId) {
        if let Some(log) = self.logs.get_mut(&attempt) {
            log.released = true;
        }
        self.schedule(now, attempt);
    }

    /// So many bytes of it are in the file.
    pub fn grew(&mut self, now: Instant, attempt: AttemptId, to: u64) {
        if let Some(log) = self.logs.get_mut(&attempt) {
            log.length = Length::Growing(to);
        }
        self.schedule(now, attempt);
    }

    /// Nothing will be added. False: it was never released, and is forgotten.
    pub fn closed(&mut self, now: Instant, attempt: AttemptId) -> bool {
        let Some(log) = self.logs.get_mut(&attempt) else { return false };
        if !log.released {
            self.logs.remove(&attempt);
            return false;
        }
        if let Length::Growing(length) = log.length {
            log.length = Length::Final(length);
        }
        self.schedule(now, attempt);
        true
    }

    /// The piece to send now. It counts as under way until it is confirmed or refused.
    pub fn next(&mut self, now: Instant) -> Next {
        if self.under_way >= WINDOW {
            return Next::Idle;
        }
        if let Some(pause) = self.pause.filter(|pause| pause.until > now && !self.due.is_empty()) {
            return Next::Wait(pause.until);
        }
        let Some(first) = self.due.first().copied() else { return Next::Idle };
        let (at, _, attempt) = first;
        if at > now {
            return Next::Wait(at);
        }
        self.due.remove(&first);
        let Some(log) = self.logs.get_mut(&attempt) else { return self.next(now) };
        log.due = None;
        log.under_way = true;
        self.under_way += 1;
        let (at_most, is_closed) = match log.length {
            Length::Growing(length) => (Some(length.saturating_sub(log.mark.confirmed)), false),
            Length::Final(length) => (Some(length.saturating_sub(log.mark.confirmed)), true),
            Length::EndOfFile { at_most } => (at_most.map(|end| end.saturating_sub(log.mark.confirmed)), true),
        };
        Next::Send(Piece { mark: log.mark.clone(), at_most, is_closed })
    }

    /// The broker has it. With `is_end` the log is done with, and forgotten.
    pub fn confirmed(&mut self, now: Instant, attempt: AttemptId, length: u64, is_end: bool) {
        self.pause = None;
        self.landed(attempt);
        if is_end {
            self.logs.remove(&attempt);
            return;
        }
        if let Some(log) = self.logs.get_mut(&attempt) {
            log.mark.confirmed += length;
        }
        self.schedule(now, attempt);
    }

    /// The broker did not take it, or nobody knows: it is sent again, after a pause for all.
    pub fn refused(&mut self, now: Instant, attempt: AttemptId) {
        self.landed(attempt);
        let (shortest, longest) = PAUSES;
        // Several refusals of one moment are one.
        if self.pause.is_none_or(|pause| pause.until <= now) {
            let length = self.pause.map_or(shortest, |pause| (pause.length * 2).min(longest));
            self.pause = Some(Pause { until: now + length, length });
        }
        self.schedule(now, attempt);
    }

    /// There is a connection again: nothing is to be waited for.
    pub fn resume(&mut self) {
        self.pause = None;
    }

    /// The file holds less than was said, since the disk is full: nothing to send until more is written.
    pub fn nothing_there(&mut self, attempt: AttemptId) {
        self.landed(attempt);
        if let Some(log) = self.logs.get_mut(&attempt)
            && let Length::Growing(length) = &mut log.length
        {
            *length = log.mark.confirmed;
        }
    }

    /// It cannot be sent at all, for example because its file was deleted.
    pub fn give_up(&mut self, attempt: AttemptId) {
        self.landed(attempt);
        self.logs.remove(&attempt);
    }

    /// How many logs are not wholly confirmed.
    pub fn len(&self) -> usize {
        self.logs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    fn landed(&mut self, attempt: AttemptId) {
        if let Some(log) = self.logs.get_mut(&attempt)
            && log.under_way
        {
            log.under_way = false;
            self.under_way -= 1;
        }
    }

    /// Puts a log in its place among those that have something to send.
    fn schedule(&mut self, now: Instant, attempt: AttemptId) {
        let Some(log) = self.logs.get_mut(&attempt) else { return };
        if !log.released || log.under_way {
            return;
        }
        let is_due_now = match log.length {
            Length::Growing(length) if length <= log.mark.confirmed => return,
            Length::Growing(length) => length - log.mark.confirmed >= PIECE,
            Length::Final(_) | Length::EndOfFile { .. } => true,
        };
        let at = if is_due_now { now } else { now + LINGER };
        match log.due {
            // What waits already keeps its place.
            Some((before, _)) if before <= at => {}
            before => {
                if let Some((before, turn)) = before {
                    self.due.remove(&(before, turn, attempt));
                }
                self.turn += 1;
                log.due = Some((at, self.turn));
                self.due.insert((at, self.turn, attempt));
            }
        }
    }
}

impl Log {
    /// Another attempt goes on in the same file.
    fn ends_where_begins(&mut self, other: &Mark) {
        if let Length::EndOfFile { at_most } = &mut self.length
            && self.mark.path == other.path
            && self.mark.base < other.base
        {
            let end = other.base - self.mark.base;
            *at_most = Some(at_most.map_or(end, |known| known.min(end)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(n: u128) -> AttemptId {
        AttemptId(Uuid::from_u128(n))
    }

    fn mark(n: u128, path: &str, base: u64) -> Mark {
        Mark { attempt: id(n), path: path.to_owned(), base, confirmed: 0 }
    }

    /// A log that is sent as it grows.
    fn live(backlog: &mut Backlog, now: Instant, n: u128) {
        backlog.opened(mark(n, &format!("{n}.log"), 0));
        backlog.released(now, id(n));
    }

    #[track_caller]
    fn sent(backlog: &mut Backlog, now: Instant) -> (u128, u64, Option<u64>, bool) {
        match backlog.next(now) {
            Next::Send(piece) => (piece.mark.attempt.0.as_u128(), piece.mark.confirmed, piece.at_most, piece.is_closed),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_little_text_waits_a_moment_and_a_whole_piece_does_not() {
        let (mut backlog, now) = (Backlog::default(), Instant::now());
        live(&mut backlog, now, 1);
        assert_eq!(backlog.next(now), Next::Idle);
        backlog.grew(now, id(1), 10);
        backlog.grew(now + LINGER / 2, id(1), 20);
        assert_eq!(backlog.next(now), Next::Wait(now + LINGER), "counted from the first byte");
        assert_eq!(sent(&mut backlog, now + LINGER), (1, 0, Some(20), false));
        backlog.grew(now + LINGER, id(1), PIECE + 20);
        assert_eq!(backlog.next(now + LINGER), Next::Idle, "one at a time");
        backlog.confirmed(now + LINGER, id(1), 20, false);
        assert_eq!(sent(&mut backlog, now + LINGER), (1, 20, Some(PIECE), false));
    }

    #[test]
    fn the_end_is_told_at_once_also_of_a_log_that_is_confirmed_already() {
        let (mut backlog, now) = (Backlog::default(), Instant::now());
        live(&mut backlog, now, 1);
        backlog.grew(now, id(1), 10);
        assert_eq!(sent(&mut backlog, now + LINGER), (1, 0, Some(10), false));
        backlog.confirmed(now, id(1), 10, false);
        assert_eq!(backlog.next(now + LINGER * 2), Next::Idle);
        assert!(backlog.closed(now, id(1)));
        assert_eq!(sent(&mut backlog, now), (1, 10, Some(0), true));
        assert_eq!(backlog.len(), 1);
        backlog.confirmed(now, id(1), 0, true);
        assert!(backlog.is_empty());
    }

    #[test]
    fn what_never_started_is_never_sent() {
        let (mut backlog, now) = (Backlog::default(), Instant::now());
        backlog.opened(mark(1, "1.log", 0));
        backlog.grew(now, id(1), PIECE);
        assert_eq!(backlog.next(now), Next::Idle, "another worker may yet write this log");
        assert!(!backlog.closed(now, id(1)));
        assert!(backlog.is_empty());
    }

    #[test]
    fn a_long_log_holds_up_no_other() {
        let (mut backlog, now) = (Backlog::default(), Instant::now());
        live(&mut backlog, now, 1);
        live(&mut backlog, now, 2);
        backlog.grew(now, id(1), 100 * PIECE);
        assert_eq!(sent(&mut backlog, now).0, 1);
        backlog.grew(now, id(2), PIECE);
        backlog.confirmed(now, id(1), PIECE, false);
        assert_eq!(sent(&mut backlog, now).0, 2);
        assert_eq!(sent(&mut backlog, now).0, 1);
    }

    #[test]
    fn no_more_than_the_window_is_under_way() {
        let (mut backlog, now) = (Backlog::default(), Instant::now());
        for n in 1..=20 {
            live(&mut backlog, now, n);
            backlog.grew(now, id(n), PIECE);
        }
        for n in 1..=WINDOW as u128 {
            assert_eq!(sent(&mut backlog, now).0, n);
        }
        assert_eq!(backlog.next(now), Next::Idle);
        backlog.confirmed(now, id(3), PIECE, false);
        assert_eq!(sent(&mut backlog, now).0, WINDOW as u128 + 1);
    }

    #[test]
    fn a_refusal_makes_all_wait_longer_and_longer_and_nothing_is_left_out() {
        let (mut backlog, mut now) = (Backlog::default(), Instant::now());
        for n in [1, 2] {
            live(&mut backlog, now, n);
            backlog.grew(now, id(n), PIECE);
        }
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let attempt = id(sent(&mut backlog, now).0);
            backlog.refused(now, attempt);
            let Next::Wait(until) = backlog.next(now) else { panic!("it waits") };
            pauses.push((until - now).as_millis());
            now = until;
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000, 1000]);
        for _ in 0..2 {
            let (n, offset, ..) = sent(&mut backlog, now);
            assert_eq!(offset, 0, "refused is not sent");
            backlog.confirmed(now, id(n), PIECE, false);
        }
        assert_eq!(backlog.next(now), Next::Idle);
        backlog.grew(now, id(1), 2 * PIECE);
        let attempt = id(sent(&mut backlog, now).0);
        backlog.refused(now, attempt);
        assert_eq!(backlog.next(now), Next::Wait(now + PAUSES.0), "a confirm begins anew");
        backlog.resume();
        assert_eq!(sent(&mut backlog, now).0, 1, "a new connection is tried at once");
    }

    #[test]
    fn what_an_earlier_life_left_ends_where_another_attempt_goes_on() {
        let (mut backlog, now) = (Backlog::default(), Instant::now());
        backlog.inherit(now, Mark { confirmed: 30, ..mark(1, "a.log", 0) });
        backlog.inherit(now, mark(2, "a.log", 100));
        backlog.inherit(now, mark(3, "b.log", 0));
        backlog.opened(mark(4, "a.log", 250));
        assert_eq!(sent(&mut backlog, now), (1, 30, Some(70), true));
        assert_eq!(sent(&mut backlog, now), (2, 0, Some(150), true));
        assert_eq!(sent(&mut backlog, now), (3, 0, None, true));
    }
}
