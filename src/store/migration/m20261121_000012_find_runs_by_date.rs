//! The list of all runs is read from its newest end, and what failed lately is found without the rest.

use sea_orm_migration::prelude::*;

use super::change::NewIndex;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        NewIndex::new("dag_run_by_date", "dag_run", &["run_after", "id"]).create(manager).await?;
        let failed = Expr::col("state").eq("failed");
        NewIndex::new("dag_run_failed", "dag_run", &["ended_at"])
            .only(failed, &["state", "ended_at"])
            .create(manager)
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["dag_run_failed", "dag_run_by_date"] {
            manager.drop_index(Index::drop().name(name).table("dag_run").to_owned()).await?;
        }
        Ok(())
    }
}
