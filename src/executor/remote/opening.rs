//! What comes in: a body is a worker's letter or a leader's marker, or it goes to the dead letters with a reason. Pure.

use crate::domain::ids::{Claim, Incarnation, WorkerId};
use crate::protocol::envelope::{Direction, Keys, Opened, Rejection, Sender};
use crate::protocol::letter::{Kind, Marker, Said};
use crate::protocol::work::FromWorker;

/// A genuine letter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Letter {
    Said { worker: WorkerId, incarnation: Incarnation, said: Said },
    Marker(Marker),
}

/// Why a body is no letter for the leader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoLetter {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error("a `{0}` message, which is not for the scheduler")]
    NotForTheScheduler(String),
    #[error("a `{kind}` message that {sender} signed")]
    WrongSender { kind: &'static str, sender: Sender },
    #[error("{sender} speaks of a claim of {of}")]
    ForAnother { sender: Sender, of: Sender },
}

/// Checks the signature, then everything behind it.
pub(super) fn open(keys: &Keys, body: &[u8]) -> Result<Letter, NoLetter> {
    let opened = keys.open(Direction::ToScheduler, body)?;
    match Kind::from_word(opened.kind) {
        Some(Kind::Said) => said(&opened),
        Some(Kind::Marker) => marker(&opened),
        Some(Kind::Task | Kind::Told | Kind::Chunk) | None => Err(NoLetter::NotForTheScheduler(opened.kind.to_owned())),
    }
}

fn marker(opened: &Opened<'_>) -> Result<Letter, NoLetter> {
    let marker: Marker = opened.read()?;
    match opened.sender {
        Sender::Scheduler { epoch } if epoch == marker.epoch => Ok(Letter::Marker(marker)),
        sender @ (Sender::Scheduler { .. } | Sender::Worker { .. }) => {
            Err(NoLetter::WrongSender { kind: Kind::Marker.as_str(), sender })
        }
    }
}

fn said(opened: &Opened<'_>) -> Result<Letter, NoLetter> {
    let Sender::Worker { worker, incarnation } = opened.sender else {
        return Err(NoLetter::WrongSender { kind: Kind::Said.as_str(), sender: opened.sender });
    };
    let said: Said = opened.read()?;
    for message in &said.said {
        if let Some(of) = speaks_of(message).filter(|of| !of.fits(worker, incarnation)) {
            return Err(NoLetter::ForAnother { sender: opened.sender, of: of.sender() });
        }
    }
    Ok(Letter::Said { worker, incarnation, said })
}

/// Whose affairs a message concerns.
enum Concern {
    /// This very life, because an answer may hold secrets, or because a claim is asked for.
    Life(WorkerId, Incarnation),
    /// Any life of this worker: reports are told again by later ones, and a companion speaks for one that is over.
    Worker(WorkerId, Incarnation),
}

impl Concern {
    fn fits(&self, worker: WorkerId, incarnation: Incarnation) -> bool {
        match *self {
            Self::Life(w, i) => (w, i) == (worker, incarnation),
            Self::Worker(w, _) => w == worker,
        }
    }

    fn sender(&self) -> Sender {
        match *self {
            Self::Life(worker, incarnation) | Self::Worker(worker, incarnation) => {
                Sender::Worker { worker, incarnation }
            }
        }
    }
}

