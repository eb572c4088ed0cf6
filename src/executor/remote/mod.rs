//! The executor over a broker: carries what the leader says to workers on other machines, and what they say to it.
//!
//! ```text
//!  scheduler ── ToRemote ──► shell ──► task.<queue>, reply.<worker>…    letters sign, sort and number
//!     ▲                        │       tasks   keep each task until it is confirmed
//!     │                        │       addresses   know where each life of a worker hears
//!     └───── FromRemote ───────┴◄──── scheduler    line subscribes and acknowledges, opening checks
//! ```
//!
//! What it promises: a task that it was given is published until the broker has it; a letter is acknowledged only
//! when the commit of what it said is told; nothing reaches the scheduler whose signature is not right.
//! It decides nothing about attempts, and never drops a worker's letter without a reason among the dead letters.

mod addresses;
mod letters;
mod line;
mod opening;
mod shell;
mod tasks;

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::actor::told::Outlet;
use crate::broker::{self, Broker, BrokerError};
use crate::protocol::envelope::Keys;
use crate::protocol::execution::{FromRemote, ToRemote};

use shell::Shell;

/// How the connection to the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    Trying,
    Up {
        address: String,
    },
    /// So many tries have failed since it was up, the last one with this error.
    Down {
        error: BrokerError,
        tries: usize,
    },
}

/// The way to workers behind a broker; cheap to clone.
#[derive(Clone, Debug)]
pub struct Remote {
    told: mpsc::UnboundedSender<Command>,
    connection: watch::Receiver<Connection>,
}

enum Command {
    Told(ToRemote),
    Hear(Outlet<FromRemote>),
    Close { patience: Duration, closed: oneshot::Sender<()> },
}

impl Remote {
    /// Begins to connect. Nothing is read from workers before [`ToRemote::Lead`]. Within an actix system.
    pub fn open(options: broker::Options, keys: Keys) -> Self {
        let (told, commands) = mpsc::unbounded_channel();
        let (tell_connection, connection) = watch::channel(Connection::Trying);
        let (broker, events, replies) = Broker::open(options);
        actix::spawn(Shell::new(broker, keys, tell_connection).run(commands, events, replies));
        Self { told, connection }
    }

    /// Where what workers say goes from now on: each reign has a scheduler of its own.
    pub fn hear(&self, scheduler: Outlet<FromRemote>) {
        self.say(Command::Hear(scheduler));
    }

    pub fn tell(&self, message: ToRemote) {
        self.say(Command::Told(message));
    }

    /// How the connection is, and when that changes.
    pub fn connection(&self) -> watch::Receiver<Connection> {
        self.connection.clone()
    }

    /// Waits until what was said is confirmed, `patience` at most, and says goodbye to the broker.
    pub async fn close(&self, patience: Duration) {
        let (closed, hears) = oneshot::channel();
        self.say(Command::Close { patience, closed });
        // An error means that it has ended already.
        let _ = hears.await;
    }

    fn say(&self, command: Command) {
        // After its end nothing is carried any more.
        let _ = self.told.send(command);
    }
}
