//! What the process of an attempt says over its channel: values, questions, how it ended.
//!
//! Questions go to the worker, which asks the scheduler; nothing is answered from here.

use chrono::Utc;

use super::{Running, Slot, SlotNews};
use crate::domain::secret::{self, Hidden};
use crate::domain::template::Wanted;
use crate::protocol::task_channel::{Finish, FinishState, FromTask};
use crate::protocol::work::{Answer, Question};
use crate::worker::log::{Level, TaskLog};
use crate::worker::operator;
use crate::worker::question::question;

impl Slot {
    pub(super) fn hear(&self, running: &mut Running, log: &mut TaskLog, heard: Option<Result<FromTask, String>>) {
        match heard {
            None => running.channel = None,
            Some(Err(why)) => {
                let text = format!("The task's process said something that cannot be understood: {why}");
                log.say(Utc::now(), "worker", Level::Error, &text);
                running.channel = None;
                // Its own last word, if there is one, cannot be heard any more: an exit code of 0 would say too much.
                running.finish.get_or_insert(Finish {
                    state: FinishState::Failed,
                    retryable: true,
                    message: Some(text),
                    outlet_events: Vec::new(),
                    awaited: None,
                });
            }
            Some(Ok(FromTask::Finish(finish))) => running.finish = Some(finish),
            // The result travels with the outcome, in the same commit.
            Some(Ok(FromTask::SetXCom { id, key, value })) if key == operator::RETURN_VALUE => {
                running.xcoms.retain(|(known, _)| *known != key);
                if self.task.do_xcom_push {
                    running.xcoms.push((key, value));
                }
                if let Some(channel) = &mut running.channel {
                    channel.answer(id, Answer::Stored);
                }
            }
            Some(Ok(FromTask::SetXCom { id, key, value })) => {
                (self.tell)(self.claim, SlotNews::Asked { seq: id, question: Question::SetXCom { key, value } });
            }
            Some(Ok(FromTask::MaskSecret { id, value, name })) => {
                log.hide(secret::of_word(&self.settings.sensitive, name.as_deref(), &value));
                if let Some(channel) = &mut running.channel {
                    channel.answer(id, Answer::Stored);
                }
            }
            Some(Ok(FromTask::Ask { id, question })) => {
                (self.tell)(self.claim, SlotNews::Asked { seq: id, question });
            }
            Some(Ok(FromTask::GetVariable { id, key })) => self.ask(running, id, Wanted::Variable(key)),
            Some(Ok(FromTask::SetVariable { id, key, value, description })) => {
                log.hide(secret::of_variable(&self.settings.sensitive, &key, &value));
                let question = Question::SetVariable { key, value: Hidden(value), description };
                (self.tell)(self.claim, SlotNews::Asked { seq: id, question });
            }
            Some(Ok(FromTask::DeleteVariable { id, key })) => {
                (self.tell)(self.claim, SlotNews::Asked { seq: id, question: Question::DeleteVariable { key } });
            }
            Some(Ok(FromTask::GetAssetEvents { id, name, uri, limit })) => {
                let question = Question::GetAssetEvents { name, uri, limit };
                (self.tell)(self.claim, SlotNews::Asked { seq: id, question });
            }
            Some(Ok(FromTask::GetConnection { id, conn_id })) => self.ask(running, id, Wanted::Connection(conn_id)),
            Some(Ok(FromTask::GetNewestXCom { id, task_id, key, run_id, dag_id, prior_dates })) => {
                let question = Question::GetNewestXCom { task_id, key, run_id, dag_id, prior_dates };
                (self.tell)(self.claim, SlotNews::Asked { seq: id, question });
            }
            Some(Ok(FromTask::GetXCom { id, task_id, key, map_index, run_id, dag_id })) => {
                let question = Question::GetXCom { task_id, map_index, key, run_id, dag_id };
                (self.tell)(self.claim, SlotNews::Asked { seq: id, question });
            }
        }
    }

    fn ask(&self, running: &mut Running, id: u64, wanted: Wanted) {
        (self.tell)(self.claim, SlotNews::Asked { seq: id, question: question(&wanted) });
        running.asked.insert(id, wanted);
    }
}
