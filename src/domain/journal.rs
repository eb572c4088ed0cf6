//! What held a task instance, from when to when: a bounded memory of its waits.
//!
//! It is written with the row of the task instance, never by itself, so it must
//! stay small: short waits are left out, equal neighbours are one, and of too
//! many the longest remain.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::{PoolName, QueueName, TaskId};
use super::time::{Time, until};

/// A wait below this is the machinery's own pace, and no reason of anything.
pub const SHORTEST: Duration = Duration::from_millis(5);
/// As many waits are kept of one task instance.
pub const MOST: usize = 12;

/// What holds a task instance back for a while.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "held_by", rename_all = "snake_case")]
pub enum Held {
    /// Its run waited for its own start: `max_active_runs`, or a paused DAG.
    RunQueued,
    /// The upstream task that ended last.
    Upstream {
        task: TaskId,
    },
    DagPaused,
    /// `max_active_tasks` of its DAG or run.
    MaxActiveTasks,
    /// `max_active_tis_per_dag`.
    MaxActiveTis,
    Pool {
        pool: PoolName,
    },
    /// Nobody took work from its task queue, or enough of it lay there unclaimed.
    Queue {
        queue: QueueName,
    },
    Parallelism,
    NoFreeSlot,
    NoWorker,
    /// The scheduler was leaving.
    Leaving,
    /// `retry_delay`.
    Retry,
    /// A sensor between two looks.
    Rescheduled,
    /// What it waits for was watched without a process.
    Deferred,
    /// It had its places, and no slot had started it yet.
    Unclaimed,
}

impl Held {
    /// One clause: what held it.
    pub fn sentence(&self) -> String {
        match self {
            Self::RunQueued => "the run waited for its start".to_owned(),
            Self::Upstream { task } => format!("upstream `{task}` was the last to end"),
            Self::DagPaused => "the DAG was paused".to_owned(),
            Self::MaxActiveTasks => "max_active_tasks of the DAG was reached".to_owned(),
            Self::MaxActiveTis => "max_active_tis_per_dag of the task was reached".to_owned(),
            Self::Pool { pool } => format!("pool `{pool}` had too few free slots"),
            Self::Queue { queue } => format!("no worker had room for more from queue `{queue}`"),
            Self::Parallelism => "[core] parallelism was reached".to_owned(),
            Self::NoFreeSlot => "no worker had a free slot".to_owned(),
            Self::NoWorker => "no worker was online".to_owned(),
            Self::Leaving => "the node was leaving".to_owned(),
            Self::Retry => "waited for the retry".to_owned(),
            Self::Rescheduled => "what it senses had not come yet (up_for_reschedule)".to_owned(),
            Self::Deferred => "what it waits for had not come yet (deferred)".to_owned(),
            Self::Unclaimed => "waited for a slot to start it".to_owned(),
        }
    }

    /// The same as a name under which waits are summed up.
    pub fn name(&self) -> String {
        match self {
            Self::RunQueued => "run queued".to_owned(),
            Self::Upstream { .. } => "upstream".to_owned(),
            Self::DagPaused => "DAG paused".to_owned(),
            Self::MaxActiveTasks => "max_active_tasks".to_owned(),
            Self::MaxActiveTis => "max_active_tis_per_dag".to_owned(),
            Self::Pool { pool } => format!("pool {pool}"),
            Self::Queue { queue } => format!("queue {queue}"),
            Self::Parallelism => "parallelism".to_owned(),
            Self::NoFreeSlot => "no free slot".to_owned(),
            Self::NoWorker => "no worker".to_owned(),
            Self::Leaving => "node leaving".to_owned(),
            Self::Retry => "retry delay".to_owned(),
            Self::Rescheduled => "up for reschedule".to_owned(),
            Self::Deferred => "deferred".to_owned(),
            Self::Unclaimed => "unclaimed".to_owned(),
        }
    }
}

/// One wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    pub from: Time,
    pub to: Time,
    #[serde(flatten)]
    pub held: Held,
}

impl Stretch {
    pub fn length(&self) -> Duration {
        until(self.from, self.to)
    }
}

/// The waits of one task instance, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Journal(Vec<Stretch>);

impl Journal {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn stretches(&self) -> &[Stretch] {
        &self.0
    }

    /// Adds a wait that came after all others.
    pub fn push(&mut self, stretch: Stretch) {
        if let Some(last) = self.0.last_mut()
            && last.held == stretch.held
            && until(last.to, stretch.from) < SHORTEST
        {
            last.to = last.to.max(stretch.to);
            return;
        }
        if stretch.length() < SHORTEST {
            return;
        }
        self.0.push(stretch);
        if self.0.len() > MOST {
            let shortest = (0..self.0.len()).min_by_key(|at| self.0[*at].length());
            self.0.remove(shortest.expect("there are more than the most, so there is one"));
        }
    }

    pub fn extend(&mut self, stretches: impl IntoIterator<Item = Stretch>) {
        for stretch in stretches {
            self.push(stretch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Time {
        chrono::DateTime::from_timestamp_millis(ms).expect("an instant")
    }

    fn wait(from: i64, to: i64, held: Held) -> Stretch {
        Stretch { from: at(from), to: at(to), held }
    }

    #[test]
    fn equal_neighbours_are_one_and_what_is_short_is_left_out() {
        let mut journal = Journal::default();
        journal.push(wait(0, 100, Held::Parallelism));
        journal.push(wait(100, 102, Held::Retry));
        journal.push(wait(102, 300, Held::Parallelism));
        journal.push(wait(900, 990, Held::Parallelism));
        assert_eq!(journal.stretches(), [wait(0, 300, Held::Parallelism), wait(900, 990, Held::Parallelism)]);
    }

    #[test]
    fn of_too_many_the_longest_remain_and_the_text_stays_small() {
        let mut journal = Journal::default();
        for n in 0..1_000 {
            let held = if n % 2 == 0 { Held::Retry } else { Held::Parallelism };
            journal.push(wait(n * 1_000, n * 1_000 + 10 + n % 100, held));
        }
        assert_eq!(journal.stretches().len(), MOST);
        assert!(journal.stretches().iter().all(|stretch| stretch.length() >= Duration::from_millis(104)));
        let text = serde_json::to_string(&journal).expect("JSON");
        assert!(text.len() < 1_500, "{}", text.len());
        assert_eq!(serde_json::from_str::<Journal>(&text).expect("a journal"), journal);
    }
}
