//! How a database comes to its present shape, one file per step.
//!
//! A step that was released is never edited: a database that took it would
//! stay as it was. A change is a further file, named by its date. It makes tables,
//! columns and indexes by way of `change`, so that they fit every database.

use sea_orm_migration::prelude::*;

mod change;
mod m20261121_000001_create_tables;
mod m20261121_000002_create_variable_and_connection;
mod m20261121_000003_count_clears;
mod m20261121_000004_create_assets;
mod m20261121_000005_remember_waiting;
mod m20261121_000007_keep_journals;
mod m20261121_000010_create_backfill;
mod m20261121_000010_create_notification_and_deadline;
mod m20261121_000010_remember_xcom_lengths;
mod m20261121_000011_describe_workers;
mod m20261121_000012_create_account_and_audit_log;
mod m20261121_000012_find_runs_by_date;

/// All steps, in order. SeaORM keeps the applied ones in `seaql_migrations`.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_create_tables::Migration),
            Box::new(m20261121_000002_create_variable_and_connection::Migration),
            Box::new(m20261121_000003_count_clears::Migration),
            Box::new(m20261121_000004_create_assets::Migration),
            Box::new(m20261121_000005_remember_waiting::Migration),
            Box::new(m20261121_000007_keep_journals::Migration),
            Box::new(m20261121_000010_create_backfill::Migration),
            Box::new(m20261121_000010_create_notification_and_deadline::Migration),
            Box::new(m20261121_000010_remember_xcom_lengths::Migration),
            Box::new(m20261121_000011_describe_workers::Migration),
            Box::new(m20261121_000012_create_account_and_audit_log::Migration),
            Box::new(m20261121_000012_find_runs_by_date::Migration),
        ]
    }
}
