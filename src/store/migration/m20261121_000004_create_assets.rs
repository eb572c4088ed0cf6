//! Assets, their events, and which DAGs have still to see which event.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, boolean, integer, string_len, text};

/// What `domain::ids` allows, in characters.
const ID: u32 = 250;
const ASSET_NAME: u32 = 1500;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let asset = vec![string_len("name", ASSET_NAME), text("uri"), text("asset_group"), text("extra")];
        manager.create_table(table("asset", &["name"], asset)).await?;
        let event = vec![
            big_integer("id"),
            string_len("asset", ASSET_NAME),
            text("uri"),
            big_integer("at"),
            text("extra"),
            string_len("source_dag", ID),
            string_len("source_run", ID),
            string_len("source_task", ID),
            integer("source_map_index"),
            big_integer_null("interval_start"),
            big_integer_null("interval_end"),
            text("aliases"),
        ];
        manager.create_table(table("asset_event", &["id"], event)).await?;
        let queue = vec![string_len("dag_id", ID), big_integer("event"), boolean("counts"), big_integer_null("run")];
        manager.create_table(table("asset_queue", &["dag_id", "event"], queue)).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["asset_queue", "asset_event", "asset"] {
            manager.drop_table(Table::drop().table(name).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}

fn table(name: &'static str, key: &[&'static str], columns: Vec<ColumnDef>) -> TableCreateStatement {
    let mut primary = Index::create();
    for column in key {
        primary.col(*column);
    }
    let mut table = Table::create();
    table.table(name).primary_key(&mut primary);
    for column in columns {
        table.col(column);
    }
    table
}

/// What waits has no run: it is found without reading what was given to runs long ago.
fn indexes() -> [IndexCreateStatement; 2] {
    [
        Index::create().name("asset_event_of_asset").table("asset_event").col("asset").col("id").take(),
        Index::create().name("asset_queue_of_run").table("asset_queue").col("run").take(),
    ]
}
