//! `updraft users …` and `updraft roles …`: who may sign in to the pages and the API, in Airflow's words.

mod create;
mod file;
mod roles;

use std::io::Write;
use std::path::PathBuf;

use chrono::Utc;
use clap::{Args, Subcommand};

use crate::auth::{Role, password, secret};
use crate::domain::problem::suggestion;
use crate::store::{AccountRow, AuditRow, Store};

use super::arguments::Output;
use super::error::CliError;
use super::output::{Cell, Rows};
use super::secret_prompt::new_password;
use super::session::Session;

pub use roles::RolesCommand;

/// Make and change the users of the pages and the API.
#[derive(Clone, Debug, Args)]
pub struct UsersCommand {
    #[command(subcommand)]
    action: UsersAction,
}

#[derive(Clone, Debug, Subcommand)]
enum UsersAction {
    /// List all users.
    #[command(after_help = "Example:\n  updraft users list -o json")]
    List(Output),
    /// Make a user; without --password it is asked for.
    #[command(
        after_help = "Examples:\n  updraft users create -u ann -f Ann -l Lee -r Admin -e ann@example.org\n  updraft users create -u bot -f B -l T -r Op -e bot@example.org --use-random-password"
    )]
    Create(create::Create),
    /// Remove a user, with their sessions and tokens.
    #[command(after_help = "Example:\n  updraft users delete -u ann")]
    Delete(Who),
    /// Give a user one more role.
    #[command(after_help = "Example:\n  updraft users add-role -u ann -r Op")]
    AddRole(WhoAndRole),
    /// Take a role from a user.
    #[command(after_help = "Example:\n  updraft users remove-role -u ann -r Op")]
    RemoveRole(WhoAndRole),
    /// Give a user another password, and end their sessions.
    #[command(after_help = "Example:\n  updraft users reset-password -u ann")]
    ResetPassword(ResetPassword),
    /// Write all users to a JSON file, without their passwords; `-` is stdout.
    #[command(after_help = "Example:\n  updraft users export users.json")]
    Export {
        #[arg(value_name = "FILEPATH")]
        file: PathBuf,
    },
    /// Make or change the users of a JSON file; new ones get a random password, which nobody is told.
    #[command(after_help = "Example:\n  updraft users import users.json")]
    Import {
        #[arg(value_name = "FILEPATH")]
        file: PathBuf,
    },
}

/// Which user.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Who {
    #[arg(short = 'u', long)]
    username: Option<String>,
    #[arg(short = 'e', long)]
    email: Option<String>,
}

#[derive(Clone, Debug, Args)]
struct WhoAndRole {
    #[command(flatten)]
    who: Who,
    #[arg(short = 'r', long)]
    role: String,
}

#[derive(Clone, Debug, Args)]
struct ResetPassword {
    #[command(flatten)]
    who: Who,
    /// Shown to everybody who lists the processes of this machine: better let it be asked for.
    #[arg(short = 'p', long, conflicts_with = "use_random_password")]
    password: Option<String>,
    /// Nobody is told it: for users who sign in another way.
    #[arg(long)]
    use_random_password: bool,
}

