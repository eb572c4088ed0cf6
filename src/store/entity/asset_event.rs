//! An asset was changed.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "asset_event")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    #[sea_orm(column_type = "Text")]
    pub asset: String,
    #[sea_orm(column_type = "Text")]
    pub uri: String,
    pub at: i64,
    #[sea_orm(column_type = "Text")]
    pub extra: String,
    #[sea_orm(column_type = "Text")]
    pub source_dag: String,
    #[sea_orm(column_type = "Text")]
    pub source_run: String,
    #[sea_orm(column_type = "Text")]
    pub source_task: String,
    pub source_map_index: i32,
    pub interval_start: Option<i64>,
    pub interval_end: Option<i64>,
    /// A JSON list of names.
    #[sea_orm(column_type = "Text")]
    pub aliases: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
