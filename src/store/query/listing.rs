//! A page of a list: which rows, in which order, and how many there are. SQL filters, sorts and counts.
//!
//! A resource says once which fields its list has ([`Field`]): what people call them and what the database does. Whoever
//! asks picks among these, so no text of theirs ever becomes SQL: values are bound.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, Statement};

use crate::store::convert::Unreadable;
use crate::store::error::StoreError;
use crate::store::mysql::placeholders;
use crate::store::open::Store;

/// To count further would cost by the history; a person who reads "more than" has what they need.
pub const COUNTED: u64 = 100_000;

/// What a list may be filtered and ordered by.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// What people call it.
    pub name: &'static str,
    pub kind: FieldKind,
    sql: &'static str,
}

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    Text,
    Integer,
    Flag,
    /// Microseconds since 1970.
    Time,
    /// Microseconds; people say seconds.
    Duration,
}

impl Field {
    const fn new(name: &'static str, kind: FieldKind, sql: &'static str) -> Self {
        Self { name, kind, sql }
    }

    pub const fn text(name: &'static str, sql: &'static str) -> Self {
        Self::new(name, FieldKind::Text, sql)
    }

    pub const fn integer(name: &'static str, sql: &'static str) -> Self {
        Self::new(name, FieldKind::Integer, sql)
    }

    pub const fn time(name: &'static str, sql: &'static str) -> Self {
        Self::new(name, FieldKind::Time, sql)
    }

    pub const fn flag(name: &'static str, sql: &'static str) -> Self {
        Self::new(name, FieldKind::Flag, sql)
    }

    pub const fn duration(name: &'static str, sql: &'static str) -> Self {
        Self::new(name, FieldKind::Duration, sql)
    }
}

/// A value that a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Text(String),
    Integer(i64),
    Flag(bool),
}

impl From<Cell> for sea_orm::Value {
    fn from(cell: Cell) -> Self {
        match cell {
            Cell::Text(text) => text.into(),
            Cell::Integer(number) => number.into(),
            Cell::Flag(flag) => flag.into(),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// What has to be true of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Any of these.
    OneOf(Vec<Cell>),
    /// None of these.
    NoneOf(Vec<Cell>),
    AtLeast(Cell),
    Above(Cell),
    AtMost(Cell),
    Below(Cell),
    /// Any of these stands somewhere in it, however it is capitalised; `%` and `_` are wildcards.
    Contains(Vec<String>),
    /// It begins with any of these, as they are written.
    Begins(Vec<String>),
    IsThere(bool),
    /// The field is a condition itself, and holds.
    Holds,
}

/// One condition. All of a list hold at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub field: &'static Field,
    pub test: Test,
}

/// One part of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub field: &'static Field,
    pub descending: bool,
}

/// Which rows of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    pub wanted: Vec<Wanted>,
    /// The key of the row always comes last, so that pages never overlap.
    pub order: Vec<Order>,
    pub limit: u64,
    pub offset: u64,
}

impl Listing {
    /// Everything, up to a limit.
    pub fn first(limit: u64) -> Self {
        Self { limit, ..Self::default() }
    }

    /// With one more condition.
    #[must_use]
    pub fn and(mut self, field: &'static Field, test: Test) -> Self {
        self.wanted.push(Wanted { field, test });
        self
    }

    /// Only where the field is this.
    #[must_use]
    pub fn only(self, field: &'static Field, cell: impl Into<Cell>) -> Self {
        let cell = cell.into();
        self.and(field, Test::OneOf(vec![cell]))
    }
}

/// A page, and how many rows there are on all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// At most [`COUNTED`].
    pub total: u64,
}

impl<T> Page<T> {
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        Page { rows: self.rows.into_iter().map(each).collect(), total: self.total }
    }
}

