//! An attempt that needs no process: its values are stored, and it has succeeded.
//!
//! What decides about other tasks is a question to the scheduler, which refuses one that means nothing in the graph; so
//! a branch into a task that is not there fails in its own log. The result itself travels with the report.

use chrono::Utc;

use super::{
    Answer, Ended, Level, Outcome, Question, Report, Slot, SlotNews, SlotOrder, TaskLog, to_micros, withdrawn,
};
use crate::domain::skip::SKIP_KEY;
use crate::worker::operator::decide::Decided;

/// Beyond every number that a template's questions may have used.
const FIRST_SEQ: u64 = 1 << 32;

impl Slot {
    pub(super) async fn decide(&mut self, decided: Decided, log: &mut TaskLog) -> SlotNews {
        let started_at = to_micros(Utc::now());
        log.say(started_at, "decide", Level::Info, &decided.said);
        log.flush();
        let (decisions, xcoms): (Vec<_>, Vec<_>) = decided.xcoms.into_iter().partition(|(key, _)| key == SKIP_KEY);
        for (seq, (key, value)) in (FIRST_SEQ..).zip(decisions) {
            (self.tell)(self.claim, SlotNews::Asked { seq, question: Question::SetXCom { key, value } });
            match self.answer_to(seq).await {
                Some(Answer::Refused { why }) => return self.unstartable(log, why),
                Some(
                    Answer::Stored
                    | Answer::XCom { .. }
                    | Answer::Variable { .. }
                    | Answer::Connection { .. }
                    | Answer::AssetEvents { .. }
                    | Answer::Deleted { .. }
                    | Answer::Triggered { .. }
                    | Answer::RunExists { .. }
                    | Answer::RunState { .. }
                    | Answer::Seen { .. }
                    | Answer::Runs { .. }
                    | Answer::Tasks { .. }
                    | Answer::XComs { .. }
                    | Answer::Mapped { .. },
                ) => {}
                None => return withdrawn(log),
            }
        }
        let ended_at = to_micros(Utc::now());
        let report = Report {
            attempt: self.task.attempt,
            claim: self.claim,
            outcome: Outcome::Success,
            exit_code: None,
            message: None,
            started_at: Some(started_at),
            ended_at,
            pid: None,
            xcoms,
            outlet_events: Vec::new(),
            awaited: None,
        };
        SlotNews::Ended { how: Ended::Unstartable, report: Box::new(report) }
    }

    /// `None` when the attempt was withdrawn meanwhile.
    async fn answer_to(&mut self, wanted: u64) -> Option<Answer> {
        loop {
            match self.orders.recv().await? {
                SlotOrder::Answer { seq, answer } if seq == wanted => return Some(answer),
                SlotOrder::Answer { .. } => {}
                SlotOrder::Stop { .. } | SlotOrder::Withdraw => return None,
            }
        }
    }
}
