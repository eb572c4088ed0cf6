//! The runs of one DAG in the order of their logical dates, as far as memory needs them
//! for tasks that wait for the run before (SCHEDULING §3).
//!
//! ```text
//!   store: 1 2 3 4 5 6 7 8 9        here: 7(over) 8 9
//!                                    9 is joined to 8, 8 to 7; before 7 only the store knows
//! ```
//!
//! Kept are the runs in memory, the ones just before them, and the newest. Where it is not
//! certain that no run of the store lies between two of these, the store is asked once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::ids::{RunKey, TaskId};
use crate::domain::past::Stand;
use crate::domain::state::TaskState;
use crate::domain::time::Time;
use crate::store::write::TaskRow;

/// A run's place: its logical date, and its key.
pub(super) type Place = (Time, RunKey);

/// What the store knows of the runs before one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnownPast {
    pub previous: Option<PreviousRun>,
    /// What was asked about: whether a manual run may be the run before.
    pub manual_runs_count: bool,
    /// No run that counts has a later logical date.
    pub is_newest: bool,
    /// Of the tasks that were asked about, those that an earlier run has.
    pub seen: BTreeSet<TaskId>,
}

/// The run before, as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviousRun {
    pub key: RunKey,
    pub logical_date: Time,
    pub stands: Stands,
}

/// How the tasks of a run stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stands(HashMap<TaskId, Stand>);

impl Stands {
    pub fn of_rows<'a>(rows: impl IntoIterator<Item = &'a TaskRow>) -> Self {
        let mut stands: HashMap<TaskId, Stand> = HashMap::new();
        for row in rows {
            let stand = stands.entry(row.task_id.clone()).or_insert(Stand::Absent);
            *stand = joined(*stand, stand_of(row));
        }
        Self(stands)
    }

    pub fn of(&self, task: &TaskId) -> Stand {
        self.0.get(task).copied().unwrap_or(Stand::Absent)
    }
}

/// One task instance alone. What was left out because of its dates was never there.
pub(super) fn stand_of(row: &TaskRow) -> Stand {
    match row.state {
        TaskState::Success | TaskState::Skipped => Stand::Succeeded,
        TaskState::Removed if row.try_number.0 == 0 => Stand::Absent,
        TaskState::None
        | TaskState::Scheduled
        | TaskState::Queued
        | TaskState::Running
        | TaskState::Failed
        | TaskState::UpstreamFailed
        | TaskState::UpForRetry
        | TaskState::UpForReschedule
        | TaskState::Deferred
        | TaskState::Restarting
        | TaskState::Removed
        | TaskState::AwaitingInput => Stand::Unsuccessful,
    }
}

/// All instances of a task stand as the worst of them.
pub(super) fn joined(one: Stand, other: Stand) -> Stand {
    match (one, other) {
        (Stand::Unsuccessful, _) | (_, Stand::Unsuccessful) => Stand::Unsuccessful,
        (Stand::Succeeded, _) | (_, Stand::Succeeded) => Stand::Succeeded,
        (Stand::Absent, Stand::Absent) => Stand::Absent,
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    entries: BTreeMap<Place, Entry>,
    /// No run of the store that counts lies after the last one here.
    tail_known: bool,
}

#[derive(Debug)]
struct Entry {
    /// Whether others may have it as their run before; with catchup a manual run is nobody's.
    counts: bool,
    /// No run of the store that counts lies between this one and the one before it here.
    joined: bool,
    /// The store was asked, and has not answered yet.
    asked: bool,
    /// Which tasks an earlier run has, of those that want to know.
    seen: Option<BTreeSet<TaskId>>,
    /// How it ended, once it has left memory.
    over: Option<Stands>,
}

/// The run before a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Only the store can tell.
    Unknown,
    Nothing,
    Run(Place),
}

impl Timeline {
    /// Of a DAG that has had no run yet everything is known.
    pub fn of_new_dag() -> Self {
        Self { entries: BTreeMap::new(), tail_known: true }
    }

    /// A run is in memory from now on.
    pub fn enter(&mut self, place: Place, counts: bool) {
        if let Some(known) = self.entries.get_mut(&place) {
            (known.counts, known.over) = (counts, None);
            return;
        }
        let joined = self.entries.range(place..).next().map_or(self.tail_known, |(_, next)| next.joined);
        let entry = Entry { counts, joined, asked: false, seen: None, over: None };
        self.entries.insert(place, entry);
    }

