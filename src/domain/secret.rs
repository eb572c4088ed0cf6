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

/// Which names hold secrets, as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sensitive {
    /// `[core] hide_sensitive_var_conn_fields`
    hide: bool,
    /// `[core] sensitive_var_conn_names`, in lower case.
    more: Vec<String>,
}

impl Default for Sensitive {
    fn default() -> Self {
        Self { hide: true, more: Vec::new() }
    }
}

impl Sensitive {
    /// `more` are words beyond those that are known.
    pub fn new(hide: bool, more: &[String]) -> Self {
        let more = more.iter().map(|word| word.trim().to_lowercase()).filter(|word| !word.is_empty());
        Self { hide, more: more.collect() }
    }

    /// Whether what has this name is a secret.
    pub fn is_sensitive(&self, name: &str) -> bool {
        let name = name.trim().to_lowercase();
        let mut words = SENSITIVE.into_iter().chain(self.more.iter().map(String::as_str));
        self.hide && words.any(|word| name.contains(word))
    }
}

/// What is secret of a variable: all of it under a sensitive key, else what its JSON holds under one.
pub fn of_variable(names: &Sensitive, key: &str, value: &str) -> Vec<String> {
    let mut secrets = Vec::new();
    let json: Option<Value> = serde_json::from_str(value).ok();
    if names.is_sensitive(key) {
        secrets.push(value.to_owned());
        if let Some(json) = &json {
            texts(json, &mut secrets);
        }
    } else if let Some(json) = &json {
        collect(names, json, &mut secrets);
    }
    secrets
}

/// What of a value is to be hidden that a task calls secret, by Airflow's rule: everything, unless a name stands before
/// it (its own, or a key of a mapping) that is no sensitive one.
pub fn of_word(names: &Sensitive, name: Option<&str>, value: &Value) -> Vec<String> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
        Value::String(text) => {
            if name.is_none_or(|name| names.is_sensitive(name)) {
                vec![text.clone()]
            } else {
                Vec::new()
            }
        }
        Value::Array(values) => values.iter().flat_map(|value| of_word(names, name, value)).collect(),
        Value::Object(entries) => entries.iter().flat_map(|(key, value)| of_word(names, Some(key), value)).collect(),
    }
}

/// The texts inside a value that stand under a sensitive name.
pub fn collect(names: &Sensitive, value: &Value, secrets: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if names.is_sensitive(name) {
                    texts(value, secrets);
                } else {
                    collect(names, value, secrets);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(names, value, secrets)),
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
pub fn masked(names: &Sensitive, value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(name, value)| {
                    let is_secret = names.is_sensitive(name);
                    let shown = if is_secret { Value::String(MASK.to_owned()) } else { masked(names, value) };
                    (name.clone(), shown)
                })
                .collect(),
        ),
        Value::Array(list) => list.iter().map(|value| masked(names, value)).collect(),
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
            assert!(Sensitive::default().is_sensitive(name), "{name}");
        }
        for name in ["host", "user", "key", "path"] {
            assert!(!Sensitive::default().is_sensitive(name), "{name}");
        }
    }

    #[test]
    fn the_configuration_adds_words_and_may_hide_nothing() {
        let more = Sensitive::new(true, &[" Pin ".to_owned(), String::new()]);
        assert!(more.is_sensitive("card_PIN") && more.is_sensitive("password") && !more.is_sensitive("host"));
        let off = Sensitive::new(false, &["pin".to_owned()]);
        assert!(!off.is_sensitive("pin") && !off.is_sensitive("password"));
        assert_eq!(of_variable(&more, "pin", "1234"), ["1234", "1234"]);
        assert_eq!(of_variable(&off, "password", "x"), Vec::<String>::new());
    }

    #[test]
    fn everything_below_a_sensitive_name_is_secret() {
        let value = json!({"user": "ann", "credentials": {"a": "x", "b": ["y", 7]}, "list": [{"token": "z"}]});
        let mut secrets = Vec::new();
        collect(&Sensitive::default(), &value, &mut secrets);
        assert_eq!(secrets, ["x", "y", "7", "z"]);
        let shown = json!({"user": "ann", "credentials": "***", "list": [{"token": "***"}]});
        assert_eq!(masked(&Sensitive::default(), &value), shown);
    }
}
