//! Variables and connections: what users keep for their tasks, secrets encrypted.
//!
//! They are no state of the scheduler, so they are written without its guard, by
//! whoever the user talks to. A value that no key opens is an error, never garbage.

use std::sync::Arc;

use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::connection::{Connection, InvalidConnection};
use crate::domain::ids::{ConnectionId, VariableKey};

use super::cipher::Cipher;
use super::convert::{Reading, Unreadable, maybe_text, text};
use super::entity::{connection, variable};
use super::error::StoreError;
use super::given::Given;
use super::open::Store;
use super::upsert::{Existing, Statements};

/// A value that a user keeps under a name.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    pub key: VariableKey,
    pub value: String,
    pub description: Option<String>,
}

/// Without the value, which may be a secret.
impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Variable").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Why a variable or a connection cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Put the key back that encrypted it.
    #[error(
        "{what} cannot be decrypted: it was encrypted with another key; add that key to `[core] fernet_key` \
         (after the present one, separated by a comma)"
    )]
    WrongKey { what: String },
    /// Mend the environment variable.
    #[error("the environment variable {name} holds no connection: {why}")]
    Environment { name: String, why: InvalidConnection },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The variables and connections of a store, and the keys that open them. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    store: Store,
    cipher: Arc<Cipher>,
    given: Arc<Given>,
}

/// How many rows were encrypted anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    pub variables: usize,
    pub connections: usize,
}

impl Vault {
    pub fn new(store: Store, cipher: Arc<Cipher>, given: Arc<Given>) -> Self {
        Self { store, cipher, given }
    }

    /// The same rows and keys under another environment.
    #[cfg(test)]
    pub(super) fn with_given(self, given: Given) -> Self {
        Self { given: Arc::new(given), ..self }
    }

    /// The value of a variable: what the environment gives comes before what is kept.
    ///
    /// # Errors
    /// When the store cannot be read, or the value not be decrypted.
    pub async fn find_variable(&self, key: &VariableKey) -> Result<Option<String>, VaultError> {
        match self.given.variable(key) {
            Some(value) => Ok(Some(value.to_owned())),
            None => Ok(self.variable(key).await?.map(|variable| variable.value)),
        }
    }

    /// A connection: what the environment gives comes before what is kept.
    ///
    /// # Errors
    /// When the store cannot be read, a secret not be decrypted, or the environment holds no connection there.
    pub async fn find_connection(&self, id: &ConnectionId) -> Result<Option<Connection>, VaultError> {
        match self.given.connection(id) {
            Some((name, text)) => Connection::from_env_value(text)
                .map(Some)
                .map_err(|why| VaultError::Environment { name: name.to_owned(), why }),
            None => self.connection(id).await,
        }
    }

    /// All variables, by key.
    ///
    /// # Errors
    /// When the store cannot be read, or a value not be decrypted.
    pub async fn variables(&self) -> Result<Vec<Variable>, VaultError> {
        let query = variable::Entity::find().order_by_asc(variable::Column::Key);
        let models = query.all(&self.store.read).await.map_err(|error| self.explain(&error))?;
        models.into_iter().map(|model| self.open_variable(model)).collect()
    }

