//! `updraft pools …`: how many tasks may be at once at what they share.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::domain::ids::PoolName;
use crate::domain::problem::suggestion;
use crate::domain::python_json::python_json_text;
use crate::node::client::Client;
use crate::protocol::control::{Control, Pool};
use crate::store::write::PoolRow;

use super::arguments::Output;
use super::error::CliError;
use super::output::{Cell, Rows};
use super::session::Session;

/// Limit how many tasks may run at once, across DAGs.
#[derive(Clone, Debug, Args)]
pub struct PoolsCommand {
    #[command(subcommand)]
    action: PoolsAction,
}

#[derive(Clone, Debug, Subcommand)]
enum PoolsAction {
    /// List all pools.
    #[command(after_help = "Example:\n  updraft pools list -o json")]
    List(Output),
    /// Show one pool.
    #[command(after_help = "Example:\n  updraft pools get etl")]
    Get {
        pool: PoolName,
        #[command(flatten)]
        output: Output,
    },
    /// Make a pool, or change it; takes effect at once.
    #[command(after_help = "Example:\n  updraft pools set etl 8 \"What the warehouse bears\"")]
    Set(Set),
    /// Remove a pool: its tasks wait until there is one of that name again.
    #[command(after_help = "Example:\n  updraft pools delete etl")]
    Delete { pool: PoolName },
    /// Set the pools of a JSON file.
    #[command(after_help = "Example:\n  updraft pools import pools.json")]
    Import { file: PathBuf },
    /// Write all pools to a JSON file; `-` is stdout.
    #[command(after_help = "Example:\n  updraft pools export pools.json")]
    Export { file: PathBuf },
}

#[derive(Clone, Debug, Args)]
struct Set {
    pool: PoolName,
    /// -1 is no limit.
    #[arg(allow_hyphen_values = true)]
    slots: i32,
    description: String,
    /// Deferred tasks hold their slots too.
    #[arg(long)]
    include_deferred: bool,
}

/// A pool in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    slots: i32,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    include_deferred: bool,
}

impl PoolsCommand {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.client().await?;
        match self.action {
            PoolsAction::List(output) => show(session, client.store.pools().await?, output),
            PoolsAction::Get { pool, output } => {
                let row = existing(&client, &pool).await?;
                show(session, vec![row], output)
            }
            PoolsAction::Set(Set { pool, slots, description, include_deferred }) => {
                set(session, &client, Pool { name: pool.clone(), slots, description, include_deferred }).await?;
                Ok(writeln!(session.out, "Pool {pool} created")?)
            }
            PoolsAction::Delete { pool } => {
                let user = session.user().map(str::to_owned);
                client.control(&Control::DeletePool { pool: pool.clone() }, user.as_deref()).await?.pool_deleted()?;
                Ok(writeln!(session.out, "Pool {pool} deleted")?)
            }
            PoolsAction::Import { file } => import(session, &client, &file).await,
            PoolsAction::Export { file } => export(session, &client, &file).await,
        }
    }
}

async fn set(session: &Session, client: &Client, pool: Pool) -> Result<(), CliError> {
    Ok(client.control(&Control::SetPool(pool), session.user()).await?.pool_set()?)
}

async fn existing(client: &Client, pool: &PoolName) -> Result<PoolRow, CliError> {
    let pools = client.store.pools().await?;
    let hint = suggestion(pool.as_str(), pools.iter().map(|row| row.name.as_str()));
    let found = pools.into_iter().find(|row| row.name == *pool);
    found.ok_or_else(|| CliError::failed(format!("Pool {pool} does not exist")).hint(hint))
}

fn show(session: &mut Session, pools: Vec<PoolRow>, output: Output) -> Result<(), CliError> {
    let mut rows = Rows::new(["pool", "slots", "description", "include_deferred"]);
    for row in pools {
        rows.push([
            row.name.as_str().into(),
            i64::from(row.slots).into(),
            Cell::Text(row.description),
            row.include_deferred.into(),
        ]);
    }
    Ok(rows.write(output.format, &mut session.out)?)
}

async fn import(session: &mut Session, client: &Client, file: &Path) -> Result<(), CliError> {
    let shown = file.display();
    let text = fs::read_to_string(file)
        .map_err(|why| CliError::failed(format!("cannot read the pools file {shown}: {why}")))?;
    let object: Map<String, Value> = serde_json::from_str(&text).map_err(|why| {
        CliError::failed(format!("{shown}: expected a JSON object of pools: {why}"))
            .hint("{\"etl\": {\"slots\": 8, \"description\": \"\"}}".to_owned())
    })?;
    // All are read before the first is set: a mistake in the last one changes nothing.
    let mut pools = Vec::with_capacity(object.len());
    for (name, value) in object {
        let name = PoolName::new(&name).map_err(|invalid| CliError::failed(format!("{shown}: {invalid}")))?;
        let Written { slots, description, include_deferred } = serde_json::from_value(value)
            .map_err(|why| CliError::failed(format!("{shown}: pool {name}: {}", said(&why))))?;
        pools.push(Pool { name, slots, description: description.unwrap_or_default(), include_deferred });
    }
    let count = pools.len();
    for pool in pools {
        set(session, client, pool).await?;
    }
    Ok(writeln!(session.out, "Uploaded {count} pool(s)")?)
}

async fn export(session: &mut Session, client: &Client, file: &Path) -> Result<(), CliError> {
    let pools = client.store.pools().await?;
    let count = pools.len();
    let object = |row: PoolRow| {
        let value =
            json!({"slots": row.slots, "description": row.description, "include_deferred": row.include_deferred});
        (row.name.as_str().to_owned(), value)
    };
    let text = python_json_text(&Value::Object(pools.into_iter().map(object).collect()));
    if file == Path::new("-") {
        return Ok(writeln!(session.out, "{text}")?);
    }
    fs::write(file, text + "\n").map_err(|why| CliError::failed(format!("cannot write {}: {why}", file.display())))?;
    Ok(writeln!(session.out, "Exported {count} pools to {}", file.display())?)
}

/// What a JSON reader says, without a word of Rust's.
fn said(why: &serde_json::Error) -> String {
    why.to_string().replace("expected i32", "expected a whole number")
}
