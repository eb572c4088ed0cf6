//! `updraft variables …`: values that users keep for their tasks.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value};

use crate::domain::ids::VariableKey;
use crate::domain::problem::suggestion;
use crate::domain::python_json::python_json_text;
use crate::store::{Variable, Vault};

use super::arguments::{JsonObject, Output};
use super::error::CliError;
use super::output::Rows;
use super::session::Session;

/// Keep values for tasks, encrypted.
#[derive(Clone, Debug, Args)]
pub struct VariablesCommand {
    #[command(subcommand)]
    action: VariablesAction,
}

#[derive(Clone, Debug, Subcommand)]
enum VariablesAction {
    /// List the keys of all variables.
    #[command(after_help = "Example:\n  updraft variables list -o json")]
    List(Output),
    /// Print the value of a variable.
    #[command(after_help = "Examples:\n  updraft variables get rows\n  updraft variables get rows --default 10")]
    Get(Get),
    /// Set a variable; a known one is replaced.
    #[command(
        after_help = "Examples:\n  updraft variables set rows 50\n  updraft variables set limits '{\"rows\": 50}' --json"
    )]
    Set(Set),
    /// Remove a variable.
    #[command(after_help = "Example:\n  updraft variables delete rows")]
    Delete { key: VariableKey },
    /// Set the variables of a JSON file, all or none.
    #[command(
        after_help = "Examples:\n  updraft variables import variables.json\n  updraft variables import variables.json --action-on-existing-key skip"
    )]
    Import(Import),
    /// Write all variables to a JSON file, secrets included; `-` is stdout.
    #[command(after_help = "Examples:\n  updraft variables export variables.json\n  updraft variables export -")]
    Export { file: PathBuf },
}

#[derive(Clone, Debug, Args)]
struct Get {
    key: VariableKey,
    /// What to print when there is no such variable.
    #[arg(short = 'd', long, value_name = "VALUE")]
    default: Option<String>,
    /// The value is JSON: print it as one line of JSON, or say where it is not.
    #[arg(short = 'j', long)]
    json: bool,
}

#[derive(Clone, Debug, Args)]
struct Set {
    key: VariableKey,
    value: String,
    /// VALUE must be JSON.
    #[arg(short = 'j', long)]
    json: bool,
    /// For people.
    #[arg(long)]
    description: Option<String>,
}

#[derive(Clone, Debug, Args)]
struct Import {
    file: PathBuf,
    /// What to do with a key that exists.
    #[arg(short = 'a', long, value_enum, default_value = "overwrite", value_name = "ACTION")]
    action_on_existing_key: OnExisting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnExisting {
    Overwrite,
    Fail,
    Skip,
}

impl VariablesCommand {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let vault = session.vault().await?;
        match self.action {
            VariablesAction::List(output) => {
                let mut rows = Rows::new(["key"]);
                for key in vault.variable_keys().await? {
                    rows.push([key.into()]);
                }
                Ok(rows.write(output.format, &mut session.out)?)
            }
            VariablesAction::Get(get) => get.run(session, &vault).await,
            VariablesAction::Set(set) => set.run(session, &vault).await,
            VariablesAction::Delete { key } => match vault.delete_variable(&key).await? {
                true => Ok(writeln!(session.out, "Variable {key} deleted")?),
                false => Err(missing(&vault, &key).await?),
            },
            VariablesAction::Import(import) => import.run(session, &vault).await,
            VariablesAction::Export { file } => export(session, &vault, &file).await,
        }
    }
}

async fn missing(vault: &Vault, key: &VariableKey) -> Result<CliError, CliError> {
    let keys = vault.variable_keys().await?;
    let hint = suggestion(key.as_str(), keys.iter().map(String::as_str));
    Ok(CliError::failed(format!("Variable {key} does not exist")).hint(hint))
}

impl Get {
    async fn run(self, session: &mut Session, vault: &Vault) -> Result<(), CliError> {
        let value = match (vault.find_variable(&self.key).await?, self.default) {
            (Some(value), _) | (None, Some(value)) => value,
            (None, None) => return Err(missing(vault, &self.key).await?),
        };
        if !self.json {
            return Ok(writeln!(session.out, "{value}")?);
        }
        let json: Value = serde_json::from_str(&value).map_err(|error| not_json(&self.key, &error))?;
        Ok(writeln!(session.out, "{json}")?)
    }
}

/// Where it is wrong, without the value: it may be a secret.
fn not_json(key: &VariableKey, error: &serde_json::Error) -> CliError {
    CliError::failed(format!(
        "the value of variable {key} is not JSON: see its line {}, column {}",
        error.line(),
        error.column()
    ))
}

