//! One worker, known by its state directory.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "worker")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    pub incarnation: i64,
    pub seen_at: i64,
    pub state: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub host: Option<String>,
    /// 0: without limit.
    pub slots: i64,
    /// A JSON list.
    #[sea_orm(column_type = "Text", nullable)]
    pub queues: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub version: Option<String>,
    pub understands: i32,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
