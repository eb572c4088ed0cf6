//! The lists that people page through, with everything they may be filtered and ordered by.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, Statement, Value};

use crate::domain::asset::AssetEvent;
use crate::domain::ids::{DagId, PoolName, RunKey, VersionNumber};
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;
use crate::store::audit::AuditEntry;
use crate::store::convert::Reading;
use crate::store::entity::{
    asset, asset_event, audit_log, backfill, dag, dag_run, dag_version, import_error, pool, task_instance, xcom,
};
use crate::store::error::StoreError;
use crate::store::mysql::placeholders;
use crate::store::open::Store;
use crate::store::write::{BackfillRow, DagRow, PoolRow, RunRow, TaskRow, XComRow};

use super::ImportError;
use super::listing::{Field, Listing, Page, Source};
use crate::domain::asset::Asset;

/// Names a field that the table below holds.
macro_rules! fields {
    ($(#[$doc:meta])* $module:ident: $($name:ident = $field:expr;)*) => {
        $(#[$doc])*
        pub mod $module {
            use super::Field;
            $(pub const $name: &Field = &$field;)*
            /// In the order in which they are shown.
            pub const ALL: &[&Field] = &[$($name),*];
        }
    };
}

fields! {
    /// Of DAGs.
    dag_fields:
    DAG_ID = Field::text("dag_id", "d.dag_id");
    IS_PAUSED = Field::flag("is_paused", "d.is_paused");
    IS_STALE = Field::flag("is_stale", "d.is_stale");
    FILE = Field::text("relative_fileloc", "d.file");
    NEXT_DAGRUN = Field::time("next_dagrun", "d.next_logical_date");
    NEXT_RUN_AFTER = Field::time("next_dagrun_run_after", "d.next_run_after");
    LAST_PARSED = Field::time("last_parsed_time", "d.parsed_at");
    LAST_RUN_STATE = Field::text("last_run_state",
        "(SELECT n.state FROM dag_run n WHERE n.dag_id = d.dag_id ORDER BY n.run_after DESC, n.id DESC LIMIT 1)");
    LAST_RUN_START = Field::time("last_run_start_date",
        "(SELECT n.started_at FROM dag_run n WHERE n.dag_id = d.dag_id ORDER BY n.run_after DESC, n.id DESC LIMIT 1)");
    FILE_WITH_ERROR = Field::text("file_with_error",
        "(SELECT MIN(e.file) FROM import_error e WHERE e.file = d.file AND e.severity = 'error')");
}

fields! {
    /// Of runs.
    run_fields:
    DAG_ID = Field::text("dag_id", "r.dag_id");
    RUN_ID = Field::text("run_id", "r.run_id");
    DAG_RUN_ID = Field::text("dag_run_id", "r.run_id");
    STATE = Field::text("state", "r.state");
    RUN_TYPE = Field::text("run_type", "r.run_type");
    LOGICAL_DATE = Field::time("logical_date", "r.logical_date");
    RUN_AFTER = Field::time("run_after", "r.run_after");
    QUEUED_AT = Field::time("queued_at", "r.queued_at");
    START_DATE = Field::time("start_date", "r.started_at");
    END_DATE = Field::time("end_date", "r.ended_at");
    DURATION = Field::duration("duration", "(r.ended_at - r.started_at)");
    INTERVAL_START = Field::time("data_interval_start", "r.interval_start");
    INTERVAL_END = Field::time("data_interval_end", "r.interval_end");
    USER = Field::text("triggering_user_name", "r.user");
    DAG_VERSION = Field::integer("dag_version", "r.version");
    CONF = Field::text("conf", "r.conf");
    ID = Field::integer("id", "r.id");
}

fields! {
    /// Of task instances.
    task_fields:
    TASK_ID = Field::text("task_id", "t.task_id");
    MAP_INDEX = Field::integer("map_index", "t.map_index");
    STATE = Field::text("state", "t.state");
    POOL = Field::text("pool", "t.pool");
    QUEUE = Field::text("queue", "t.queue");
    OPERATOR = Field::text("operator", "t.operator");
    TRY_NUMBER = Field::integer("try_number", "t.try_number");
    PRIORITY_WEIGHT = Field::integer("priority_weight", "t.priority_weight");
    START_DATE = Field::time("start_date", "t.started_at");
    END_DATE = Field::time("end_date", "t.ended_at");
    QUEUED_WHEN = Field::time("queued_when", "t.queued_at");
    SCHEDULED_WHEN = Field::time("scheduled_when", "t.scheduled_at");
    DURATION = Field::duration("duration", "(t.ended_at - t.started_at)");
    RUN = Field::integer("run", "t.run");
    DAG_ID = Field::text("dag_id", "r.dag_id");
    RUN_ID = Field::text("run_id", "r.run_id");
    DAG_RUN_ID = Field::text("dag_run_id", "r.run_id");
    LOGICAL_DATE = Field::time("logical_date", "r.logical_date");
    RUN_AFTER = Field::time("run_after", "r.run_after");
    VERSION_NUMBER = Field::integer("version_number", "r.version");
}

/// Whether the run of a task instance is under way, or something of it still is: a few, found by index, while the states
/// of all task instances are not indexed, because every change of a state would pay for that.
pub const RUN_IS_OPEN: &Field = &Field::flag(
    "run_is_open",
    "t.run IN (SELECT o.id FROM dag_run o WHERE o.state IN ('queued', 'running') \
     UNION SELECT a.run FROM attempt a WHERE a.state <> 'done')",
);

fields! {
    /// Of values that tasks left.
    xcom_fields:
    RUN = Field::integer("run", "x.run");
    TASK_ID = Field::text("task_id", "x.task_id");
    MAP_INDEX = Field::integer("map_index", "x.map_index");
    KEY = Field::text("key", "x.key");
    TIMESTAMP = Field::time("timestamp", "x.at");
    DAG_ID = Field::text("dag_id", "r.dag_id");
    RUN_ID = Field::text("run_id", "r.run_id");
    LOGICAL_DATE = Field::time("logical_date", "r.logical_date");
    RUN_AFTER = Field::time("run_after", "r.run_after");
}

fields! {
    /// Of pools.
    pool_fields:
    NAME = Field::text("name", "p.name");
    ID = Field::text("id", "p.name");
    SLOTS = Field::integer("slots", "p.slots");
}

fields! {
    /// Of problems of DAG files.
    import_error_fields:
    ID = Field::integer("id", "e.id");
    IMPORT_ERROR_ID = Field::integer("import_error_id", "e.id");
    FILENAME = Field::text("filename", "e.file");
    TIMESTAMP = Field::time("timestamp", "e.at");
    SEVERITY = Field::text("severity", "e.severity");
}

fields! {
    /// Of assets.
    asset_fields:
    NAME = Field::text("name", "a.name");
    ID = Field::text("id", "a.name");
    URI = Field::text("uri", "a.uri");
    GROUP = Field::text("group", "a.asset_group");
}

fields! {
    /// Of asset events.
    asset_event_fields:
    ID = Field::integer("id", "v.id");
    ASSET = Field::text("asset", "v.asset");
    TIMESTAMP = Field::time("timestamp", "v.at");
    SOURCE_DAG = Field::text("source_dag_id", "v.source_dag");
    SOURCE_TASK = Field::text("source_task_id", "v.source_task");
    SOURCE_RUN = Field::text("source_run_id", "v.source_run");
    SOURCE_MAP_INDEX = Field::integer("source_map_index", "v.source_map_index");
}

fields! {
    /// Of backfills.
    backfill_fields:
    ID = Field::integer("id", "b.id");
    DAG_ID = Field::text("dag_id", "b.dag_id");
    FROM_DATE = Field::time("from_date", "b.from_date");
    TO_DATE = Field::time("to_date", "b.to_date");
    CREATED_AT = Field::time("created_at", "b.created_at");
    UPDATED_AT = Field::time("updated_at", "b.updated_at");
    COMPLETED_AT = Field::time("completed_at", "b.completed_at");
}

fields! {
    /// Of what users did.
    event_log_fields:
    ID = Field::integer("id", "l.id");
    EVENT_LOG_ID = Field::integer("event_log_id", "l.id");
    WHEN = Field::time("when", "l.at");
    DTTM = Field::time("dttm", "l.at");
    DAG_ID = Field::text("dag_id", "l.dag_id");
    TASK_ID = Field::text("task_id", "l.task_id");
    RUN_ID = Field::text("run_id", "l.run_id");
    MAP_INDEX = Field::integer("map_index", "l.map_index");
    OWNER = Field::text("owner", "l.username");
    EVENT = Field::text("event", "l.event");
}

fields! {
    /// Of versions of a DAG.
    version_fields:
    DAG_ID = Field::text("dag_id", "n.dag_id");
    VERSION = Field::integer("version_number", "n.version");
    ID = Field::integer("id", "n.version");
    CREATED_AT = Field::time("created_at", "n.created_at");
}

/// A version of a DAG without its definition and the text of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionStub {
    pub dag_id: DagId,
    pub version: VersionNumber,
    pub created_at: Time,
}

/// How many slots of a pool task instances in one state hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolUse {
    pub pool: PoolName,
    pub state: TaskState,
    pub slots: u64,
}

