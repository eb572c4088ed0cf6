//! A worker's row says how its life stands, where it is and what it takes, instead of only whether it is online.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, boolean, integer, string_len, text_null};

use super::change::{add_column, drop_column};

#[derive(DeriveMigrationName)]
pub struct Migration;

const ADDED: [&str; 6] = ["state", "host", "slots", "queues", "version", "understands"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Columns of text without a length can have no default on every database.
        let columns = [
            string_len("state", 16).default("offline").to_owned(),
            text_null("host"),
            big_integer("slots").default(0).to_owned(),
            text_null("queues"),
            text_null("version"),
            integer("understands").default(0).to_owned(),
        ];
        for column in columns {
            add_column(manager, "worker", column).await?;
        }
        drop_column(manager, "worker", "online").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ADDED {
            manager.alter_table(Table::alter().table("worker").drop_column(column).to_owned()).await?;
        }
        let mut online = boolean("online");
        manager.alter_table(Table::alter().table("worker").add_column(online.default(false)).to_owned()).await
    }
}
