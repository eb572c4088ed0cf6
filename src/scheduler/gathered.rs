//! What waits for the next batch, and which letters of workers wait for the commit of what they said. Pure.
//!
//! Inputs are counted as they come and as they are taken, so "everything that this letter said is committed" is one
//! comparison, whatever else lies between (PROTOCOL L2: take, react, commit, send, acknowledge).

use std::collections::VecDeque;

use crate::protocol::execution::Arrival;
use crate::protocol::work::FromWorker;

use super::core::Input;

#[derive(Debug, Default)]
pub(super) struct Gathered {
    line: VecDeque<Input>,
    came: u64,
    taken: u64,
    /// Letters, each with the number of the last input that it became.
    letters: VecDeque<(u64, Arrival)>,
}

impl Gathered {
    pub(super) fn push(&mut self, input: Input) {
        self.came += 1;
        self.line.push_back(input);
    }

    pub(super) fn pop(&mut self) -> Option<Input> {
        let input = self.line.pop_front()?;
        self.taken += 1;
        Some(input)
    }

    pub(super) fn front(&self) -> Option<&Input> {
        self.line.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Input> {
        self.line.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Everything that this letter said has been pushed.
    pub(super) fn end_of_letter(&mut self, arrival: Arrival) {
        self.letters.push_back((self.came, arrival));
    }

    /// Everything that was taken is committed: up to which letter the broker may forget, if there is a new one.
    pub(super) fn committed(&mut self) -> Option<Arrival> {
        let mut last = None;
        while self.letters.front().is_some_and(|(end, _)| *end <= self.taken) {
            last = self.letters.pop_front().map(|(_, arrival)| arrival);
        }
        last
    }

    /// A new epoch (L3): what came over the broker comes again.
    pub(super) fn forget_letters(&mut self) {
        self.letters.clear();
        self.line.retain(|input| !came_over_the_broker(input));
    }
}

fn came_over_the_broker(input: &Input) -> bool {
    match input {
        Input::Worker(_) | Input::WorkerLost { .. } | Input::Suspect { .. } | Input::Trusted { .. } => true,
        Input::FilesChanged(_)
        | Input::Control { .. }
        | Input::Unreadable { .. }
        | Input::LookedBack { .. }
        | Input::DatesKnown { .. }
        | Input::FolderRead
        | Input::Leaving
        | Input::Seen { .. }
        | Input::Tick => false,
    }
}

/// Whether an input is one of those that may wait a moment for others of its kind.
pub(super) fn is_report(input: &Input) -> bool {
    matches!(input, Input::Worker(FromWorker::Finish(_) | FromWorker::Started { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Incarnation, WorkerId};

    fn letter(number: u64) -> Arrival {
        Arrival { subscription: 1, number }
    }

    fn offline() -> Input {
        let worker = WorkerId(uuid::Uuid::nil());
        Input::Worker(FromWorker::Offline { worker, incarnation: Incarnation(1) })
    }

    #[test]
    fn a_letter_is_acknowledged_when_all_that_it_said_is_committed() {
        let mut gathered = Gathered::default();
        gathered.push(offline());
        gathered.push(offline());
        gathered.end_of_letter(letter(1));
        gathered.push(Input::Tick);
        gathered.push(offline());
        gathered.end_of_letter(letter(2));
        gathered.end_of_letter(letter(3));
        assert_eq!(gathered.committed(), None, "nothing was taken");
        gathered.pop().expect("four are there");
        assert_eq!(gathered.committed(), None, "half a letter");
        gathered.pop().expect("three are there");
        assert_eq!(gathered.committed(), Some(letter(1)));
        assert_eq!(gathered.committed(), None, "once");
        while gathered.pop().is_some() {}
        assert_eq!(gathered.committed(), Some(letter(3)), "one that says nothing waits for those before it");
    }

    #[test]
    fn a_letter_that_says_nothing_waits_for_nothing() {
        let mut gathered = Gathered::default();
        gathered.end_of_letter(letter(1));
        assert_eq!(gathered.committed(), Some(letter(1)));
    }

    #[test]
    fn with_a_new_epoch_what_comes_again_is_forgotten_and_the_rest_stays() {
        let mut gathered = Gathered::default();
        gathered.push(offline());
        gathered.end_of_letter(letter(1));
        gathered.push(Input::FolderRead);
        gathered.forget_letters();
        assert!(matches!(gathered.pop(), Some(Input::FolderRead)));
        assert!(gathered.pop().is_none());
        assert_eq!(gathered.committed(), None);
    }
}
