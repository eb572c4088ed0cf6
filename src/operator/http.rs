//! One HTTP request (`HttpOperator`), and the request that a sensor repeats.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::http::{HeaderName, HeaderValue, Method, Request};

use super::channel::Channel;
use super::{End, say};
use crate::domain::connection::Connection;
use crate::domain::native::{Http, HttpOptions};
use crate::domain::template::{Response, evaluate, is_true};

/// More text than this is no answer to keep in memory.
const MOST_BYTES: u64 = 64 << 20;

pub(super) fn run(http: &Http, channel: &mut Channel) -> Result<Value, End> {
    let method = http.method.as_deref().unwrap_or("POST");
    let target = Target::find(http.http_conn_id.as_deref(), http.endpoint.as_deref().unwrap_or_default(), channel)?;
    let wanted = Wanted { method, data: http.data.as_ref(), json: http.json.as_ref(), headers: &http.headers };
    let response = target.send(&wanted, &http.extra_options)?;
    if http.log_response {
        say(&response.text);
    }
    if http.extra_options.check_response.unwrap_or(true) {
        fail_on_status(&response)?;
    }
    let text = response.text.clone();
    let names = || vec![("response", response.clone().into_response().into_value())];
    if let Some(check) = &http.response_check
        && !is_true(check, names()).map_err(End::FailedForGood)?
    {
        return Err(End::Failed("Response check returned False.".to_owned()));
    }
    match &http.response_filter {
        Some(filter) => evaluate(filter, names()).map_err(End::FailedForGood),
        None => Ok(Value::String(text)),
    }
}

/// What a request is to carry.
pub(super) struct Wanted<'a> {
    pub method: &'a str,
    pub data: Option<&'a Value>,
    pub json: Option<&'a Value>,
    pub headers: &'a BTreeMap<String, String>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub reason: String,
    pub text: String,
    pub headers: Vec<(String, String)>,
    pub url: String,
}

impl Answer {
    pub fn into_response(self) -> Response {
        Response { status_code: self.status, text: self.text, headers: self.headers, url: self.url }
    }
}

/// Airflow's `raise_for_status`.
pub(super) fn fail_on_status(answer: &Answer) -> Result<(), End> {
    if answer.status < 400 {
        return Ok(());
    }
    say(&format!("HTTP error: {}\n{}", answer.reason, answer.text));
    Err(End::Failed(format!("{}:{}", answer.status, answer.reason)))
}

/// Where requests go, and what the connection adds to them.
pub(super) struct Target {
    url: String,
    headers: BTreeMap<String, String>,
    authorization: Option<String>,
}

impl Target {
    /// A whole URL needs no connection; a path needs one.
    pub fn find(conn_id: Option<&str>, endpoint: &str, channel: &mut Channel) -> Result<Self, End> {
        let is_whole = endpoint.starts_with("http://") || endpoint.starts_with("https://");
        let connection = match (conn_id, is_whole) {
            (None, true) => None,
            (Some(id), true) => channel.find_connection(id)?,
            (id, false) => Some(channel.connection(id.unwrap_or("http_default"))?),
        };
        let Some(connection) = connection else {
            return Ok(Self { url: endpoint.to_owned(), headers: BTreeMap::new(), authorization: None });
        };
        let url = if is_whole { endpoint.to_owned() } else { join(&base_url(&connection)?, endpoint) };
        Ok(Self { url, headers: headers_of(&connection), authorization: basic(&connection) })
    }

    pub fn send(&self, wanted: &Wanted<'_>, options: &HttpOptions) -> Result<Answer, End> {
        let for_good =
            |error: &dyn std::fmt::Display| End::FailedForGood(format!("the HTTP request is not possible: {error}"));
        let method = wanted.method.trim().to_uppercase();
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| for_good(&error))?;
        let as_query = method == Method::GET || method == Method::HEAD;
        let mut url = self.url.clone();
        let (mut body, mut kind) = (None, None);
        match (wanted.json, wanted.data) {
            (Some(json), _) => (body, kind) = (Some(json.to_string()), Some("application/json")),
            (None, Some(Value::Object(_))) if as_query => url = with_query(&url, wanted.data),
            (None, Some(Value::String(query))) if as_query && !query.is_empty() => {
                url = format!("{url}{}{query}", if url.contains('?') { '&' } else { '?' });
            }
            (None, Some(form @ Value::Object(_))) => {
                (body, kind) = (Some(form_encoded(form)), Some("application/x-www-form-urlencoded"));
            }
            (None, Some(Value::String(text))) if !text.is_empty() => body = Some(text.clone()),
            (None, _) => {}
        }
        let mut request = Request::builder().method(method.clone()).uri(&url);
        let headers = request.headers_mut().ok_or_else(|| for_good(&format!("`{url}` is no URL")))?;
        let given = kind.map(|kind| ("content-type".to_owned(), kind.to_owned()));
        let authorization = self.authorization.clone().map(|text| ("authorization".to_owned(), text));
        let connection = self.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
        let own = wanted.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
        for (name, value) in given.into_iter().chain(authorization).chain(connection).chain(own) {
            let name = HeaderName::try_from(&name).map_err(|error| for_good(&format!("header `{name}`: {error}")))?;
            // The value may be a secret: it is not repeated.
            let value =
                HeaderValue::try_from(&value).map_err(|_| for_good(&format!("the value of header `{name}`")))?;
            headers.insert(name, value);
        }
        let agent = agent(options);
        let failed = |error: ureq::Error| End::Failed(format!("{method} {}: {error}", without_query(&url)));
        let request = request.body(body.unwrap_or_default()).map_err(|error| for_good(&error))?;
        let response = agent.run(request).map_err(failed)?;
        let (parts, mut body) = response.into_parts();
        let text = body.with_config().limit(MOST_BYTES).lossy_utf8(true).read_to_string().map_err(failed)?;
        let headers = parts.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let reason = parts.status.canonical_reason().unwrap_or("unknown status").to_owned();
        let status = parts.status.as_u16();
        say(&format!("{method} {}: {status} {reason}", without_query(&url)));
        Ok(Answer { status, reason, text, headers: headers.collect(), url })
    }
}

