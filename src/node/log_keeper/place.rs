//! Where a piece belongs in a log file. Pure: it asks whether bytes are equal, and reads and writes nothing.
//!
//! Several attempts may write to one log, one after the other and on different workers (a sensor that is rescheduled, the
//! tries of a notification); so a file is a row of fragments, each of one attempt. Most files are one
//! fragment, of which nothing needs to be remembered.
//!
//! ```text
//!  attempt A, 0..100 │ attempt B, 0..70 │ attempt A, 100..130 │ [..] {scheduler} ERROR - the worker was lost
//!  └ at 0            └ at 100           └ at 170              └ the scheduler's last line moves back as text comes
//! ```

use std::io;

use serde::{Deserialize, Serialize};

use crate::domain::ids::AttemptId;
use crate::protocol::letter::ChunkHead;

/// A stretch of the file, up to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fragment {
    /// `None`: found on disk, and nobody remembers whose it is.
    pub attempt: Option<AttemptId>,
    /// Its first byte, counted in what the attempt wrote.
    pub from: u64,
    /// The same byte, counted in the file.
    pub at: u64,
}

/// What is to be done with a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// All of it is there.
    Copy,
    /// `[skip..until]` of it goes to `at`, which is where the text of the file ends.
    Write { at: u64, skip: usize, until: usize },
    /// There is another text.
    Different,
    /// What comes before it is missing.
    Gap,
}

/// Up to where there is what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub length: u64,
    /// The end of what workers wrote: a last line of the scheduler's may follow.
    pub text: u64,
}

/// Whether the file has these bytes there.
pub type Same<'a> = &'a mut dyn FnMut(u64, &[u8]) -> io::Result<bool>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// In the order of the file.
    pub fragments: Vec<Fragment>,
}

/// A stretch of one attempt's text that the file has.
struct Cover {
    from: u64,
    to: u64,
    at: u64,
    is_last: bool,
}

impl Layout {
    /// Of a file that was found, without a memory of its fragments.
    pub fn found() -> Self {
        Self { fragments: vec![Fragment { attempt: None, from: 0, at: 0 }] }
    }

    /// Finds the place of a piece, and remembers whose it is.
    pub fn place(&mut self, head: &ChunkHead, bytes: &[u8], extent: Extent, same: Same<'_>) -> io::Result<Placement> {
        if bytes.is_empty() {
            return Ok(Placement::Copy);
        }
        if self.covers(head.attempt, extent).is_empty() && !self.adopt(head, bytes, extent, same)? {
            if extent.text == 0 && head.offset == 0 {
                // Nobody has written yet; at most the scheduler has said that there is nobody.
                self.fragments = vec![Fragment { attempt: Some(head.attempt), from: 0, at: 0 }];
                return Ok(Placement::Write { at: 0, skip: 0, until: bytes.len() });
            }
            return Ok(if head.offset == 0 { self.append(head, 0, bytes.len(), extent) } else { Placement::Gap });
        }
        let covers = self.covers(head.attempt, extent);
        let end = head.offset.saturating_add(length(bytes));
        let mut start = head.offset;
        while start < end
            && let Some(cover) = covers.iter().find(|cover| cover.from <= start && start < cover.to)
        {
            let upto = cover.to.min(end);
            if !same(cover.at + (start - cover.from), part(bytes, start - head.offset, upto - head.offset))? {
                return Ok(Placement::Different);
            }
            start = upto;
        }
        if start == end {
            return Ok(Placement::Copy);
        }
        let known = covers.iter().map(|cover| cover.to).max().unwrap_or(0);
        let until = covers.iter().map(|cover| cover.from).filter(|from| *from > start).min().unwrap_or(end).min(end);
        let (skip, until) = (index(start - head.offset), index(until - head.offset));
        if start > known {
            return Ok(Placement::Gap);
        }
        if start == known && covers.iter().any(|cover| cover.to == known && cover.is_last) {
            return Ok(Placement::Write { at: extent.text, skip, until });
        }
        // Another attempt has gone on in the meantime, or this fills a hole that nobody waited for any longer.
        Ok(self.append(head, skip, until, extent))
    }

