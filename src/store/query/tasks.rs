//! Task instances.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::domain::ids::{MapIndex, RunKey, TaskId};
use crate::store::entity::task_instance;
use crate::store::error::StoreError;
use crate::store::open::Store;
use crate::store::write::TaskRow;

/// Any number of parameters beyond a few hundred makes a statement slow to prepare.
const RUNS_PER_QUERY: usize = 500;

impl Store {
    /// All task instances of a run, by name and map index.
    pub async fn tasks(&self, run: RunKey) -> Result<Vec<TaskRow>, StoreError> {
        let query = task_instance::Entity::find()
            .filter(task_instance::Column::Run.eq(run.0))
            .order_by_asc(task_instance::Column::TaskId)
            .order_by_asc(task_instance::Column::MapIndex);
        self.read_all(query.all(&self.read).await)
    }

    /// All task instances of these runs, by run, name and map index.
    pub async fn tasks_of_runs(&self, runs: &[RunKey]) -> Result<Vec<TaskRow>, StoreError> {
        let mut tasks = Vec::new();
        for portion in runs.chunks(RUNS_PER_QUERY) {
            let query = task_instance::Entity::find()
                .filter(task_instance::Column::Run.is_in(portion.iter().map(|run| run.0)))
                .order_by_asc(task_instance::Column::Run)
                .order_by_asc(task_instance::Column::TaskId)
                .order_by_asc(task_instance::Column::MapIndex);
            tasks.append(&mut self.read_all(query.all(&self.read).await)?);
        }
        Ok(tasks)
    }

    pub async fn task(&self, run: RunKey, task: &TaskId, map_index: MapIndex) -> Result<Option<TaskRow>, StoreError> {
        let key = (run.0, task.as_str().to_owned(), map_index.0);
        self.read_one(task_instance::Entity::find_by_id(key).one(&self.read).await)
    }
}
