//! From the configuration to the broker: how each kind of node connects, and with which keys it signs.
//!
//! Everything that can be wrong with it is said here once, with the key that a person would mend. Nothing connects.

use std::path::{Path, PathBuf};

use crate::broker::{Address, Listener, Names, Options, QueueType, Shape, Tls};
use crate::config::{self, BrokerQueueType};
use crate::domain::ids::{Incarnation, WorkerId};
use crate::domain::problem::{Place, Problem};
use crate::protocol::envelope::{Installation, Keys};

use super::run::host_name;

/// What a node is at the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A leader, or whoever stands by to become one.
    Scheduler,
    /// One life of a worker.
    Worker { worker: WorkerId, incarnation: Incarnation },
    /// The companion of a worker, which has something to say after that one's end.
    Companion,
}

/// How this node works with its broker. The queues in which everybody writes are made at each connection.
///
/// # Errors
/// When a key cannot mean what it says; the problem names it.
pub fn options(settings: &config::Settings, role: Role) -> Result<Options, Problem> {
    let (celery, transport) = (&settings.celery, &settings.celery_broker_transport_options);
    let addresses = Address::parse_all(celery.broker_url.reveal()).map_err(bad)?;
    let names = Names::new(installation(settings)?);
    // Only a worker's present life is answered; the others listen to prove their connection.
    let (listener, heartbeat, word) = match role {
        Role::Scheduler => (node(), settings.scheduler.amqp_heartbeat, "scheduler"),
        Role::Worker { worker, incarnation } => {
            (Listener::Worker { worker, incarnation }, settings.workers.amqp_heartbeat, "worker")
        }
        Role::Companion => (node(), settings.workers.amqp_heartbeat, "companion"),
    };
    let mut options = Options::new(addresses, names, listener);
    options.queues = vec![options.names.scheduler(), options.names.log()];
    options.tls = tls(celery)?;
    options.shape = Shape {
        queue_type: match transport.queue_type {
            BrokerQueueType::Classic => QueueType::Classic,
            BrokerQueueType::Quorum => QueueType::Quorum,
        },
        log_length: transport.log_queue_length,
        dead_length: transport.dead_letter_queue_length,
    };
    options.heartbeat = heartbeat;
    options.timeout = transport.socket_connect_timeout;
    options.window = usize::try_from(transport.publish_window).unwrap_or(usize::MAX);
    options.label = format!("updraft {word} {}, process {}", host_name(), std::process::id());
    Ok(options)
}

/// The keys with which nodes of this installation sign what they say to each other.
///
/// # Errors
/// When there is no secret, or one that could be guessed.
pub fn keys(settings: &config::Settings) -> Result<Keys, Problem> {
    Keys::new(installation(settings)?, settings.core.internal_secret.reveal()).map_err(bad)
}

fn installation(settings: &config::Settings) -> Result<Installation, Problem> {
    Installation::new(&settings.core.installation).map_err(bad)
}

fn node() -> Listener {
    Listener::Node(uuid::Uuid::new_v4())
}

fn tls(celery: &config::Celery) -> Result<Tls, Problem> {
    let given = |path: &Path| (!path.as_os_str().is_empty()).then(|| PathBuf::from(path));
    let tls = Tls {
        active: celery.ssl_active,
        ca: given(&celery.ssl_cacert),
        cert: given(&celery.ssl_cert),
        key: given(&celery.ssl_key),
    };
    match (&tls.cert, &tls.key) {
        (Some(_), None) => Err(bad("[celery] ssl_cert is set and ssl_key is not: they belong together")),
        (None, Some(_)) => Err(bad("[celery] ssl_key is set and ssl_cert is not: they belong together")),
        (Some(_), Some(_)) | (None, None) => Ok(tls),
    }
}

