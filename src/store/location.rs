//! Which database: parsed once from its URL, and shown to people without its password.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sea_orm::sqlx::mysql::MySqlConnectOptions;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;

use super::error::StoreError;

/// A database, by what its driver needs to reach it.
#[derive(Clone)]
pub(super) enum Location {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
    /// MariaDB too.
    Mysql(Box<MySqlConnectOptions>),
}

impl Location {
    /// Understands `sqlite:///absolute/path.db`, and `postgres://` and `mysql://` with `user:password@host:port/database`.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
        match scheme {
            "sqlite" => {
                // Every connection would get a memory of its own.
                if url.contains(":memory:") || url.contains("mode=memory") {
                    return Err(StoreError::BadUrl {
                        why: "a database in memory cannot be shared by the connections of a node; name a file".into(),
                    });
                }
                let options = SqliteConnectOptions::from_str(url).map_err(|_| malformed(scheme))?;
                if options.get_filename().as_os_str().is_empty() {
                    return Err(malformed(scheme));
                }
                Ok(Self::Sqlite(Box::new(options)))
            }
            "postgres" | "postgresql" => {
                let options = PgConnectOptions::from_str(url).map_err(|_| malformed(scheme))?;
                Ok(Self::Postgres(Box::new(options)))
            }
            "mysql" | "mariadb" => {
                let options = MySqlConnectOptions::from_str(url).map_err(|_| malformed(scheme))?;
                if options.get_database().is_none() {
                    return Err(StoreError::BadUrl {
                        why: "it names no database; expected mysql://user:password@host:3306/database".to_owned(),
                    });
                }
                Ok(Self::Mysql(Box::new(options)))
            }
            other => Err(StoreError::BadUrl { why: unknown_scheme(other) }),
        }
    }

    /// The file of a database that is one.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(options) => Some(options.get_filename().to_path_buf()),
            Self::Postgres(_) | Self::Mysql(_) => None,
        }
    }

    pub fn user(&self) -> String {
        match self {
            Self::Sqlite(_) => String::new(),
            Self::Postgres(options) => options.get_username().to_owned(),
            Self::Mysql(options) => options.get_username().to_owned(),
        }
    }

    /// Without a name, Postgres takes the user's.
    pub fn database(&self) -> String {
        match self {
            Self::Sqlite(options) => options.get_filename().display().to_string(),
            Self::Postgres(options) => options.get_database().unwrap_or(options.get_username()).to_owned(),
            Self::Mysql(options) => options.get_database().unwrap_or_default().to_owned(),
        }
    }

    /// What a person does who has no such database yet.
    pub fn how_to_create(&self) -> String {
        match self {
            Self::Sqlite(_) => "updraft db migrate".to_owned(),
            Self::Postgres(_) => format!("createdb {}", self.database()),
            Self::Mysql(_) => format!("CREATE DATABASE {} CHARACTER SET utf8mb4", self.database()),
        }
    }

    /// `host:port`, or the folder of the socket.
    pub fn server(&self) -> String {
        match self {
            Self::Sqlite(_) => "this machine".to_owned(),
            Self::Postgres(options) => match options.get_socket() {
                Some(socket) => socket.display().to_string(),
                None => format!("{}:{}", options.get_host(), options.get_port()),
            },
            Self::Mysql(options) => match options.get_socket() {
                Some(socket) => socket.display().to_string(),
                None => format!("{}:{}", options.get_host(), options.get_port()),
            },
        }
    }
}

fn malformed(scheme: &str) -> StoreError {
    let expected = match scheme {
        "sqlite" => "sqlite:///absolute/path.db",
        "mysql" | "mariadb" => {
            "mysql://user:password@host:3306/database, with special characters in the password percent-encoded"
        }
        _ => "postgres://user:password@host:5432/database, with special characters in the password percent-encoded",
    };
    // The URL itself may hold a password, so it is not repeated.
    StoreError::BadUrl { why: format!("the URL is malformed; expected {expected}") }
}

fn unknown_scheme(scheme: &str) -> String {
    let known = "known: sqlite:///absolute/path.db, and postgres:// or mysql:// with user:password@host/database";
    match scheme {
        "" => format!("the URL does not begin with the kind of database ({known})"),
        other => format!("`{}` is no kind of database that this version knows ({known})", other.escape_debug()),
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(options) => write!(f, "the database {}", options.get_filename().display()),
            Self::Postgres(_) => {
                write!(f, "the Postgres database `{}` at {}", self.database(), self.server())
            }
            Self::Mysql(_) => {
                write!(f, "the MySQL database `{}` at {}", self.database(), self.server())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_shown_without_its_password() {
        let location = Location::parse("postgres://me:s3cret@db.example:5433/flows").expect("a URL");
        assert_eq!(location.to_string(), "the Postgres database `flows` at db.example:5433");
        let location = Location::parse("mysql://me:s3cret@db.example:3307/flows").expect("a URL");
        assert_eq!(location.to_string(), "the MySQL database `flows` at db.example:3307");
        let file = Location::parse("sqlite:///var/lib/u.db").expect("a URL");
        assert_eq!(file.to_string(), "the database /var/lib/u.db");
    }

    #[test]
    fn a_wrong_url_says_what_was_expected_and_keeps_the_password() {
        for url in [
            "oracle://me:s3cret@h/d",
            "mysql://me:s3cret@h",
            "mysql://me:s3cret@h:x/d",
            "postgres://me:s3cret@h:port/d",
            "s3cret",
            "sqlite::memory:",
        ] {
            let error = Location::parse(url).err().expect("refused").to_string();
            assert!(!error.contains("s3cret") || url == "s3cret", "{error}");
            assert!(error.starts_with("cannot use the database URL"), "{error}");
        }
    }
}
