//! What must not be seen: which names hold secrets, and how secrets are taken out of a text.
//!
//! The names are Airflow's. Nothing here stores or fetches anything.

use serde_json::Value;

/// A name that contains one of these, in any case, holds a secret.
const SENSITIVE: [&str; 13] = [
    "access_token",
    "api_key",
    "apikey",
    "authorization",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "secret",
    "token",
    "keyfile_dict",
    "service_account",
];

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// A text whose `Debug` hides it.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

/// Whether what has this name is a secret.
pub fn is_sensitive(name: &str) -> bool {
    let name = name.trim().to_lowercase();
    SENSITIVE.iter().any(|word| name.contains(word))
}

/// What is secret of a variable: all of it under a sensitive key, else what its JSON holds under one.
pub fn of_variable(key: &str, value: &str) -> Vec<String> {
    let mut secrets = Vec::new();
    let json: Option<Value> = serde_json::from_str(value).ok();
    if is_sensitive(key) {
        secrets.push(value.to_owned());
        if let Some(json) = &json {
            texts(json, &mut secrets);
        }
    } else if let Some(json) = &json {
        collect(json, &mut secrets);
    }
    secrets
}

/// The texts inside a value that stand under a sensitive name.
pub fn collect(value: &Value, secrets: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if is_sensitive(name) {
                    texts(value, secrets);
                } else {
                    collect(value, secrets);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every text and number inside a value.
pub fn texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => into.push(text.clone()),
        Value::Number(number) => into.push(number.to_string()),
        Value::Array(list) => list.iter().for_each(|value| texts(value, into)),
        Value::Object(map) => map.values().for_each(|value| texts(value, into)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The same value with every text and number under a sensitive name masked.
pub fn masked(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(name, value)| {
                    let shown = if is_sensitive(name) { Value::String(MASK.to_owned()) } else { masked(value) };
                    (name.clone(), shown)
                })
                .collect(),
        ),
        Value::Array(list) => list.iter().map(masked).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_that_contains_a_sensitive_word_is_sensitive() {
        for name in ["db_password", "API_KEY", "my-Secret", "aws_access_token", "google_private_key", "Authorization"] {
            assert!(is_sensitive(name), "{name}");
        }
        for name in ["host", "user", "key", "path"] {
            assert!(!is_sensitive(name), "{name}");
        }
    }

    #[test]
    fn everything_below_a_sensitive_name_is_secret() {
        let value = json!({"user": "ann", "credentials": {"a": "x", "b": ["y", 7]}, "list": [{"token": "z"}]});
        let mut secrets = Vec::new();
        collect(&value, &mut secrets);
        assert_eq!(secrets, ["x", "y", "7", "z"]);
        assert_eq!(masked(&value), json!({"user": "ann", "credentials": "***", "list": [{"token": "***"}]}));
    }
}
