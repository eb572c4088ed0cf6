//! Tasks that wait for the run before their own (SCHEDULING §3): who waits, who is told, and
//! what is asked of the store where memory does not reach.
//!
//! The end of a task wakes the same task of the next run in the same step; nothing is polled.

use crate::domain::graph::TaskIx;
use crate::domain::ids::{DagId, RunKey, TaskId};
use crate::domain::past::{PastVerdict, RunBefore, Stand, judge};
use crate::domain::run::RunType;
use crate::domain::state::TaskState;
use crate::domain::time::Time;

use super::TaskRef;
use super::core::{Core, Effect, Run};
use super::timeline::{Before, KnownPast, Place, Stands, Timeline, joined, stand_of};

/// A question to the store about the runs before one run.
#[derive(Clone, Debug, PartialEq)]
pub struct LookBack {
    pub run: RunKey,
    pub dag: DagId,
    pub before: Time,
    /// With catchup a manual run is nobody's run before.
    pub manual_runs_count: bool,
    /// Tasks of which it matters whether any earlier run has them.
    pub first_of: Vec<TaskId>,
}

impl Core {
    /// Whether the task instance has to wait for the run before; asks the store where nobody knows.
    pub(super) fn waits_for_past(&mut self, at: TaskRef) -> bool {
        match self.past(at) {
            Some(PastVerdict::Met) => false,
            Some(PastVerdict::Waits(_)) => true,
            Some(PastVerdict::AskWhetherFirst) | None => {
                self.ask_about_past(at.run);
                true
            }
        }
    }

    /// The same for a decision to skip it.
    pub(super) fn skip_waits_for_past(&mut self, at: TaskRef) -> bool {
        let rule = self.run(at.run).dag.task(at.task).past;
        rule.wait_for_past_depends_before_skipping && self.waits_for_past(at)
    }

    /// What the past says; `None` where only the store can tell which run is the one before.
    pub(super) fn past(&self, at: TaskRef) -> Option<PastVerdict> {
        let run = self.run(at.run);
        let rule = run.dag.task(at.task).past;
        let (Some(place), true) = (run.place(), rule.looks_back()) else { return Some(PastVerdict::Met) };
        // Where a run looks back, its DAG has a timeline.
        let Some(timeline) = self.dags.get(&run.row.dag_id).and_then(|dag| dag.timeline.as_ref()) else {
            return Some(PastVerdict::Met);
        };
        if begins_its_backfill(run) {
            return Some(PastVerdict::Met);
        }
        let previous = match timeline.before(place) {
            Before::Unknown => return None,
            Before::Nothing => return Some(PastVerdict::Met),
            Before::Run(previous) => previous,
        };
        let id = &run.dag.task(at.task).task_id;
        let stand = |task: &TaskId| self.stand(timeline, previous, task);
        let next = run.dag.downstream(at.task).iter().map(|next| &run.dag.task(*next).task_id);
        let before = RunBefore {
            is_before_the_task: run.is_before(previous.0, at.task),
            itself: stand(id),
            has_unsuccessful_downstream: rule.wait_for_downstream
                && next.into_iter().any(|next| stand(next) == Stand::Unsuccessful),
            is_known_earlier: timeline.has_seen(place, id),
        };
        Some(judge(&rule, Some(&before)))
    }

    fn stand(&self, timeline: &Timeline, place: Place, task: &TaskId) -> Stand {
        match self.runs.get(&place.1) {
            Some(run) => run.stand(task),
            None => timeline.over(place).map_or(Stand::Absent, |stands| stands.of(task)),
        }
    }

    fn ask_about_past(&mut self, key: RunKey) {
        let run = self.run(key);
        let Some(place) = run.place() else { return };
        let (dag, before) = (run.row.dag_id.clone(), place.0);
        let wants_to_know = run.dag.tasks().filter(|(_, task)| task.past.ignore_first_depends_on_past);
        let first_of = wants_to_know.map(|(_, task)| task.task_id.clone()).collect();
        let Some(known) = self.dags.get_mut(&dag) else { return };
        let manual_runs_count = !known.dag.definition.catchup;
        if known.timeline.as_mut().is_some_and(|timeline| timeline.ask(place)) {
            self.effect(Effect::LookBack(LookBack { run: key, dag, before, manual_runs_count, first_of }));
        }
    }

    /// The store's answer.
    pub(super) fn on_looked_back(&mut self, key: RunKey, past: KnownPast) {
        let Some(run) = self.runs.get(&key) else { return };
        let (Some(place), id) = (run.place(), run.row.dag_id.clone()) else { return };
        let Some(dag) = self.dags.get_mut(&id) else { return };
        // Since it was asked, the DAG may have come to count other runs; then it is asked again.
        if past.manual_runs_count == dag.dag.definition.catchup {
            return;
        }
        let runs = &self.runs;
        if let Some(timeline) = dag.timeline.as_mut() {
            timeline.learn(place, past, |key| runs.contains_key(&key));
        }
        self.decide_again(key);
    }

    /// A task instance moved: the runs after its own look again.
    pub(super) fn tell_later_runs(&mut self, at: TaskRef) {
        let run = self.run(at.run);
        let Some(timeline) = self.dags.get(&run.row.dag_id).and_then(|dag| dag.timeline.as_ref()) else { return };
        let Some(place) = run.place() else { return };
        let id = &run.dag.task(at.task).task_id;
        let mut woken = Vec::new();
        for (_, key) in timeline.after(place) {
            let Some(later) = self.runs.get(&key) else { continue };
            let Some(task) = later.dag.find(id) else { continue };
            let upstream = later.dag.upstream(task).iter().filter(|up| later.dag.task(**up).past.wait_for_downstream);
            let tasks = upstream.chain([&task]).filter(|task| later.dag.task(**task).past.looks_back());
            woken.extend(tasks.flat_map(|task| later.places_of(*task)));
        }
        self.work.undecided.extend(woken);
    }

