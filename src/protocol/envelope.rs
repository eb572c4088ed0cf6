//! The envelope that every message wears on its way over a broker (PROTOCOL §4, §10): who says it, to whom, in
//! which version, and a signature that only a holder of `[core] internal_secret` can make.
//!
//! ```text
//!   0   4   magic and layout        "UPD\x01"
//!   4   8   key_id                  which secret signed
//!  12  32   mac                     HMAC-SHA-256 over bytes 0..12 and 44.., under the key of its direction
//!  44   2   v                       version of the format, big-endian as all numbers here
//!  46   2   min_v                   the oldest reader that understands it
//!  48   1   direction               1 to-worker, 2 to-scheduler
//!  49   1+n kind                    "task", "granted", "beat", …
//!       1+n installation
//!       17  sender                  0 epoch, or 1 worker, incarnation: a tag, 16 bytes, 8 bytes
//!       4+n body                    as sent
//! ```
//!
//! Each message has exactly one form, and nothing behind the signature is looked at before the signature is found
//! right. Signing does not hide: that is the work of TLS to the broker.
//!
//! **Replay is not the envelope's business.** A copy of a whole message is genuine here; it is harmless because of
//! what the message names: the claim in `Claim`, `Granted`, `Finish`, `Release`, `Push`, the (epoch, seq) of
//! `Terminate`, `Drain`, `Resize`, the seq and incarnation of `Beat` and `Online`, the nonce of `Marker` (PROTOCOL
//! §10 has the table). So a reader must not use an envelope as a proof that something happened now.

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

use crate::domain::ids::{Epoch, Incarnation, WorkerId};

/// The version of the messages that this program writes.
pub const VERSION: u16 = 1;
/// The oldest version that this program still reads.
pub const OLDEST_VERSION: u16 = 1;
/// A longer envelope is a fault. RabbitMQ 4 takes messages of at most 16 MiB.
pub const MAX_LENGTH: usize = 16 << 20;
/// A shorter secret can be guessed.
pub const MIN_SECRET_LENGTH: usize = 16;
/// More secrets at once than this are no rotation any more.
const MAX_SECRETS: usize = 8;

const MAGIC: &[u8; 4] = b"UPD\x01";
const MAC_AT: usize = 12;
const SIGNED_AT: usize = 44;

/// Which way a message goes. Each way has a key of its own, so that no message can be turned around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    ToWorker,
    ToScheduler,
}

impl Direction {
    fn byte(self) -> u8 {
        match self {
            Self::ToWorker => 1,
            Self::ToScheduler => 2,
        }
    }

    fn info(self) -> &'static [u8] {
        match self {
            Self::ToWorker => b"to-worker",
            Self::ToScheduler => b"to-scheduler",
        }
    }
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Scheduler { epoch: Epoch },
    Worker { worker: WorkerId, incarnation: Incarnation },
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheduler { epoch } => write!(f, "the scheduler of epoch {epoch}"),
            Self::Worker { worker, incarnation } => write!(f, "worker {worker}, incarnation {incarnation}"),
        }
    }
}

/// The name of one installation: several may share a broker. It begins the name of every queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Installation(String);

/// Why a text names no installation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected the name of an installation to be 1 to 40 letters (a-z, A-Z), digits, `_` and `-`, got: {0:?}; set [core] installation"
)]
pub struct InvalidInstallation(String);

