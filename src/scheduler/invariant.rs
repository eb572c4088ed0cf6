//! What must hold after every `apply`, each rule with a name (PROTOCOL §13, as far
//! as one memory can see it). Checked after every step in tests and simulation;
//! a node checks it now and then and counts what it finds.

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::ids::{AttemptId, PoolName};
use crate::domain::state::{RunState, TaskState};
use crate::domain::trigger::UpstreamCounts;

use super::TaskRef;
use super::admit::Scope;
use super::core::{Core, Run};
use super::progress::is_moving;
use super::runs::count;
use super::timers::Timer;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {} is broken: {}", self.invariant, self.found)
    }
}

impl Core {
    /// Every rule that does not hold. Costs as much as memory is large.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut broken = |invariant, text: String| found.push(Violation { invariant, found: text });
        for run in self.runs.values() {
            counters_are_states(run, &mut broken);
            for (ix, _) in run.dag.tasks().filter(|_| !run.tasks.is_empty()) {
                let at = TaskRef { run: run.row.key, task: ix };
                self.check_instance(run, at, &mut broken);
            }
        }
        self.places_are_counted(&mut broken);
        self.run_limits_hold(&mut broken);
        if let Err(text) = self.admission.check() {
            broken("admission", text);
        }
        found
    }

    fn check_instance(&self, run: &Run, at: TaskRef, broken: &mut impl FnMut(&'static str, String)) {
        let instance = &run.tasks[at.task.usize()];
        let (state, name) = (instance.row.state, &instance.row.task_id);
        let open = instance.attempt.as_ref().filter(|attempt| !attempt.state.is_done());
        if state.occupies_slots() != open.is_some() {
            broken("places_have_attempts", format!("{name} is {state} with attempt {:?}", open.map(|a| a.state)));
        }
        if (state == TaskState::Scheduled) != instance.rank.is_some() {
            broken("scheduled_waits_in_a_lane", format!("{name} is {state} with rank {:?}", instance.rank));
        }
        if let Some(owner) = open.and_then(|attempt| attempt.state.owner()) {
            let id = open.map(|attempt| attempt.id);
            let listed = self.workers.get(&owner.worker).is_some_and(|w| id.is_some_and(|id| w.owned.contains(&id)));
            if !listed {
                broken("owners_know_what_they_own", format!("{name} is owned by {owner}, which does not list it"));
            }
        }
        let due = instance.row.next_try_at.unwrap_or_default();
        let waits = state == TaskState::UpForRetry && run.row.state == RunState::Running;
        if waits && !self.timers.is_set(due, Timer::Retry(at)) {
            broken("retries_are_timed", format!("{name} waits for {due} without a timer"));
        }
        let expected = counts(run, at);
        if expected != instance.counts {
            broken("upstreams_are_counted", format!("{name} counts {:?}, is {expected:?}", instance.counts));
        }
    }

    fn places_are_counted(&self, broken: &mut impl FnMut(&'static str, String)) {
        let mut total = 0;
        let mut pools: BTreeMap<PoolName, u32> = BTreeMap::new();
        let mut attempts: BTreeMap<AttemptId, u32> = BTreeMap::new();
        let mut limited: BTreeMap<Scope, u32> = BTreeMap::new();
        for run in self.runs.values() {
            for (task, (ix, _)) in run.tasks.iter().zip(run.dag.tasks()) {
                if let Some(attempt) = task.attempt.as_ref().filter(|attempt| !attempt.state.is_done()) {
                    total += 1;
                    if let Some(scope) = self.holds(TaskRef { run: run.row.key, task: ix }).task {
                        *limited.entry(scope).or_default() += 1;
                    }
                    *pools.entry(task.row.pool.clone()).or_default() += task.row.pool_slots.max(1);
                    *attempts.entry(attempt.id).or_default() += 1;
                }
            }
        }
        if total != self.admission.taken() {
            broken("limits_by_processes", format!("{total} attempts hold places, {} counted", self.admission.taken()));
        }
        if !self.settings.parallelism.allows_one_more(total.saturating_sub(1)) {
            broken("parallelism", format!("{total} attempts at once, limit {}", self.settings.parallelism));
        }
        for (pool, taken) in pools {
            let counted = self.admission.pool_taken(&pool);
            if counted != taken {
                broken("limits_by_processes", format!("pool {pool}: {taken} slots held, {counted} counted"));
            }
        }
        for (scope, taken) in limited {
            let counted = self.admission.scope_taken(&scope);
            if counted != Some(taken) {
                broken("limits_by_processes", format!("{scope:?}: {taken} active, {counted:?} counted"));
            }
        }
        if let Some((id, n)) = attempts.into_iter().find(|(_, n)| *n > 1) {
            broken("one_attempt_one_task", format!("attempt {id} stands at {n} task instances"));
        }
    }

    fn run_limits_hold(&self, broken: &mut impl FnMut(&'static str, String)) {
        for dag in self.dags.values() {
            for key in &dag.running {
                if self.runs.get(key).is_none_or(|run| run.row.state != RunState::Running) {
                    broken("running_runs_run", format!("run {key} of {} is listed as running", dag.row.dag_id));
                }
            }
            for (_, key) in &dag.queued {
                if self.runs.get(key).is_none_or(|run| run.row.state != RunState::Queued) {
                    broken("queued_runs_wait", format!("run {key} of {} is listed as queued", dag.row.dag_id));
                }
            }
        }
    }
}

fn counters_are_states(run: &Run, broken: &mut impl FnMut(&'static str, String)) {
    let states = || run.tasks.iter().map(|task| task.row.state);
    let unfinished = count(states().filter(|state| !state.is_finished()).count());
    let moving = count(states().filter(|state| is_moving(*state)).count());
    let open = run.tasks.iter().filter_map(|task| task.attempt.as_ref()).filter(|a| !a.state.is_done()).count();
    if (unfinished, moving, count(open)) != (run.unfinished, run.moving, run.open_attempts) {
        let counted = (run.unfinished, run.moving, run.open_attempts);
        broken("counters_are_states", format!("run {}: {counted:?}, is {:?}", run.row.key, (unfinished, moving, open)));
    }
    let runs = run.row.state == RunState::Running && !run.tasks.is_empty();
    if runs && (unfinished == 0 || moving == 0) {
        broken("runs_end", format!("run {} goes on with nothing to wait for", run.row.key));
    }
}

/// The upstream counts of a task instance, counted anew.
fn counts(run: &Run, at: TaskRef) -> UpstreamCounts {
    let total = run.tasks[at.task.usize()].counts.total;
    let mut counts = UpstreamCounts::waiting_for(total);
    let upstream = run.dag.upstream(at.task);
    let removed = count(upstream.len()) - total;
    for up in upstream {
        counts.moved(TaskState::None, run.tasks[up.usize()].row.state, false);
    }
    // What was removed when the run began is not counted at all.
    counts.removed -= removed;
    counts
}