const fn source(table: &'static str, columns: &'static str, key: &'static [&'static str]) -> Source {
    Source { table, columns, join: None, key, newest_first: false }
}

impl Store {
    pub async fn list_dags(&self, listing: &Listing) -> Result<Page<DagRow>, StoreError> {
        self.page::<dag::Entity, _>(&source("dag d", "d.*", &["d.dag_id"]), listing).await
    }

    pub async fn list_runs(&self, listing: &Listing) -> Result<Page<RunRow>, StoreError> {
        self.page::<dag_run::Entity, _>(&source("dag_run r", "r.*", &["r.id"]), listing).await
    }

    pub async fn list_tasks(&self, listing: &Listing) -> Result<Page<TaskRow>, StoreError> {
        const KEY: &[&str] = &["t.run", "t.task_id", "t.map_index"];
        let source =
            Source { join: Some(("JOIN dag_run r ON r.id = t.run", "r.")), ..source("task_instance t", "t.*", KEY) };
        self.page::<task_instance::Entity, _>(&source, listing).await
    }

    pub async fn list_xcoms(&self, listing: &Listing) -> Result<Page<XComRow>, StoreError> {
        const KEY: &[&str] = &["x.run", "x.task_id", "x.map_index", "x.key"];
        let source = Source { join: Some(("JOIN dag_run r ON r.id = x.run", "r.")), ..source("xcom x", "x.*", KEY) };
        self.page::<xcom::Entity, _>(&source, listing).await
    }

