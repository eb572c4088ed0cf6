//! Leadership, and the one way to change anything: a guarded commit (PROTOCOL L1).
//!
//! ```text
//!   begin ── guard: is it still my epoch? ── rows, table by table ── commit
//!     │        │ no                            │ fails                 │ fails
//!     ▼        ▼                               ▼                       ▼
//!   Aborted  Conflict                 Aborted or Refused       Aborted or Unknown
//! ```
//!
//! The guard reads the leader row under a lock that a takeover has to wait
//! for, so a commit is either before the takeover, and loaded by the new
//! leader, or refused. Nothing here decides what to write.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, QueryFilter,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

use crate::domain::asset::{Asset, AssetEvent};
use crate::domain::ids::{AssetEventId, AssetName, Epoch, PoolName};

use super::batch::{Batch, Keyed, QueueKey, second_outcome};
use super::convert::attempt::DONE;
use super::convert::{json, micros, plain};
use super::delete::{clean, delete_dag};
use super::entity::{
    asset, asset_event, asset_queue, attempt, backfill, command, dag, dag_run, dag_version, deadline, import_error,
    leader, notification, pool, task_instance, worker, xcom,
};
use super::error::{CommitError, Refused, StoreError, is_refused_null};
use super::mysql;
use super::open::Store;
use super::upsert::{Existing, Statements};
use super::write::{AttemptRow, PoolRow, QueueRow, VersionRow, Write};

/// The one that writes. A node has one; it owns the order of its commits.
pub struct Writer {
    store: Store,
    statements: Statements,
}

/// What became of the wish to follow a leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Succession {
    Leads(Epoch),
    /// Somebody else has followed already.
    Overtaken {
        current: Epoch,
        holder: String,
    },
}

/// How long a takeover waits for the transaction in doubt, in units of `db_txn_timeout`:
/// the database ends that transaction after one of them.
const TAKEOVER_PATIENCE: u32 = 5;

/// Why rows could not be written, inside a transaction.
enum Failed {
    Database(DbErr),
    Refused(Refused),
}

impl From<DbErr> for Failed {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl Store {
    /// The writer. Two writers of one store would only wait for each other.
    pub fn writer(&self) -> Writer {
        Writer { store: self.clone(), statements: Statements::default() }
    }

    /// A transaction that holds the right to write from its first statement on.
    pub(super) async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        self.write
            .begin_with_options(TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            })
            .await
    }

    /// Makes the pool of every task that names none, unless it exists.
    pub async fn ensure_default_pool(&self, slots: i32) -> Result<(), StoreError> {
        let row = PoolRow {
            name: PoolName::default_pool(),
            slots,
            description: "Default pool".to_owned(),
            include_deferred: false,
        };
        let made = async {
            let tx = self.begin().await?;
            Statements::default().upsert::<pool::Entity, _>(&tx, Existing::Keep, [row.into()]).await?;
            tx.commit().await
        };
        made.await.map_err(|error| self.location.explain(&error))
    }
}

impl Writer {
    /// Becomes the leader: a new epoch, which every guard of an older one meets.
    /// Waits for a guarded transaction that is under way. `holder` is for people: host and process.
    pub async fn take_leadership(&mut self, holder: &str) -> Result<Epoch, StoreError> {
        let (current, _) = self.next_epoch(holder, None).await.map_err(|error| self.store.location.explain(&error))?;
        Ok(current)
    }

    /// The same, unless somebody has done so since `after`: of several that want to follow one leader, one does.
    pub async fn succeed(&mut self, holder: &str, after: Epoch) -> Result<Succession, StoreError> {
        let next = self.next_epoch(holder, Some(after)).await;
        let (current, found) = next.map_err(|error| self.store.location.explain(&error))?;
        Ok(match found {
            None => Succession::Leads(current),
            Some(holder) => Succession::Overtaken { current, holder },
        })
    }

    /// The epoch there is afterwards, and who holds it if that was not to be changed.
    async fn next_epoch(&self, holder: &str, after: Option<Epoch>) -> Result<(Epoch, Option<String>), DbErr> {
        let tx = self.store.begin().await?;
        let raised = self.raise_epoch(&tx, holder, after).await;
        let reset = match tx.get_database_backend() {
            // A setting there outlives its transaction.
            DbBackend::MySql => tx.execute_unprepared(&mysql::patience(self.store.txn_timeout)).await.map(drop),
            _ => Ok(()),
        };
        let raised = raised?;
        reset?;
        tx.commit().await?;
        Ok(raised)
    }

