//! Task instances remember what held them, from when to when.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::text_null;

use super::change::add_column;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_column(manager, "task_instance", text_null("journal")).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("task_instance").drop_column("journal").to_owned()).await
    }
}
