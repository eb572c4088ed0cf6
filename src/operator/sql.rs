//! SQL statements on Postgres, MySQL or SQLite (`SQLExecuteQueryOperator`), and the query of a sensor.

use std::str::FromStr;

use futures_util::StreamExt;
use serde_json::{Number, Value};
use sqlx::mysql::{MySqlConnectOptions, MySqlRow, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgRow, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Either, Row, TypeInfo, ValueRef};

use super::channel::Channel;
use super::placeholders::{Dialect, fill};
use super::statements::split;
use super::{End, say};
use crate::domain::connection::Connection;
use crate::domain::native::{Handler, Sql, Texts};

/// A result of more rows is no value to pass on.
const ROW_LIMIT: u64 = 10_000;

pub(super) fn run(sql: &Sql, channel: &mut Channel) -> Result<Value, End> {
    let conn_id = sql.conn_id.as_deref().unwrap_or_default();
    let connection = channel.connection(conn_id)?;
    let texts = match (&sql.sql, sql.split_statements) {
        (Texts::One(text), Some(true)) => split(text),
        (texts, _) => texts.to_vec(),
    };
    let database = Database::of(&connection, sql.database.as_deref())?;
    let job = Job {
        statements: fill_all(&texts, sql.parameters.as_ref(), database.dialect())?,
        autocommit: sql.autocommit,
        handler: sql.handler,
        row_limit: sql.row_limit.unwrap_or(ROW_LIMIT),
    };
    let mut results = database.run(&job)?;
    let one =
        matches!(sql.sql, Texts::One(_)) && (sql.return_last.unwrap_or(true) || sql.split_statements != Some(true));
    let result = if one { results.pop().unwrap_or_default() } else { Value::Array(results) };
    if sql.show_return_value_in_logs {
        say(&result.to_string());
    }
    Ok(result)
}

/// The first row of a query, for a sensor.
pub(super) fn first_row(
    connection: &Connection,
    database: Option<&str>,
    query: &str,
    parameters: Option<&Value>,
) -> Result<Option<Vec<Value>>, End> {
    let database = Database::of(connection, database)?;
    let statements = fill_all(&[query.to_owned()], parameters, database.dialect())?;
    let job = Job { statements, autocommit: true, handler: Handler::FetchOne, row_limit: u64::MAX };
    match database.run(&job)?.pop() {
        Some(Value::Array(row)) => Ok(Some(row)),
        Some(_) | None => Ok(None),
    }
}

fn fill_all(texts: &[String], parameters: Option<&Value>, dialect: Dialect) -> Result<Vec<String>, End> {
    let filled = texts.iter().map(|text| fill(text, parameters, dialect).map_err(End::FailedForGood));
    let statements: Vec<String> = filled.collect::<Result<_, _>>()?;
    if statements.iter().all(|statement| statement.trim().is_empty()) {
        return Err(End::FailedForGood("there is no SQL statement to run".to_owned()));
    }
    Ok(statements)
}

/// What is to be done on a connection.
struct Job {
    statements: Vec<String>,
    autocommit: bool,
    handler: Handler,
    row_limit: u64,
}

/// Where the connection leads.
enum Database {
    Postgres(PgConnectOptions),
    Mysql(MySqlConnectOptions),
    Sqlite(SqliteConnectOptions),
}

impl Database {
    fn of(connection: &Connection, database: Option<&str>) -> Result<Self, End> {
        let schema = database.or(connection.schema.as_deref()).filter(|name| !name.is_empty());
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let extra = connection.extra_object().unwrap_or_default();
        match connection.conn_type.as_str() {
            "postgres" => {
                let mut options = PgConnectOptions::new_without_pgpass().application_name("updraft");
                options = options.host(&text(&connection.host).unwrap_or_else(|| "localhost".to_owned()));
                options = options.port(connection.port.unwrap_or(5432));
                if let Some(login) = text(&connection.login) {
                    options = options.username(&login);
                }
                if let Some(password) = text(&connection.password) {
                    options = options.password(&password);
                }
                if let Some(schema) = schema {
                    options = options.database(schema);
                }
                if let Some(mode) = extra.get("sslmode").and_then(Value::as_str) {
                    let mode = PgSslMode::from_str(mode);
                    options = options.ssl_mode(mode.map_err(|error| End::FailedForGood(error.to_string()))?);
                }
                Ok(Self::Postgres(options))
            }
            "mysql" | "mariadb" => {
                let mut options = MySqlConnectOptions::new().charset("utf8mb4").ssl_mode(MySqlSslMode::Preferred);
                options = options.host(&text(&connection.host).unwrap_or_else(|| "localhost".to_owned()));
                options = options.port(connection.port.unwrap_or(3306));
                if let Some(login) = text(&connection.login) {
                    options = options.username(&login);
                }
                if let Some(password) = text(&connection.password) {
                    options = options.password(&password);
                }
                if let Some(schema) = schema {
                    options = options.database(schema);
                }
                Ok(Self::Mysql(options))
            }
            "sqlite" => {
                // `sqlite:///tmp/x.db` has no host and the path as its schema; Airflow writes the path as the host.
                let path = text(&connection.host).or_else(|| schema.map(|path| format!("/{path}")));
                let path = path.ok_or_else(|| End::FailedForGood("the SQLite connection names no file".to_owned()))?;
                Ok(Self::Sqlite(SqliteConnectOptions::new().filename(path).create_if_missing(true)))
            }
            other => Err(End::FailedForGood(format!(
                "a connection of type `{other}` cannot run SQL here (known: postgres, mysql, sqlite)"
            ))),
        }
    }

    fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres(_) => Dialect::Postgres,
            Self::Mysql(_) => Dialect::Mysql,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    fn run(&self, job: &Job) -> Result<Vec<Value>, End> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| End::Failed(format!("cannot start: {error}")))?;
        let done = runtime.block_on(async {
            match self {
                Self::Postgres(options) => on_postgres(options, job).await,
                Self::Mysql(options) => on_mysql(options, job).await,
                Self::Sqlite(options) => on_sqlite(options, job).await,
            }
        });
        done.map_err(|trouble| match trouble {
            Trouble::Database(error) => End::Failed(format!("the database refused: {error}")),
            Trouble::TooManyRows(limit) => End::FailedForGood(format!(
                "the statement gives more than {limit} rows, which is too much to pass on: \
                 aggregate or store them in the database, set `handler: none`, or raise `row_limit`"
            )),
        })
    }
}

enum Trouble {
    Database(sqlx::Error),
    TooManyRows(u64),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// The same for each database: sqlx's types differ, what is done does not.
macro_rules! on_database {
    ($name:ident, $options:ty, $cells:ident) => {
        async fn $name(options: &$options, job: &Job) -> Result<Vec<Value>, Trouble> {
            let mut connection = options.clone().disable_statement_logging().connect().await?;
            if !job.autocommit {
                sqlx::raw_sql("BEGIN").execute(&mut connection).await?;
            }
            let mut results = Vec::with_capacity(job.statements.len());
            for statement in job.statements.iter().filter(|statement| !statement.trim().is_empty()) {
                say(&format!("Running statement: {statement}"));
                let mut stream = sqlx::raw_sql(AssertSqlSafe(statement.clone())).fetch_many(&mut connection);
                let mut gathered = Gathered::new(statement, job);
                while let Some(step) = stream.next().await {
                    match step? {
                        Either::Left(done) => gathered.end_of_statement(done.rows_affected()),
                        Either::Right(row) => {
                            gathered.columns = row.columns().len();
                            let cells = if job.handler == Handler::None { Vec::new() } else { $cells(&row)? };
                            gathered.row(cells)?;
                        }
                    }
                }
                drop(stream);
                say(&format!("Rows affected: {}", gathered.affected));
                results.push(gathered.result());
            }
            if !job.autocommit {
                sqlx::raw_sql("COMMIT").execute(&mut connection).await?;
            }
            connection.close().await?;
            Ok(results)
        }
    };
}

on_database!(on_postgres, PgConnectOptions, postgres_cells);
on_database!(on_mysql, MySqlConnectOptions, mysql_cells);
on_database!(on_sqlite, SqliteConnectOptions, sqlite_cells);

/// The rows of one text, which may hold several statements: the last one's count.
struct Gathered<'a> {
    job: &'a Job,
    gives_rows: bool,
    columns: usize,
    rows: Vec<Value>,
    count: u64,
    is_new: bool,
    affected: u64,
}

impl<'a> Gathered<'a> {
    fn new(statement: &str, job: &'a Job) -> Self {
        Self {
            job,
            gives_rows: gives_rows(statement),
            columns: 0,
            rows: Vec::new(),
            count: 0,
            is_new: true,
            affected: 0,
        }
    }

    fn row(&mut self, cells: Vec<Value>) -> Result<(), Trouble> {
        if std::mem::take(&mut self.is_new) {
            self.rows.clear();
            self.count = 0;
        }
        self.count += 1;
        match self.job.handler {
            Handler::FetchAll if self.count > self.job.row_limit => Err(Trouble::TooManyRows(self.job.row_limit)),
            Handler::FetchOne if self.count > 1 => Ok(()),
            Handler::FetchAll | Handler::FetchOne => {
                self.rows.push(Value::Array(cells));
                Ok(())
            }
            Handler::None => Ok(()),
        }
    }

