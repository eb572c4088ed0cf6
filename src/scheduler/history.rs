//! What the core is told about the past: read by the shell just before a control is applied.

use std::sync::Arc;

use crate::domain::graph::Dag;
use crate::domain::ids::RunId;
use crate::store::write::{RunRow, TaskRow};

/// What only the store knows about finished runs.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The run that already has the wanted id.
    pub same_id: Option<RunId>,
    /// The run that already has the wanted logical date.
    pub same_date: Option<RunId>,
    /// The runs that a clear or a mark is about, oldest first.
    pub runs: Vec<KnownRun>,
}

/// A run as the store has it.
#[derive(Clone, Debug)]
pub struct KnownRun {
    pub row: RunRow,
    /// The version that a finished run was made with, where it is not the DAG's present one.
    pub dag: Option<Arc<Dag>>,
    /// The task instances of a finished run; those of the others are in memory.
    pub tasks: Vec<TaskRow>,
}
