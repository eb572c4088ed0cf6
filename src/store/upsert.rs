//! Many rows in one statement. The entity says which columns and which key;
//! the text of a statement depends on nothing but the number of rows, so that
//! the database prepares it once and our process builds it once.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, Iterable,
    PrimaryKeyToColumn, Statement, StatementBuilder, Value,
};

/// More rows in a statement gain nothing any more, and a prepared one keeps memory per row.
const MOST_ROWS: usize = 128;
/// Up to here every number of rows has a statement of its own: the small
/// commits on the way of a task take one statement per table.
const EXACT_ROWS: usize = 16;

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
        let mut rows = rows.into_iter().collect::<Vec<_>>().into_iter();
        let mut written = 0;
        while rows.len() > 0 {
            let count = chunk(rows.len());
            let mut values = Vec::with_capacity(count * E::Column::iter().count());
            for row in rows.by_ref().take(count) {
                let mut row = row.into_active_model();
                for column in E::Column::iter() {
                    values.push(row.take(column).into_value().expect("a model sets every column of its table"));
                }
            }
            let sql = self.text::<E>(tx, existing, count);
            let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
            written += tx.execute_raw(statement).await?.rows_affected();
        }
        Ok(written)
    }

    fn text<E: EntityTrait>(&mut self, tx: &DatabaseTransaction, existing: Existing<E::Column>, rows: usize) -> &str {
        let table = E::default().table_name();
        self.0.entry((table, rows)).or_insert_with(|| {
            let columns: Vec<E::Column> = E::Column::iter().collect();
            let mut insert = Query::insert();
            insert.into_table(E::default()).columns(columns.iter().copied());
            for _ in 0..rows {
                // Placeholders alone count; the values are bound at each use.
                insert.values_panic(columns.iter().map(|_| Expr::val(Value::Int(None))));
            }
            insert.on_conflict(conflict::<E>(existing, &columns));
            StatementBuilder::build(&insert, &tx.get_database_backend()).sql
        })
    }
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
