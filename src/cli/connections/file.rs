//! Connections in a file: JSON, YAML, or one `id=URI` per line.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};

use crate::domain::connection::Connection;
use crate::domain::ids::ConnectionId;
use crate::domain::python_json::python_json_text;
use crate::store::Vault;

use super::super::error::CliError;
use super::super::session::Session;
use super::super::variables::{exported_to, write_secrets};
use super::FileFormat;

#[derive(Clone, Debug, Args)]
pub struct Import {
    /// Named .json, .yaml, .yml or .env.
    file: PathBuf,
    /// Replace connections that exist, instead of leaving them as they are.
    #[arg(long)]
    overwrite: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Export {
    file: PathBuf,
    /// Without it the name of the file decides; JSON where it says nothing.
    #[arg(long, visible_alias = "format", value_enum)]
    file_format: Option<FileFormat>,
}

impl FileFormat {
    fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            "env" => Some(Self::Env),
            _ => None,
        }
    }
}

impl Import {
    pub(super) async fn run(self, session: &mut Session, vault: &Vault) -> Result<(), CliError> {
        let shown = self.file.display().to_string();
        let at = |why: String| CliError::failed(format!("{shown}: {why}"));
        let Some(format) = FileFormat::of(&self.file) else {
            return Err(at("expected a file whose name ends in .json, .yaml, .yml or .env".to_owned()));
        };
        let text = fs::read_to_string(&self.file).map_err(|why| at(why.to_string()))?;
        let mut read = Vec::new();
        for (id, value) in entries(format, &text).map_err(at)? {
            let id = ConnectionId::new(&id).map_err(|invalid| at(invalid.to_string()))?;
            let connection = match value {
                Value::String(text) => Connection::from_env_value(&text),
                Value::Object(object) => Connection::from_object(object),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                    return Err(at(format!("connection {id}: expected a URI or an object")));
                }
            };
            let connection = connection.map_err(|why| at(format!("connection {id}: {why}")))?;
            read.push((id, connection));
        }
        let known: BTreeSet<String> = vault.connection_ids().await?.into_iter().collect();
        let (existing, new): (Vec<_>, Vec<_>) =
            read.into_iter().partition(|(id, _)| !self.overwrite && known.contains(id.as_str()));
        vault.set_connections(&new).await?;
        for (id, _) in &new {
            writeln!(session.out, "Imported connection {id}")?;
        }
        for (id, _) in &existing {
            writeln!(session.out, "Could not import connection {id}: connection already exists.")?;
        }
        Ok(())
    }
}

/// Where the text is wrong, never what stands there: it holds passwords.
fn entries(format: FileFormat, text: &str) -> Result<Map<String, Value>, String> {
    match format {
        FileFormat::Json => serde_json::from_str(text)
            .map_err(|error| format!("expected a JSON object: line {}, column {}", error.line(), error.column())),
        FileFormat::Yaml => {
            serde_saphyr::from_str(text).map_err(|_| "expected a YAML mapping of ids to connections".to_owned())
        }
        FileFormat::Env => {
            let lines = text.lines().map(str::trim).enumerate();
            let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
            lines
                .map(|(n, line)| {
                    let (id, value) =
                        line.split_once('=').ok_or_else(|| format!("line {}: expected `id=URI`", n + 1))?;
                    Ok((id.trim().to_owned(), Value::String(value.trim().to_owned())))
                })
                .collect()
        }
    }
}

impl Export {
    pub(super) async fn run(self, session: &mut Session, vault: &Vault) -> Result<(), CliError> {
        let connections = vault.connections().await?;
        let format = self.file_format.or_else(|| FileFormat::of(&self.file)).unwrap_or(FileFormat::Json);
        let objects = || {
            let object = |(id, connection): &(ConnectionId, Connection)| {
                (id.as_str().to_owned(), Value::Object(connection.object()))
            };
            Value::Object(connections.iter().map(object).collect())
        };
        let text = match format {
            FileFormat::Json => python_json_text(&objects()),
            FileFormat::Yaml => serde_saphyr::to_string(&objects())
                .map_err(|error| CliError::failed(format!("cannot write YAML: {error}")))?
                .trim_end()
                .to_owned(),
            FileFormat::Env => {
                connections.iter().map(|(id, c)| format!("{id}={}", c.uri())).collect::<Vec<_>>().join("\n")
            }
        };
        write_secrets(session, &self.file, &text)?;
        exported_to(session, &self.file, "Connections successfully exported")
    }
}
