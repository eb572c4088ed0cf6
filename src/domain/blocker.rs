//! Why not now: what holds a task instance at this instant, each reason a value
//! with its sentence and, where somebody can do something, a hint.
//!
//! The scheduler finds the reasons by asking the admission that really decides;
//! this file only says which there are. A new reason is a variant here, and an
//! arm in [`Blocker::sentence`] and [`Blocker::hint`].

use std::fmt::Display;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attempt::Wish;
use super::ids::{BackfillId, DagId, MapIndex, PoolName, QueueName, RunId, TaskId, TaskKey};
use super::limit::Limit;
use super::past::PastReason;
use super::state::{RunState, TaskState};
use super::time::{Time, until};
use super::trigger::TriggerRule;

/// As many are named of those who hold a limit or are waited for.
pub const FEW: usize = 8;

/// What holds a task instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Blocker {
    /// Nobody schedules in this home.
    NoNode,
    /// The node is leaving and hands out nothing new.
    Leaving,
    DagPaused {
        dag: DagId,
    },
    /// Its file is gone, or no longer defines it.
    DagGone {
        dag: DagId,
        file: String,
    },
    /// Only a user makes runs.
    NoSchedule {
        dag: DagId,
    },
    /// The timetable has come to its end.
    ScheduleOver {
        dag: DagId,
        schedule: String,
    },
    /// Nothing but the time: the next run is due then.
    NextRun {
        due: Time,
        logical_date: Time,
    },
    /// As many runs are unfinished as `max_active_runs` allows, so none is made.
    RunsFull {
        dag: DagId,
        limit: Limit,
        active: u32,
        by: Few<RunId>,
    },
    /// The run waits for its place under `max_active_runs`.
    /// The run is one of a backfill that is paused.
    BackfillPaused {
        backfill: BackfillId,
    },
    /// The run is one of a backfill that has as many running as it may.
    BackfillQueued {
        backfill: BackfillId,
        limit: u32,
        running: Few<RunId>,
        ahead: u32,
    },
    RunQueued {
        dag: DagId,
        limit: Limit,
        running: Few<RunId>,
        ahead: u32,
    },
    /// The run is over and the task instance is not: it was cleared without its run.
    RunEnded {
        state: RunState,
    },
    /// Direct upstreams are not yet as the rule wants them.
    Upstreams {
        rule: TriggerRule,
        total: u32,
        unfinished: Few<Upstream>,
    },
    /// Setups that it needs although they are not directly upstream.
    Setups {
        unfinished: Few<Upstream>,
    },
    /// `depends_on_past` or `wait_for_downstream`.
    Past {
        why: PastReason,
    },
    /// Which run is the one before is being looked up.
    PastUnknown,
    /// Every upstream has ended, and not as the rule wants it.
    RuleUnmet {
        rule: TriggerRule,
    },
    /// How many instances it becomes is not known yet.
    Unexpanded,
    /// The last try failed; the next one is due then.
    Retry {
        due: Time,
        failed_try: i32,
    },
    /// A sensor looks again.
    Reschedule {
        due: Option<Time>,
    },
    /// A trigger waits on its behalf.
    Deferred,
    /// A person is asked.
    AwaitingInput,
    Pool {
        pool: PoolName,
        limit: Limit,
        taken: u32,
        wants: u32,
        by: Few<Holder>,
        ahead: Ahead,
    },
    PoolUnknown {
        pool: PoolName,
        meant: Option<String>,
    },
    /// The pool was set to 0 slots.
    PoolClosed {
        pool: PoolName,
    },
    /// The task wants more slots than the pool has.
    PoolTooSmall {
        pool: PoolName,
        slots: u32,
        wants: u32,
    },
    /// `max_active_tasks`; `run` where it counts for each run by itself.
    MaxActiveTasks {
        dag: DagId,
        run: Option<RunId>,
        limit: Limit,
        taken: u32,
        by: Few<Holder>,
        ahead: Ahead,
    },
    /// `max_active_tis_per_dag`.
    MaxActiveTis {
        task: TaskId,
        limit: Limit,
        taken: u32,
        by: Few<Holder>,
        ahead: Ahead,
    },
    /// `[core] parallelism`.
    Parallelism {
        limit: Limit,
        taken: u32,
        by: Few<Holder>,
        ahead: Ahead,
    },
    NoWorker,
    NoWorkerForQueue {
        queue: QueueName,
    },
    /// Whoever takes work from the queue understands only messages of an older version.
    WorkersTooOld {
        queue: QueueName,
        workers: u32,
    },
    /// So much of the queue is published ahead of its workers that no more is.
    QueueFull {
        queue: QueueName,
        limit: Limit,
        unclaimed: u32,
        ahead: Ahead,
    },
    NoFreeSlot {
        workers: u32,
        taken: u32,
        ahead: Ahead,
    },
    /// It has its places and was published; no slot has started it yet.
    Unclaimed {
        since: Option<Time>,
    },
    /// It runs.
    Running {
        since: Option<Time>,
        worker: Option<String>,
        pid: Option<u32>,
    },
    /// It is told to stop.
    Stopping {
        why: Stop,
    },
    /// Nothing more happens to it by itself.
    Finished {
        state: TaskState,
        at: Option<Time>,
        note: Option<String>,
    },
}

