//! The address of a database in SQLAlchemy's spellings, as a typed value that never shows its password.
//! Nothing here connects to anything.

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;

use crate::domain::problem::did_you_mean;

use super::secret::{MASK, Secret};

/// Which database, and where.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum DatabaseUrl {
    /// A file. The path is as it was written; [`DatabaseUrl::below`] makes it absolute.
    Sqlite {
        path: PathBuf,
    },
    Postgres(Server),
    Mysql(Server),
}

/// A database that is reached over the network or a socket.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Server {
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// `None`: the machine itself, or a socket named by the option `host`.
    pub host: Option<String>,
    pub port: Option<u16>,
    pub database: Option<String>,
    /// What stood behind the `?`, decoded, in order.
    pub options: Vec<(String, String)>,
}

/// Why a text is no database URL. No message shows the URL itself, since it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    #[error("expected `scheme://…`, for example `sqlite:////path/updraft.db` or `postgresql://user@host/name`")]
    NoScheme,
    #[error("unknown database `{got}` (known: sqlite, postgresql, mysql){}", hint(.meant))]
    UnknownScheme { got: String, meant: Option<&'static str> },
    #[error("`{got}` is a database of Airflow that updraft does not have (known: sqlite, postgresql, mysql)")]
    UnsupportedScheme { got: String },
    #[error(
        "a SQLite URL has three slashes before a relative path and four before an absolute one: \
         `sqlite:///updraft.db`, `sqlite:////var/lib/updraft.db`; got two"
    )]
    SqliteHost,
    #[error("an in-memory SQLite database forgets everything when the process ends; name a file")]
    InMemory,
    // What stands in the port's place may be the rest of a password, so it is not shown.
    #[error(
        "the port in the database URL is no number from 1 to 65535 \
         (if the password holds one of `@`, `/`, `?` or `:`, percent-encode it)"
    )]
    Port,
    #[error("the {part} of the database URL is not UTF-8 after percent-decoding")]
    NotUtf8 { part: &'static str },
    #[error("the database URL has an opening `[` in its host and no closing `]`")]
    Bracket,
}

fn hint(meant: &Option<&'static str>) -> String {
    meant.map_or_else(String::new, |word| format!("; did you mean `{word}`?"))
}

enum Scheme {
    Sqlite,
    Postgres,
    Mysql,
}

impl DatabaseUrl {
    /// From any spelling that SQLAlchemy, Celery's result backend (`db+…`) or libpq takes. Drivers
    /// (`+psycopg2`, `+asyncpg`, …) make no difference.
    ///
    /// # Errors
    /// When the scheme is unknown or a part cannot be read.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(DatabaseUrlError::NoScheme)?;
        match parse_scheme(scheme)? {
            Scheme::Sqlite => parse_sqlite(rest),
            Scheme::Postgres => parse_server(rest).map(Self::Postgres),
            Scheme::Mysql => parse_server(rest).map(Self::Mysql),
        }
    }

    /// The same database, a relative SQLite file lying below `folder`.
    #[must_use]
    pub fn below(self, folder: &Path) -> Self {
        match self {
            Self::Sqlite { path } => Self::Sqlite { path: folder.join(path) },
            Self::Postgres(server) => Self::Postgres(server),
            Self::Mysql(server) => Self::Mysql(server),
        }
    }

    /// The URL that sqlx (and SeaORM) understands, password included: hand it to a connection, never to a log.
    /// A SQLite file is created when it is missing.
    pub fn sqlx_url(&self) -> Secret {
        Secret::new(match self {
            Self::Sqlite { path } => {
                format!("sqlite://{}?mode=rwc", utf8_percent_encode(&path.to_string_lossy(), IN_PATH))
            }
            Self::Postgres(server) => server.url("postgres", |password| encode(password.reveal())),
            Self::Mysql(server) => server.url("mysql", |password| encode(password.reveal())),
        })
    }
}

