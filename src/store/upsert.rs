//! Many rows in one statement. The entity says which columns and which key;
//! the text of a statement depends on nothing but the number of rows, so that
//! the database prepares it once and our process builds it once.
//!
//! The two databases want it differently, by measurement: SQLite is quickest
//! with one bound value per column (190,000 rows/s against 40,000 from JSON);
//! Postgres plans thousands of those for longer than it runs them (2,900
//! rows/s), and takes all rows as one JSON value instead.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, Func, InsertStatement, OnConflict, Query, sea_value_to_json_value};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, IdenStatic, IntoActiveModel,
    Iterable, PrimaryKeyToColumn, Statement, StatementBuilder, Value,
};

/// More rows in a statement gain nothing any more, and a prepared one keeps memory per row.
const MOST_ROWS: usize = 128;
/// Up to here every number of rows has a statement of its own: the small
/// commits on the way of a task take one statement per table.
const EXACT_ROWS: usize = 16;
/// As JSON, rows share one statement; this bounds the text of one (some hundred KiB).
const MOST_JSON_ROWS: usize = 1000;

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
    /// Writes all rows; returns how many were inserted or replaced.
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
        let mut rows = rows.into_iter().collect::<Vec<_>>().into_iter();
        let mut written = 0;
        while rows.len() > 0 {
            let as_json = matches!(backend, DbBackend::Postgres);
            let count = if as_json { rows.len().min(MOST_JSON_ROWS) } else { chunk(rows.len()) };
            let next = rows.by_ref().take(count).map(IntoActiveModel::into_active_model);
            let (values, kind) = if as_json { (json_rows(next), 1) } else { (value_rows(next, count), count) };
            let sql = self.0.entry((table, kind)).or_insert_with(|| {
                let insert = insert::<E>(existing, (!as_json).then_some(count));
                StatementBuilder::build(&insert, &backend).sql
            });
            let statement = Statement::from_sql_and_values(backend, &*sql, values);
            written += tx.execute_raw(statement).await?.rows_affected();
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

/// One value: an array of objects that Postgres reads by the table's own column types.
fn json_rows<A: ActiveModelTrait>(rows: impl Iterator<Item = A>) -> Vec<Value> {
    let columns: Vec<ColumnOf<A>> = ColumnOf::<A>::iter().collect();
    let object = |mut row: A| {
        let field =
            |column: &ColumnOf<A>| (column.as_str().to_owned(), sea_value_to_json_value(&value(&mut row, *column)));
        columns.iter().map(field).collect::<serde_json::Map<_, _>>().into()
    };
    let rows = serde_json::Value::Array(rows.map(object).collect());
    vec![rows.to_string().into()]
}

type ColumnOf<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Column;

fn value<A: ActiveModelTrait>(row: &mut A, column: ColumnOf<A>) -> Value {
    row.take(column).into_value().expect("a model sets every column of its table")
}

/// `rows` is `None` where they come as JSON.
fn insert<E: EntityTrait>(existing: Existing<E::Column>, rows: Option<usize>) -> InsertStatement {
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
            let table = format!("NULL::\"{}\"", E::default().table_name());
            let parse = Func::cust("json_populate_recordset").arg(Expr::cust(table)).arg(Expr::val("").cast_as("json"));
            let select = Query::select().columns(columns.iter().copied()).from_function(parse, "given").to_owned();
            insert.select_from(select).expect("both sides list the same columns");
        }
    }
    insert.on_conflict(conflict::<E>(existing, &columns));
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
