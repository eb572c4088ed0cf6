//! A DAG as the scheduler knows it.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "dag")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub dag_id: String,
    pub version: i32,
    pub is_paused: bool,
    pub is_stale: bool,
    #[sea_orm(column_type = "Text")]
    pub file: String,
    pub last_interval_start: Option<i64>,
    pub last_interval_end: Option<i64>,
    pub next_logical_date: Option<i64>,
    pub next_interval_start: Option<i64>,
    pub next_interval_end: Option<i64>,
    pub next_run_after: Option<i64>,
    pub parsed_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
