//! Attempts. The state is spread over columns, so that SQL can ask for an owner or an outcome.

use crate::domain::attempt::{AttemptState, Outcome, Wish};
use crate::domain::ids::{AttemptId, Claim, Dispatch, Incarnation, MapIndex, RunKey, TryNumber, WorkerId};
use crate::domain::state::Mark;
use crate::store::entity::attempt;
use crate::store::write::AttemptRow;

use super::{Reading, Unreadable, maybe_micros, maybe_text, micros, text};

/// The word that guards an outcome (I3); the partial index and the upsert name it too.
pub const DONE: &str = "done";

impl From<AttemptRow> for attempt::Model {
    fn from(row: AttemptRow) -> Self {
        let (state, dispatch, claim, wish, outcome) = match row.state {
            AttemptState::Queued { dispatch } => ("queued", dispatch, None, None, None),
            AttemptState::Run { dispatch, claim } => ("run", dispatch, Some(claim), None, None),
            AttemptState::Ending { dispatch, claim, wish } => ("ending", dispatch, Some(claim), Some(wish), None),
            AttemptState::Done { dispatch, claim, outcome } => (DONE, dispatch, claim, None, Some(outcome)),
        };
        Self {
            id: row.id.0,
            run: row.run.0,
            task_id: row.task_id.as_str().to_owned(),
            map_index: row.map_index.0,
            try_number: row.try_number.0,
            state: state.to_owned(),
            dispatch: dispatch.0,
            worker: claim.map(|claim| claim.worker.0),
            incarnation: claim.map(|claim| claim.incarnation.0),
            claim_n: claim.map(|claim| claim.n),
            wish: wish.map(|wish| wish_word(wish).to_owned()),
            outcome: outcome.map(|outcome| outcome.as_str().to_owned()),
            retryable: if let Some(Outcome::Failed { retryable }) = outcome { Some(retryable) } else { None },
            queued_at: micros(row.queued_at),
            started_at: maybe_micros(row.started_at),
            ended_at: maybe_micros(row.ended_at),
            exit_code: row.exit_code,
            message: maybe_text(row.message),
            log_path: text(row.log_path),
        }
    }
}

impl TryFrom<attempt::Model> for AttemptRow {
    type Error = Unreadable;

    fn try_from(model: attempt::Model) -> Result<Self, Unreadable> {
        let reading = Reading::new("attempt", &model.id);
        Ok(Self {
            id: AttemptId(model.id),
            run: RunKey(model.run),
            task_id: reading.word(&model.task_id)?,
            map_index: MapIndex(model.map_index),
            try_number: TryNumber(model.try_number),
            state: state(&reading, &model)?,
            queued_at: reading.time(model.queued_at)?,
            started_at: reading.maybe_time(model.started_at)?,
            ended_at: reading.maybe_time(model.ended_at)?,
            exit_code: model.exit_code,
            message: model.message,
            log_path: model.log_path,
        })
    }
}

fn state(reading: &Reading, model: &attempt::Model) -> Result<AttemptState, Unreadable> {
    let dispatch = Dispatch(model.dispatch);
    let claim = match (model.worker, model.incarnation, model.claim_n) {
        (Some(worker), Some(incarnation), Some(n)) => {
            Some(Claim { worker: WorkerId(worker), incarnation: Incarnation(incarnation), n })
        }
        (None, None, None) => None,
        _ => return Err(reading.fail("its claim is there only in part")),
    };
    let owned = || claim.ok_or_else(|| reading.fail(format!("it is `{}` and names no claim", model.state)));
    match model.state.as_str() {
        "queued" => Ok(AttemptState::Queued { dispatch }),
        "run" => Ok(AttemptState::Run { dispatch, claim: owned()? }),
        "ending" => {
            let word = model.wish.as_deref().unwrap_or_default();
            let wish = reading.known("wish", word, wish_of(word))?;
            Ok(AttemptState::Ending { dispatch, claim: owned()?, wish })
        }
        DONE => {
            let word = model.outcome.as_deref().unwrap_or_default();
            let outcome = reading.known("outcome", word, outcome_of(word, model.retryable))?;
            Ok(AttemptState::Done { dispatch, claim, outcome })
        }
        other => reading.known("state", other, None),
    }
}

fn wish_word(wish: Wish) -> &'static str {
    match wish {
        Wish::Clear => "clear",
        Wish::Mark { mark: Mark::Success } => "mark_success",
        Wish::Mark { mark: Mark::Failed } => "mark_failed",
        Wish::Mark { mark: Mark::Skipped } => "mark_skipped",
        Wish::Abandon => "abandon",
        Wish::FailFast => "fail_fast",
    }
}

fn wish_of(word: &str) -> Option<Wish> {
    [
        Wish::Clear,
        Wish::Mark { mark: Mark::Success },
        Wish::Mark { mark: Mark::Failed },
        Wish::Mark { mark: Mark::Skipped },
        Wish::Abandon,
        Wish::FailFast,
    ]
    .into_iter()
    .find(|wish| wish_word(*wish) == word)
}

fn outcome_of(word: &str, retryable: Option<bool>) -> Option<Outcome> {
    [
        Outcome::Success,
        Outcome::Failed { retryable: retryable.unwrap_or(true) },
        Outcome::Skipped,
        Outcome::Rescheduled,
        Outcome::Deferred,
        Outcome::TimedOut,
        Outcome::Killed,
        Outcome::Fenced,
        Outcome::Lost,
        Outcome::NeverStarted,
        Outcome::Undeliverable,
    ]
    .into_iter()
    .find(|outcome| outcome.as_str() == word)
}
