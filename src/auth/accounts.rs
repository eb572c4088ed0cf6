//! The users that there are: those of the database, and those that the configuration names.

use crate::domain::time::Time;
use crate::store::{Store, StoreError};

use super::configured::Configured;
use super::password;
use super::role::Role;

/// A user, as far as rights go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub username: String,
    pub role: Role,
    /// What proved who they are before this instant proves it no more.
    pub credentials_at: Option<Time>,
}

/// Finds users and verifies their passwords.
#[derive(Clone)]
pub struct Accounts {
    store: Store,
    configured: Configured,
}

impl Accounts {
    pub fn new(store: Store, configured: Configured) -> Self {
        Self { store, configured }
    }

    /// A user who may sign in now.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find(&self, username: &str) -> Result<Option<Account>, StoreError> {
        if let Some(row) = self.store.account(username).await? {
            let found = row.is_active.then(|| Account {
                username: row.username.clone(),
                role: highest(&row.roles),
                credentials_at: Some(row.credentials_at),
            });
            return Ok(found);
        }
        let Some(role) = self.configured.role(username) else { return Ok(None) };
        if self.configured.are_default() && !self.store.accounts().await?.is_empty() {
            return Ok(None);
        }
        Ok(Some(Account { username: username.to_owned(), role, credentials_at: None }))
    }

    /// The user whose password this is. It takes as long for a user who does not exist.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn verify(&self, username: &str, password: &str) -> Result<Option<Account>, StoreError> {
        let kept = self.store.account(username).await?.map(|row| row.password);
        let is_configured = kept.is_none() && self.configured.knows(username, password);
        let is_hashed = password::verify(password.to_owned(), kept).await;
        if is_hashed || is_configured { self.find(username).await } else { Ok(None) }
    }
}

/// Each role may do what those below it may. A word that is none of ours gives nothing.
pub fn highest(roles: &[String]) -> Role {
    roles.iter().filter_map(|role| role.parse().ok()).max().unwrap_or(Role::Public)
}
