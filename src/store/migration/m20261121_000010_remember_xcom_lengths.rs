//! Task instances remember how long the values are that they left: others may be expanded over them.

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
        let lengths = text_null("xcom_lengths");
        add_column(manager, "task_instance", lengths).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("task_instance").drop_column("xcom_lengths").to_owned()).await
    }
}
