//! Notifications that are owed or were, and the deadlines of runs.
//!
//! Both have a partial index of what is pending, which stays small however long the history grows.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, integer, string_len, string_len_null, text, text_null, uuid,
};

use super::change::{NewIndex, create_table};

/// What `domain::ids` allows, in characters.
const ID: u32 = 250;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let notification = Table::create()
            .table("notification")
            .col(uuid("id").primary_key())
            .col(big_integer("run"))
            .col(string_len("dag_id", ID))
            .col(string_len("run_id", ID))
            .col(string_len_null("task_id", ID))
            .col(integer("map_index"))
            .col(integer("try_number"))
            .col(string_len("occasion", 32))
            .col(big_integer("number"))
            .col(text("message"))
            .col(string_len("state", 32))
            .col(big_integer("failed_tries"))
            .col(big_integer_null("next_try_at"))
            .col(big_integer("created_at"))
            .col(big_integer_null("ended_at"))
            .col(text_null("error"))
            .to_owned();
        let deadline = Table::create()
            .table("deadline")
            .col(big_integer("run"))
            .col(big_integer("number"))
            .col(text_null("name"))
            .col(big_integer("due_at"))
            .col(string_len("state", 32))
            .col(big_integer_null("settled_at"))
            .primary_key(Index::create().col("run").col("number"))
            .to_owned();
        create_table(manager, notification).await?;
        create_table(manager, deadline).await?;
        let pending = || Expr::col("state").eq("pending");
        let indexes = [
            NewIndex::new("notification_pending", "notification", &["id"]).only(pending(), &["state", "id"]),
            NewIndex::new("notification_of_run", "notification", &["run"]),
            NewIndex::new("deadline_pending", "deadline", &["run"]).only(pending(), &["state", "run"]),
        ];
        for index in indexes {
            index.create(manager).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["deadline", "notification"] {
            manager.drop_table(Table::drop().table(name).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}
