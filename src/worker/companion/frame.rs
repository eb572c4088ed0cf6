//! What worker and companion say to each other, and how it lies on their socket.
//!
//! A frame is a header (length of the body, number of descriptors, both 32 bits
//! little endian) and a JSON body. Descriptors travel with the first byte of the
//! header, so a header that is read by itself brings exactly its own: a reader
//! that has no descriptors left sees too few, and never those of another frame.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::will::Will;
use crate::worker::boot_time::BootTime;

/// Length of a frame's header in bytes.
pub const HEADER: usize = 8;

/// A body beyond this is no frame of ours. Linux takes 2 MiB or so of arguments and environment at most.
const MAX_BODY: usize = 64 << 20;

/// The most descriptors in one frame: the output pipe, and a task's standard input.
pub const MAX_DESCRIPTORS: usize = 2;

/// What the companion is told.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToCompanion {
    /// The first frame.
    Hello {
        /// The file whose lock says that processes of this worker may live.
        lock: PathBuf,
        /// Milliseconds between TERM and KILL.
        kill_grace: u64,
        /// Processes live by a lease: none starts before the first one came, none outlives the last one.
        leased: bool,
        /// Over a broker: how to speak for a worker that is dead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        will: Option<Box<Will>>,
    },
    /// Start a process. With it travel the writing end of its output pipe and, optionally, its standard input.
    Spawn {
        id: u64,
        spec: SpawnSpec,
    },
    Signal {
        id: u64,
        signal: Stop,
    },
    /// Processes may start and live until then. Without effect where there is no lease, and where it has lapsed.
    Lease {
        until: BootTime,
    },
    /// The worker leaves by its own will: it has said, or will say, itself what is to be said.
    Goodbye,
}

/// A process to be, in a process group of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpawnSpec {
    /// Absolute, so that no search through PATH is left to the spawn (with one, std falls back to fork).
    pub program: PathBuf,
    pub args: Vec<String>,
    pub cwd: PathBuf,
    pub base: Base,
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub origin: Origin,
}

/// What a process is made from. Program, arguments and base are needed either way: whatever keeps the
/// quicker way from working, the process is then started by them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The program is started.
    #[default]
    Exec,
    /// A fork of the warm interpreter that the program and its arguments make.
    Warm(Warm),
}

/// What the warm interpreter may do before the task, and for many tasks at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warm {
    /// The DAG file that the task imports, below the working folder.
    pub file: Option<PathBuf>,
}

/// What a process's environment is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// The worker's own environment.
    Inherit,
    Empty,
}

/// The two signals that end a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    Term,
    Kill,
}

/// What the companion says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromCompanion {
    /// The lock is held and processes can be spawned.
    Ready { pid: u32 },
    /// It cannot be this worker's companion, and leaves.
    Cannot { why: String },
    /// `start_time` is that of `/proc/<pid>/stat`; pid and start time together are never reused.
    Spawned {
        id: u64,
        pid: u32,
        start_time: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remark: Option<Remark>,
    },
    /// Nothing runs; `why` is a sentence for people.
    SpawnFailed { id: u64, why: String },
    /// The process ended. With `strays`, processes that it left in its group may
    /// still run, and `Gone` follows when they do not.
    Exited { id: u64, end: End, strays: bool },
    /// Nothing is left of the process group.
    Gone { id: u64 },
    /// The lease ended: every process is being killed, none will be started, and the companion leaves when all are gone.
    LeaseOver,
}

/// What there is to say about how a process began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remark {
    /// It began slower than it could have, for a reason of the file's: for those who wonder.
    Slower(String),
    /// It began otherwise than it should have.
    Otherwise(String),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Code(i32),
    Signal(i32),
}

impl End {
    /// As Python's `subprocess` counts: minus the number of the signal.
    pub fn returncode(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => -signal,
        }
    }
}

/// A message as it goes over the socket: header and body.
pub fn encode<M: Serialize>(message: &M, descriptors: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER];
    serde_json::to_writer(&mut bytes, message)?;
    let length = u32::try_from(bytes.len() - HEADER)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a frame of more than 4 GiB"))?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..HEADER].copy_from_slice(&u32::try_from(descriptors).unwrap_or(u32::MAX).to_le_bytes());
    Ok(bytes)
}

/// What a header announces.
pub struct Announced {
    pub body: usize,
    pub descriptors: usize,
}

/// Reads a header; `Err` when no frame of ours begins so.
pub fn announced(header: [u8; HEADER]) -> io::Result<Announced> {
    let [a, b, c, d, e, f, g, h] = header;
    let body = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    let descriptors = usize::try_from(u32::from_le_bytes([e, f, g, h])).unwrap_or(usize::MAX);
    if body > MAX_BODY || descriptors > MAX_DESCRIPTORS {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the socket carries something that is no frame"));
    }
    Ok(Announced { body, descriptors })
}

pub fn decode<M: DeserializeOwned>(body: &[u8]) -> io::Result<M> {
    serde_json::from_slice(body).map_err(io::Error::from)
}

/// One `sendmsg` that never waits; answers how many bytes went. The descriptors go with the first of them.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "more descriptors than a frame may carry"));
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(socket.as_fd(), &[IoSlice::new(bytes)], &mut control, flags).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_its_length_and_descriptors_first() {
        let bytes = encode(&ToCompanion::Signal { id: 7, signal: Stop::Term }, 0).expect("small");
        let header = bytes[..HEADER].try_into().expect("eight bytes");
        let announced = announced(header).expect("a header of ours");
        assert_eq!((announced.body, announced.descriptors), (bytes.len() - HEADER, 0));
        let read: ToCompanion = decode(&bytes[HEADER..]).expect("as written");
        assert_eq!(read, ToCompanion::Signal { id: 7, signal: Stop::Term });
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert!(announced(*b"GET / HT").is_err());
        assert!(decode::<ToCompanion>(b"{}").is_err());
    }
}
