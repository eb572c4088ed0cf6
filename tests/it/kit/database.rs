//! A database of a test's own on the Postgres server that the tests may use, dropped afterwards.

use std::process::Command;

pub struct Database {
    server: String,
    name: String,
}

impl Database {
    pub fn create() -> Self {
        let server = std::env::var("UPDRAFT_TEST_POSTGRES");
        let server = server.unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
        let name = format!("updraft_it_{}_{:08x}", std::process::id(), fastrand::u32(..));
        let database = Self { server, name };
        database.execute(&format!("CREATE DATABASE {}", database.name)).unwrap_or_else(|why| {
            panic!("these tests need Postgres; name one with UPDRAFT_TEST_POSTGRES ({}): {why}", database.server)
        });
        database
    }

    fn execute(&self, sql: &str) -> Result<(), String> {
        let psql =
            Command::new("psql").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql]).arg(&self.server).output();
        let psql = psql.map_err(|why| format!("psql: {why}"))?;
        if psql.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&psql.stderr).into_owned()) }
    }

    pub fn url(&self) -> String {
        let (rest, _) = self.server.rsplit_once('/').expect("a URL ends in a database");
        format!("{rest}/{}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(why) = self.execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)) {
            eprintln!("the database {} is left behind: {why}", self.name);
        }
    }
}
