//! The life of one attempt at the scheduler: the state table of PROTOCOL §5, every pair.
//!
//! ```text
//!            Claim / pre-grant              Finish(own), or a proof of loss
//!  Queued ───────────────────────► Run ───────────────────────────────────► Done
//!    ▲  │        Release(own)       │ wish: clear, mark, timeout              ▲
//!    │  └───────── wish ────────────┼───────────────────────────────────────► │
//!    └──────────────────────────────┤                                         │
//!                                   ▼      Finish(own), Release, loss         │
//!                                 Ending ─────────────────────────────────────┘
//! ```
//!
//! The table decides; it sends and stores nothing. A row in `Run` or `Ending`
//! names the one claim that may have a process, and only that claim may report.

use serde::{Deserialize, Serialize};

use super::ids::{Claim, Dispatch};
use super::state::Mark;

/// Who owns the attempt now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AttemptState {
    /// Published and owned by nobody.
    Queued { dispatch: Dispatch },
    /// Owned by one claim; a process may exist.
    Run { dispatch: Dispatch, claim: Claim },
    /// Still owned, and told to stop; the wish is applied when it ends.
    Ending { dispatch: Dispatch, claim: Claim, wish: Wish },
    /// Ended, once and for all. `claim` is the last owner.
    Done { dispatch: Dispatch, claim: Option<Claim>, outcome: Outcome },
}

/// Why an owned attempt is made to end, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "snake_case")]
pub enum Wish {
    /// Run the task again.
    Clear,
    /// The user says how it ended.
    Mark { mark: Mark },
    /// The run ended without it (`dagrun_timeout`, the run marked as ended).
    Abandon,
    /// Another task of its run failed, and the DAG fails fast.
    FailFast,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Success,
    /// `retryable` is false when trying again cannot help (`AirflowFailException`).
    Failed {
        retryable: bool,
    },
    Skipped,
    /// It looked, and looks again later: no try is used up (SCHEDULING §9).
    Rescheduled,
    /// It waits for something that nobody needs to look at.
    Deferred,
    /// Stopped because it ran longer than `execution_timeout`.
    TimedOut,
    /// Stopped by a wish, or by a worker that had to leave.
    Killed,
    /// The worker's lease lapsed; its companion stopped the process.
    Fenced,
    /// Its owner is proven gone and left no report.
    Lost,
    /// Ended before anything started.
    NeverStarted,
    /// No worker took it, however often it was published.
    Undeliverable,
}

impl Outcome {
    /// The machinery's failure, not the task's: tried again without using up `retries`.
    pub fn is_infrastructure(self) -> bool {
        match self {
            Self::Lost | Self::Fenced | Self::Killed => true,
            Self::Success
            | Self::Failed { .. }
            | Self::Skipped
            | Self::Rescheduled
            | Self::Deferred
            | Self::TimedOut
            | Self::NeverStarted
            | Self::Undeliverable => false,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed { .. } => "failed",
            Self::Skipped => "skipped",
            Self::Rescheduled => "rescheduled",
            Self::Deferred => "deferred",
            Self::TimedOut => "timed_out",
            Self::Killed => "killed",
            Self::Fenced => "fenced",
            Self::Lost => "lost",
            Self::NeverStarted => "never_started",
            Self::Undeliverable => "undeliverable",
        }
    }
}

/// What may be said of an attempt. `Claim`s in events are the sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEvent {
    /// A slot asks to own it; `alive` is false for an incarnation known dead or superseded.
    Claimed { by: Claim, alive: bool },
    /// The owner says how it ended.
    Finished { by: Claim, outcome: Outcome },
    /// The owner swears that nothing started and gives it back.
    Released { by: Claim },
    /// A beat of the owner's incarnation shows whether the claim is held (W8).
    BeatHolding { by: Claim },
    /// A beat of an incarnation that has passed `claim` without holding it.
    BeatWithout { claim: Claim },
    /// The owner's incarnation is proven ended (Online, obituary, marker) and left no report for it.
    OwnerGone { claim: Claim },
    /// The owner says goodbye: nothing runs and nothing will.
    OwnerOffline { claim: Claim },
    /// A user or a timeout wants it to end.
    Wished(Wish),
    /// A value to store for it.
    Pushed { by: Claim },
    /// It was published and nobody claimed it for `redispatch_after`.
    Unclaimed { exhausted: bool },
    /// Its owner has been silent: shown and asked, never moved.
    OwnerSuspect,
    /// A new leader, or the same one after a reload.
    Reloaded,
}

