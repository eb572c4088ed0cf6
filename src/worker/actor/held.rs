//! A claim that is held: how far it has come, and what has to be given back when it ends.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::actor::gate::Permit;
use crate::domain::ids::{AttemptId, Dispatch};
use crate::protocol::work::{Question, Report, TaskMessage};
use crate::worker::claim::ClaimState;
use crate::worker::companion::ProcessId;
use crate::worker::remote::{Parcel, SeatNumber};
use crate::worker::slot::SlotOrder;

/// A claim's place among the slots.
pub(super) enum Place {
    /// In one process: the gate counts. Dropped, it is free.
    Gate(#[allow(dead_code, reason = "it is held, not read")] Permit),
    /// Behind a broker: a subscription.
    Seat(SeatNumber),
}

/// A question that a slot asked and that is not answered yet.
pub(super) struct Open {
    pub(super) question: Question,
    pub(super) said: Instant,
}

/// A claim that is held.
pub(super) struct Held {
    pub(super) state: ClaimState,
    pub(super) attempt: AttemptId,
    pub(super) dispatch: Dispatch,
    /// Until it is spawned.
    pub(super) task: Option<Box<TaskMessage>>,
    /// Given back when the attempt ends.
    pub(super) place: Option<Place>,
    /// The message that brought it, while the broker waits for an answer.
    pub(super) parcel: Option<Parcel>,
    pub(super) was_delivered_before: bool,
    /// When it was asked for, first and last.
    pub(super) asked: Option<(Instant, Instant)>,
    /// By their number, while a broker could lose question or answer.
    pub(super) questions: BTreeMap<u64, Open>,
    pub(super) orders: Option<mpsc::UnboundedSender<SlotOrder>>,
    pub(super) report: Option<Report>,
    pub(super) reported: Option<Instant>,
    pub(super) process: Option<ProcessId>,
}

impl Held {
    pub(super) fn new(task: Box<TaskMessage>, place: Place, parcel: Option<Parcel>) -> Self {
        Self {
            state: ClaimState::Free,
            attempt: task.attempt,
            dispatch: task.dispatch,
            task: Some(task),
            place: Some(place),
            was_delivered_before: parcel.as_ref().is_some_and(Parcel::was_delivered_before),
            parcel,
            asked: None,
            questions: BTreeMap::new(),
            orders: None,
            report: None,
            reported: None,
            process: None,
        }
    }

    pub(super) fn of_an_earlier_life(report: &Report) -> Self {
        Self {
            state: ClaimState::Journaled,
            attempt: report.attempt,
            dispatch: Dispatch::default(),
            task: None,
            place: None,
            parcel: None,
            was_delivered_before: false,
            asked: None,
            questions: BTreeMap::new(),
            orders: None,
            report: Some(report.clone()),
            reported: Some(Instant::now()),
            process: None,
        }
    }

    pub(super) fn order(&self, order: SlotOrder) {
        if let Some(orders) = &self.orders {
            // A slot that has ended needs no order; its news is on the way.
            let _ = orders.send(order);
        }
    }
}
