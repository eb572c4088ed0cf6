//! Variables and connections that the environment of the node gives, by Airflow's
//! names and by ours. The environment is read elsewhere; here it is only understood.

use std::collections::BTreeMap;

use crate::domain::ids::{ConnectionId, VariableKey};

/// Ours comes first.
const VARIABLE: [&str; 2] = ["UPDRAFT_VAR_", "AIRFLOW_VAR_"];
const CONNECTION: [&str; 2] = ["UPDRAFT_CONN_", "AIRFLOW_CONN_"];

/// What the environment gives, by the name of its environment variable.
pub struct Given(BTreeMap<String, String>);

impl Given {
    /// Keeps of an environment what speaks of variables and connections.
    pub fn new<'a>(environment: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let ours = |name: &str| VARIABLE.iter().chain(&CONNECTION).any(|prefix| name.starts_with(prefix));
        let kept = environment.into_iter().filter(|(name, _)| ours(name));
        Self(kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    pub(super) fn variable(&self, key: &VariableKey) -> Option<&str> {
        self.find(VARIABLE, key.as_str()).map(|(_, value)| value)
    }

    /// With the name of the environment variable, for an error.
    pub(super) fn connection(&self, id: &ConnectionId) -> Option<(&str, &str)> {
        self.find(CONNECTION, id.as_str())
    }

    fn find(&self, prefixes: [&str; 2], name: &str) -> Option<(&str, &str)> {
        prefixes.into_iter().find_map(|prefix| {
            let (name, value) = self.0.get_key_value(&format!("{prefix}{}", name.to_uppercase()))?;
            Some((name.as_str(), value.as_str()))
        })
    }
}
