//! Attempts: the history of every try.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::domain::ids::{AttemptId, RunKey, TaskId};
use crate::store::entity::attempt;
use crate::store::error::StoreError;
use crate::store::open::Store;
use crate::store::write::AttemptRow;

impl Store {
    /// The attempts of a run, or of one of its tasks, in the order of their tries.
    pub async fn attempts(&self, run: RunKey, task: Option<&TaskId>) -> Result<Vec<AttemptRow>, StoreError> {
        let mut query = attempt::Entity::find().filter(attempt::Column::Run.eq(run.0));
        if let Some(task) = task {
            query = query.filter(attempt::Column::TaskId.eq(task.as_str()));
        }
        let query = query
            .order_by_asc(attempt::Column::TaskId)
            .order_by_asc(attempt::Column::MapIndex)
            .order_by_asc(attempt::Column::TryNumber)
            .order_by_asc(attempt::Column::QueuedAt)
            .order_by_asc(attempt::Column::Id);
        self.read_all(query.all(&self.read).await)
    }

    pub async fn attempt(&self, id: AttemptId) -> Result<Option<AttemptRow>, StoreError> {
        self.read_one(attempt::Entity::find_by_id(id.0).one(&self.read).await)
    }
}
