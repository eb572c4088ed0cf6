//! Everything a new leader has to know, and nothing it does not: the cost
//! follows the work under way, never the history.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QueryResult, Statement};

use crate::domain::asset::{Asset, AssetEvent};
use crate::domain::dag::DagDefinition;
use crate::domain::ids::{AssetEventId, BackfillId, DagId, RunKey, VersionNumber};
use crate::domain::run::RunType;
use crate::domain::skip::SKIP_KEY;
use crate::domain::time::Time;

use super::convert::{Reading, Unreadable};
use super::entity::{attempt, backfill, dag, dag_run, deadline, notification, pool, task_instance, worker, xcom};
use super::error::StoreError;
use super::open::Store;
use super::write::{
    AttemptRow, BackfillRow, DagRow, DeadlineRow, NotificationRow, PoolRow, QueueRow, RunRow, TaskRow, WorkerRow,
    XComRow,
};

/// The scheduler's memory, as rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// All of them, stale ones too: a file that comes back finds its DAG as it was.
    pub dags: Vec<DagRow>,
    /// The current version of each DAG, and every version that a run below still uses.
    pub versions: Vec<LoadedVersion>,
    /// Queued and running ones, and finished ones of which an attempt has not ended yet or a deadline is pending.
    /// Oldest first.
    pub runs: Vec<RunRow>,
    /// All task instances of these runs.
    pub tasks: Vec<TaskRow>,
    /// The skip decisions that they have left.
    pub decisions: Vec<XComRow>,
    /// All attempts that are not done.
    pub attempts: Vec<AttemptRow>,
    /// All notifications that are owed, oldest first.
    pub notifications: Vec<NotificationRow>,
    /// All deadlines that are neither met nor missed.
    pub deadlines: Vec<DeadlineRow>,
    pub pools: Vec<PoolRow>,
    pub workers: Vec<WorkerRow>,
    /// The number of the next new run.
    pub next_run: RunKey,
    /// Logical dates beyond a DAG's newest scheduled interval that users' runs hold already.
    pub taken_dates: Vec<(DagId, Time)>,
    /// Those that are not over, and those of which a run above is one.
    pub backfills: Vec<BackfillRow>,
    /// The number of the next new backfill.
    pub next_backfill: BackfillId,
    pub assets: Vec<Asset>,
    /// Events that DAGs have still to see.
    pub queued: Vec<(QueueRow, AssetEvent)>,
    /// What the runs above were made of, where that was events.
    pub events_of_runs: HashMap<RunKey, Vec<AssetEvent>>,
    /// The number of the next new event.
    pub next_event: AssetEventId,
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
     UNION SELECT run FROM attempt WHERE state <> 'done' \
     UNION SELECT run FROM deadline WHERE state = 'pending')";

/// LEFT JOIN keeps the small side outside, and shows a version that is missing.
const CURRENT_VERSIONS: &str = "SELECT d.dag_id, d.version, v.hash, v.definition FROM dag d \
     LEFT JOIN dag_version v ON v.dag_id = d.dag_id AND v.version = d.version";

const USED_VERSIONS: &str = "SELECT u.dag_id, u.version, v.hash, v.definition FROM (\
     SELECT DISTINCT r.dag_id, r.version FROM open_run o JOIN dag_run r ON r.id = o.id) u \
     LEFT JOIN dag_version v ON v.dag_id = u.dag_id AND v.version = u.version";

/// By the unique index on (DAG, logical date), so only what lies ahead of the timetable is read.
const TAKEN_DATES: &str = "SELECT r.dag_id, r.logical_date FROM dag d JOIN dag_run r ON r.dag_id = d.dag_id \
     WHERE r.logical_date > COALESCE(d.last_interval_start, -9223372036854775808) AND r.run_type <> 'scheduled'";

const BACKFILLS: &str = "SELECT b.* FROM backfill b WHERE b.completed_at IS NULL \
     OR b.id IN (SELECT r.backfill FROM open_run o JOIN dag_run r ON r.id = o.id) ORDER BY b.id";

const RUNS_PER_QUERY: usize = 500;

enum Failed {
    Database(DbErr),
    Unreadable(Unreadable),
    Explained(StoreError),
}

