//! Where the lives of workers hear answers. Pure.
//!
//! A worker says in each letter where it hears. That must be a reply queue of its own life, so a letter that was
//! copied or made up leads no answer, and no secret in one, to anybody else; and it only moves on to newer
//! connections, so an old copy does not turn answers back.

use std::collections::{BTreeMap, HashMap};

use crate::broker::{Listener, Names, Queue};
use crate::domain::ids::{Incarnation, WorkerId};

/// So many lives of one worker are answered at once: its newest, and earlier ones that do not know of their end.
const LIVES: usize = 4;

/// Why an address is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it wants its answers in `{0}`, which is no reply queue of the worker that signed it")]
pub(super) struct ForeignAddress(pub(super) String);

/// The reply queue of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    connection: u64,
    queue: Queue,
}

#[derive(Debug)]
pub(super) struct Addresses {
    names: Names,
    workers: HashMap<WorkerId, BTreeMap<Incarnation, Address>>,
}

impl Addresses {
    pub(super) fn new(names: Names) -> Self {
        Self { names, workers: HashMap::new() }
    }

    /// Takes a letter's word for where this life hears; an empty one says nothing.
    ///
    /// # Errors
    /// When it is not the reply queue of a connection of this life.
    pub(super) fn learn(
        &mut self,
        worker: WorkerId,
        incarnation: Incarnation,
        reply_to: &str,
    ) -> Result<(), ForeignAddress> {
        if reply_to.is_empty() {
            return Ok(());
        }
        let foreign = || ForeignAddress(reply_to.chars().take(100).collect());
        let number = reply_to.rsplit('.').next().and_then(|last| last.parse().ok());
        let connection: u64 = number.ok_or_else(foreign)?;
        let queue = self.names.reply(Listener::Worker { worker, incarnation }, connection);
        if queue.name() != reply_to {
            return Err(foreign());
        }
        let lives = self.workers.entry(worker).or_default();
        if lives.get(&incarnation).is_none_or(|known| known.connection < connection) {
            lives.insert(incarnation, Address { connection, queue });
        }
        while lives.len() > LIVES {
            lives.pop_first();
        }
        Ok(())
    }

    /// Where the newest life of a worker hears.
    pub(super) fn newest(&self, worker: WorkerId) -> Option<(Incarnation, &Queue)> {
        let (incarnation, address) = self.workers.get(&worker)?.last_key_value()?;
        Some((*incarnation, &address.queue))
    }

    pub(super) fn of(&self, worker: WorkerId, incarnation: Incarnation) -> Option<&Queue> {
        Some(&self.workers.get(&worker)?.get(&incarnation)?.queue)
    }

    /// Nobody hears there any more. False when a newer address is known already.
    pub(super) fn forget(&mut self, worker: WorkerId, incarnation: Incarnation, queue: &Queue) -> bool {
        let Some(lives) = self.workers.get_mut(&worker) else { return false };
        if lives.get(&incarnation).is_none_or(|known| known.queue != *queue) {
            return false;
        }
        lives.remove(&incarnation);
        if lives.is_empty() {
            self.workers.remove(&worker);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::protocol::envelope::Installation;

    const W: WorkerId = WorkerId(Uuid::from_u128(7));
    const ONE: Incarnation = Incarnation(1);
    const TWO: Incarnation = Incarnation(2);

    fn names() -> Names {
        Names::new(Installation::new("x").expect("a name"))
    }

    fn queue(incarnation: Incarnation, connection: u64) -> Queue {
        names().reply(Listener::Worker { worker: W, incarnation }, connection)
    }

    fn knowing(heard: &[(Incarnation, u64)]) -> Addresses {
        let mut addresses = Addresses::new(names());
        for &(incarnation, connection) in heard {
            addresses.learn(W, incarnation, queue(incarnation, connection).name()).expect("its own");
        }
        addresses
    }

    #[test]
    fn each_life_is_answered_at_its_newest_connection() {
        let addresses = knowing(&[(ONE, 1), (TWO, 1), (ONE, 3), (ONE, 2)]);
        assert_eq!(addresses.of(W, ONE), Some(&queue(ONE, 3)), "an old copy does not turn answers back");
        assert_eq!(addresses.newest(W), Some((TWO, &queue(TWO, 1))));
        assert_eq!(addresses.newest(WorkerId(Uuid::nil())), None);
    }

    #[test]
    fn nobody_gets_the_answers_of_another() {
        let mut addresses = knowing(&[(ONE, 1)]);
        let other = names().reply(Listener::Worker { worker: WorkerId(Uuid::nil()), incarnation: ONE }, 9);
        for foreign in ["x.scheduler", "x.reply.1", "", "x.reply.a.b.c", other.name(), queue(TWO, 9).name()] {
            assert_eq!(addresses.learn(W, ONE, foreign).is_ok(), foreign.is_empty(), "{foreign}");
        }
        let padded = queue(ONE, 9).name().replace(".9", ".09");
        assert!(addresses.learn(W, ONE, &padded).is_err(), "each queue has one name");
        assert_eq!(addresses.of(W, ONE), Some(&queue(ONE, 1)));
    }

    #[test]
    fn a_queue_that_is_gone_is_forgotten_unless_a_newer_one_is_known() {
        let mut addresses = knowing(&[(ONE, 2)]);
        assert!(!addresses.forget(W, ONE, &queue(ONE, 1)));
        assert!(addresses.forget(W, ONE, &queue(ONE, 2)));
        assert!(!addresses.forget(W, ONE, &queue(ONE, 2)));
        assert_eq!(addresses.newest(W), None);
    }

    #[test]
    fn a_worker_that_is_always_reborn_fills_no_memory() {
        let lives: Vec<_> = (1..=50).map(|n| (Incarnation(n), 1)).collect();
        let addresses = knowing(&lives);
        assert_eq!(addresses.workers[&W].len(), LIVES);
        assert_eq!(addresses.newest(W).map(|(incarnation, _)| incarnation), Some(Incarnation(50)));
    }
}