impl Installation {
    /// # Errors
    /// When the name could not be a part of a queue's name without being mistaken for another part.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidInstallation> {
        let name = name.into();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if (1..=40).contains(&name.len()) && name.chars().all(fits) {
            Ok(Self(name))
        } else {
            Err(InvalidInstallation(name.chars().take(80).collect()))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Installation {
    type Error = InvalidInstallation;
    fn try_from(name: String) -> Result<Self, InvalidInstallation> {
        Self::new(name)
    }
}

impl From<Installation> for String {
    fn from(installation: Installation) -> String {
        installation.0
    }
}

/// Names a secret without telling it: the same on every node that has the secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is made of one secret.
#[derive(Clone)]
struct Key {
    id: KeyId,
    to_worker: Hmac<Sha256>,
    to_scheduler: Hmac<Sha256>,
}

impl Key {
    fn new(secret: &[u8]) -> Self {
        let derived = Hkdf::<Sha256>::new(Some(b"updraft envelope 1"), secret);
        let mut id = [0; 8];
        derived.expand(b"key-id", &mut id).expect("8 bytes are a length that HKDF can give");
        let key = |direction: Direction| {
            let mut key = [0; 32];
            derived.expand(direction.info(), &mut key).expect("32 bytes are a length that HKDF can give");
            Hmac::new_from_slice(&key).expect("HMAC takes a key of any length")
        };
        Self { id: KeyId(id), to_worker: key(Direction::ToWorker), to_scheduler: key(Direction::ToScheduler) }
    }

    fn mac(&self, direction: Direction, head: &[u8], signed: &[u8]) -> Hmac<Sha256> {
        let mut mac = match direction {
            Direction::ToWorker => self.to_worker.clone(),
            Direction::ToScheduler => self.to_scheduler.clone(),
        };
        mac.update(head);
        mac.update(signed);
        mac
    }
}

/// Why the secrets are of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    #[error(
        "[core] internal_secret is empty: nodes that work together over a broker need the same secret, for example the output of `openssl rand -hex 32`"
    )]
    Missing,
    #[error(
        "expected each secret of [core] internal_secret to have at least {MIN_SECRET_LENGTH} characters, got one of {0}"
    )]
    TooShort(usize),
    #[error("expected [core] internal_secret to hold at most {MAX_SECRETS} secrets, got: {0}")]
    TooMany(usize),
}

/// The secrets of an installation, ready to sign (the first) and to check (any of them).
#[derive(Clone)]
pub struct Keys {
    installation: Installation,
    keys: Vec<Key>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<KeyId> = self.keys.iter().map(|key| key.id).collect();
        f.debug_struct("Keys").field("installation", &self.installation).field("ids", &ids).finish()
    }
}

/// A message that was signed by someone of this installation for this direction, in a version that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    pub kind: &'a str,
    pub sender: Sender,
    /// The version in which the sender wrote.
    pub version: u16,
    pub body: &'a [u8],
}

impl Opened<'_> {
    /// The message as a value.
    ///
    /// # Errors
    /// When the body is not what its kind says. JSON may not be nested deeper than 128 levels.
    pub fn read<M: DeserializeOwned>(&self) -> Result<M, Rejection> {
        serde_json::from_slice(self.body)
            .map_err(|error| Rejection::Unreadable { kind: self.kind.to_owned(), why: error.to_string() })
    }
}

/// Why a message is not taken. It goes to the dead letters with this sentence, and nothing happens because of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("a message of {0} bytes: expected at most {MAX_LENGTH}")]
    TooLong(usize),
    #[error("not a message of updraft: {0}")]
    Malformed(&'static str),
    #[error(
        "signed with a secret that is not known here (key {key_id}): [core] internal_secret must be the same on every node"
    )]
    UnknownKey { key_id: KeyId },
    #[error("the signature is wrong: the message was altered, or was not meant for this direction")]
    WrongSignature,
    #[error("a message of the installation `{got}`, expected: `{expected}`; see [core] installation")]
    ForeignInstallation { got: String, expected: String },
    #[error(
        "written in version {version}, which only readers of version {min_version} or newer understand; this is version {VERSION}: upgrade this node"
    )]
    TooNew { version: u16, min_version: u16 },
    #[error(
        "written in version {version}; version {OLDEST_VERSION} is the oldest that is understood: upgrade its sender"
    )]
    TooOld { version: u16 },
    #[error("a message to workers that a worker signed")]
    WrongSender,
    #[error("cannot read the `{kind}` message: {why}")]
    Unreadable { kind: String, why: String },
}

