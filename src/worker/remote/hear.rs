//! From bytes to messages: nothing is looked at before its signature is found right. What is not ours is said in a
//! sentence, for the dead letters or the log.

use crate::domain::ids::Epoch;
use crate::protocol::envelope::{Direction, Keys, Opened, Rejection, Sender};
use crate::protocol::letter::{Kind, Told};
use crate::protocol::work::TaskMessage;

/// Why a message is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error("a `{got}` message, where only a `{expected}` belongs")]
    WrongKind { got: String, expected: &'static str },
}

/// What came over a task queue.
pub fn task(keys: &Keys, bytes: &[u8]) -> Result<Box<TaskMessage>, Unheard> {
    let (_, opened) = open(keys, bytes, Kind::Task)?;
    Ok(Box::new(opened.read()?))
}

/// What came to the reply queue.
pub fn told(keys: &Keys, bytes: &[u8]) -> Result<(Epoch, Told), Unheard> {
    let (epoch, opened) = open(keys, bytes, Kind::Told)?;
    Ok((epoch, opened.read()?))
}

fn open<'a>(keys: &Keys, bytes: &'a [u8], expected: Kind) -> Result<(Epoch, Opened<'a>), Unheard> {
    let opened = keys.open(Direction::ToWorker, bytes)?;
    match (opened.sender, opened.kind == expected.as_str()) {
        (Sender::Scheduler { epoch }, true) => Ok((epoch, opened)),
        (Sender::Scheduler { .. }, false) => {
            Err(Unheard::WrongKind { got: opened.kind.to_owned(), expected: expected.as_str() })
        }
        (Sender::Worker { .. }, _) => Err(Rejection::WrongSender.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Incarnation, WorkerId};
    use crate::protocol::envelope::Installation;

    fn keys(secret: &str) -> Keys {
        Keys::new(Installation::new("updraft").expect("a name"), secret).expect("a secret")
    }

    #[test]
    fn only_a_letter_of_the_scheduler_with_our_secret_is_heard() {
        let ours = keys("0123456789abcdef");
        let scheduler = Sender::Scheduler { epoch: Epoch(7) };
        let letter = Told { seq: 3, said: Vec::new() };
        let seal = |keys: &Keys, direction, sender, kind: Kind| {
            keys.seal(direction, sender, kind.as_str(), &letter).expect("short")
        };
        let good = seal(&ours, Direction::ToWorker, scheduler, Kind::Told);
        assert_eq!(told(&ours, &good).expect("ours"), (Epoch(7), letter.clone()));
        let worker = Sender::Worker { worker: WorkerId(uuid::Uuid::from_u128(1)), incarnation: Incarnation(1) };
        for (what, bytes, says) in [
            (
                "of another secret",
                seal(&keys("fedcba9876543210"), Direction::ToWorker, scheduler, Kind::Told),
                "secret",
            ),
            (
                "a worker's own word, turned around",
                seal(&ours, Direction::ToScheduler, worker, Kind::Told),
                "signature",
            ),
            ("of a worker", seal(&ours, Direction::ToWorker, worker, Kind::Told), "that a worker signed"),
            ("a task in the reply queue", seal(&ours, Direction::ToWorker, scheduler, Kind::Task), "only a `told`"),
            ("no message at all", b"hello".to_vec(), "too short"),
        ] {
            let why = told(&ours, &bytes).expect_err(what).to_string();
            assert!(why.contains(says), "{what}: {why}");
        }
        let no_task = ours.seal(Direction::ToWorker, scheduler, Kind::Task.as_str(), &letter).expect("short");
        let why = task(&ours, &no_task).expect_err("its body is no task").to_string();
        assert!(why.starts_with("cannot read the `task` message"), "{why}");
    }
}
