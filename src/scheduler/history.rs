//! What the core is told about the past: read by the shell just before a control is applied.

use std::sync::Arc;

use crate::domain::asset::AssetEvent;
use crate::domain::backfill::Reprocess;
use crate::domain::graph::Dag;
use crate::domain::ids::{BackfillId, DagId, RunId, RunKey};
use crate::domain::run::PlannedRun;
use crate::store::write::{BackfillRow, RunRow, TaskRow, XComRow};

/// What only the store knows about finished runs.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The run that already has the wanted id.
    pub same_id: Option<RunId>,
    /// The run that already has the wanted logical date.
    pub same_date: Option<RunId>,
    /// The runs that a clear or a mark is about, oldest first.
    pub runs: Vec<KnownRun>,
    /// The backfill that a control is about, and those that the runs above belong to.
    pub backfills: Vec<BackfillRow>,
    /// Ids that a backfill would give its runs, and that other runs have.
    pub taken_ids: Vec<RunId>,
    /// Runs that have long ended and are to be forgotten.
    pub old_runs: Vec<RunKey>,
    /// The text of the file of a DAG that is deleted.
    pub source: Option<String>,
}

/// The next dates of a backfill, to be looked up in the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Inquiry {
    pub backfill: BackfillId,
    pub dag: DagId,
    /// Which of the runs that are there will run again, so that their task instances are wanted.
    pub reprocess: Reprocess,
    pub dates: Vec<PlannedRun>,
}

/// A run as the store has it.
#[derive(Clone, Debug)]
pub struct KnownRun {
    pub row: RunRow,
    /// The version that a finished run was made with, where it is not the DAG's present one.
    pub dag: Option<Arc<Dag>>,
    /// The task instances of a finished run; those of the others are in memory.
    pub tasks: Vec<TaskRow>,
    /// The skip decisions that they have left.
    pub decisions: Vec<XComRow>,
    /// The asset events that a finished run was made of.
    pub events: Vec<AssetEvent>,
}
