//! Mapped tasks become instances: when, how many, and what happens where the number changes (SCHEDULING §12).
//!
//! ```text
//!   sources end ──► measured ──► n > 0: index -1 becomes 0, the others are added
//!                      │          n = 0: index -1 is skipped
//!                      └── a source failed, was skipped, or left nothing: index -1 is decided so
//!   run again after a clear ──► measured anew: what is too much is removed, what is missing added
//! ```
//!
//! A measure is kept until one of its sources moves, so an instance that becomes ready costs nothing
//! of the others. The values themselves never come here, only their lengths.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::expand::{Mapped, length_of};
use crate::domain::graph::TaskIx;
use crate::domain::ids::{MapIndex, RunKey, TaskId};
use crate::domain::mapping::ExpansionIx;
use crate::domain::state::{Decision, RunState, TaskEvent, TaskState};
use crate::domain::time::Time;
use crate::domain::trigger::TriggerRule;
use crate::protocol::work::Report;
use crate::store::write::Write;

use super::TaskRef;
use super::core::{Core, Run};
use super::instances::{Instance, Instances};
use super::runs::count;

/// More instances of one task are a mistake in the DAG, not work.
const MOST_INSTANCES: u32 = 1_000_000;

/// How long an expansion is, and the values that it was measured by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measure {
    pub length: u32,
    values: BTreeMap<(TaskId, String), u32>,
    /// No source has moved since.
    stands: bool,
    /// The instances are as many as it says.
    applied: bool,
}

/// What the sources of an expansion say.
enum Measured {
    /// Some are not finished.
    Waits,
    /// There will be no values: what becomes of the task, and why.
    Lacks(Decision, String),
    Is(Measure),
}

impl Core {
    /// Measures that a task's values took part in no longer stand.
    pub(super) fn source_moved(&mut self, at: TaskRef) {
        let run = self.run_mut(at.run);
        let dag = run.dag.clone();
        for &ix in dag.mapping.fed_by(at.task) {
            if let Some(measure) = &mut run.measured[ix.usize()] {
                measure.stands = false;
            }
        }
        self.work.expansions.extend(dag.mapping.fed_by(at.task).iter().map(|ix| (at.run, *ix)));
    }

    /// The sources of an expansion have moved, or it is looked at for the first time.
    pub(super) fn look_at_expansion(&mut self, now: Time, key: RunKey, ix: ExpansionIx) {
        let Some(run) = self.runs.get(&key).filter(|run| run.row.state == RunState::Running) else { return };
        let dag = run.dag.clone();
        let expansion = dag.mapping.expansion(ix);
        let unexpanded: Vec<TaskRef> = run.unexpanded(&expansion.members).collect();
        match self.measure(key, ix) {
            Measured::Waits => return,
            Measured::Lacks(decision, why) => {
                for at in unexpanded {
                    self.settle_undone(now, at, decision, Some(why.clone()));
                }
            }
            // What depends on no task is expanded as its run begins; a group is, as soon as it can be.
            Measured::Is(measure) => {
                let at_once = expansion.group.is_some() || expansion.sources.is_empty();
                if at_once && measure.length > 0 && !unexpanded.is_empty() {
                    self.resize(key, ix, measure.length);
                }
            }
        }
        let run = self.run(key);
        let places = expansion.members.iter().flat_map(|task| run.places_of(*task));
        let waiting = places.filter(|at| run.instance(*at).row.state == TaskState::None);
        self.work.undecided.extend(waiting.collect::<Vec<_>>());
    }