/// What the scheduler says or does because of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    Grant(Claim),
    Refuse(Refusal),
    /// Refused, and the sender is told that its incarnation has ended.
    Fence,
    /// A report was taken, now or before.
    Settle(Verdict),
    Terminate(Claim),
    /// Put the message into the queue (again).
    Publish,
    Store,
    Probe(Claim),
    /// The owner should be asked: somebody else was offered its work.
    RefuseAndSuspectOwner(Claim),
    /// Ended, and nobody needs to be told.
    Ended,
    /// It does not concern the attempt as it stands.
    Nothing,
}

/// Why a claim was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    Owned,
    Ended,
    Unknown,
    OldIncarnation,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Applied,
    Duplicate,
    Stale,
}

impl AttemptState {
    /// A first attempt, published once.
    pub fn queued() -> Self {
        Self::Queued { dispatch: Dispatch(1) }
    }

    pub fn owner(&self) -> Option<Claim> {
        match *self {
            Self::Run { claim, .. } | Self::Ending { claim, .. } => Some(claim),
            Self::Queued { .. } | Self::Done { .. } => None,
        }
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<Outcome> {
        match *self {
            Self::Done { outcome, .. } => Some(outcome),
            Self::Queued { .. } | Self::Run { .. } | Self::Ending { .. } => None,
        }
    }

    /// Whether it is published and nobody has claimed it.
    pub fn is_queued(&self) -> bool {
        match self {
            Self::Queued { .. } => true,
            Self::Run { .. } | Self::Ending { .. } | Self::Done { .. } => false,
        }
    }

    pub fn is_done(&self) -> bool {
        match self {
            Self::Done { .. } => true,
            Self::Queued { .. } | Self::Run { .. } | Self::Ending { .. } => false,
        }
    }

    /// The one transition function: the state after the event, and what to do.
    pub fn on(self, event: AttemptEvent) -> (Self, Reaction) {
        match self {
            Self::Queued { dispatch } => on_queued(self, dispatch, event),
            Self::Run { dispatch, claim } => on_run(self, dispatch, claim, event),
            Self::Ending { dispatch, claim, .. } => on_ending(self, dispatch, claim, event),
            Self::Done { claim, .. } => on_done(self, claim, event),
        }
    }
}

fn on_queued(state: AttemptState, dispatch: Dispatch, event: AttemptEvent) -> (AttemptState, Reaction) {
    use AttemptEvent as E;
    match event {
        E::Claimed { by, alive: true } => (AttemptState::Run { dispatch, claim: by }, Reaction::Grant(by)),
        E::Claimed { alive: false, .. } => (state, Reaction::Fence),
        // A report without a grant is impossible unless the database went back in time.
        E::Finished { .. } => (state, Reaction::Settle(Verdict::Stale)),
        E::Wished(_) => (AttemptState::Done { dispatch, claim: None, outcome: Outcome::NeverStarted }, Reaction::Ended),
        E::Unclaimed { exhausted: false } | E::Reloaded => (state, Reaction::Publish),
        E::Unclaimed { exhausted: true } => {
            (AttemptState::Done { dispatch, claim: None, outcome: Outcome::Undeliverable }, Reaction::Ended)
        }
        E::Pushed { .. } => (state, Reaction::Refuse(Refusal::Unknown)),
        E::Released { .. }
        | E::BeatHolding { .. }
        | E::BeatWithout { .. }
        | E::OwnerGone { .. }
        | E::OwnerOffline { .. }
        | E::OwnerSuspect => (state, Reaction::Nothing),
    }
}

fn on_run(state: AttemptState, dispatch: Dispatch, own: Claim, event: AttemptEvent) -> (AttemptState, Reaction) {
    use AttemptEvent as E;
    let done = |outcome| AttemptState::Done { dispatch, claim: Some(own), outcome };
    let released = AttemptState::Queued { dispatch: dispatch.next() };
    match event {
        E::Claimed { alive: false, .. } => (state, Reaction::Fence),
        E::Claimed { by, alive: true } if by == own => (state, Reaction::Grant(own)),
        E::Claimed { alive: true, .. } => (state, Reaction::RefuseAndSuspectOwner(own)),
        E::Finished { by, outcome } if by == own => (done(outcome), Reaction::Settle(Verdict::Applied)),
        E::Finished { .. } => (state, Reaction::Settle(Verdict::Stale)),
        E::Released { by } if by == own => (released, Reaction::Publish),
        E::BeatWithout { claim } | E::OwnerOffline { claim } if claim == own => (released, Reaction::Publish),
        E::OwnerGone { claim } if claim == own => (done(Outcome::Lost), Reaction::Ended),
        E::Wished(wish) => (AttemptState::Ending { dispatch, claim: own, wish }, Reaction::Terminate(own)),
        E::Pushed { by } if by == own => (state, Reaction::Store),
        E::Pushed { .. } => (state, Reaction::Refuse(Refusal::Owned)),
        E::OwnerSuspect => (state, Reaction::Probe(own)),
        E::Released { .. }
        | E::BeatWithout { .. }
        | E::OwnerOffline { .. }
        | E::OwnerGone { .. }
        | E::BeatHolding { .. }
        | E::Unclaimed { .. }
        | E::Reloaded => (state, Reaction::Nothing),
    }
}

fn on_ending(state: AttemptState, dispatch: Dispatch, own: Claim, event: AttemptEvent) -> (AttemptState, Reaction) {
    use AttemptEvent as E;
    let done = |outcome| AttemptState::Done { dispatch, claim: Some(own), outcome };
    match event {
        E::Claimed { alive: false, .. } => (state, Reaction::Fence),
        E::Claimed { by, alive: true } if by == own => (state, Reaction::Terminate(own)),
        E::Claimed { alive: true, .. } => (state, Reaction::Refuse(Refusal::Owned)),
        E::Finished { by, outcome } if by == own => (done(outcome), Reaction::Settle(Verdict::Applied)),
        E::Finished { .. } => (state, Reaction::Settle(Verdict::Stale)),
        E::Released { by } if by == own => (done(Outcome::NeverStarted), Reaction::Ended),
        E::BeatWithout { claim } | E::OwnerOffline { claim } if claim == own => {
            (done(Outcome::NeverStarted), Reaction::Ended)
        }
        E::OwnerGone { claim } if claim == own => (done(Outcome::Lost), Reaction::Ended),
        E::BeatHolding { by } if by == own => (state, Reaction::Terminate(own)),
        E::Reloaded => (state, Reaction::Terminate(own)),
        // The newer wish stands; the process was told to stop already.
        E::Wished(newer) => (AttemptState::Ending { dispatch, claim: own, wish: newer }, Reaction::Nothing),
        E::Pushed { by } if by == own => (state, Reaction::Store),
        E::Pushed { .. } => (state, Reaction::Refuse(Refusal::Owned)),
        E::OwnerSuspect => (state, Reaction::Probe(own)),
        E::Released { .. }
        | E::BeatWithout { .. }
        | E::OwnerOffline { .. }
        | E::OwnerGone { .. }
        | E::BeatHolding { .. }
        | E::Unclaimed { .. } => (state, Reaction::Nothing),
    }
}

fn on_done(state: AttemptState, last: Option<Claim>, event: AttemptEvent) -> (AttemptState, Reaction) {
    use AttemptEvent as E;
    let reaction = match event {
        E::Claimed { alive: false, .. } => Reaction::Fence,
        E::Claimed { alive: true, .. } | E::Pushed { .. } => Reaction::Refuse(Refusal::Ended),
        E::Finished { by, .. } if last == Some(by) => Reaction::Settle(Verdict::Duplicate),
        E::Finished { .. } => Reaction::Settle(Verdict::Stale),
        // A process that outlived its attempt is an orphan.
        E::BeatHolding { by } => Reaction::Terminate(by),
        E::Released { .. }
        | E::BeatWithout { .. }
        | E::OwnerGone { .. }
        | E::OwnerOffline { .. }
        | E::Wished(_)
        | E::Unclaimed { .. }
        | E::OwnerSuspect
        | E::Reloaded => Reaction::Nothing,
    };
    (state, reaction)
}

#[cfg(test)]
mod tests {
    use super::super::ids::{Incarnation, WorkerId};
    use super::*;

