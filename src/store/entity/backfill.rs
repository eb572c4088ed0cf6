//! One backfill.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "backfill")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    #[sea_orm(column_type = "Text")]
    pub dag_id: String,
    pub from_date: i64,
    pub to_date: i64,
    pub run_backwards: bool,
    #[sea_orm(column_type = "Text")]
    pub reprocess_behavior: String,
    pub max_active_runs: i64,
    #[sea_orm(column_type = "Text")]
    pub dag_run_conf: String,
    #[sea_orm(column_type = "Text")]
    pub schedule: String,
    #[sea_orm(column_type = "Text")]
    pub timezone: String,
    pub dates: i64,
    pub dealt: i64,
    pub skipped: i64,
    pub is_paused: bool,
    pub is_cancelled: bool,
    #[sea_orm(column_type = "Text", nullable)]
    pub user: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
    pub completed_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
