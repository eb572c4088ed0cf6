//! A task's log file: Airflow's layout, one line format, whole lines as they come, and a bound.
//!
//! ```text
//! [2026-11-21T12:00:00.123+0000] {bash} INFO - text
//! ```
//!
//! A line that says its level and source itself has those (`mark`), and a record of several lines is one block.
//!
//! The time is UTC, to the millisecond, of the moment at which the worker read
//! the line. Files are for their owner alone (0600, folders 0700): output may
//! hold secrets. A log must never stop its task: when it cannot be written, that is
//! said once and the task goes on.

mod mark;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use mark::Line;

use super::mask::Mask;
use super::output::{self, Lines};
use super::shipping::Feed;
use crate::domain::time::Time;

/// How serious a line of ours is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

/// The log of one attempt.
pub struct TaskLog {
    base: PathBuf,
    relative: String,
    sink: Sink,
    /// Lines on their way to the file, in one write.
    buffer: Vec<u8>,
    lines: Lines,
    mask: Mask,
    /// Bytes of task output that may still be written; `None`: no bound.
    room: Option<u64>,
    bound: u64,
    dropped: Dropped,
    said_that_it_fails: bool,
    /// Over a broker: who ships it.
    feed: Option<Feed>,
    /// Bytes that were handed to the file.
    written: u64,
}

/// The file behind the log.
enum Sink {
    /// Made with the first write: a new folder costs about as much as asking for the process, which
    /// therefore comes first.
    NotYet,
    Open(File),
    Lost,
}

#[derive(Default)]
struct Dropped {
    lines: u64,
    bytes: u64,
}

impl TaskLog {
    /// The log at `relative` under `base`, new or gone on with. `bound` is the most bytes of task output; 0 is none.
    pub fn new(base: &Path, relative: &str, bound: u64) -> Self {
        Self {
            base: base.to_owned(),
            relative: relative.to_owned(),
            sink: Sink::NotYet,
            buffer: Vec::with_capacity(1024),
            lines: Lines::default(),
            mask: Mask::default(),
            room: (bound > 0).then_some(bound),
            bound,
            dropped: Dropped::default(),
            said_that_it_fails: false,
            feed: None,
            written: 0,
        }
    }

    /// What is written is also shipped, once it is released.
    pub fn shipped_by(self, feed: Option<Feed>) -> Self {
        Self { feed, ..self }
    }

    /// The attempt is this worker's for good, so its log may be shipped.
    pub fn release(&mut self) {
        if let Some(feed) = &mut self.feed {
            feed.release();
        }
    }

    /// From now on these texts are not written.
    pub fn hide(&mut self, secrets: Vec<String>) {
        self.mask.add(secrets);
    }

    /// A text that leaves by another way than the log, without the secrets either.
    pub fn masked(&self, text: &str) -> String {
        self.mask.text(text)
    }

    /// A line of ours. It is written whatever the bound says: there are few of them.
    pub fn say(&mut self, now: Time, source: &str, level: Level, text: &str) {
        if self.lines.is_open() {
            self.lines.close();
            self.buffer.push(b'\n');
        }
        prefix(&mut self.buffer, now, source, level.as_str());
        if self.mask.is_empty() {
            self.buffer.extend_from_slice(text.as_bytes());
        } else {
            self.buffer.extend_from_slice(self.mask.text(text).as_bytes());
        }
        self.buffer.push(b'\n');
    }

    /// What the task wrote.
    pub fn output(&mut self, now: Time, source: &str, bytes: &[u8]) {
        if self.room == Some(0) {
            self.drop_output(bytes);
            return;
        }
        if self.mask.is_empty() {
            self.write_lines(now, source, |lines, each| lines.push(bytes, each));
        } else {
            let shown = self.mask.push(bytes);
            self.write_lines(now, source, |lines, each| lines.push(&shown, each));
        }
    }

    /// Writes what the task left without a newline so far; called when it pauses.
    pub fn pause(&mut self, now: Time, source: &str) {
        self.write_lines(now, source, |lines, each| lines.show(each));
        self.flush();
    }

