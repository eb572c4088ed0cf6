//! What a user asked for from another process, until and after it was answered.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "command")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(column_type = "Text")]
    pub control: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub user: Option<String>,
    pub created_at: i64,
    #[sea_orm(column_type = "Text", nullable)]
    pub reply: Option<String>,
    pub done_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
