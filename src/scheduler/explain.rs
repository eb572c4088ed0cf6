//! Why not? What holds a task instance now, and what held it when.
//!
//! Everything is read from the memory that decides: the rules, the timers, and
//! above all the admission. Nothing here has an opinion of its own, changes
//! anything, or costs more than what it shows.

use crate::domain::attempt::AttemptState;
use crate::domain::blocker::{Blocker, Few, Holder, Upstream};
use crate::domain::graph::TaskIx;
use crate::domain::ids::{DagId, MapIndex, QueueName, RunId, TaskId};
use crate::domain::journal::{Held, Journal, Stretch};
use crate::domain::limit::Limit;
use crate::domain::past::PastVerdict;
use crate::domain::problem::suggestion;
use crate::domain::schedule::Schedule;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;
use crate::domain::trigger::UpstreamCounts;
use crate::protocol::control::{Refused, Reply};
use crate::protocol::explanation::{DagExplanation, Explanation};

use super::TaskRef;
use super::admit::{Constraint, Holds, Rank, Scope, Stopped};
use super::core::{Core, Grant, History, Run};
use super::line::Standing;
use super::queues::TaskQueue;
use super::runs::count;
use super::waiting::waited;

impl Core {
    /// Answers a question about one task instance; nothing changes by it.
    pub(super) fn answer_why(
        &mut self,
        now: Time,
        dag: DagId,
        run_id: RunId,
        task: TaskId,
        map_index: MapIndex,
        history: &History,
    ) -> Result<Reply, Refused> {
        let found = history.runs.iter().find(|known| known.row.run_id == run_id);
        let Some(key) = found.and_then(|known| self.recall(known)) else {
            return Err(Refused::RunNotFound { dag, run_id });
        };
        let in_run = self.run(key).dag.clone();
        let Some(ix) = in_run.find(&task) else {
            let hint = suggestion(task.as_str(), in_run.tasks().map(|(_, task)| task.task_id.as_str()));
            return Err(Refused::TaskNotFound { dag, task, hint });
        };
        let at = TaskRef { run: key, task: ix, map: map_index };
        if self.run(key).find(at).is_none() {
            return Err(Refused::Invalid { message: self.no_such_element(at, &task) });
        }
        let explanation = self.explain(now, at);
        Ok(Reply::Explained { explanation: Box::new(explanation) })
    }

    fn no_such_element(&self, at: TaskRef, task: &TaskId) -> String {
        let indexes: Vec<MapIndex> = self.run(at.run).places_of(at.task).map(|at| at.map).collect();
        match (indexes.first(), indexes.last()) {
            (Some(first), Some(last)) if *first != MapIndex::UNMAPPED => {
                format!("task `{task}` is mapped in this run: name one of its elements, --map-index {first} to {last}")
            }
            (_, _) => format!("task `{task}` is not mapped in this run, so it has no element {}", at.map),
        }
    }

