//! From what a worker says to signed letters: as few as the size of a message allows, in the order in which it was said.

use crate::domain::attempt::Outcome;
use crate::protocol::envelope::{Direction, Keys, SealError, Sender};
use crate::protocol::letter::{Kind, Said};
use crate::protocol::work::{FromWorker, Report};

/// A letter on its way.
pub struct Letter {
    pub bytes: Vec<u8>,
    /// It holds a sign of life: its confirm renews the lease.
    pub renews: bool,
    /// What nothing would repeat, should the letter be lost.
    pub kept: Vec<FromWorker>,
}

/// Whether nothing else repeats it: claims, reports and questions are asked until they are answered, a beat follows a
/// beat and says what was released, and what is for display alone may be lost.
pub fn is_kept(message: &FromWorker) -> bool {
    match message {
        FromWorker::Notified(_) => true,
        FromWorker::Online(_)
        | FromWorker::Claimed { .. }
        | FromWorker::Started { .. }
        | FromWorker::Finish(_)
        | FromWorker::Released { .. }
        | FromWorker::Beat(_)
        | FromWorker::Asked { .. }
        | FromWorker::Offline { .. }
        | FromWorker::Obituary { .. } => false,
    }
}

fn renews(message: &FromWorker) -> bool {
    matches!(message, FromWorker::Online(_) | FromWorker::Beat(_))
}

/// Signs what was said. One letter, unless it would be longer than a message may be.
pub fn seal(keys: &Keys, sender: Sender, reply_to: &str, said: Vec<FromWorker>) -> Vec<Letter> {
    if said.is_empty() {
        return Vec::new();
    }
    let letter = Said { reply_to: reply_to.to_owned(), said };
    let sealed = keys.seal(Direction::ToScheduler, sender, Kind::Said.as_str(), &letter);
    let Said { mut said, .. } = letter;
    match sealed {
        Ok(bytes) => {
            let renews = said.iter().any(renews);
            let kept = said.into_iter().filter(is_kept).collect();
            vec![Letter { bytes, renews, kept }]
        }
        Err(SealError::TooLong { .. }) if said.len() > 1 => {
            let second = said.split_off(said.len() / 2);
            let mut letters = seal(keys, sender, reply_to, said);
            letters.extend(seal(keys, sender, reply_to, second));
            letters
        }
        Err(SealError::TooLong { length, .. }) => match said.pop().and_then(|message| shortened(message, length)) {
            Some(message) => seal(keys, sender, reply_to, vec![message]),
            None => {
                tracing::error!(length, "a message is too long for the broker and is left out");
                Vec::new()
            }
        },
        Err(error @ SealError::NotJson { .. }) => {
            tracing::error!(%error, "a message cannot be written and is left out");
            Vec::new()
        }
    }
}

/// A report that no message can hold would be repeated for ever: it ends as a failure that says why.
fn shortened(message: FromWorker, length: usize) -> Option<FromWorker> {
    match message {
        FromWorker::Finish(report) if !report.xcoms.is_empty() || !report.outlet_events.is_empty() => {
            let message = format!("what the task returned makes a message of {length} bytes, more than a broker takes");
            Some(FromWorker::Finish(Report {
                outcome: Outcome::Failed { retryable: false },
                message: Some(message),
                xcoms: Vec::new(),
                outlet_events: Vec::new(),
                ..report
            }))
        }
        FromWorker::Finish(_)
        | FromWorker::Online(_)
        | FromWorker::Claimed { .. }
        | FromWorker::Started { .. }
        | FromWorker::Released { .. }
        | FromWorker::Beat(_)
        | FromWorker::Notified(_)
        | FromWorker::Asked { .. }
        | FromWorker::Offline { .. }
        | FromWorker::Obituary { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{AttemptId, Claim, Incarnation, NotificationId, WorkerId};
    use crate::protocol::envelope::{Installation, MAX_LENGTH};
    use crate::protocol::work::{Beat, Notified, Standing};

    const WORKER: WorkerId = WorkerId(Uuid::from_u128(1));
    const SENDER: Sender = Sender::Worker { worker: WORKER, incarnation: Incarnation(2) };

    fn keys() -> Keys {
        Keys::new(Installation::new("updraft").expect("a name"), "0123456789abcdef").expect("a secret")
    }

    fn claim(n: i64) -> Claim {
        Claim { worker: WORKER, incarnation: Incarnation(2), n }
    }

    fn released(n: i64) -> FromWorker {
        FromWorker::Released { attempt: AttemptId(Uuid::nil()), claim: claim(n) }
    }

    fn finished(result: usize) -> FromWorker {
        FromWorker::Finish(Report {
            attempt: AttemptId(Uuid::nil()),
            claim: claim(1),
            outcome: Outcome::Success,
            exit_code: Some(0),
            message: None,
            started_at: None,
            ended_at: chrono::DateTime::UNIX_EPOCH,
            pid: None,
            xcoms: vec![("return_value".to_owned(), "x".repeat(result).into())],
            outlet_events: Vec::new(),
            awaited: None,
        })
    }

    fn read(letter: &Letter) -> Said {
        let keys = keys();
        let opened = keys.open(Direction::ToScheduler, &letter.bytes).expect("signed");
        assert_eq!((opened.kind, opened.sender), ("said", SENDER));
        opened.read().expect("a letter")
    }

    #[test]
    fn what_was_said_at_once_is_one_letter_and_its_order_stays() {
        assert!(seal(&keys(), SENDER, "updraft.reply.x", Vec::new()).is_empty());
        let said: Vec<FromWorker> = (1..=3).map(released).collect();
        let letters = seal(&keys(), SENDER, "updraft.reply.x", said.clone());
        assert_eq!(letters.len(), 1);
        assert_eq!(read(&letters[0]), Said { reply_to: "updraft.reply.x".to_owned(), said });
        assert!(!letters[0].renews && letters[0].kept.is_empty());
    }

    #[test]
    fn a_letter_says_whether_it_renews_and_what_only_its_sender_knows() {
        let beat = FromWorker::Beat(Beat {
            worker: WORKER,
            incarnation: Incarnation(2),
            seq: 1,
            highest_n: 0,
            held: Vec::new(),
            standing: Standing::default(),
        });
        let notified = FromWorker::Notified(Notified {
            id: NotificationId(Uuid::nil()),
            worker: WORKER,
            succeeded: true,
            message: None,
            ended_at: chrono::DateTime::UNIX_EPOCH,
        });
        let letters = seal(&keys(), SENDER, "r", vec![released(1), notified.clone(), beat]);
        assert!(letters[0].renews);
        assert_eq!(letters[0].kept, [notified]);
    }

    #[test]
    fn what_is_too_long_for_one_letter_becomes_several_and_a_result_that_fits_none_a_failure() {
        let half = MAX_LENGTH / 2;
        let letters = seal(&keys(), SENDER, "r", vec![released(1), finished(half), finished(half), released(2)]);
        let said: Vec<FromWorker> = letters.iter().flat_map(|letter| read(letter).said).collect();
        assert_eq!((letters.len(), said.len()), (2, 4));
        assert_eq!((&said[0], &said[3]), (&released(1), &released(2)));

        let letters = seal(&keys(), SENDER, "r", vec![finished(MAX_LENGTH)]);
        let FromWorker::Finish(report) = &read(&letters[0]).said[0] else { panic!("still a report") };
        assert_eq!(report.outcome, Outcome::Failed { retryable: false });
        assert!(report.message.as_ref().is_some_and(|why| why.contains("more than a broker takes")), "{report:?}");
    }
}
