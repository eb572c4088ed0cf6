//! `updraft connections …`: how to reach systems outside.

mod file;
mod test;

use std::io::Write;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use serde_json::Value;

use crate::config::Era;
use crate::domain::connection::{Connection, normal_type};
use crate::domain::ids::ConnectionId;
use crate::domain::problem::suggestion;
use crate::domain::secret::{MASK, Sensitive, masked};
use crate::store::Vault;

use super::arguments::Output;
use super::error::CliError;
use super::output::{Cell, Rows};
use super::session::Session;

/// Keep the addresses and passwords of systems that tasks use, secrets encrypted.
#[derive(Clone, Debug, Args)]
pub struct ConnectionsCommand {
    #[command(subcommand)]
    action: ConnectionsAction,
}

#[derive(Clone, Debug, Subcommand)]
enum ConnectionsAction {
    /// List all connections.
    #[command(after_help = "Examples:\n  updraft connections list\n  updraft connections list --conn-id db -o json")]
    List(List),
    /// Show one connection.
    #[command(
        after_help = "Examples:\n  updraft connections get db\n  updraft connections get db --show-values -o json"
    )]
    Get(Get),
    /// Keep a new connection.
    #[command(
        after_help = "Examples:\n  updraft connections add db --conn-uri postgres://ann:secret@db.example:5432/flows\n  updraft connections add api --conn-type http --conn-host api.example.com"
    )]
    Add(Box<Add>),
    /// Remove a connection.
    #[command(after_help = "Example:\n  updraft connections delete db")]
    Delete { conn_id: ConnectionId },
    /// Keep the connections of a JSON, YAML or .env file.
    #[command(after_help = "Example:\n  updraft connections import connections.json --overwrite")]
    Import(file::Import),
    /// Write all connections to a file, secrets included; `-` is stdout.
    #[command(
        after_help = "Examples:\n  updraft connections export connections.json\n  updraft connections export - --file-format env"
    )]
    Export(file::Export),
    /// Try to reach the system of a connection.
    #[command(after_help = "Example:\n  updraft connections test db")]
    Test { conn_id: ConnectionId },
}

#[derive(Clone, Debug, Args)]
struct List {
    /// Only this one.
    #[arg(long)]
    conn_id: Option<String>,
    /// Show secrets too, which are masked otherwise.
    #[arg(long)]
    show_values: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Debug, Args)]
struct Get {
    conn_id: ConnectionId,
    /// Show secrets too, which are masked otherwise.
    #[arg(long)]
    show_values: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["conn_uri", "conn_json", "conn_type"])))]
struct Add {
    conn_id: ConnectionId,
    /// Everything as a URI.
    #[arg(long, value_name = "URI")]
    conn_uri: Option<String>,
    /// Everything as a JSON object.
    #[arg(long, value_name = "JSON")]
    conn_json: Option<String>,
    #[arg(long, value_name = "TYPE")]
    conn_type: Option<String>,
    #[arg(long, value_name = "TEXT")]
    conn_description: Option<String>,
    #[arg(long, value_name = "HOST", conflicts_with_all = ["conn_uri", "conn_json"])]
    conn_host: Option<String>,
    #[arg(long, value_name = "LOGIN", conflicts_with_all = ["conn_uri", "conn_json"])]
    conn_login: Option<String>,
    #[arg(long, value_name = "PASSWORD", conflicts_with_all = ["conn_uri", "conn_json"])]
    conn_password: Option<String>,
    #[arg(long, value_name = "SCHEMA", conflicts_with_all = ["conn_uri", "conn_json"])]
    conn_schema: Option<String>,
    #[arg(long, value_name = "PORT", conflicts_with_all = ["conn_uri", "conn_json"])]
    conn_port: Option<u16>,
    /// A JSON object.
    #[arg(long, value_name = "JSON", conflicts_with = "conn_json")]
    conn_extra: Option<String>,
}

/// How a file holds connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    Json,
    Yaml,
    Env,
}

const COLUMNS: [&str; 13] = [
    "id",
    "conn_id",
    "conn_type",
    "description",
    "host",
    "schema",
    "login",
    "password",
    "port",
    "is_encrypted",
    "is_extra_encrypted",
    "extra_dejson",
    "get_uri",
];

impl ConnectionsCommand {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let vault = session.vault().await?;
        match self.action {
            ConnectionsAction::List(list) => list.run(session, &vault).await,
            ConnectionsAction::Get(get) => get.run(session, &vault).await,
            ConnectionsAction::Add(add) => add.run(session, &vault).await,
            ConnectionsAction::Delete { conn_id } => match vault.delete_connection(&conn_id).await? {
                true => Ok(writeln!(session.out, "Successfully deleted connection with `conn_id`={conn_id}")?),
                false => {
                    let said = format!("Did not find a connection with `conn_id`={conn_id}");
                    Err(CliError::failed(said).hint(meant(&vault, &conn_id).await?))
                }
            },
            ConnectionsAction::Import(import) => import.run(session, &vault).await,
            ConnectionsAction::Export(export) => export.run(session, &vault).await,
            ConnectionsAction::Test { conn_id } => test::run(session, &vault, &conn_id).await,
        }
    }
}

async fn meant(vault: &Vault, id: &ConnectionId) -> Result<Option<String>, CliError> {
    let known = vault.connection_ids().await?;
    Ok(suggestion(id.as_str(), known.iter().map(String::as_str)))
}