/// The messages name their key.
fn bad(why: impl ToString) -> Problem {
    Problem::error(Place::file("the configuration"), why.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Environment, load};

    fn settings(variables: &[(&str, &str)]) -> config::Settings {
        let home = tempfile::tempdir().expect("a folder");
        let named = variables.iter().map(|(key, value)| (format!("UPDRAFT__{key}"), (*value).to_owned()));
        let named: Vec<(String, String)> =
            named.chain([("UPDRAFT_HOME".to_owned(), home.path().to_string_lossy().into_owned())]).collect();
        let named = named.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        load(&Environment::new(home.path(), named), &[]).expect("a configuration").config.settings().clone()
    }

    const SECRET: (&str, &str) = ("CORE__INTERNAL_SECRET", "0123456789abcdef0123");

    #[test]
    fn every_key_of_the_broker_reaches_it() {
        let settings = settings(&[
            SECRET,
            ("CORE__INSTALLATION", "night"),
            ("CELERY__BROKER_URL", "amqps://ann:hunter2@one/air;two:5673"),
            ("CELERY__SSL_ACTIVE", "True"),
            ("CELERY__SSL_CACERT", "/etc/ca.pem"),
            ("CELERY__SSL_CERT", "mine.pem"),
            ("CELERY__SSL_KEY", "/etc/mine.key"),
            ("CELERY_BROKER_TRANSPORT_OPTIONS__SOCKET_CONNECT_TIMEOUT", "2.5"),
            ("CELERY_BROKER_TRANSPORT_OPTIONS__QUEUE_TYPE", "quorum"),
            ("CELERY_BROKER_TRANSPORT_OPTIONS__PUBLISH_WINDOW", "7"),
            ("CELERY_BROKER_TRANSPORT_OPTIONS__LOG_QUEUE_LENGTH", "8"),
            ("CELERY_BROKER_TRANSPORT_OPTIONS__DEAD_LETTER_QUEUE_LENGTH", "9"),
            ("SCHEDULER__AMQP_HEARTBEAT", "3"),
            ("WORKERS__AMQP_HEARTBEAT", "6"),
        ]);
        let made = options(&settings, Role::Scheduler).expect("all is well");
        let shown: Vec<String> = made.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["amqps://one:5671/air", "amqps://two:5673/"]);
        assert!(made.tls.active && made.tls.ca == Some("/etc/ca.pem".into()));
        assert!(made.tls.cert.is_some_and(|cert| cert.ends_with("mine.pem") && cert.is_absolute()), "below the home");
        let shape = Shape { queue_type: QueueType::Quorum, log_length: 8, dead_length: 9 };
        assert_eq!((made.shape, made.window, made.timeout), (shape, 7, Duration::from_millis(2_500)));
        assert_eq!(made.heartbeat, Duration::from_secs(3));
        assert_eq!(made.names.scheduler().name(), "night.scheduler");
        assert!(made.queues.contains(&made.names.scheduler()) && made.queues.contains(&made.names.log()));
        assert_eq!(keys(&settings).expect("a secret").installation().as_str(), "night");

        let (worker, incarnation) = (WorkerId(uuid::Uuid::from_u128(7)), Incarnation(2));
        let made = options(&settings, Role::Worker { worker, incarnation }).expect("all is well");
        assert_eq!(made.listener, Listener::Worker { worker, incarnation });
        assert_eq!(made.heartbeat, Duration::from_secs(6));
    }

    #[test]
    fn what_keeps_a_node_from_the_broker_is_said_with_its_key() {
        let said = |variables: &[(&str, &str)]| {
            let settings = settings(variables);
            let tried = options(&settings, Role::Scheduler).and_then(|_| keys(&settings));
            tried.expect_err("it cannot work").to_string()
        };
        for (variables, says) in [
            (&[][..], "[core] internal_secret is empty"),
            (&[("CORE__INTERNAL_SECRET", "short")], "[core] internal_secret to have at least 16"),
            (&[SECRET, ("CORE__INSTALLATION", "a.b")], "set [core] installation"),
            (
                &[SECRET, ("CELERY__BROKER_URL", "ampq://ann:hunter2@h")],
                "[celery] broker_url: unknown broker `ampq://`",
            ),
            (&[SECRET, ("CELERY__BROKER_URL", "")], "[celery] broker_url: expected an address"),
            (&[SECRET, ("CELERY__SSL_CERT", "/x")], "[celery] ssl_cert is set and ssl_key is not"),
            (&[SECRET, ("CELERY__SSL_KEY", "/x")], "[celery] ssl_key is set and ssl_cert is not"),
        ] {
            let error = said(variables);
            assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
        }
    }
}
