//! The numbers of every page's header. Nothing here costs by history.

use sea_orm::{ConnectionTrait, DbErr, Statement};

use crate::domain::state::TaskState;
use crate::domain::time::Time;
use crate::store::convert::micros;
use crate::store::error::StoreError;
use crate::store::open::Store;

/// How much is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Task instances of unfinished runs.
    pub running: u64,
    pub queued: u64,
    /// Runs that failed since the instant that was asked for.
    pub failed: u64,
    /// Attempts that workers own.
    pub slots_used: u64,
    /// Slots of workers that live; `None`: one of them has no limit.
    pub slots: Option<u64>,
}

impl Store {
    pub async fn activity(&self, failed_since: Time) -> Result<Activity, StoreError> {
        let tasks = self.counts().await?.tasks;
        let count = |state: TaskState| tasks.get(&state).copied().unwrap_or(0);
        let workers = self.list_workers().await?;
        let living = workers.iter().filter(|worker| worker.row.status.lives());
        let slots = living.clone().try_fold(0_u64, |sum, worker| match u32::from(worker.row.slots) {
            0 => None,
            slots => Some(sum + u64::from(slots)),
        });
        Ok(Activity {
            running: count(TaskState::Running),
            queued: count(TaskState::Queued),
            failed: self.failed_runs_since(failed_since).await?,
            slots_used: living.map(|worker| worker.owned).sum(),
            slots,
        })
    }

    async fn failed_runs_since(&self, since: Time) -> Result<u64, StoreError> {
        let sql = format!("SELECT COUNT(*) FROM dag_run WHERE state = 'failed' AND ended_at >= {}", micros(since));
        let read = async {
            let row = self.read.query_one_raw(Statement::from_string(self.read.get_database_backend(), sql)).await?;
            let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0);
            Ok::<_, DbErr>(count.unsigned_abs())
        };
        read.await.map_err(|error| self.location.explain(&error))
    }
}