    async fn raise_epoch(
        &self,
        tx: &DatabaseTransaction,
        holder: &str,
        after: Option<Epoch>,
    ) -> Result<(Epoch, Option<String>), DbErr> {
        let backend = tx.get_database_backend();
        let patience = self.store.txn_timeout * TAKEOVER_PATIENCE;
        match backend {
            DbBackend::Postgres => {
                for setting in ["lock_timeout", "statement_timeout"] {
                    tx.execute_unprepared(&format!("SET LOCAL {setting} = '{}ms'", patience.as_millis())).await?;
                }
            }
            DbBackend::MySql => {
                tx.execute_unprepared(&mysql::patience(patience)).await?;
            }
            // It waits by its `busy_timeout`.
            _ => {}
        }
        let mut update = leader::Entity::update_many()
            .col_expr(leader::Column::Epoch, Expr::col(leader::Column::Epoch).add(1))
            .col_expr(leader::Column::Holder, Expr::value(holder))
            .col_expr(leader::Column::RenewedAt, Expr::cust(now(backend)))
            .filter(leader::Column::Id.eq(1));
        if let Some(after) = after {
            update = update.filter(leader::Column::Epoch.eq(after.0));
        }
        let updated = update.exec(tx).await?.rows_affected > 0;
        let row = leader::Entity::find_by_id(1).one(tx).await?.ok_or_else(leader_row_missing)?;
        Ok((Epoch(row.epoch), (!updated).then_some(row.holder)))
    }

    /// Says that the leader of `epoch` lives; standbys judge the age by the database's clock.
    pub async fn renew_leadership(&mut self, epoch: Epoch) -> Result<(), CommitError> {
        self.say_renewed(epoch, now).await
    }

    /// Says that the leader of `epoch` leaves, so that nobody waits for its lease to end.
    pub async fn resign_leadership(&mut self, epoch: Epoch) -> Result<(), CommitError> {
        self.say_renewed(epoch, |_| "0").await
    }

    async fn say_renewed(&mut self, epoch: Epoch, at: fn(DbBackend) -> &'static str) -> Result<(), CommitError> {
        let tx = self.guarded(epoch).await?;
        let renewed = leader::Entity::update_many()
            .col_expr(leader::Column::RenewedAt, Expr::cust(at(tx.get_database_backend())))
            .filter(leader::Column::Id.eq(1))
            .exec(&tx)
            .await;
        match renewed {
            Ok(_) => self.finish(tx).await,
            Err(error) => Err(self.abandon(tx, error.into()).await),
        }
    }

    /// Writes all of it or nothing, if `epoch` still leads; without writes it only asks.
    /// After [`CommitError::Unknown`], and after this future was dropped half-way, take a new epoch and load.
    pub async fn commit(&mut self, epoch: Epoch, writes: Vec<Write>) -> Result<(), CommitError> {
        let batch = Batch::collect(writes).map_err(CommitError::Refused)?;
        let tx = self.guarded(epoch).await?;
        match self.write(&tx, batch).await {
            Ok(()) => self.finish(tx).await,
            Err(error) => Err(self.abandon(tx, error).await),
        }
    }

    /// A transaction whose epoch is proven and cannot change before it ends.
    pub(super) async fn guarded(&self, epoch: Epoch) -> Result<DatabaseTransaction, CommitError> {
        let aborted = |error: &DbErr| CommitError::Aborted(self.store.location.explain(error));
        let tx = self.store.begin().await.map_err(|error| aborted(&error))?;
        let backend = tx.get_database_backend();
        let row = tx.query_one_raw(Statement::from_string(backend, guard(backend))).await;
        let (current, holder) = match row.and_then(|row| {
            let row = row.ok_or_else(leader_row_missing)?;
            Ok((Epoch(row.try_get_by_index(0)?), row.try_get_by_index::<String>(1)?))
        }) {
            Ok(leader) => leader,
            Err(error) => return Err(self.abandon(tx, error.into()).await),
        };
        if current == epoch {
            return Ok(tx);
        }
        // Nothing was written, so it does not matter how the transaction ends.
        drop(tx.rollback().await);
        Err(CommitError::Conflict { current, holder })
    }

