//! A piece of a log, read from its file and signed. Blocking: it runs on a thread that may wait.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::backlog::{PIECE, Piece};
use crate::protocol::envelope::{Direction, Keys, SealError, Sender};
use crate::protocol::letter::{ChunkHead, Kind};
use crate::worker::log::is_inside;

/// What the broker is to be given.
pub struct Sealed {
    pub bytes: Vec<u8>,
    /// How many bytes of the log it holds.
    pub length: u64,
    /// The log ends with it.
    pub is_end: bool,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl Unreadable {
    /// Whether to try again is of no use.
    pub fn is_for_good(&self) -> bool {
        match self {
            Self::Seal(_) => true,
            Self::File(error) => matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::IsADirectory
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::InvalidInput
            ),
        }
    }
}

/// Reads and signs the piece; `None` when there is nothing to tell.
pub fn seal(base: &Path, piece: &Piece, keys: &Keys, sender: Sender) -> Result<Option<Sealed>, Unreadable> {
    let mark = &piece.mark;
    if !is_inside(&mark.path) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a log path that leaves the log folder").into());
    }
    let file = File::open(base.join(&mark.path))?;
    let begin = mark.base + mark.confirmed;
    let there = file.metadata()?.len().saturating_sub(begin);
    let length = there.min(PIECE).min(piece.at_most.unwrap_or(PIECE));
    let is_end = piece.is_closed && (piece.at_most == Some(length) || length == there);
    if length == 0 && !is_end {
        return Ok(None);
    }
    let mut text = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut text, begin)?;
    let head = ChunkHead {
        attempt: mark.attempt,
        log_path: mark.path.clone(),
        offset: mark.confirmed,
        base: mark.base,
        end: is_end.then_some(mark.confirmed + length),
    };
    let bytes = keys.seal_bytes(Direction::ToScheduler, sender, Kind::Chunk.as_str(), &head.with(&text))?;
    Ok(Some(Sealed { bytes, length, is_end }))
}
