//! The border between scheduler and executor: work with its place in the line, and what is said about it.
//!
//! To a worker in this process a message goes by itself, as [`ToExecutor`]. Over a broker a whole commit goes at once,
//! as [`ToRemote`], because what it says leaves before what it took is acknowledged (PROTOCOL L2).

use serde::{Deserialize, Serialize};

use crate::domain::ids::{Epoch, Incarnation, WorkerId};

use super::letter::Marker;
use super::work::{FromWorker, ToWorker};

/// What an executor is told. What it answers is a [`super::work::FromWorker`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToExecutor {
    /// Of a task: the greater is carried first, equals in the order in which they came. Of other messages: nothing.
    pub priority: i64,
    pub message: ToWorker,
}

/// A message for a worker, or for whichever takes a task from its queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    pub to: Option<WorkerId>,
    pub message: ToWorker,
}

/// One letter of a worker, by the subscription that brought it and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// Counts the subscriptions of this process, over all epochs.
    pub subscription: u64,
    pub number: u64,
}

/// What the executor over a broker is told.
#[derive(Clone, Debug, PartialEq)]
pub enum ToRemote {
    /// Letters bear this epoch from now on, and what workers say is wanted, over a new subscription.
    Lead { epoch: Epoch },
    /// Nothing more is wanted; what is held is given up without an acknowledgement, and the channel closes (L4).
    StepDown,
    /// One commit: its words leave, then everything up to `taken` is acknowledged.
    Committed { words: Vec<Outgoing>, taken: Option<Arrival> },
    /// From the leader to itself, through the queue of the workers' words (L5).
    Marker(Marker),
}

/// What the executor over a broker says.
#[derive(Clone, Debug, PartialEq)]
pub enum FromRemote {
    /// A subscription stands, for the leader of this epoch. What came over earlier ones is void.
    Subscribed { subscription: u64, epoch: Epoch },
    /// The subscription is gone; another follows by itself.
    Unsubscribed { subscription: u64 },
    /// A worker's letter, checked.
    Said { arrival: Arrival, worker: WorkerId, incarnation: Incarnation, said: Vec<FromWorker> },
    /// A leader's marker, checked: of which leader is for the receiver to say.
    Marker { arrival: Arrival, marker: Marker },
    /// Nobody listens any more where this life of a worker heard answers.
    Returned { worker: WorkerId, incarnation: Incarnation },
    /// A message was none of ours, and lies with the dead letters.
    Rejected,
}
