//! `updraft users export` and `import`: users in a JSON file of Airflow's shape, never their passwords.

use std::fs;
use std::io::Write;
use std::path::Path;

use chrono::Utc;
use serde::{Deserialize, Serialize};

use crate::auth::{password, secret};
use crate::domain::python_json::python_json_text;
use crate::store::{AccountRow, Store};

use super::super::error::CliError;
use super::super::session::Session;
use super::super::variables::{exported_to, write_secrets};
use super::{parse_role, record};

/// A user in a file.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(default)]
    id: Option<i64>,
    username: String,
    email: String,
    #[serde(default)]
    first_name: String,
    #[serde(default)]
    last_name: String,
    roles: Vec<String>,
}

pub async fn export(session: &mut Session, store: &Store, file: &Path) -> Result<(), CliError> {
    let rows = store.accounts().await?;
    let count = rows.len();
    let written = rows.into_iter().zip(1..).map(|(row, id)| Written {
        id: Some(id),
        username: row.username,
        email: row.email,
        first_name: row.first_name,
        last_name: row.last_name,
        roles: row.roles,
    });
    let value = serde_json::to_value(written.collect::<Vec<_>>())
        .map_err(|why| CliError::failed(format!("the users cannot be written: {why}")))?;
    write_secrets(session, file, &python_json_text(&value))?;
    exported_to(session, file, &format!("{count} users successfully exported"))
}

pub async fn import(session: &mut Session, store: &Store, file: &Path) -> Result<(), CliError> {
    let shown = file.display();
    let text = fs::read_to_string(file)
        .map_err(|why| CliError::failed(format!("cannot read the users file {shown}: {why}")))?;
    let users: Vec<Written> = serde_json::from_str(&text)
        .map_err(|why| CliError::failed(format!("{shown}: expected a list of users: {why}")))?;
    // All of them are looked at before any is written.
    for role in users.iter().flat_map(|user| &user.roles) {
        parse_role(role)?;
    }
    let (mut created, mut updated) = (Vec::new(), Vec::new());
    for user in users {
        let mut roles = Vec::new();
        for role in &user.roles {
            roles.push(parse_role(role)?.as_str().to_owned());
        }
        let now = Utc::now();
        match store.account(&user.username).await? {
            Some(known) => {
                let row = AccountRow {
                    email: user.email,
                    first_name: user.first_name,
                    last_name: user.last_name,
                    roles,
                    ..known
                };
                store.replace_account(&row).await?;
                updated.push(row.username);
            }
            None => {
                let row = AccountRow {
                    username: user.username,
                    email: user.email,
                    first_name: user.first_name,
                    last_name: user.last_name,
                    password: password::hash(secret::random_password()).await,
                    is_active: true,
                    roles,
                    created_at: now,
                    credentials_at: now,
                    signed_in_at: None,
                };
                store.add_account(&row).await?;
                created.push(row.username);
            }
        }
    }
    for (event, words, names) in [("create_user", "Created", &created), ("edit_user", "Updated", &updated)] {
        if !names.is_empty() {
            writeln!(session.out, "{words} the following users:\n\t{}", names.join("\n\t"))?;
        }
        for name in names {
            record(session, store, event, name).await?;
        }
    }
    if !created.is_empty() {
        session.say("new users have a password that nobody knows: `updraft users reset-password -u NAME` gives one");
    }
    Ok(())
}
