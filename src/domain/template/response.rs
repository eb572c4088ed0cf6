//! Expressions about what a task got: `response.json().state == 'ready'`, `value > 3`.
//!
//! The same language as templates, but an expression has a value instead of a text.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, Serde};
use minijinja::{Error, ErrorKind, State, Value};
use serde_json::Value as Json;

use super::ENGINE;

/// What an HTTP request brought, with the names that Python's `requests` gives it.
#[derive(Debug)]
pub struct Response {
    pub status_code: u16,
    pub text: String,
    /// With names in lower case.
    pub headers: Vec<(String, String)>,
    pub url: String,
}

impl Response {
    fn json(&self) -> Result<Json, serde_json::Error> {
        serde_json::from_str(&self.text)
    }
}

impl Object for Response {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "status_code" => Some(self.status_code.into()),
            "ok" => Some((self.status_code < 400).into()),
            "text" | "content" => Some(self.text.clone().into()),
            "headers" => Some(Value::from_pairs(self.headers.iter().cloned())),
            "url" => Some(self.url.clone().into()),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["status_code", "ok", "text", "headers", "url"])
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, arguments: &[Value]) -> Result<Value, Error> {
        match (method, arguments) {
            ("json", []) => self
                .json()
                .map(|json| Value::from(Serde(json)))
                .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("the response is not JSON: {error}"))),
            _ => Err(Error::new(ErrorKind::UnknownMethod, format!("a response has no method `{method}`"))),
        }
    }
}

/// The value of an expression over `names`. Braces around it are allowed, as in a template.
///
/// # Errors
/// One sentence: what the engine says, and of which expression.
pub fn evaluate(expression: &str, names: Vec<(&'static str, Value)>) -> Result<Json, String> {
    let value = value_of(expression, names)?;
    serde_json::to_value(&value).map_err(|error| format!("the value of `{expression}` is not JSON: {error}"))
}

/// Whether an expression is true, by Python's rules: nothing, zero and what is empty are not.
///
/// # Errors
/// As [`evaluate`].
pub fn is_true(expression: &str, names: Vec<(&'static str, Value)>) -> Result<bool, String> {
    value_of(expression, names).map(|value| value.is_true())
}

/// Whether a text is an expression at all.
///
/// # Errors
/// What the engine says.
pub fn check_expression(expression: &str) -> Result<(), String> {
    let checked = ENGINE.compile_expression(without_braces(expression)).map(drop);
    checked.map_err(|error| format!("`{}` is no expression: {}", expression.trim(), error.detail().unwrap_or("?")))
}

fn without_braces(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(text)
}

fn value_of(expression: &str, names: Vec<(&'static str, Value)>) -> Result<Value, String> {
    let text = expression.trim();
    let context = Value::from_pairs(names);
    let failed = |error: Error| format!("cannot evaluate `{text}`: {error}");
    ENGINE.compile_expression(without_braces(text)).map_err(failed)?.eval(context).map_err(failed)
}

/// A JSON value as a name of an expression.
pub fn name_of(value: &Json) -> Value {
    Value::from(Serde(value))
}

impl Response {
    /// As a name of an expression.
    pub fn into_value(self) -> Value {
        Value::from_object(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> Vec<(&'static str, Value)> {
        let response = Response {
            status_code: 200,
            text: r#"{"state": "ready", "rows": [1, 2]}"#.to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            url: "http://x/".to_owned(),
        };
        vec![("response", response.into_value())]
    }

    #[test]
    fn a_response_is_asked_as_python_does() {
        for expression in [
            "response.status_code == 200",
            "{{ response.json().state == 'ready' }}",
            "'rea' in response.text and response.ok",
            "response.headers['content-type'].startswith('application/')",
            "response.json()['rows'] | length == 2",
        ] {
            assert_eq!(is_true(expression, response()), Ok(true), "{expression}");
        }
        assert_eq!(evaluate("response.json()['rows']", response()), Ok(serde_json::json!([1, 2])));
    }

    #[test]
    fn what_is_not_known_is_said() {
        let error = is_true("respones.ok", response()).expect_err("misspelt");
        assert!(error.contains("`respones.ok`"), "{error}");
        assert!(is_true("response.jsn()", response()).expect_err("misspelt").contains("jsn"));
    }
}