    pub async fn list_pools(&self, listing: &Listing) -> Result<Page<PoolRow>, StoreError> {
        self.page::<pool::Entity, _>(&source("pool p", "p.*", &["p.name"]), listing).await
    }

    pub async fn list_import_errors(&self, listing: &Listing) -> Result<Page<NumberedError>, StoreError> {
        self.page::<import_error::Entity, _>(&source("import_error e", "e.*", &["e.id"]), listing).await
    }

    pub async fn list_assets(&self, listing: &Listing) -> Result<Page<Asset>, StoreError> {
        self.page::<asset::Entity, _>(&source("asset a", "a.*", &["a.name"]), listing).await
    }

    pub async fn list_asset_events(&self, listing: &Listing) -> Result<Page<AssetEvent>, StoreError> {
        self.page::<asset_event::Entity, _>(&source("asset_event v", "v.*", &["v.id"]), listing).await
    }

    pub async fn list_backfills(&self, listing: &Listing) -> Result<Page<BackfillRow>, StoreError> {
        self.page::<backfill::Entity, _>(&source("backfill b", "b.*", &["b.id"]), listing).await
    }

    pub async fn list_event_logs(&self, listing: &Listing) -> Result<Page<AuditEntry>, StoreError> {
        self.page::<audit_log::Entity, _>(&source("audit_log l", "l.*", &["l.id"]), listing).await
    }

    /// Without definitions and texts, which may be long.
    pub async fn list_versions(&self, listing: &Listing) -> Result<Page<VersionStub>, StoreError> {
        const COLUMNS: &str = "n.dag_id, n.version, n.created_at, '' AS hash, '' AS definition, '' AS source";
        self.page::<dag_version::Entity, _>(&source("dag_version n", COLUMNS, &["n.version"]), listing).await
    }

    /// These runs, by key.
    pub async fn runs_by_key(&self, keys: &[RunKey]) -> Result<HashMap<RunKey, RunRow>, StoreError> {
        let mut keys: Vec<i64> = keys.iter().map(|key| key.0).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut runs = HashMap::new();
        for portion in keys.chunks(PORTION) {
            let query = dag_run::Entity::find().filter(dag_run::Column::Id.is_in(portion.iter().copied()));
            let rows: Vec<RunRow> = self.read_all(query.all(&self.read).await)?;
            runs.extend(rows.into_iter().map(|row| (row.key, row)));
        }
        Ok(runs)
    }

