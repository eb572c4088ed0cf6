//! What users keep for their tasks: variables and connections.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{integer_null, string_len, text, text_null};

use super::change::create_table;

/// What `domain::ids` allows, in characters.
const ID: u32 = 250;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, also on SQLite, where SeaORM would not ask for it by itself.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let variable = Table::create()
            .table("variable")
            .col(string_len("key", ID).primary_key())
            .col(text("value"))
            .col(text_null("description"))
            .to_owned();
        let connection = Table::create()
            .table("connection")
            .col(string_len("conn_id", ID).primary_key())
            .col(text("conn_type"))
            .col(text_null("description"))
            .col(text_null("host"))
            .col(text_null("login"))
            .col(text_null("password"))
            .col(text_null("schema"))
            .col(integer_null("port"))
            .col(text_null("extra"))
            .to_owned();
        create_table(manager, variable).await?;
        create_table(manager, connection).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["connection", "variable"] {
            manager.drop_table(Table::drop().table(name).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}