/// Why a message cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("a `{kind}` message of {length} bytes: expected at most {MAX_LENGTH}")]
    TooLong { kind: &'static str, length: usize },
    #[error("a `{kind}` message that is not JSON: {why}")]
    NotJson { kind: &'static str, why: serde_json::Error },
}

impl Keys {
    /// The keys of `[core] internal_secret`: secrets separated by commas. The first signs, all of them are good, so
    /// a new one is put behind the old one everywhere, then before it everywhere, then the old one is taken away.
    ///
    /// # Errors
    /// When there is no secret, or one that could be guessed.
    pub fn new(installation: Installation, internal_secret: &str) -> Result<Self, InvalidSecret> {
        let secrets: Vec<&str> =
            internal_secret.split(',').map(str::trim).filter(|secret| !secret.is_empty()).collect();
        if secrets.is_empty() {
            return Err(InvalidSecret::Missing);
        }
        if secrets.len() > MAX_SECRETS {
            return Err(InvalidSecret::TooMany(secrets.len()));
        }
        if let Some(short) = secrets.iter().map(|secret| secret.chars().count()).find(|n| *n < MIN_SECRET_LENGTH) {
            return Err(InvalidSecret::TooShort(short));
        }
        Ok(Self { installation, keys: secrets.iter().map(|secret| Key::new(secret.as_bytes())).collect() })
    }

    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// The secret that signs here, as other nodes name it.
    pub fn signing(&self) -> KeyId {
        self.keys[0].id
    }

    /// The message as bytes for the broker.
    ///
    /// # Errors
    /// When it is too long, or no JSON.
    pub fn seal(
        &self,
        direction: Direction,
        sender: Sender,
        kind: &'static str,
        message: &impl Serialize,
    ) -> Result<Vec<u8>, SealError> {
        let body = serde_json::to_vec(message).map_err(|why| SealError::NotJson { kind, why })?;
        self.seal_bytes(direction, sender, kind, &body)
    }

    /// As [`Keys::seal`], for a body that is bytes already (a chunk of a log).
    ///
    /// # Errors
    /// When it is too long.
    pub fn seal_bytes(
        &self,
        direction: Direction,
        sender: Sender,
        kind: &'static str,
        body: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let key = &self.keys[0];
        let mut sealed = Vec::with_capacity(SIGNED_AT + 96 + body.len());
        sealed.extend_from_slice(MAGIC);
        sealed.extend_from_slice(&key.id.0);
        sealed.extend_from_slice(&[0; SIGNED_AT - MAC_AT]);
        sealed.extend_from_slice(&VERSION.to_be_bytes());
        sealed.extend_from_slice(&OLDEST_VERSION.to_be_bytes());
        sealed.push(direction.byte());
        for name in [kind, self.installation.as_str()] {
            sealed.push(u8::try_from(name.len()).expect("kinds and installations have short names"));
            sealed.extend_from_slice(name.as_bytes());
        }
        let (tag, id, number) = match sender {
            Sender::Scheduler { epoch } => (0, Uuid::nil(), epoch.0),
            Sender::Worker { worker, incarnation } => (1, worker.0, incarnation.0),
        };
        sealed.push(tag);
        sealed.extend_from_slice(id.as_bytes());
        sealed.extend_from_slice(&number.to_be_bytes());
        let length = sealed.len() + 4 + body.len();
        if length > MAX_LENGTH {
            return Err(SealError::TooLong { kind, length });
        }
        let announced = u32::try_from(body.len()).expect("MAX_LENGTH fits 32 bits");
        sealed.extend_from_slice(&announced.to_be_bytes());
        sealed.extend_from_slice(body);
        let mac = key.mac(direction, &sealed[..MAC_AT], &sealed[SIGNED_AT..]).finalize().into_bytes();
        sealed[MAC_AT..SIGNED_AT].copy_from_slice(&mac);
        Ok(sealed)
    }

    /// Checks a message and takes it apart. What comes back is genuine; whether it is new is for the protocol to
    /// say, see the module.
    ///
    /// # Errors
    /// When it is unsigned, altered, foreign, of another version, or no message at all.
    pub fn open<'a>(&self, direction: Direction, bytes: &'a [u8]) -> Result<Opened<'a>, Rejection> {
        if bytes.len() > MAX_LENGTH {
            return Err(Rejection::TooLong(bytes.len()));
        }
        if bytes.len() < SIGNED_AT {
            return Err(Rejection::Malformed("it is too short"));
        }
        let (head, signed) = bytes.split_at(SIGNED_AT);
        if &head[..4] != MAGIC {
            return Err(Rejection::Malformed("it does not begin as one"));
        }
        let mut key_id = KeyId([0; 8]);
        key_id.0.copy_from_slice(&head[4..MAC_AT]);
        let key = self.keys.iter().find(|key| key.id == key_id).ok_or(Rejection::UnknownKey { key_id })?;
        let mac = key.mac(direction, &head[..MAC_AT], signed);
        mac.verify_slice(&head[MAC_AT..]).map_err(|_| Rejection::WrongSignature)?;
        self.take_apart(direction, signed)
    }

    fn take_apart<'a>(&self, direction: Direction, signed: &'a [u8]) -> Result<Opened<'a>, Rejection> {
        let mut rest = Rest(signed);
        let version = u16::from_be_bytes(rest.array("it has no version")?);
        let min_version = u16::from_be_bytes(rest.array("it has no oldest version")?);
        // The version comes first: only what stands before it must keep its place for ever.
        if min_version > VERSION {
            return Err(Rejection::TooNew { version, min_version });
        }
        if version < OLDEST_VERSION {
            return Err(Rejection::TooOld { version });
        }
        let [towards] = rest.array("it has no direction")?;
        if towards != direction.byte() {
            return Err(Rejection::Malformed("its direction is not the one it is signed for"));
        }
        let kind = rest.name("its kind is not text")?;
        let installation = rest.name("its installation is not text")?;
        if installation != self.installation.as_str() {
            let expected = self.installation.to_string();
            return Err(Rejection::ForeignInstallation { got: installation.to_owned(), expected });
        }
        let sender = rest.sender()?;
        if direction == Direction::ToWorker && matches!(sender, Sender::Worker { .. }) {
            return Err(Rejection::WrongSender);
        }
        let length = u32::from_be_bytes(rest.array("it has no length")?);
        if rest.0.len() != length as usize {
            return Err(Rejection::Malformed("its length is not the one it announces"));
        }
        Ok(Opened { kind, sender, version, body: rest.0 })
    }
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, n: usize, missing: &'static str) -> Result<&'a [u8], Rejection> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(Rejection::Malformed(missing))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, missing: &'static str) -> Result<[u8; N], Rejection> {
        let taken = self.take(N, missing)?;
        taken.try_into().map_err(|_| Rejection::Malformed(missing))
    }

    fn name(&mut self, missing: &'static str) -> Result<&'a str, Rejection> {
        let [length] = self.array(missing)?;
        let name = self.take(length.into(), missing)?;
        std::str::from_utf8(name).map_err(|_| Rejection::Malformed(missing))
    }

    fn sender(&mut self) -> Result<Sender, Rejection> {
        const MISSING: &str = "it has no sender";
        let [tag] = self.array(MISSING)?;
        let id = Uuid::from_bytes(self.array(MISSING)?);
        let number = i64::from_be_bytes(self.array(MISSING)?);
        match (tag, id.is_nil()) {
            (0, true) => Ok(Sender::Scheduler { epoch: Epoch(number) }),
            (1, _) => Ok(Sender::Worker { worker: WorkerId(id), incarnation: Incarnation(number) }),
            (0.., _) => Err(Rejection::Malformed("its sender is of no kind")),
        }
    }
}

#[cfg(test)]
mod tests;
