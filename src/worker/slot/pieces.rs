//! An instance of a mapped task gets what makes it differ from the others, before anything is prepared.

use std::collections::BTreeMap;

use super::{Answer, Slot, SlotNews, SlotOrder, Unstartable};
use crate::worker::{mapped, operator};

impl Slot {
    /// Asks for what this instance of a mapped task gets; `None` when the attempt was withdrawn meanwhile.
    pub(super) async fn take_pieces(&mut self) -> Option<Result<(), Unstartable>> {
        if operator::sdk::runs(&self.task, &self.settings) {
            // The runner looks for its pieces by itself.
            return Some(Ok(()));
        }
        let questions = mapped::questions(&mut self.task);
        let mut answers: BTreeMap<u64, Option<Answer>> = BTreeMap::new();
        for (seq, question) in (1..).zip(questions) {
            (self.tell)(self.claim, SlotNews::Asked { seq, question });
            answers.insert(seq, None);
        }
        while answers.values().any(Option::is_none) {
            match self.orders.recv().await {
                Some(SlotOrder::Answer { seq, answer }) => {
                    if let Some(place) = answers.get_mut(&seq) {
                        *place = Some(answer);
                    }
                }
                Some(SlotOrder::Stop { .. } | SlotOrder::Withdraw) | None => return None,
            }
        }
        Some(mapped::settle(&mut self.task, answers.into_values().flatten().collect()))
    }
}