    /// The rule of a mapped task is met: it is expanded, or its instance runs.
    pub(super) fn expand_or_make_ready(&mut self, now: Time, at: TaskRef, ix: ExpansionIx) {
        match self.measure(at.run, ix) {
            Measured::Waits => self.release(at),
            Measured::Lacks(decision, why) => self.settle_undone(now, at, decision, Some(why)),
            Measured::Is(measure) if at.map == MapIndex::UNMAPPED && measure.length == 0 => {
                let why = "there is nothing to expand it over: the length is 0".to_owned();
                self.settle_undone(now, at, Decision::Skipped, Some(why));
            }
            Measured::Is(measure) => {
                if !measure.applied || at.map == MapIndex::UNMAPPED {
                    self.resize(at.run, ix, measure.length);
                }
                let waits = self.run(at.run).find(at).is_some_and(|one| one.row.state == TaskState::None);
                let only = self.run(at.run).dag.task(at.task).only_instance;
                match only.filter(|only| *only != at.map) {
                    Some(only) if waits => {
                        let why = format!("only instance {only} is tried");
                        self.settle_undone(now, at, Decision::Skipped, Some(why));
                    }
                    None if waits => self.make_ready(now, at),
                    Some(_) | None => {}
                }
            }
        }
    }

    /// Fast rules of a mapped group wait with a decision until each instance can be asked.
    pub(super) fn is_too_early(&self, at: TaskRef, rule: TriggerRule) -> bool {
        let mapping = &self.run(at.run).dag.mapping;
        let in_group = mapping.of_task(at.task).is_some_and(|ix| mapping.expansion(ix).group.is_some());
        at.map == MapIndex::UNMAPPED && in_group && rule.is_fast()
    }

    fn measure(&mut self, key: RunKey, ix: ExpansionIx) -> Measured {
        let run = self.run_mut(key);
        if let Some(measure) = run.measured[ix.usize()].as_ref().filter(|measure| measure.stands) {
            return Measured::Is(measure.clone());
        }
        let measured = run.measure(ix);
        if let Measured::Is(measure) = &measured {
            run.measured[ix.usize()] = Some(measure.clone());
        }
        measured
    }

    /// Makes every task of an expansion have `length` instances.
    fn resize(&mut self, key: RunKey, ix: ExpansionIx, length: u32) {
        let dag = self.run(key).dag.clone();
        let members = &dag.mapping.expansion(ix).members;
        for &task in members {
            match &self.run(key).task(task).instances {
                Instances::Unmapped(one) if one.row.state == TaskState::None => self.expand(key, task, length),
                // It was decided before it could be expanded.
                Instances::Unmapped(_) => {}
                Instances::Mapped(_) => self.lengthen_or_shorten(key, task, length),
            }
        }
        let run = self.run_mut(key);
        let needed_by = |task: &TaskIx| dag.setups().needed_by(*task).iter();
        let after = members.iter().flat_map(|task| dag.downstream(*task).iter().chain(needed_by(task)));
        let touched: BTreeSet<TaskIx> = members.iter().chain(after).copied().collect();
        for &task in &touched {
            run.count_upstreams_of(task);
        }
        if let Some(measure) = &mut run.measured[ix.usize()] {
            measure.applied = true;
        }
        let waiting = touched.iter().flat_map(|task| run.places_of(*task));
        let waiting: Vec<TaskRef> = waiting.filter(|at| run.instance(*at).row.state == TaskState::None).collect();
        self.work.undecided.extend(waiting);
        // Whoever is expanded over these counts them anew.
        for &task in members {
            self.source_moved(TaskRef { run: key, task, map: MapIndex(0) });
        }
    }

    /// Index -1 becomes 0, and the others are added.
    fn expand(&mut self, key: RunKey, task: TaskIx, length: u32) {
        let summary = TaskRef { run: key, task, map: MapIndex::UNMAPPED };
        self.release(summary);
        self.work.dirty_tasks.remove(&summary);
        self.work.dirty_attempts.remove(&summary);
        let run = self.run_mut(key);
        let Instances::Unmapped(first) = &mut run.task_mut(task).instances else { return };
        first.row.map_index = MapIndex(0);
        let before = first.attempt.take();
        let row = first.row.clone();
        let fresh = run.fresh(task, MapIndex(0));
        run.task_mut(task).instances = Instances::Mapped(vec![Instance { row: row.clone(), ..fresh }]);
        if let Some(before) = before {
            self.attempts.remove(&before.id);
        }
        self.work.dirty_tasks.insert(TaskRef { map: MapIndex(0), ..summary });
        self.write(Write::DropTask { run: key, task: row.task_id.clone(), map_index: MapIndex::UNMAPPED });
        if row.try_number.0 > 0 {
            self.write(Write::ClearXComs { run: key, task: row.task_id, map_index: MapIndex::UNMAPPED });
        }
        self.lengthen(key, task, length);
    }

