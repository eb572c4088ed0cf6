//! What can be wrong with a broker, as sentences that say where, what and what to do.

/// Sorted by what the reader does next: see [`BrokerError::waits`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    #[error("no broker at {address}: {why}; is it started, and is [celery] broker_url right?")]
    Unreachable { address: String, why: String },
    #[error("{address} does not let the user `{user}` in: the name or the password is wrong; see [celery] broker_url")]
    Login { address: String, user: String },
    #[error(
        "{address} has no virtual host `{vhost}` for this user ({why}); make it with `rabbitmqctl add_vhost` and `set_permissions`, or name another in [celery] broker_url"
    )]
    VirtualHost { address: String, vhost: String, why: String },
    #[error("{address} answers, but not as {expected} does ({why}); see [celery] broker_url")]
    NotABroker { address: String, expected: &'static str, why: String },
    #[error("the encrypted connection to {address} fails: {why}; see [celery] ssl_cacert, ssl_cert, ssl_key")]
    Tls { address: String, why: String },
    #[error("{address} is too old: {why}")]
    TooOld { address: String, why: String },
    #[error(
        "the queue `{queue}` exists with another `{property}` ({why}); delete it when it is empty, or configure what it has"
    )]
    Mismatch { queue: String, property: String, why: String },
    #[error("the name of the queue `{queue}` is too long for a broker: {length} bytes, at most 255")]
    NameTooLong { queue: String, length: usize },
    #[error("the broker forbids it: {why}; the user needs to configure, write and read the queues of the installation")]
    Forbidden { why: String },
    #[error("the connection to the broker is lost: {why}")]
    Lost { why: String },
    #[error("the delivery is void: its channel is gone, and the broker has taken the message back")]
    Void,
    #[error("the broker was closed here")]
    Closed,
    #[error("the broker refuses: {why}")]
    Refused { why: String },
}

impl BrokerError {
    /// Whether waiting alone may help. Where it may not, a person must act; a node that starts may rather end.
    pub fn waits(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Void | Self::Refused { .. } => true,
            Self::Login { .. }
            | Self::VirtualHost { .. }
            | Self::NotABroker { .. }
            | Self::Tls { .. }
            | Self::TooOld { .. }
            | Self::Mismatch { .. }
            | Self::NameTooLong { .. }
            | Self::Forbidden { .. }
            | Self::Closed => false,
        }
    }

    pub(super) fn lost(why: impl ToString) -> Self {
        Self::Lost { why: why.to_string() }
    }
}
