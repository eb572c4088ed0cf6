//! How the tasks of runs stand, counted by the database: a mapped task of ten thousand instances is a few rows here.
//!
//! A grid of a hundred runs of five hundred tasks asks only for states. One row for each cell would cost more than the
//! whole page, so there a run is one row, whose tasks the database has joined to one text.

use std::collections::HashMap;

use sea_orm::sea_query::{Func, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryResult, QuerySelect, Statement,
};

use crate::domain::ids::{RunKey, TaskId};
use crate::domain::state::TaskState;
use crate::domain::time::Time;
use crate::store::convert::Reading;
use crate::store::entity::task_instance::{Column, Entity};
use crate::store::error::StoreError;
use crate::store::open::Store;

/// Any number of parameters beyond a few hundred makes a statement slow to prepare.
const RUNS_PER_QUERY: usize = 500;

/// The instances of one task of one run that are in one state.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskTally {
    pub run: RunKey,
    pub task_id: TaskId,
    pub state: TaskState,
    pub count: u32,
    /// The first start and the last end among them.
    pub started_at: Option<Time>,
    pub ended_at: Option<Time>,
    pub try_number: i32,
}

/// How many instances of one task of one run are in one state, and nothing more.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub run: RunKey,
    pub task_id: TaskId,
    pub state: TaskState,
    pub count: u32,
}

type Counted = (i64, String, String, i64, Option<i64>, Option<i64>, Option<i32>);

impl Store {
    /// The tallies of these runs, in no order.
    pub async fn tallies(&self, runs: &[RunKey]) -> Result<Vec<TaskTally>, StoreError> {
        let mut tallies = Vec::new();
        // Few names come again in every run: each is checked and kept once.
        let mut names: HashMap<String, TaskId> = HashMap::new();
        for portion in runs.chunks(RUNS_PER_QUERY) {
            let count: SimpleExpr = Func::count(Column::MapIndex.into_expr()).into();
            let query = Entity::find()
                .select_only()
                .columns([Column::Run, Column::TaskId, Column::State])
                .column_as(count, "count")
                .column_as(Column::StartedAt.min(), "started")
                .column_as(Column::EndedAt.max(), "ended")
                .column_as(Column::TryNumber.max(), "tried")
                .filter(Column::Run.is_in(portion.iter().map(|run| run.0)))
                .group_by(Column::Run)
                .group_by(Column::TaskId)
                .group_by(Column::State);
            let rows: Vec<Counted> =
                query.into_tuple().all(&self.read).await.map_err(|error| self.location.explain(&error))?;
            for (run, task, state, count, started, ended, tried) in rows {
                let reading = Reading::new("task_instance", &run);
                let read = || {
                    let task_id = match names.get(&task) {
                        Some(known) => known.clone(),
                        None => reading.word::<TaskId>(&task)?,
                    };
                    Ok(TaskTally {
                        run: RunKey(run),
                        task_id,
                        state: reading.word(&state)?,
                        count: reading.small("count", count)?,
                        started_at: reading.maybe_time(started)?,
                        ended_at: reading.maybe_time(ended)?,
                        try_number: tried.unwrap_or(0),
                    })
                };
                let tally = read().map_err(|row| self.location.unreadable(row))?;
                names.entry(task).or_insert_with(|| tally.task_id.clone());
                tallies.push(tally);
            }
        }
        Ok(tallies)
    }

    /// The states of the tasks of these runs, in no order.
    pub async fn cells(&self, runs: &[RunKey]) -> Result<Vec<Cell>, StoreError> {
        let mut cells = Vec::new();
        let mut names: HashMap<String, TaskId> = HashMap::new();
        for portion in runs.chunks(RUNS_PER_QUERY) {
            let keys: Vec<String> = portion.iter().map(|run| run.0.to_string()).collect();
            let keys = keys.join(",");
            for (run, joined) in self.unmapped(&keys).await? {
                // Neither an id nor a state can hold a comma or a colon.
                for (task, state) in joined.split(',').filter_map(|cell| cell.split_once(':')) {
                    cells.push(self.cell(&mut names, run, task, state, 1)?);
                }
            }
            for (run, task, state, count) in self.mapped(&keys).await? {
                cells.push(self.cell(&mut names, run, &task, &state, count)?);
            }
        }
        Ok(cells)
    }

    fn cell(
        &self,
        names: &mut HashMap<String, TaskId>,
        run: i64,
        task: &str,
        state: &str,
        count: i64,
    ) -> Result<Cell, StoreError> {
        let reading = Reading::new("task_instance", &run);
        let mut read = || {
            let task_id = match names.get(task) {
                Some(known) => known.clone(),
                None => names.entry(task.to_owned()).or_insert(reading.word::<TaskId>(task)?).clone(),
            };
            let (state, count) = (reading.word(state)?, reading.small("count", count)?);
            Ok(Cell { run: RunKey(run), task_id, state, count })
        };
        read().map_err(|row| self.location.unreadable(row))
    }

    /// By run: `task:state,task:state`.
    async fn unmapped(&self, keys: &str) -> Result<Vec<(i64, String)>, StoreError> {
        let backend = self.read.get_database_backend();
        let (joined, grouped) = match backend {
            DbBackend::Sqlite => ("group_concat(task_id || ':' || state)", "GROUP BY run"),
            DbBackend::Postgres => ("string_agg(task_id || ':' || state, ',')", "GROUP BY run"),
            // It cuts what it joins after a kilobyte, and says nothing.
            _ => ("CONCAT(task_id, ':', state)", ""),
        };
        let sql = format!(
            "SELECT run, {joined} FROM task_instance WHERE run IN ({}) AND map_index = -1 {grouped}",
            or_nothing(keys)
        );
        let read = async {
            let rows = self.read.query_all_raw(Statement::from_string(backend, sql)).await?;
            let row = |row: &QueryResult| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
            rows.iter().map(row).collect::<Result<_, DbErr>>()
        };
        read.await.map_err(|error| self.location.explain(&error))
    }

    async fn mapped(&self, keys: &str) -> Result<Vec<(i64, String, String, i64)>, StoreError> {
        let backend = self.read.get_database_backend();
        let sql = format!(
            "SELECT run, task_id, state, COUNT(*) FROM task_instance WHERE run IN ({}) AND map_index >= 0 \
             GROUP BY run, task_id, state",
            or_nothing(keys)
        );
        let read = async {
            let rows = self.read.query_all_raw(Statement::from_string(backend, sql)).await?;
            let row = |row: &QueryResult| {
                Ok((
                    row.try_get_by_index(0)?,
                    row.try_get_by_index(1)?,
                    row.try_get_by_index(2)?,
                    row.try_get_by_index(3)?,
                ))
            };
            rows.iter().map(row).collect::<Result<_, DbErr>>()
        };
        read.await.map_err(|error| self.location.explain(&error))
    }
}

/// No run has the number -1.
fn or_nothing(keys: &str) -> &str {
    if keys.is_empty() { "-1" } else { keys }
}
