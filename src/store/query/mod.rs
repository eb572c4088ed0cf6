//! What people ask: one file per resource, each a few methods of [`Store`] on the read-only connections.
//!
//! Nothing here is on the way of a task, and nothing here can change anything.

mod assets;
mod attempts;
mod backfills;
mod calendar;
mod dags;
mod history;
mod home;
mod import_errors;
mod instances;
mod listing;
mod lists;
mod notifications;
mod numbers;
mod past;
mod running;
mod runs;
mod status;
mod stirring;
mod tallies;
mod tasks;
mod versions;
mod workers;
mod xcoms;

pub use backfills::BackfillEntry;
pub use calendar::RunTally;
pub use dags::DagEntry;
pub use home::RunBar;
pub use import_errors::ImportError;
pub use instances::{Instance, InstanceFilter};
pub use listing::{COUNTED, Cell, Field, FieldKind, Listing, Order, Page, Test, Wanted};
pub use lists::{
    NumberedError, PoolUse, RUN_IS_OPEN, VersionStub, asset_event_fields, asset_fields, backfill_fields, dag_fields,
    event_log_fields, import_error_fields, pool_fields, run_fields, task_fields, version_fields, xcom_fields,
};
pub use notifications::NotificationFilter;
pub use numbers::Activity;
pub use running::{Owned, QueueLoad};
pub use runs::RunFilter;
pub use status::{Counts, LeaderStatus};
pub use stirring::{Stirring, StirringDag, StirringRun, StirringTask};
pub use tallies::{Cell as TaskCell, TaskTally};
pub use versions::ListedVersion;
pub use workers::ListedWorker;

use sea_orm::DbErr;

use super::convert::Unreadable;
use super::error::StoreError;
use super::open::Store;

impl Store {
    /// Models as rows, or the error for people.
    pub(in crate::store) fn read_all<M, R: TryFrom<M, Error = Unreadable>>(
        &self,
        models: Result<Vec<M>, DbErr>,
    ) -> Result<Vec<R>, StoreError> {
        let models = models.map_err(|error| self.location.explain(&error))?;
        models.into_iter().map(R::try_from).collect::<Result<_, _>>().map_err(|row| self.location.unreadable(row))
    }

    pub(in crate::store) fn read_one<M, R: TryFrom<M, Error = Unreadable>>(
        &self,
        model: Result<Option<M>, DbErr>,
    ) -> Result<Option<R>, StoreError> {
        let model = model.map_err(|error| self.location.explain(&error))?;
        model.map(R::try_from).transpose().map_err(|row| self.location.unreadable(row))
    }
}
