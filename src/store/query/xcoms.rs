//! Values that tasks pushed.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Statement};
use serde_json::Value;

use crate::domain::ids::{DagId, MapIndex, RunKey, TaskId};
use crate::domain::time::Time;
use crate::store::convert::micros;
use crate::store::entity::xcom;
use crate::store::error::StoreError;
use crate::store::mysql::placeholders;
use crate::store::open::Store;
use crate::store::write::XComRow;

/// Any number of parameters beyond a few hundred makes a statement slow to prepare.
const RUNS_PER_QUERY: usize = 500;

impl Store {
    pub async fn xcom(
        &self,
        run: RunKey,
        task: &TaskId,
        map_index: MapIndex,
        key: &str,
    ) -> Result<Option<XComRow>, StoreError> {
        let key = (run.0, task.as_str().to_owned(), map_index.0, key.to_owned());
        self.read_one(xcom::Entity::find_by_id(key).one(&self.read).await)
    }

    /// What the instances of a mapped task left under a key, by map index.
    pub async fn xcoms_of_instances(&self, run: RunKey, task: &TaskId, key: &str) -> Result<Vec<XComRow>, StoreError> {
        self.read_all(of_instances(run, task, key).all(&self.read).await)
    }

    /// The value at this place among them.
    pub async fn xcom_of_instance(
        &self,
        run: RunKey,
        task: &TaskId,
        key: &str,
        place: u32,
    ) -> Result<Option<XComRow>, StoreError> {
        self.read_one(of_instances(run, task, key).offset(u64::from(place)).one(&self.read).await)
    }

    /// The values of this key that these runs have.
    pub async fn xcoms_of_runs(&self, runs: &[RunKey], key: &str) -> Result<Vec<XComRow>, StoreError> {
        let mut values = Vec::new();
        for portion in runs.chunks(RUNS_PER_QUERY) {
            let query = xcom::Entity::find()
                .filter(xcom::Column::Run.is_in(portion.iter().map(|run| run.0)))
                .filter(xcom::Column::Key.eq(key))
                .order_by_asc(xcom::Column::Run);
            values.append(&mut self.read_all(query.all(&self.read).await)?);
        }
        Ok(values)
    }

    /// The newest value of this key in a run, of one task or of any.
    pub async fn newest_xcom(
        &self,
        run: RunKey,
        task: Option<&TaskId>,
        key: &str,
    ) -> Result<Option<Value>, StoreError> {
        let mut query = xcom::Entity::find().filter(xcom::Column::Run.eq(run.0)).filter(xcom::Column::Key.eq(key));
        if let Some(task) = task {
            query = query.filter(xcom::Column::TaskId.eq(task.as_str()));
        }
        let newest: Option<XComRow> = self.read_one(query.order_by_desc(xcom::Column::At).one(&self.read).await)?;
        Ok(newest.map(|row| row.value))
    }

    /// The same in the latest run of a DAG, up to a logical date, that has one.
    pub async fn prior_xcom(
        &self,
        dag: &DagId,
        task: Option<&TaskId>,
        key: &str,
        until: Time,
    ) -> Result<Option<Value>, StoreError> {
        let backend = self.read.get_database_backend();
        let of_task = if task.is_some() { "AND x.task_id = $4" } else { "" };
        // Backwards along the unique index of dates, until one run has a value.
        let sql = format!(
            "SELECT x.* FROM dag_run r JOIN xcom x ON x.run = r.id WHERE r.dag_id = $1 AND r.logical_date <= $2 \
             AND x.key = $3 {of_task} ORDER BY r.logical_date DESC, x.at DESC LIMIT 1"
        );
        let mut values: Vec<sea_orm::Value> = vec![dag.as_str().into(), micros(until).into(), key.into()];
        values.extend(task.map(|task| task.as_str().into()));
        let statement = Statement::from_sql_and_values(backend, placeholders(backend, sql), values);
        let newest: Option<XComRow> =
            self.read_one(xcom::Entity::find().from_raw_sql(statement).one(&self.read).await)?;
        Ok(newest.map(|row| row.value))
    }

    /// All values of a run, or of one of its tasks, by task, map index and key.
    pub async fn xcoms(&self, run: RunKey, task: Option<&TaskId>) -> Result<Vec<XComRow>, StoreError> {
        let mut query = xcom::Entity::find().filter(xcom::Column::Run.eq(run.0));
        if let Some(task) = task {
            query = query.filter(xcom::Column::TaskId.eq(task.as_str()));
        }
        let query = query
            .order_by_asc(xcom::Column::TaskId)
            .order_by_asc(xcom::Column::MapIndex)
            .order_by_asc(xcom::Column::Key);
        self.read_all(query.all(&self.read).await)
    }
}

fn of_instances(run: RunKey, task: &TaskId, key: &str) -> Select<xcom::Entity> {
    xcom::Entity::find()
        .filter(xcom::Column::Run.eq(run.0))
        .filter(xcom::Column::TaskId.eq(task.as_str()))
        .filter(xcom::Column::MapIndex.gte(0))
        .filter(xcom::Column::Key.eq(key))
        .order_by_asc(xcom::Column::MapIndex)
}
