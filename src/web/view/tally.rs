//! How several task instances stand together: those of a mapped task, or of all tasks of a group.

use std::collections::BTreeMap;

use crate::domain::state::TaskState;
use crate::domain::time::Time;

/// Counts by state, and from when to when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    counts: BTreeMap<TaskState, u32>,
    pub started_at: Option<Time>,
    /// The latest end, as far as any has ended.
    pub ended_at: Option<Time>,
    /// The highest try; 0 before the first.
    pub try_number: i32,
}

impl Tally {
    pub fn one(state: TaskState) -> Self {
        Self { counts: BTreeMap::from([(state, 1)]), ..Self::default() }
    }

    pub fn add(&mut self, state: TaskState, count: u32) {
        *self.counts.entry(state).or_default() += count;
    }

    pub fn join(&mut self, other: &Self) {
        for (state, count) in &other.counts {
            self.add(*state, *count);
        }
        self.started_at = [self.started_at, other.started_at].into_iter().flatten().min();
        self.ended_at = [self.ended_at, other.ended_at].into_iter().flatten().max();
        self.try_number = self.try_number.max(other.try_number);
    }

    pub fn total(&self) -> u32 {
        self.counts.values().sum()
    }

    pub fn finished(&self) -> u32 {
        self.counts.iter().filter(|(state, _)| state.is_finished()).map(|(_, count)| count).sum()
    }

    /// The state that somebody should know first; `None` where there is nothing to know of.
    pub fn worst(&self) -> Option<TaskState> {
        self.counts.keys().copied().max_by_key(|state| urgency(*state))
    }

    /// The states that are there, the most urgent first.
    pub fn parts(&self) -> Vec<(TaskState, u32)> {
        let mut parts: Vec<(TaskState, u32)> = self.counts.iter().map(|(state, count)| (*state, *count)).collect();
        parts.sort_by_key(|(state, _)| std::cmp::Reverse(urgency(*state)));
        parts
    }

    /// `3 success, 1 failed`
    pub fn words(&self) -> String {
        let words = self.parts().into_iter().map(|(state, count)| format!("{count} {}", word(state)));
        words.collect::<Vec<_>>().join(", ")
    }

    /// How long it has taken, up to now where it goes on.
    pub fn length(&self, now: Time) -> Option<std::time::Duration> {
        let goes_on = self.counts.keys().any(|state| state.occupies_slots());
        let end = if goes_on { Some(now) } else { self.ended_at };
        self.started_at.zip(end).map(|(from, to)| crate::domain::time::until(from, to))
    }
}

/// What people call a state: the one that Airflow does not name waits.
pub fn word(state: TaskState) -> &'static str {
    match state {
        TaskState::None => "waiting",
        TaskState::Scheduled
        | TaskState::Queued
        | TaskState::Running
        | TaskState::Success
        | TaskState::Failed
        | TaskState::Skipped
        | TaskState::UpstreamFailed
        | TaskState::UpForRetry
        | TaskState::UpForReschedule
        | TaskState::Deferred
        | TaskState::Restarting
        | TaskState::Removed
        | TaskState::AwaitingInput => state.as_str(),
    }
}

/// Which of two states is shown where only one can be.
fn urgency(state: TaskState) -> u8 {
    match state {
        TaskState::Failed => 13,
        TaskState::UpstreamFailed => 12,
        TaskState::AwaitingInput => 11,
        TaskState::UpForRetry => 10,
        TaskState::Restarting => 9,
        TaskState::Running => 8,
        TaskState::UpForReschedule => 7,
        TaskState::Deferred => 6,
        TaskState::Queued => 5,
        TaskState::Scheduled => 4,
        TaskState::None => 3,
        TaskState::Success => 2,
        TaskState::Skipped => 1,
        TaskState::Removed => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_should_know_first_stands_for_all() {
        let mut tally = Tally::default();
        assert_eq!(tally.worst(), None);
        tally.add(TaskState::Success, 12);
        tally.add(TaskState::Skipped, 1);
        assert_eq!(tally.worst(), Some(TaskState::Success), "a skipped instance is no news");
        tally.add(TaskState::Running, 3);
        tally.add(TaskState::Failed, 1);
        assert_eq!((tally.worst(), tally.total(), tally.finished()), (Some(TaskState::Failed), 17, 14));
        assert_eq!(tally.words(), "1 failed, 3 running, 12 success, 1 skipped");
    }
}