    /// A run is in memory: those after it have another run before, perhaps.
    pub(super) fn enter_timeline(&mut self, key: RunKey) {
        let run = self.run(key);
        let (id, looks_back) = (run.row.dag_id.clone(), run.dag.looks_back());
        if looks_back {
            self.ensure_timeline(&id);
        }
        let run = self.run(key);
        let (place, run_type) = (run.place(), run.row.run_type);
        let Some(dag) = self.dags.get_mut(&id) else { return };
        let catchup = dag.dag.definition.catchup;
        let (Some(place), Some(timeline)) = (place, dag.timeline.as_mut()) else { return };
        timeline.enter(place, counts(run_type, catchup));
        for (_, later) in timeline.after(place) {
            self.decide_again(later);
        }
    }

    /// A run leaves memory; what it has to say to later ones stays.
    pub(super) fn leave_timeline(&mut self, run: &Run) {
        let Some(place) = run.place() else { return };
        let runs = &self.runs;
        let Some(timeline) = self.dags.get_mut(&run.row.dag_id).and_then(|dag| dag.timeline.as_mut()) else { return };
        let stands = Stands::of_rows(run.instances().map(|(_, instance)| &instance.row));
        timeline.leave(place, stands, |key| runs.contains_key(&key));
    }

    /// A DAG with tasks that look back has a timeline: made of what is in memory, the rest is asked.
    pub(super) fn ensure_timeline(&mut self, id: &DagId) {
        let Some(dag) = self.dags.get_mut(id).filter(|dag| dag.timeline.is_none()) else { return };
        let catchup = dag.dag.definition.catchup;
        let mut timeline = Timeline::default();
        for run in self.runs.values().filter(|run| run.row.dag_id == *id) {
            if let Some(place) = run.place() {
                timeline.enter(place, counts(run.row.run_type, catchup));
            }
        }
        dag.timeline = Some(timeline);
    }

    /// A new version of the DAG may look back where the old one did not, or count other runs.
    pub(super) fn renew_timeline(&mut self, id: &DagId, catchup_before: Option<bool>) {
        let Some(dag) = self.dags.get_mut(id) else { return };
        let catchup = dag.dag.definition.catchup;
        if catchup_before.is_none() {
            dag.timeline = Some(Timeline::of_new_dag());
            return;
        }
        let had_timeline = dag.timeline.is_some();
        if catchup_before != Some(catchup) {
            dag.timeline = None;
        }
        if had_timeline || dag.dag.looks_back() {
            self.ensure_timeline(id);
        }
        let runs: Vec<RunKey> = self.runs.values().filter(|run| run.row.dag_id == *id).map(|run| run.row.key).collect();
        for key in runs {
            self.decide_again(key);
        }
    }

    /// Everything in the run that looks back is decided again.
    fn decide_again(&mut self, key: RunKey) {
        let Some(run) = self.runs.get(&key).filter(|run| run.dag.looks_back()) else { return };
        let waits =
            |at: &TaskRef| run.dag.task(at.task).past.looks_back() && run.instance(*at).row.state == TaskState::None;
        self.work.undecided.extend(run.places().filter(waits));
    }

    /// It could start, and waits for the run before: its run is no deadlock.
    pub(super) fn hold(&mut self, at: TaskRef) {
        let run = self.run_mut(at.run);
        if !std::mem::replace(&mut run.instance_mut(at).held, true) {
            run.held += 1;
        }
    }

    /// It does not, or no longer.
    pub(super) fn release(&mut self, at: TaskRef) {
        let run = self.run_mut(at.run);
        if std::mem::replace(&mut run.instance_mut(at).held, false) {
            run.held -= 1;
            self.work.maybe_over.insert(at.run);
        }
    }
}

impl Run {
    /// Where it stands among the runs of its DAG; a run without a logical date has none before it.
    pub(super) fn place(&self) -> Option<Place> {
        Some((self.row.logical_date?, self.row.key))
    }

    fn stand(&self, task: &TaskId) -> Stand {
        let Some(ix) = self.dag.find(task) else { return Stand::Absent };
        if self.tasks.is_empty() {
            // It has not begun, and will have the task unless its dates exclude that.
            return stand_of(&self.fresh(ix, crate::domain::ids::MapIndex::UNMAPPED).row);
        }
        self.places_of(ix).map(|at| stand_of(&self.instance(at).row)).fold(Stand::Absent, joined)
    }

    /// With catchup, a run before the task's start date asks nothing of it.
    pub(super) fn is_before(&self, previous: Time, task: TaskIx) -> bool {
        let dag = &self.dag.definition;
        let start = self.dag.task(task).start_date.or(dag.start_date);
        dag.catchup && start.is_some_and(|start| previous < start)
    }
}

/// Whether others have a run of this type as their run before.
fn counts(run_type: RunType, catchup: bool) -> bool {
    !catchup || run_type != RunType::Manual
}

/// The first run of a backfill does not wait for what lies before it. Neither does a run that was
/// there before and is the first that the backfill runs again; so its type says nothing.
pub(super) fn begins_its_backfill(run: &Run) -> bool {
    run.row.backfill.is_some_and(|place| place.ordinal == 1)
}
