//! What can go wrong with a database, sorted by what the reader does next.
//!
//! Drivers' errors end here. No message repeats a URL or a password.

use std::path::PathBuf;

use sea_orm::sqlx;
use sea_orm::sqlx::mysql::MySqlDatabaseError;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

use crate::domain::ids::{AttemptId, DagId, Epoch, VersionNumber};

use super::convert::Unreadable;
use super::location::Location;

/// Why the store could not do what was asked; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Mend `[database] sql_alchemy_conn`.
    #[error("cannot use the database URL: {why} (key `sql_alchemy_conn` in section `[database]`)")]
    BadUrl { why: String },
    /// Mend permissions or the path.
    #[error("cannot open the database {}: {why}", path.display())]
    CannotOpen { path: PathBuf, why: String },
    /// Point the URL at another file.
    #[error("{} is not an SQLite database: choose another file, or move this one away and run `updraft db migrate`", path.display())]
    NotADatabase { path: PathBuf },
    /// Restore a backup.
    #[error("{database} is damaged ({detail}): restore a backup, or, if it is an SQLite file, save what can be read with `sqlite3 {database_file} .recover`", database_file = file.as_ref().map_or_else(|| "FILE".to_owned(), |f| f.display().to_string()))]
    Corrupt { database: String, file: Option<PathBuf>, detail: String },
    /// Wait, or stop the other program.
    #[error("{database} is locked by another program: {detail}; try again, or stop the program that holds it")]
    Locked { database: String, detail: String },
    /// Mend user or password.
    #[error("the database server at {server} does not let user `{user}` in: {detail}")]
    WrongPassword { server: String, user: String, detail: String },
    /// Mend the host, or start the server.
    #[error("cannot reach the database server at {server}: {detail}; is it running, and is the host right?")]
    Unreachable { server: String, detail: String },
    /// Create it.
    #[error("the server at {server} has no database `{name}`: create it (`{how}`), or mend its name")]
    DatabaseMissing { server: String, name: String, how: String },
    /// Use a newer server.
    #[error("the database server at {server} is version {found}: MySQL 8.0, MariaDB 10.6 or a newer one is needed")]
    ServerTooOld { server: String, found: String },
    /// Make room.
    #[error("no room is left for {database} ({detail}): free some space, then try again")]
    Full { database: String, detail: String },
    /// `updraft db migrate`.
    #[error("{database} has no tables of ours: run `updraft db migrate`")]
    SchemaMissing { database: String },
    /// `updraft db migrate`.
    #[error("the tables of {database} are older than this program ({missing} steps behind): run `updraft db migrate`")]
    SchemaOld { database: String, missing: usize },
    /// Use a newer program.
    #[error(
        "the tables of {database} were made by a newer version of this program (step `{step}`): run that version, \
         or restore the backup from before its upgrade"
    )]
    SchemaNewer { database: String, step: String },
    /// Look at the row.
    #[error("{database} holds a row that cannot be understood: {row}")]
    Unreadable { database: String, row: Unreadable },
    /// Read what the database says.
    #[error("{database}: {detail}")]
    Failed { database: String, detail: String },
}

/// What became of a commit that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Another leads: say nothing, step down. Nothing was written.
    #[error("the leadership was taken over: epoch {current} is held by {holder}")]
    Conflict { current: Epoch, holder: String },
    /// Nothing was written; the same commit may be tried again.
    #[error("nothing was written: {0}")]
    Aborted(StoreError),
    /// Nothing was written, and the same commit would be refused again: a fault of the caller, to be reported.
    #[error("nothing was written: {0}")]
    Refused(Refused),
    /// It may or may not be written: forget everything, take a new epoch, load (PROTOCOL L3).
    #[error("it is not known whether the commit was written: {0}")]
    Unknown(StoreError),
}

impl CommitError {
    /// For whoever commits once and gives up: every way in which it was not written, as one error of the store.
    pub fn for_giving_up(self, database: String) -> StoreError {
        match self {
            Self::Aborted(error) | Self::Unknown(error) => error,
            refused @ (Self::Conflict { .. } | Self::Refused(_)) => {
                StoreError::Failed { database, detail: refused.to_string() }
            }
        }
    }
}

