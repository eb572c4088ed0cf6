//! What MySQL and MariaDB need said that the others do not: how a session
//! behaves, which server is too old, and how placeholders are spelt.
//!
//! One text serves both servers: what stands in `/*M! … */` MariaDB alone
//! executes, what stands in `/*!80000 … */` MySQL alone.

use std::time::Duration;

use sea_orm::sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPool, MySqlPoolOptions};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use sea_orm::{DatabaseConnection, DbBackend};

use super::error::StoreError;
use super::location::Location;
use super::nodelay::send_at_once;
use super::open::{ACQUIRE_TIMEOUT, CONNECT_TIMEOUT, OpenOptions, STATEMENT_CACHE};

/// A value that does not fit is refused, never cut to size, whatever the server's default is.
const STRICT: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'";
/// What is read has been committed; a statement sees what is there when it begins.
const READ_COMMITTED: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
const READ_ONLY: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY";
/// While tables change, nobody else may change them; the session's end gives this back.
const ONE_AT_A_TIME: &str = "DO GET_LOCK(CONCAT('updraft.', SHA1(DATABASE())), 60)";

/// The oldest versions that have what is used here: binary collations without padding, `WITH`, and
/// (MariaDB) an end to transactions that idle.
const OLDEST_MYSQL: (u32, u32) = (8, 0);
const OLDEST_MARIADB: (u32, u32) = (10, 6);

pub(super) async fn open(
    location: &Location,
    connect: &MySqlConnectOptions,
    options: &OpenOptions,
) -> Result<(DatabaseConnection, DatabaseConnection), StoreError> {
    let connect = ours(connect).statement_cache_capacity(STATEMENT_CACHE);
    let unreachable = |detail: &str| StoreError::Unreachable { server: location.server(), detail: detail.to_owned() };
    // The first connection by hand: a pool would repeat its attempts and report only that time ran out.
    let proof = async {
        let mut proof = connect.connect().await?;
        let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut proof).await?;
        proof.close().await?;
        Ok(version)
    };
    let version = tokio::time::timeout(CONNECT_TIMEOUT, proof)
        .await
        .map_err(|_| unreachable("it does not answer"))?
        .map_err(|error: sqlx::Error| location.explain_sqlx(&error))?;
    let server = Server::parse(&version);
    if server.is_too_old() {
        return Err(StoreError::ServerTooOld { server: location.server(), found: version });
    }
    let writer = with_session(connect.get_port(), writing(options.txn_timeout))
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        // MySQL ends a session that idles in a transaction only by ending every one that idles.
        .test_before_acquire(!server.is_mariadb)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(connect.clone());
    let readers = with_session(connect.get_port(), vec![STRICT.to_owned(), READ_ONLY.to_owned()])
        .max_connections(options.readers.max(1))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(connect);
    Ok((writer.into(), readers.into()))
}

/// One connection that may take its time, and that alone changes tables.
pub(super) fn for_changing_tables(connect: &MySqlConnectOptions) -> MySqlPool {
    let patient = "SET SESSION lock_wait_timeout = 60";
    let session = [STRICT, READ_COMMITTED, patient, ONE_AT_A_TIME].map(str::to_owned);
    with_session(connect.get_port(), session.into())
        .max_connections(1)
        .idle_timeout(None)
        .connect_lazy_with(ours(connect))
}

/// Text is UTF-8 and the session's clock is UTC, whatever the URL or the server say.
fn ours(connect: &MySqlConnectOptions) -> MySqlConnectOptions {
    connect.clone().charset("utf8mb4").timezone("+00:00".to_owned()).disable_statement_logging()
}

fn with_session(port: u16, session: Vec<String>) -> MySqlPoolOptions {
    MySqlPoolOptions::new().after_connect(move |connection: &mut MySqlConnection, _| {
        send_at_once(port);
        let session = session.clone();
        Box::pin(async move {
            for statement in session {
                connection.execute(AssertSqlSafe(statement)).await?;
            }
            Ok(())
        })
    })
}

/// The session of the writer: the server gives up a transaction after `db_txn_timeout`, in whole seconds.
fn writing(timeout: Duration) -> Vec<String> {
    let seconds = whole_seconds(timeout);
    // A standby may not write for days, and MariaDB ends a session after eight idle hours unless it is told otherwise.
    let idle = format!(
        "SET SESSION /*M! idle_transaction_timeout = {seconds}, wait_timeout = 31536000 */ \
         /*!80000 wait_timeout = {seconds} */"
    );
    vec![STRICT.to_owned(), READ_COMMITTED.to_owned(), patience(timeout), idle]
}

/// How long the statements of this session may wait and take.
pub(super) fn patience(timeout: Duration) -> String {
    let seconds = whole_seconds(timeout);
    format!("SET SESSION innodb_lock_wait_timeout = {seconds} /*M! , max_statement_time = {seconds} */")
}

fn whole_seconds(timeout: Duration) -> u64 {
    (timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0)).max(1)
}

/// Numbered placeholders, in their order, as this database spells them.
pub(super) fn placeholders(backend: DbBackend, sql: String) -> String {
    match backend {
        DbBackend::MySql => {
            let mut pieces = sql.split('$');
            let first = pieces.next().unwrap_or_default().to_owned();
            pieces.fold(first, |sql, piece| sql + "?" + piece.trim_start_matches(|digit: char| digit.is_ascii_digit()))
        }
        _ => sql,
    }
}

/// Which server, by what it answers to `SELECT VERSION()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Server {
    is_mariadb: bool,
    version: (u32, u32),
}

impl Server {
    fn parse(text: &str) -> Self {
        let is_mariadb = text.contains("MariaDB");
        // Old replicas were shown a version that they could bear.
        let text = text.strip_prefix("5.5.5-").filter(|_| is_mariadb).unwrap_or(text);
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
        Self { is_mariadb, version: (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) }
    }

    fn is_too_old(self) -> bool {
        self.version < if self.is_mariadb { OLDEST_MARIADB } else { OLDEST_MYSQL }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_version() {
        for (text, is_mariadb, version, too_old) in [
            ("10.11.19-MariaDB-0+deb12u1", true, (10, 11), false),
            ("5.5.5-10.5.23-MariaDB-log", true, (10, 5), true),
            ("11.4.2-MariaDB-ubu2404", true, (11, 4), false),
            ("8.0.39", false, (8, 0), false),
            ("8.4.3-commercial", false, (8, 4), false),
            ("5.7.44-log", false, (5, 7), true),
            ("what is this", false, (0, 0), true),
        ] {
            let server = Server::parse(text);
            assert_eq!((server, server.is_too_old()), (Server { is_mariadb, version }, too_old), "{text}");
        }
    }

    #[test]
    fn times_are_rounded_up_to_what_the_server_takes() {
        let seconds = |millis| whole_seconds(Duration::from_millis(millis));
        assert_eq!([seconds(0), seconds(200), seconds(2000), seconds(2001)], [1, 1, 2, 3]);
    }

    #[test]
    fn placeholders_keep_their_order() {
        let sql = || "a = $1 AND b <= $2 LIMIT $13".to_owned();
        assert_eq!(placeholders(DbBackend::MySql, sql()), "a = ? AND b <= ? LIMIT ?");
        assert_eq!(placeholders(DbBackend::Postgres, sql()), sql());
    }
}
