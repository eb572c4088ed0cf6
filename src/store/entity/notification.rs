//! One notification: somebody is told that something happened, at least once.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "notification")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub run: i64,
    #[sea_orm(column_type = "Text")]
    pub dag_id: String,
    #[sea_orm(column_type = "Text")]
    pub run_id: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub task_id: Option<String>,
    pub map_index: i32,
    pub try_number: i32,
    #[sea_orm(column_type = "Text")]
    pub occasion: String,
    pub number: i64,
    #[sea_orm(column_type = "Text")]
    pub message: String,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    pub failed_tries: i64,
    pub next_try_at: Option<i64>,
    pub created_at: i64,
    pub ended_at: Option<i64>,
    #[sea_orm(column_type = "Text", nullable)]
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
