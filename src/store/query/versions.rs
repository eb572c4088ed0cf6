//! DAGs and their versions without the definitions, which may be large.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::ids::{DagId, VersionNumber};
use crate::domain::time::Time;
use crate::store::convert::Reading;
use crate::store::entity::dag;
use crate::store::entity::dag_version::{Column, Entity};
use crate::store::error::StoreError;
use crate::store::open::Store;
use crate::store::write::DagRow;

/// One version, for a list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedVersion {
    pub version: VersionNumber,
    pub created_at: Time,
}

impl Store {
    /// The hash of a version's definition: who has that definition already need not read it again.
    pub async fn version_hash(&self, dag: &DagId, version: VersionNumber) -> Result<Option<String>, StoreError> {
        let query = Entity::find_by_id((dag.as_str().to_owned(), version.0)).select_only().column(Column::Hash);
        query.into_tuple().one(&self.read).await.map_err(|error| self.location.explain(&error))
    }

    /// A DAG as the scheduler knows it, without its definition.
    pub async fn dag_row(&self, id: &DagId) -> Result<Option<DagRow>, StoreError> {
        self.read_one(dag::Entity::find_by_id(id.as_str()).one(&self.read).await)
    }

    /// The newest versions, the newest first.
    pub async fn versions_of(&self, dag: &DagId, limit: u64) -> Result<Vec<ListedVersion>, StoreError> {
        let query = Entity::find()
            .select_only()
            .columns([Column::Version, Column::CreatedAt])
            .filter(Column::DagId.eq(dag.as_str()))
            .order_by_desc(Column::Version)
            .limit(limit);
        let rows: Vec<(i32, i64)> =
            query.into_tuple().all(&self.read).await.map_err(|error| self.location.explain(&error))?;
        let reading = Reading::new("dag_version", dag);
        let version = |(version, created): (i32, i64)| {
            Ok(ListedVersion { version: VersionNumber(version), created_at: reading.time(created)? })
        };
        rows.into_iter().map(version).collect::<Result<_, _>>().map_err(|row| self.location.unreadable(row))
    }
}