/// Why a running task is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    Cleared,
    Marked,
    RunEnded,
    FailedFast,
}

impl From<Wish> for Stop {
    fn from(wish: Wish) -> Self {
        match wish {
            Wish::Clear => Self::Cleared,
            Wish::Mark { .. } => Self::Marked,
            Wish::Abandon => Self::RunEnded,
            Wish::FailFast => Self::FailedFast,
        }
    }
}

/// The first few of many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Few<T> {
    pub shown: Vec<T>,
    /// How many there are with those that are not shown.
    pub total: u32,
}

impl<T> Few<T> {
    /// Takes no more than it shows.
    pub fn of(all: impl Iterator<Item = T>, total: u32) -> Self {
        Self { shown: all.take(FEW).collect(), total }
    }

    fn list(&self, word: impl Fn(&T) -> String) -> String {
        let mut words: Vec<String> = self.shown.iter().map(word).collect();
        let more = self.total.saturating_sub(u32::try_from(words.len()).unwrap_or(u32::MAX));
        if more > 0 {
            words.push(format!("{more} more"));
        }
        words.join(", ")
    }
}

/// A direct upstream task instance that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    pub task: TaskId,
    pub map_index: MapIndex,
    pub state: TaskState,
}

impl Upstream {
    fn name(&self) -> String {
        match self.map_index {
            MapIndex::UNMAPPED => self.task.to_string(),
            index => format!("{} [{index}]", self.task),
        }
    }
}

/// Who holds a place under a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub key: TaskKey,
    pub state: TaskState,
    /// Since when it runs.
    pub since: Option<Time>,
    /// How many slots of a pool it takes.
    pub slots: u32,
}

/// How many wait for the same and come before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ahead {
    pub tasks: u32,
    /// Counting stopped there.
    pub or_more: bool,
}

impl Ahead {
    fn clause(self) -> String {
        match (self.tasks, self.or_more) {
            (0, false) => "it is the next in line".to_owned(),
            (1, false) => "1 task is ahead of it".to_owned(),
            (n, false) => format!("{n} tasks are ahead of it"),
            (n, true) => format!("more than {n} tasks are ahead of it"),
        }
    }
}