    /// Answers why a DAG makes no run; nothing changes by it.
    pub(super) fn answer_why_no_run(&self, now: Time, id: DagId) -> Result<Reply, Refused> {
        let Some(dag) = self.dags.get(&id) else {
            let hint = suggestion(id.as_str(), self.dags.keys().map(DagId::as_str));
            return Err(Refused::DagNotFound { dag: id, hint });
        };
        let definition = &dag.dag.definition;
        let next_run = dag.dag.timetable.next(&dag.dag.bounds(), dag.row.last_interval.as_ref(), now);
        let mut reasons = Vec::new();
        if self.is_momentary {
            reasons.push(Blocker::NoNode);
        }
        if dag.row.is_stale {
            reasons.push(Blocker::DagGone { dag: id.clone(), file: dag.row.file.clone() });
        }
        if dag.row.is_paused {
            reasons.push(Blocker::DagPaused { dag: id.clone() });
        }
        let active = || dag.running.iter().chain(dag.queued.iter().map(|(_, key)| key));
        let unfinished = count(active().count());
        if definition.max_active_runs.room(unfinished) == 0 {
            let by = active().filter_map(|key| self.runs.get(key)).map(|run| run.row.run_id.clone());
            let (dag, limit) = (id.clone(), definition.max_active_runs);
            reasons.push(Blocker::RunsFull { dag, limit, active: unfinished, by: Few::of(by, unfinished) });
        }
        reasons.push(match (next_run, &definition.schedule) {
            (Some(next), _) => Blocker::NextRun { due: next.run_after, logical_date: next.logical_date },
            (None, Schedule::Never) => Blocker::NoSchedule { dag: id.clone() },
            (None, _) => Blocker::ScheduleOver { dag: id.clone(), schedule: dag.dag.timetable.summary().to_string() },
        });
        let (running, queued) = (count(dag.running.len()), count(dag.queued.len()));
        let explanation = DagExplanation { dag: id, at: now, running, queued, next_run, reasons };
        Ok(Reply::DagExplained { explanation: Box::new(explanation) })
    }

    /// What holds the task instance at this instant, and what held it before.
    pub fn explain(&self, now: Time, at: TaskRef) -> Explanation {
        let run = self.run(at.run);
        let row = &self.instance(at).row;
        Explanation {
            key: self.key(at),
            at: now,
            state: row.state,
            run_state: run.row.state,
            try_number: row.try_number.0,
            max_tries: row.max_tries,
            reasons: self.reasons(at),
            journal: self.waits(now, at),
        }
    }

    fn reasons(&self, at: TaskRef) -> Vec<Blocker> {
        let (run, instance) = (self.run(at.run), self.instance(at));
        let row = &instance.row;
        if row.state.is_finished() {
            return vec![Blocker::Finished { state: row.state, at: row.ended_at, note: row.note.clone() }];
        }
        let mut reasons = self.reasons_above(run);
        match row.state {
            TaskState::None => reasons.extend(self.before_scheduled(at)),
            TaskState::Scheduled => reasons.extend(self.before_admitted(at)),
            TaskState::Queued | TaskState::Running | TaskState::Restarting => {
                reasons.push(self.under_way(at));
            }
            TaskState::UpForRetry => {
                let due = row.next_try_at.unwrap_or(run.row.queued_at);
                reasons.push(Blocker::Retry { due, failed_try: row.try_number.0 });
            }
            TaskState::UpForReschedule => reasons.push(Blocker::Reschedule { due: row.next_try_at }),
            TaskState::Deferred => reasons.push(Blocker::Deferred),
            TaskState::AwaitingInput => reasons.push(Blocker::AwaitingInput),
            TaskState::Success
            | TaskState::Failed
            | TaskState::Skipped
            | TaskState::UpstreamFailed
            | TaskState::Removed => {}
        }
        reasons
    }

    /// What holds everything, the DAG and the run; a task that has begun goes on in spite of most of it.
    fn reasons_above(&self, run: &Run) -> Vec<Blocker> {
        let mut reasons = Vec::new();
        if self.is_momentary {
            reasons.push(Blocker::NoNode);
        } else if self.leaving {
            reasons.push(Blocker::Leaving);
        }
        let id = &run.row.dag_id;
        let Some(dag) = self.dags.get(id) else { return reasons };
        if dag.row.is_paused {
            reasons.push(Blocker::DagPaused { dag: id.clone() });
        }
        match run.row.state {
            RunState::Queued if run.row.backfill.is_some() => reasons.extend(self.before_backfill_starts(run)),
            RunState::Queued => {
                let running = dag.running.iter().filter_map(|key| self.runs.get(key));
                let entry = (run.row.run_after, run.row.key);
                let limit = dag.dag.definition.max_active_runs;
                if limit.room(count(dag.running.len())) == 0 {
                    reasons.push(Blocker::RunQueued {
                        dag: id.clone(),
                        limit,
                        running: Few::of(running.map(|run| run.row.run_id.clone()), count(dag.running.len())),
                        ahead: count(dag.queued.range(..entry).count()),
                    });
                }
            }
            RunState::Running => {}
            RunState::Success | RunState::Failed => reasons.push(Blocker::RunEnded { state: run.row.state }),
        }
        reasons
    }