fn speaks_of(message: &FromWorker) -> Option<Concern> {
    let life = |claim: &Claim| Concern::Life(claim.worker, claim.incarnation);
    let worker = |claim: &Claim| Concern::Worker(claim.worker, claim.incarnation);
    match message {
        FromWorker::Online(online) => Some(Concern::Life(online.worker, online.incarnation)),
        FromWorker::Beat(beat) => Some(Concern::Life(beat.worker, beat.incarnation)),
        FromWorker::Offline { worker, incarnation } => Some(Concern::Life(*worker, *incarnation)),
        FromWorker::Claimed { claim, .. } | FromWorker::Asked { claim, .. } => Some(life(claim)),
        FromWorker::Started { claim, .. } | FromWorker::Released { claim, .. } => Some(worker(claim)),
        FromWorker::Finish(report) => Some(worker(&report.claim)),
        FromWorker::Obituary { worker, incarnation, .. } => Some(Concern::Worker(*worker, *incarnation)),
        // Whoever carried it out names itself, and is answered nothing.
        FromWorker::Notified(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{AttemptId, Dispatch, Epoch};
    use crate::protocol::envelope::Installation;
    use crate::protocol::work::Question;

    const W: WorkerId = WorkerId(Uuid::from_u128(7));
    const ONE: Incarnation = Incarnation(1);

    fn keys(installation: &str, secret: &str) -> Keys {
        Keys::new(Installation::new(installation).expect("a name"), secret).expect("a secret")
    }

    fn ours() -> Keys {
        keys("x", "0123456789abcdef")
    }

    fn sealed(keys: &Keys, sender: Sender, kind: Kind, message: &impl Serialize) -> Vec<u8> {
        keys.seal(Direction::ToScheduler, sender, kind.as_str(), message).expect("short enough")
    }

    fn worker() -> Sender {
        Sender::Worker { worker: W, incarnation: ONE }
    }

    fn claim(worker: WorkerId, incarnation: Incarnation) -> Claim {
        Claim { worker, incarnation, n: 1 }
    }

    fn letter(message: FromWorker) -> Said {
        Said { reply_to: String::new(), said: vec![message] }
    }

    fn why(body: &[u8]) -> String {
        open(&ours(), body).expect_err("it is no letter").to_string()
    }

    #[test]
    fn what_a_worker_signed_is_read_as_it_was_written() {
        let attempt = AttemptId(Uuid::from_u128(1));
        let said =
            letter(FromWorker::Claimed { attempt, dispatch: Dispatch(1), claim: claim(W, ONE), redelivered: false });
        let body = sealed(&ours(), worker(), Kind::Said, &said);
        assert_eq!(open(&ours(), &body), Ok(Letter::Said { worker: W, incarnation: ONE, said }));
        let marker = Marker { epoch: Epoch(3), subscription: 1, nonce: Uuid::from_u128(5) };
        let body = sealed(&ours(), Sender::Scheduler { epoch: Epoch(3) }, Kind::Marker, &marker);
        assert_eq!(open(&ours(), &body), Ok(Letter::Marker(marker)));
    }

    #[test]
    fn whatever_is_not_ours_is_refused_with_the_reason() {
        let said = letter(FromWorker::Offline { worker: W, incarnation: ONE });
        let good = sealed(&ours(), worker(), Kind::Said, &said);
        let mut altered = good.clone();
        *altered.last_mut().expect("bytes") ^= 1;
        let marker = Marker { epoch: Epoch(3), subscription: 1, nonce: Uuid::nil() };
        for (body, says) in [
            (b"hello".to_vec(), "not a message of updraft"),
            (altered, "the signature is wrong"),
            (sealed(&keys("y", "0123456789abcdef"), worker(), Kind::Said, &said), "of the installation `y`"),
            (sealed(&keys("x", "another secret of 16"), worker(), Kind::Said, &said), "secret that is not known here"),
            (sealed(&ours(), worker(), Kind::Task, &said), "a `task` message, which is not for the scheduler"),
            (sealed(&ours(), worker(), Kind::Said, &"hm"), "cannot read the `said` message"),
            (sealed(&ours(), worker(), Kind::Marker, &marker), "a `marker` message that worker"),
            (
                sealed(&ours(), Sender::Scheduler { epoch: Epoch(4) }, Kind::Marker, &marker),
                "a `marker` message that the scheduler of epoch 4 signed",
            ),
            (sealed(&ours(), Sender::Scheduler { epoch: Epoch(3) }, Kind::Said, &said), "a `said` message that the"),
        ] {
            assert!(why(&body).contains(says), "{}", why(&body));
        }
    }

    #[test]
    fn nobody_claims_or_asks_in_the_name_of_another() {
        let attempt = AttemptId(Uuid::from_u128(1));
        let other = WorkerId(Uuid::from_u128(8));
        let question = Question::GetVariable { key: "k".to_owned() };
        let asked = |claim| FromWorker::Asked { attempt, claim, seq: 1, question: question.clone() };
        let released = |claim| FromWorker::Released { attempt, claim };
        for (message, fits) in [
            (asked(claim(W, ONE)), true),
            (asked(claim(W, Incarnation(2))), false),
            (asked(claim(other, ONE)), false),
            (released(claim(W, Incarnation(9))), true),
            (released(claim(other, ONE)), false),
            (FromWorker::Offline { worker: other, incarnation: ONE }, false),
            (FromWorker::Obituary { worker: other, incarnation: ONE, unsettled: Vec::new() }, false),
        ] {
            let body = sealed(&ours(), worker(), Kind::Said, &letter(message.clone()));
            assert_eq!(open(&ours(), &body).is_ok(), fits, "{message:?}");
        }
    }
}
