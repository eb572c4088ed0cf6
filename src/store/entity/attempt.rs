//! One try of a task instance; its claim and its one outcome.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "attempt")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub run: i64,
    #[sea_orm(column_type = "Text")]
    pub task_id: String,
    pub map_index: i32,
    pub try_number: i32,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    pub dispatch: i32,
    pub worker: Option<Uuid>,
    pub incarnation: Option<i64>,
    pub claim_n: Option<i64>,
    #[sea_orm(column_type = "Text", nullable)]
    pub wish: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub outcome: Option<String>,
    pub retryable: Option<bool>,
    pub queued_at: i64,
    pub started_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub exit_code: Option<i32>,
    #[sea_orm(column_type = "Text", nullable)]
    pub message: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub log_path: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
