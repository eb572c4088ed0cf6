//! Task instances remember since when and for what they wait without a slot.

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
        let waiting = text_null("waiting");
        add_column(manager, "task_instance", waiting).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("task_instance").drop_column("waiting").to_owned()).await
    }
}
