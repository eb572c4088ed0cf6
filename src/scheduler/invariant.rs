//! What must hold after every `apply`, each rule with a name (PROTOCOL §13, as far
//! as one memory can see it). Checked after every step in tests and simulation;
//! a node checks it now and then and counts what it finds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::domain::asset::AssetRef;
use crate::domain::ids::{AttemptId, DagId, PoolName, QueueName, RunKey};
use crate::domain::state::{RunState, TaskState};
use crate::domain::wait::{Awaited, Seen};

use crate::store::write::NotificationRow;

use super::TaskRef;
use super::admit::Scope;
use super::assets::wanted;
use super::core::{Core, Grant, Run};
use super::instances::{Instance, Instances};
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
            upstreams_are_counted(run, &mut broken);
            for at in run.places() {
                self.check_instance(run, at, &mut broken);
            }
        }
        self.watchers_wait(&mut broken);
        self.places_are_counted(&mut broken);
        self.little_is_remembered(&mut broken);
        self.run_limits_hold(&mut broken);
        self.backfills_keep_their_limits(&mut broken);
        self.assets_are_waited_for(&mut broken);
        let timed = |row: &NotificationRow| {
            row.next_try_at.is_some_and(|due| self.timers.is_set(due, Timer::Notification(row.id)))
        };
        if let Err(text) = self.outbox.check(timed) {
            broken("what_is_owed_waits_in_one_place", text);
        }
        for ((run, number), open) in &self.deadlines {
            if !self.timers.is_set(open.row.due_at, Timer::Deadline(*run, *number)) {
                broken("deadlines_are_timed", format!("deadline {number} of run {run} has no timer"));
            }
        }
        if let Err(text) = self.admission.check() {
            broken("admission", text);
        }
        self.task_queues_are_known(&mut broken);
        found
    }

    fn check_instance(&self, run: &Run, at: TaskRef, broken: &mut impl FnMut(&'static str, String)) {
        let instance = run.instance(at);
        if (&instance.row.task_id, instance.row.map_index) != (&run.dag.task(at.task).task_id, at.map) {
            broken(
                "places_have_their_rows",
                format!("{} [{}] stands at {at:?}", instance.row.task_id, instance.row.map_index),
            );
        }
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
        if super::waiting::waits(state) && run.row.state == RunState::Running {
            let awaited = instance.row.waiting.as_ref().map(|waiting| &waiting.awaited);
            let is_timed = instance.row.next_try_at.is_none_or(|due| self.timers.is_set(due, Timer::Wait(at)));
            if !awaited.is_some_and(|awaited| self.watchers.holds(at, awaited)) || !is_timed {
                broken("who_waits_is_watched_for", format!("{name} is {state} and waits for {awaited:?} unseen"));
            }
            let seen = awaited.and_then(|awaited| self.judge_in_memory(awaited, None));
            if seen.as_ref().is_some_and(|seen| *seen != Seen::NotYet) {
                broken("what_has_come_is_noticed", format!("{name} waits for {awaited:?}, which is {seen:?}"));
            }
        }
        let against = run.decisions_against(at);
        if against != instance.skipped_by {
            broken("decisions_are_counted", format!("{name} counts {}, is {against}", instance.skipped_by));
        }
        if instance.held && state != TaskState::None {
            broken("only_what_waits_is_held", format!("{name} is {state} and held"));
        }
    }

    /// Over a broker: what is queued lies in its queue, is counted there, and is looked after.
    fn task_queues_are_known(&self, broken: &mut impl FnMut(&'static str, String)) {
        if self.settings.grant != Grant::ByClaim {
            return;
        }
        let is_queued = |at: TaskRef| {
            let instance = self.runs.get(&at.run).and_then(|run| run.find(at));
            instance.and_then(|instance| instance.attempt.as_ref()).is_some_and(|attempt| attempt.state.is_queued())
        };
        let mut counted: BTreeMap<QueueName, u32> = BTreeMap::new();
        for at in self.runs.values().flat_map(Run::places).filter(|at| is_queued(*at)) {
            *counted.entry(self.queue_of(at)).or_default() += 1;
        }
        let total = counted.values().sum::<u32>() as usize;
        if let Err(text) = self.queues.check(is_queued, total, self.leaving) {
            broken("unclaimed_work_is_looked_after", text);
        }
        for (queue, gauge) in &self.admission.queues {
            let unclaimed = counted.get(queue).copied().unwrap_or_default();
            if gauge.taken != unclaimed {
                broken("queues_are_counted", format!("queue {queue}: {unclaimed} unclaimed, {} counted", gauge.taken));
            }
        }
    }

    /// Nobody is watched for who no longer waits.
    fn watchers_wait(&self, broken: &mut impl FnMut(&'static str, String)) {
        let watches = |instance: &Instance| {
            let awaited = instance.row.waiting.as_ref().map(|waiting| &waiting.awaited);
            let on_others = matches!(awaited, Some(Awaited::Tasks(_) | Awaited::Run(_)));
            super::waiting::waits(instance.row.state) && on_others
        };
        let waiting =
            self.runs.values().flat_map(|run| run.instances()).filter(|(_, instance)| watches(instance)).count();
        if waiting != self.watchers.count() {
            broken("watchers_wait", format!("{waiting} wait for other runs, {} are listed", self.watchers.count()));
        }
    }

    fn places_are_counted(&self, broken: &mut impl FnMut(&'static str, String)) {
        let mut total = 0;
        // What nobody takes is counted too: it must be none.
        let mut pools: BTreeMap<PoolName, u32> = self.admission.pools.keys().map(|pool| (pool.clone(), 0)).collect();
        let mut attempts: BTreeMap<AttemptId, u32> = BTreeMap::new();
        let of_tasks = |scope: &&Scope| matches!(scope, Scope::Task(..) | Scope::TaskOfRun(..));
        let scopes = self.admission.scopes.keys().filter(of_tasks);
        let mut limited: BTreeMap<Scope, u32> = scopes.map(|scope| (scope.clone(), 0)).collect();
        for run in self.runs.values() {
            for (at, task) in run.instances() {
                if let Some(attempt) = task.attempt.as_ref().filter(|attempt| !attempt.state.is_done()) {
                    total += 1;
                    let holds = self.holds(at);
                    for scope in holds.task_scopes() {
                        *limited.entry(scope.clone()).or_default() += 1;
                    }
                    *pools.entry(task.row.pool.clone()).or_default() += task.row.pool_slots.max(1);
                    *attempts.entry(attempt.id).or_default() += 1;
                }
                if task.row.state.rests() {
                    let holds = self.holds(at);
                    for scope in holds.task_scopes() {
                        *limited.entry(scope.clone()).or_default() += 1;
                    }
                    let keeps = self.pools.get(&holds.pool).is_some_and(|pool| pool.include_deferred);
                    if keeps && task.row.state == TaskState::Deferred {
                        *pools.entry(holds.pool).or_default() += holds.pool_slots;
                    }
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
        let holders = self.runs.values().flat_map(|run| run.instances());
        let is_open = |task: &Instance| task.attempt.as_ref().is_some_and(|attempt| !attempt.state.is_done());
        let holders: BTreeSet<TaskRef> = holders.filter(|(_, task)| is_open(task)).map(|(at, _)| at).collect();
        if holders != *self.admission.total().holders {
            let named = self.admission.total().holders.len();
            broken("holders_are_named", format!("{} attempts hold places, {named} are named", holders.len()));
        }
        if let Some((id, n)) = attempts.into_iter().find(|(_, n)| *n > 1) {
            broken("one_attempt_one_task", format!("attempt {id} stands at {n} task instances"));
        }
    }

    /// What waits is counted, whoever waits is listed, and nobody waits for what is there already.
    fn assets_are_waited_for(&self, broken: &mut impl FnMut(&'static str, String)) {
        for (id, dag) in &self.dags {
            let wanted = wanted(&dag.dag);
            let mut changed: BTreeMap<AssetRef, u32> = BTreeMap::new();
            for waits in dag.waiting.events.values().filter(|waits| waits.counts) {
                for asset in waits.event.refs().filter(|asset| wanted.contains(asset)) {
                    *changed.entry(asset).or_default() += 1;
                }
            }
            if changed != dag.waiting.changed {
                broken("asset_events_are_counted", format!("{id} counts {:?}, is {changed:?}", dag.waiting.changed));
            }
            if self.planning && self.is_due_by_assets(id) {
                broken("assets_start_runs", format!("{id} waits although enough has changed: {changed:?}"));
            }
            let listens = |asset: &AssetRef| self.assets.consumers.get(asset).is_some_and(|dags| dags.contains(id));
            if let Some(asset) = wanted.iter().find(|asset| !listens(asset)) {
                broken("consumers_are_listed", format!("{id} waits for {asset} and is not told"));
            }
        }
        for (asset, dags) in &self.assets.consumers {
            let knows =
                |id: &&DagId| self.dags.get(*id).is_some_and(|dag| super::assets::wanted(&dag.dag).contains(asset));
            if let Some(id) = dags.iter().find(|id| !knows(id)) {
                broken("consumers_are_listed", format!("{id} is told of {asset} and does not wait for it"));
            }
        }
    }

    /// Of the runs that have left memory only those are kept that a run in memory looks back at, and the newest.
    fn little_is_remembered(&self, broken: &mut impl FnMut(&'static str, String)) {
        for dag in self.dags.values() {
            let Some(timeline) = &dag.timeline else { continue };
            let in_memory = self.runs.values().filter(|run| run.row.dag_id == dag.row.dag_id).count();
            let remembered = timeline.remembered();
            if remembered > in_memory + 1 {
                let text = format!("{}: {remembered} ended runs beside {in_memory} in memory", dag.row.dag_id);
                broken("little_is_remembered", text);
            }
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

impl Core {
    /// Every backfill has its own runs, and no more of them than it may.
    fn backfills_keep_their_limits(&self, broken: &mut impl FnMut(&'static str, String)) {
        for (id, backfill) in &self.backfills {
            let row = &backfill.row;
            let open = backfill.running.len() + backfill.queued.len();
            // A user may clear any number of its finished runs; they wait, so only what runs is limited then.
            if count(backfill.running.len()) > row.request.max_active_runs.get() {
                broken("backfill_limit", format!("backfill {id} has {} runs at once", backfill.running.len()));
            }
            let of_it = |key: &RunKey, state| {
                let run = self.runs.get(key).map(|run| &run.row);
                run.is_some_and(|run| run.state == state && run.backfill.is_some_and(|place| place.backfill == *id))
            };
            let queued = backfill.queued.iter().all(|(_, key)| of_it(key, RunState::Queued));
            if !queued || !backfill.running.iter().all(|key| of_it(key, RunState::Running)) {
                broken("backfill_runs", format!("backfill {id} lists a run that is not one of it, or not so"));
            }
            let is_done = row.dealt >= row.dates && open == 0;
            if row.completed_at.is_none() && is_done || row.dealt > row.dates {
                broken("backfills_end", format!("backfill {id} has dealt with {} of {}", row.dealt, row.dates));
            }
        }
        for (id, dag) in &self.dags {
            let active = dag.backfills.iter().filter(|id| self.backfills.get(id).is_some_and(|b| !b.is_over())).count();
            if active > 1 {
                broken("one_active_backfill", format!("DAG {id} has {active} active backfills"));
            }
        }
    }
}

fn counters_are_states(run: &Run, broken: &mut impl FnMut(&'static str, String)) {
    let states = || run.instances().map(|(_, task)| task.row.state);
    let unfinished = count(states().filter(|state| !state.is_finished()).count());
    let moving = count(states().filter(|state| is_moving(*state)).count());
    let open = run.instances().filter_map(|(_, task)| task.attempt.as_ref()).filter(|a| !a.state.is_done()).count();
    let held = count(run.instances().filter(|(_, task)| task.held).count());
    if held != run.held {
        broken("counters_are_states", format!("run {}: {} held, is {held}", run.row.key, run.held));
    }
    if (unfinished, moving, count(open)) != (run.unfinished, run.moving, run.open_attempts) {
        let counted = (run.unfinished, run.moving, run.open_attempts);
        broken("counters_are_states", format!("run {}: {counted:?}, is {:?}", run.row.key, (unfinished, moving, open)));
    }
    let runs = run.row.state == RunState::Running && !run.tasks.is_empty();
    if runs && (unfinished == 0 || moving + held == 0) {
        broken("runs_end", format!("run {} goes on with nothing to wait for", run.row.key));
    }
}

/// What every task has counted is what a count finds.
fn upstreams_are_counted(run: &Run, broken: &mut impl FnMut(&'static str, String)) {
    for (ix, definition) in run.dag.tasks().filter(|_| !run.tasks.is_empty()) {
        let (task, name) = (run.task(ix), &definition.task_id);
        let (alike, each) = run.counted(ix);
        let own: Vec<_> = task.instances.all().iter().map(|instance| instance.counts).collect();
        if (alike, &each) != (task.counts, &own) {
            broken("upstreams_are_counted", format!("{name} counts {:?} {own:?}, is {alike:?} {each:?}", task.counts));
        }
        let waiting = task.instances.all().iter().filter(|instance| instance.row.state == TaskState::None).count();
        if count(waiting) != task.waiting {
            broken("waiting_is_counted", format!("{waiting} instances of {name} wait, {} counted", task.waiting));
        }
        let is_mapped = matches!(task.instances, Instances::Mapped(_));
        if is_mapped && run.dag.mapping.of_task(ix).is_none() {
            broken("only_mapped_tasks_are_expanded", format!("{name} has {} instances", own.len()));
        }
    }
}
