//! Removing what is remembered of one DAG, or what has long ended, inside a guarded commit.
//!
//! Nothing here asks whether it may: the scheduler did.

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter};

use crate::domain::ids::DagId;
use crate::domain::notification::NotificationState;
use crate::protocol::control::HistoryTable;

use super::convert::micros;
use super::entity::{
    asset_queue, attempt, backfill, command, dag, dag_run, dag_version, deadline, notification, task_instance, xcom,
};
use super::write::CleanedRows;

/// Fewer than any database takes in one statement.
const KEYS_PER_STATEMENT: usize = 500;

/// The DAG with its versions, runs and backfills, and everything that hangs on these runs.
pub(super) async fn delete_dag(tx: &DatabaseTransaction, id: &DagId) -> Result<(), DbErr> {
    let id = id.as_str();
    attempt::Entity::delete_many().filter(attempt::Column::Run.in_subquery(runs_of(id))).exec(tx).await?;
    xcom::Entity::delete_many().filter(xcom::Column::Run.in_subquery(runs_of(id))).exec(tx).await?;
    task_instance::Entity::delete_many().filter(task_instance::Column::Run.in_subquery(runs_of(id))).exec(tx).await?;
    // A later run may get the number of one that is gone, and must find nothing of it.
    notification::Entity::delete_many().filter(notification::Column::Run.in_subquery(runs_of(id))).exec(tx).await?;
    deadline::Entity::delete_many().filter(deadline::Column::Run.in_subquery(runs_of(id))).exec(tx).await?;
    asset_queue::Entity::delete_many().filter(asset_queue::Column::DagId.eq(id)).exec(tx).await?;
    dag_run::Entity::delete_many().filter(dag_run::Column::DagId.eq(id)).exec(tx).await?;
    backfill::Entity::delete_many().filter(backfill::Column::DagId.eq(id)).exec(tx).await?;
    dag_version::Entity::delete_many().filter(dag_version::Column::DagId.eq(id)).exec(tx).await?;
    dag::Entity::delete_many().filter(dag::Column::DagId.eq(id)).exec(tx).await?;
    Ok(())
}

/// What hangs on these runs, as far as its tables are meant, and what ended before and belongs to no run.
pub(super) async fn clean(tx: &DatabaseTransaction, rows: &CleanedRows) -> Result<(), DbErr> {
    let keys: Vec<i64> = rows.runs.iter().map(|key| key.0).collect();
    let whole = rows.tables.contains(&HistoryTable::DagRun);
    let goes = |table| whole || rows.tables.contains(&table);
    for keys in keys.chunks(KEYS_PER_STATEMENT) {
        let keys = || keys.iter().copied();
        if goes(HistoryTable::TaskInstanceHistory) {
            attempt::Entity::delete_many().filter(attempt::Column::Run.is_in(keys())).exec(tx).await?;
        }
        if goes(HistoryTable::Xcom) {
            xcom::Entity::delete_many().filter(xcom::Column::Run.is_in(keys())).exec(tx).await?;
        }
        if goes(HistoryTable::TaskInstance) {
            task_instance::Entity::delete_many().filter(task_instance::Column::Run.is_in(keys())).exec(tx).await?;
        }
        if whole {
            notification::Entity::delete_many().filter(notification::Column::Run.is_in(keys())).exec(tx).await?;
            deadline::Entity::delete_many().filter(deadline::Column::Run.is_in(keys())).exec(tx).await?;
            asset_queue::Entity::delete_many().filter(asset_queue::Column::Run.is_in(keys())).exec(tx).await?;
            dag_run::Entity::delete_many().filter(dag_run::Column::Id.is_in(keys())).exec(tx).await?;
        }
    }
    let before = micros(rows.before);
    if rows.tables.contains(&HistoryTable::Backfill) {
        backfill::Entity::delete_many().filter(backfill::Column::CompletedAt.lt(before)).exec(tx).await?;
    }
    if rows.tables.contains(&HistoryTable::Notification) {
        let over = notification::Column::State.ne(NotificationState::Pending.as_str());
        notification::Entity::delete_many().filter(over.and(notification::Column::EndedAt.lt(before))).exec(tx).await?;
    }
    if rows.tables.contains(&HistoryTable::Command) {
        command::Entity::delete_many().filter(command::Column::DoneAt.lt(before)).exec(tx).await?;
    }
    Ok(())
}

fn runs_of(dag: &str) -> SelectStatement {
    let mut runs = Query::select();
    runs.column(dag_run::Column::Id).from(dag_run::Entity).and_where(Expr::col(dag_run::Column::DagId).eq(dag));
    runs
}
