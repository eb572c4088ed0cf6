//! What runs where, and what waits in which queue. Only what is unfinished is looked at.

use sea_orm::ConnectionTrait;
use sea_orm::{DbErr, FromQueryResult, Statement};

use crate::domain::ids::{DagId, MapIndex, QueueName, RunId, TaskId, WorkerId};
use crate::domain::state::TaskState;
use crate::domain::time::Time;
use crate::store::convert::{Reading, Unreadable};
use crate::store::error::StoreError;
use crate::store::open::Store;

/// An attempt that a worker owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    pub worker: WorkerId,
    pub dag: DagId,
    pub run_id: RunId,
    pub task: TaskId,
    pub map_index: MapIndex,
    pub started_at: Option<Time>,
}

/// How many task instances of a queue are in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLoad {
    pub queue: QueueName,
    pub state: TaskState,
    pub count: u64,
    /// Since when the oldest of them is queued.
    pub oldest: Option<Time>,
}

#[derive(FromQueryResult)]
struct OwnedModel {
    worker: uuid::Uuid,
    dag_id: String,
    run_id: String,
    task_id: String,
    map_index: i32,
    started_at: Option<i64>,
}

impl TryFrom<OwnedModel> for Owned {
    type Error = Unreadable;

    fn try_from(model: OwnedModel) -> Result<Self, Unreadable> {
        let reading = Reading::new("attempt", &model.task_id);
        Ok(Self {
            worker: WorkerId(model.worker),
            dag: reading.word(&model.dag_id)?,
            run_id: reading.word(&model.run_id)?,
            task: reading.word(&model.task_id)?,
            map_index: MapIndex(model.map_index),
            started_at: reading.maybe_time(model.started_at)?,
        })
    }
}

const OWNED: &str = "SELECT a.worker, r.dag_id, r.run_id, a.task_id, a.map_index, a.started_at \
     FROM attempt a JOIN dag_run r ON r.id = a.run WHERE a.state <> 'done' AND a.worker IS NOT NULL \
     ORDER BY a.started_at";

const QUEUES: &str = "SELECT t.queue, t.state, COUNT(*), MIN(t.queued_at) \
     FROM dag_run r JOIN task_instance t ON t.run = r.id \
     WHERE r.state IN ('queued', 'running') AND t.state IN ('scheduled', 'queued', 'running') GROUP BY t.queue, t.state";

impl Store {
    /// What workers have under way, the longest first.
    pub async fn owned_attempts(&self) -> Result<Vec<Owned>, StoreError> {
        let statement = Statement::from_string(self.read.get_database_backend(), OWNED);
        self.read_all(OwnedModel::find_by_statement(statement).all(&self.read).await)
    }

    /// What each queue holds.
    pub async fn queue_loads(&self) -> Result<Vec<QueueLoad>, StoreError> {
        let read = async {
            let statement = Statement::from_string(self.read.get_database_backend(), QUEUES);
            let rows = self.read.query_all_raw(statement).await?;
            let row = |row: sea_orm::QueryResult| {
                let count: i64 = row.try_get_by_index(2)?;
                Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?, count, row.try_get_by_index(3)?))
            };
            rows.into_iter().map(row).collect::<Result<Vec<(String, String, i64, Option<i64>)>, DbErr>>()
        };
        let rows = read.await.map_err(|error| self.location.explain(&error))?;
        let load = |(queue, state, count, oldest): (String, String, i64, Option<i64>)| {
            let reading = Reading::new("task_instance", &queue);
            let (oldest, state) = (reading.maybe_time(oldest)?, reading.word(&state)?);
            Ok(QueueLoad { queue: reading.word(&queue)?, state, count: count.unsigned_abs(), oldest })
        };
        rows.into_iter().map(load).collect::<Result<_, _>>().map_err(|row| self.location.unreadable(row))
    }
}
