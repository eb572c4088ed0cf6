//! The claim at the worker: the state table of PROTOCOL §6, every pair.
//!
//! ```text
//!          Task            Granted           spawned            exits
//!  Free ─────────► Claiming ───────► Granted ────────► Running ───────► Journaled
//!   ▲  └── pre-granted (in-process) ───▲ │                                  │
//!   ├──────── Refused, Terminate, drain ─┘ Release                          │
//!   └────────────────────────────────────────────────────────────── Settled ┘
//! ```
//!
//! The table decides; it spawns, writes and says nothing. "Free" is a slot
//! without this claim: what became of a claim that is not held is never asked.

/// How far a claim has come at this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimState {
    /// Not held.
    Free,
    /// Asked for, not answered.
    Claiming,
    /// Ours, and nothing started yet.
    Granted,
    /// A process runs.
    Running,
    /// Ended and reported; the slot is free, the report unsettled.
    Journaled,
}

/// What happens to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimEvent {
    /// A task was delivered; its signature is good. In one process it is granted already (PROTOCOL §9).
    Delivered {
        granted: bool,
    },
    /// A delivery that is badly signed or not understood.
    Malformed,
    Granted,
    /// An answer for a claim that is not held.
    GrantedUnknown,
    Refused,
    /// The companion started the process.
    Spawned,
    /// It ended before anything started: the command cannot be made, or the companion could not spawn it.
    Unstartable,
    /// The companion says that the lease is over, or is gone itself.
    LeaseOver,
    /// The process and its group are gone.
    Exited,
    Settled,
    Terminate,
    /// `claim_resend` went by.
    ResendDue,
    /// No word from the leader for `leader_silent`.
    LeaderSilent,
    /// No answer for `claim_wait_max`.
    ClaimWaitOver,
    /// It runs since `long_task_after`.
    LongTask,
    ConnectionLost,
    ConnectionBack,
    /// This incarnation is known to have ended.
    Fenced,
    DrainBegins,
    DrainDeadline,
}

/// What the worker does because of it, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimAction {
    /// Ask the scheduler to own the attempt.
    AskClaim,
    /// Make the command and ask the companion to start it.
    Spawn,
    /// Give the delivery back to the broker, if its channel still lives.
    GiveBack,
    /// Acknowledge the delivery, if its channel still lives (W9).
    Acknowledge,
    /// Put the delivery aside with the reason, and say so.
    DeadLetter,
    /// Say that nothing started and nothing will.
    Release,
    /// Write down which process runs.
    JournalStart,
    /// Write down how it ended.
    JournalOutcome,
    /// Forget the report: it was recorded.
    JournalSettled,
    /// Say how it ended (again).
    SayFinish,
    /// TERM, grace, KILL.
    Stop,
    /// The delivery is void: nothing can be acknowledged on its channel any more.
    ForgetDelivery,
    /// Stop consuming, so that a long task holds no delivery.
    CancelConsumer,
    /// Take nothing until the leader speaks.
    TakeNothing,
    /// End this incarnation (W5): kill, journal running claims as fenced, forget the others.
    EndIncarnation,
    /// Wait a moment for `Settled`, then leave: the journal keeps the report.
    WaitForSettled,
    /// It cannot concern this state, or changes nothing; counted.
    Count,
}

impl ClaimState {
    pub const ALL: [Self; 5] = [Self::Free, Self::Claiming, Self::Granted, Self::Running, Self::Journaled];

