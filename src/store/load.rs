//! Everything a new leader has to know, and nothing it does not: the cost
//! follows the work under way, never the history.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QueryResult, Statement};

use crate::domain::dag::DagDefinition;
use crate::domain::ids::{DagId, RunKey, VersionNumber};
use crate::domain::time::Time;

use super::convert::{Reading, Unreadable};
use super::entity::{attempt, dag, dag_run, pool, task_instance, worker};
use super::error::StoreError;
use super::open::Store;
use super::write::{AttemptRow, DagRow, PoolRow, RunRow, TaskRow, WorkerRow};

/// The scheduler's memory, as rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// All of them, stale ones too: a file that comes back finds its DAG as it was.
    pub dags: Vec<DagRow>,
    /// The current version of each DAG, and every version that a run below still uses.
    pub versions: Vec<LoadedVersion>,
    /// Queued and running ones, and finished ones of which an attempt has not ended yet. Oldest first.
    pub runs: Vec<RunRow>,
    /// All task instances of these runs.
    pub tasks: Vec<TaskRow>,
    /// All attempts that are not done.
    pub attempts: Vec<AttemptRow>,
    pub pools: Vec<PoolRow>,
    pub workers: Vec<WorkerRow>,
    /// The number of the next new run.
    pub next_run: RunKey,
    /// Logical dates beyond a DAG's newest scheduled interval that users' runs hold already.
    pub taken_dates: Vec<(DagId, Time)>,
}

/// A version without the text of its file, which only people read.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedVersion {
    pub dag_id: DagId,
    pub version: VersionNumber,
    pub hash: String,
    pub definition: DagDefinition,
}

/// The runs that matter. Written with constants, so that the partial indexes answer.
const OPEN_RUNS: &str = "WITH open_run(id) AS (\
     SELECT id FROM dag_run WHERE state IN ('queued', 'running') \
     UNION SELECT run FROM attempt WHERE state <> 'done')";

/// LEFT JOIN keeps the small side outside, and shows a version that is missing.
const CURRENT_VERSIONS: &str = "SELECT d.dag_id, d.version, v.hash, v.definition FROM dag d \
     LEFT JOIN dag_version v ON v.dag_id = d.dag_id AND v.version = d.version";

const USED_VERSIONS: &str = "SELECT u.dag_id, u.version, v.hash, v.definition FROM (\
     SELECT DISTINCT r.dag_id, r.version FROM open_run o JOIN dag_run r ON r.id = o.id) u \
     LEFT JOIN dag_version v ON v.dag_id = u.dag_id AND v.version = u.version";

/// By the unique index on (DAG, logical date), so only what lies ahead of the timetable is read.
const TAKEN_DATES: &str = "SELECT r.dag_id, r.logical_date FROM dag d JOIN dag_run r ON r.dag_id = d.dag_id \
     WHERE r.logical_date > COALESCE(d.last_interval_start, -9223372036854775808) AND r.run_type <> 'scheduled'";

enum Failed {
    Database(DbErr),
    Unreadable(Unreadable),
}

impl From<DbErr> for Failed {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

impl From<Unreadable> for Failed {
    fn from(row: Unreadable) -> Self {
        Self::Unreadable(row)
    }
}

impl Store {
    /// Loads what a leader needs. To be called after the takeover committed, by the one that took over.
    pub async fn load(&self) -> Result<Loaded, StoreError> {
        self.try_load().await.map_err(|failed| match failed {
            Failed::Database(error) => self.location.explain(&error),
            Failed::Unreadable(row) => self.location.unreadable(row),
        })
    }

    async fn try_load(&self) -> Result<Loaded, Failed> {
        let statement = |sql: String| Statement::from_string(self.read.get_database_backend(), sql);
        let runs = format!("{OPEN_RUNS} SELECT r.* FROM open_run o JOIN dag_run r ON r.id = o.id ORDER BY r.id");
        let tasks = format!(
            "{OPEN_RUNS} SELECT t.* FROM open_run o JOIN task_instance t ON t.run = o.id \
             ORDER BY t.run, t.task_id, t.map_index"
        );
        let attempts = "SELECT * FROM attempt WHERE state <> 'done' ORDER BY id".to_owned();
        let newest = self.read.query_one_raw(statement("SELECT MAX(id) FROM dag_run".to_owned())).await?;
        let newest: Option<i64> = newest.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        let mut versions = self.versions(statement(CURRENT_VERSIONS.to_owned())).await?;
        versions.extend(self.versions(statement(format!("{OPEN_RUNS} {USED_VERSIONS}"))).await?);
        Ok(Loaded {
            dags: rows(dag::Entity::find().all(&self.read).await?)?,
            versions: versions.into_values().collect(),
            runs: rows(dag_run::Entity::find().from_raw_sql(statement(runs)).all(&self.read).await?)?,
            tasks: rows(task_instance::Entity::find().from_raw_sql(statement(tasks)).all(&self.read).await?)?,
            attempts: rows(attempt::Entity::find().from_raw_sql(statement(attempts)).all(&self.read).await?)?,
            pools: rows(pool::Entity::find().all(&self.read).await?)?,
            workers: rows(worker::Entity::find().all(&self.read).await?)?,
            next_run: RunKey(newest.unwrap_or(0)).next(),
            taken_dates: self.taken_dates(statement(TAKEN_DATES.to_owned())).await?,
        })
    }

    async fn taken_dates(&self, statement: Statement) -> Result<Vec<(DagId, Time)>, Failed> {
        let rows = self.read.query_all_raw(statement).await?;
        rows.iter().map(taken_date).collect()
    }

    async fn versions(&self, statement: Statement) -> Result<BTreeMap<(DagId, VersionNumber), LoadedVersion>, Failed> {
        let rows = self.read.query_all_raw(statement).await?;
        rows.iter()
            .map(|row| version(row).map(|version| ((version.dag_id.clone(), version.version), version)))
            .collect()
    }
}

fn version(row: &QueryResult) -> Result<LoadedVersion, Failed> {
    let dag_id: String = row.try_get_by_index(0)?;
    let version: i32 = row.try_get_by_index(1)?;
    let (hash, definition): (Option<String>, Option<String>) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
    let reading = Reading::new("dag_version", &dag_id);
    let missing = || reading.fail(format!("version {version} is used and missing"));
    Ok(LoadedVersion {
        dag_id: reading.word(&dag_id)?,
        version: VersionNumber(version),
        hash: hash.ok_or_else(missing)?,
        definition: reading.json("definition", &definition.ok_or_else(missing)?)?,
    })
}

fn taken_date(row: &QueryResult) -> Result<(DagId, Time), Failed> {
    let (dag_id, date): (String, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    let reading = Reading::new("dag_run", &dag_id);
    Ok((reading.word(&dag_id)?, reading.time(date)?))
}

fn rows<M, R: TryFrom<M, Error = Unreadable>>(models: Vec<M>) -> Result<Vec<R>, Unreadable> {
    models.into_iter().map(R::try_from).collect()
}