    /// Runs of a backfill wait for its places, and not for those of their DAG.
    fn before_backfill_starts(&self, run: &Run) -> Option<Blocker> {
        let place = run.row.backfill?;
        let backfill = self.backfills.get(&place.backfill)?;
        if backfill.row.is_paused {
            return Some(Blocker::BackfillPaused { backfill: place.backfill });
        }
        let running = backfill.running.iter().filter_map(|key| self.runs.get(key)).map(|run| run.row.run_id.clone());
        Some(Blocker::BackfillQueued {
            backfill: place.backfill,
            limit: backfill.row.request.max_active_runs.get(),
            running: Few::of(running, count(backfill.running.len())),
            ahead: count(backfill.queued.range(..(place.ordinal, run.row.key)).count()),
        })
    }

    /// Dependencies that are not met: upstream, setups, the run before.
    fn before_scheduled(&self, at: TaskRef) -> Vec<Blocker> {
        let (run, instance) = (self.run(at.run), self.instance(at));
        let mut reasons = Vec::new();
        let counts = run.upstreams(at);
        let unfinished = unfinished(run, run.dag.upstream(at.task), &counts.upstreams);
        if unfinished.total > 0 {
            let rule = run.dag.task(at.task).trigger_rule;
            reasons.push(Blocker::Upstreams { rule, total: counts.upstreams.total, unfinished });
        }
        let unfinished = self::unfinished(run, run.dag.setups().indirect(at.task), &counts.setups);
        if unfinished.total > 0 {
            reasons.push(Blocker::Setups { unfinished });
        }
        match self.past(at) {
            Some(PastVerdict::Waits(why)) => reasons.push(Blocker::Past { why }),
            // Whoever is held and not by the run before still waits for what the store says of it.
            Some(PastVerdict::AskWhetherFirst | PastVerdict::Met) | None if instance.held => {
                reasons.push(Blocker::PastUnknown);
            }
            Some(PastVerdict::AskWhetherFirst | PastVerdict::Met) | None => {}
        }
        if reasons.is_empty() && run.row.state == RunState::Running {
            let rule = run.dag.task(at.task).trigger_rule;
            let is_mapped = at.map == MapIndex::UNMAPPED && run.dag.mapping.of_task(at.task).is_some();
            reasons.push(if is_mapped { Blocker::Unexpanded } else { Blocker::RuleUnmet { rule } });
        }
        reasons
    }

    /// Whatever the admission would meet if it looked now.
    fn before_admitted(&self, at: TaskRef) -> Vec<Blocker> {
        let Some(rank) = self.instance(at).rank else { return Vec::new() };
        let holds = self.holds(at);
        let mut reasons: Vec<Blocker> = self
            .admission
            .constraints(&holds)
            .filter_map(|constraint| self.at_constraint(at, &holds, rank, &constraint))
            .collect();
        match self.stopped() {
            Stopped::Parallelism => {
                let Standing { limit, taken, holders } = self.admission.total();
                reasons.push(Blocker::Parallelism {
                    limit: limit.unwrap_or(Limit::Unlimited),
                    taken,
                    by: self.holders(holders.iter(), holders.len()),
                    ahead: self.admission.ahead_of_all(rank),
                });
            }
            Stopped::NoFreeSlot => {
                let (workers, taken) =
                    self.workers_here().fold((0, 0), |(n, taken), worker| (n + 1, taken + worker.owned.len()));
                let ahead = self.admission.ahead_of_all(rank);
                reasons.push(Blocker::NoFreeSlot { workers, taken: count(taken), ahead });
            }
            // Said once, above: without a node there is no worker either.
            Stopped::NoWorker if self.is_momentary => {}
            Stopped::NoWorker => reasons.push(Blocker::NoWorker),
            Stopped::Leaving | Stopped::No => {}
        }
        if reasons.is_empty() && self.admission.is_open(&holds) {
            reasons.push(Blocker::Unclaimed { since: self.instance(at).row.scheduled_at });
        }
        reasons
    }

