//! How a database comes to its present shape, one file per step.
//!
//! A step that was released is never edited: a database that took it would
//! stay as it was. A change is a further file, named by its date.

use sea_orm_migration::prelude::*;

mod m20261121_000001_create_tables;
mod m20261121_000002_create_variable_and_connection;
mod m20261121_000003_count_clears;

/// All steps, in order. SeaORM keeps the applied ones in `seaql_migrations`.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_create_tables::Migration),
            Box::new(m20261121_000002_create_variable_and_connection::Migration),
            Box::new(m20261121_000003_count_clears::Migration),
        ]
    }
}