impl Set {
    async fn run(self, session: &mut Session, vault: &Vault) -> Result<(), CliError> {
        if self.json {
            serde_json::from_str::<serde::de::IgnoredAny>(&self.value).map_err(|error| not_json(&self.key, &error))?;
        }
        let key = self.key.clone();
        let variable = Variable { key: self.key, value: self.value, description: self.description };
        vault.set_variables(&[variable]).await?;
        Ok(writeln!(session.out, "Variable {key} created")?)
    }
}

impl Import {
    async fn run(self, session: &mut Session, vault: &Vault) -> Result<(), CliError> {
        let shown = self.file.display();
        let text = fs::read_to_string(&self.file)
            .map_err(|why| CliError::failed(format!("cannot read the variables file {shown}: {why}")))?;
        let JsonObject(object) = text.parse().map_err(|why| match why {
            // The surrounding text may be a secret.
            super::arguments::NoJsonObject::Syntax { line, column, .. } => {
                CliError::failed(format!("{shown}, line {line}, column {column}: this is not JSON"))
            }
            super::arguments::NoJsonObject::Kind(got) => {
                CliError::failed(format!("{shown}: expected a JSON object such as {{\"rows\": 50}}, got {got}"))
            }
        })?;
        let known: BTreeSet<String> = vault.variable_keys().await?.into_iter().collect();
        let existing: Vec<String> = object.keys().filter(|key| known.contains(*key)).cloned().collect();
        if self.action_on_existing_key == OnExisting::Fail && !existing.is_empty() {
            return Err(CliError::failed(format!(
                "The variables with these keys: {} already exists.",
                existing.join(", ")
            )));
        }
        let total = object.len();
        let mut variables = Vec::with_capacity(total);
        for (key, value) in object {
            if self.action_on_existing_key == OnExisting::Skip && known.contains(&key) {
                continue;
            }
            let key = VariableKey::new(&key).map_err(|invalid| CliError::failed(format!("{shown}: {invalid}")))?;
            variables.push(written(key, value));
        }
        vault.set_variables(&variables).await?;
        writeln!(session.out, "{} of {total} variables successfully updated.", variables.len())?;
        if self.action_on_existing_key == OnExisting::Skip && !existing.is_empty() {
            let keys = existing.join(", ");
            writeln!(session.out, "The variables with these keys: {keys} were skipped because they already exists")?;
        }
        Ok(())
    }
}

/// A value as a file has it: plain, or an object with `value` and `description`.
fn written(key: VariableKey, value: Value) -> Variable {
    let text = |value: Value| match value {
        Value::String(text) => text,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    match value {
        Value::Object(mut object)
            if object.contains_key("value") && object.keys().all(|key| key == "value" || key == "description") =>
        {
            let description = object.remove("description").and_then(|text| text.as_str().map(str::to_owned));
            Variable { key, value: text(object.remove("value").unwrap_or(Value::Null)), description }
        }
        value => Variable { key, value: text(value), description: None },
    }
}

async fn export(session: &mut Session, vault: &Vault, file: &std::path::Path) -> Result<(), CliError> {
    let variables = vault.variables().await?;
    let count = variables.len();
    let object: Map<String, Value> = variables.into_iter().map(exported).collect();
    let text = python_json_text(&Value::Object(object));
    write_secrets(session, file, &text)?;
    exported_to(session, file, &format!("{count} variables successfully exported"))
}

/// JSON where the value is JSON, so that the file is for people to read and edit.
fn exported(variable: Variable) -> (String, Value) {
    let value = serde_json::from_str(&variable.value).unwrap_or(Value::String(variable.value));
    let value = match variable.description {
        Some(description) => serde_json::json!({"description": description, "value": value}),
        None => value,
    };
    (variable.key.as_str().to_owned(), value)
}

/// Writes a file that only its owner can read, or to stdout where its name is `-`.
pub(super) fn write_secrets(session: &mut Session, file: &std::path::Path, text: &str) -> Result<(), CliError> {
    use std::os::unix::fs::OpenOptionsExt;
    if file == std::path::Path::new("-") {
        return Ok(writeln!(session.out, "{text}")?);
    }
    let opened = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file);
    opened
        .and_then(|mut file| writeln!(file, "{text}"))
        .map_err(|why| CliError::failed(format!("cannot write {}: {why}", file.display())))
}

/// Says where it went; beside the data, where that is on stdout.
pub(super) fn exported_to(session: &mut Session, file: &std::path::Path, what: &str) -> Result<(), CliError> {
    if file == std::path::Path::new("-") {
        session.say(what);
        return Ok(());
    }
    Ok(writeln!(session.out, "{what} to {}", file.display())?)
}