    fn at_constraint(&self, at: TaskRef, holds: &Holds, rank: Rank, constraint: &Constraint) -> Option<Blocker> {
        let found = self.admission.standing(constraint);
        let taken = found.as_ref().map_or(0, |found| found.taken);
        let limit = found.as_ref().and_then(|found| found.limit);
        let by = found.map_or(Few { shown: Vec::new(), total: 0 }, |found| {
            self.holders(found.holders.iter(), found.holders.len())
        });
        let ahead = self.admission.ahead_at(constraint, rank);
        match constraint {
            // Said once, for the run.
            Constraint::Paused(_) => None,
            Constraint::Pool(pool) => Some(match (self.pools.contains_key(pool), limit) {
                (false, _) => {
                    let meant = suggestion(pool.as_str(), self.pools.keys().map(|pool| pool.as_str()));
                    Blocker::PoolUnknown { pool: pool.clone(), meant }
                }
                (true, None) => Blocker::PoolClosed { pool: pool.clone() },
                (true, Some(limit)) if limit.room(0) < holds.pool_slots => {
                    Blocker::PoolTooSmall { pool: pool.clone(), slots: limit.room(0), wants: holds.pool_slots }
                }
                (true, Some(limit)) => {
                    Blocker::Pool { pool: pool.clone(), limit, taken, wants: holds.pool_slots, by, ahead }
                }
            }),
            Constraint::Scope(scope) => {
                let (limit, run) = (limit.unwrap_or(Limit::Unlimited), &self.run(at.run).row);
                let dag = run.dag_id.clone();
                Some(match scope {
                    Scope::Dag(_) => Blocker::MaxActiveTasks { dag, run: None, limit, taken, by, ahead },
                    Scope::Run(_) => {
                        Blocker::MaxActiveTasks { dag, run: Some(run.run_id.clone()), limit, taken, by, ahead }
                    }
                    Scope::Task(_, task) | Scope::TaskOfRun(_, task) => {
                        Blocker::MaxActiveTis { task: task.clone(), limit, taken, by, ahead }
                    }
                })
            }
            Constraint::Queue(queue) => Some(self.nobody_takes(queue).unwrap_or_else(|| Blocker::QueueFull {
                queue: queue.clone(),
                limit: limit.unwrap_or(Limit::Unlimited),
                unclaimed: taken,
                ahead,
            })),
        }
    }

    /// Why a task queue is not filled at all.
    fn nobody_takes(&self, queue: &QueueName) -> Option<Blocker> {
        match self.queues.get(queue).map_or((0, 0), TaskQueue::takers) {
            (0, _) => Some(Blocker::NoWorkerForQueue { queue: queue.clone() }),
            (workers, 0) => Some(Blocker::WorkersTooOld { queue: queue.clone(), workers: count(workers) }),
            (_, _) => None,
        }
    }

