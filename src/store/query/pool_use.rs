//! How much of each pool is taken, by the state of who takes it. The cost follows what is under way.

use sea_orm::{ConnectionTrait, DbErr, Statement};

use crate::domain::ids::PoolName;
use crate::domain::state::TaskState;
use crate::store::convert::Reading;
use crate::store::error::StoreError;
use crate::store::open::Store;

/// The slots that task instances of one state take, or would take, of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolUse {
    pub pool: PoolName,
    pub state: TaskState,
    pub slots: u64,
}

const USE: &str = "SELECT t.pool, t.state, CAST(SUM(t.pool_slots) AS SIGNED_INTEGER) FROM dag_run r \
     JOIN task_instance t ON t.run = r.id WHERE r.state IN ('queued', 'running') \
     AND t.state IN ('scheduled', 'queued', 'running', 'restarting', 'deferred') GROUP BY t.pool, t.state";

impl Store {
    pub async fn pool_use(&self) -> Result<Vec<PoolUse>, StoreError> {
        let backend = self.read.get_database_backend();
        // A sum is a decimal on the servers, and each calls a whole number differently.
        let integer = match backend {
            sea_orm::DbBackend::MySql => "SIGNED",
            _ => "BIGINT",
        };
        let sql = USE.replace("SIGNED_INTEGER", integer);
        let read = async {
            let rows = self.read.query_all_raw(Statement::from_string(backend, sql)).await?;
            let triple = |row: sea_orm::QueryResult| {
                Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index::<i64>(2)?))
            };
            rows.into_iter().map(triple).collect::<Result<Vec<(String, String, i64)>, DbErr>>()
        };
        let rows = read.await.map_err(|error| self.location.explain(&error))?;
        let read = |(pool, state, slots): (String, String, i64)| {
            let reading = Reading::new("task_instance", &pool);
            Ok(PoolUse { pool: reading.word(&pool)?, state: reading.word(&state)?, slots: slots.unsigned_abs() })
        };
        rows.into_iter().map(read).collect::<Result<_, _>>().map_err(|row| self.location.unreadable(row))
    }
}
