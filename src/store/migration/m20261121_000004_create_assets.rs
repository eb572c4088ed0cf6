//! Assets, their events, and which DAGs have still to see which event.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, boolean, integer, string_len, text};

use super::change::{NewIndex, create_index, create_table, is_mysql};

/// What `domain::ids` allows, in characters.
const ID: u32 = 250;
const ASSET_NAME: u32 = 1500;
/// So much of such a name goes into an index of MySQL, which takes 3,072 bytes.
const PREFIX: u32 = 255;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_table(manager, asset(is_mysql(manager))).await?;
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
        create_table(manager, table("asset_event", &["id"], event)).await?;
        let queue = vec![string_len("dag_id", ID), big_integer("event"), boolean("counts"), big_integer_null("run")];
        create_table(manager, table("asset_queue", &["dag_id", "event"], queue)).await?;
        let (name, of) = ("asset_event_of_asset", "asset_event");
        let mut of_asset = Index::create().name(name).table(of).take();
        if is_mysql(manager) { of_asset.col(("asset", PREFIX)) } else { of_asset.col("asset") }.col("id");
        create_index(manager, of, name, of_asset).await?;
        // What waits has no run: it is found without reading what was given to runs long ago.
        NewIndex::new("asset_queue_of_run", "asset_queue", &["run"]).create(manager).await
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

/// By name. MySQL's indexes are too narrow for the name itself, so there its hash is what may be taken once.
/// A hash that is computed is no primary key to MariaDB, and some servers want one, so there is a number too.
fn asset(by_hash: bool) -> TableCreateStatement {
    let columns = vec![string_len("name", ASSET_NAME), text("uri"), text("asset_group"), text("extra")];
    if !by_hash {
        return table("asset", &["name"], columns);
    }
    let mut asset = Table::create();
    asset.table("asset");
    asset.col(ColumnDef::new("number").big_integer().not_null().auto_increment().primary_key());
    for column in columns {
        asset.col(column);
    }
    let hash = Expr::cust("UNHEX(SHA2(`name`, 256))");
    asset.col(ColumnDef::new("name_hash").binary_len(32).generated(hash, true));
    asset.index(Index::create().name("asset_once").unique().col("name_hash"));
    asset.index(Index::create().name("asset_by_name").col(("name", PREFIX)));
    asset
}
