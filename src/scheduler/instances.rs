//! The task instances of one run: one of each task, or one for each element where a task is mapped.
//!
//! Whoever means instances walks [`Run::places`] or [`Run::instances`]; the tasks of the
//! DAG are definitions. Nothing here changes a state.

use crate::domain::graph::TaskIx;
use crate::domain::ids::{MapIndex, RunKey};
use crate::domain::skip::SkipDecision;
use crate::domain::state::TaskState;
use crate::domain::trigger::{UpstreamCounts, Verdict};
use crate::store::write::{AttemptRow, TaskRow};

use super::core::Run;
use super::progress::of_rule;
use super::runs::count;

/// A task instance, as the scheduler's memory names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskRef {
    pub run: RunKey,
    pub task: TaskIx,
    pub map: MapIndex,
}

/// One task instance.
#[derive(Debug)]
pub(super) struct Instance {
    pub row: TaskRow,
    /// How those upstreams stand that count for this instance alone: those of the same index in its mapped group.
    pub counts: Counts,
    /// What it said about those downstream, in its present try.
    pub decision: Option<Box<SkipDecision>>,
    /// How many direct upstreams that succeeded have left it out.
    pub skipped_by: u32,
    /// It could start, and waits for the run before.
    pub held: bool,
    /// The newest attempt.
    pub attempt: Option<AttemptRow>,
    /// Where it stands in its lane while it is scheduled.
    pub rank: Option<super::admit::Rank>,
}

/// How those stand that a task instance waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub upstreams: UpstreamCounts,
    /// The setups that it needs although they are not directly upstream.
    pub setups: UpstreamCounts,
}

impl Counts {
    fn plus(self, other: Self) -> Self {
        Self { upstreams: self.upstreams.plus(other.upstreams), setups: self.setups.plus(other.setups) }
    }
}

/// One task of a run.
#[derive(Debug)]
pub(super) struct Task {
    pub instances: Instances,
    /// How those upstreams stand that count for every instance alike.
    pub counts: Counts,
    /// Instances that wait to be decided: those in the state none.
    pub waiting: u32,
    /// Its own dates exclude this run: nobody waits for it.
    pub absent: bool,
}

/// All instances of one task in one run.
#[derive(Debug)]
pub(super) enum Instances {
    /// Map index -1: the task is not mapped, or not expanded yet.
    Unmapped(Box<Instance>),
    /// The instance at place n has the map index n.
    Mapped(Vec<Instance>),
}

impl Instances {
    pub fn all(&self) -> &[Instance] {
        match self {
            Self::Unmapped(one) => std::slice::from_ref(one),
            Self::Mapped(all) => all,
        }
    }

    pub fn all_mut(&mut self) -> &mut [Instance] {
        match self {
            Self::Unmapped(one) => std::slice::from_mut(one),
            Self::Mapped(all) => all,
        }
    }

    /// The first map index; the others follow it without a gap.
    fn first(&self) -> MapIndex {
        match self {
            Self::Unmapped(_) => MapIndex::UNMAPPED,
            Self::Mapped(_) => MapIndex(0),
        }
    }

    pub fn indexes(&self) -> impl ExactSizeIterator<Item = MapIndex> + use<> {
        let first = self.first().0;
        (0..self.all().len()).map(move |n| MapIndex(first + i32::try_from(n).expect("instances are far below 2^31")))
    }

    fn position(&self, map: MapIndex) -> Option<usize> {
        usize::try_from(i64::from(map.0) - i64::from(self.first().0)).ok()
    }

    pub fn get(&self, map: MapIndex) -> Option<&Instance> {
        self.all().get(self.position(map)?)
    }

    pub fn get_mut(&mut self, map: MapIndex) -> Option<&mut Instance> {
        let position = self.position(map)?;
        self.all_mut().get_mut(position)
    }
}

impl Task {
    /// What waits is counted by whoever counts the run.
    pub(super) fn new(instance: Instance) -> Self {
        let absent = instance.row.state == TaskState::Removed;
        let instances = Instances::Unmapped(Box::new(instance));
        Self { instances, counts: Counts::default(), waiting: 0, absent }
    }
}

