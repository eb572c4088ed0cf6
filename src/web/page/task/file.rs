//! A log file of any size, read in windows: by line, by what is searched for, from its end. Whoever looks at a log of
//! half a gigabyte gets a quarter of a megabyte of it.
//!
//! To say which number a line in the middle has, the lines before it are counted once and remembered per block; as
//! the file grows only what is new is counted.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::web::view::log::{Level, Line, is_error};

/// Lines are counted per so many bytes.
const BLOCK: u64 = 1 << 20;
/// No answer holds more of a log.
const WINDOW: u64 = 256 * 1024;
/// Lines that are shown before the one that was asked for.
const BEFORE: u64 = 60;
/// The counts of so many files are remembered.
const FILES: usize = 64;

/// Which part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    End,
    /// Around this line, counted from 1.
    Line(u64),
}

/// Whole lines of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The number of the first line.
    pub first: u64,
    pub text: String,
    pub from: u64,
    pub to: u64,
    /// Of the file.
    pub size: u64,
}

impl Window {
    /// The number of the line after the last one.
    pub fn next(&self) -> u64 {
        self.first + self.text.lines().count() as u64
    }
}

/// A line that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub number: u64,
    pub text: String,
}

/// A file with what is known of its lines.
pub(super) struct LogFile {
    file: File,
    size: u64,
    /// How many lines end before the end of each whole block.
    ends: Vec<u64>,
    key: (u64, u64),
}

type Counted = HashMap<(u64, u64), Vec<u64>>;

static COUNTED: LazyLock<Mutex<Counted>> = LazyLock::new(Mutex::default);

impl LogFile {
    pub fn new(file: File) -> io::Result<Self> {
        let found = file.metadata()?;
        let key = (found.dev(), found.ino());
        let counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ends = counted.get(&key).cloned().unwrap_or_default();
        drop(counted);
        if ends.len() as u64 > found.len() / BLOCK {
            // Another file in the same place.
            ends.clear();
        }
        Ok(Self { file, size: found.len(), ends, key })
    }

    /// Counts the lines of the blocks up to here that have not been counted.
    fn count_until(&mut self, offset: u64) -> io::Result<()> {
        let wanted = usize::try_from(offset / BLOCK).unwrap_or(usize::MAX);
        if self.ends.len() >= wanted {
            return Ok(());
        }
        while self.ends.len() < wanted {
            let bytes = self.read(self.ends.len() as u64 * BLOCK, BLOCK)?;
            let before = self.ends.last().copied().unwrap_or(0);
            self.ends.push(before + newlines(&bytes));
        }
        let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= FILES && !counted.contains_key(&self.key) {
            counted.clear();
        }
        counted.insert(self.key, self.ends.clone());
        Ok(())
    }

