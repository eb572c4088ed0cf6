//! The same on MySQL and MariaDB, where a conflict with *any* unique key would
//! replace a row, where no condition can be put, and where the number of rows
//! does not say what was done.
//!
//! So what must not be is made an error, by giving NULL to a column that takes
//! none: a row whose key is new but whose name is taken, and a change of a row
//! that is to be left alone. The caller then looks which row it was.

use sea_orm::{EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn, Value};

use super::{Existing, MOST_ROWS, chunk};

/// A statement as a whole may not be longer than the server's `max_allowed_packet`, 16 MiB at least.
const MOST_BYTES: usize = 4 << 20;

/// How many of these rows the next statement takes.
pub(super) fn portion(rows: &[Vec<Value>]) -> usize {
    let mut bytes = 0;
    let fitting = rows.iter().take(MOST_ROWS).take_while(|row| {
        bytes += row.iter().map(size).sum::<usize>();
        bytes <= MOST_BYTES
    });
    chunk(fitting.count().max(1))
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(Some(text)) => text.len(),
        _ => 8,
    }
}

/// From `INSERT INTO …` to the statement that also knows what to do about rows that exist.
pub(super) fn resolve<E: EntityTrait>(insert: &str, existing: Existing<E::Column>) -> String {
    let key: Vec<&str> = E::PrimaryKey::iter().map(|key| key.into_column().as_str()).collect();
    let rest: Vec<&str> = E::Column::iter().map(|column| column.as_str()).filter(|name| !key.contains(name)).collect();
    let assignments = match existing {
        // What IGNORE would pass over besides (a text too long, a missing value) our types exclude.
        Existing::Keep => return insert.replacen("INSERT INTO", "INSERT IGNORE INTO", 1),
        Existing::Replace => {
            let replace = rest.iter().map(|name| format!("`{name}` = VALUES(`{name}`)"));
            key.iter().map(|name| same_or_error(name)).chain(replace).collect()
        }
        Existing::ReplaceUnless(column, word) => replace_unless(&rest, column.as_str(), word),
    };
    format!("{insert} ON DUPLICATE KEY UPDATE {}", assignments.join(", "))
}

/// Some other unique key found the row.
fn same_or_error(name: &str) -> String {
    format!("`{name}` = IF(`{name}` <=> VALUES(`{name}`), `{name}`, NULL)")
}

/// Assignments are made from left to right, so the column that decides is the last.
fn replace_unless(rest: &[&str], decides: &str, word: &str) -> Vec<String> {
    let others = rest.iter().filter(|name| **name != decides);
    let mut assignments: Vec<String> =
        others.map(|name| format!("`{name}` = IF(`{decides}` = '{word}', `{name}`, VALUES(`{name}`))")).collect();
    let equal: Vec<String> = rest.iter().map(|name| format!("`{name}` <=> VALUES(`{name}`)")).collect();
    let equal = equal.join(" AND ");
    assignments
        .push(format!("`{decides}` = IF(`{decides}` = '{word}', IF({equal}, `{decides}`, NULL), VALUES(`{decides}`))"));
    assignments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_takes_no_more_than_the_server_does() {
        let row = |bytes: usize| vec![Value::from("x".repeat(bytes)), Value::from(1_i64)];
        assert_eq!(portion(&[row(10), row(10), row(10)]), 3);
        assert_eq!(portion(&[row(3 << 20), row(3 << 20)]), 1, "the second one waits");
        assert_eq!(portion(&[row(9 << 20)]), 1, "one row cannot be divided");
        assert_eq!(portion(&vec![row(1); 500]), 128);
    }
}