impl Run {
    /// Where the instances of this run stand, task by task and by map index. None before it starts.
    pub(super) fn places(&self) -> impl Iterator<Item = TaskRef> {
        let tasks = self.dag.tasks().zip(&self.tasks);
        tasks.flat_map(|((ix, _), task)| self.places_in(ix, &task.instances))
    }

    /// Where the instances of one task stand.
    pub(super) fn places_of(&self, task: TaskIx) -> impl Iterator<Item = TaskRef> {
        self.tasks.get(task.usize()).into_iter().flat_map(move |known| self.places_in(task, &known.instances))
    }

    fn places_in(&self, task: TaskIx, instances: &Instances) -> impl ExactSizeIterator<Item = TaskRef> + use<> {
        let run = self.row.key;
        instances.indexes().map(move |map| TaskRef { run, task, map })
    }

    /// Every instance of this run with its place.
    pub(super) fn instances(&self) -> impl Iterator<Item = (TaskRef, &Instance)> {
        self.places().zip(self.tasks.iter().flat_map(|task| task.instances.all()))
    }

    pub(super) fn find(&self, at: TaskRef) -> Option<&Instance> {
        self.tasks.get(at.task.usize())?.instances.get(at.map)
    }

    pub(super) fn instance(&self, at: TaskRef) -> &Instance {
        self.find(at).expect("a task instance is named only while it is in memory")
    }

    pub(super) fn instance_mut(&mut self, at: TaskRef) -> &mut Instance {
        let instances = &mut self.task_mut(at.task).instances;
        instances.get_mut(at.map).expect("a task instance is named only while it is in memory")
    }

    pub(super) fn task(&self, ix: TaskIx) -> &Task {
        &self.tasks[ix.usize()]
    }

    pub(super) fn task_mut(&mut self, ix: TaskIx) -> &mut Task {
        &mut self.tasks[ix.usize()]
    }

    /// The instance that a task has before anything happens to it.
    pub(super) fn fresh(&self, ix: TaskIx, map: MapIndex) -> Instance {
        Instance {
            row: TaskRow::new(&self.row, &self.dag, ix, map),
            counts: Counts::default(),
            decision: None,
            skipped_by: 0,
            held: false,
            attempt: None,
            rank: None,
        }
    }

    /// Makes as many instances of a task as its rows tell of, and lets each take over its row.
    /// Gives back the rows that stand for no instance: of a task that was mapped before, or was not.
    pub(super) fn take_rows(
        &mut self,
        ix: TaskIx,
        rows: Vec<TaskRow>,
        mut take: impl FnMut(&mut Instance, TaskRow),
    ) -> Vec<TaskRow> {
        let is_mapped = self.dag.mapping.of_task(ix).is_some();
        let length = rows.iter().map(|row| row.map_index.0 + 1).max().filter(|_| is_mapped).unwrap_or(0);
        if length > 0 {
            let all = (0..length).map(|index| self.fresh(ix, MapIndex(index))).collect();
            self.task_mut(ix).instances = Instances::Mapped(all);
        }
        let mut left = Vec::new();
        for row in rows {
            match self.task_mut(ix).instances.get_mut(row.map_index) {
                Some(instance) => take(instance, row),
                None => left.push(row),
            }
        }
        left
    }

    /// Instance n of the one counts instance n of the other, and no other.
    pub(super) fn are_paired(&self, one: TaskIx, other: TaskIx) -> bool {
        let is_mapped = |ix: TaskIx| matches!(self.task(ix).instances, Instances::Mapped(_));
        self.dag.mapping.are_paired(one, other) && is_mapped(one) && is_mapped(other)
    }

    /// How the upstreams of an instance stand.
    pub(super) fn upstreams(&self, at: TaskRef) -> Counts {
        self.task(at.task).counts.plus(self.instance(at).counts)
    }