/// A rule that a commit would have broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("invariant I3 one_outcome: attempt {attempt} is done ({recorded}) and may not become {offered}")]
    OneOutcome { attempt: AttemptId, recorded: String, offered: String },
    #[error("version {version} of DAG `{dag}` exists with another definition, and a version is written once")]
    VersionChanged { dag: DagId, version: VersionNumber },
    /// A unique key, a missing value, a text that is too long.
    #[error("the database refuses a row: {0}")]
    Row(String),
}

/// What a driver's error means here, before the database is named.
enum Meaning {
    CannotOpen,
    NotADatabase,
    Corrupt,
    Locked,
    WrongPassword,
    Unreachable,
    DatabaseMissing,
    Full,
    SchemaMissing,
    BrokenRule,
    Other,
}

impl Location {
    /// The error for people.
    pub(super) fn explain(&self, error: &DbErr) -> StoreError {
        let detail = words(error);
        self.say(self.meaning(error), detail)
    }

    pub(super) fn explain_sqlx(&self, error: &sqlx::Error) -> StoreError {
        self.say(self.meaning_of(error), error_words(error))
    }

    pub(super) fn unreadable(&self, row: Unreadable) -> StoreError {
        StoreError::Unreadable { database: self.to_string(), row }
    }

    /// Whether the rows themselves are at fault, so that trying again cannot help.
    pub(super) fn refusal(&self, error: &DbErr) -> Option<Refused> {
        match self.meaning(error) {
            // This is how the writer has it said, see `upsert::mysql`.
            Meaning::BrokenRule if is_refused_null(error) => {
                Some(Refused::Row(format!("another one has its name or its date already ({})", words(error))))
            }
            Meaning::BrokenRule => Some(Refused::Row(words(error))),
            Meaning::CannotOpen
            | Meaning::NotADatabase
            | Meaning::Corrupt
            | Meaning::Locked
            | Meaning::WrongPassword
            | Meaning::Unreachable
            | Meaning::DatabaseMissing
            | Meaning::Full
            | Meaning::SchemaMissing
            | Meaning::Other => None,
        }
    }

    /// Whether a failed COMMIT surely wrote nothing: the server itself answered that it did not.
    pub(super) fn commit_surely_failed(&self, error: &DbErr) -> bool {
        let Some(sqlx::Error::Database(answer)) = driver_error(error) else { return false };
        let code = answer.code().unwrap_or_default();
        match self {
            // BUSY and FULL are reported before the commit record is complete; an IO error may come after it.
            Self::Sqlite(_) => matches!(sqlite_code(&code), 5 | 6 | 13),
            // Class 08 and 57P0x end the connection with the outcome in doubt; XX is the server's own trouble.
            Self::Postgres(_) => !["08", "57", "58", "XX"].iter().any(|class| code.starts_with(class)),
            // A deadlock, or a lock that did not come: then it rolled back. Others may come after the log was written.
            Self::Mysql(_) => matches!(mysql_number(answer.as_ref()), 1205 | 1213),
        }
    }

    fn meaning(&self, error: &DbErr) -> Meaning {
        match driver_error(error) {
            Some(error) => self.meaning_of(error),
            None => match error {
                DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => Meaning::Locked,
                _ => Meaning::Other,
            },
        }
    }

    fn meaning_of(&self, error: &sqlx::Error) -> Meaning {
        match error {
            sqlx::Error::Database(answer) => {
                let code = answer.code().unwrap_or_default();
                match self {
                    Self::Sqlite(_) => sqlite_meaning(&code, answer.message()),
                    Self::Postgres(_) => postgres_meaning(&code),
                    Self::Mysql(_) => mysql_meaning(mysql_number(answer.as_ref()), &code),
                }
            }
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) => match self {
                Self::Sqlite(_) => Meaning::CannotOpen,
                Self::Postgres(_) | Self::Mysql(_) => Meaning::Unreachable,
            },
            sqlx::Error::PoolTimedOut => Meaning::Locked,
            _ => Meaning::Other,
        }
    }

    fn say(&self, meaning: Meaning, detail: String) -> StoreError {
        let database = self.to_string();
        let path = || self.file().unwrap_or_default();
        match meaning {
            Meaning::CannotOpen => StoreError::CannotOpen { path: path(), why: detail },
            Meaning::NotADatabase => StoreError::NotADatabase { path: path() },
            Meaning::Corrupt => StoreError::Corrupt { database, file: self.file(), detail },
            Meaning::Locked => StoreError::Locked { database, detail },
            Meaning::WrongPassword => StoreError::WrongPassword { server: self.server(), user: self.user(), detail },
            Meaning::Unreachable => StoreError::Unreachable { server: self.server(), detail },
            Meaning::DatabaseMissing => {
                StoreError::DatabaseMissing { server: self.server(), name: self.database(), how: self.how_to_create() }
            }
            Meaning::Full => StoreError::Full { database, detail },
            Meaning::SchemaMissing => StoreError::SchemaMissing { database },
            Meaning::BrokenRule | Meaning::Other => StoreError::Failed { database, detail },
        }
    }
}

