//! Which dependencies of a task instance are not met, in Airflow's words: for `tasks failed-deps`.
//! Reads rows, decides nothing: the same pure rules as the core, asked once.

use std::sync::Arc;

use crate::domain::graph::Dag;
use crate::domain::ids::{MapIndex, TaskId};
use crate::domain::past::{PastReason, PastVerdict, RunBefore, Stand, judge};
use crate::domain::run::iso;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;
use crate::domain::trigger::{Verdict, evaluate};
use crate::store::write::{RunRow, TaskRow, XComRow};

use super::TaskRef;
use super::core::{KnownPast, Run};
use super::progress::verdict_of_setups;

/// A dependency that is not met: Airflow's name of it, and the reason as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedDependency {
    pub name: &'static str,
    pub reason: String,
}

/// What is known about the run of the task instance.
pub struct Facts {
    pub run: RunRow,
    pub dag: Arc<Dag>,
    pub tasks: Vec<TaskRow>,
    pub decisions: Vec<XComRow>,
    pub past: KnownPast,
    pub is_paused: bool,
}

/// Everything that keeps the task instance from being scheduled at `now`; `None`: there is no such instance.
pub fn failed_dependencies(facts: Facts, task: &TaskId, map: MapIndex, now: Time) -> Option<Vec<FailedDependency>> {
    let Facts { run, dag, tasks, decisions, past, is_paused } = facts;
    let mut run = Run::new(run, dag);
    run.restore_tasks(tasks, Vec::new(), &decisions);
    if run.tasks.is_empty() {
        run.create_tasks();
    }
    let at = TaskRef { run: run.row.key, task: run.dag.find(task)?, map };
    run.find(at)?;
    let found = [
        not_running(&run),
        paused(&run, is_paused),
        state(&run, at),
        retry(&run, at, now),
        skipped_before(&run, at),
        trigger_rule(&run, at),
        past_of(&run, at, &past),
    ];
    Some(found.into_iter().flatten().collect())
}

fn not_running(run: &Run) -> Option<FailedDependency> {
    let state = run.row.state;
    let reason = || format!("Task instance's dagrun was not in the 'running' state but in the state '{state}'.");
    (state != RunState::Running).then(|| FailedDependency { name: "Dagrun Running", reason: reason() })
}

fn paused(run: &Run, is_paused: bool) -> Option<FailedDependency> {
    let reason = format!("Task's DAG '{}' is paused.", run.row.dag_id);
    is_paused.then_some(FailedDependency { name: "Dag Not Paused", reason })
}

fn state(run: &Run, at: TaskRef) -> Option<FailedDependency> {
    let state = run.instance(at).row.state;
    let waits = matches!(state, TaskState::None | TaskState::UpForRetry | TaskState::UpForReschedule);
    let reason = format!("Task is in the '{state}' state.");
    (!waits).then_some(FailedDependency { name: "Task Instance State", reason })
}

fn retry(run: &Run, at: TaskRef, now: Time) -> Option<FailedDependency> {
    let row = &run.instance(at).row;
    let due = row.next_try_at.filter(|due| row.state == TaskState::UpForRetry && *due > now)?;
    let reason = format!(
        "Task is not ready for retry yet but will be retried automatically. Current date is {} and task will be retried at {}.",
        iso(now),
        iso(due)
    );
    Some(FailedDependency { name: "Not In Retry Period", reason })
}

fn skipped_before(run: &Run, at: TaskRef) -> Option<FailedDependency> {
    if run.instance(at).skipped_by == 0 {
        return None;
    }
    let id = &run.dag.task(at.task).task_id;
    let decides = |up: &TaskRef| run.instance(*up).decision.as_deref().is_some_and(|decision| decision.skips(id));
    let parent = run.dag.upstream(at.task).iter().flat_map(|up| run.places_of(*up)).find(decides)?;
    let parent = &run.dag.task(parent.task).task_id;
    let reason = format!("Skipping because of previous XCom result from parent task {parent}");
    Some(FailedDependency { name: "Not Previously Skipped", reason })
}

fn trigger_rule(run: &Run, at: TaskRef) -> Option<FailedDependency> {
    let (counts, task) = (run.upstreams(at), run.dag.task(at.task));
    let name = "Trigger Rule";
    if verdict_of_setups(&counts.setups) != Verdict::Run {
        let needed = run.dag.setups().indirect(at.task).iter().map(|ix| run.dag.task(*ix).task_id.as_str());
        let needed = needed.collect::<Vec<_>>().join(", ");
        let reason = format!("All setup tasks must complete successfully. Relevant setups: {needed}.");
        return Some(FailedDependency { name, reason });
    }
    if evaluate(task.trigger_rule, &counts.upstreams) == Verdict::Run {
        return None;
    }
    let states: Vec<String> = run
        .dag
        .upstream(at.task)
        .iter()
        .flat_map(|up| run.places_of(*up))
        .map(|up| {
            let row = &run.instance(up).row;
            let element = if up.map == MapIndex::UNMAPPED { String::new() } else { format!("[{}]", up.map) };
            format!("{}{element} {}", row.task_id, row.state)
        })
        .collect();
    let reason = format!("Task's trigger rule '{}' is not met: {}.", task.trigger_rule, states.join(", "));
    Some(FailedDependency { name, reason })
}

fn past_of(run: &Run, at: TaskRef, past: &KnownPast) -> Option<FailedDependency> {
    let task = run.dag.task(at.task);
    let previous = past.previous.as_ref().filter(|_| run.row.logical_date.is_some())?;
    if super::past::begins_its_backfill(run) {
        return None;
    }
    let mut next = run.dag.downstream(at.task).iter().map(|ix| &run.dag.task(*ix).task_id);
    let before = RunBefore {
        is_before_the_task: run.is_before(previous.logical_date, at.task),
        itself: previous.stands.of(&task.task_id),
        has_unsuccessful_downstream: next.any(|next| previous.stands.of(next) == Stand::Unsuccessful),
        is_known_earlier: Some(past.seen.contains(&task.task_id)),
    };
    let reason = match judge(&task.past, Some(&before)) {
        PastVerdict::Met => return None,
        PastVerdict::Waits(reason) => reason,
        PastVerdict::AskWhetherFirst => PastReason::NotThere,
    };
    Some(FailedDependency { name: "Previous Dagrun State", reason: format!("{}.", reason.sentence()) })
}
