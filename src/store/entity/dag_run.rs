//! One run of a DAG.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "dag_run")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    #[sea_orm(column_type = "Text")]
    pub dag_id: String,
    #[sea_orm(column_type = "Text")]
    pub run_id: String,
    #[sea_orm(column_type = "Text")]
    pub run_type: String,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    pub version: i32,
    pub logical_date: Option<i64>,
    pub interval_start: Option<i64>,
    pub interval_end: Option<i64>,
    pub run_after: i64,
    #[sea_orm(column_type = "Text")]
    pub conf: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub note: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub triggered_by: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub user: Option<String>,
    pub queued_at: i64,
    pub started_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub clear_number: i32,
    pub backfill: Option<i64>,
    pub backfill_ordinal: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
