//! Variables and connections as the pages and the API change them: on the record, by whom. Reading needs nobody.

use crate::domain::connection::Connection;
use crate::domain::ids::{ConnectionId, VariableKey};
use crate::store::{Variable, Vault, VaultError};

use super::audit::{Deed, Record};
use super::caller::Caller;

/// The vault, whose every change names who made it.
#[derive(Clone)]
pub struct WebVault {
    vault: Vault,
    record: Record,
}

impl WebVault {
    pub fn new(vault: Vault, record: Record) -> Self {
        Self { vault, record }
    }

    pub async fn variables(&self) -> Result<Vec<Variable>, VaultError> {
        self.vault.variables().await
    }

    pub async fn variable_keys(&self) -> Result<Vec<String>, VaultError> {
        self.vault.variable_keys().await
    }

    pub async fn variable(&self, key: &VariableKey) -> Result<Option<Variable>, VaultError> {
        self.vault.variable(key).await
    }

    pub async fn connections(&self) -> Result<Vec<(ConnectionId, Connection)>, VaultError> {
        self.vault.connections().await
    }

    pub async fn connection_ids(&self) -> Result<Vec<String>, VaultError> {
        self.vault.connection_ids().await
    }

    pub async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>, VaultError> {
        self.vault.connection(id).await
    }

    /// Keeps all of these or none; one with a known key replaces it.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn set_variables(&self, caller: &Caller, variables: &[Variable]) -> Result<(), VaultError> {
        let done = self.vault.set_variables(variables).await;
        for variable in variables {
            self.record
                .keep(caller, Deed::new("post_variable").about(variable.key.as_str()), outcome(&done, true))
                .await;
        }
        done
    }

    /// Whether there was such a variable; now there is none.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn delete_variable(&self, caller: &Caller, key: &VariableKey) -> Result<bool, VaultError> {
        let done = self.vault.delete_variable(key).await;
        let outcome = outcome(&done, !matches!(done, Ok(false)));
        self.record.keep(caller, Deed::new("delete_variable").about(key.as_str()), outcome).await;
        done
    }

    /// Keeps a new connection; `false`, and nothing is changed, when the id is taken.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn add_connection(
        &self,
        caller: &Caller,
        id: &ConnectionId,
        connection: &Connection,
    ) -> Result<bool, VaultError> {
        let done = self.vault.add_connection(id, connection).await;
        let outcome = outcome(&done, !matches!(done, Ok(false)));
        self.record.keep(caller, Deed::new("post_connection").about(id.as_str()), outcome).await;
        done
    }

    /// Keeps all of these or none; one with a known id replaces it.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn set_connections(
        &self,
        caller: &Caller,
        connections: &[(ConnectionId, Connection)],
    ) -> Result<(), VaultError> {
        let done = self.vault.set_connections(connections).await;
        for (id, _) in connections {
            self.record.keep(caller, Deed::new("post_connection").about(id.as_str()), outcome(&done, true)).await;
        }
        done
    }

    /// Whether there was such a connection; now there is none.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn delete_connection(&self, caller: &Caller, id: &ConnectionId) -> Result<bool, VaultError> {
        let done = self.vault.delete_connection(id).await;
        let outcome = outcome(&done, !matches!(done, Ok(false)));
        self.record.keep(caller, Deed::new("delete_connection").about(id.as_str()), outcome).await;
        done
    }
}

/// Without the error's own words, which name what the database said.
fn outcome<T>(done: &Result<T, VaultError>, changed: bool) -> &'static str {
    match done {
        Ok(_) if changed => "done",
        Ok(_) => "nothing to do",
        Err(_) => "the store could not be written",
    }
}
