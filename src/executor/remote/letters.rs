//! What leaves: the words of one commit as letters, one for each life of a worker that hears something. Pure.

use std::collections::BTreeMap;

use crate::domain::ids::{Epoch, Incarnation, WorkerId};
use crate::protocol::envelope::{Direction, Keys, SealError, Sender};
use crate::protocol::execution::Outgoing;
use crate::protocol::letter::{Kind, Told};
use crate::protocol::work::{Answer, TaskMessage, ToWorker};

/// Which life of a worker a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Newest,
    This(Incarnation),
}

/// A word about one claim or one life is for that life alone, also when it is over and does not know it: an answer may
/// hold secrets, and `Fenced` would end a younger one. Reports are told again by the next life, so it hears of them.
fn life(message: &ToWorker) -> Life {
    match message {
        ToWorker::Granted { claim, .. }
        | ToWorker::Refused { claim, .. }
        | ToWorker::Terminate { claim, .. }
        | ToWorker::Values { claim, .. } => Life::This(claim.incarnation),
        ToWorker::Fenced { incarnation } => Life::This(*incarnation),
        ToWorker::Task { .. }
        | ToWorker::Notify { .. }
        | ToWorker::Settled { .. }
        | ToWorker::Drain { .. }
        | ToWorker::Resize { .. }
        | ToWorker::Queues { .. }
        | ToWorker::Welcome { .. }
        | ToWorker::Probe => Life::Newest,
    }
}

/// The words of one commit by where they go.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Sorted {
    /// For whoever takes them from their queue.
    pub(super) tasks: Vec<TaskMessage>,
    /// In the order in which each life is to hear them.
    pub(super) told: BTreeMap<(WorkerId, Incarnation), Vec<ToWorker>>,
    /// Words for workers that have said nothing since this node began: they ask again, and are answered then.
    pub(super) unheard: usize,
}

/// `newest` knows the newest life of a worker.
pub(super) fn sort(words: Vec<Outgoing>, newest: impl Fn(WorkerId) -> Option<Incarnation>) -> Sorted {
    let mut sorted = Sorted::default();
    for Outgoing { to, message } in words {
        match (to, message) {
            (_, ToWorker::Task { task, .. }) => sorted.tasks.push(*task),
            (Some(worker), message) => {
                let incarnation = match life(&message) {
                    Life::This(incarnation) => Some(incarnation),
                    Life::Newest => newest(worker),
                };
                match incarnation {
                    Some(incarnation) => sorted.told.entry((worker, incarnation)).or_default().push(message),
                    None => sorted.unheard += 1,
                }
            }
            (None, _) => sorted.unheard += 1,
        }
    }
    sorted
}

/// A task as bytes for its queue.
pub(super) fn task(keys: &Keys, epoch: Epoch, task: &TaskMessage) -> Result<Vec<u8>, SealError> {
    keys.seal(Direction::ToWorker, Sender::Scheduler { epoch }, Kind::Task.as_str(), task)
}

