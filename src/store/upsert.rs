//! Many rows in one statement. The entity says which columns and which key;
//! the text of a statement depends on nothing but the number of rows, so that
//! the database prepares it once and our process builds it once.
//!
//! The databases want it differently (MySQL: see [`mysql`]). Task rows per second, in commits of
//! 10,000, on two shared cores: SQLite took 120,000 to 230,000 with one bound
//! value per column. Postgres took 2,800 that way, 22,000 to 28,000 as one
//! JSON value, and 26,000 to 72,000 (median about 49,000) as one array per column.
//! In commits of 1,000 arrays brought Postgres 22,000 to 26,000, and JSON
//! 35,000 in a single run: look again there before relying on either.

mod mysql;

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, Func, InsertStatement, OnConflict, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ColumnType, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    IntoActiveModel, Iterable, PrimaryKeyToColumn, Statement, StatementBuilder, Value,
};

/// More rows in a statement gain nothing any more, and a prepared one keeps memory per row.
const MOST_ROWS: usize = 128;
/// Up to here every number of rows has a statement of its own: the small
/// commits on the way of a task take one statement per table.
const EXACT_ROWS: usize = 16;
/// As arrays, any number of rows shares one statement; this bounds its memory.
const MOST_ARRAY_ROWS: usize = 1000;