    pub fn before(&self, place: Place) -> Before {
        if !self.entries.get(&place).is_some_and(|entry| entry.joined) {
            return Before::Unknown;
        }
        match self.entries.range(..place).rev().find(|(_, entry)| entry.counts) {
            Some((place, _)) => Before::Run(*place),
            None => Before::Nothing,
        }
    }

    /// How a run stood when it left memory.
    pub fn over(&self, place: Place) -> Option<&Stands> {
        self.entries.get(&place)?.over.as_ref()
    }

    /// Whether an earlier run has the task, if that is known.
    pub fn has_seen(&self, place: Place, task: &TaskId) -> Option<bool> {
        Some(self.entries.get(&place)?.seen.as_ref()?.contains(task))
    }

    /// The runs whose run before this one may be: up to the next one that counts.
    pub fn after(&self, place: Place) -> Vec<Place> {
        if !self.entries.get(&place).is_some_and(|entry| entry.counts) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (next, entry) in self.entries.range((std::ops::Bound::Excluded(place), std::ops::Bound::Unbounded)) {
            found.push(*next);
            if entry.counts {
                break;
            }
        }
        found
    }

    /// True the first time: the store is asked once.
    pub fn ask(&mut self, place: Place) -> bool {
        self.entries.get_mut(&place).is_some_and(|entry| !std::mem::replace(&mut entry.asked, true))
    }

    /// The store's answer about the runs before `place`. What memory has is newer.
    /// `is_open` tells who is in memory.
    pub fn learn(&mut self, place: Place, past: KnownPast, is_open: impl Fn(RunKey) -> bool) {
        let Some(entry) = self.entries.get_mut(&place) else { return };
        (entry.asked, entry.seen) = (false, Some(past.seen));
        let nearest = self.entries.range(..place).rev().find(|(_, entry)| entry.counts).map(|(at, _)| *at);
        let previous = past.previous.map(|previous| ((previous.logical_date, previous.key), previous));
        let from = match previous {
            // Memory has it, or one that came after it.
            Some((at, _)) if nearest.is_some_and(|nearest| nearest >= at) => nearest,
            None => nearest,
            Some((at, previous)) => {
                let entry =
                    Entry { counts: true, joined: false, asked: false, seen: None, over: Some(previous.stands) };
                self.entries.insert(at, entry);
                // What was taken for the run before is not, and may be needed no more.
                if let Some(nearest) = nearest.filter(|nearest| !self.is_needed(*nearest, &is_open)) {
                    self.drop_entry(nearest);
                }
                Some(at)
            }
        };
        for (at, entry) in &mut self.entries {
            let is_between = from.is_none_or(|from| *at > from) && *at <= place;
            entry.joined |= is_between || (past.is_newest && *at > place);
        }
        self.tail_known |= past.is_newest;
    }

    /// A run has left memory; those that nobody needs any more go. `is_open` tells who is in memory.
    pub fn leave(&mut self, place: Place, stands: Stands, is_open: impl Fn(RunKey) -> bool) {
        let Some(entry) = self.entries.get_mut(&place) else { return };
        entry.over = Some(stands);
        let before = self.entries.range(..place).rev().find(|(_, entry)| entry.counts).map(|(at, _)| *at);
        for at in [Some(place), before].into_iter().flatten() {
            if !self.is_needed(at, &is_open) {
                self.drop_entry(at);
            }
        }
    }

    fn is_needed(&self, place: Place, is_open: impl Fn(RunKey) -> bool) -> bool {
        if is_open(place.1) {
            return true;
        }
        let after = self.after(place);
        let is_newest = !after.iter().any(|at| self.entries[at].counts);
        self.entries[&place].counts && (is_newest || after.iter().any(|at| is_open(at.1)))
    }

    fn drop_entry(&mut self, place: Place) {
        let after = self.after(place);
        self.entries.remove(&place);
        for at in after {
            if let Some(entry) = self.entries.get_mut(&at) {
                entry.joined = false;
            }
        }
    }

    /// How many runs that have left memory are remembered.
    pub fn remembered(&self) -> usize {
        self.entries.values().filter(|entry| entry.over.is_some()).count()
    }
}