fn parse_scheme(scheme: &str) -> Result<Scheme, DatabaseUrlError> {
    let lower = scheme.to_lowercase();
    let plain = lower.strip_prefix("db+").unwrap_or(&lower);
    let dialect = plain.split_once('+').map_or(plain, |(dialect, _driver)| dialect);
    match dialect {
        "sqlite" | "sqlite3" => Ok(Scheme::Sqlite),
        "postgresql" | "postgres" => Ok(Scheme::Postgres),
        "mysql" | "mariadb" => Ok(Scheme::Mysql),
        "mssql" | "oracle" | "cockroachdb" | "redshift" => {
            Err(DatabaseUrlError::UnsupportedScheme { got: dialect.to_owned() })
        }
        _ => Err(DatabaseUrlError::UnknownScheme {
            got: scheme.to_owned(),
            meant: did_you_mean(dialect, ["sqlite", "postgresql", "mysql"]),
        }),
    }
}

fn parse_sqlite(rest: &str) -> Result<DatabaseUrl, DatabaseUrlError> {
    let path = rest.split_once('?').map_or(rest, |(path, _options)| path);
    if path.is_empty() || path == "/" || path == "/:memory:" || path == ":memory:" {
        return Err(DatabaseUrlError::InMemory);
    }
    // Three slashes: what follows the third is relative, and a fourth makes it absolute.
    let path = path.strip_prefix('/').ok_or(DatabaseUrlError::SqliteHost)?;
    Ok(DatabaseUrl::Sqlite { path: PathBuf::from(path) })
}

fn parse_server(rest: &str) -> Result<Server, DatabaseUrlError> {
    let (main, options) = rest.split_once('?').unwrap_or((rest, ""));
    // The last `@` ends the credentials, so that a password with an `@` or a `/` in it is read as it was meant.
    let (credentials, rest) = main.rsplit_once('@').map_or((None, main), |(before, after)| (Some(before), after));
    let (address, database) = rest.split_once('/').map_or((rest, ""), |(address, database)| (address, database));
    let (host, port) = parse_address(address)?;
    let (user, password) = match credentials {
        None => (None, None),
        Some(credentials) => match credentials.split_once(':') {
            None => (Some(decode("user", credentials)?), None),
            Some((user, password)) => (Some(decode("user", user)?), Some(Secret::new(decode("password", password)?))),
        },
    };
    let options = options
        .split('&')
        .filter(|option| !option.is_empty())
        .map(|option| {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            Ok((decode("options", &name.replace('+', " "))?, decode("options", &value.replace('+', " "))?))
        })
        .collect::<Result<_, _>>()?;
    Ok(Server {
        user: user.filter(|user| !user.is_empty()),
        password,
        host,
        port,
        database: Some(decode("name", database)?).filter(|name| !name.is_empty()),
        options,
    })
}

fn parse_address(address: &str) -> Result<(Option<String>, Option<u16>), DatabaseUrlError> {
    let (host, port) = match address.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']').ok_or(DatabaseUrlError::Bracket)?;
            (host, port.strip_prefix(':'))
        }
        None => address.rsplit_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    let port = port.filter(|port| !port.is_empty()).map(|port| match port.parse() {
        Ok(0) | Err(_) => Err(DatabaseUrlError::Port),
        Ok(port) => Ok(port),
    });
    Ok((Some(decode("host", host)?).filter(|host| !host.is_empty()), port.transpose()?))
}

fn decode(part: &'static str, text: &str) -> Result<String, DatabaseUrlError> {
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| DatabaseUrlError::NotUtf8 { part })
}

/// What would end a path, or be decoded out of it.
const IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#');

/// Everything but letters, digits and the unreserved marks.
const IN_PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, IN_PART).to_string()
}