    /// The task writes nothing more.
    pub fn end_output(&mut self, now: Time, source: &str) {
        let held = self.mask.end();
        if !held.is_empty() {
            self.write_lines(now, source, |lines, each| lines.push(&held, each));
        }
        self.write_lines(now, source, |lines, each| lines.end(each));
        if self.dropped.bytes > 0 {
            let text = format!(
                "The log was cut: {} more lines ({} bytes) were dropped ([logging] max_task_log_bytes = {})",
                self.dropped.lines, self.dropped.bytes, self.bound
            );
            self.say(now, "log", Level::Warning, &text);
        }
    }

    /// Hands everything to the operating system.
    pub fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let written = self.file().map_or(Ok(()), |(file, buffer)| file.write_all(buffer));
        self.written += u64::try_from(self.buffer.len()).unwrap_or(0);
        self.buffer.clear();
        if let Err(error) = written {
            self.failed(&error);
        }
        if let Some(feed) = &self.feed {
            feed.grew(self.written);
        }
    }

    /// The file, and what is to be written to it; `None` when it could not be opened.
    fn file(&mut self) -> Option<(&mut File, &[u8])> {
        if let Sink::NotYet = self.sink {
            self.sink = match open(&self.path(), &self.relative) {
                Ok(file) => {
                    if let Some(feed) = &mut self.feed {
                        feed.opened(file.metadata().map_or(0, |found| found.len()));
                    }
                    Sink::Open(file)
                }
                Err(error) => {
                    self.failed(&error);
                    Sink::Lost
                }
            };
        }
        match &mut self.sink {
            Sink::Open(file) => Some((file, &self.buffer)),
            Sink::NotYet | Sink::Lost => None,
        }
    }

    fn path(&self) -> PathBuf {
        self.base.join(&self.relative)
    }

    fn write_lines(
        &mut self,
        now: Time,
        source: &str,
        feed: impl FnOnce(&mut Lines, &mut dyn FnMut(output::Part<'_>)),
    ) {
        let (buffer, room, dropped) = (&mut self.buffer, &mut self.room, &mut self.dropped);
        let bound = self.bound;
        feed(&mut self.lines, &mut |part| {
            if *room == Some(0) {
                dropped.bytes += u64::try_from(part.text.len()).unwrap_or(0) + u64::from(part.ends);
                dropped.lines += u64::from(part.ends);
                return;
            }
            let before = buffer.len();
            let line = if part.begins { mark::read(part.text) } else { Line::Continued(part.text) };
            let text = match line {
                Line::Plain(text) => {
                    prefix(buffer, now, source, Level::Info.as_str());
                    text
                }
                Line::Marked { level, source, text } => {
                    prefix(buffer, now, source, level);
                    text
                }
                Line::Continued(text) => text,
            };
            buffer.extend_from_slice(text.as_bytes());
            if part.ends {
                buffer.push(b'\n');
            }
            if let Some(left) = room {
                *left = left.saturating_sub(u64::try_from(buffer.len() - before).unwrap_or(0));
                if *left == 0 {
                    if !part.ends {
                        buffer.push(b'\n');
                    }
                    prefix(buffer, now, "log", Level::Warning.as_str());
                    let text =
                        format!("The log has reached {bound} bytes: what follows is dropped, the task goes on\n");
                    buffer.extend_from_slice(text.as_bytes());
                }
            }
        });
        if self.room == Some(0) {
            self.lines.close();
        }
    }

    fn drop_output(&mut self, bytes: &[u8]) {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        self.dropped.lines += u64::try_from(lines).unwrap_or(0);
        self.dropped.bytes += u64::try_from(bytes.len()).unwrap_or(0);
    }

    fn failed(&mut self, error: &io::Error) {
        if !self.said_that_it_fails {
            self.said_that_it_fails = true;
            tracing::error!(log = %self.path().display(), %error, "cannot write a task's log, the task goes on without");
        }
    }
}

/// Whether a log path, which comes in a message, stays in the log folder.
pub fn is_inside(relative: &str) -> bool {
    !relative.is_empty() && Path::new(relative).components().all(|part| matches!(part, Component::Normal(_)))
}

fn open(path: &Path, relative: &str) -> io::Result<File> {
    if !is_inside(relative) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a log path that leaves the log folder"));
    }
    let open = || OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    match (open(), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            open()
        }
        (opened, _) => opened,
    }
}

