//! A connection as a JSON object, with Airflow's keys.

use serde_json::{Map, Value};

use super::{Connection, InvalidConnection, normal_type};
use crate::domain::problem::did_you_mean;
use crate::domain::python_json::python_json;

/// All keys, in the order in which they are written.
pub(super) const KEYS: [&str; 8] = ["conn_type", "description", "host", "login", "password", "schema", "port", "extra"];

impl Connection {
    /// Reads the text of a JSON object.
    ///
    /// # Errors
    /// When it is no object, or a key of it is unknown or holds something unfit.
    pub fn from_json(text: &str) -> Result<Self, InvalidConnection> {
        let object = serde_json::from_str(text).map_err(|error| {
            // Where, and not what: the text holds a password.
            InvalidConnection::Json(format!("line {}, column {}", error.line(), error.column()))
        })?;
        Self::from_object(object)
    }

    /// Reads a JSON object. A key `conn_id` may stand in it: exported files have it.
    ///
    /// # Errors
    /// When a key is unknown or holds something unfit.
    pub fn from_object(object: Map<String, Value>) -> Result<Self, InvalidConnection> {
        let mut connection = Self::default();
        for (key, value) in object {
            match key.as_str() {
                "conn_id" => {}
                "conn_type" => connection.conn_type = normal_type(&text("conn_type", value)?.unwrap_or_default()),
                "description" => connection.description = text("description", value)?,
                "host" => connection.host = text("host", value)?,
                "login" => connection.login = text("login", value)?,
                "password" => connection.password = text("password", value)?,
                "schema" => connection.schema = text("schema", value)?,
                "port" => connection.port = port(value)?,
                "extra" => connection.extra = extra(value),
                _ => {
                    let hint = did_you_mean(&key, KEYS).map(str::to_owned);
                    return Err(InvalidConnection::UnknownKey { name: key, hint });
                }
            }
        }
        Ok(connection)
    }

    /// Everything that is set, the extra as an object where it is one.
    pub fn json(&self) -> Value {
        let mut object = self.object();
        object.retain(|_, value| !matches!(value, Value::Null) && value.as_str() != Some(""));
        if let Some(extra) = self.extra_object() {
            object.insert("extra".to_owned(), Value::Object(extra));
        }
        Value::Object(object)
    }

    /// Every key, `null` where there is nothing, the extra as text: the shape of an exported file.
    pub fn object(&self) -> Map<String, Value> {
        let optional = |text: &Option<String>| text.clone().map_or(Value::Null, Value::String);
        let values = [
            Value::String(self.conn_type.clone()),
            optional(&self.description),
            optional(&self.host),
            optional(&self.login),
            optional(&self.password),
            optional(&self.schema),
            self.port.map_or(Value::Null, Value::from),
            optional(&self.extra),
        ];
        KEYS.into_iter().map(str::to_owned).zip(values).collect()
    }
}

fn text(key: &'static str, value: Value) -> Result<Option<String>, InvalidConnection> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(InvalidConnection::Value { key, expected: "a text" })
        }
    }
}

fn port(value: Value) -> Result<Option<u16>, InvalidConnection> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(InvalidConnection::Value { key: "port", expected: "a whole number" });
        }
    };
    text.trim().parse().map(Some).map_err(|_| InvalidConnection::Port(text))
}

fn extra(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => (!text.is_empty()).then_some(text),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(python_json(&value)),
    }
}