    /// A new fragment at the end of everything.
    pub fn append(&mut self, head: &ChunkHead, skip: usize, until: usize, extent: Extent) -> Placement {
        let from = head.offset + u64::try_from(skip).unwrap_or(0);
        self.fragments.push(Fragment { attempt: Some(head.attempt), from, at: extent.length });
        Placement::Write { at: extent.length, skip, until }
    }

    /// Whether it must be remembered beside the file: otherwise it can be seen from the file.
    pub fn is_worth_remembering(&self) -> bool {
        self.fragments.len() > 1 || self.fragments.iter().any(|fragment| fragment.from != fragment.at)
    }

    /// Recognises the text of an attempt in a file by where its worker says that it is in the worker's own file: in a
    /// folder that both share it is there already, and after a restart of the keeper it is where it was.
    fn adopt(&mut self, head: &ChunkHead, bytes: &[u8], extent: Extent, same: Same<'_>) -> io::Result<bool> {
        let Some(at) = head.base.checked_add(head.offset) else { return Ok(false) };
        let overlap = extent.text.saturating_sub(at).min(length(bytes));
        let is_there = if overlap > 0 {
            same(at, part(bytes, 0, overlap))?
        } else {
            // Nothing to compare: it goes on where a text of unknown owner ends.
            let last = self.fragments.last();
            at == extent.text
                && head.offset > 0
                && last.is_some_and(|last| last.attempt.is_none() && last.at <= head.base)
        };
        if is_there {
            let mine = Fragment { attempt: Some(head.attempt), from: 0, at: head.base };
            let place = self.fragments.partition_point(|fragment| fragment.at < head.base);
            match self.fragments.get_mut(place) {
                Some(known) if known.at == head.base && known.attempt.is_none() => *known = mine,
                Some(_) | None => self.fragments.insert(place, mine),
            }
        }
        Ok(is_there)
    }

