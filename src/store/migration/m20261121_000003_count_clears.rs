//! Runs count how often they were brought back after they had finished.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::integer;

use super::change::add_column;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut clears = integer("clear_number");
        add_column(manager, "dag_run", clears.default(0).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("dag_run").drop_column("clear_number").to_owned()).await
    }
}
