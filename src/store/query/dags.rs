//! DAGs, and the versions of their definitions.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement};

use crate::domain::dag::DagDefinition;
use crate::domain::ids::{DagId, VersionNumber};
use crate::store::convert::Reading;
use crate::store::entity::{dag, dag_version};
use crate::store::error::StoreError;
use crate::store::open::Store;
use crate::store::write::{DagRow, VersionRow};

/// A DAG with its current definition.
#[derive(Clone, Debug, PartialEq)]
pub struct DagEntry {
    pub row: DagRow,
    pub definition: DagDefinition,
}

impl DagEntry {
    /// The owners of its tasks, each once, in alphabetical order.
    pub fn owners(&self) -> Vec<&str> {
        let owners: BTreeSet<&str> = self.definition.tasks.iter().map(|task| task.owner.as_str()).collect();
        owners.into_iter().collect()
    }
}

const DEFINITIONS: &str = "SELECT d.dag_id, v.definition FROM dag d \
     LEFT JOIN dag_version v ON v.dag_id = d.dag_id AND v.version = d.version";

impl Store {
    /// All DAGs by name; stale ones (their file is gone) only where asked for.
    pub async fn dags(&self, with_stale: bool) -> Result<Vec<DagEntry>, StoreError> {
        let explain = |error| self.location.explain(&error);
        let mut query = dag::Entity::find().order_by_asc(dag::Column::DagId);
        if !with_stale {
            query = query.filter(dag::Column::IsStale.eq(false));
        }
        let rows: Vec<DagRow> = self.read_all(query.all(&self.read).await)?;
        let statement = Statement::from_string(self.read.get_database_backend(), DEFINITIONS);
        let mut definitions = HashMap::new();
        for row in self.read.query_all_raw(statement).await.map_err(explain)? {
            let dag: String = row.try_get_by_index(0).map_err(explain)?;
            definitions.insert(dag, row.try_get_by_index::<Option<String>>(1).map_err(explain)?);
        }
        let entry = |row: DagRow| {
            let reading = Reading::new("dag", &row.dag_id);
            let text = definitions.get(row.dag_id.as_str()).and_then(Option::as_deref);
            let text = text.ok_or_else(|| reading.fail(format!("its version {} is missing", row.version)))?;
            let definition = reading.json("definition", text)?;
            Ok(DagEntry { definition, row })
        };
        rows.into_iter().map(entry).collect::<Result<_, _>>().map_err(|row| self.location.unreadable(row))
    }

    /// One DAG with its current definition.
    pub async fn dag(&self, id: &DagId) -> Result<Option<DagEntry>, StoreError> {
        let row: Option<DagRow> = self.read_one(dag::Entity::find_by_id(id.as_str()).one(&self.read).await)?;
        let Some(row) = row else { return Ok(None) };
        let version = self.version(id, Some(row.version)).await?;
        let version = version.ok_or_else(|| {
            let reading = Reading::new("dag", id);
            self.location.unreadable(reading.fail(format!("its version {} is missing", row.version)))
        })?;
        Ok(Some(DagEntry { row, definition: version.definition }))
    }

    /// The names of all DAGs that are not stale, for "did you mean".
    pub async fn dag_names(&self) -> Result<Vec<String>, StoreError> {
        dag::Entity::find()
            .select_only()
            .column(dag::Column::DagId)
            .filter(dag::Column::IsStale.eq(false))
            .order_by_asc(dag::Column::DagId)
            .into_tuple()
            .all(&self.read)
            .await
            .map_err(|error| self.location.explain(&error))
    }

    /// A version with the text of its file; without a number the newest.
    pub async fn version(&self, dag: &DagId, version: Option<VersionNumber>) -> Result<Option<VersionRow>, StoreError> {
        let mut query = dag_version::Entity::find().filter(dag_version::Column::DagId.eq(dag.as_str()));
        if let Some(version) = version {
            query = query.filter(dag_version::Column::Version.eq(version.0));
        }
        self.read_one(query.order_by_desc(dag_version::Column::Version).one(&self.read).await)
    }
}
