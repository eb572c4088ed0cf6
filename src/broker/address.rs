//! Where a broker is: `[celery] broker_url`, one or several addresses separated by `;`, as Celery writes them.
//!
//! An address never shows its password: `Display` and `Debug` leave it out.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use crate::domain::problem::suggestion;
use crate::domain::secret::Hidden;

/// The back ends that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    Amqp,
    Redis,
}

const SCHEMES: [&str; 5] = ["amqp", "amqps", "pyamqp", "redis", "rediss"];

/// One server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub scheme: Scheme,
    pub tls: bool,
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
    pub password: Option<Hidden>,
    /// The virtual host of RabbitMQ (`/` unless one is named), or the number of Redis' database.
    pub room: String,
}

/// Why a text is not where a broker is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("[celery] broker_url: {why}")]
pub struct InvalidAddress {
    why: String,
}

fn invalid(why: impl Into<String>) -> InvalidAddress {
    InvalidAddress { why: why.into() }
}

impl Address {
    /// Every address of a `broker_url`, at least one, all of one kind.
    ///
    /// # Errors
    /// When one of them is not understood. The text itself is not repeated, because it may hold a password.
    pub fn parse_all(broker_url: &str) -> Result<Vec<Self>, InvalidAddress> {
        let mut addresses: Vec<Self> = Vec::new();
        for text in broker_url.split(';').map(str::trim).filter(|text| !text.is_empty()) {
            addresses.push(Self::parse(text, addresses.first())?);
        }
        let Some(first) = addresses.first() else {
            return Err(invalid("expected an address such as amqp://user:password@host:5672/, got nothing"));
        };
        if addresses.iter().any(|address| address.scheme != first.scheme) {
            return Err(invalid("expected all addresses to be of one kind of broker, got RabbitMQ and Redis"));
        }
        Ok(addresses)
    }

    /// Celery lets later addresses leave out the scheme: `amqp://a;b`.
    fn parse(text: &str, first: Option<&Self>) -> Result<Self, InvalidAddress> {
        let (scheme, tls, rest) = match (text.split_once("://"), first) {
            (Some((word, rest)), _) => {
                let (scheme, tls) = scheme(word)?;
                (scheme, tls, rest)
            }
            (None, Some(first)) => (first.scheme, first.tls, text),
            (None, None) => return Err(invalid("expected it to begin with amqp:// or redis://")),
        };
        let (rest, _options) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, room) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, server) = match authority.rsplit_once('@') {
            Some((login, server)) => (Some(login), server),
            None => (None, authority),
        };
        let default_port = match (scheme, tls) {
            (Scheme::Amqp, false) => 5672,
            (Scheme::Amqp, true) => 5671,
            (Scheme::Redis, _) => 6379,
        };
        let (host, port) = host_and_port(server, default_port)?;
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            Some((user, password)) => (decoded(user)?, decoded(password)?),
            None => (String::new(), String::new()),
        };
        let some = |text: String| (!text.is_empty()).then_some(text);
        Ok(Self {
            scheme,
            tls,
            host,
            port,
            user: some(user),
            password: some(password).map(Hidden),
            room: self::room(scheme, &decoded(room)?)?,
        })
    }
}

fn scheme(word: &str) -> Result<(Scheme, bool), InvalidAddress> {
    match word.to_ascii_lowercase().as_str() {
        "amqp" | "pyamqp" => Ok((Scheme::Amqp, false)),
        "amqps" => Ok((Scheme::Amqp, true)),
        "redis" => Ok((Scheme::Redis, false)),
        "rediss" => Ok((Scheme::Redis, true)),
        "sentinel" => Err(invalid("Redis Sentinel is not supported: name the servers, separated by `;`")),
        _ => {
            let hint = suggestion(word, SCHEMES).map(|hint| format!(" ({hint})")).unwrap_or_default();
            Err(invalid(format!("unknown broker `{word}://`, expected one of {}{hint}", SCHEMES.join(", "))))
        }
    }
}