    fn covers(&self, attempt: AttemptId, extent: Extent) -> Vec<Cover> {
        let count = self.fragments.len();
        let ends = self.fragments.iter().skip(1).map(|next| next.at).chain([extent.text]);
        let all = self.fragments.iter().zip(ends).enumerate();
        all.filter(|(_, (fragment, _))| fragment.attempt == Some(attempt))
            .map(|(n, (fragment, end))| Cover {
                from: fragment.from,
                to: fragment.from + end.saturating_sub(fragment.at),
                at: fragment.at,
                is_last: n + 1 == count,
            })
            .collect()
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn part(bytes: &[u8], from: u64, to: u64) -> &[u8] {
    bytes.get(index(from)..index(to)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// A file in memory, and what is remembered of it.
    #[derive(Default)]
    struct Page {
        text: Vec<u8>,
        layout: Layout,
    }

    fn head(attempt: u128, base: u64, offset: u64) -> ChunkHead {
        ChunkHead {
            attempt: AttemptId(Uuid::from_u128(attempt)),
            log_path: "a.log".to_owned(),
            offset,
            base,
            end: None,
        }
    }

    impl Page {
        /// After a restart of the keeper.
        fn found(text: &str) -> Self {
            Self { text: text.as_bytes().to_vec(), layout: Layout::found() }
        }

        fn put(&mut self, attempt: u128, base: u64, offset: u64, text: &str) -> Placement {
            let length = u64::try_from(self.text.len()).expect("short");
            let old = self.text.clone();
            let mut same = |at: u64, bytes: &[u8]| Ok(old[index(at)..].starts_with(bytes));
            let extent = Extent { length, text: length };
            let placed = self.layout.place(&head(attempt, base, offset), text.as_bytes(), extent, &mut same);
            let placed = placed.expect("memory can be read");
            if let Placement::Write { at, skip, until } = placed {
                assert_eq!(index(at), self.text.len(), "a file only grows at its end");
                self.text.extend_from_slice(&text.as_bytes()[skip..until]);
            }
            placed
        }

        fn text(&self) -> &str {
            std::str::from_utf8(&self.text).expect("text")
        }
    }

    #[test]
    fn pieces_of_one_log_follow_each_other_and_copies_change_nothing() {
        let mut page = Page::default();
        page.put(1, 0, 0, "one ");
        page.put(1, 0, 4, "two ");
        assert_eq!(page.put(1, 0, 0, "one "), Placement::Copy);
        assert_eq!(page.put(1, 0, 4, "two three"), Placement::Write { at: 8, skip: 4, until: 9 });
        assert_eq!((page.text(), page.layout.is_worth_remembering()), ("one two three", false));
        assert_eq!(page.put(1, 0, 4, "TWO "), Placement::Different);
        assert_eq!(page.put(1, 0, 100, "far"), Placement::Gap);
        assert_eq!(page.text(), "one two three");
    }

    #[test]
    fn after_a_restart_it_goes_on_where_it_was() {
        let mut page = Page::found("one two ");
        assert_eq!(page.put(1, 0, 4, "two "), Placement::Copy);
        page.put(1, 0, 8, "three");
        let mut page = Page::found("one two ");
        page.put(1, 0, 8, "three");
        assert_eq!(page.text(), "one two three", "also when nothing can be compared");
        let mut page = Page::found("one two ");
        assert_eq!(page.put(1, 0, 9, "hree"), Placement::Gap);
    }

    #[test]
    fn another_attempt_on_another_worker_goes_on_in_the_same_file() {
        let mut page = Page::default();
        page.put(1, 0, 0, "first ");
        page.put(2, 0, 0, "second ");
        page.put(2, 0, 7, "more ");
        assert_eq!(page.put(1, 0, 6, "late "), Placement::Write { at: 18, skip: 0, until: 5 });
        assert_eq!(page.put(2, 0, 0, "second more "), Placement::Copy);
        assert_eq!(page.put(1, 0, 0, "first late "), Placement::Copy, "over two fragments");
        assert_eq!(page.text(), "first second more late ");
        assert!(page.layout.is_worth_remembering());
    }

    #[test]
    fn another_attempt_on_the_same_worker_goes_on_where_its_file_does() {
        let mut page = Page::found("first ");
        page.put(2, 6, 0, "second ");
        page.put(2, 6, 7, "more");
        assert_eq!(page.put(2, 6, 0, "second "), Placement::Copy);
        assert_eq!((page.text(), page.layout.is_worth_remembering()), ("first second more", true));
    }

    #[test]
    fn in_a_folder_that_the_worker_shares_nothing_is_written_twice() {
        let mut page = Page::found("first second ");
        assert_eq!(page.put(1, 0, 0, "first "), Placement::Copy);
        assert_eq!(page.put(2, 6, 0, "second "), Placement::Copy);
        page.text.extend(b"more ");
        assert_eq!(page.put(2, 6, 7, "more "), Placement::Copy);
        assert_eq!(page.text(), "first second more ");
    }

    #[test]
    fn a_hole_that_was_given_up_is_filled_at_the_end() {
        let mut page = Page::default();
        page.put(1, 0, 0, "one ");
        let extent = Extent { length: 4, text: 4 };
        page.layout.append(&head(1, 0, 8), 0, 6, extent);
        page.text.extend(b"three ");
        assert_eq!(page.put(1, 0, 4, "two three "), Placement::Write { at: 10, skip: 0, until: 4 });
        assert_eq!(page.text(), "one three two ");
        assert_eq!(page.put(1, 0, 0, "one two three "), Placement::Copy);
        assert_eq!(page.put(1, 0, 14, "four"), Placement::Write { at: 14, skip: 0, until: 4 });
    }
}
