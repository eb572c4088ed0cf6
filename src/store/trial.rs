//! Tries a connection: whether the system behind it can be reached, and says how much that proves.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::domain::connection::Connection;

use super::open::{OpenOptions, Store};

/// How long a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was proven, or why it failed.
pub async fn try_connection(connection: &Connection) -> Result<String, String> {
    let host = connection.host.as_deref().filter(|host| !host.is_empty());
    match connection.conn_type.as_str() {
        "sqlite" => sqlite(connection),
        "postgres" if host.is_some_and(|host| !host.starts_with('/')) => postgres(connection).await,
        kind => match (host, connection.port.or_else(|| usual_port(connection))) {
            (Some(host), Some(port)) => reach(host, port).await,
            (None, _) => Err(format!("a connection of type `{kind}` without a host cannot be tested")),
            (Some(_), None) => Err(format!("a connection of type `{kind}` without a port cannot be tested")),
        },
    }
}

/// Only looks at the file: opening it as a database could change it.
fn sqlite(connection: &Connection) -> Result<String, String> {
    let named = [&connection.host, &connection.schema].into_iter().flatten().find(|path| !path.is_empty());
    let path = named.ok_or("the connection names no file")?;
    // `sqlite:///tmp/x.db` has the path without its slash in the schema.
    let path = if path.starts_with('/') { path.clone() } else { format!("/{path}") };
    let mut head = [0; 16];
    let read = File::open(&path).and_then(|mut file| file.read(&mut head)).map_err(|why| format!("{path}: {why}"))?;
    // A new database is an empty file.
    if read == 0 || head == *b"SQLite format 3\0" {
        Ok(format!("{path} is an SQLite database"))
    } else {
        Err(format!("{path} is not an SQLite database"))
    }
}

/// Logs in.
async fn postgres(connection: &Connection) -> Result<String, String> {
    let quote =
        |text: &Option<String>| utf8_percent_encode(text.as_deref().unwrap_or_default(), NON_ALPHANUMERIC).to_string();
    let host = connection.host.as_deref().unwrap_or_default();
    let (login, password, database) =
        (quote(&connection.login), quote(&connection.password), quote(&connection.schema));
    let user = match (login.as_str(), password.as_str()) {
        ("", _) => String::new(),
        (login, "") => format!("{login}@"),
        (login, password) => format!("{login}:{password}@"),
    };
    let url = format!("postgres://{user}{host}:{}/{database}", connection.port.unwrap_or(5432));
    let options = OpenOptions { create: false, ..OpenOptions::new(url) };
    let store = Store::open(&options).await.map_err(|why| why.to_string())?;
    let said = format!("logged in to {}", store.describe());
    // It answered: how the connection ends no longer matters.
    drop(store.close().await);
    Ok(said)
}

async fn reach(host: &str, port: u16) -> Result<String, String> {
    let host = host.split_once("://").map_or(host, |(_, host)| host);
    match timeout(PATIENCE, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(format!("{host} accepts connections on port {port}; nothing else was tried")),
        Ok(Err(why)) => Err(format!("{host}, port {port}: {why}")),
        Err(_) => Err(format!("{host}, port {port}: no answer within {} s", PATIENCE.as_secs())),
    }
}

fn usual_port(connection: &Connection) -> Option<u16> {
    let encrypted = connection.host.as_deref().is_some_and(|host| host.starts_with("https://"))
        || connection.schema.as_deref() == Some("https");
    Some(match connection.conn_type.as_str() {
        "http" if !encrypted => 80,
        "http" | "https" => 443,
        "ftp" => 21,
        "ssh" | "sftp" => 22,
        "smtp" => 25,
        "mysql" => 3306,
        "postgres" => 5432,
        "redis" => 6379,
        "amqp" | "rabbitmq" => 5672,
        _ => return None,
    })
}