impl Server {
    fn url(&self, scheme: &str, show: impl Fn(&Secret) -> String) -> String {
        let mut url = format!("{scheme}://");
        if let Some(user) = &self.user {
            url.push_str(&encode(user));
        }
        if let Some(password) = &self.password {
            url.push(':');
            url.push_str(&show(password));
        }
        if self.user.is_some() || self.password.is_some() {
            url.push('@');
        }
        match &self.host {
            Some(host) if host.contains(':') => url.push_str(&format!("[{host}]")),
            Some(host) => url.push_str(&encode(host)),
            // A URL needs some host; an option `host` still overrides it.
            None => url.push_str("localhost"),
        }
        if let Some(port) = self.port {
            url.push_str(&format!(":{port}"));
        }
        url.push('/');
        if let Some(database) = &self.database {
            url.push_str(&encode(database));
        }
        for (n, (name, value)) in self.options.iter().enumerate() {
            url.push(if n == 0 { '?' } else { '&' });
            let name = spelt_for_sqlx(scheme, name);
            let value = if name.to_lowercase().contains("pass") { show(&Secret::new(value)) } else { encode(value) };
            url.push_str(&format!("{}={value}", encode(name)));
        }
        url
    }
}

/// Options that a driver of Python spells otherwise.
fn spelt_for_sqlx<'a>(scheme: &str, name: &'a str) -> &'a str {
    match (scheme, name) {
        // asyncpg, where libpq and sqlx say `sslmode`.
        ("postgres" | "postgresql", "ssl") => "sslmode",
        // mysqlclient and PyMySQL.
        ("mysql", "unix_socket") => "socket",
        ("mysql", "ssl_mode") => "ssl-mode",
        ("mysql", "ssl_ca") => "ssl-ca",
        ("mysql", "ssl_cert") => "ssl-cert",
        ("mysql", "ssl_key") => "ssl-key",
        _ => name,
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url("server", |_| MASK.to_owned()))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => write!(f, "sqlite:///{}", path.display()),
            Self::Postgres(server) => f.write_str(&server.url("postgresql", |_| MASK.to_owned())),
            Self::Mysql(server) => f.write_str(&server.url("mysql", |_| MASK.to_owned())),
        }
    }
}

impl TryFrom<String> for DatabaseUrl {
    type Error = DatabaseUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_becomes_the_url_that_sqlx_understands() {
        for (text, sqlx) in [
            ("sqlite:////var/lib/updraft.db", "sqlite:///var/lib/updraft.db?mode=rwc"),
            ("sqlite:///airflow.db", "sqlite:///home/airflow.db?mode=rwc"),
            ("sqlite+aiosqlite:////a b/c#1.db?timeout=5", "sqlite:///a%20b/c%231.db?mode=rwc"),
            ("postgresql+psycopg2://airflow:airflow@postgres/airflow", "postgres://airflow:airflow@postgres/airflow"),
            ("postgresql+asyncpg://u:p@h:5433/db?ssl=require", "postgres://u:p@h:5433/db?sslmode=require"),
            ("postgresql://u@h/db", "postgres://u@h/db"),
            ("postgres://h/db", "postgres://h/db"),
            ("POSTGRESQL://h/db", "postgres://h/db"),
            ("db+postgresql://u:p@h/db", "postgres://u:p@h/db"),
            ("postgresql://u:p%40ss%2Fw@h/db", "postgres://u:p%40ss%2Fw@h/db"),
            ("postgresql://u:p@ss/w@h/db?sslmode=disable", "postgres://u:p%40ss%2Fw@h/db?sslmode=disable"),
            ("postgresql://u:p@h/db?application_name=a@b", "postgres://u:p@h/db?application_name=a%40b"),
            ("postgresql://u:p@[::1]:5432/db", "postgres://u:p@[::1]:5432/db"),
            ("postgresql:///db?host=/run/postgresql", "postgres://localhost/db?host=%2Frun%2Fpostgresql"),
            ("mysql+mysqldb://u:p@h:3306/db?charset=utf8mb4", "mysql://u:p@h:3306/db?charset=utf8mb4"),
            ("mariadb+pymysql://h/db", "mysql://h/db"),
            ("mysql+pymysql://u@h/db?ssl_ca=/ca.pem", "mysql://u@h/db?ssl-ca=%2Fca.pem"),
            (
                "mysql:///db?unix_socket=/run/mysqld/mysqld.sock",
                "mysql://localhost/db?socket=%2Frun%2Fmysqld%2Fmysqld.sock",
            ),
        ] {
            let url = DatabaseUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(url.below(Path::new("/home")).sqlx_url().reveal(), sqlx, "{text}");
        }
    }

