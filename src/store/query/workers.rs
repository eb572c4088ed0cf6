//! Workers: who there is, and how much each has under way.

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QueryOrder, Statement};

use crate::store::entity::worker;
use crate::store::error::StoreError;
use crate::store::open::Store;
use crate::store::write::WorkerRow;

/// One worker as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedWorker {
    pub row: WorkerRow,
    /// Attempts that it owns: running, or being stopped.
    pub owned: u64,
}

// What is done is not looked at, however long the history is.
const OWNED: &str = "SELECT worker, COUNT(*) FROM attempt \
     WHERE state <> 'done' AND worker IS NOT NULL GROUP BY worker";

impl Store {
    /// Every worker that was ever online, by name; those of one name by age.
    pub async fn workers(&self) -> Result<Vec<WorkerRow>, StoreError> {
        let all = worker::Entity::find().order_by_asc(worker::Column::Name).order_by_asc(worker::Column::Id);
        self.read_all(all.all(&self.read).await)
    }

    /// The same, each with what it has under way.
    pub async fn list_workers(&self) -> Result<Vec<ListedWorker>, StoreError> {
        let rows = self.workers().await?;
        let counted = async {
            let statement = Statement::from_string(self.read.get_database_backend(), OWNED);
            let rows = self.read.query_all_raw(statement).await?;
            let pair = |row: sea_orm::QueryResult| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
            rows.into_iter().map(pair).collect::<Result<Vec<(uuid::Uuid, i64)>, DbErr>>()
        };
        let counted = counted.await.map_err(|error| self.location.explain(&error))?;
        let owned = |row: &WorkerRow| {
            let found = counted.iter().find(|(id, _)| *id == row.id.0);
            found.map_or(0, |(_, count)| count.unsigned_abs())
        };
        Ok(rows.into_iter().map(|row| ListedWorker { owned: owned(&row), row }).collect())
    }
}