fn host_and_port(server: &str, default_port: u16) -> Result<(String, u16), InvalidAddress> {
    let (host, port) = match server.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, port)) => (v6, port.strip_prefix(':')),
        None => server.split_once(':').map_or((server, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(invalid("expected the name of a host, got none"));
    }
    let port = match port {
        None | Some("") => default_port,
        Some(port) => port.parse().map_err(|_| invalid(format!("expected a port, 1 to 65535, got: `{port}`")))?,
    };
    Ok((host.to_owned(), port))
}

/// `amqp://host/` and `amqp://host//` both mean the virtual host `/` to Celery.
fn room(scheme: Scheme, text: &str) -> Result<String, InvalidAddress> {
    match (scheme, text) {
        (Scheme::Amqp, "" | "/") => Ok("/".to_owned()),
        (Scheme::Redis, "" | "/") => Ok("0".to_owned()),
        (Scheme::Amqp, name) => Ok(name.to_owned()),
        (Scheme::Redis, number) => match number.parse::<u16>() {
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err(invalid(format!("expected the number of a Redis database, got: `{number}`"))),
        },
    }
}

fn decoded(text: &str) -> Result<String, InvalidAddress> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| invalid("a part that is no UTF-8 text once its `%` signs are decoded"))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.scheme, self.tls) {
            (Scheme::Amqp, false) => "amqp",
            (Scheme::Amqp, true) => "amqps",
            (Scheme::Redis, false) => "redis",
            (Scheme::Redis, true) => "rediss",
        };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "{scheme}://{host}:{}/{}", self.port, self.room.trim_start_matches('/'))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Address {
        Address::parse_all(text).expect("an address").remove(0)
    }

    #[test]
    fn the_parts_of_an_address_are_what_celery_takes_them_for() {
        for (text, user, host, port, room, tls) in [
            ("amqp://guest:guest@localhost:5672//", Some("guest"), "localhost", 5672, "/", false),
            ("amqp://guest:guest@localhost/%2f", Some("guest"), "localhost", 5672, "/", false),
            ("pyamqp://host", None, "host", 5672, "/", false),
            ("amqps://u:p@host/air", Some("u"), "host", 5671, "air", true),
            ("amqp://u:p@[::1]:5673/a%2fb?heartbeat=3", Some("u"), "::1", 5673, "a/b", false),
            ("redis://redis:6379/0", None, "redis", 6379, "0", false),
            ("rediss://:p@host/3", None, "host", 6379, "3", true),
        ] {
            let address = one(text);
            let got =
                (address.user.as_deref(), address.host.as_str(), address.port, address.room.as_str(), address.tls);
            assert_eq!(got, (user, host, port, room, tls), "{text}");
        }
        assert_eq!(one("amqp://u:p%40%3A@h").password, Some(Hidden("p@:".into())));
        assert_eq!(one("rediss://:p@host/3").password, Some(Hidden("p".into())));
    }

    #[test]
    fn several_addresses_share_the_scheme_of_the_first() {
        let addresses = Address::parse_all("amqps://u:p@a/air; b:5673 ;amqp://c").expect("three");
        let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["amqps://a:5671/air", "amqps://b:5673/", "amqp://c:5672/"]);
    }

    #[test]
    fn what_is_no_address_is_said_without_the_password() {
        for (text, says) in [
            ("", "got nothing"),
            (" ; ", "got nothing"),
            ("rabbit", "begin with amqp:// or redis://"),
            (
                "ampq://u:secret@h",
                "unknown broker `ampq://`, expected one of amqp, amqps, pyamqp, redis, rediss (did you mean `amqp`?)",
            ),
            ("sqs://h", "unknown broker `sqs://`"),
            ("amqp://u:secret@", "expected the name of a host"),
            ("amqp://u:secret@h:99999/", "expected a port, 1 to 65535, got: `99999`"),
            ("redis://:secret@h/x", "expected the number of a Redis database, got: `x`"),
            ("amqp://u:secret@h;redis://h", "all addresses to be of one kind"),
            ("amqp://u:%ff@h", "no UTF-8"),
        ] {
            let error = Address::parse_all(text).expect_err(text).to_string();
            assert!(error.starts_with("[celery] broker_url: ") && error.contains(says), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let address = one("amqp://u:secret@h");
        assert!(!format!("{address:?} {address}").contains("secret"));
    }
}
