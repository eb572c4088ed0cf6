//! The kept logs: checks pieces, puts each where it belongs, and makes durable what was written. Blocking: it runs on a
//! thread that may wait.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::domain::time::Time;
use crate::protocol::envelope::{Direction, Keys, Sender};
use crate::protocol::letter::{ChunkHead, Kind};
use crate::worker::shipping::PIECE;

use super::folder::{Folder, LogPath, Missing, is_in_the_way};
use super::place::{Extent, Fragment, Layout, Placement};

/// How many files are kept open.
const OPEN: usize = 256;

/// Beyond so many files it is cheaper to write out all that is unwritten at once.
const ONE_BY_ONE: usize = 8;

/// A last line of the scheduler's is not longer.
const LAST_LINE: u64 = 4096;

/// A message from the queue of logs.
pub struct Arrived<'a> {
    pub body: &'a [u8],
    /// What comes before it is not waited for any longer.
    pub force: bool,
}

/// What became of it.
#[derive(Debug)]
pub enum Became {
    Kept,
    Copy,
    /// There is another text in its place; it is kept out.
    Different,
    /// What comes before it is missing.
    Gap,
    /// It is no piece of a log, or not one that may be written.
    Rejected(String),
    /// It could not be written now.
    Failed(io::Error),
}

pub struct Keeping {
    keys: Keys,
    folder: Folder,
    files: HashMap<LogPath, Kept>,
    /// Written and not durable yet.
    dirty: HashSet<LogPath>,
    changed_folders: Vec<File>,
}

/// A log that is open.
struct Kept {
    file: File,
    layout: Layout,
    /// As it stands beside the file.
    remembered: Vec<Fragment>,
    extent: Extent,
    has_been_told_of_difference: bool,
}

impl Keeping {
    pub fn new(keys: Keys, base: &Path) -> io::Result<Self> {
        let folder = Folder::open(base)?;
        Ok(Self { keys, folder, files: HashMap::new(), dirty: HashSet::new(), changed_folders: Vec::new() })
    }

