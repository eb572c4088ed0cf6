//! What moves: the unfinished runs and their task instances, for a process that cannot hear the scheduler and has to
//! look. The cost follows what is under way, never the history.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement};

use crate::store::error::StoreError;
use crate::store::open::Store;

/// A run that is under way.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct StirringRun {
    pub id: i64,
    pub dag_id: String,
    pub run_id: String,
    pub state: String,
}

/// A task instance of one.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct StirringTask {
    pub run: i64,
    pub task_id: String,
    pub map_index: i32,
    pub state: String,
    pub try_number: i32,
}

/// What of a DAG can change while nothing runs.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct StirringDag {
    pub dag_id: String,
    pub version: i32,
    pub is_paused: bool,
    pub is_stale: bool,
    pub next_run_after: Option<i64>,
}

/// One look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stirring {
    pub runs: Vec<StirringRun>,
    pub tasks: Vec<StirringTask>,
    pub dags: Vec<StirringDag>,
}

const RUNS: &str = "SELECT id, dag_id, run_id, state FROM dag_run WHERE state IN ('queued', 'running')";
const TASKS: &str = "SELECT t.run, t.task_id, t.map_index, t.state, t.try_number FROM dag_run r \
     JOIN task_instance t ON t.run = r.id WHERE r.state IN ('queued', 'running')";
const DAGS: &str = "SELECT dag_id, version, is_paused, is_stale, next_run_after FROM dag";

impl Store {
    /// What is under way now, and what was: of `before`, the runs that were under way at the last look; and the runs
    /// after `newest`, which may have come and gone since.
    pub async fn stirring(&self, before: &[i64], newest: Option<i64>) -> Result<Stirring, StoreError> {
        let look = async {
            // The tasks first: what happens between the two reads is then seen at the next look.
            let mut tasks = StirringTask::find_by_statement(self.plain(TASKS)).all(&self.read).await?;
            let mut runs = StirringRun::find_by_statement(self.plain(RUNS)).all(&self.read).await?;
            let dags = StirringDag::find_by_statement(self.plain(DAGS)).all(&self.read).await?;
            let under_way: HashSet<i64> = runs.iter().map(|run| run.id).collect();
            let mut ended: Vec<i64> = before.iter().copied().filter(|id| !under_way.contains(id)).collect();
            if let Some(newest) = newest {
                let sql = format!("SELECT id FROM dag_run WHERE id > {newest} ORDER BY id LIMIT 500");
                for row in self.read.query_all_raw(self.plain(&sql)).await? {
                    let id = row.try_get_by_index(0)?;
                    if !under_way.contains(&id) {
                        ended.push(id);
                    }
                }
            }
            for portion in ended.chunks(500) {
                let ids = portion.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let of_runs = format!("SELECT id, dag_id, run_id, state FROM dag_run WHERE id IN ({ids})");
                let of_tasks = format!(
                    "SELECT run, task_id, map_index, state, try_number FROM task_instance WHERE run IN ({ids})"
                );
                runs.extend(StirringRun::find_by_statement(self.plain(&of_runs)).all(&self.read).await?);
                tasks.retain(|task| !portion.contains(&task.run));
                tasks.extend(StirringTask::find_by_statement(self.plain(&of_tasks)).all(&self.read).await?);
            }
            Ok::<_, DbErr>(Stirring { runs, tasks, dags })
        };
        look.await.map_err(|error| self.location.explain(&error))
    }

    /// The number of the newest run; none while there is no run.
    pub async fn newest_run(&self) -> Result<Option<i64>, StoreError> {
        let read = async {
            let row = self.read.query_one_raw(self.plain("SELECT MAX(id) FROM dag_run")).await?;
            row.map_or(Ok(None), |row| row.try_get_by_index::<Option<i64>>(0))
        };
        read.await.map_err(|error: DbErr| self.location.explain(&error))
    }

    fn plain(&self, sql: &str) -> Statement {
        Statement::from_string(self.read.get_database_backend(), sql)
    }
}