    async fn finish(&self, tx: DatabaseTransaction) -> Result<(), CommitError> {
        tx.commit().await.map_err(|error| {
            let explained = self.store.location.explain(&error);
            if self.store.location.commit_surely_failed(&error) {
                CommitError::Aborted(explained)
            } else {
                CommitError::Unknown(explained)
            }
        })
    }

    /// Before COMMIT was sent nothing can be written, whatever becomes of the rollback.
    async fn abandon(&self, tx: DatabaseTransaction, failed: Failed) -> CommitError {
        drop(tx.rollback().await);
        match failed {
            Failed::Refused(refused) => CommitError::Refused(refused),
            Failed::Database(error) => match self.store.location.refusal(&error) {
                Some(refused) => CommitError::Refused(refused),
                None => CommitError::Aborted(self.store.location.explain(&error)),
            },
        }
    }

    async fn write(&mut self, tx: &DatabaseTransaction, batch: Batch) -> Result<(), Failed> {
        let Batch { deleted, cleaned, versions, dags, runs, tasks, attempts, cleared, xcoms, problems, .. } = batch;
        let Batch { assets, events, queued, workers, pools, backfills, replies, notifications, deadlines, .. } = batch;
        for dag in deleted.into_rows() {
            delete_dag(tx, &dag).await?;
        }
        for rows in cleaned {
            clean(tx, &rows).await?;
        }
        self.write_versions(tx, versions.into_rows().collect()).await?;
        let sql = &mut self.statements;
        let (kept, gone): (Vec<_>, Vec<_>) = pools.into_rows().partition(Result::is_ok);
        sql.upsert::<pool::Entity, _>(tx, Existing::Replace, kept.into_iter().flatten().map(Into::into)).await?;
        for name in gone.into_iter().filter_map(Result::err) {
            pool::Entity::delete_by_id(name.as_str()).exec(tx).await?;
        }
        sql.upsert::<worker::Entity, _>(tx, Existing::Replace, workers.into_rows().map(Into::into)).await?;
        sql.upsert::<dag::Entity, _>(tx, Existing::Replace, dags.into_rows().map(Into::into)).await?;
        sql.upsert::<dag_run::Entity, _>(tx, Existing::Replace, runs.into_rows().map(Into::into)).await?;
        sql.upsert::<backfill::Entity, _>(tx, Existing::Replace, backfills.into_rows().map(Into::into)).await?;
        let (tasks, dropped): (Vec<_>, Vec<_>) = tasks.into_rows().partition(Result::is_ok);
        sql.upsert::<task_instance::Entity, _>(tx, Existing::Replace, tasks.into_iter().flatten().map(Into::into))
            .await?;
        for (run, task, map_index) in dropped.into_iter().filter_map(Result::err) {
            let key = (run.0, task.as_str().to_owned(), map_index.0);
            task_instance::Entity::delete_by_id(key).exec(tx).await?;
        }
        sql.upsert::<deadline::Entity, _>(tx, Existing::Replace, deadlines.into_rows().map(Into::into)).await?;
        let owed = notifications.into_rows().map(Into::into);
        sql.upsert::<notification::Entity, _>(tx, Existing::Replace, owed).await?;
        self.write_attempts(tx, attempts.into_rows().collect()).await?;
        for (run, task, map_index) in cleared.into_rows() {
            xcom::Entity::delete_many()
                .filter(xcom::Column::Run.eq(run.0))
                .filter(xcom::Column::TaskId.eq(task.as_str()))
                .filter(xcom::Column::MapIndex.eq(map_index.0))
                .exec(tx)
                .await?;
        }
        self.statements.upsert::<xcom::Entity, _>(tx, Existing::Replace, xcoms.into_rows().map(Into::into)).await?;
        self.write_assets(tx, assets, events, queued).await?;
        for (file, problems, at) in problems.into_rows() {
            import_error::Entity::delete_many().filter(import_error::Column::File.eq(&file)).exec(tx).await?;
            let rows: Vec<_> = problems.into_iter().map(|problem| plain::import_error(&file, problem, at)).collect();
            if !rows.is_empty() {
                import_error::Entity::insert_many(rows).exec_without_returning(tx).await?;
            }
        }
        for (id, reply, at) in replies.into_rows() {
            // The first answer stands: somebody may have read it.
            command::Entity::update_many()
                .col_expr(command::Column::Reply, Expr::value(json(&reply)))
                .col_expr(command::Column::DoneAt, Expr::value(micros(at)))
                .filter(command::Column::Id.eq(id.0))
                .filter(command::Column::DoneAt.is_null())
                .exec(tx)
                .await?;
        }
        Ok(())
    }

