//! The border between scheduler and executor: work with its place in the line, and what is said about it.

use serde::{Deserialize, Serialize};

use super::work::ToWorker;

/// What an executor is told. What it answers is a [`super::work::FromWorker`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToExecutor {
    /// Of a task: the greater is carried first, equals in the order in which they came. Of other messages: nothing.
    pub priority: i64,
    pub message: ToWorker,
}