    /// When these versions were made.
    pub async fn version_stubs(
        &self,
        dags: &[DagId],
    ) -> Result<HashMap<(DagId, VersionNumber), VersionStub>, StoreError> {
        let mut names: Vec<&str> = dags.iter().map(DagId::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let mut stubs = HashMap::new();
        for portion in names.chunks(PORTION) {
            let query = dag_version::Entity::find()
                .select_only()
                .columns([dag_version::Column::DagId, dag_version::Column::Version, dag_version::Column::CreatedAt])
                .filter(dag_version::Column::DagId.is_in(portion.iter().copied()))
                .into_tuple::<(String, i32, i64)>();
            for (dag_id, version, created_at) in
                query.all(&self.read).await.map_err(|error| self.location.explain(&error))?
            {
                let stub = stub(&dag_id, version, created_at).map_err(|row| self.location.unreadable(row))?;
                stubs.insert((stub.dag_id.clone(), stub.version), stub);
            }
        }
        Ok(stubs)
    }

    /// How many runs each of these DAGs has in each state; of none, of all.
    pub async fn run_states(&self, dags: &[String]) -> Result<Vec<(String, RunState, u64)>, StoreError> {
        let backend = self.read.get_database_backend();
        let places: Vec<String> = (1..=dags.len()).map(|n| format!("${n}")).collect();
        let only = if dags.is_empty() { String::new() } else { format!("WHERE dag_id IN ({})", places.join(", ")) };
        let sql = format!("SELECT dag_id, state, COUNT(*) FROM dag_run {only} GROUP BY dag_id, state ORDER BY dag_id");
        let values: Vec<Value> = dags.iter().map(|dag| dag.as_str().into()).collect();
        let statement = Statement::from_sql_and_values(backend, placeholders(backend, sql), values);
        let read = async {
            let rows = self.read.query_all_raw(statement).await?;
            let triple = |row: sea_orm::QueryResult| {
                Ok((row.try_get_by_index(0)?, row.try_get_by_index::<String>(1)?, row.try_get_by_index::<i64>(2)?))
            };
            rows.into_iter().map(triple).collect::<Result<Vec<(String, String, i64)>, DbErr>>()
        };
        let rows = read.await.map_err(|error| self.location.explain(&error))?;
        let known = |(dag, word, count): (String, String, i64)| {
            let state = Reading::new("dag_run", &word).word(&word)?;
            Ok((dag, state, count.unsigned_abs()))
        };
        rows.into_iter().map(known).collect::<Result<_, _>>().map_err(|row| self.location.unreadable(row))
    }

    /// What holds the slots of the pools. Only runs under way are looked at, however long the history is.
    pub async fn pool_use(&self) -> Result<Vec<PoolUse>, StoreError> {
        const USE: &str = "SELECT t.pool, t.state, t.pool_slots, COUNT(*) FROM dag_run r \
             JOIN task_instance t ON t.run = r.id WHERE r.state IN ('queued', 'running') \
             AND t.state IN ('scheduled', 'queued', 'running', 'restarting', 'deferred') \
             GROUP BY t.pool, t.state, t.pool_slots";
        type Row = (String, String, i64, i64);
        let read = async {
            let statement = Statement::from_string(self.read.get_database_backend(), USE);
            let rows = self.read.query_all_raw(statement).await?;
            let row = |row: sea_orm::QueryResult| {
                Ok((
                    row.try_get_by_index(0)?,
                    row.try_get_by_index(1)?,
                    row.try_get_by_index(2)?,
                    row.try_get_by_index(3)?,
                ))
            };
            rows.into_iter().map(row).collect::<Result<Vec<Row>, DbErr>>()
        };
        let rows = read.await.map_err(|error| self.location.explain(&error))?;
        let known = |(pool, state, slots, count): Row| {
            let reading = Reading::new("task_instance", &pool);
            let slots = slots.unsigned_abs().saturating_mul(count.unsigned_abs());
            Ok(PoolUse { pool: reading.word(&pool)?, state: reading.word(&state)?, slots })
        };
        rows.into_iter().map(known).collect::<Result<_, _>>().map_err(|row| self.location.unreadable(row))
    }
}

/// Keys in one query.
const PORTION: usize = 500;

fn stub(dag_id: &str, version: i32, created_at: i64) -> Result<VersionStub, crate::store::convert::Unreadable> {
    let reading = Reading::new("dag_version", &dag_id);
    let created_at = reading.time(created_at)?;
    Ok(VersionStub { dag_id: reading.word(dag_id)?, version: VersionNumber(version), created_at })
}

impl TryFrom<dag_version::Model> for VersionStub {
    type Error = crate::store::convert::Unreadable;

    fn try_from(model: dag_version::Model) -> Result<Self, Self::Error> {
        stub(&model.dag_id, model.version, model.created_at)
    }
}

/// A problem of a DAG file under its number.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberedError {
    pub id: i64,
    pub error: ImportError,
}

impl TryFrom<import_error::Model> for NumberedError {
    type Error = crate::store::convert::Unreadable;

    fn try_from(model: import_error::Model) -> Result<Self, Self::Error> {
        Ok(Self { id: model.id, error: model.try_into()? })
    }
}
