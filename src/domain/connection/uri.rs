//! A connection as a URI, read and written as Airflow does:
//! `type://login:password@host:port/schema?key=value`, every part percent-encoded.
//! It is no URL of the web: a host may hold a second scheme, or be a path.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

use super::{Connection, InvalidConnection, normal_type};
use crate::domain::python_json::python_json;

/// The key under which an extra travels that a query cannot hold.
const EXTRA: &str = "__extra__";

/// What Python's `quote` leaves as it is.
const QUOTED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');

impl Connection {
    /// Reads a URI.
    ///
    /// # Errors
    /// When it has no type, too many schemes, a port out of range, or bytes that are no text.
    pub fn from_uri(uri: &str) -> Result<Self, InvalidConnection> {
        let schemes = uri.matches("://").count();
        if schemes > 2 {
            return Err(InvalidConnection::TooManySchemes(schemes));
        }
        let (scheme, rest) = uri.trim().split_once("://").ok_or(InvalidConnection::NoType)?;
        if !is_scheme(scheme) {
            return Err(InvalidConnection::NoType);
        }
        let (protocol, rest) = match rest.split_once("://").filter(|_| schemes == 2) {
            Some((protocol, rest)) if is_scheme(protocol) => (Some(protocol), rest),
            Some(_) => return Err(InvalidConnection::SecondScheme),
            None => (None, rest),
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _fragment)| before);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let (login, password) = match user.map(|user| user.split_once(':').ok_or(user)) {
            Some(Ok((login, password))) => (Some(login), Some(password)),
            Some(Err(login)) => (Some(login), None),
            None => (None, None),
        };
        let (host, port) = host_and_port(place)?;
        let host = match protocol.filter(|_| !host.is_empty()) {
            Some(protocol) => format!("{}://{host}", protocol.to_lowercase()),
            None => host,
        };
        let decoded = |text: Option<&str>, what| text.map(|text| decode(text, what)).transpose();
        Ok(Self {
            conn_type: normal_type(&scheme.to_lowercase()),
            description: None,
            host: Some(host),
            login: decoded(login, "the login")?,
            password: decoded(password, "the password")?,
            schema: Some(decode(path, "the schema")?),
            port,
            extra: (!query.is_empty()).then(|| extra(query)).transpose()?,
        })
    }

    /// The URI that [`Connection::from_uri`] reads as this.
    pub fn uri(&self) -> String {
        let mut uri = format!("{}://", self.conn_type.to_lowercase().replace('_', "-"));
        let mut host = self.host.as_deref().unwrap_or_default();
        if let Some((protocol, rest)) = host.split_once("://").filter(|(protocol, _)| *protocol != self.conn_type) {
            uri.push_str(protocol);
            uri.push_str("://");
            host = rest;
        }
        let mut user = self.login.as_deref().map(quote).unwrap_or_default();
        if let Some(password) = &self.password {
            user.push(':');
            user.push_str(&quote(password));
        }
        if !user.is_empty() {
            uri.push_str(&user);
            uri.push('@');
        }
        uri.push_str(&quote(host));
        if let Some(port) = self.port.filter(|port| *port > 0) {
            let mark = if host.is_empty() && user.is_empty() { "@:" } else { ":" };
            uri.push_str(&format!("{mark}{port}"));
        }
        let schema = self.schema.as_deref().filter(|schema| !schema.is_empty());
        if let Some(schema) = schema {
            uri.push('/');
            uri.push_str(&quote(schema));
        }
        if let Some(extra) = self.extra.as_deref().filter(|extra| !extra.is_empty()) {
            uri.push_str(if schema.is_some() { "?" } else { "/?" });
            uri.push_str(&self.plain_query().unwrap_or_else(|| format!("{EXTRA}={}", quote_plus(extra))));
        }
        uri
    }

    /// The extra as a query, where reading that gives the same: all its values are texts that stay texts.
    fn plain_query(&self) -> Option<String> {
        let object = self.extra_object().filter(|object| !object.is_empty())?;
        let pair = |(key, value): (&String, &Value)| {
            let text = value.as_str()?;
            Some(format!("{}={}", quote_plus(key), quote_plus(text)))
        };
        let pairs: Option<Vec<String>> = object.iter().map(pair).collect();
        Some(pairs?.join("&"))
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'))
}

/// A path as a host keeps its case; a name is lowercased.
fn host_and_port(place: &str) -> Result<(String, Option<u16>), InvalidConnection> {
    let bracketed = place.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, after)) => (host, after.strip_prefix(':').unwrap_or_default()),
        None => place.split_once(':').unwrap_or((place, "")),
    };
    let port = match port {
        "" => None,
        port if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(port.parse().map_err(|_| InvalidConnection::Port(port.to_owned()))?)
        }
        port => return Err(InvalidConnection::Port(port.to_owned())),
    };
    let decoded = decode(host, "the host")?;
    let host = if decoded.contains('/') {
        decoded
    } else {
        // What is percent-encoded keeps its case, as an IPv6 zone must.
        let (name, encoded) = host.find('%').map_or((host, ""), |at| host.split_at(at));
        name.to_lowercase() + &decode(encoded, "the host")?
    };
    Ok((host, port))
}

fn extra(query: &str) -> Result<String, InvalidConnection> {
    let mut values = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let text = |text: &str| decode(&text.replace('+', " "), "the query");
        values.insert(text(key)?, Value::String(text(value)?));
    }
    if let Some(Value::String(whole)) = values.get(EXTRA) {
        return Ok(whole.clone());
    }
    let numbered = values.into_iter().map(|(key, value)| (key, number(value))).collect();
    Ok(python_json(&Value::Object(numbered)))
}

/// A text that is nothing but a number is one.
fn number(value: Value) -> Value {
    let Value::String(text) = &value else { return value };
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.ends_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    match plain {
        true => text
            .parse::<i64>()
            .map(Value::from)
            .or_else(|_| text.parse::<f64>().map(Value::from))
            .unwrap_or_else(|_| value.clone()),
        false => value,
    }
}

/// Python leaves a lone `%` as it is, and so do we; but a text must be one.
fn decode(text: &str, what: &'static str) -> Result<String, InvalidConnection> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| InvalidConnection::Encoding(what))?;
    Ok(decoded.into_owned())
}

fn quote(text: &str) -> String {
    utf8_percent_encode(text, QUOTED).to_string()
}

fn quote_plus(text: &str) -> String {
    quote(text).replace("%20", "+")
}
