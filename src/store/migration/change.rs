//! The same change of the tables on every database.
//!
//! MySQL and MariaDB want three things put differently: a `text` holds 64 KiB
//! there, so it becomes a `longtext`; names are compared as people read them
//! unless a table says otherwise, so it says byte by byte; and an index holds all
//! rows. They also commit each change at once: a step that was cut off is begun
//! anew, so whatever exists already is passed over.

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use sea_orm_migration::prelude::*;

/// Byte by byte, trailing spaces included: MariaDB's name of it, and MySQL's.
const COLLATION: &str = "SELECT collation_name FROM information_schema.collations \
     WHERE collation_name IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin') ORDER BY collation_name DESC LIMIT 1";

pub(super) fn is_mysql(manager: &SchemaManager<'_>) -> bool {
    matches!(manager.get_database_backend(), DbBackend::MySql)
}

pub(super) async fn create_table(manager: &SchemaManager<'_>, table: TableCreateStatement) -> Result<(), DbErr> {
    if !is_mysql(manager) {
        return manager.create_table(table).await;
    }
    let collation = Statement::from_string(DbBackend::MySql, COLLATION);
    let collation = manager.get_connection().query_one_raw(collation).await?;
    let collation: String = match collation {
        Some(row) => row.try_get_by_index(0)?,
        None => return Err(DbErr::Custom("the server has no binary collation of utf8mb4".to_owned())),
    };
    manager.create_table(on_mysql(&table, collation)).await
}

fn on_mysql(table: &TableCreateStatement, collation: String) -> TableCreateStatement {
    let mut changed = Table::create();
    changed.table(table.get_table_name().expect("every table of ours has a name").clone()).if_not_exists();
    for column in table.get_columns() {
        changed.col(long(column.clone()));
    }
    for index in table.get_indexes() {
        if index.is_primary_key() {
            changed.primary_key(&mut index.clone());
        } else {
            changed.index(&mut index.clone());
        }
    }
    changed.engine("InnoDB").character_set("utf8mb4").collate(collation).take()
}

fn long(mut column: ColumnDef) -> ColumnDef {
    if matches!(column.get_column_type(), Some(ColumnType::Text)) {
        column.custom("longtext");
    }
    column
}

pub(super) async fn add_column(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: ColumnDef,
) -> Result<(), DbErr> {
    let column = if is_mysql(manager) {
        if manager.has_column(table, column.get_column_name()).await? {
            return Ok(());
        }
        long(column)
    } else {
        column
    };
    manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await
}

pub(super) async fn drop_column(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: &'static str,
) -> Result<(), DbErr> {
    if is_mysql(manager) && !manager.has_column(table, column).await? {
        return Ok(());
    }
    manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await
}

/// An index that is to be.
pub(super) struct NewIndex {
    name: &'static str,
    table: &'static str,
    columns: &'static [&'static str],
    unique: bool,
    only: Option<Expr>,
    of_all: &'static [&'static str],
}

impl NewIndex {
    pub fn new(name: &'static str, table: &'static str, columns: &'static [&'static str]) -> Self {
        Self { name, table, columns, unique: false, only: None, of_all: columns }
    }

    pub fn unique(self) -> Self {
        Self { unique: true, ..self }
    }

    /// Only these rows, so that it stays small. Where an index holds all rows, it leads to them by other columns.
    pub fn only(self, rows: Expr, of_all: &'static [&'static str]) -> Self {
        Self { only: Some(rows), of_all, ..self }
    }

    pub async fn create(self, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        let mut index = Index::create();
        index.name(self.name).table(self.table);
        if self.unique {
            index.unique();
        }
        let everywhere = is_mysql(manager);
        for column in if everywhere { self.of_all } else { self.columns } {
            index.col(*column);
        }
        if let Some(rows) = self.only.filter(|_| !everywhere) {
            index.cond_where(rows);
        }
        create_index(manager, self.table, self.name, index).await
    }
}

/// An index that was put in words already.
pub(super) async fn create_index(
    manager: &SchemaManager<'_>,
    table: &'static str,
    name: &'static str,
    index: IndexCreateStatement,
) -> Result<(), DbErr> {
    if is_mysql(manager) && manager.has_index(table, name).await? {
        return Ok(());
    }
    manager.create_index(index).await
}
