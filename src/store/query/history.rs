//! What has long ended, and may be forgotten.

use sea_orm::{ConnectionTrait, DbErr, Statement};

use crate::domain::ids::RunKey;
use crate::domain::time::Time;
use crate::protocol::control::{Clean, HistoryTable};
use crate::store::convert::micros;
use crate::store::error::StoreError;
use crate::store::open::Store;

/// Runs that ended before an instant, but never the newest of a DAG: what follows may depend on it.
const OLD: &str = "r.state IN ('success', 'failed') AND r.id <> (\
     SELECT n.id FROM dag_run n WHERE n.dag_id = r.dag_id ORDER BY n.run_after DESC, n.id DESC LIMIT 1)";

/// So many runs go in one commit.
const PORTION: u32 = 500;

impl Store {
    /// The next runs that may be forgotten, in the order of their numbers.
    pub async fn old_runs(&self, clean: &Clean) -> Result<Vec<RunKey>, StoreError> {
        let of_runs = |table: &HistoryTable| match table {
            HistoryTable::DagRun
            | HistoryTable::TaskInstance
            | HistoryTable::TaskInstanceHistory
            | HistoryTable::Xcom => true,
            HistoryTable::Backfill | HistoryTable::Notification | HistoryTable::Command => false,
        };
        if !clean.tables.iter().any(of_runs) {
            return Ok(Vec::new());
        }
        let (before, after) = (micros(clean.before), clean.after.0);
        let sql = format!(
            "SELECT r.id FROM dag_run r WHERE r.id > {after} AND r.ended_at < {before} AND {OLD} \
             ORDER BY r.id LIMIT {PORTION}"
        );
        let read = async {
            let rows = self.read.query_all_raw(Statement::from_string(self.read.get_database_backend(), sql)).await?;
            rows.iter().map(|row| Ok(RunKey(row.try_get_by_index(0)?))).collect::<Result<_, DbErr>>()
        };
        read.await.map_err(|error| self.location.explain(&error))
    }

    /// How many rows of a table may be forgotten.
    pub async fn count_old(&self, table: HistoryTable, before: Time) -> Result<u64, StoreError> {
        let before = micros(before);
        let of_runs = |name: &str| {
            format!(
                "SELECT COUNT(*) FROM {name} t JOIN dag_run r ON r.id = t.run WHERE r.ended_at < {before} AND {OLD}"
            )
        };
        let sql = match table {
            HistoryTable::DagRun => format!("SELECT COUNT(*) FROM dag_run r WHERE r.ended_at < {before} AND {OLD}"),
            HistoryTable::TaskInstance => of_runs("task_instance"),
            HistoryTable::TaskInstanceHistory => of_runs("attempt"),
            HistoryTable::Xcom => of_runs("xcom"),
            HistoryTable::Backfill => format!("SELECT COUNT(*) FROM backfill WHERE completed_at < {before}"),
            HistoryTable::Notification => {
                format!("SELECT COUNT(*) FROM notification WHERE state <> 'pending' AND ended_at < {before}")
            }
            HistoryTable::Command => format!("SELECT COUNT(*) FROM command WHERE done_at < {before}"),
        };
        let read = async {
            let row = self.read.query_one_raw(Statement::from_string(self.read.get_database_backend(), sql)).await?;
            let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0);
            Ok::<_, DbErr>(count.unsigned_abs())
        };
        read.await.map_err(|error| self.location.explain(&error))
    }
}