    async fn write_assets(
        &mut self,
        tx: &DatabaseTransaction,
        assets: Keyed<AssetName, Asset>,
        events: Keyed<AssetEventId, AssetEvent>,
        queued: Keyed<QueueKey, Result<QueueRow, QueueKey>>,
    ) -> Result<(), Failed> {
        let sql = &mut self.statements;
        sql.upsert::<asset::Entity, _>(tx, Existing::Replace, assets.into_rows().map(Into::into)).await?;
        sql.upsert::<asset_event::Entity, _>(tx, Existing::Replace, events.into_rows().map(Into::into)).await?;
        let (waiting, gone): (Vec<_>, Vec<_>) = queued.into_rows().partition(Result::is_ok);
        let rows = waiting.into_iter().flatten().map(Into::into);
        sql.upsert::<asset_queue::Entity, _>(tx, Existing::Replace, rows).await?;
        for (dag, event) in gone.into_iter().filter_map(Result::err) {
            asset_queue::Entity::delete_by_id((dag.as_str().to_owned(), event.0)).exec(tx).await?;
        }
        Ok(())
    }

    async fn write_versions(&mut self, tx: &DatabaseTransaction, rows: Vec<VersionRow>) -> Result<(), Failed> {
        let models: Vec<dag_version::Model> = rows.iter().cloned().map(Into::into).collect();
        let written = self.statements.upsert::<dag_version::Entity, _>(tx, Existing::Keep, models).await?;
        if written == rows.len() as u64 {
            return Ok(());
        }
        for row in rows {
            let key = (row.dag_id.as_str().to_owned(), row.version.0);
            let stored = dag_version::Entity::find_by_id(key).one(tx).await?;
            if stored.is_none_or(|stored| stored.hash != row.hash) {
                return Err(Refused::VersionChanged { dag: row.dag_id, version: row.version }.into());
            }
        }
        Ok(())
    }

    /// The upsert leaves done attempts as they are, so a smaller count (or its refusal) is the sign of a second outcome.
    async fn write_attempts(&mut self, tx: &DatabaseTransaction, rows: Vec<AttemptRow>) -> Result<(), Failed> {
        let unless_done = Existing::ReplaceUnless(attempt::Column::State, DONE);
        let models: Vec<attempt::Model> = rows.iter().cloned().map(Into::into).collect();
        let written = self.statements.upsert::<attempt::Entity, _>(tx, unless_done, models).await;
        match &written {
            Ok(written) if *written == rows.len() as u64 => return Ok(()),
            Err(error) if !is_refused_null(error) => {}
            Ok(_) | Err(_) => self.find_second_outcome(tx, rows).await?,
        }
        Ok(written.map(drop)?)
    }

    /// An error when one of these rows would change what has ended.
    async fn find_second_outcome(&self, tx: &DatabaseTransaction, rows: Vec<AttemptRow>) -> Result<(), Failed> {
        for row in rows {
            let stored = attempt::Entity::find_by_id(row.id.0).one(tx).await?;
            let Some(stored) = stored.filter(|stored| *stored != attempt::Model::from(row.clone())) else { continue };
            return Err(match AttemptRow::try_from(stored) {
                Ok(stored) => second_outcome(&stored.state, &row).into(),
                Err(unreadable) => Refused::Row(unreadable.to_string()).into(),
            });
        }
        Ok(())
    }
}

/// The guard of L1. `BEGIN IMMEDIATE` holds SQLite's write lock already.
fn guard(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "SELECT epoch, holder FROM leader WHERE id = 1 FOR SHARE",
        // MariaDB knows the older words alone, MySQL both.
        DbBackend::MySql => "SELECT epoch, holder FROM leader WHERE id = 1 LOCK IN SHARE MODE",
        _ => "SELECT epoch, holder FROM leader WHERE id = 1",
    }
}

/// The database's clock in microseconds: the only one that judges the leader's age.
pub(super) fn now(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
        // The session's time zone is UTC (see `mysql`); unlike NOW, SYSDATE moves on while a statement waits.
        DbBackend::MySql => "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', SYSDATE(6))",
        _ => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
    }
}

fn leader_row_missing() -> DbErr {
    DbErr::RecordNotFound("table `leader` has lost its one row; restore a backup".to_owned())
}
