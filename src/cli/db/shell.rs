//! `updraft db shell`: hands the terminal to the database's own client.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::config::{DatabaseUrl, Server};

use super::super::error::CliError;
use super::super::session::Session;

/// Returns only when the client cannot be started.
pub fn open(session: &mut Session) -> Result<(), CliError> {
    let config = session.config()?;
    session.out.flush()?;
    let mut client = client(&config.settings().database.url);
    let program = client.get_program().to_string_lossy().into_owned();
    let error = client.exec();
    let failed = CliError::failed(format!("`{program}` cannot be started: {error}"));
    Err(if error.kind() == io::ErrorKind::NotFound {
        failed.hint(format!("install {program}, the client of this database"))
    } else {
        failed
    })
}

/// The client with where to connect. A password goes by the environment, where no list of processes shows it.
fn client(url: &DatabaseUrl) -> Command {
    match url {
        DatabaseUrl::Sqlite { path } => {
            let mut client = Command::new("sqlite3");
            client.arg(path);
            client
        }
        DatabaseUrl::Postgres(server) => {
            let mut client = Command::new("psql");
            for (flag, value) in places(server, "--username", "--dbname") {
                client.arg(flag).arg(value);
            }
            if let Some(password) = &server.password {
                client.env("PGPASSWORD", password.reveal());
            }
            client
        }
        DatabaseUrl::Mysql(server) => {
            let mut client = Command::new("mysql");
            for (flag, value) in places(server, "--user", "--database") {
                client.arg(flag).arg(value);
            }
            if let Some((_, socket)) = server.options.iter().find(|(name, _)| name == "unix_socket") {
                client.arg("--socket").arg(socket);
            }
            if let Some(password) = &server.password {
                client.env("MYSQL_PWD", password.reveal());
            }
            client
        }
    }
}

fn places(server: &Server, user: &'static str, database: &'static str) -> Vec<(&'static str, String)> {
    let given = [
        ("--host", server.host.clone()),
        ("--port", server.port.map(|port| port.to_string())),
        (user, server.user.clone()),
        (database, server.database.clone()),
    ];
    given.into_iter().filter_map(|(flag, value)| Some((flag, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_no_argument() {
        let url = DatabaseUrl::parse("postgresql+psycopg2://ann:secret@db:5433/flows").expect("a URL");
        let client = client(&url);
        let words: Vec<_> = client.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        assert_eq!(words, ["--host", "db", "--port", "5433", "--username", "ann", "--dbname", "flows"]);
        assert_eq!(client.get_envs().count(), 1);
        let url = DatabaseUrl::parse("mysql://ann@/flows").expect("a URL");
        let client = super::client(&url);
        assert_eq!(client.get_program(), "mysql");
        assert!(client.get_envs().count() == 0 && client.get_args().any(|word| word == "flows"));
    }
}