impl Blocker {
    /// One sentence for people, without a full stop. Lengths of time are counted from `now`.
    pub fn sentence(&self, now: Time) -> String {
        match self {
            Self::NoNode => "no node is running: nothing is scheduled in this home".to_owned(),
            Self::Leaving => "the node is leaving: it finishes what runs and starts nothing more".to_owned(),
            Self::DagPaused { dag } => format!("DAG `{dag}` is paused"),
            Self::DagGone { file, .. } => format!("its file {file} is gone, or no longer defines it"),
            Self::NoSchedule { .. } => "it has no schedule: a run is made when somebody asks for one".to_owned(),
            Self::ScheduleOver { schedule, .. } => format!("its schedule ({schedule}) makes no further run"),
            Self::NextRun { due, logical_date } => {
                let date = logical_date.format("%Y-%m-%d %H:%M:%S UTC");
                format!("the next run (logical date {date}) is due {}", when(now, *due))
            }
            Self::RunsFull { limit, active, by, .. } => {
                let by = by.list(|run| format!("`{run}`"));
                format!("max_active_runs is reached: {active} of {limit} runs are unfinished ({by})")
            }
            Self::BackfillPaused { backfill } => format!("the run waits: its backfill {backfill} is paused"),
            Self::BackfillQueued { backfill, limit, running, ahead } => {
                let by = running.list(|run| format!("`{run}`"));
                format!(
                    "the run is queued: backfill {backfill} has {} of {limit} runs running ({by}); {}",
                    running.total,
                    in_line(*ahead)
                )
            }
            Self::RunQueued { limit, running, ahead, .. } => {
                let line = in_line(*ahead);
                let by = running.list(|run| format!("`{run}`"));
                format!(
                    "the run is queued: max_active_runs is reached ({} of {limit} run: {by}); {line}",
                    running.total
                )
            }
            Self::RunEnded { state } => {
                format!("the run is over ({state}), and the task was cleared without it")
            }
            Self::Upstreams { rule, total, unfinished } => {
                let list = unfinished.list(|up| format!("`{}` is {}", up.name(), word(up.state)));
                format!(
                    "waits for {} of {total} upstream {} ({rule}): {list}",
                    unfinished.total,
                    plural(*total, "task")
                )
            }
            Self::Setups { unfinished } => {
                let list = unfinished.list(|up| format!("`{}` is {}", up.name(), word(up.state)));
                format!("waits for {} of its setups: {list}", unfinished.total)
            }
            Self::Past { why } => why.sentence().to_owned(),
            Self::PastUnknown => "it waits for the run before, which is being looked up".to_owned(),
            Self::RuleUnmet { rule } => format!("its upstream tasks have ended, and not as its rule {rule} wants it"),
            Self::Unexpanded => "it is mapped, and the values to expand it over are not there yet".to_owned(),
            Self::Retry { due, failed_try } => {
                format!("try {failed_try} failed; the next one is due {}", when(now, *due))
            }
            Self::Reschedule { due: Some(due) } => format!("looks again {}", when(now, *due)),
            Self::Reschedule { due: None } => "waits until it looks again".to_owned(),
            Self::Deferred => "deferred: its trigger has not fired yet".to_owned(),
            Self::AwaitingInput => "waits for a person's answer".to_owned(),
            Self::Pool { pool, limit, taken, wants, by, ahead } => {
                let wanted = if *wants > 1 { format!(", and it wants {wants}") } else { String::new() };
                let by = by.list(|holder| holder.words(now));
                format!(
                    "pool `{pool}` is full: {taken} of {limit} slots are taken{wanted}; {} (taken by {by})",
                    ahead.clause()
                )
            }
            Self::PoolUnknown { pool, .. } => format!("there is no pool `{pool}`, so it will never start"),
            Self::PoolClosed { pool } => format!("pool `{pool}` is closed: it has 0 slots"),
            Self::PoolTooSmall { pool, slots, wants } => {
                format!("it wants {wants} slots and pool `{pool}` has only {slots}, so it will never start")
            }
            Self::MaxActiveTasks { dag, run, limit, taken, by, ahead } => {
                let whose = run.as_ref().map_or_else(|| format!("DAG `{dag}`"), |run| format!("run `{run}`"));
                limit_sentence(&format!("max_active_tasks of {whose}"), *limit, *taken, by, *ahead, now)
            }
            Self::MaxActiveTis { task, limit, taken, by, ahead } => {
                limit_sentence(&format!("max_active_tis_per_dag of task `{task}`"), *limit, *taken, by, *ahead, now)
            }
            Self::Parallelism { limit, taken, by, ahead } => {
                limit_sentence("[core] parallelism", *limit, *taken, by, *ahead, now)
            }
            Self::NoWorker => "no worker is online".to_owned(),
            Self::NoWorkerForQueue { queue } => format!("no worker takes work from queue `{queue}`"),
            Self::WorkersTooOld { queue, workers } => {
                let who = match workers {
                    1 => format!("the worker of queue `{queue}` understands"),
                    n => format!("all {n} workers of queue `{queue}` understand"),
                };
                format!("{who} only messages of an older version")
            }
            Self::QueueFull { queue, limit, unclaimed, ahead } => {
                let line = ahead.clause();
                format!("the queue `{queue}` has its window full: {unclaimed} of {limit} wait there for a slot; {line}")
            }
            Self::NoFreeSlot { workers, taken, ahead } => {
                let whose = if *workers == 1 { "of the worker".to_owned() } else { format!("of {workers} workers") };
                format!("every slot {whose} is taken ({taken} run); {}", ahead.clause())
            }
            Self::Unclaimed { since } => {
                format!("it has its places and waits for a slot to start it{}", since_clause(now, *since))
            }
            Self::Running { since, worker, pid } => {
                let whose = worker.as_ref().map(|worker| format!(" on {worker}")).unwrap_or_default();
                let pid = pid.map(|pid| format!(", process {pid}")).unwrap_or_default();
                format!("it runs{whose}{pid}{}", since_clause(now, *since))
            }
            Self::Stopping { why } => {
                let why = match why {
                    Stop::Cleared => "it was cleared, and starts again when its process has ended",
                    Stop::Marked => "somebody marked it, which counts when its process has ended",
                    Stop::RunEnded => "its run ended without it",
                    Stop::FailedFast => "another task of the run failed (fail_fast)",
                };
                format!("it is being stopped: {why}")
            }
            Self::Finished { state, at, note } => {
                let at = at.map(|at| format!(" at {}", at.format("%Y-%m-%d %H:%M:%S UTC"))).unwrap_or_default();
                let note = note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
                format!("nothing holds it: it ended as {state}{at}{note}")
            }
        }
    }

