//! How the whole is doing: the leader, pools, and counts of what is under way.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QueryOrder, Statement};

use crate::domain::ids::Epoch;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;
use crate::store::commit::now;
use crate::store::convert::Reading;
use crate::store::entity::pool;
use crate::store::error::StoreError;
use crate::store::open::Store;
use crate::store::write::PoolRow;

/// Who leads, as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderStatus {
    /// 0: nobody has ever led.
    pub epoch: Epoch,
    /// Host and process, for people.
    pub holder: String,
    pub renewed_at: Time,
    /// How long ago that was, by the database's clock: the only one to judge it by.
    pub age: Duration,
}

/// What is under way. Finished runs are not counted: that would cost by history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Queued and running runs.
    pub runs: BTreeMap<RunState, u64>,
    /// Task instances of these runs.
    pub tasks: BTreeMap<TaskState, u64>,
    pub import_errors: u64,
}

const RUNS: &str = "SELECT state, COUNT(*) FROM dag_run WHERE state IN ('queued', 'running') GROUP BY state";
const TASKS: &str = "SELECT t.state, COUNT(*) FROM dag_run r JOIN task_instance t ON t.run = r.id \
     WHERE r.state IN ('queued', 'running') GROUP BY t.state";

impl Store {
    pub async fn leader(&self) -> Result<LeaderStatus, StoreError> {
        let backend = self.read.get_database_backend();
        let sql = format!("SELECT epoch, holder, renewed_at, {} FROM leader WHERE id = 1", now(backend));
        let read = async {
            let row = self.read.query_one_raw(Statement::from_string(backend, sql)).await?;
            let row = row.ok_or_else(|| DbErr::RecordNotFound("table `leader` has lost its one row".to_owned()))?;
            let renewed_at: i64 = row.try_get_by_index(2)?;
            let age = row.try_get_by_index::<i64>(3)?.saturating_sub(renewed_at);
            Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?, renewed_at, age))
        };
        let (epoch, holder, renewed_at, age) = read.await.map_err(|error| self.location.explain(&error))?;
        let renewed_at = Reading::new("leader", &1).time(renewed_at).map_err(|row| self.location.unreadable(row))?;
        let age = Duration::from_micros(age.max(0).unsigned_abs());
        Ok(LeaderStatus { epoch: Epoch(epoch), holder, renewed_at, age })
    }

    pub async fn pools(&self) -> Result<Vec<PoolRow>, StoreError> {
        self.read_all(pool::Entity::find().order_by_asc(pool::Column::Name).all(&self.read).await)
    }

    /// The figures of a health page.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let unreadable = |row| self.location.unreadable(row);
        let mut counts = Counts::default();
        for (word, count) in self.count(RUNS).await? {
            counts.runs.insert(Reading::new("dag_run", &word).word(&word).map_err(unreadable)?, count);
        }
        for (word, count) in self.count(TASKS).await? {
            counts.tasks.insert(Reading::new("task_instance", &word).word(&word).map_err(unreadable)?, count);
        }
        let errors = self.count("SELECT 'all', COUNT(*) FROM import_error").await?;
        counts.import_errors = errors.into_iter().map(|(_, count)| count).sum();
        Ok(counts)
    }

    async fn count(&self, sql: &'static str) -> Result<Vec<(String, u64)>, StoreError> {
        let read = async {
            let rows = self.read.query_all_raw(Statement::from_string(self.read.get_database_backend(), sql)).await?;
            let pair = |row: sea_orm::QueryResult| {
                let count: i64 = row.try_get_by_index(1)?;
                Ok((row.try_get_by_index(0)?, count.unsigned_abs()))
            };
            rows.into_iter().map(pair).collect::<Result<_, DbErr>>()
        };
        read.await.map_err(|error| self.location.explain(&error))
    }
}
