//! A connection: how to reach a system outside, in the three forms that Airflow
//! knows: a URI, a JSON object, and either of them in an environment variable.
//!
//! Values only: nothing here connects to anything. What is wrong with a form is
//! said without repeating it, because it holds a password.

mod json;
mod uri;

use std::fmt;

use serde::{Deserialize, Serialize};

/// How to reach one system.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// In Airflow's spelling: `postgres`, `google_cloud_platform`.
    pub conn_type: String,
    pub description: Option<String>,
    pub host: Option<String>,
    pub login: Option<String>,
    pub password: Option<String>,
    pub schema: Option<String>,
    pub port: Option<u16>,
    /// JSON as the user wrote it.
    pub extra: Option<String>,
}

/// Without password and extra, which are secrets.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("conn_type", &self.conn_type)
            .field("host", &self.host)
            .field("login", &self.login)
            .field("schema", &self.schema)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// Why a text is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConnection {
    #[error("expected a URI such as postgres://login:password@host:5432/schema, got a text without `://` after a type")]
    NoType,
    #[error("expected at most a second scheme (`http://https://host`), got a URI with {0} times `://`")]
    TooManySchemes(usize),
    #[error("expected the second scheme to be a name such as `https`, got login or port in front of it")]
    SecondScheme,
    #[error("expected a port from 0 to 65535, got: {0:?}")]
    Port(String),
    #[error("expected the part after `%` to be two hexadecimal digits of UTF-8 text in {0}")]
    Encoding(&'static str),
    #[error("expected a JSON object such as {{\"conn_type\": \"http\", \"host\": \"example.com\"}}: {0}")]
    Json(String),
    #[error("a connection has no `{name}` (known: {known}){hint}", known = json::KEYS.join(", "), hint = hint.as_ref().map(|h| format!("; did you mean `{h}`?")).unwrap_or_default())]
    UnknownKey { name: String, hint: Option<String> },
    #[error("expected `{key}` to be {expected}")]
    Value { key: &'static str, expected: &'static str },
}

impl Connection {
    /// Reads the form of an environment variable: JSON where it begins with a brace, a URI else.
    ///
    /// # Errors
    /// When it is neither.
    pub fn from_env_value(text: &str) -> Result<Self, InvalidConnection> {
        match text.trim_start().starts_with('{') {
            true => Self::from_json(text),
            false => Self::from_uri(text),
        }
    }

    /// The extra as an object; `None` when it is absent, or no JSON object.
    pub fn extra_object(&self) -> Option<serde_json::Map<String, serde_json::Value>> {
        serde_json::from_str(self.extra.as_deref()?).ok()
    }

    /// The texts that must never be shown: the password, and what the extra holds under a sensitive name.
    pub fn secrets(&self, names: &super::secret::Sensitive) -> Vec<String> {
        let mut secrets: Vec<String> = self.password.iter().filter(|text| !text.is_empty()).cloned().collect();
        if let Some(extra) = self.extra_object() {
            super::secret::collect(names, &serde_json::Value::Object(extra), &mut secrets);
        }
        secrets
    }
}

/// Airflow's spelling of a type: `postgresql` is `postgres`, and a hyphen is an underscore.
pub fn normal_type(conn_type: &str) -> String {
    if conn_type == "postgresql" { "postgres".to_owned() } else { conn_type.replace('-', "_") }
}

#[cfg(test)]
mod tests;
