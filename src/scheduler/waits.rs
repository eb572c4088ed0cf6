//! A bounded memory of how something stood, from when to when.
//!
//! Whoever waits in a lane waited for what the lane waited for. So lanes and
//! limits remember how they stood, once for all who wait, and a task instance
//! takes the stretch that concerns it when it leaves. Nothing here decides.

use std::collections::VecDeque;

use crate::domain::time::Time;

/// As many changes are kept; of too many the longest stretches remain.
const MOST: usize = 16;

/// How something stood, each change with its instant.
#[derive(Debug, Default)]
pub(super) struct Log<T>(VecDeque<(Time, T)>);

impl<T: PartialEq> Log<T> {
    pub const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// It stands so from `now` on. What lasted no time at all is forgotten.
    pub fn note(&mut self, now: Time, what: T) {
        if self.0.back().is_some_and(|(_, last)| *last == what) {
            return;
        }
        if self.0.back().is_some_and(|(at, _)| *at >= now) {
            self.0.pop_back();
            if self.0.back().is_some_and(|(_, last)| *last == what) {
                return;
            }
        }
        self.0.push_back((now, what));
        if self.0.len() > MOST {
            self.forget_the_shortest();
        }
    }

    /// The two neighbours that together are the shortest become one, which stood as the longer of them did.
    /// The newest stays as it is, for it goes on.
    fn forget_the_shortest(&mut self) {
        let together = |at: &usize| self.0[at + 2].0 - self.0[*at].0;
        let Some(at) = (0..self.0.len() - 2).min_by_key(together) else { return };
        let (begin, middle, end) = (self.0[at].0, self.0[at + 1].0, self.0[at + 2].0);
        self.0.remove(if middle - begin < end - middle { at } else { at + 1 });
        self.0[at].0 = begin;
        for right in [at + 1, at] {
            if right > 0 && self.0[right - 1].1 == self.0[right].1 {
                self.0.remove(right);
            }
        }
    }

    /// How it stood between two instants, oldest first.
    pub fn between(&self, from: Time, to: Time) -> impl Iterator<Item = (Time, Time, &T)> {
        let ends = self.0.iter().skip(1).map(|(at, _)| *at).chain(std::iter::once(to));
        self.0.iter().zip(ends).filter_map(move |((begin, what), end)| {
            let (begin, end) = ((*begin).max(from), end.min(to));
            (begin < end).then_some((begin, end, what))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        chrono::DateTime::from_timestamp(seconds, 0).expect("an instant")
    }

    fn stood(log: &Log<char>, from: i64, to: i64) -> String {
        log.between(at(from), at(to)).map(|(a, b, c)| format!("{c}{}-{} ", a.timestamp(), b.timestamp())).collect()
    }

    #[test]
    fn what_lasts_no_time_leaves_no_trace() {
        let mut log = Log::new();
        for (when, what) in [(1, 'p'), (5, 'o'), (5, 'p'), (7, 'o'), (7, 's'), (9, 'p')] {
            log.note(at(when), what);
        }
        assert_eq!(stood(&log, 0, 20), "p1-7 s7-9 p9-20 ");
        assert_eq!(stood(&log, 3, 8), "p3-7 s7-8 ");
        assert_eq!(stood(&log, 9, 9), "");
    }

    #[test]
    fn of_too_many_changes_the_long_stretches_remain() {
        let mut log = Log::new();
        log.note(at(0), 'a');
        log.note(at(1_000), 'b');
        for n in 0..100 {
            log.note(at(2_000 + 2 * n), 'c');
            log.note(at(2_001 + 2 * n), 'd');
        }
        assert!(log.0.len() <= MOST);
        assert!(stood(&log, 0, 3_000).starts_with("a0-1000 b1000-2000 "), "{}", stood(&log, 0, 3_000));
        assert!(stood(&log, 0, 3_000).ends_with("d2199-3000 "), "{}", stood(&log, 0, 3_000));
    }
}
