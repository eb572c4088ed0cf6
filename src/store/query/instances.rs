//! Task instances without what only the scheduler needs of them: for lists and pictures of a whole run.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::ids::{MapIndex, RunKey, TaskId, TryNumber};
use crate::domain::state::TaskState;
use crate::domain::time::Time;
use crate::store::convert::Reading;
use crate::store::entity::task_instance::{Column, Entity};
use crate::store::error::StoreError;
use crate::store::open::Store;

/// One task instance, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    pub task_id: TaskId,
    pub map_index: MapIndex,
    pub state: TaskState,
    pub try_number: TryNumber,
    pub scheduled_at: Option<Time>,
    pub queued_at: Option<Time>,
    pub started_at: Option<Time>,
    pub ended_at: Option<Time>,
}

/// Which of a run's task instances; the empty filter is all of them.
#[derive(Clone, Debug, Default)]
pub struct InstanceFilter {
    pub task: Option<TaskId>,
    /// None means every state.
    pub states: Vec<TaskState>,
    pub limit: Option<u64>,
    pub offset: u64,
}

type Found = (String, i32, String, i32, Option<i64>, Option<i64>, Option<i64>, Option<i64>);

impl Store {
    /// By name and map index.
    pub async fn instances(&self, run: RunKey, filter: &InstanceFilter) -> Result<Vec<Instance>, StoreError> {
        let mut query = Entity::find()
            .select_only()
            .columns([
                Column::TaskId,
                Column::MapIndex,
                Column::State,
                Column::TryNumber,
                Column::ScheduledAt,
                Column::QueuedAt,
                Column::StartedAt,
                Column::EndedAt,
            ])
            .filter(Column::Run.eq(run.0));
        if let Some(task) = &filter.task {
            query = query.filter(Column::TaskId.eq(task.as_str()));
        }
        if !filter.states.is_empty() {
            query = query.filter(Column::State.is_in(filter.states.iter().map(|state| state.as_str())));
        }
        if let Some(limit) = filter.limit {
            query = query.limit(limit).offset(filter.offset);
        }
        let query = query.order_by_asc(Column::TaskId).order_by_asc(Column::MapIndex);
        let rows: Vec<Found> =
            query.into_tuple().all(&self.read).await.map_err(|error| self.location.explain(&error))?;
        let reading = Reading::new("task_instance", &run);
        let instance = |(task, map_index, state, tried, scheduled, queued, started, ended): Found| {
            Ok(Instance {
                task_id: reading.word(&task)?,
                map_index: MapIndex(map_index),
                state: reading.word(&state)?,
                try_number: TryNumber(tried),
                scheduled_at: reading.maybe_time(scheduled)?,
                queued_at: reading.maybe_time(queued)?,
                started_at: reading.maybe_time(started)?,
                ended_at: reading.maybe_time(ended)?,
            })
        };
        rows.into_iter().map(instance).collect::<Result<_, _>>().map_err(|row| self.location.unreadable(row))
    }
}
