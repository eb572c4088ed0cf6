//! What the page of all DAGs shows of them: a few queries for all, never one per DAG.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Statement,
};

use crate::domain::dag::DagDefinition;
use crate::domain::ids::{DagId, RunId, VersionNumber};
use crate::domain::run::RunType;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;
use crate::store::convert::{Reading, Unreadable};
use crate::store::entity::{dag, dag_run, dag_version};
use crate::store::error::StoreError;
use crate::store::mysql::placeholders;
use crate::store::open::Store;
use crate::store::write::{DagRow, RunRow};

use super::RunFilter;

/// Parameters in one statement: SQLite takes no more than 500 parts of a union.
const PORTION: usize = 200;

/// A run as a bar of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunBar {
    pub run_id: RunId,
    pub run_type: RunType,
    pub state: RunState,
    pub run_after: Time,
    pub started_at: Option<Time>,
    pub ended_at: Option<Time>,
}

#[derive(FromQueryResult)]
struct BarModel {
    dag_id: String,
    run_id: String,
    run_type: String,
    state: String,
    run_after: i64,
    started_at: Option<i64>,
    ended_at: Option<i64>,
}

impl TryFrom<BarModel> for (DagId, RunBar) {
    type Error = Unreadable;

    fn try_from(model: BarModel) -> Result<Self, Unreadable> {
        let reading = Reading::new("dag_run", &model.run_id);
        let bar = RunBar {
            run_id: reading.word(&model.run_id)?,
            run_type: reading.known("run_type", &model.run_type, RunType::from_word(&model.run_type))?,
            state: reading.word(&model.state)?,
            run_after: reading.time(model.run_after)?,
            started_at: reading.maybe_time(model.started_at)?,
            ended_at: reading.maybe_time(model.ended_at)?,
        };
        Ok((reading.word(&model.dag_id)?, bar))
    }
}

/// One look into the index per DAG, however many runs it has.
const NEWEST: &str = "SELECT d.dag_id, r.state, r.run_after FROM dag d JOIN dag_run r ON r.id = (\
     SELECT n.id FROM dag_run n WHERE n.dag_id = d.dag_id ORDER BY n.run_after DESC, n.id DESC LIMIT 1)";

const UNDER_WAY: &str = "SELECT r.dag_id, t.state, COUNT(*) FROM dag_run r JOIN task_instance t ON t.run = r.id \
     WHERE r.state IN ('queued', 'running') AND t.state IN ('queued', 'running') GROUP BY r.dag_id, t.state";

impl Store {
    /// The rows of all DAGs that are not stale, by name, without their definitions.
    pub async fn dag_rows(&self) -> Result<Vec<DagRow>, StoreError> {
        let query = dag::Entity::find().filter(dag::Column::IsStale.eq(false)).order_by_asc(dag::Column::DagId);
        self.read_all(query.all(&self.read).await)
    }

    /// The definitions of these versions.
    pub async fn definitions(
        &self,
        wanted: &[(DagId, VersionNumber)],
    ) -> Result<HashMap<DagId, DagDefinition>, StoreError> {
        let explain = |error| self.location.explain(&error);
        let mut found = HashMap::new();
        for portion in wanted.chunks(PORTION) {
            let versions: HashMap<&str, i32> = portion.iter().map(|(dag, version)| (dag.as_str(), version.0)).collect();
            let rows: Vec<(String, i32, String)> = dag_version::Entity::find()
                .select_only()
                .columns([dag_version::Column::DagId, dag_version::Column::Version, dag_version::Column::Definition])
                .filter(dag_version::Column::DagId.is_in(versions.keys().copied()))
                .filter(dag_version::Column::Version.is_in(versions.values().copied()))
                .into_tuple()
                .all(&self.read)
                .await
                .map_err(explain)?;
            for (dag, version, text) in rows {
                if versions.get(dag.as_str()) != Some(&version) {
                    continue;
                }
                let reading = Reading::new("dag_version", &dag);
                let read = reading.word(&dag).and_then(|id| Ok((id, reading.json("definition", &text)?)));
                let (id, definition) = read.map_err(|row| self.location.unreadable(row))?;
                found.insert(id, definition);
            }
        }
        Ok(found)
    }