    fn end_of_statement(&mut self, affected: u64) {
        self.affected = affected;
        if self.is_new {
            self.rows.clear();
        }
        self.is_new = true;
    }

    /// `None` in Python: the statement has no rows to give.
    fn result(mut self) -> Value {
        match self.job.handler {
            Handler::None => Value::Null,
            Handler::FetchOne => self.rows.drain(..).next().unwrap_or_default(),
            Handler::FetchAll if self.rows.is_empty() && !self.gives_rows => Value::Null,
            Handler::FetchAll => Value::Array(self.rows),
        }
    }
}

/// Whether a statement that gave no row is a query without result, or none at all: its first word tells.
fn gives_rows(statement: &str) -> bool {
    const QUERIES: [&str; 8] = ["select", "with", "show", "values", "table", "explain", "pragma", "describe"];
    let last = split(statement).pop().unwrap_or_default().to_lowercase();
    QUERIES.iter().any(|word| last.starts_with(word)) || last.contains(" returning ")
}

/// Everything comes as text, and the type says how to read it.
fn postgres_cells(row: &PgRow) -> Result<Vec<Value>, sqlx::Error> {
    (0..row.columns().len())
        .map(|at| {
            let kind = row.try_get_raw(at)?.type_info().name().to_owned();
            let text: Option<String> = row.try_get_unchecked(at)?;
            Ok(text.map_or(Value::Null, |text| match kind.as_str() {
                "BOOL" => Value::Bool(text == "t"),
                "INT2" | "INT4" | "INT8" | "OID" | "FLOAT4" | "FLOAT8" => number(text),
                "JSON" | "JSONB" => serde_json::from_str(&text).unwrap_or(Value::String(text)),
                _ => Value::String(text),
            }))
        })
        .collect()
}

fn mysql_cells(row: &MySqlRow) -> Result<Vec<Value>, sqlx::Error> {
    (0..row.columns().len())
        .map(|at| {
            let kind = row.try_get_raw(at)?.type_info().name().to_owned();
            if row.try_get_raw(at)?.is_null() {
                return Ok(Value::Null);
            }
            let Ok(text) = row.try_get_unchecked::<String, _>(at) else {
                return Ok(hexadecimal(&row.try_get_unchecked::<Vec<u8>, _>(at)?));
            };
            Ok(match kind.as_str() {
                "BOOLEAN" => number(text),
                kind if kind.contains("INT") || kind == "FLOAT" || kind == "DOUBLE" => number(text),
                "JSON" => serde_json::from_str(&text).unwrap_or(Value::String(text)),
                _ => Value::String(text),
            })
        })
        .collect()
}

/// SQLite's types belong to the values, not to the columns.
fn sqlite_cells(row: &SqliteRow) -> Result<Vec<Value>, sqlx::Error> {
    (0..row.columns().len())
        .map(|at| {
            let raw = row.try_get_raw(at)?;
            if raw.is_null() {
                return Ok(Value::Null);
            }
            let kind = raw.type_info().name().to_owned();
            Ok(match kind.as_str() {
                "INTEGER" => Value::from(row.try_get_unchecked::<i64, _>(at)?),
                "REAL" => Number::from_f64(row.try_get_unchecked(at)?).map_or(Value::Null, Value::Number),
                "BLOB" => hexadecimal(&row.try_get_unchecked::<Vec<u8>, _>(at)?),
                _ => Value::String(row.try_get_unchecked(at)?),
            })
        })
        .collect()
}

/// `NaN` and infinities are no JSON numbers and stay texts.
fn number(text: String) -> Value {
    let parsed = serde_json::from_str::<Number>(&text).or_else(|_| serde_json::from_str(&normal(&text)));
    parsed.map_or(Value::String(text), Value::Number)
}

/// `-.5` and `1.` are numbers for databases.
fn normal(text: &str) -> String {
    text.parse::<f64>().map_or_else(|_| text.to_owned(), |number| number.to_string())
}

fn hexadecimal(bytes: &[u8]) -> Value {
    Value::String(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_without_rows_is_told_from_a_command() {
        for query in ["select 1", " WITH x AS (select 1) select * from x", "insert into t values (1) returning id"] {
            assert!(gives_rows(query), "{query}");
        }
        for command in ["insert into t values (1)", "create table t (a int)", "select 1; delete from t"] {
            assert!(!gives_rows(command), "{command}");
        }
    }

    #[test]
    fn numbers_are_numbers_where_json_has_them() {
        assert_eq!(number("42".to_owned()), serde_json::json!(42));
        assert_eq!(number("1.5".to_owned()), serde_json::json!(1.5));
        assert_eq!(number("NaN".to_owned()), serde_json::json!("NaN"));
    }
}