    /// What somebody may do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoNode => Some("`updraft standalone` or `updraft scheduler` starts one".to_owned()),
            Self::DagPaused { dag } => Some(format!("`updraft dags unpause {dag}` lets it go on")),
            Self::RunEnded { .. } => Some("`updraft tasks clear` clears it together with its run".to_owned()),
            Self::Upstreams { unfinished, .. } => {
                let first = unfinished.shown.first().filter(|up| !is_under_way(up.state))?;
                Some(format!("ask the same about `{}` to see what holds that", first.task))
            }
            Self::Pool { pool, .. } | Self::PoolClosed { pool } => {
                Some(format!("`updraft pools set {} SLOTS DESCRIPTION` changes it at once", quoted(pool)))
            }
            Self::PoolUnknown { pool, meant } => Some(
                meant.clone().unwrap_or_else(|| format!("`updraft pools set {} 8 DESCRIPTION` makes it", quoted(pool))),
            ),
            Self::PoolTooSmall { pool, wants, .. } => Some(format!(
                "lower the task's pool_slots, or `updraft pools set {} {wants} DESCRIPTION`",
                quoted(pool)
            )),
            Self::MaxActiveTasks { .. } => {
                Some("the DAG's max_active_tasks, or [core] max_active_tasks_per_dag, sets it".to_owned())
            }
            Self::NoSchedule { dag } => Some(format!("`updraft dags trigger {dag}` asks for one")),
            Self::DagGone { .. } => Some("`updraft dags list-import-errors` shows files with mistakes".to_owned()),
            Self::BackfillPaused { backfill } => Some(format!("let it go on: `updraft backfill unpause {backfill}`")),
            Self::BackfillQueued { .. } => Some("the backfill's `--max-active-runs` sets it".to_owned()),
            Self::RunQueued { .. } | Self::RunsFull { .. } => {
                Some("the DAG's max_active_runs, or [core] max_active_runs_per_dag, sets it".to_owned())
            }
            Self::NoWorkerForQueue { queue } => {
                Some(format!("start a worker that listens to `{queue}`, or change the task's queue"))
            }
            Self::WorkersTooOld { queue, .. } => Some(format!("upgrade the workers that listen to `{queue}`")),
            Self::QueueFull { queue, .. } => Some(format!("more slots for queue `{queue}` take it sooner")),
            Self::Past { .. } => {
                Some("see the same task in the run before; cleared or marked there, it goes on here".to_owned())
            }
            Self::Leaving
            | Self::Setups { .. }
            | Self::PastUnknown
            | Self::RuleUnmet { .. }
            | Self::Unexpanded
            | Self::ScheduleOver { .. }
            | Self::NextRun { .. }
            | Self::Retry { .. }
            | Self::Reschedule { .. }
            | Self::Deferred
            | Self::AwaitingInput
            | Self::MaxActiveTis { .. }
            | Self::Parallelism { .. }
            | Self::NoWorker
            | Self::NoFreeSlot { .. }
            | Self::Unclaimed { .. }
            | Self::Running { .. }
            | Self::Stopping { .. }
            | Self::Finished { .. } => None,
        }
    }
}