    /// Of each DAG that has one: how its newest run stands, and when that was due.
    pub async fn newest_runs(&self) -> Result<HashMap<DagId, (RunState, Time)>, StoreError> {
        let statement = Statement::from_string(self.read.get_database_backend(), NEWEST);
        let rows = self.triples::<i64>(statement).await?;
        let mut found = HashMap::with_capacity(rows.len());
        for (dag, state, run_after) in rows {
            let reading = Reading::new("dag_run", &dag);
            let read = || Ok((reading.word(&dag)?, (reading.word(&state)?, reading.time(run_after)?)));
            let (dag, newest) = read().map_err(|row| self.location.unreadable(row))?;
            found.insert(dag, newest);
        }
        Ok(found)
    }

    /// The newest `most` runs of each of these DAGs, oldest first.
    pub async fn latest_bars(&self, dags: &[DagId], most: u32) -> Result<HashMap<DagId, Vec<RunBar>>, StoreError> {
        let backend = self.read.get_database_backend();
        let mut bars: HashMap<DagId, Vec<RunBar>> = HashMap::new();
        for portion in dags.chunks(PORTION) {
            let part = |number: usize| {
                format!(
                    "SELECT * FROM (SELECT dag_id, run_id, run_type, state, run_after, started_at, ended_at \
                     FROM dag_run WHERE dag_id = ${} ORDER BY run_after DESC, id DESC LIMIT {most}) AS b{number}",
                    number + 1
                )
            };
            let sql = (0..portion.len()).map(part).collect::<Vec<_>>().join(" UNION ALL ");
            let values = portion.iter().map(|dag| sea_orm::Value::from(dag.as_str()));
            let statement = Statement::from_sql_and_values(backend, placeholders(backend, sql), values);
            let models = BarModel::find_by_statement(statement).all(&self.read).await;
            for (dag, bar) in self.read_all::<BarModel, (DagId, RunBar)>(models)? {
                bars.entry(dag).or_default().push(bar);
            }
        }
        for of_dag in bars.values_mut() {
            of_dag.reverse();
        }
        Ok(bars)
    }

    /// Task instances that run or are queued, by DAG.
    pub async fn under_way(&self) -> Result<HashMap<DagId, BTreeMap<TaskState, u64>>, StoreError> {
        let statement = Statement::from_string(self.read.get_database_backend(), UNDER_WAY);
        let mut found: HashMap<DagId, BTreeMap<TaskState, u64>> = HashMap::new();
        for (dag, state, count) in self.triples::<i64>(statement).await? {
            let reading = Reading::new("task_instance", &dag);
            let read = || Ok((reading.word::<DagId>(&dag)?, reading.word::<TaskState>(&state)?));
            let (dag, state) = read().map_err(|row| self.location.unreadable(row))?;
            found.entry(dag).or_default().insert(state, count.unsigned_abs());
        }
        Ok(found)
    }

    /// A page of runs, newest first (by `run_after`), and one more where there are more.
    pub async fn runs_page(
        &self,
        filter: &RunFilter,
        since_end: Option<Time>,
        offset: u64,
    ) -> Result<Vec<RunRow>, StoreError> {
        let mut query = filter.query();
        if let Some(since) = since_end {
            query = query.filter(dag_run::Column::EndedAt.gte(crate::store::convert::micros(since)));
        }
        self.read_all(query.offset(offset).limit(filter.limit).all(&self.read).await)
    }

    /// The runs of any DAG that have this name, newest first.
    pub async fn runs_named(&self, id: &RunId) -> Result<Vec<RunRow>, StoreError> {
        // Along the index of (dag, name): the names of all DAGs are few, those of all runs are not.
        let dags = self.dag_names().await?;
        let mut found = Vec::new();
        for portion in dags.chunks(PORTION) {
            let query = dag_run::Entity::find()
                .filter(dag_run::Column::DagId.is_in(portion.iter().map(String::as_str)))
                .filter(dag_run::Column::RunId.eq(id.as_str()));
            found.append(&mut self.read_all(query.all(&self.read).await)?);
        }
        found.sort_by_key(|run: &RunRow| std::cmp::Reverse(run.run_after));
        Ok(found)
    }

    async fn triples<T: sea_orm::TryGetable>(
        &self,
        statement: Statement,
    ) -> Result<Vec<(String, String, T)>, StoreError> {
        let read = async {
            let rows = self.read.query_all_raw(statement).await?;
            let triple = |row: sea_orm::QueryResult| {
                Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?))
            };
            rows.into_iter().map(triple).collect::<Result<_, DbErr>>()
        };
        read.await.map_err(|error| self.location.explain(&error))
    }
}