/// A connection that has to be there, wherever it is kept.
async fn existing(vault: &Vault, id: &ConnectionId) -> Result<Connection, CliError> {
    match vault.find_connection(id).await? {
        Some(connection) => Ok(connection),
        None => Err(CliError::failed("Connection not found.").hint(meant(vault, id).await?)),
    }
}

impl List {
    async fn run(self, session: &mut Session, vault: &Vault) -> Result<(), CliError> {
        let config = session.config()?;
        let all_columns = self.show_values || config.settings().core.era == Era::Airflow2;
        let mut rows = Rows::new(COLUMNS);
        for (id, connection) in vault.connections().await? {
            if self.conn_id.as_deref().is_none_or(|wanted| wanted == id.as_str()) {
                rows.push(row(&id, &connection, self.show_values));
            }
        }
        let columns = if all_columns { &COLUMNS[..] } else { &["conn_id", "conn_type"] };
        Ok(rows.write_columns(columns, self.output.format, &mut session.out)?)
    }
}

impl Get {
    async fn run(self, session: &mut Session, vault: &Vault) -> Result<(), CliError> {
        let connection = existing(vault, &self.conn_id).await?;
        let mut rows = Rows::new(COLUMNS);
        rows.push(row(&self.conn_id, &connection, self.show_values));
        Ok(rows.write(self.output.format, &mut session.out)?)
    }
}

/// Rows have no number here: `id` is there because scripts know the column.
fn row(id: &ConnectionId, connection: &Connection, show_values: bool) -> [Cell; 13] {
    let shown = if show_values { connection.clone() } else { hidden(connection) };
    let is_set = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    let uri = shown.uri().replace(&format!(":{}@", MASK.replace('*', "%2A")), &format!(":{MASK}@"));
    [
        Cell::Nothing,
        id.as_str().into(),
        shown.conn_type.as_str().into(),
        shown.description.clone().into(),
        shown.host.clone().into(),
        shown.schema.clone().into(),
        shown.login.clone().into(),
        shown.password.clone().into(),
        shown.port.map(i64::from).into(),
        is_set(&connection.password).into(),
        is_set(&connection.extra).into(),
        Value::Object(shown.extra_object().unwrap_or_default()).into(),
        uri.into(),
    ]
}

/// The same connection with its secrets masked. An extra that is no object is masked whole.
fn hidden(connection: &Connection) -> Connection {
    let mut hidden = connection.clone();
    if hidden.password.as_deref().is_some_and(|password| !password.is_empty()) {
        hidden.password = Some(MASK.to_owned());
    }
    hidden.extra = connection.extra.as_ref().map(|_| match connection.extra_object() {
        Some(extra) => masked(&Sensitive::default(), &Value::Object(extra)).to_string(),
        None => MASK.to_owned(),
    });
    hidden
}

impl Add {
    async fn run(self, session: &mut Session, vault: &Vault) -> Result<(), CliError> {
        let config = session.config()?;
        let era = config.settings().core.era;
        let id = self.conn_id.clone();
        let connection = self.connection()?;
        if !vault.add_connection(&id, &connection).await? {
            return Err(CliError::failed(format!("A connection with `conn_id`={id} already exists."))
                .hint(format!("`updraft connections delete {id}` makes room for it")));
        }
        let shown = hidden(&connection);
        match era {
            Era::Airflow2 => {
                let uri = Connection { extra: None, ..shown }.uri().replace("%2A", "*");
                writeln!(session.out, "Successfully added `conn_id`={id} : {uri}")?;
            }
            Era::Airflow3 => {
                writeln!(session.out, "Successfully added `conn_id`={id}")?;
                let mut rows = Rows::new(["conn_id", "conn_type", "host", "login", "port", "extra"]);
                rows.push([
                    id.as_str().into(),
                    shown.conn_type.into(),
                    shown.host.into(),
                    shown.login.into(),
                    shown.port.map(i64::from).into(),
                    shown.extra.into(),
                ]);
                rows.write(super::output::OutputFormat::Table, &mut session.out)?;
            }
        }
        Ok(())
    }

    fn connection(self) -> Result<Connection, CliError> {
        let invalid = |flag: &str, why: String| CliError::usage(format!("{flag}: {why}"));
        let mut connection = match (self.conn_uri, self.conn_json) {
            (Some(uri), _) => Connection::from_uri(&uri).map_err(|why| invalid("--conn-uri", why.to_string()))?,
            (None, Some(json)) => {
                Connection::from_json(&json).map_err(|why| invalid("--conn-json", why.to_string()))?
            }
            (None, None) => Connection {
                conn_type: normal_type(&self.conn_type.unwrap_or_default()),
                description: None,
                host: self.conn_host,
                login: self.conn_login,
                password: self.conn_password,
                schema: self.conn_schema,
                port: self.conn_port,
                extra: None,
            },
        };
        if let Some(description) = self.conn_description {
            connection.description = Some(description);
        }
        if let Some(extra) = self.conn_extra {
            let read: Result<serde_json::Map<String, Value>, _> = serde_json::from_str(&extra);
            read.map_err(|error| {
                let place = format!("line {}, column {}", error.line(), error.column());
                invalid("--conn-extra", format!("expected a JSON object such as {{\"timeout\": 5}}: {place}"))
            })?;
            connection.extra = Some(extra);
        }
        if connection.conn_type.is_empty() {
            return Err(invalid("--conn-type", "expected a type such as postgres, got nothing".to_owned()));
        }
        Ok(connection)
    }
}
