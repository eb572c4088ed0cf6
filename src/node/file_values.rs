//! Variables and connections for DAG files that ask for them while they are loaded.
//!
//! What the environment gives they find there themselves, so only the store is asked.

use std::sync::Arc;

use serde_json::Value;

use crate::config;
use crate::dagfile::values::{Found, Values, Wanted};
use crate::domain::ids::{ConnectionId, VariableKey};
use crate::store::{Given, Store, Vault};

use super::fernet_key;

/// Whoever answers for this store. Without the key to its secrets every answer is why not.
pub fn of(settings: &config::Settings, store: &Store) -> Values {
    let nothing_given = Arc::new(Given::new(std::iter::empty()));
    let vault = match fernet_key::cipher(settings) {
        Ok(cipher) => Ok(Arc::new(Vault::new(store.clone(), Arc::new(cipher), nothing_given))),
        Err(no_key) => Err(no_key.to_string()),
    };
    Values::new(move |wanted| {
        let vault = vault.clone();
        async move { find(&*vault?, wanted).await }
    })
}

async fn find(vault: &Vault, wanted: Wanted) -> Found {
    match wanted {
        Wanted::Variable(key) => {
            let key = VariableKey::new(key).map_err(|invalid| invalid.to_string())?;
            let found = vault.find_variable(&key).await.map_err(|error| error.to_string())?;
            Ok(found.map_or(Value::Null, Value::String))
        }
        Wanted::Connection(id) => {
            let id = ConnectionId::new(id).map_err(|invalid| invalid.to_string())?;
            let found = vault.find_connection(&id).await.map_err(|error| error.to_string())?;
            Ok(found.map_or(Value::Null, |connection| Value::Object(connection.object())))
        }
    }
}