    fn lengthen_or_shorten(&mut self, key: RunKey, task: TaskIx, length: u32) {
        let run = self.run(key);
        let is_inside = |at: &TaskRef| u32::try_from(at.map.0).is_ok_and(|index| index < length);
        let (inside, beyond): (Vec<TaskRef>, Vec<TaskRef>) = run.places_of(task).partition(is_inside);
        for at in beyond {
            // What runs ends by itself; nobody waits for what was decided long ago.
            let state = self.instance(at).row.state;
            if state.occupies_slots() || !self.move_task(at, TaskEvent::Decided(Decision::Removed)) {
                continue;
            }
            let row = &mut self.instance_mut(at).row;
            row.xcom_lengths.clear();
            let (run, task, map_index) = (row.run, row.task_id.clone(), row.map_index);
            self.write(Write::ClearXComs { run, task, map_index });
        }
        for at in inside {
            if self.instance(at).row.state == TaskState::Removed && !self.run(key).task(task).absent {
                self.move_task(at, TaskEvent::Restored);
            }
        }
        self.lengthen(key, task, length);
    }

    fn lengthen(&mut self, key: RunKey, task: TaskIx, length: u32) {
        let run = self.run_mut(key);
        let known = count(run.task(task).instances.all().len());
        let index = |n: u32| MapIndex(i32::try_from(n).expect("instances are far below 2^31"));
        let fresh: Vec<Instance> = (known..length).map(|n| run.fresh(task, index(n))).collect();
        let added = count(fresh.iter().filter(|one| one.row.state == TaskState::None).count());
        run.unfinished += added;
        run.task_mut(task).waiting += added;
        if let Instances::Mapped(all) = &mut run.task_mut(task).instances {
            all.extend(fresh);
        }
        let places = (known..length).map(|n| TaskRef { run: key, task, map: index(n) });
        self.work.dirty_tasks.extend(places);
    }

    /// What makes this instance differ from the others of its task.
    pub(super) fn mapped(&mut self, at: TaskRef) -> Option<Mapped> {
        let index = u32::try_from(at.map.0).ok()?;
        let dag = self.run(at.run).dag.clone();
        let ix = dag.mapping.of_task(at.task)?;
        // Also where a source is being run again: what it left last still counts for what is under way.
        let measure = match self.measure(at.run, ix) {
            Measured::Is(measure) => Some(measure),
            Measured::Waits | Measured::Lacks(..) => self.run(at.run).measured[ix.usize()].clone(),
        };
        let expansion = dag.mapping.expansion(ix);
        let pieces = measure.as_ref().and_then(|measure| {
            let length = |task: &TaskId, key: &str| measure.values.get(&(task.clone(), key.to_owned())).copied();
            expansion.expand.pick(index, &|task, key| length(task, key).unwrap_or(0))
        });
        let count = measure.map_or(0, |measure| measure.length);
        Some(Mapped { count, of_group: expansion.group.is_some(), pieces })
    }

    /// Remembers how long a value is, where somebody is or may be expanded over it.
    pub(super) fn note_length(&mut self, at: TaskRef, key: &str, value: &serde_json::Value) {
        let length = length_of(value);
        let is_wanted = self.run(at.run).dag.mapping.keys_of(at.task).any(|(wanted, _)| wanted == key);
        let row = &mut self.instance_mut(at).row;
        // Another version of the DAG may want the result.
        if is_wanted || (length.is_some() && key == "return_value") {
            row.xcom_lengths.insert(key.to_owned(), length);
        } else {
            row.xcom_lengths.remove(key);
        }
        self.work.dirty_tasks.insert(at);
    }