    /// The one transition function.
    pub fn on(self, event: ClaimEvent) -> (Self, &'static [ClaimAction]) {
        use ClaimAction as A;
        use ClaimEvent as E;
        match self {
            Self::Free => match event {
                E::Delivered { granted: false } => (Self::Claiming, &[A::AskClaim]),
                E::Delivered { granted: true } => (Self::Granted, &[A::Spawn]),
                E::Malformed => (Self::Free, &[A::DeadLetter]),
                E::GrantedUnknown => (Self::Free, &[A::Release]),
                E::LeaderSilent => (Self::Free, &[A::TakeNothing]),
                E::Fenced => (Self::Free, &[A::EndIncarnation]),
                E::DrainBegins => (Self::Free, &[A::CancelConsumer]),
                E::Granted
                | E::Refused
                | E::Spawned
                | E::Unstartable
                | E::LeaseOver
                | E::Exited
                | E::Settled
                | E::Terminate
                | E::ResendDue
                | E::ClaimWaitOver
                | E::LongTask
                | E::ConnectionLost
                | E::ConnectionBack
                | E::DrainDeadline => (Self::Free, &[A::Count]),
            },
            Self::Claiming => match event {
                E::Delivered { .. } => (Self::Claiming, &[A::GiveBack]),
                E::Malformed => (Self::Claiming, &[A::DeadLetter]),
                E::Granted => (Self::Granted, &[A::Spawn]),
                E::GrantedUnknown => (Self::Claiming, &[A::Release]),
                E::Refused => (Self::Free, &[A::Acknowledge]),
                E::Terminate => (Self::Free, &[A::Acknowledge, A::Release]),
                E::ResendDue | E::LeaderSilent | E::ConnectionBack => (Self::Claiming, &[A::AskClaim]),
                E::ConnectionLost => (Self::Claiming, &[A::ForgetDelivery]),
                E::ClaimWaitOver | E::DrainBegins => (Self::Free, &[A::Release, A::GiveBack]),
                E::LeaseOver | E::Fenced => (Self::Free, &[A::EndIncarnation]),
                E::Spawned | E::Unstartable | E::Exited | E::Settled | E::LongTask | E::DrainDeadline => {
                    (Self::Claiming, &[A::Count])
                }
            },
            Self::Granted => match event {
                E::Delivered { .. } => (Self::Granted, &[A::GiveBack]),
                E::Malformed => (Self::Granted, &[A::DeadLetter]),
                E::GrantedUnknown => (Self::Granted, &[A::Release]),
                E::Spawned => (Self::Running, &[A::JournalStart]),
                E::Unstartable => (Self::Journaled, &[A::JournalOutcome, A::SayFinish, A::Acknowledge]),
                E::Terminate => (Self::Free, &[A::Acknowledge, A::Release]),
                E::ConnectionLost => (Self::Granted, &[A::ForgetDelivery]),
                E::DrainBegins => (Self::Free, &[A::Release, A::GiveBack]),
                E::LeaseOver | E::Fenced => (Self::Free, &[A::EndIncarnation]),
                // It is granted: the leader's silence does not matter.
                E::LeaderSilent
                | E::Granted
                | E::Refused
                | E::Exited
                | E::Settled
                | E::ResendDue
                | E::ClaimWaitOver
                | E::LongTask
                | E::ConnectionBack
                | E::DrainDeadline => (Self::Granted, &[A::Count]),
            },
            Self::Running => match event {
                E::Delivered { .. } => (Self::Running, &[A::GiveBack]),
                E::Malformed => (Self::Running, &[A::DeadLetter]),
                E::GrantedUnknown => (Self::Running, &[A::Release]),
                E::Exited => (Self::Journaled, &[A::JournalOutcome, A::SayFinish, A::Acknowledge]),
                E::Terminate | E::DrainDeadline => (Self::Running, &[A::Stop]),
                E::LongTask => (Self::Running, &[A::CancelConsumer, A::GiveBack, A::Acknowledge]),
                E::ConnectionLost => (Self::Running, &[A::ForgetDelivery]),
                // Its outcome is `fenced`, and travels in the next Online.
                E::LeaseOver | E::Fenced => (Self::Journaled, &[A::JournalOutcome, A::EndIncarnation]),
                E::Granted
                | E::Refused
                | E::Spawned
                | E::Unstartable
                | E::Settled
                | E::ResendDue
                | E::LeaderSilent
                | E::ClaimWaitOver
                | E::ConnectionBack
                | E::DrainBegins => (Self::Running, &[A::Count]),
            },
            Self::Journaled => match event {
                // The slot is free: another claim takes the delivery, this one keeps its report.
                E::Delivered { .. } => (Self::Journaled, &[A::Count]),
                E::Malformed => (Self::Journaled, &[A::DeadLetter]),
                E::GrantedUnknown => (Self::Journaled, &[A::Release]),
                E::Settled => (Self::Free, &[A::JournalSettled]),
                E::ResendDue | E::ConnectionBack => (Self::Journaled, &[A::SayFinish]),
                E::Fenced => (Self::Journaled, &[A::EndIncarnation]),
                E::DrainDeadline => (Self::Journaled, &[A::WaitForSettled]),
                E::Granted
                | E::Refused
                | E::Spawned
                | E::Unstartable
                | E::LeaseOver
                | E::Exited
                | E::Terminate
                | E::LeaderSilent
                | E::ClaimWaitOver
                | E::LongTask
                | E::ConnectionLost
                | E::DrainBegins => (Self::Journaled, &[A::Count]),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ClaimAction as A;
    use ClaimEvent as E;
    use ClaimState::{Claiming as C, Free as F, Granted as G, Journaled as J, Running as X};

    type Cell = (ClaimState, &'static [A]);

    /// PROTOCOL §6 as it is printed: one row per event, one column per state.
    fn table() -> Vec<(E, [Cell; 5])> {
        fn same(actions: &'static [A]) -> [Cell; 5] {
            ClaimState::ALL.map(|state| (state, actions))
        }
        const NOTHING: &[A] = &[A::Count];
        let stay = |state| (state, NOTHING);
        vec![
            (
                E::Delivered { granted: false },
                [(C, &[A::AskClaim]), (C, &[A::GiveBack]), (G, &[A::GiveBack]), (X, &[A::GiveBack]), stay(J)],
            ),
            (
                E::Delivered { granted: true },
                [(G, &[A::Spawn]), (C, &[A::GiveBack]), (G, &[A::GiveBack]), (X, &[A::GiveBack]), stay(J)],
            ),
            (E::Malformed, same(&[A::DeadLetter])),
            (E::Granted, [stay(F), (G, &[A::Spawn]), stay(G), stay(X), stay(J)]),
            (E::GrantedUnknown, same(&[A::Release])),
            (E::Refused, [stay(F), (F, &[A::Acknowledge]), stay(G), stay(X), stay(J)]),
            (E::Spawned, [stay(F), stay(C), (X, &[A::JournalStart]), stay(X), stay(J)]),
            (
                E::Unstartable,
                [stay(F), stay(C), (J, &[A::JournalOutcome, A::SayFinish, A::Acknowledge]), stay(X), stay(J)],
            ),
            (
                E::LeaseOver,
                [
                    stay(F),
                    (F, &[A::EndIncarnation]),
                    (F, &[A::EndIncarnation]),
                    (J, &[A::JournalOutcome, A::EndIncarnation]),
                    stay(J),
                ],
            ),
            (E::Exited, [stay(F), stay(C), stay(G), (J, &[A::JournalOutcome, A::SayFinish, A::Acknowledge]), stay(J)]),
            (E::Settled, [stay(F), stay(C), stay(G), stay(X), (F, &[A::JournalSettled])]),
            (
                E::Terminate,
                [
                    stay(F),
                    (F, &[A::Acknowledge, A::Release]),
                    (F, &[A::Acknowledge, A::Release]),
                    (X, &[A::Stop]),
                    stay(J),
                ],
            ),
            (E::ResendDue, [stay(F), (C, &[A::AskClaim]), stay(G), stay(X), (J, &[A::SayFinish])]),
            (E::LeaderSilent, [(F, &[A::TakeNothing]), (C, &[A::AskClaim]), stay(G), stay(X), stay(J)]),
            (E::ClaimWaitOver, [stay(F), (F, &[A::Release, A::GiveBack]), stay(G), stay(X), stay(J)]),
            (E::LongTask, [stay(F), stay(C), stay(G), (X, &[A::CancelConsumer, A::GiveBack, A::Acknowledge]), stay(J)]),
            (
                E::ConnectionLost,
                [stay(F), (C, &[A::ForgetDelivery]), (G, &[A::ForgetDelivery]), (X, &[A::ForgetDelivery]), stay(J)],
            ),
            (E::ConnectionBack, [stay(F), (C, &[A::AskClaim]), stay(G), stay(X), (J, &[A::SayFinish])]),
            (
                E::Fenced,
                [
                    (F, &[A::EndIncarnation]),
                    (F, &[A::EndIncarnation]),
                    (F, &[A::EndIncarnation]),
                    (J, &[A::JournalOutcome, A::EndIncarnation]),
                    (J, &[A::EndIncarnation]),
                ],
            ),
            (
                E::DrainBegins,
                [
                    (F, &[A::CancelConsumer]),
                    (F, &[A::Release, A::GiveBack]),
                    (F, &[A::Release, A::GiveBack]),
                    stay(X),
                    stay(J),
                ],
            ),
            (E::DrainDeadline, [stay(F), stay(C), stay(G), (X, &[A::Stop]), (J, &[A::WaitForSettled])]),
        ]
    }

    #[test]
    fn every_cell_is_that_of_the_protocol() {
        for (event, row) in table() {
            for (state, expected) in ClaimState::ALL.into_iter().zip(row) {
                assert_eq!(state.on(event), expected, "{state:?} on {event:?}");
            }
        }
    }

    #[test]
    fn nothing_is_spawned_without_a_grant() {
        for (event, _) in table() {
            for state in ClaimState::ALL {
                let (next, actions) = state.on(event);
                let may = matches!((state, event), (C, E::Granted) | (F, E::Delivered { granted: true }));
                assert_eq!(actions.contains(&A::Spawn), may, "{state:?} on {event:?}");
                assert_eq!(next == G && state != G, may, "{state:?} on {event:?}");
            }
        }
    }

    #[test]
    fn what_started_is_never_released_and_always_journaled_before_it_is_reported() {
        for (event, _) in table() {
            if event != E::GrantedUnknown {
                assert!(!X.on(event).1.contains(&A::Release), "{event:?}");
                assert!(!J.on(event).1.contains(&A::Release), "{event:?}");
            }
            let (next, actions) = X.on(event);
            assert!(next == X || (next == J && actions[0] == A::JournalOutcome), "{event:?}");
        }
    }
}
