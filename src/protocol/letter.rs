//! The border between nodes: what stands inside an envelope on its way over a broker (PROTOCOL §4).
//!
//! | queue | kind | body |
//! | --- | --- | --- |
//! | `task.<queue>` | [`Kind::Task`] | one [`TaskMessage`](super::work::TaskMessage) |
//! | `scheduler`, from a worker | [`Kind::Said`] | [`Said`]: what the worker says, in order |
//! | `scheduler`, from the leader to itself | [`Kind::Marker`] | [`Marker`] |
//! | `reply.…` | [`Kind::Told`] | [`Told`]: what the worker is told, in order |
//! | `log` | [`Kind::Chunk`] | [`ChunkHead`] and the bytes of the log |
//!
//! A letter carries as many messages as were there to be sent: a batch costs one publish. Who sends it, and the
//! epoch or incarnation, stand in the envelope.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::ids::{AttemptId, Epoch};

use super::work::{FromWorker, ToWorker};

/// What a letter is, in the word that the envelope signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Task,
    Said,
    Told,
    Marker,
    Chunk,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Task, Self::Said, Self::Told, Self::Marker, Self::Chunk];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Said => "said",
            Self::Told => "told",
            Self::Marker => "marker",
            Self::Chunk => "chunk",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// From a worker, or from its companion, to the leader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The queue where answers reach this life of the worker now; empty when nobody waits for any (an obituary).
    pub reply_to: String,
    pub said: Vec<FromWorker>,
}

/// From the leader to one life of one worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// With the epoch of the envelope it only grows, per worker and incarnation: an order (`Terminate`, `Drain`,
    /// `Resize`, `Queues`) in a letter that is not newer than the last one is a copy, and ignored.
    pub seq: u64,
    pub said: Vec<ToWorker>,
}

/// From the leader to itself: when it comes back, everything that was queued before it has been read (L5, L6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    pub epoch: Epoch,
    /// Counts the leader's subscriptions to `scheduler` inside the epoch.
    pub subscription: u64,
    pub nonce: Uuid,
}

/// Before the bytes of a piece of a task's log, as one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkHead {
    pub attempt: AttemptId,
    /// Relative to the base log folder, as the `TaskMessage` said.
    pub log_path: String,
    /// From the beginning of what this attempt wrote.
    pub offset: u64,
    /// Where that beginning is in the worker's own file: several attempts may go on in one, one after the other.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub base: u64,
    /// The log is complete with so many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Why bytes are no piece of a log.
#[derive(Debug, thiserror::Error)]
pub enum NoChunk {
    #[error("it has no line that says what it is a piece of")]
    NoHead,
    #[error("the line that says what it is a piece of cannot be read: {0}")]
    Head(#[from] serde_json::Error),
}

impl ChunkHead {
    /// Head and bytes, as they stand in an envelope.
    pub fn with(&self, bytes: &[u8]) -> Vec<u8> {
        let mut body = serde_json::to_vec(self).expect("an id, a path and numbers are JSON");
        body.reserve_exact(bytes.len() + 1);
        body.push(b'\n');
        body.extend_from_slice(bytes);
        body
    }

    /// The other way round.
    ///
    /// # Errors
    /// When this is no piece of a log.
    pub fn split(body: &[u8]) -> Result<(Self, &[u8]), NoChunk> {
        let end = body.iter().position(|byte| *byte == b'\n').ok_or(NoChunk::NoHead)?;
        Ok((serde_json::from_slice(&body[..end])?, &body[end + 1..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_a_log_comes_back_as_it_was_sent() {
        let head = ChunkHead {
            attempt: AttemptId(Uuid::from_u128(7)),
            log_path: "dag_id=a\nb/attempt=1.log".to_owned(),
            offset: 3,
            base: 0,
            end: Some(9),
        };
        for bytes in [&b""[..], b"one\ntwo\n", b"\xff\0"] {
            let body = head.with(bytes);
            let (again, rest) = ChunkHead::split(&body).expect("as sent");
            assert_eq!((&again, rest), (&head, bytes));
        }
        assert!(matches!(ChunkHead::split(b"{}"), Err(NoChunk::NoHead)));
        assert!(matches!(ChunkHead::split(b"{}\n"), Err(NoChunk::Head(_))));
    }
}