    pub fn write_all(&mut self, now: Time, arrived: &[Arrived<'_>]) -> Vec<Became> {
        arrived.iter().map(|arrived| self.write(now, arrived)).collect()
    }

    fn write(&mut self, now: Time, Arrived { body, force }: &Arrived<'_>) -> Became {
        let (head, bytes, path) = match checked(&self.keys, body) {
            Ok(checked) => checked,
            Err(why) => return Became::Rejected(why),
        };
        match self.put(now, &path, &head, bytes, *force) {
            Ok(became) => became,
            Err(error) if is_in_the_way(&error) => Became::Rejected(format!("{}: {error}", path.as_str())),
            Err(error) => Became::Failed(error),
        }
    }

    fn put(&mut self, now: Time, path: &LogPath, head: &ChunkHead, bytes: &[u8], force: bool) -> io::Result<Became> {
        let kept = self.kept(path)?;
        let (placement, text) = kept.place(head, bytes)?;
        let extent = Extent { text, ..kept.extent };
        let (at, piece) = match placement {
            Placement::Copy => return Ok(Became::Copy),
            Placement::Different => {
                if !std::mem::replace(&mut kept.has_been_told_of_difference, true) {
                    tracing::warn!(log = path.as_str(), attempt = %head.attempt, "another text for a log is kept out");
                }
                return Ok(Became::Different);
            }
            Placement::Gap if !force => return Ok(Became::Gap),
            Placement::Gap => {
                let notice = line(now, "log", "WARNING", MISSING, kept.ends_open()?);
                tracing::warn!(log = path.as_str(), attempt = %head.attempt, "a part of a log is missing here");
                let length = extent.length + u64::try_from(notice.len()).unwrap_or(0);
                kept.layout.append(head, 0, bytes.len(), Extent { length, text: length });
                (extent.length, [notice.as_bytes(), bytes].concat())
            }
            Placement::Write { at, skip, until } => (at, bytes[skip..until].to_vec()),
        };
        let kept = self.remember(path)?;
        kept.write(at, &piece, extent)?;
        self.dirty.insert(path.clone());
        Ok(Became::Kept)
    }

    /// Writes beside the log whose fragments it has, before they are there: after a crash an empty one does no harm.
    fn remember(&mut self, path: &LogPath) -> io::Result<&mut Kept> {
        let kept = self.files.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        if kept.layout.is_worth_remembering() && kept.layout.fragments != kept.remembered {
            let mut lines = Vec::new();
            for fragment in &kept.layout.fragments {
                serde_json::to_writer(&mut lines, fragment)?;
                lines.push(b'\n');
            }
            let opened = self.folder.file(&path.beside(), Missing::IsMade)?;
            opened.file.write_all_at(&lines, 0)?;
            opened.file.set_len(u64::try_from(lines.len()).unwrap_or(u64::MAX))?;
            opened.file.sync_data()?;
            self.changed_folders.extend(opened.changed);
            kept.remembered.clone_from(&kept.layout.fragments);
        }
        Ok(kept)
    }

    /// Ends a log with a line of the scheduler's, on disk when this returns. The same line twice is one.
    pub fn say(&mut self, now: Time, path: &str, text: &str) -> io::Result<()> {
        let path = LogPath::new(path).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        let kept = self.kept(&path)?;
        let Extent { length, text: end } = kept.extent;
        if end < length && kept.read(end, length)?.ends_with(format!(" - {text}\n").as_bytes()) {
            return Ok(());
        }
        let text = text.replace('\n', " ");
        let line = line(now, "scheduler", "ERROR", &text, kept.ends_open()?);
        kept.file.write_all_at(line.as_bytes(), length)?;
        kept.look()?;
        self.dirty.insert(path);
        self.sync()
    }

    /// Makes everything durable that was written.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.dirty.is_empty() {
            return Ok(());
        }
        if self.dirty.len() + self.changed_folders.len() > ONE_BY_ONE {
            self.folder.sync_all()?;
        } else {
            for kept in self.dirty.iter().filter_map(|path| self.files.get(path)) {
                kept.file.sync_data()?;
            }
            for folder in &self.changed_folders {
                Folder::sync_folder(folder)?;
            }
        }
        self.dirty.clear();
        self.changed_folders.clear();
        Ok(())
    }

    fn kept(&mut self, path: &LogPath) -> io::Result<&mut Kept> {
        if !self.files.contains_key(path) {
            if self.files.len() >= OPEN {
                self.files.retain(|path, _| self.dirty.contains(path));
            }
            let opened = self.folder.file(path, Missing::IsMade)?;
            self.changed_folders.extend(opened.changed);
            let mut kept = Kept {
                file: opened.file,
                layout: Layout::default(),
                remembered: Vec::new(),
                extent: Extent { length: 0, text: 0 },
                has_been_told_of_difference: false,
            };
            kept.look()?;
            if kept.extent.text > 0 {
                kept.layout = self.remembered(path)?.unwrap_or_else(Layout::found);
                kept.remembered.clone_from(&kept.layout.fragments);
            }
            self.files.insert(path.clone(), kept);
        }
        let kept = self.files.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        // A worker that shares the folder writes there too.
        if kept.file.metadata()?.len() != kept.extent.length {
            kept.look()?;
        }
        Ok(kept)
    }

    fn remembered(&self, path: &LogPath) -> io::Result<Option<Layout>> {
        let file = match self.folder.file(&path.beside(), Missing::IsAnError) {
            Ok(opened) => opened.file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let text = io::read_to_string(file)?;
        // A line that was torn by a crash describes what was not written then.
        let fragments: Vec<Fragment> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok((!fragments.is_empty()).then_some(Layout { fragments }))
    }
}

const MISSING: &str = "What stood here is missing: another scheduler kept it, or it was removed";