/// Where the rows of a list are. SQL of ours alone.
pub(super) struct Source {
    /// The table that the rows are of, under a name of one letter.
    pub table: &'static str,
    pub columns: &'static str,
    /// A second table, and the prefix of the columns that need it: it is joined only where one of them is spoken of.
    pub join: Option<(&'static str, &'static str)>,
    /// What tells rows apart, smallest first.
    pub key: &'static [&'static str],
    /// The key of the newest row first, where nobody asks for an order.
    pub newest_first: bool,
}

impl Source {
    /// The page and the count, as SQL with numbered placeholders.
    fn statements(&self, backend: DbBackend, listing: &Listing) -> (Statement, Statement) {
        let mut values: Vec<sea_orm::Value> = Vec::new();
        let mut from = format!("FROM {}", self.table);
        if let Some((join, prefix)) = self.join {
            let fields = listing.wanted.iter().map(|wanted| wanted.field);
            let mut fields = fields.chain(listing.order.iter().map(|order| order.field));
            if fields.any(|field| field.sql.contains(prefix)) || self.columns.contains(prefix) {
                let _ = write!(from, " {join}");
            }
        }
        for (n, wanted) in listing.wanted.iter().enumerate() {
            from.push_str(if n == 0 { " WHERE " } else { " AND " });
            condition(&mut from, backend, wanted, &mut values);
        }
        let mut order = String::new();
        for part in &listing.order {
            let _ = write!(order, "{}{}, ", part.field.sql, if part.descending { " DESC" } else { "" });
        }
        let descending = listing.order.first().map_or(self.newest_first, |first| first.descending);
        let keys: Vec<String> =
            self.key.iter().map(|key| format!("{key}{}", if descending { " DESC" } else { "" })).collect();
        let (columns, limit, offset) = (self.columns, listing.limit, listing.offset);
        let page = format!("SELECT {columns} {from} ORDER BY {order}{} LIMIT {limit} OFFSET {offset}", keys.join(", "));
        let count = format!("SELECT COUNT(*) FROM (SELECT 1 AS one {from} LIMIT {COUNTED}) counted");
        let statement = |sql, values| Statement::from_sql_and_values(backend, placeholders(backend, sql), values);
        (statement(page, values.clone()), statement(count, values))
    }
}

fn condition(sql: &mut String, backend: DbBackend, wanted: &Wanted, values: &mut Vec<sea_orm::Value>) {
    let field = wanted.field.sql;
    let mut bind = |value: sea_orm::Value| {
        values.push(value);
        format!("${}", values.len())
    };
    // A word to fail on is not known to every database: without any value nothing is meant.
    let mut list = |cells: &[Cell], word: &str, of_nothing: &str| match cells {
        [] => of_nothing.to_owned(),
        cells => {
            let places: Vec<String> = cells.iter().map(|cell| bind(cell.clone().into())).collect();
            format!("{field} {word} ({})", places.join(", "))
        }
    };
    let text = match &wanted.test {
        Test::OneOf(cells) => list(cells, "IN", "1 = 0"),
        Test::NoneOf(cells) => list(cells, "NOT IN", "1 = 1"),
        Test::AtLeast(cell) => format!("{field} >= {}", bind(cell.clone().into())),
        Test::Above(cell) => format!("{field} > {}", bind(cell.clone().into())),
        Test::AtMost(cell) => format!("{field} <= {}", bind(cell.clone().into())),
        Test::Below(cell) => format!("{field} < {}", bind(cell.clone().into())),
        Test::IsThere(true) => format!("{field} IS NOT NULL"),
        Test::IsThere(false) => format!("{field} IS NULL"),
        Test::Holds => field.to_owned(),
        Test::Contains(parts) => {
            // A backslash is a letter like any other, on every database.
            let escape = match backend {
                DbBackend::Sqlite => "",
                _ => " ESCAPE ''",
            };
            let like = |part: &String| {
                let place = bind(format!("%{}%", part.to_lowercase()).into());
                format!("LOWER({field}) LIKE {place}{escape}")
            };
            any(parts.iter().map(like))
        }
        Test::Begins(parts) => {
            let begins = |part: &String| {
                let length = part.chars().count();
                format!("SUBSTR({field}, 1, {length}) = {}", bind(part.clone().into()))
            };
            any(parts.iter().map(begins))
        }
    };
    sql.push_str(&text);
}

