//! `updraft users create`.

use std::io::Write;

use chrono::Utc;
use clap::Args;

use crate::auth::password;
use crate::store::{AccountRow, Store};

use super::super::error::CliError;
use super::super::session::Session;
use super::{chosen_password, parse_role, record};

/// The longest name of a user, in characters.
const LONGEST: usize = 250;

#[derive(Clone, Debug, Args)]
pub struct Create {
    #[arg(short = 'u', long)]
    username: String,
    #[arg(short = 'f', long)]
    firstname: String,
    #[arg(short = 'l', long)]
    lastname: String,
    /// Public, Viewer, User, Op or Admin.
    #[arg(short = 'r', long)]
    role: String,
    #[arg(short = 'e', long)]
    email: String,
    /// Shown to everybody who lists the processes of this machine: better let it be asked for.
    #[arg(short = 'p', long, conflicts_with = "use_random_password")]
    password: Option<String>,
    /// Nobody is told it: for users who sign in another way.
    #[arg(long)]
    use_random_password: bool,
}

impl Create {
    pub async fn run(self, session: &mut Session, store: &Store) -> Result<(), CliError> {
        let role = parse_role(&self.role)?;
        let username = self.username.trim().to_owned();
        if username.is_empty() || username.chars().count() > LONGEST || username.contains([':', '\0', '\n']) {
            return Err(CliError::failed(format!("a username has 1 to {LONGEST} characters, and no colon among them")));
        }
        let accounts = store.accounts().await?;
        if accounts.iter().any(|row| row.username == username) {
            // As Airflow ends here: scripts make their users at every start.
            return Ok(writeln!(session.out, "{username} already exist in the db")?);
        }
        if accounts.iter().any(|row| !row.email.is_empty() && row.email.eq_ignore_ascii_case(&self.email)) {
            return Err(CliError::failed(format!("the email address {} belongs to another user", self.email)));
        }
        let hash = password::hash(chosen_password(self.password, self.use_random_password)?).await;
        let now = Utc::now();
        let row = AccountRow {
            username: username.clone(),
            email: self.email,
            first_name: self.firstname,
            last_name: self.lastname,
            password: hash,
            is_active: true,
            roles: vec![role.as_str().to_owned()],
            created_at: now,
            credentials_at: now,
            signed_in_at: None,
        };
        if !store.add_account(&row).await? {
            return Ok(writeln!(session.out, "{username} already exist in the db")?);
        }
        record(session, store, "create_user", &username).await?;
        Ok(writeln!(session.out, "User \"{username}\" created with role \"{role}\"")?)
    }
}
