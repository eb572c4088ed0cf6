//! How the tasks of runs stand, counted by the database: a mapped task of ten thousand instances is a few rows here.

use std::collections::HashMap;

use sea_orm::sea_query::{Func, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

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
                if !names.contains_key(&task) {
                    names.insert(task, tally.task_id.clone());
                }
                tallies.push(tally);
            }
        }
        Ok(tallies)
    }
}