/// SQLite's primary result code; the higher bits only refine it.
fn sqlite_code(code: &str) -> i32 {
    code.parse::<i32>().unwrap_or(1) & 0xff
}

fn sqlite_meaning(code: &str, message: &str) -> Meaning {
    match sqlite_code(code) {
        1 if message.starts_with("no such table") => Meaning::SchemaMissing,
        3 | 8 | 14 | 23 => Meaning::CannotOpen,
        5 | 6 | 15 => Meaning::Locked,
        11 => Meaning::Corrupt,
        13 => Meaning::Full,
        18..=20 => Meaning::BrokenRule,
        26 => Meaning::NotADatabase,
        _ => Meaning::Other,
    }
}

fn postgres_meaning(code: &str) -> Meaning {
    match code {
        "28P01" | "28000" => Meaning::WrongPassword,
        "3D000" => Meaning::DatabaseMissing,
        "42P01" => Meaning::SchemaMissing,
        "53100" => Meaning::Full,
        "55P03" | "57014" | "40001" | "40P01" | "25P03" => Meaning::Locked,
        "53300" | "57P01" | "57P02" | "57P03" => Meaning::Unreachable,
        "XX001" | "XX002" => Meaning::Corrupt,
        _ => match code.get(..2) {
            Some("08") => Meaning::Unreachable,
            Some("22" | "23" | "54") => Meaning::BrokenRule,
            _ => Meaning::Other,
        },
    }
}

/// MySQL's own number, which is finer than the SQL state.
fn mysql_number(answer: &(dyn sqlx::error::DatabaseError + 'static)) -> u16 {
    answer.try_downcast_ref::<MySqlDatabaseError>().map_or(0, MySqlDatabaseError::number)
}

/// Whether MySQL refuses NULL where no column takes it: an upsert that must not replace a row asks for that.
pub(super) fn is_refused_null(error: &DbErr) -> bool {
    match driver_error(error) {
        Some(sqlx::Error::Database(answer)) => mysql_number(answer.as_ref()) == 1048,
        Some(_) | None => false,
    }
}

fn mysql_meaning(number: u16, state: &str) -> Meaning {
    match number {
        1044 | 1045 | 1130 | 1251 | 1698 => Meaning::WrongPassword,
        1049 => Meaning::DatabaseMissing,
        1146 => Meaning::SchemaMissing,
        1021 | 1114 => Meaning::Full,
        // 1969 and 3024: the statement took longer than it may.
        1205 | 1213 | 1317 | 1969 | 3024 => Meaning::Locked,
        // Too many sessions, a server that stops, a session that was ended.
        1040 | 1053 | 1077..=1080 | 1129 | 1152 | 1158..=1161 | 1184 | 1203 | 1927 | 4031 => Meaning::Unreachable,
        1034 | 1035 | 1194 | 1195 | 1712 => Meaning::Corrupt,
        // A value longer than `max_allowed_packet`.
        1153 => Meaning::BrokenRule,
        _ => match state.get(..2) {
            Some("22" | "23") => Meaning::BrokenRule,
            Some("08") => Meaning::Unreachable,
            _ => Meaning::Other,
        },
    }
}

fn driver_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(inner))
        | DbErr::Exec(RuntimeErr::SqlxError(inner))
        | DbErr::Query(RuntimeErr::SqlxError(inner)) => Some(inner),
        _ => None,
    }
}

fn words(error: &DbErr) -> String {
    driver_error(error).map_or_else(|| error.to_string(), error_words)
}

/// The database's own sentence, without the driver's preface.
fn error_words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(answer) => answer.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::PoolTimedOut => "no connection became free in time".to_owned(),
        other => other.to_string(),
    }
}
