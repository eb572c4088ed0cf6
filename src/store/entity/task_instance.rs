//! One task of one run.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "task_instance")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub run: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub task_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub map_index: i32,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    pub try_number: i32,
    pub max_tries: i32,
    pub infra_tries: i32,
    pub attempt: Option<Uuid>,
    #[sea_orm(column_type = "Text")]
    pub operator: String,
    #[sea_orm(column_type = "Text")]
    pub pool: String,
    pub pool_slots: i64,
    #[sea_orm(column_type = "Text")]
    pub queue: String,
    pub priority_weight: i32,
    pub scheduled_at: Option<i64>,
    pub queued_at: Option<i64>,
    pub started_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub next_try_at: Option<i64>,
    #[sea_orm(column_type = "Text", nullable)]
    pub hostname: Option<String>,
    pub pid: Option<i64>,
    #[sea_orm(column_type = "Text", nullable)]
    pub note: Option<String>,
    /// JSON; null where nothing held it.
    #[sea_orm(column_type = "Text", nullable)]
    pub journal: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub waiting: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub xcom_lengths: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
