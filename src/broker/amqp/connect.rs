//! Getting in: from an address to a connection, or to a sentence that says which of the many ways it failed.

use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::types::LongString;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Connection, ConnectionProperties, ErrorKind};

use super::super::address::Address;
use super::super::error::BrokerError;
use super::super::link::Dial;
use super::said;

/// RabbitMQ's own default.
const GUEST: &str = "guest";

pub(in crate::broker) async fn connect(dial: &Dial) -> Result<Connection, BrokerError> {
    let properties = ConnectionProperties::default()
        .with_connection_name(LongString::from(dial.label.as_str()))
        .with_client_property("product".into(), LongString::from("updraft"));
    let tls = if dial.address.tls { tls(dial)? } else { OwnedTLSConfig::default() };
    let runtime = lapin::runtime::default_runtime().map_err(|error| refusal(&error, &dial.address))?;
    let connection = Connection::connect_uri_with_config(uri(dial), properties, tls, runtime).await;
    connection.map_err(|error| refusal(&error, &dial.address))
}

fn uri(dial: &Dial) -> AMQPUri {
    let address = &dial.address;
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| GUEST.to_owned());
    let seconds = u16::try_from(dial.heartbeat.as_secs().max(1)).unwrap_or(u16::MAX);
    AMQPUri {
        scheme: if address.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo {
                username: text(&address.user),
                password: text(&address.password.as_ref().map(|password| password.0.clone())),
            },
            host: address.host.clone(),
            port: address.port,
        },
        vhost: address.room.clone(),
        query: AMQPQueryString {
            heartbeat: Some(seconds),
            connection_timeout: u64::try_from(dial.timeout.as_millis()).ok(),
            ..Default::default()
        },
    }
}

fn tls(dial: &Dial) -> Result<OwnedTLSConfig, BrokerError> {
    let files = dial.tls.read(&dial.address)?;
    let text = |bytes: Vec<u8>| {
        let why = "[celery] ssl_cacert is not text in PEM".to_owned();
        String::from_utf8(bytes).map_err(|_| BrokerError::Tls { address: dial.address.to_string(), why })
    };
    Ok(OwnedTLSConfig {
        identity: files.identity.map(|(pem, key)| OwnedIdentity::PKCS8 { pem, key }),
        cert_chain: files.ca.map(text).transpose()?,
    })
}

fn refusal(error: &lapin::Error, address: &Address) -> BrokerError {
    let (shown, why) = (address.to_string(), said(error));
    let not_a_broker =
        |why: String| BrokerError::NotABroker { address: address.to_string(), expected: "RabbitMQ", why };
    match error.kind() {
        ErrorKind::ProtocolError(refusal) => match refusal.get_id() {
            403 => {
                BrokerError::Login { address: shown, user: address.user.clone().unwrap_or_else(|| GUEST.to_owned()) }
            }
            530 => BrokerError::VirtualHost { address: shown, vhost: address.room.clone(), why },
            _ => BrokerError::Refused { why },
        },
        ErrorKind::IOError(io) => match io.kind() {
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput | std::io::ErrorKind::Other
                if address.tls =>
            {
                BrokerError::Tls { address: shown, why }
            }
            // A broker that is just starting or stopping behind a proxy does so too: only waiting tells.
            std::io::ErrorKind::UnexpectedEof
            | std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::ConnectionAborted
            | std::io::ErrorKind::BrokenPipe => {
                BrokerError::Unreachable { address: shown, why: format!("it hung up: {why}") }
            }
            _ => BrokerError::Unreachable { address: shown, why },
        },
        ErrorKind::InvalidProtocolVersion(_) | ErrorKind::ParsingError(_) => not_a_broker(why),
        _ => BrokerError::Unreachable { address: shown, why },
    }
}