impl From<DbErr> for Failed {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Explained(error)
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
            Failed::Explained(error) => error,
        })
    }

    async fn try_load(&self) -> Result<Loaded, Failed> {
        let statement = |sql: String| Statement::from_string(self.read.get_database_backend(), sql);
        let runs = format!("{OPEN_RUNS} SELECT r.* FROM open_run o JOIN dag_run r ON r.id = o.id ORDER BY r.id");
        let attempts = "SELECT * FROM attempt WHERE state <> 'done' ORDER BY id".to_owned();
        let backfills = format!("{OPEN_RUNS} {BACKFILLS}");
        let notifications = "SELECT * FROM notification WHERE state = 'pending' ORDER BY id".to_owned();
        let deadlines = "SELECT * FROM deadline WHERE state = 'pending' ORDER BY run, number".to_owned();
        let mut versions = self.versions(statement(CURRENT_VERSIONS.to_owned())).await?;
        versions.extend(self.versions(statement(format!("{OPEN_RUNS} {USED_VERSIONS}"))).await?);
        let runs: Vec<RunRow> = rows(dag_run::Entity::find().from_raw_sql(statement(runs)).all(&self.read).await?)?;
        let of_assets: Vec<RunKey> =
            runs.iter().filter(|run| run.run_type == RunType::AssetTriggered).map(|run| run.key).collect();
        Ok(Loaded {
            assets: self.assets().await?,
            queued: self.queued_asset_events().await?,
            events_of_runs: self.asset_events_of_runs(&of_assets).await?,
            next_event: self.next_asset_event().await?,
            tasks: self.tasks_of(&runs).await?,
            decisions: self.decisions_of(&runs).await?,
            runs,
            dags: rows(dag::Entity::find().all(&self.read).await?)?,
            versions: versions.into_values().collect(),
            attempts: rows(attempt::Entity::find().from_raw_sql(statement(attempts)).all(&self.read).await?)?,
            notifications: rows(
                notification::Entity::find().from_raw_sql(statement(notifications)).all(&self.read).await?,
            )?,
            deadlines: rows(deadline::Entity::find().from_raw_sql(statement(deadlines)).all(&self.read).await?)?,
            pools: rows(pool::Entity::find().all(&self.read).await?)?,
            workers: rows(worker::Entity::find().all(&self.read).await?)?,
            next_run: RunKey(self.newest("dag_run").await?).next(),
            taken_dates: self.taken_dates(statement(TAKEN_DATES.to_owned())).await?,
            backfills: rows(backfill::Entity::find().from_raw_sql(statement(backfills)).all(&self.read).await?)?,
            next_backfill: BackfillId(self.newest("backfill").await?).next(),
        })
    }

    /// The greatest number in use.
    async fn newest(&self, table: &'static str) -> Result<i64, Failed> {
        let backend = self.read.get_database_backend();
        let newest = Statement::from_string(backend, format!("SELECT MAX(id) FROM {table}"));
        let row = self.read.query_one_raw(newest).await?;
        let newest: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        Ok(newest.unwrap_or(0))
    }

    async fn taken_dates(&self, statement: Statement) -> Result<Vec<(DagId, Time)>, Failed> {
        let rows = self.read.query_all_raw(statement).await?;
        rows.iter().map(taken_date).collect()
    }

    /// By key, in portions: no planner can mistake this for a reason to read the whole table.
    async fn tasks_of(&self, runs: &[RunRow]) -> Result<Vec<TaskRow>, Failed> {
        let mut tasks = Vec::new();
        for portion in runs.chunks(RUNS_PER_QUERY) {
            let query = task_instance::Entity::find()
                .filter(task_instance::Column::Run.is_in(portion.iter().map(|run| run.key.0)))
                .order_by_asc(task_instance::Column::Run)
                .order_by_asc(task_instance::Column::TaskId)
                .order_by_asc(task_instance::Column::MapIndex);
            tasks.append(&mut rows(query.all(&self.read).await?)?);
        }
        Ok(tasks)
    }

    async fn decisions_of(&self, runs: &[RunRow]) -> Result<Vec<XComRow>, Failed> {
        let mut decisions = Vec::new();
        for portion in runs.chunks(RUNS_PER_QUERY) {
            let query = xcom::Entity::find()
                .filter(xcom::Column::Run.is_in(portion.iter().map(|run| run.key.0)))
                .filter(xcom::Column::Key.eq(SKIP_KEY))
                .order_by_asc(xcom::Column::Run);
            decisions.append(&mut rows(query.all(&self.read).await?)?);
        }
        Ok(decisions)
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