fn agent(options: &HttpOptions) -> ureq::Agent {
    let follows = options.allow_redirects.unwrap_or(true);
    let tls = ureq::tls::TlsConfig::builder().disable_verification(!options.verify.unwrap_or(true)).build();
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_redirects(if follows { 30 } else { 0 })
        .max_redirects_will_error(follows)
        .timeout_global(options.timeout.filter(|timeout| *timeout > Duration::ZERO))
        .tls_config(tls)
        .user_agent(concat!("updraft/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// `http://host:port`, from a connection whose host may hold the scheme and whose schema may name it.
fn base_url(connection: &Connection) -> Result<String, End> {
    let host = connection.host.as_deref().unwrap_or_default().trim_end_matches('/');
    if host.is_empty() {
        return Err(End::FailedForGood("the connection names no host".to_owned()));
    }
    if host.contains("://") {
        return Ok(with_port(host, connection.port));
    }
    let scheme = connection
        .schema
        .as_deref()
        .filter(|schema| !schema.is_empty())
        .unwrap_or_else(|| if connection.conn_type == "https" { "https" } else { "http" });
    Ok(with_port(&format!("{scheme}://{host}"), connection.port))
}

fn with_port(base: &str, port: Option<u16>) -> String {
    port.map_or_else(|| base.to_owned(), |port| format!("{base}:{port}"))
}

fn join(base: &str, endpoint: &str) -> String {
    if endpoint.is_empty() { base.to_owned() } else { format!("{base}/{}", endpoint.trim_start_matches('/')) }
}

/// Airflow takes the texts of a connection's extra as headers, and `headers` in it; settings of the client are not sent.
fn headers_of(connection: &Connection) -> BTreeMap<String, String> {
    const SETTINGS: [&str; 12] = [
        "timeout",
        "verify",
        "cert",
        "proxies",
        "proxy",
        "stream",
        "check_response",
        "allow_redirects",
        "max_redirects",
        "trust_env",
        "auth_type",
        "auth_kwargs",
    ];
    let mut headers = BTreeMap::new();
    for (name, value) in connection.extra_object().unwrap_or_default() {
        match value {
            Value::Object(inner) if name == "headers" => {
                headers.extend(inner.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))));
            }
            Value::String(text) if !SETTINGS.contains(&name.as_str()) => {
                headers.insert(name, text);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            }
        }
    }
    headers
}

fn basic(connection: &Connection) -> Option<String> {
    let login = connection.login.as_deref().filter(|login| !login.is_empty())?;
    let password = connection.password.as_deref().unwrap_or_default();
    Some(format!("Basic {}", STANDARD.encode(format!("{login}:{password}"))))
}

fn with_query(url: &str, data: Option<&Value>) -> String {
    match data.map(form_encoded).filter(|query| !query.is_empty()) {
        Some(query) => format!("{url}{}{query}", if url.contains('?') { '&' } else { '?' }),
        None => url.to_owned(),
    }
}

/// `a=1&b=x%20y`; a list repeats its name, as Python's `requests` has it.
fn form_encoded(value: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let quoted = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = value.as_object().into_iter().flatten().flat_map(|(name, value)| match value {
        Value::Null => Vec::new(),
        Value::Array(list) => list.iter().map(|value| (name, text(value))).collect(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => vec![(name, text(value))],
    });
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{}={}", quoted(name), quoted(&value))).collect();
    pairs.join("&")
}

/// A query may hold a key: it is left out of what people read.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_connection_names_the_server_in_each_of_airflows_ways() {
        let table = [
            ("http://api.example.com/", "http://api.example.com"),
            ("http://api.example.com:8080", "http://api.example.com:8080"),
            ("https://api.example.com", "https://api.example.com"),
            ("http://api.example.com/https", "https://api.example.com"),
            ("http://https%3A%2F%2Fapi.example.com%2Fv1", "https://api.example.com/v1"),
        ];
        for (uri, expected) in table {
            let connection = Connection::from_uri(uri).expect("a connection");
            assert_eq!(base_url(&connection).expect("a URL"), expected, "{uri}");
        }
        assert_eq!(join("http://x/v1", "/a"), "http://x/v1/a");
    }

    #[test]
    fn a_mapping_becomes_a_query_or_a_form() {
        let data = json!({ "a": 1, "b": ["x y", true], "c": null });
        assert_eq!(form_encoded(&data), "a=1&b=x%20y&b=true");
        assert_eq!(with_query("http://x/?k=v", Some(&data)), "http://x/?k=v&a=1&b=x%20y&b=true");
    }
}