impl Holder {
    fn words(&self, now: Time) -> String {
        let since = self.since.map(|since| format!(" for {}", length(until(since, now)))).unwrap_or_default();
        let slots = if self.slots > 1 { format!(" with {} slots", self.slots) } else { String::new() };
        format!("{} {}{since}{slots}", self.key, word(self.state))
    }
}

fn limit_sentence(what: &str, limit: Limit, taken: u32, by: &Few<Holder>, ahead: Ahead, now: Time) -> String {
    let by = by.list(|holder| holder.words(now));
    format!("{what} is reached: {taken} of {limit}; {} (taken by {by})", ahead.clause())
}

/// Whether looking at it says more than its state does.
fn is_under_way(state: TaskState) -> bool {
    state == TaskState::Running || state.is_finished()
}

fn word(state: TaskState) -> &'static str {
    match state {
        TaskState::None => "waiting",
        other => other.as_str(),
    }
}

fn plural(n: u32, noun: &str) -> String {
    if n == 1 { noun.to_owned() } else { format!("{noun}s") }
}

fn quoted(pool: &PoolName) -> String {
    let is_plain = pool.as_str().chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if is_plain { pool.to_string() } else { format!("'{pool}'") }
}

fn when(now: Time, due: Time) -> String {
    let is_near = (due - now).num_hours().abs() < 24;
    let at = due.format(if is_near { "%H:%M:%S UTC" } else { "%Y-%m-%d %H:%M:%S UTC" });
    match until(now, due) {
        Duration::ZERO => format!("now (at {at})"),
        left => format!("in {} (at {at})", length(left)),
    }
}

fn since_clause(now: Time, since: Option<Time>) -> String {
    since.map(|since| format!(", since {}", length(until(since, now)))).unwrap_or_default()
}

/// A length of time in one or two units: `40 s`, `3 min 5 s`, `2 h 1 min`.
pub fn length(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    let two = |a: u64, one: &dyn Display, b: u64, other: &dyn Display| match b {
        0 => format!("{a} {one}"),
        b => format!("{a} {one} {b} {other}"),
    };
    match seconds {
        0 if millis == 0 => "0 s".to_owned(),
        0 => format!("{millis} ms"),
        1..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, &"min", seconds % 60, &"s"),
        3_600..86_400 => two(seconds / 3_600, &"h", seconds / 60 % 60, &"min"),
        86_400.. => two(seconds / 86_400, &"d", seconds / 3_600 % 24, &"h"),
    }
}

fn in_line(ahead: u32) -> String {
    match ahead {
        0 => "it is the next in line".to_owned(),
        1 => "1 run is ahead of it".to_owned(),
        n => format!("{n} runs are ahead of it"),
    }
}

#[cfg(test)]
mod tests;
