//! Skip decisions at work: taken when a task leaves one, applied when it succeeds, and remembered
//! for as long as it stands, so that a skipped task that is cleared is skipped again.

use crate::domain::graph::{Dag, TaskIx};
use crate::domain::ids::MapIndex;
use crate::domain::run::RunType;
use crate::domain::schedule::Bounds;
use crate::domain::skip::{InvalidDecision, SKIP_KEY, SkipDecision};
use crate::domain::state::{Decision, TaskEvent, TaskState};
use crate::domain::time::Time;
use crate::store::write::{RunRow, XComRow};

use super::TaskRef;
use super::core::{Core, Run};

impl Core {
    /// Remembers a decision that a task leaves; gives back the form in which it is stored.
    pub(super) fn take_decision(
        &mut self,
        at: TaskRef,
        value: &serde_json::Value,
    ) -> Result<serde_json::Value, InvalidDecision> {
        let decision = SkipDecision::resolve(value, &self.run(at.run).dag, at.task)?;
        let stored = decision.to_json();
        self.instance_mut(at).decision = Some(Box::new(decision));
        Ok(stored)
    }

    /// `LatestOnlyOperator`: nothing downstream is followed in a run that a newer one has overtaken.
    pub(super) fn decide_whether_latest(&mut self, now: Time, at: TaskRef) {
        let run = self.run(at.run);
        if is_latest(&run.row, &run.dag, now) {
            return;
        }
        let decision = SkipDecision::follow_none();
        let value = decision.to_json();
        self.instance_mut(at).decision = Some(Box::new(decision));
        self.write_xcom(now, at, SKIP_KEY.to_owned(), value);
        self.note(at, "not the latest run: what is downstream is skipped");
    }

    /// The task has succeeded: what its decision leaves out is skipped now, whatever its trigger rule.
    pub(super) fn apply_decision(&mut self, now: Time, at: TaskRef) {
        let run = self.run(at.run);
        let Some(decision) = run.instance(at).decision.as_deref() else { return };
        let tasks = decision.skipped_at_once(&run.dag, at.task);
        let places: Vec<TaskRef> = tasks.into_iter().flat_map(|task| run.places_facing(task, at.map)).collect();
        for place in places {
            match self.instance(place).row.state {
                TaskState::None | TaskState::Scheduled | TaskState::UpForRetry | TaskState::UpForReschedule => {
                    self.instance_mut(place).row.ended_at = Some(now);
                    self.move_task(place, TaskEvent::Decided(Decision::Skipped));
                }
                TaskState::Queued => self.abandon(now, place),
                // What has begun, or is over, stays as it is.
                TaskState::Running
                | TaskState::Restarting
                | TaskState::Deferred
                | TaskState::AwaitingInput
                | TaskState::Success
                | TaskState::Failed
                | TaskState::Skipped
                | TaskState::UpstreamFailed
                | TaskState::Removed => {}
            }
        }
    }

    /// Whoever is directly downstream counts the decisions against it: those of tasks that have succeeded.
    pub(super) fn count_decision(&mut self, at: TaskRef, from: TaskState, to: TaskState) {
        let run = self.run(at.run);
        let (before, after) = (from == TaskState::Success, to == TaskState::Success);
        let Some(decision) = run.instance(at).decision.as_deref().filter(|_| before != after) else { return };
        let skipped: Vec<TaskRef> = run
            .dag
            .downstream(at.task)
            .iter()
            .filter(|task| decision.skips(&run.dag.task(**task).task_id))
            .flat_map(|task| run.places_facing(*task, at.map))
            .collect();
        for place in skipped {
            let count = &mut self.instance_mut(place).skipped_by;
            *count = if after { *count + 1 } else { count.saturating_sub(1) };
        }
    }
}

impl Run {
    /// The instances of `task` that an upstream instance decides about: all of them, or the one of its own index.
    fn places_facing(&self, task: TaskIx, map: MapIndex) -> impl Iterator<Item = TaskRef> {
        self.places_of(task).filter(move |at| map == MapIndex::UNMAPPED || at.map == map)
    }

    /// The decisions against one instance, counted anew. A teardown is never skipped.
    pub(super) fn decisions_against(&self, at: TaskRef) -> u32 {
        let id = &self.dag.task(at.task).task_id;
        let upstream = self.dag.upstream(at.task).iter().flat_map(|task| self.places_of(*task));
        let against = upstream.filter(|up| {
            let instance = self.instance(*up);
            let faces = up.map == MapIndex::UNMAPPED || up.map == at.map;
            let skips = instance.decision.as_deref().is_some_and(|decision| decision.skips(id));
            faces && skips && instance.row.state == TaskState::Success
        });
        super::runs::count(against.count())
    }

    /// The decisions that the store remembers.
    pub(super) fn restore_decisions(&mut self, rows: &[XComRow]) {
        for row in rows.iter().filter(|row| row.key == SKIP_KEY) {
            let Some(task) = self.dag.find(&row.task_id) else { continue };
            let at = TaskRef { run: self.row.key, task, map: row.map_index };
            if self.find(at).is_some() {
                self.instance_mut(at).decision = SkipDecision::stored(&row.value).map(Box::new);
            }
        }
    }
}

/// Whether the schedule has not moved on since; a run that no schedule made is always the latest.
fn is_latest(run: &RunRow, dag: &Dag, now: Time) -> bool {
    match run.run_type {
        RunType::Manual | RunType::OperatorTriggered | RunType::AssetTriggered | RunType::AssetMaterialization => true,
        RunType::Scheduled | RunType::Backfill => run.interval.is_none_or(|interval| {
            let bounds = Bounds { catchup: true, ..dag.bounds() };
            dag.timetable.next(&bounds, Some(&interval), now).is_none_or(|next| next.run_after > now)
        }),
    }
}
