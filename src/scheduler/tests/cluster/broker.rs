//! A broker as RabbitMQ is: queues in order, one reader of `scheduler`, and what was not acknowledged comes back.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::ids::{QueueName, WorkerId};
use crate::protocol::letter::Marker;
use crate::protocol::work::{FromWorker, TaskMessage, ToWorker};

/// In the queue `scheduler`.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "markers are few beside what workers say")]
pub enum Letter {
    /// With the connection at which its writer waits for answers.
    Said {
        from: WorkerId,
        connection: u64,
        message: FromWorker,
    },
    Marker(Marker),
}

/// An answer on its way to one connection of one worker.
#[derive(Clone, Debug)]
pub struct Answer {
    pub to: WorkerId,
    pub connection: u64,
    pub message: ToWorker,
}

/// A task in its queue.
#[derive(Clone, Debug)]
pub struct Parcel {
    pub task: Box<TaskMessage>,
    pub redelivered: bool,
}

/// The leader that reads `scheduler`, with what it has not acknowledged.
#[derive(Debug)]
struct Reader {
    leader: u32,
    unacknowledged: VecDeque<Letter>,
}

#[derive(Debug, Default)]
pub struct Broker {
    scheduler: VecDeque<Letter>,
    reader: Option<Reader>,
    /// They get nothing until the reader's channel is closed (L4).
    behind: VecDeque<u32>,
    pub tasks: BTreeMap<QueueName, VecDeque<Parcel>>,
    pub answers: Vec<Answer>,
}

impl Broker {
    pub fn publish(&mut self, letter: Letter) {
        self.scheduler.push_back(letter);
    }

    pub fn subscribe(&mut self, leader: u32) {
        match self.reader {
            Some(_) => self.behind.push_back(leader),
            None => self.reader = Some(Reader { leader, unacknowledged: VecDeque::new() }),
        }
    }

    /// What it had taken stands at the front again, in its old order.
    pub fn close_channel(&mut self, leader: u32) {
        self.behind.retain(|waiting| *waiting != leader);
        if self.reader.as_ref().is_none_or(|reader| reader.leader != leader) {
            return;
        }
        let gone = self.reader.take().expect("checked a line above");
        for letter in gone.unacknowledged.into_iter().rev() {
            self.scheduler.push_front(letter);
        }
        if let Some(next) = self.behind.pop_front() {
            self.subscribe(next);
        }
    }

    pub fn has_channel(&self, leader: u32) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.leader == leader) || self.behind.contains(&leader)
    }

    pub fn read(&mut self, leader: u32) -> Option<Letter> {
        let reader = self.reader.as_mut().filter(|reader| reader.leader == leader)?;
        let letter = self.scheduler.pop_front()?;
        reader.unacknowledged.push_back(letter.clone());
        Some(letter)
    }

    /// An acknowledgement counts only on the channel that delivered.
    pub fn acknowledge(&mut self, leader: u32, letters: usize) {
        if let Some(reader) = self.reader.as_mut().filter(|reader| reader.leader == leader) {
            reader.unacknowledged.drain(..letters.min(reader.unacknowledged.len()));
        }
    }

    pub fn give_back(&mut self, task: Box<TaskMessage>) {
        let queue = self.tasks.entry(task.queue.clone()).or_default();
        queue.push_front(Parcel { task, redelivered: true });
    }
}