    fn holders<'a>(&self, holders: impl Iterator<Item = &'a TaskRef>, total: usize) -> Few<Holder> {
        let holder = |at: &TaskRef| {
            let row = &self.instance(*at).row;
            Holder { key: self.key(*at), state: row.state, since: row.started_at, slots: row.pool_slots }
        };
        Few::of(holders.map(holder), count(total))
    }

    /// It has its places; its attempt says how far it is.
    fn under_way(&self, at: TaskRef) -> Blocker {
        let instance = self.instance(at);
        let row = &instance.row;
        match instance.attempt.as_ref().map(|attempt| attempt.state) {
            Some(AttemptState::Ending { wish, .. }) => Blocker::Stopping { why: wish.into() },
            Some(AttemptState::Run { claim, .. }) => {
                let worker = self.workers.get(&claim.worker).map(|worker| worker.row.name.clone());
                Blocker::Running { since: row.started_at, worker, pid: row.pid }
            }
            Some(AttemptState::Queued { .. } | AttemptState::Done { .. }) | None => {
                if self.is_momentary {
                    return Blocker::Unclaimed { since: row.queued_at };
                }
                if self.workers_here().next().is_none() {
                    return Blocker::NoWorker;
                }
                let of_queue = (self.settings.grant == Grant::ByClaim).then(|| self.nobody_takes(&self.queue_of(at)));
                of_queue.flatten().unwrap_or(Blocker::Unclaimed { since: row.queued_at })
            }
        }
    }

    /// What held it, from what its rows say and from its journal.
    fn waits(&self, now: Time, at: TaskRef) -> Vec<Stretch> {
        let (run, instance) = (self.run(at.run), self.instance(at));
        let row = &instance.row;
        let mut waits = Journal::default();
        let started = run.row.started_at.or((run.row.state == RunState::Queued).then_some(now));
        if let Some(started) = started {
            waits.push(Stretch { from: run.row.queued_at, to: started, held: Held::RunQueued });
        }
        if let Some((from, (to, task))) = run.row.started_at.zip(self.last_upstream(at)) {
            waits.push(Stretch { from, to, held: Held::Upstream { task } });
        }
        waits.extend(row.journal.stretches().iter().cloned());
        match row.state {
            TaskState::Scheduled => {
                let so_far = instance.rank.map(|rank| self.admission.held_so_far(rank, &self.holds(at)));
                waits.extend(so_far.into_iter().flatten());
            }
            TaskState::UpForRetry => {
                waits.extend(row.ended_at.map(|from| Stretch { from, to: now, held: Held::Retry }));
            }
            TaskState::UpForReschedule | TaskState::Deferred => waits.extend(waited(row, now)),
            TaskState::None
            | TaskState::Queued
            | TaskState::Running
            | TaskState::Restarting
            | TaskState::Success
            | TaskState::Failed
            | TaskState::Skipped
            | TaskState::UpstreamFailed
            | TaskState::Removed
            | TaskState::AwaitingInput => {}
        }
        if let Some(from) = row.queued_at {
            let to = row.started_at.unwrap_or(now);
            waits.push(Stretch { from, to, held: Held::Unclaimed });
        }
        waits.stretches().to_vec()
    }

    /// The direct upstream that ended last, where that was before the first try began.
    fn last_upstream(&self, at: TaskRef) -> Option<(Time, TaskId)> {
        let (run, row) = (self.run(at.run), &self.instance(at).row);
        let begun =
            row.journal.stretches().first().map(|stretch| stretch.from).into_iter().chain(row.scheduled_at).min()?;
        let upstreams = run.dag.upstream(at.task).iter().flat_map(|up| run.places_of(*up));
        let ends = upstreams.filter_map(|up| {
            let upstream = &run.instance(up).row;
            Some((upstream.ended_at?, upstream.task_id.clone()))
        });
        ends.filter(|(ended, _)| *ended <= begun).max()
    }
}

/// Those of `tasks` that are not finished; how many they are is counted already.
fn unfinished(run: &Run, tasks: &[TaskIx], counts: &UpstreamCounts) -> Few<Upstream> {
    let states = tasks.iter().flat_map(|task| run.places_of(*task)).map(|up| Upstream {
        task: run.dag.task(up.task).task_id.clone(),
        map_index: up.map,
        state: run.instance(up).row.state,
    });
    Few::of(states.filter(|up| !up.state.is_finished()), counts.total.saturating_sub(counts.done()))
}
