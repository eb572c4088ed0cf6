//! Every table, and the few indexes that a query on the way of a task or of a person needs.
//!
//! Three indexes are partial (`unfinished`, `not_done`, `pending`): they hold
//! what is under way and stay small however long the history grows. Where an
//! index cannot be partial, it is sorted by what they ask.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, boolean, boolean_null, integer, integer_null, string_len, text, text_null, uuid,
    uuid_null,
};

use super::change::{NewIndex, create_table};

/// What `domain::ids` allows, in characters.
const ID: u32 = 250;
/// Airflow's limit for the key of an XCom.
const XCOM_KEY: u32 = 512;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, also on SQLite, where SeaORM would not ask for it by itself.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            create_table(manager, table).await?;
        }
        for index in indexes() {
            index.create(manager).await?;
        }
        let columns = ["id", "epoch", "holder", "renewed_at"];
        let nobody = [1.into(), 0.into(), "".into(), 0.into()];
        // A step that was cut off may have left the row.
        let once = OnConflict::column("id").do_nothing_on(["id"]).to_owned();
        let leader =
            Query::insert().into_table("leader").columns(columns).values_panic(nobody).on_conflict(once).take();
        manager.execute(leader).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in TABLES {
            manager.drop_table(Table::drop().table(name).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}

const TABLES: [&str; 11] = [
    "leader",
    "dag",
    "dag_version",
    "dag_run",
    "task_instance",
    "attempt",
    "xcom",
    "import_error",
    "worker",
    "pool",
    "command",
];

fn tables() -> Vec<TableCreateStatement> {
    vec![
        table("leader", &["id"], vec![integer("id"), big_integer("epoch"), text("holder"), big_integer("renewed_at")]),
        dag(),
        table(
            "dag_version",
            &["dag_id", "version"],
            vec![
                string_len("dag_id", ID),
                integer("version"),
                text("hash"),
                text("definition"),
                text("source"),
                big_integer("created_at"),
            ],
        ),
        dag_run(),
        task_instance(),
        attempt(),
        table(
            "xcom",
            &["run", "task_id", "map_index", "key"],
            vec![
                big_integer("run"),
                string_len("task_id", ID),
                integer("map_index"),
                string_len("key", XCOM_KEY),
                text("value"),
                big_integer("at"),
            ],
        ),
        import_error(),
        table(
            "worker",
            &["id"],
            vec![uuid("id"), text("name"), big_integer("incarnation"), boolean("online"), big_integer("seen_at")],
        ),
        table(
            "pool",
            &["name"],
            vec![string_len("name", ID), integer("slots"), text("description"), boolean("include_deferred")],
        ),
        command(),
    ]
}

fn table(name: &'static str, key: &[&'static str], columns: Vec<ColumnDef>) -> TableCreateStatement {
    let mut primary = Index::create();
    for column in key {
        primary.col(*column);
    }
    let mut table = Table::create();
    table.table(name).primary_key(&mut primary);
    for column in columns {
        table.col(column);
    }
    table
}

fn dag() -> TableCreateStatement {
    table(
        "dag",
        &["dag_id"],
        vec![
            string_len("dag_id", ID),
            integer("version"),
            boolean("is_paused"),
            boolean("is_stale"),
            text("file"),
            big_integer_null("last_interval_start"),
            big_integer_null("last_interval_end"),
            big_integer_null("next_logical_date"),
            big_integer_null("next_interval_start"),
            big_integer_null("next_interval_end"),
            big_integer_null("next_run_after"),
            big_integer("parsed_at"),
        ],
    )
}

fn dag_run() -> TableCreateStatement {
    table(
        "dag_run",
        &["id"],
        vec![
            big_integer("id"),
            string_len("dag_id", ID),
            string_len("run_id", ID),
            text("run_type"),
            string_len("state", 32),
            integer("version"),
            big_integer_null("logical_date"),
            big_integer_null("interval_start"),
            big_integer_null("interval_end"),
            big_integer("run_after"),
            text("conf"),
            text_null("note"),
            text("triggered_by"),
            text_null("user"),
            big_integer("queued_at"),
            big_integer_null("started_at"),
            big_integer_null("ended_at"),
        ],
    )
}

fn task_instance() -> TableCreateStatement {
    table(
        "task_instance",
        &["run", "task_id", "map_index"],
        vec![
            big_integer("run"),
            string_len("task_id", ID),
            integer("map_index"),
            string_len("state", 32),
            integer("try_number"),
            integer("max_tries"),
            integer("infra_tries"),
            uuid_null("attempt"),
            text("operator"),
            string_len("pool", ID),
            big_integer("pool_slots"),
            string_len("queue", ID),
            integer("priority_weight"),
            big_integer_null("scheduled_at"),
            big_integer_null("queued_at"),
            big_integer_null("started_at"),
            big_integer_null("ended_at"),
            big_integer_null("next_try_at"),
            text_null("hostname"),
            big_integer_null("pid"),
            text_null("note"),
        ],
    )
}

fn attempt() -> TableCreateStatement {
    table(
        "attempt",
        &["id"],
        vec![
            uuid("id"),
            big_integer("run"),
            string_len("task_id", ID),
            integer("map_index"),
            integer("try_number"),
            string_len("state", 32),
            integer("dispatch"),
            uuid_null("worker"),
            big_integer_null("incarnation"),
            big_integer_null("claim_n"),
            text_null("wish"),
            text_null("outcome"),
            boolean_null("retryable"),
            big_integer("queued_at"),
            big_integer_null("started_at"),
            big_integer_null("ended_at"),
            integer_null("exit_code"),
            text_null("message"),
            text("log_path"),
        ],
    )
}

/// Without a key on the file, whose path may be longer than an index takes:
/// the table holds only what is wrong now, so a scan of it is short.
fn import_error() -> TableCreateStatement {
    numbered(
        "import_error",
        vec![
            text("file"),
            text("severity"),
            text("place"),
            big_integer_null("line"),
            big_integer_null("column"),
            text("message"),
            text_null("hint"),
            text_null("detail"),
            big_integer("at"),
        ],
    )
}

fn command() -> TableCreateStatement {
    numbered(
        "command",
        vec![
            text("control"),
            text_null("user"),
            big_integer("created_at"),
            text_null("reply"),
            big_integer_null("done_at"),
        ],
    )
}

/// The database numbers the rows, and uses no number twice: an answer to one
/// command must never be taken for the answer to another.
fn numbered(name: &'static str, columns: Vec<ColumnDef>) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).col(ColumnDef::new("id").big_integer().not_null().auto_increment().primary_key());
    for column in columns {
        table.col(column);
    }
    table
}

fn indexes() -> Vec<NewIndex> {
    let unfinished = Expr::col("state").is_in(["queued", "running"]);
    let not_done = Expr::col("state").ne("done");
    let pending = Expr::col("done_at").is_null();
    vec![
        NewIndex::new("dag_run_of_dag", "dag_run", &["dag_id", "run_id"]).unique(),
        NewIndex::new("dag_run_of_date", "dag_run", &["dag_id", "logical_date"]).unique(),
        NewIndex::new("dag_run_newest", "dag_run", &["dag_id", "run_after"]),
        NewIndex::new("dag_run_unfinished", "dag_run", &["state"]).only(unfinished, &["state"]),
        NewIndex::new("attempt_of_task", "attempt", &["run", "task_id"]),
        NewIndex::new("attempt_not_done", "attempt", &["state"]).only(not_done, &["state"]),
        NewIndex::new("command_pending", "command", &["id"]).only(pending, &["done_at", "id"]),
    ]
}
