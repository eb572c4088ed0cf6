//! Values that tasks pushed.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::domain::ids::{MapIndex, RunKey, TaskId};
use crate::store::entity::xcom;
use crate::store::error::StoreError;
use crate::store::open::Store;
use crate::store::write::XComRow;

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
