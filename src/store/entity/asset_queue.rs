//! What an asset event means to one DAG that waits for it.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "asset_queue")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub dag_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub event: i64,
    pub counts: bool,
    /// The run that it was given to; none while it waits.
    pub run: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