    /// Why what a task left cannot be expanded over, where somebody is.
    pub(super) fn unmappable(&self, at: TaskRef, report: &Report) -> Option<String> {
        let run = self.run(at.run);
        // What instances leave are elements, not lists of them.
        if at.map != MapIndex::UNMAPPED {
            return None;
        }
        let left = &run.instance(at).row.xcom_lengths;
        let most = self.settings.max_map_length;
        run.dag.mapping.keys_of(at.task).find_map(|(key, who)| {
            let reported = report.xcoms.iter().rfind(|(name, _)| name == key).map(|(_, value)| length_of(value));
            match reported.or_else(|| left.get(key).copied()) {
                None => Some(format!("it left no XCom `{key}`, but `{who}` is expanded over it: return a list or a dict")),
                Some(None) => Some(format!("its XCom `{key}` is neither a list nor a dict, but `{who}` is expanded over it")),
                Some(Some(length)) if length > most => Some(format!(
                    "its XCom `{key}` has {length} elements, and `{who}` is expanded over it; [core] max_map_length allows {most}"
                )),
                Some(Some(_)) => None,
            }
        })
    }
}

impl Run {
    /// The members that stand for all their instances still.
    fn unexpanded<'a>(&'a self, members: &'a [TaskIx]) -> impl Iterator<Item = TaskRef> + 'a {
        let places = members.iter().flat_map(|task| self.places_of(*task));
        places.filter(|at| at.map == MapIndex::UNMAPPED && self.instance(*at).row.state == TaskState::None)
    }

    /// Asks every source of an expansion.
    fn measure(&self, ix: ExpansionIx) -> Measured {
        let expansion = self.dag.mapping.expansion(ix);
        let (mut waits, mut skipped) = (false, None);
        for &source in &expansion.sources {
            match self.source(source) {
                Some(TaskState::Success) => {}
                None => waits = true,
                Some(TaskState::Skipped) => skipped = Some(source),
                Some(_) => {
                    let why = format!("`{}`, over whose values it is expanded, did not succeed", self.name(source));
                    return Measured::Lacks(Decision::UpstreamFailed, why);
                }
            }
        }
        if let Some(source) = skipped {
            let why = format!("`{}`, over whose values it is expanded, was skipped", self.name(source));
            return Measured::Lacks(Decision::Skipped, why);
        }
        if waits {
            return Measured::Waits;
        }
        let mut values = BTreeMap::new();
        for (task, key) in expansion.expand.wants() {
            let Some(length) = self.dag.find(task).and_then(|source| self.left(source, key)) else {
                let why = format!("`{task}` left no list or dict under `{key}` to expand it over");
                return Measured::Lacks(Decision::UpstreamFailed, why);
            };
            values.insert((task.clone(), key.to_owned()), length);
        }
        let length = expansion.expand.length(&|task, key| values[&(task.clone(), key.to_owned())]);
        match length.filter(|length| *length <= MOST_INSTANCES) {
            Some(length) => Measured::Is(Measure { length, values, stands: true, applied: false }),
            None => {
                let why = format!("it would have more than {MOST_INSTANCES} instances");
                Measured::Lacks(Decision::UpstreamFailed, why)
            }
        }
    }

    /// How a source ended; `None` while it goes on. Of instances, some always have left something, or nothing has to.
    fn source(&self, task: TaskIx) -> Option<TaskState> {
        match &self.task(task).instances {
            Instances::Unmapped(one) => Some(one.row.state).filter(|state| state.is_finished()),
            Instances::Mapped(all) => all.iter().all(|one| one.row.state.is_finished()).then_some(TaskState::Success),
        }
    }

    /// How many values a task left under a key.
    fn left(&self, task: TaskIx, key: &str) -> Option<u32> {
        match &self.task(task).instances {
            Instances::Unmapped(one) => one.row.xcom_lengths.get(key).copied().flatten(),
            Instances::Mapped(all) => {
                Some(count(all.iter().filter(|one| one.row.xcom_lengths.contains_key(key)).count()))
            }
        }
    }

    fn name(&self, task: TaskIx) -> &TaskId {
        &self.dag.task(task).task_id
    }
}