impl UsersCommand {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let store = session.client().await?.store;
        match self.action {
            UsersAction::List(output) => list(session, &store, output).await,
            UsersAction::Create(create) => create.run(session, &store).await,
            UsersAction::Delete(who) => {
                let row = who.find(&store).await?;
                store.delete_account(&row.username).await?;
                record(session, &store, "delete_user", &row.username).await?;
                Ok(writeln!(session.out, "User \"{}\" deleted", row.username)?)
            }
            UsersAction::AddRole(WhoAndRole { who, role }) => {
                let (row, role) = (who.find(&store).await?, parse_role(&role)?);
                if !store.add_role(&row.username, role.as_str()).await? {
                    let message = format!("User \"{}\" is already a member of role \"{role}\"", row.username);
                    return Err(CliError::failed(message));
                }
                record(session, &store, "add_role", &format!("{} {role}", row.username)).await?;
                Ok(writeln!(session.out, "User \"{}\" added to role \"{role}\"", row.username)?)
            }
            UsersAction::RemoveRole(WhoAndRole { who, role }) => {
                let (row, role) = (who.find(&store).await?, parse_role(&role)?);
                if !store.remove_role(&row.username, role.as_str()).await? {
                    let message = format!("User \"{}\" is not a member of role \"{role}\"", row.username);
                    return Err(CliError::failed(message));
                }
                record(session, &store, "remove_role", &format!("{} {role}", row.username)).await?;
                Ok(writeln!(session.out, "User \"{}\" removed from role \"{role}\"", row.username)?)
            }
            UsersAction::ResetPassword(reset) => reset.run(session, &store).await,
            UsersAction::Export { file } => file::export(session, &store, &file).await,
            UsersAction::Import { file } => file::import(session, &store, &file).await,
        }
    }
}

impl Who {
    async fn find(&self, store: &Store) -> Result<AccountRow, CliError> {
        let accounts = store.accounts().await?;
        let is_meant = |row: &&AccountRow| match (&self.username, &self.email) {
            (Some(username), _) => row.username == *username,
            (None, Some(email)) => row.email.eq_ignore_ascii_case(email),
            (None, None) => false,
        };
        if let Some(row) = accounts.iter().find(is_meant) {
            return Ok(row.clone());
        }
        let name = self.username.as_ref().or(self.email.as_ref()).cloned().unwrap_or_default();
        let hint = suggestion(&name, accounts.iter().map(|row| row.username.as_str()));
        Err(CliError::failed(format!("User \"{name}\" does not exist")).hint(hint))
    }
}

impl ResetPassword {
    async fn run(self, session: &mut Session, store: &Store) -> Result<(), CliError> {
        let row = self.who.find(store).await?;
        let text = chosen_password(self.password, self.use_random_password)?;
        let hash = password::hash(text).await;
        store.set_password(&row.username, &hash, Utc::now()).await?;
        record(session, store, "reset_password", &row.username).await?;
        Ok(writeln!(session.out, "User \"{}\" password reset successfully", row.username)?)
    }
}

fn chosen_password(given: Option<String>, is_random: bool) -> Result<String, CliError> {
    let text = match given {
        Some(text) => text,
        None if is_random => secret::random_password(),
        None => new_password()?,
    };
    if text.is_empty() || text.len() > password::LONGEST {
        return Err(CliError::failed(format!("a password has 1 to {} characters", password::LONGEST)));
    }
    Ok(text)
}

fn parse_role(word: &str) -> Result<Role, CliError> {
    word.parse().map_err(|unknown: crate::auth::UnknownRole| CliError::failed(unknown.to_string()))
}

async fn list(session: &mut Session, store: &Store, output: Output) -> Result<(), CliError> {
    let mut rows = Rows::new(["id", "username", "email", "first_name", "last_name", "roles"]);
    for (row, id) in store.accounts().await?.into_iter().zip(1_i64..) {
        let AccountRow { username, email, first_name, last_name, roles, .. } = row;
        rows.push([id.into(), username.into(), email.into(), first_name.into(), last_name.into(), Cell::List(roles)]);
    }
    Ok(rows.write(output.format, &mut session.out)?)
}

/// Puts on the record who did this.
async fn record(session: &Session, store: &Store, event: &str, about: &str) -> Result<(), CliError> {
    let row = AuditRow {
        at: Utc::now(),
        event: event.to_owned(),
        username: session.user().unwrap_or("unknown").to_owned(),
        origin: "command line".to_owned(),
        outcome: "done".to_owned(),
        dag_id: None,
        run_id: None,
        task_id: None,
        map_index: None,
        extra: Some(serde_json::json!({ "name": about }).to_string()),
    };
    Ok(store.record(row).await?)
}