    fn claim(n: i64) -> Claim {
        Claim { worker: WorkerId(uuid::Uuid::from_u128(7)), incarnation: Incarnation(1), n }
    }

    const D: Dispatch = Dispatch(1);

    fn queued() -> AttemptState {
        AttemptState::Queued { dispatch: D }
    }
    fn run() -> AttemptState {
        AttemptState::Run { dispatch: D, claim: claim(1) }
    }
    fn ending() -> AttemptState {
        AttemptState::Ending { dispatch: D, claim: claim(1), wish: Wish::Clear }
    }
    fn done(outcome: Outcome) -> AttemptState {
        AttemptState::Done { dispatch: D, claim: Some(claim(1)), outcome }
    }

    /// PROTOCOL §5, cell by cell: state, event, state after, reaction.
    #[test]
    fn the_table_is_the_protocols() {
        use AttemptEvent as E;
        use Reaction as R;
        let own = claim(1);
        let other = claim(2);
        let success = Outcome::Success;
        let abandon = Wish::Abandon;
        let again = AttemptState::Queued { dispatch: Dispatch(2) };
        let unstarted = AttemptState::Done { dispatch: D, claim: None, outcome: Outcome::NeverStarted };
        let undeliverable = AttemptState::Done { dispatch: D, claim: None, outcome: Outcome::Undeliverable };
        let abandoned = AttemptState::Ending { dispatch: D, claim: own, wish: abandon };
        let ended = done(success);
        let table = [
            (queued(), E::Claimed { by: own, alive: true }, run(), R::Grant(own)),
            (queued(), E::Claimed { by: own, alive: false }, queued(), R::Fence),
            (queued(), E::Finished { by: own, outcome: success }, queued(), R::Settle(Verdict::Stale)),
            (queued(), E::Released { by: own }, queued(), R::Nothing),
            (queued(), E::OwnerGone { claim: own }, queued(), R::Nothing),
            (queued(), E::Wished(abandon), unstarted, R::Ended),
            (queued(), E::Pushed { by: own }, queued(), R::Refuse(Refusal::Unknown)),
            (queued(), E::Unclaimed { exhausted: false }, queued(), R::Publish),
            (queued(), E::Unclaimed { exhausted: true }, undeliverable, R::Ended),
            (queued(), E::Reloaded, queued(), R::Publish),
            (run(), E::Claimed { by: own, alive: true }, run(), R::Grant(own)),
            (run(), E::Claimed { by: other, alive: true }, run(), R::RefuseAndSuspectOwner(own)),
            (run(), E::Claimed { by: other, alive: false }, run(), R::Fence),
            (run(), E::Finished { by: own, outcome: success }, ended, R::Settle(Verdict::Applied)),
            (run(), E::Finished { by: other, outcome: success }, run(), R::Settle(Verdict::Stale)),
            (run(), E::Released { by: own }, again, R::Publish),
            (run(), E::Released { by: other }, run(), R::Nothing),
            (run(), E::BeatWithout { claim: own }, again, R::Publish),
            (run(), E::BeatHolding { by: own }, run(), R::Nothing),
            (run(), E::OwnerGone { claim: own }, done(Outcome::Lost), R::Ended),
            (run(), E::OwnerOffline { claim: own }, again, R::Publish),
            (run(), E::Wished(abandon), abandoned, R::Terminate(own)),
            (run(), E::Pushed { by: own }, run(), R::Store),
            (run(), E::Pushed { by: other }, run(), R::Refuse(Refusal::Owned)),
            (run(), E::OwnerSuspect, run(), R::Probe(own)),
            (run(), E::Unclaimed { exhausted: true }, run(), R::Nothing),
            (run(), E::Reloaded, run(), R::Nothing),
            (ending(), E::Claimed { by: own, alive: true }, ending(), R::Terminate(own)),
            (ending(), E::Claimed { by: other, alive: true }, ending(), R::Refuse(Refusal::Owned)),
            (ending(), E::Finished { by: own, outcome: success }, ended, R::Settle(Verdict::Applied)),
            (ending(), E::Released { by: own }, done(Outcome::NeverStarted), R::Ended),
            (ending(), E::OwnerGone { claim: own }, done(Outcome::Lost), R::Ended),
            (ending(), E::Wished(abandon), abandoned, R::Nothing),
            (ending(), E::BeatHolding { by: own }, ending(), R::Terminate(own)),
            (ending(), E::Reloaded, ending(), R::Terminate(own)),
            (ended, E::Claimed { by: other, alive: true }, ended, R::Refuse(Refusal::Ended)),
            (ended, E::Claimed { by: other, alive: false }, ended, R::Fence),
            (ended, E::Finished { by: own, outcome: Outcome::Lost }, ended, R::Settle(Verdict::Duplicate)),
            (ended, E::Finished { by: other, outcome: success }, ended, R::Settle(Verdict::Stale)),
            (ended, E::BeatHolding { by: own }, ended, R::Terminate(own)),
            (ended, E::Pushed { by: own }, ended, R::Refuse(Refusal::Ended)),
            (ended, E::Wished(abandon), ended, R::Nothing),
        ];
        for (before, event, after, reaction) in table {
            assert_eq!(before.on(event), (after, reaction), "{before:?} told {event:?}");
        }
    }

    /// I3: whatever is said, in whatever order, an outcome is recorded once.
    #[test]
    fn what_is_done_stays_as_it_is() {
        let ended = done(Outcome::Lost);
        for n in [1, 2] {
            for event in [
                AttemptEvent::Claimed { by: claim(n), alive: true },
                AttemptEvent::Finished { by: claim(n), outcome: Outcome::Success },
                AttemptEvent::Released { by: claim(n) },
                AttemptEvent::OwnerGone { claim: claim(n) },
                AttemptEvent::Unclaimed { exhausted: false },
            ] {
                assert_eq!(ended.on(event).0, ended);
            }
        }
    }
}