    #[test]
    fn a_url_is_understood_by_sqlx_as_it_was_meant() {
        let url = DatabaseUrl::parse("postgresql+psycopg2://us%20er:p@s:s@db.example:6543/my%2Fdb").unwrap();
        let DatabaseUrl::Postgres(server) = &url else { panic!("{url:?}") };
        assert_eq!(server.user.as_deref(), Some("us er"));
        assert_eq!(server.password.as_ref().map(Secret::reveal), Some("p@s:s"));
        assert_eq!(server.host.as_deref(), Some("db.example"));
        assert_eq!(server.port, Some(6543));
        assert_eq!(server.database.as_deref(), Some("my/db"));
    }

    #[test]
    fn a_password_is_never_shown() {
        for text in
            ["postgresql://ann:hunter2@h/db", "mysql://ann:hunter2@h/db", "postgres://ann@h/db?sslpassword=hunter2"]
        {
            let url = DatabaseUrl::parse(text).unwrap();
            for shown in [url.to_string(), format!("{url:?}"), format!("{url:#?}"), format!("{:?}", url.sqlx_url())] {
                assert!(!shown.contains("hunter2"), "{shown}");
            }
            assert!(url.to_string().contains("***") && url.to_string().contains("ann"), "{url}");
        }
        assert_eq!(DatabaseUrl::parse("sqlite:////a/b.db").unwrap().to_string(), "sqlite:////a/b.db");
    }

    #[test]
    fn what_is_no_database_url_says_why_and_keeps_the_password_to_itself() {
        for (text, part) in [
            ("hunter2", "expected `scheme://"),
            ("postgressql://u:hunter2@h/db", "did you mean `postgresql`?"),
            ("sqlit:////a.db", "did you mean `sqlite`?"),
            ("redis://:hunter2@h/0", "unknown database `redis` (known: sqlite, postgresql, mysql)"),
            ("mssql+pyodbc://u:hunter2@h/db", "does not have"),
            ("sqlite://a.db", "three slashes"),
            ("sqlite://", "forgets everything"),
            ("sqlite:///:memory:", "forgets everything"),
            ("postgresql://u:hunter2@h:0/db", "1 to 65535"),
            ("postgresql://u:p@h:54x/db", "1 to 65535"),
            ("postgresql://u:hunter2?/@h/db", "1 to 65535"),
            ("postgresql://u:hunter2/?@h/db", "percent-encode it"),
            ("postgresql://u:hunter2%ff@h/db", "password of the database URL is not UTF-8"),
            ("postgresql://u:hunter2@[::1/db", "closing `]`"),
        ] {
            let message = DatabaseUrl::parse(text).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_percent_encoded_comes_back_and_the_password_stays_hidden(
            user in "\\PC{1,12}", password in "[a-z]{3}\\PC{1,12}QzX", name in "\\PC{1,12}",
        ) {
            let text = format!("postgresql://{}:{}@host:5432/{}", encode(&user), encode(&password), encode(&name));
            let url = DatabaseUrl::parse(&text).unwrap();
            let shown = format!("{url} {url:?}");
            proptest::prop_assert!(!shown.contains("QzX"));
            let again = DatabaseUrl::parse(url.sqlx_url().reveal()).unwrap();
            proptest::prop_assert_eq!(&again, &url);
            let DatabaseUrl::Postgres(server) = again else { panic!("{url}") };
            proptest::prop_assert_eq!(server.user, Some(user));
            proptest::prop_assert_eq!(server.password, Some(Secret::new(password)));
            proptest::prop_assert_eq!(server.database, Some(name));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(sqlite|postgresql|mysql|x)?(:|//|/|@|\\[|\\]|\\?|&|=|%|é|a1){0,12}") {
            let _ = DatabaseUrl::parse(&text);
        }
    }
}