/// Everything that can be wrong with a message, before anything is written.
fn checked<'a>(keys: &Keys, body: &'a [u8]) -> Result<(ChunkHead, &'a [u8], LogPath), String> {
    let opened = keys.open(Direction::ToScheduler, body).map_err(|why| why.to_string())?;
    if opened.kind != Kind::Chunk.as_str() {
        return Err(format!("a `{}` message in the queue of logs", opened.kind));
    }
    match opened.sender {
        Sender::Worker { .. } => {}
        Sender::Scheduler { .. } => return Err("a piece of a log that no worker signed".to_owned()),
    }
    let (head, bytes) = ChunkHead::split(opened.body).map_err(|why| format!("not a piece of a log: {why}"))?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if length > PIECE {
        return Err(format!("a piece of a log of {length} bytes: expected at most {PIECE}"));
    }
    let end = head.base.checked_add(head.offset).and_then(|begin| begin.checked_add(length));
    if end.is_none_or(|end| i64::try_from(end).is_err()) || head.end.is_some_and(|end| end != head.offset + length) {
        return Err("a piece of a log at an impossible place".to_owned());
    }
    let path = LogPath::new(&head.log_path)?;
    Ok((head, bytes, path))
}

impl Kept {
    /// The place of a piece, and where the text ends that it was found with.
    fn place(&mut self, head: &ChunkHead, bytes: &[u8]) -> io::Result<(Placement, u64)> {
        let file = &self.file;
        let mut same = |at: u64, bytes: &[u8]| {
            let mut there = vec![0; bytes.len()];
            match file.read_exact_at(&mut there, at) {
                Ok(()) => Ok(there == bytes),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
                Err(error) => Err(error),
            }
        };
        let placement = self.layout.place(head, bytes, self.extent, &mut same)?;
        let has_last_line = self.extent.text < self.extent.length && self.extent.text > 0;
        match placement {
            // The newline before the scheduler's last line may be the scheduler's too.
            Placement::Different | Placement::Gap if has_last_line => {
                let text = self.extent.text - 1;
                let again = self.layout.place(head, bytes, Extent { text, ..self.extent }, &mut same)?;
                Ok((again, if matches!(again, Placement::Write { .. }) { text } else { self.extent.text }))
            }
            Placement::Copy | Placement::Write { .. } | Placement::Different | Placement::Gap => {
                Ok((placement, self.extent.text))
            }
        }
    }

    /// Writes at the end of the text; a last line of the scheduler's moves behind it.
    fn write(&mut self, at: u64, piece: &[u8], extent: Extent) -> io::Result<()> {
        let mut bytes = piece.to_vec();
        if at == extent.text && self.extent.text < self.extent.length {
            let last_line = self.read(self.extent.text, self.extent.length)?;
            if !bytes.ends_with(b"\n") {
                bytes.push(b'\n');
            }
            bytes.extend(last_line);
        }
        self.file.write_all_at(&bytes, at)?;
        self.look()
    }

    fn read(&self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, from)?;
        Ok(bytes)
    }

    /// Whether its last line is not ended.
    fn ends_open(&self) -> io::Result<bool> {
        let length = self.extent.length;
        Ok(length > 0 && self.read(length - 1, length)? != b"\n")
    }

    /// Sees how long it is, and whether it ends with a line of the scheduler's.
    fn look(&mut self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        let tail_at = length.saturating_sub(LAST_LINE);
        let tail = self.read(tail_at, length)?;
        let begin = match tail.strip_suffix(b"\n") {
            Some(lines) => lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1),
            None => tail.len(),
        };
        let is_the_schedulers = is_of_the_scheduler(&tail[begin..]);
        let text = tail_at + u64::try_from(begin).unwrap_or(0);
        self.extent = Extent { length, text: if is_the_schedulers { text } else { length } };
        Ok(())
    }
}

/// `[2026-11-21T12:00:00.123+0000] {scheduler} ERROR - ...`; a worker begins no line so.
fn is_of_the_scheduler(line: &[u8]) -> bool {
    let (time, rest) = line.split_at_checked(30).unwrap_or((line, b""));
    time.starts_with(b"[") && time.ends_with(b"]") && rest.starts_with(b" {scheduler} ")
}

fn line(now: Time, source: &str, level: &str, text: &str, after_open_line: bool) -> String {
    let newline = if after_open_line { "\n" } else { "" };
    format!("{newline}[{}] {{{source}}} {level} - {text}\n", now.format("%Y-%m-%dT%H:%M:%S%.3f+0000"))
}

#[cfg(test)]
mod tests;
