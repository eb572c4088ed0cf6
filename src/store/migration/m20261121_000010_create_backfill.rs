//! Backfills, and the place that a run has in one.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, boolean, string_len, text, text_null};

use super::change::{NewIndex, add_column, create_table};

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
        let backfill = Table::create()
            .table("backfill")
            .col(big_integer("id").primary_key())
            .col(string_len("dag_id", ID))
            .col(big_integer("from_date"))
            .col(big_integer("to_date"))
            .col(boolean("run_backwards"))
            .col(string_len("reprocess_behavior", 32))
            .col(big_integer("max_active_runs"))
            .col(text("dag_run_conf"))
            .col(text("schedule"))
            .col(text("timezone"))
            .col(big_integer("dates"))
            .col(big_integer("dealt"))
            .col(big_integer("skipped"))
            .col(boolean("is_paused"))
            .col(boolean("is_cancelled"))
            .col(text_null("user"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .col(big_integer_null("completed_at"))
            .to_owned();
        create_table(manager, backfill).await?;
        for column in ["backfill", "backfill_ordinal"] {
            add_column(manager, "dag_run", big_integer_null(column)).await?;
        }
        let is_set = Expr::col("backfill").is_not_null();
        let columns: &[&str] = &["backfill"];
        NewIndex::new("dag_run_of_backfill", "dag_run", columns).only(is_set, columns).create(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("dag_run_of_backfill").table("dag_run").to_owned()).await?;
        for column in ["backfill", "backfill_ordinal"] {
            manager.alter_table(Table::alter().table("dag_run").drop_column(column).to_owned()).await?;
        }
        manager.drop_table(Table::drop().table("backfill").if_exists().to_owned()).await
    }
}