/// Words for one life as bytes, in as many letters as they need; `seq` counts them.
pub(super) fn told(
    keys: &Keys,
    epoch: Epoch,
    seq: &mut u64,
    mut said: Vec<ToWorker>,
) -> Result<Vec<Vec<u8>>, SealError> {
    *seq += 1;
    let letter = Told { seq: *seq, said };
    let sealed = keys.seal(Direction::ToWorker, Sender::Scheduler { epoch }, Kind::Told.as_str(), &letter);
    said = letter.said;
    match sealed {
        Ok(body) => Ok(vec![body]),
        Err(SealError::TooLong { .. }) if said.len() > 1 => {
            let rest = said.split_off(said.len() / 2);
            let mut letters = told(keys, epoch, seq, said)?;
            letters.extend(told(keys, epoch, seq, rest)?);
            Ok(letters)
        }
        Err(error @ SealError::TooLong { .. }) => match said.pop() {
            // The task that waits for it must not wait for ever.
            Some(ToWorker::Values { claim, seq: question, answer }) if !matches!(answer, Answer::Refused { .. }) => {
                let why = format!("the answer cannot be sent over the broker: {error}");
                let refused = ToWorker::Values { claim, seq: question, answer: Answer::Refused { why } };
                told(keys, epoch, seq, vec![refused])
            }
            Some(_) | None => Err(error),
        },
        Err(error @ SealError::NotJson { .. }) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::domain::attempt::{Refusal, Verdict};
    use crate::domain::ids::{AttemptId, Claim};
    use crate::protocol::envelope::{Installation, MAX_LENGTH};

    const A: WorkerId = WorkerId(Uuid::from_u128(1));
    const B: WorkerId = WorkerId(Uuid::from_u128(2));

    fn claim(worker: WorkerId, incarnation: i64, n: i64) -> Claim {
        Claim { worker, incarnation: Incarnation(incarnation), n }
    }

    fn granted(claim: Claim) -> ToWorker {
        ToWorker::Granted { attempt: AttemptId(Uuid::nil()), claim, epoch: Epoch(1) }
    }

    fn to(worker: WorkerId, message: ToWorker) -> Outgoing {
        Outgoing { to: Some(worker), message }
    }

    #[test]
    fn each_life_hears_in_one_letter_what_concerns_it_and_the_newest_hears_the_rest() {
        let refused = ToWorker::Refused { claim: claim(A, 1, 1), why: Refusal::OldIncarnation, epoch: Epoch(1) };
        let fenced = ToWorker::Fenced { incarnation: Incarnation(1) };
        let settled = ToWorker::Settled { claims: vec![(claim(A, 1, 3), Verdict::Applied)] };
        let words = vec![
            to(A, refused.clone()),
            to(B, granted(claim(B, 5, 1))),
            to(A, granted(claim(A, 2, 1))),
            to(A, fenced.clone()),
            to(A, settled.clone()),
            to(WorkerId(Uuid::nil()), ToWorker::Probe),
        ];
        let newest = |worker| match worker {
            A => Some(Incarnation(2)),
            B => Some(Incarnation(5)),
            _ => None,
        };
        let sorted = sort(words, newest);
        let told: Vec<_> = sorted.told.into_iter().collect();
        assert_eq!(
            told,
            [
                ((A, Incarnation(1)), vec![refused, fenced]),
                ((A, Incarnation(2)), vec![granted(claim(A, 2, 1)), settled]),
                ((B, Incarnation(5)), vec![granted(claim(B, 5, 1))]),
            ]
        );
        assert_eq!((sorted.tasks.len(), sorted.unheard), (0, 1));
    }

    fn keys() -> Keys {
        Keys::new(Installation::new("x").expect("a name"), "0123456789abcdef").expect("a secret")
    }

    fn values(n: i64, length: usize) -> ToWorker {
        let value = Some(Value::String("x".repeat(length)));
        ToWorker::Values { claim: claim(A, 1, n), seq: 1, answer: Answer::XCom { value } }
    }

    fn read(letters: &[Vec<u8>]) -> Vec<Told> {
        letters
            .iter()
            .map(|letter| keys().open(Direction::ToWorker, letter).expect("ours").read().expect("a letter"))
            .collect()
    }

    #[test]
    fn letters_are_numbered_and_hold_everything_in_order() {
        let mut seq = 0;
        let first = told(&keys(), Epoch(4), &mut seq, vec![values(1, 3), values(2, 3)]).expect("short");
        let second = told(&keys(), Epoch(4), &mut seq, vec![ToWorker::Probe]).expect("short");
        let read = read(&[first, second].concat());
        assert_eq!(read[0], Told { seq: 1, said: vec![values(1, 3), values(2, 3)] });
        assert_eq!(read[1], Told { seq: 2, said: vec![ToWorker::Probe] });
    }

    #[test]
    fn what_does_not_fit_into_one_letter_goes_in_several() {
        let words: Vec<ToWorker> = (0..5).map(|n| values(n, MAX_LENGTH / 3)).collect();
        let mut seq = 0;
        let read = read(&told(&keys(), Epoch(4), &mut seq, words.clone()).expect("in pieces"));
        assert!(read.windows(2).all(|two| two[0].seq < two[1].seq));
        let heard: Vec<ToWorker> = read.into_iter().flat_map(|letter| letter.said).collect();
        assert_eq!(heard, words);
    }

    #[test]
    fn an_answer_that_fits_into_no_letter_is_refused_with_the_reason() {
        let read = read(&told(&keys(), Epoch(4), &mut 0, vec![values(1, MAX_LENGTH)]).expect("a refusal"));
        let ToWorker::Values { seq: 1, answer: Answer::Refused { why }, .. } = &read[0].said[0] else {
            panic!("{read:?}")
        };
        assert!(why.contains("cannot be sent over the broker"), "{why}");
    }
}