    /// The names of all variables; needs no key.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn variable_keys(&self) -> Result<Vec<String>, VaultError> {
        let query =
            variable::Entity::find().select_only().column(variable::Column::Key).order_by_asc(variable::Column::Key);
        query.into_tuple().all(&self.store.read).await.map_err(|error| self.explain(&error))
    }

    /// One variable.
    ///
    /// # Errors
    /// When the store cannot be read, or the value not be decrypted.
    pub async fn variable(&self, key: &VariableKey) -> Result<Option<Variable>, VaultError> {
        let query = variable::Entity::find_by_id(key.as_str());
        let model = query.one(&self.store.read).await.map_err(|error| self.explain(&error))?;
        model.map(|model| self.open_variable(model)).transpose()
    }

    /// Keeps all of these or none; one with a known key replaces it.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn set_variables(&self, variables: &[Variable]) -> Result<(), VaultError> {
        let models: Vec<_> = variables.iter().map(|variable| self.close_variable(variable)).collect();
        let write = async |tx: &DatabaseTransaction| {
            Statements::default().upsert::<variable::Entity, _>(tx, Existing::Replace, models).await
        };
        self.change(write).await.map(|_| ())
    }

    /// Whether there was such a variable; now there is none.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn delete_variable(&self, key: &VariableKey) -> Result<bool, VaultError> {
        let write = async |tx: &DatabaseTransaction| variable::Entity::delete_by_id(key.as_str()).exec(tx).await;
        Ok(self.change(write).await?.rows_affected > 0)
    }

    /// All connections, by id.
    ///
    /// # Errors
    /// When the store cannot be read, or a secret not be decrypted.
    pub async fn connections(&self) -> Result<Vec<(ConnectionId, Connection)>, VaultError> {
        let query = connection::Entity::find().order_by_asc(connection::Column::ConnId);
        let models = query.all(&self.store.read).await.map_err(|error| self.explain(&error))?;
        models.into_iter().map(|model| self.open_connection(model)).collect()
    }

    /// The names of all connections; needs no key.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn connection_ids(&self) -> Result<Vec<String>, VaultError> {
        let column = connection::Column::ConnId;
        let query = connection::Entity::find().select_only().column(column).order_by_asc(column);
        query.into_tuple().all(&self.store.read).await.map_err(|error| self.explain(&error))
    }

    /// One connection.
    ///
    /// # Errors
    /// When the store cannot be read, or a secret not be decrypted.
    pub async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>, VaultError> {
        let query = connection::Entity::find_by_id(id.as_str());
        let model = query.one(&self.store.read).await.map_err(|error| self.explain(&error))?;
        Ok(model.map(|model| self.open_connection(model)).transpose()?.map(|(_, connection)| connection))
    }

    /// Keeps a new connection; `false`, and nothing is changed, when the id is taken.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn add_connection(&self, id: &ConnectionId, connection: &Connection) -> Result<bool, VaultError> {
        let model = self.close_connection(id, connection);
        let write = async |tx: &DatabaseTransaction| {
            Statements::default().upsert::<connection::Entity, _>(tx, Existing::Keep, [model]).await
        };
        Ok(self.change(write).await? > 0)
    }

    /// Keeps all of these or none; one with a known id replaces it.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn set_connections(&self, connections: &[(ConnectionId, Connection)]) -> Result<(), VaultError> {
        let models: Vec<_> = connections.iter().map(|(id, connection)| self.close_connection(id, connection)).collect();
        let write = async |tx: &DatabaseTransaction| {
            Statements::default().upsert::<connection::Entity, _>(tx, Existing::Replace, models).await
        };
        self.change(write).await.map(|_| ())
    }

    /// Whether there was such a connection; now there is none.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn delete_connection(&self, id: &ConnectionId) -> Result<bool, VaultError> {
        let write = async |tx: &DatabaseTransaction| {
            connection::Entity::delete_many().filter(connection::Column::ConnId.eq(id.as_str())).exec(tx).await
        };
        Ok(self.change(write).await?.rows_affected > 0)
    }

    /// Encrypts everything anew with the first key, all or nothing.
    ///
    /// # Errors
    /// When something cannot be decrypted by any key: then nothing is changed.
    pub async fn rotate(&self) -> Result<Rotated, VaultError> {
        let explain = |error: DbErr| self.explain(&error);
        let tx = self.store.begin().await.map_err(explain)?;
        // Locked while they are on their way through this process, so that no value of another is lost.
        let variables = variable::Entity::find().lock_exclusive().all(&tx).await.map_err(explain)?;
        let connections = connection::Entity::find().lock_exclusive().all(&tx).await.map_err(explain)?;
        let rotated = Rotated { variables: variables.len(), connections: connections.len() };
        let mut variable_models = Vec::with_capacity(variables.len());
        for model in variables {
            variable_models.push(self.close_variable(&self.open_variable(model)?));
        }
        let mut connection_models = Vec::with_capacity(connections.len());
        for model in connections {
            let (id, connection) = self.open_connection(model)?;
            connection_models.push(self.close_connection(&id, &connection));
        }
        let mut sql = Statements::default();
        sql.upsert::<variable::Entity, _>(&tx, Existing::Replace, variable_models).await.map_err(explain)?;
        sql.upsert::<connection::Entity, _>(&tx, Existing::Replace, connection_models).await.map_err(explain)?;
        tx.commit().await.map_err(explain)?;
        Ok(rotated)
    }

    /// One transaction that writes from its first statement on, so that SQLite waits for its lock instead of failing.
    async fn change<T>(
        &self,
        write: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, DbErr>,
    ) -> Result<T, VaultError> {
        let changed = async {
            let tx = self.store.begin().await?;
            let done = write(&tx).await?;
            tx.commit().await?;
            Ok(done)
        };
        changed.await.map_err(|error| self.explain(&error))
    }

    fn explain(&self, error: &DbErr) -> VaultError {
        self.store.location.explain(error).into()
    }

    fn close_variable(&self, row: &Variable) -> variable::Model {
        variable::Model {
            key: row.key.as_str().to_owned(),
            value: self.cipher.encrypt(&row.value),
            description: maybe_text(row.description.clone()),
        }
    }

    fn open_variable(&self, model: variable::Model) -> Result<Variable, VaultError> {
        let key = Reading::new("variable", &model.key).word(&model.key).map_err(|row| self.unreadable(row))?;
        let value = self.decrypt(&model.value, || format!("variable `{}`", model.key))?;
        Ok(Variable { key, value, description: model.description })
    }

    fn close_connection(&self, id: &ConnectionId, connection: &Connection) -> connection::Model {
        let Connection { conn_type, description, host, login, password, schema, port, extra } = connection.clone();
        connection::Model {
            conn_id: id.as_str().to_owned(),
            conn_type: text(conn_type),
            description: maybe_text(description),
            host: maybe_text(host),
            login: maybe_text(login),
            password: password.map(|password| self.cipher.encrypt(&password)),
            schema: maybe_text(schema),
            port: port.map(Into::into),
            extra: extra.map(|extra| self.cipher.encrypt(&extra)),
        }
    }

    fn open_connection(&self, model: connection::Model) -> Result<(ConnectionId, Connection), VaultError> {
        let reading = Reading::new("connection", &model.conn_id);
        let id = reading.word(&model.conn_id).map_err(|row| self.unreadable(row))?;
        let port = model
            .port
            .map(|port| u16::try_from(port).map_err(|_| self.unreadable(reading.fail(format!("{port} is no port")))));
        let open = |token: Option<String>, part: &str| {
            token
                .map(|token| self.decrypt(&token, || format!("the {part} of connection `{}`", model.conn_id)))
                .transpose()
        };
        let connection = Connection {
            conn_type: model.conn_type,
            description: model.description,
            host: model.host,
            login: model.login,
            password: open(model.password, "password")?,
            schema: model.schema,
            port: port.transpose()?,
            extra: open(model.extra, "extra")?,
        };
        Ok((id, connection))
    }

    fn decrypt(&self, token: &str, what: impl FnOnce() -> String) -> Result<String, VaultError> {
        self.cipher.decrypt(token).map_err(|_| VaultError::WrongKey { what: what() })
    }

    fn unreadable(&self, row: Unreadable) -> VaultError {
        self.store.location.unreadable(row).into()
    }
}
