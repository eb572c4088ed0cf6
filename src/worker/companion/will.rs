//! What the companion must know to speak for its worker when that is dead (PROTOCOL W7). It is said over their socket,
//! where nobody else can read it: neither in arguments nor in an environment.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::broker::{Address, Listener, Names, Options, Shape, Tls};
use crate::domain::ids::{Incarnation, WorkerId};
use crate::domain::secret::Hidden;
use crate::domain::time::seconds;
use crate::protocol::envelope::{Installation, InvalidSecret, Keys};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Will {
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    pub journal: PathBuf,
    /// Where the logs lie that the worker did not ship to their end.
    pub base_log_folder: PathBuf,
    /// For so long it tries: after that the leader knows by itself.
    #[serde(with = "seconds")]
    pub worker_lost_after: Duration,
    pub broker: BrokerAccess,
}

/// Where the broker is, and how to sign for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrokerAccess {
    addresses: Vec<Address>,
    tls: Tls,
    shape: Shape,
    installation: Installation,
    internal_secret: Hidden,
    #[serde(with = "seconds")]
    heartbeat: Duration,
    #[serde(with = "seconds")]
    timeout: Duration,
    label: String,
}

impl BrokerAccess {
    /// As the worker itself works with it. `internal_secret` is `[core] internal_secret`.
    pub fn new(options: &Options, installation: Installation, internal_secret: Hidden) -> Self {
        Self {
            addresses: options.addresses.clone(),
            tls: options.tls.clone(),
            shape: options.shape,
            installation,
            internal_secret,
            heartbeat: options.heartbeat,
            timeout: options.timeout,
            label: options.label.clone(),
        }
    }

    /// Makes the queues that it writes to: `updraft.scheduler` and `updraft.log`.
    pub fn options(&self) -> Options {
        let names = Names::new(self.installation.clone());
        let queues = vec![names.scheduler(), names.log()];
        Options {
            tls: self.tls.clone(),
            shape: self.shape,
            queues,
            heartbeat: self.heartbeat,
            timeout: self.timeout,
            label: self.label.clone(),
            ..Options::new(self.addresses.clone(), names, Listener::Node(Uuid::new_v4()))
        }
    }

    /// # Errors
    /// When there is no secret, or one that could be guessed.
    pub fn keys(&self) -> Result<Keys, InvalidSecret> {
        Keys::new(self.installation.clone(), &self.internal_secret.0)
    }
}