    fn read(&self, from: u64, most: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(most.min(self.size.saturating_sub(from))).unwrap_or(0);
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, from)?;
        Ok(bytes)
    }

    /// How many lines end before this place.
    fn lines_before(&mut self, offset: u64) -> io::Result<u64> {
        self.count_until(offset)?;
        let block = offset / BLOCK;
        let before = usize::try_from(block).ok().and_then(|block| self.ends.get(block.checked_sub(1)?).copied());
        Ok(before.unwrap_or(0) + newlines(&self.read(block * BLOCK, offset % BLOCK)?))
    }

    /// Where a line begins; beyond the last one, the end.
    fn start_of(&mut self, line: u64) -> io::Result<u64> {
        let wanted = line.saturating_sub(1);
        if wanted == 0 {
            return Ok(0);
        }
        // Only as far as needed: a line near the beginning needs no look at the rest.
        while self.ends.last().copied().unwrap_or(0) < wanted && (self.ends.len() as u64 + 1) * BLOCK <= self.size {
            self.count_until((self.ends.len() as u64 + 1) * BLOCK)?;
        }
        let block = self.ends.partition_point(|ended| *ended < wanted);
        let mut ended = block.checked_sub(1).map_or(0, |before| self.ends[before]);
        let from = block as u64 * BLOCK;
        let bytes = self.read(from, BLOCK)?;
        for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            ended += 1;
            if ended == wanted {
                return Ok(from + at as u64 + 1);
            }
        }
        Ok(self.size)
    }

    /// Whole lines, about [`WINDOW`] bytes of them.
    pub fn window(&mut self, at: At) -> io::Result<Window> {
        let from = match at {
            At::Line(line) => self.start_of(line.saturating_sub(BEFORE).max(1))?,
            At::End => {
                let about = self.size.saturating_sub(WINDOW);
                let bytes = self.read(about, WINDOW)?;
                let cut = if about == 0 { None } else { bytes.iter().position(|byte| *byte == b'\n') };
                about + cut.map_or(0, |cut| cut as u64 + 1)
            }
        };
        let mut bytes = self.read(from, WINDOW)?;
        if from + (bytes.len() as u64) < self.size
            && let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n')
        {
            bytes.truncate(end + 1);
        }
        let first = self.lines_before(from)? + 1;
        let to = from + bytes.len() as u64;
        Ok(Window { first, text: String::from_utf8_lossy(&bytes).into_owned(), from, to, size: self.size })
    }

    /// The lines that hold a text, whatever the case of its letters, from a line on.
    pub fn find(&mut self, wanted: &str, from: u64, most: usize) -> io::Result<Vec<Found>> {
        let pattern = regex::bytes::RegexBuilder::new(&regex::escape(wanted)).case_insensitive(true).build();
        let pattern = pattern.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut found = Vec::new();
        self.each_line(from, |number, line| {
            if pattern.is_match(line) {
                found.push(Found { number, text: String::from_utf8_lossy(line).into_owned() });
            }
            found.len() < most
        })?;
        Ok(found)
    }

    /// The first line that somebody who looks for what went wrong wants to see.
    pub fn first_error(&mut self) -> io::Result<Option<u64>> {
        /// Whatever is an error holds one of these; most lines hold none, and are not taken apart.
        const HINTS: &str = "ERROR|FATAL|CRITICAL|Traceback|(?i:error:)|fatal:|panic:";
        let hints =
            regex::bytes::Regex::new(HINTS).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut first = None;
        self.each_line(1, |number, line| {
            if hints.is_match(line) && is_error(&Line::parse(&String::from_utf8_lossy(line), Level::Info)) {
                first = Some(number);
            }
            first.is_none()
        })?;
        Ok(first)
    }

    /// Calls for each line, without its end, until told to stop. A line longer than a block comes in parts.
    fn each_line(&mut self, from: u64, mut each: impl FnMut(u64, &[u8]) -> bool) -> io::Result<()> {
        let mut number = from.max(1);
        let start = self.start_of(number)?;
        self.file.seek(SeekFrom::Start(start))?;
        let mut reader = (&self.file).take(self.size.saturating_sub(start));
        let mut rest: Vec<u8> = Vec::new();
        let mut bytes = vec![0; BLOCK as usize];
        loop {
            let read = reader.read(&mut bytes)?;
            if read == 0 {
                break;
            }
            rest.extend_from_slice(&bytes[..read]);
            let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            for line in rest[..end].split_inclusive(|byte| *byte == b'\n') {
                if !each(number, line.trim_ascii_end()) {
                    return Ok(());
                }
                number += 1;
            }
            rest.drain(..end);
        }
        if !rest.is_empty() {
            each(number, rest.trim_ascii_end());
        }
        Ok(())
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(lines: impl Iterator<Item = String>) -> (tempfile::NamedTempFile, LogFile) {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        for line in lines {
            writeln!(file, "{line}").expect("a line");
        }
        let log = LogFile::new(file.reopen().expect("the file")).expect("a log");
        (file, log)
    }

    #[test]
    fn a_small_log_is_one_window() {
        let (_kept, mut log) = file((1..=3).map(|n| format!("line {n}")));
        let window = log.window(At::End).expect("a window");
        assert_eq!((window.first, window.text.as_str(), window.next()), (1, "line 1\nline 2\nline 3\n", 4));
        assert_eq!(log.window(At::Line(2)).expect("a window"), window);
        assert_eq!(log.window(At::Line(199)).expect("a window").next(), 4, "beyond the end there is nothing");
    }

    #[test]
    fn a_large_log_is_shown_in_windows_with_the_right_numbers() {
        let lines = 200_000;
        let (mut kept, mut log) = file((1..=lines).map(|n| format!("this is line {n} of a long log")));
        assert!(log.size > 6 * BLOCK);
        let end = log.window(At::End).expect("a window");
        assert!(end.text.len() as u64 <= WINDOW);
        assert!(end.text.starts_with(&format!("this is line {} ", end.first)), "{}", &end.text[..60]);
        assert_eq!(end.next(), lines + 1);
        for line in [1, 61, 5_000, 99_999, 150_000, lines] {
            let window = log.window(At::Line(line)).expect("a window");
            assert_eq!(window.first, line.saturating_sub(BEFORE).max(1));
            assert!(window.text.starts_with(&format!("this is line {} ", window.first)), "{line}");
            assert!(window.text.contains(&format!("this is line {line} ")) && window.text.ends_with('\n'));
        }
        writeln!(kept, "one more").expect("a line");
        let mut grown = LogFile::new(kept.reopen().expect("the file")).expect("a log");
        assert!(!grown.ends.is_empty(), "what was counted is remembered");
        assert_eq!(grown.window(At::End).expect("a window").next(), lines + 2);
    }

    #[test]
    fn what_is_searched_for_is_found_from_a_line_on() {
        let (_kept, mut log) = file((1..=9).map(|n| format!("Line {n}{}", if n % 3 == 0 { " WANTED" } else { "" })));
        let numbers = |found: Vec<Found>| found.into_iter().map(|line| line.number).collect::<Vec<_>>();
        assert_eq!(numbers(log.find("wanted", 1, 9).expect("a look")), [3, 6, 9]);
        assert_eq!(numbers(log.find("wanted", 4, 1).expect("a look")), [6]);
        assert_eq!(numbers(log.find("(", 1, 9).expect("a look")), [0_u64; 0]);
    }

    #[test]
    fn the_first_error_is_found() {
        let (_kept, mut log) = file(
            ["no ERRORS", "echo ERROR", "[2026-11-21T12:00:00.123+0000] {bash} INFO - psql: ERROR: no"]
                .into_iter()
                .map(str::to_owned),
        );
        assert_eq!(log.first_error().expect("a look"), Some(3));
        let (_kept, mut log) = file(["fine".to_owned()].into_iter());
        assert_eq!(log.first_error().expect("a look"), None);
    }
}