fn prefix(buffer: &mut Vec<u8>, now: Time, source: &str, level: &str) {
    // Writing to memory cannot fail.
    let _ = write!(buffer, "[{}] {{{source}}} {} - ", now.format("%Y-%m-%dT%H:%M:%S%.3f+0000"), level);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn at() -> Time {
        chrono::DateTime::from_timestamp_millis(1_795_262_400_123).expect("an instant")
    }

    fn written(bound: u64, feed: impl FnOnce(&mut TaskLog)) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = TaskLog::new(folder.path(), "a/b/attempt=1.log", bound);
        feed(&mut log);
        log.flush();
        fs::read_to_string(folder.path().join("a/b/attempt=1.log")).expect("written")
    }

    const P: &str = "[2026-11-21T12:00:00.123+0000] {bash} INFO - ";

    #[test]
    fn a_line_says_when_where_from_and_what() {
        let text = written(0, |log| log.output(at(), "bash", b"hello  \r\nworld\n"));
        assert_eq!(text, format!("{P}hello\n{P}world\n"));
    }

    #[test]
    fn a_line_with_a_level_of_its_own_has_that_and_a_block_stays_together() {
        let text = written(0, |log| {
            log.output(
                at(),
                "python",
                b"\x1eERROR\x1fetl.py:7\x1ffailed\n\x1e\x1eTraceback\n\x1e\x1e  at line 7\nprinted\n",
            );
        });
        let p = "[2026-11-21T12:00:00.123+0000] ";
        assert_eq!(
            text,
            format!("{p}{{etl.py:7}} ERROR - failed\nTraceback\n  at line 7\n{p}{{python}} INFO - printed\n")
        );
    }

    #[test]
    fn a_prompt_without_a_newline_is_shown_when_the_task_pauses_and_its_line_goes_on() {
        let text = written(0, |log| {
            log.output(at(), "bash", b"10 %");
            log.pause(at(), "bash");
            log.output(at(), "bash", b" done\n");
        });
        assert_eq!(text, format!("{P}10 % done\n"));
    }

    #[test]
    fn a_line_of_ours_never_continues_a_line_of_the_task() {
        let text = written(0, |log| {
            log.output(at(), "bash", b"half");
            log.pause(at(), "bash");
            log.say(at(), "worker", Level::Warning, "told to end");
            log.output(at(), "bash", b"rest\n");
        });
        let lines: Vec<_> = text.lines().map(|line| &line[31..]).collect();
        assert_eq!(lines, ["{bash} INFO - half", "{worker} WARNING - told to end", "{bash} INFO - rest"]);
    }

    #[test]
    fn beyond_the_bound_output_is_counted_and_dropped() {
        let text = written(100, |log| {
            for _ in 0..10 {
                log.output(at(), "bash", b"0123456789\n");
            }
            log.end_output(at(), "bash");
        });
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[2].ends_with("The log has reached 100 bytes: what follows is dropped, the task goes on"));
        assert!(lines[3].contains("8 more lines (88 bytes) were dropped"), "{text}");
    }

    #[test]
    fn a_log_is_its_owners_and_stays_in_its_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(TaskLog::new(folder.path(), "a/b.log", 0).file().is_some());
        let mode = |path: &str| fs::metadata(folder.path().join(path)).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode("a"), mode("a/b.log")), (0o700, 0o600));
        assert!(TaskLog::new(folder.path(), "../b.log", 0).file().is_none());
    }

    #[test]
    fn a_full_disk_does_not_stop_the_task() {
        let mut log = TaskLog::new(Path::new("/dev"), "full", 0);
        log.output(at(), "bash", b"x\n");
        log.flush();
        assert!(log.said_that_it_fails);
        log.output(at(), "bash", b"y\n");
        log.flush();
    }
}