    /// The same, counted anew: for all instances alike, and for each.
    pub(super) fn counted(&self, ix: TaskIx) -> (Counts, Vec<Counts>) {
        let mut alike = Counts::default();
        let mut each = vec![Counts::default(); self.task(ix).instances.all().len()];
        let direct = self.dag.upstream(ix).iter().map(|up| (*up, false));
        let indirect = self.dag.setups().indirect(ix).iter().map(|up| (*up, true));
        // What was removed when the run began is not counted at all.
        for (up, is_indirect) in direct.chain(indirect).filter(|(up, _)| !self.task(*up).absent) {
            let (paired, is_setup) = (self.are_paired(up, ix), self.dag.task(up).role.is_setup());
            for (n, instance) in self.task(up).instances.all().iter().enumerate() {
                let counts = if paired { each.get_mut(n) } else { Some(&mut alike) };
                match counts {
                    Some(counts) if is_indirect => counts.setups.add(instance.row.state, false),
                    Some(counts) => counts.upstreams.add(instance.row.state, is_setup),
                    None => {}
                }
            }
        }
        (alike, each)
    }

    /// One upstream of `task` has moved: counts it, and names who may now be decided.
    pub(super) fn count_move(
        &mut self,
        up: TaskRef,
        task: TaskIx,
        undecided: &mut Vec<TaskRef>,
        moved: impl Fn(&mut Counts),
    ) {
        if self.are_paired(up.task, task) {
            if let Some(instance) = self.task_mut(task).instances.get_mut(up.map) {
                moved(&mut instance.counts);
                undecided.push(TaskRef { task, ..up });
            }
            return;
        }
        let (rule, anybody_is_held) = (self.dag.task(task).trigger_rule, self.held > 0);
        let next = self.task_mut(task);
        moved(&mut next.counts);
        // While what counts for all of them settles nothing, it settles nothing for any of them.
        if next.waiting > 0 && (anybody_is_held || of_rule(rule, &next.counts) != Verdict::Wait) {
            undecided.extend(self.places_of(task).filter(|at| self.instance(*at).row.state == TaskState::None));
        }
    }

    /// Counts how the upstreams of a task's instances stand, and what they have decided.
    pub(super) fn count_upstreams_of(&mut self, ix: TaskIx) {
        let (alike, each) = self.counted(ix);
        let upstream = self.dag.upstream(ix).iter().flat_map(|up| self.task(*up).instances.all());
        let is_decided = upstream.into_iter().any(|up| up.decision.is_some());
        let against: Vec<u32> = match is_decided {
            true => self.places_of(ix).map(|at| self.decisions_against(at)).collect(),
            false => vec![0; each.len()],
        };
        let task = self.task_mut(ix);
        task.counts = alike;
        for ((instance, counts), against) in task.instances.all_mut().iter_mut().zip(each).zip(against) {
            instance.counts = counts;
            instance.skipped_by = against;
        }
    }

    /// Counts everything that is counted, anew.
    pub(super) fn count_all(&mut self) {
        let tasks: Vec<TaskIx> = self.dag.tasks().map(|(ix, _)| ix).collect();
        for ix in tasks {
            self.count_upstreams_of(ix);
        }
        self.recount();
    }

    /// Counts the task instances' states anew.
    fn recount(&mut self) {
        for task in &mut self.tasks {
            let all = task.instances.all();
            task.waiting = count(all.iter().filter(|one| one.row.state == TaskState::None).count());
        }
        let states = || self.instances().map(|(_, task)| task.row.state);
        let leaves = self.instances().filter(|(at, _)| self.dag.decides_the_run(at.task));
        let attempts = self.instances().filter_map(|(_, task)| task.attempt.as_ref());
        let unfinished = count(states().filter(|state| !state.is_finished()).count());
        let moving = count(states().filter(|state| super::progress::is_moving(*state)).count());
        let failed_leaves = count(leaves.filter(|(_, task)| task.row.state.is_failed_like()).count());
        let open_attempts = count(attempts.filter(|attempt| !attempt.state.is_done()).count());
        (self.unfinished, self.moving) = (unfinished, moving);
        (self.failed_leaves, self.open_attempts) = (failed_leaves, open_attempts);
    }
}