fn any(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { "1 = 0".to_owned() } else { format!("({})", parts.join(" OR ")) }
}

impl Store {
    /// A page of the rows of one table.
    pub(super) async fn page<E, R>(&self, source: &Source, listing: &Listing) -> Result<Page<R>, StoreError>
    where
        E: EntityTrait,
        E::Model: FromQueryResult,
        R: TryFrom<E::Model, Error = Unreadable>,
    {
        let (page, count) = source.statements(self.read.get_database_backend(), listing);
        let rows: Vec<R> = self.read_all(E::find().from_raw_sql(page).all(&self.read).await)?;
        // A first page that is not full says itself how many there are.
        let seen = listing.offset + rows.len() as u64;
        let total = if (rows.len() as u64) < listing.limit && (listing.offset == 0 || !rows.is_empty()) {
            seen.min(COUNTED)
        } else {
            self.count_rows(count).await?
        };
        Ok(Page { rows, total })
    }

    async fn count_rows(&self, statement: Statement) -> Result<u64, StoreError> {
        let read = async {
            let row = self.read.query_one_raw(statement).await?;
            let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0);
            Ok::<_, DbErr>(count.unsigned_abs())
        };
        read.await.map_err(|error| self.location.explain(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: Field = Field::text("state", "t.state");
    const DATE: Field = Field::time("logical_date", "r.logical_date");
    const TASKS: Source = Source {
        table: "task_instance t",
        columns: "t.*",
        join: Some(("JOIN dag_run r ON r.id = t.run", "r.")),
        key: &["t.run", "t.task_id"],
        newest_first: false,
    };

    fn sql(backend: DbBackend, listing: &Listing) -> [String; 2] {
        let (page, count) = TASKS.statements(backend, listing);
        [page.sql, count.sql]
    }

    #[test]
    fn the_second_table_is_joined_only_where_it_is_spoken_of() {
        let of_state = Listing::first(50).only(&STATE, "failed");
        assert_eq!(
            sql(DbBackend::Sqlite, &of_state),
            [
                "SELECT t.* FROM task_instance t WHERE t.state IN ($1) ORDER BY t.run, t.task_id LIMIT 50 OFFSET 0",
                "SELECT COUNT(*) FROM (SELECT 1 AS one FROM task_instance t WHERE t.state IN ($1) LIMIT 100000) counted"
            ]
        );
        let mut of_date = of_state.and(&DATE, Test::AtLeast(Cell::Integer(7)));
        of_date.order = vec![Order { field: &DATE, descending: true }];
        assert_eq!(
            sql(DbBackend::MySql, &of_date)[0],
            "SELECT t.* FROM task_instance t JOIN dag_run r ON r.id = t.run WHERE t.state IN (?) AND r.logical_date >= ? \
             ORDER BY r.logical_date DESC, t.run DESC, t.task_id DESC LIMIT 50 OFFSET 0"
        );
    }

    #[test]
    fn no_word_of_a_user_becomes_sql() {
        let listing = Listing::first(1).and(&STATE, Test::Contains(vec!["x' OR '1'='1".to_owned(), "a%".to_owned()]));
        let (page, _) = TASKS.statements(DbBackend::Postgres, &listing);
        assert_eq!(
            page.sql,
            "SELECT t.* FROM task_instance t WHERE (LOWER(t.state) LIKE $1 ESCAPE '' OR LOWER(t.state) LIKE $2 ESCAPE '') \
             ORDER BY t.run, t.task_id LIMIT 1 OFFSET 0"
        );
        let nothing = Listing::first(1).and(&STATE, Test::OneOf(Vec::new()));
        assert!(sql(DbBackend::Postgres, &nothing)[0].contains("WHERE 1 = 0"));
    }
}
