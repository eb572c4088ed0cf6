//! Backfills, and how far they have come.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, Statement};

use crate::domain::ids::{BackfillId, DagId, RunId};
use crate::domain::state::RunState;
use crate::domain::time::Time;
use crate::store::convert::{Reading, micros};
use crate::store::entity::{backfill, dag_run};
use crate::store::error::StoreError;
use crate::store::open::Store;
use crate::store::write::{BackfillRow, RunRow};

/// A backfill with how its runs stand.
#[derive(Clone, Debug, PartialEq)]
pub struct BackfillEntry {
    pub row: BackfillRow,
    pub runs: BTreeMap<RunState, u64>,
}

impl BackfillEntry {
    pub fn runs_that_are(&self, state: RunState) -> u64 {
        self.runs.get(&state).copied().unwrap_or(0)
    }

    /// Its runs that have not ended.
    pub fn unfinished(&self) -> u64 {
        self.runs_that_are(RunState::Queued) + self.runs_that_are(RunState::Running)
    }

    /// Dates that nothing was done about yet, or ever will be.
    pub fn left(&self) -> u64 {
        u64::from(self.row.dates.saturating_sub(self.row.dealt))
    }
}

impl Store {
    /// Backfills, newest first; those that are over only where asked for.
    pub async fn backfills(&self, dag: Option<&DagId>, with_over: bool) -> Result<Vec<BackfillEntry>, StoreError> {
        let mut query = backfill::Entity::find().order_by_desc(backfill::Column::Id);
        if let Some(dag) = dag {
            query = query.filter(backfill::Column::DagId.eq(dag.as_str()));
        }
        if !with_over {
            query = query.filter(backfill::Column::CompletedAt.is_null());
        }
        let rows: Vec<BackfillRow> = self.read_all(query.all(&self.read).await)?;
        let mut counted = self.count_backfill_runs(&rows).await?;
        let entry = |row: BackfillRow| BackfillEntry { runs: counted.remove(&row.id).unwrap_or_default(), row };
        Ok(rows.into_iter().map(entry).collect())
    }

    pub async fn backfill(&self, id: BackfillId) -> Result<Option<BackfillEntry>, StoreError> {
        let row: Option<BackfillRow> = self.read_one(backfill::Entity::find_by_id(id.0).one(&self.read).await)?;
        let Some(row) = row else { return Ok(None) };
        let runs = self.count_backfill_runs(std::slice::from_ref(&row)).await?.remove(&id).unwrap_or_default();
        Ok(Some(BackfillEntry { row, runs }))
    }

    async fn count_backfill_runs(
        &self,
        rows: &[BackfillRow],
    ) -> Result<HashMap<BackfillId, BTreeMap<RunState, u64>>, StoreError> {
        let mut counted: HashMap<BackfillId, BTreeMap<RunState, u64>> = HashMap::new();
        if rows.is_empty() {
            return Ok(counted);
        }
        let ids: Vec<String> = rows.iter().map(|row| row.id.to_string()).collect();
        let sql = format!(
            "SELECT backfill, state, COUNT(*) FROM dag_run WHERE backfill IN ({}) GROUP BY backfill, state",
            ids.join(", ")
        );
        let read = async {
            let rows = self.read.query_all_raw(Statement::from_string(self.read.get_database_backend(), sql)).await?;
            let triple = |row: sea_orm::QueryResult| {
                Ok((row.try_get_by_index(0)?, row.try_get_by_index::<String>(1)?, row.try_get_by_index::<i64>(2)?))
            };
            rows.into_iter().map(triple).collect::<Result<Vec<(i64, String, i64)>, DbErr>>()
        };
        for (id, word, count) in read.await.map_err(|error| self.location.explain(&error))? {
            let state = Reading::new("dag_run", &word).word(&word).map_err(|row| self.location.unreadable(row))?;
            counted.entry(BackfillId(id)).or_default().insert(state, count.unsigned_abs());
        }
        Ok(counted)
    }

    /// The runs of a DAG whose logical date lies between these, both inclusive, oldest first.
    pub async fn runs_between(&self, dag: &DagId, first: Time, last: Time) -> Result<Vec<RunRow>, StoreError> {
        let query = dag_run::Entity::find()
            .filter(dag_run::Column::DagId.eq(dag.as_str()))
            .filter(dag_run::Column::LogicalDate.between(micros(first), micros(last)))
            .order_by_asc(dag_run::Column::LogicalDate);
        self.read_all(query.all(&self.read).await)
    }

    /// Which of these ids the DAG has a run for.
    pub async fn taken_run_ids(&self, dag: &DagId, ids: &[RunId]) -> Result<Vec<RunId>, StoreError> {
        let query = dag_run::Entity::find()
            .filter(dag_run::Column::DagId.eq(dag.as_str()))
            .filter(dag_run::Column::RunId.is_in(ids.iter().map(RunId::as_str)));
        let runs: Vec<RunRow> = self.read_all(query.all(&self.read).await)?;
        Ok(runs.into_iter().map(|run| run.run_id).collect())
    }
}
