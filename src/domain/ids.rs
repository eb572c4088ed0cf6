//! Identities. Each kind of id is a type of its own, so that a run id can never
//! stand where a task id is meant. Ids of text are checked once, when they are made.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Airflow's limit for DAG, task and run ids, in characters.
const MAX_ID_LENGTH: usize = 250;

/// Why a text cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {what} to be {expected}, got: {got:?}")]
pub struct InvalidId {
    what: &'static str,
    expected: &'static str,
    got: String,
}

/// Airflow's limit for the names of assets.
const MAX_ASSET_NAME_LENGTH: usize = 1500;

fn check(
    what: &'static str,
    text: &str,
    allowed: fn(char) -> bool,
    expected: &'static str,
    most: (usize, &'static str),
) -> Result<(), InvalidId> {
    let invalid = |expected| InvalidId { what, expected, got: text.chars().take(80).collect() };
    if text.is_empty() {
        return Err(invalid("at least one character"));
    }
    if text.chars().count() > most.0 {
        return Err(invalid(most.1));
    }
    if !text.chars().all(allowed) {
        return Err(invalid(expected));
    }
    Ok(())
}

/// `Arc<str>` underneath: ids are cloned into every event, row and message.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:expr, $expected:literal) => {
        text_id!($(#[$doc])* $name, $what, $allowed, $expected, (MAX_ID_LENGTH, "at most 250 characters"));
    };
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:expr, $expected:literal, $most:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses the id; the error says what was expected and what came.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                let text = text.as_ref();
                check($what, text, $allowed, $expected, $most)?;
                Ok(Self(text.into()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }
    };
}

fn key_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn run_id_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '~' | ':' | '+' | '-')
}

fn connection_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '#' | '!' | '(' | ')' | ':' | '/' | '\\')
}

fn printable(c: char) -> bool {
    !c.is_control()
}

fn printable_ascii(c: char) -> bool {
    c.is_ascii() && !c.is_control()
}

text_id!(
    /// The name of a DAG, unique in an installation.
    DagId, "a DAG id", key_character, "letters, digits, `_`, `-` and `.` only"
);
text_id!(
    /// The name of a task, unique in its DAG. Groups prefix it: `group.task`.
    TaskId, "a task id", key_character, "letters, digits, `_`, `-` and `.` only"
);
text_id!(
    /// The name of a group of tasks, unique in its DAG.
    GroupId, "a group id", key_character, "letters, digits, `_`, `-` and `.` only"
);
text_id!(
    /// The name of a run, unique in its DAG: `<run type>__<run after>` unless the user chose one.
    RunId, "a run id", run_id_character, "ASCII letters, digits and `_.~:+-` only"
);
text_id!(
    /// The name of a pool of slots.
    PoolName, "a pool name", printable, "printable characters only"
);
text_id!(
    /// The name of a connection: what hooks and templates ask for.
    ConnectionId, "a connection id", connection_character, "letters, digits and `_-.#!():/\\` only"
);
text_id!(
    /// The name of a variable.
    VariableKey, "a variable's key", printable, "printable characters only"
);
text_id!(
    /// The name of an asset, or of an alias that stands for assets.
    AssetName, "an asset's name", printable_ascii, "printable ASCII characters only",
    (MAX_ASSET_NAME_LENGTH, "at most 1500 characters")
);
text_id!(
    /// The name of a queue that workers listen on.
    QueueName, "a queue name", printable, "printable characters only"
);

impl PoolName {
    /// The pool of every task that names none.
    pub fn default_pool() -> Self {
        Self("default_pool".into())
    }
}

impl QueueName {
    /// The queue of every task that names none (`[operators] default_queue`).
    pub fn default_queue() -> Self {
        Self("default".into())
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The one after this.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// The row number of a run: what the store and the scheduler's memory call it.
    RunKey, i64
);
number_id!(
    /// Counts the reigns of leaders: +1 at each takeover and at each reload (PROTOCOL L1, L3).
    Epoch, i64
);
number_id!(
    /// Counts the lives of one worker: +1 at each start and at each fence.
    Incarnation, i64
);
number_id!(
    /// Counts the publishes of one attempt: +1 after each release.
    Dispatch, i32
);
number_id!(
    /// Which try of a task instance this is; the first is 1.
    TryNumber, i32
);
number_id!(
    /// The stored version of a DAG's definition; the first is 1.
    VersionNumber, i32
);
number_id!(
    /// The number of a backfill, as people name it.
    BackfillId, i64
);
number_id!(
    /// The row number of an asset event; later events have greater ones.
    AssetEventId, i64
);
number_id!(
    /// The row number of a durable user command.
    CommandId, i64
);

/// One attempt to run a task instance: one per (task instance, try).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(pub Uuid);

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One notification that is owed, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NotificationId(pub Uuid);

impl fmt::Display for NotificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A worker's state directory, not its host: two workers on a host differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub Uuid);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What owns an attempt: one claim, never reused (PROTOCOL §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Claim {
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    /// Counts up inside the incarnation.
    pub n: i64,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.worker, self.incarnation, self.n)
    }
}

/// Which element of a mapped task; unmapped tasks have -1, as in Airflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MapIndex(pub i32);

impl MapIndex {
    pub const UNMAPPED: Self = Self(-1);
}

impl fmt::Display for MapIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A task instance as people name it; travels in messages and log lines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskKey {
    pub dag: DagId,
    pub run: RunId,
    pub task: TaskId,
    pub map_index: MapIndex,
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} of run {}", self.dag, self.task, self.run)?;
        if self.map_index != MapIndex::UNMAPPED {
            write!(f, " [{}]", self.map_index)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_checked_once_and_says_what_it_expected() {
        assert_eq!(DagId::new("my_dag.v1-a").expect("valid").as_str(), "my_dag.v1-a");
        assert_eq!(
            DagId::new("a b").expect_err("a space").to_string(),
            "expected a DAG id to be letters, digits, `_`, `-` and `.` only, got: \"a b\""
        );
        assert!(DagId::new("").is_err());
        assert!(TaskId::new("x".repeat(251)).is_err());
        assert!(RunId::new("manual__2026-11-21T00:00:00+00:00").is_ok());
        assert!(RunId::new("../etc").is_err());
    }
}