/// What to do with a row whose key exists.
#[derive(Clone, Copy)]
pub(super) enum Existing<C> {
    Replace,
    Keep,
    /// Replace it unless this column holds this word.
    ReplaceUnless(C, &'static str),
}

/// The texts of the statements used so far, by table and number of rows.
#[derive(Default)]
pub(super) struct Statements(HashMap<(&'static str, usize), String>);

impl Statements {
    /// Writes all rows; returns how many were inserted or replaced. Instead of a smaller number
    /// for [`Existing::ReplaceUnless`], MySQL gives an error (see [`mysql`]).
    pub async fn upsert<E, A>(
        &mut self,
        tx: &DatabaseTransaction,
        existing: Existing<E::Column>,
        rows: impl IntoIterator<Item = E::Model>,
    ) -> Result<u64, DbErr>
    where
        E: EntityTrait,
        E::Model: IntoActiveModel<A>,
        A: ActiveModelTrait<Entity = E>,
    {
        let backend = tx.get_database_backend();
        let table = E::default().table_name();
        let rows = rows.into_iter();
        if let DbBackend::MySql = backend {
            return self.upsert_on_mysql::<E, A>(tx, existing, rows).await;
        }
        let mut rows = rows.collect::<Vec<_>>().into_iter();
        let mut written = 0;
        while rows.len() > 0 {
            let as_arrays = matches!(backend, DbBackend::Postgres);
            let count = if as_arrays { rows.len().min(MOST_ARRAY_ROWS) } else { chunk(rows.len()) };
            let next = rows.by_ref().take(count).map(IntoActiveModel::into_active_model);
            let (values, kind) = if as_arrays { (array_columns(next), 1) } else { (value_rows(next, count), count) };
            let sql = self.0.entry((table, kind)).or_insert_with(|| {
                let insert = insert::<E>(existing, (!as_arrays).then_some(count));
                StatementBuilder::build(&insert, &backend).sql
            });
            let statement = Statement::from_sql_and_values(backend, &*sql, values);
            written += tx.execute_raw(statement).await?.rows_affected();
        }
        Ok(written)
    }

    async fn upsert_on_mysql<E, A>(
        &mut self,
        tx: &DatabaseTransaction,
        existing: Existing<E::Column>,
        rows: impl Iterator<Item = E::Model>,
    ) -> Result<u64, DbErr>
    where
        E: EntityTrait,
        E::Model: IntoActiveModel<A>,
        A: ActiveModelTrait<Entity = E>,
    {
        let table = E::default().table_name();
        let mut rows: Vec<Vec<Value>> =
            rows.map(|row| value_rows(std::iter::once(row.into_active_model()), 1)).collect();
        let mut written = 0;
        while !rows.is_empty() {
            let count = mysql::portion(&rows);
            let values = rows.drain(..count).flatten();
            let sql = self.0.entry((table, count)).or_insert_with(|| {
                let insert = StatementBuilder::build(&insert_only::<E>(Some(count)), &DbBackend::MySql).sql;
                mysql::resolve::<E>(&insert, existing)
            });
            let statement = Statement::from_sql_and_values(DbBackend::MySql, &*sql, values);
            let affected = tx.execute_raw(statement).await?.rows_affected();
            written += match existing {
                Existing::Keep => affected,
                // A replaced row counts as two, and one that is as it was as one.
                Existing::Replace | Existing::ReplaceUnless(..) => count as u64,
            };
        }
        Ok(written)
    }
}

/// Every value of every row, in the order of the columns.
fn value_rows<A: ActiveModelTrait>(rows: impl Iterator<Item = A>, count: usize) -> Vec<Value> {
    let columns: Vec<ColumnOf<A>> = ColumnOf::<A>::iter().collect();
    let mut values = Vec::with_capacity(count * columns.len());
    for mut row in rows {
        values.extend(columns.iter().map(|column| value(&mut row, *column)));
    }
    values
}

/// One value per column: all its values as a Postgres array, in that array's text form.
fn array_columns<A: ActiveModelTrait>(rows: impl Iterator<Item = A>) -> Vec<Value> {
    let mut arrays: Vec<(ColumnOf<A>, String)> =
        ColumnOf::<A>::iter().map(|column| (column, String::from("{"))).collect();
    for mut row in rows {
        for (column, array) in &mut arrays {
            if array.len() > 1 {
                array.push(',');
            }
            push_element(array, value(&mut row, *column));
        }
    }
    let close = |(_, mut array): (_, String)| {
        array.push('}');
        array.into()
    };
    arrays.into_iter().map(close).collect()
}

fn push_element(array: &mut String, value: Value) {
    use std::fmt::Write;
    let written = match value {
        Value::Int(Some(n)) => write!(array, "{n}"),
        Value::BigInt(Some(n)) => write!(array, "{n}"),
        Value::Bool(Some(b)) => write!(array, "{b}"),
        Value::Uuid(Some(id)) => write!(array, "{id}"),
        Value::String(Some(text)) => {
            array.push('"');
            for c in text.chars() {
                if matches!(c, '"' | '\\') {
                    array.push('\\');
                }
                array.push(c);
            }
            array.push('"');
            Ok(())
        }
        Value::Int(None) | Value::BigInt(None) | Value::Bool(None) | Value::Uuid(None) | Value::String(None) => {
            write!(array, "NULL")
        }
        other => unreachable!("columns are of five kinds (see `entity`), and this is none of them: {other:?}"),
    };
    written.expect("a string takes what is written to it");
}

/// The element type of a column's array.
fn array_type(kind: &ColumnType) -> &'static str {
    match kind {
        ColumnType::Integer => "integer[]",
        ColumnType::BigInteger => "bigint[]",
        ColumnType::Boolean => "boolean[]",
        ColumnType::Uuid => "uuid[]",
        _ => "text[]",
    }
}

type ColumnOf<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Column;

fn value<A: ActiveModelTrait>(row: &mut A, column: ColumnOf<A>) -> Value {
    row.take(column).into_value().expect("a model sets every column of its table")
}

fn insert<E: EntityTrait>(existing: Existing<E::Column>, rows: Option<usize>) -> InsertStatement {
    let columns: Vec<E::Column> = E::Column::iter().collect();
    insert_only::<E>(rows).on_conflict(conflict::<E>(existing, &columns)).to_owned()
}

/// `rows` is `None` where they come as arrays, any number of them.
fn insert_only<E: EntityTrait>(rows: Option<usize>) -> InsertStatement {
    let columns: Vec<E::Column> = E::Column::iter().collect();
    let mut insert = Query::insert();
    insert.into_table(E::default()).columns(columns.iter().copied());
    match rows {
        // The numbers of placeholders alone count; the values are bound at each use.
        Some(rows) => {
            for _ in 0..rows {
                insert.values_panic(columns.iter().map(|_| Expr::val(Value::Int(None))));
            }
        }
        None => {
            let mut select = Query::select();
            for column in &columns {
                let array = Expr::val("").cast_as(array_type(column.def().get_column_type()));
                select.expr(Func::cust("unnest").arg(array));
            }
            insert.select_from(select).expect("both sides list the same columns");
        }
    }
    insert
}

fn conflict<E: EntityTrait>(existing: Existing<E::Column>, columns: &[E::Column]) -> OnConflict {
    let key: Vec<E::Column> = E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).collect();
    let is_key = |column: &E::Column| {
        let name = format!("{column:?}");
        key.iter().any(|key| format!("{key:?}") == name)
    };
    let rest = columns.iter().copied().filter(|column| !is_key(column));
    let mut conflict = OnConflict::columns(key.iter().copied());
    match existing {
        Existing::Replace => conflict.update_columns(rest),
        Existing::Keep => conflict.do_nothing(),
        Existing::ReplaceUnless(column, word) => conflict
            .update_columns(rest)
            // A constant, not a bound value: it belongs to the text.
            .action_and_where(Expr::col((E::default(), column)).ne(Expr::Constant(word.into()))),
    };
    conflict
}

/// How many of the `left` rows the next statement takes: few different numbers, so few statements.
fn chunk(left: usize) -> usize {
    if left <= EXACT_ROWS { left } else { MOST_ROWS.min(1 << left.ilog2()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_rows_takes_few_kinds_of_statements() {
        let mut left = 10_000_usize;
        let mut kinds = std::collections::BTreeSet::new();
        while left > 0 {
            let n = chunk(left);
            kinds.insert(n);
            left -= n;
        }
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [16, 128]);
        assert_eq!(chunk(4), 4);
        assert_eq!(chunk(127), 64);
    }
}
