//! Getting in: from an address to a connection, or to a sentence that says which of the many ways it failed.

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ErrorKind, IntoConnectionInfo, ProtocolVersion,
    PushInfo, RedisConnectionInfo, RedisError, TlsCertificates,
};
use tokio::sync::mpsc;

use super::super::address::Address;
use super::super::error::BrokerError;
use super::super::link::Dial;
use super::said;

/// The first with `XGROUP CREATECONSUMER` and exclusive ranges.
const OLDEST: (u32, u32) = (6, 2);

pub(super) async fn connect(
    dial: &Dial,
    pushes: mpsc::UnboundedSender<PushInfo>,
) -> Result<MultiplexedConnection, BrokerError> {
    let refused = |error: RedisError| refusal(&error, &dial.address);
    let client = client(dial)?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(dial.timeout))
        .set_response_timeout(Some(dial.heartbeat * 2))
        .set_push_sender(pushes);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.map_err(refused)?;
    let visible = |c: char| if c.is_ascii_graphic() { c } else { '-' };
    let name: String = dial.label.chars().map(visible).collect();
    redis::cmd("CLIENT").arg("SETNAME").arg(name).query_async::<()>(&mut connection).await.map_err(refused)?;
    let server: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await.map_err(refused)?;
    check_version(&server, &dial.address)?;
    Ok(connection)
}

fn check_version(server: &str, address: &Address) -> Result<(), BrokerError> {
    let version = server.lines().find_map(|line| line.strip_prefix("redis_version:")).map(str::trim);
    let too_old = |why: String| BrokerError::TooOld { address: address.to_string(), why };
    let Some(version) = version else { return Err(too_old("it does not say its version".to_owned())) };
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    if (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < OLDEST {
        return Err(too_old(format!("Redis {version}, expected 6.2 or newer")));
    }
    Ok(())
}

fn client(dial: &Dial) -> Result<Client, BrokerError> {
    let address = &dial.address;
    let refused = |error: RedisError| refusal(&error, address);
    let mut settings = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_db(address.room.parse().unwrap_or_default());
    if let Some(user) = &address.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &address.password {
        settings = settings.set_password(&password.0);
    }
    let (host, port) = (address.host.clone(), address.port);
    if !address.tls {
        let info = ConnectionAddr::Tcp(host, port).into_connection_info().map_err(refused)?;
        return Client::open(info.set_redis_settings(settings)).map_err(refused);
    }
    let files = dial.tls.read(address)?;
    let addr = ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
    let info = addr.into_connection_info().map_err(refused)?.set_redis_settings(settings);
    let identity = files.identity.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
    let certificates = TlsCertificates { client_tls: identity, root_cert: files.ca };
    Client::build_with_tls(info, certificates)
        .map_err(|error| BrokerError::Tls { address: address.to_string(), why: said(&error) })
}

fn refusal(error: &RedisError, address: &Address) -> BrokerError {
    let (shown, why) = (address.to_string(), said(error));
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => {
            BrokerError::Login { address: shown, user: address.user.clone().unwrap_or_else(|| "default".to_owned()) }
        }
        (_, Some("NOPERM")) => BrokerError::Forbidden { why },
        (ErrorKind::RESP3NotSupported, _) => BrokerError::TooOld { address: shown, why },
        (ErrorKind::Parse | ErrorKind::UnexpectedReturnType, _) => {
            BrokerError::NotABroker { address: shown, expected: "Redis", why }
        }
        (ErrorKind::Io, _) if error.is_connection_refusal() || error.is_timeout() => {
            BrokerError::Unreachable { address: shown, why }
        }
        (ErrorKind::Io, _) if address.tls => BrokerError::Tls { address: shown, why },
        (ErrorKind::Io, _) if error.is_connection_dropped() => {
            BrokerError::Unreachable { address: shown, why: format!("it hung up: {why}") }
        }
        (_, Some(_)) => BrokerError::Refused { why },
        (_, None) => BrokerError::Unreachable { address: shown, why },
    }
}
