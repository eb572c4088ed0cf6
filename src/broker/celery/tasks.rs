//! The tasks that a worker holds, as Celery's viewers count them: reserved, active, and how many of each name there were.
//!
//! A task is shown from its start on: what was claimed and refused here was another worker's.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::event::TaskEvent;
use super::python;
use super::view::TaskView;
use crate::domain::attempt::Outcome;
use crate::domain::ids::{AttemptId, Claim, MapIndex, TaskKey};
use crate::domain::time::Time;

/// Names beyond these are counted together: a worker lives long, and everybody who asks gets the whole list.
const MOST_NAMES: usize = 1_000;

const OTHERS: &str = "(others)";

/// A task that is held.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Task {
    pub(super) view: TaskView,
    received_at: Time,
    /// Viewers have heard of it.
    is_announced: bool,
    pub(super) running: Option<Running>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Running {
    pub(super) pid: u32,
    pub(super) since: Time,
}

/// An event of a task, ready to be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Happened {
    pub(super) attempt: AttemptId,
    pub(super) event: TaskEvent,
    pub(super) at: Time,
}

#[derive(Debug, Default)]
pub(super) struct Tasks {
    held: BTreeMap<Claim, Task>,
    totals: BTreeMap<String, u64>,
    processed: u64,
}

/// How viewers know a task: its DAG and its own name.
pub(super) fn name(key: &TaskKey) -> String {
    format!("{}.{}", key.dag, key.task)
}

impl Task {
    /// DAG, task, run, try, and the index of a mapped one: who it is, and nothing of what it was given.
    pub(super) fn args(&self) -> Vec<serde_json::Value> {
        let key = &self.view.key;
        let mut args = vec![
            key.dag.as_str().into(),
            key.task.as_str().into(),
            key.run.as_str().into(),
            self.view.try_number.into(),
        ];
        if key.map_index != MapIndex::UNMAPPED {
            args.push(key.map_index.0.into());
        }
        args
    }

    pub(super) fn args_repr(&self) -> String {
        let written = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), python::repr);
        python::tuple(&self.args().iter().map(written).collect::<Vec<_>>())
    }

    /// What viewers must have heard before anything else of it.
    fn introduced(&mut self) -> Vec<Happened> {
        if std::mem::replace(&mut self.is_announced, true) {
            return Vec::new();
        }
        let (name, args) = (name(&self.view.key), self.args_repr());
        let event = TaskEvent::Received { name, args, retries: (self.view.try_number - 1).max(0) };
        let mut said = vec![self.happened(event, self.received_at)];
        said.extend(self.running.map(|running| self.happened(TaskEvent::Started, running.since)));
        said
    }

    fn happened(&self, event: TaskEvent, at: Time) -> Happened {
        Happened { attempt: self.view.attempt, event, at }
    }
}

impl Tasks {
    pub(super) fn active(&self) -> impl Iterator<Item = (&Task, Running)> {
        self.held.values().filter_map(|task| Some((task, task.running?)))
    }

    pub(super) fn reserved(&self) -> impl Iterator<Item = &Task> {
        self.held.values().filter(|task| task.running.is_none())
    }

    /// By the id that viewers know it by.
    pub(super) fn of_attempt(&self, attempt: &str) -> Option<&Task> {
        let attempt = AttemptId(Uuid::parse_str(attempt).ok()?);
        self.held.values().find(|task| task.view.attempt == attempt)
    }

    pub(super) fn processed(&self) -> u64 {
        self.processed
    }

    pub(super) fn totals(&self) -> &BTreeMap<String, u64> {
        &self.totals
    }

    pub(super) fn received(&mut self, view: TaskView, at: Time) {
        let task = Task { view, received_at: at, is_announced: false, running: None };
        self.held.entry(task.view.claim).or_insert(task);
    }

    pub(super) fn started(&mut self, claim: Claim, pid: u32, at: Time) -> Vec<Happened> {
        let Some(task) = self.held.get_mut(&claim).filter(|task| task.running.is_none()) else { return Vec::new() };
        task.running = Some(Running { pid, since: at });
        task.introduced()
    }

    /// A viewer begins to look: it hears of what runs, whoever heard of it before.
    pub(super) fn introduce_running(&mut self) -> Vec<Happened> {
        let running = self.held.values_mut().filter(|task| task.running.is_some());
        running
            .flat_map(|task| {
                task.is_announced = false;
                task.introduced()
            })
            .collect()
    }

    pub(super) fn ended(
        &mut self,
        claim: Claim,
        (outcome, exit_code): (Outcome, Option<i32>),
        started_at: Option<Time>,
        ended_at: Time,
    ) -> Vec<Happened> {
        // A report is said until it is settled, and viewers count every word.
        let Some(mut task) = self.held.remove(&claim) else { return Vec::new() };
        task.running = task.running.or(started_at.map(|since| Running { pid: 0, since }));
        self.count(&task);
        let runtime = started_at.map_or(0.0, |since| (ended_at - since).as_seconds_f64().max(0.0));
        let mut said = task.introduced();
        said.push(task.happened(end(outcome, exit_code, runtime, task.view.has_more_tries), ended_at));
        said
    }

    pub(super) fn given_back(&mut self, claim: Claim, at: Time) -> Vec<Happened> {
        match self.held.remove(&claim) {
            Some(task) if task.is_announced => vec![task.happened(TaskEvent::Rejected, at)],
            Some(_) | None => Vec::new(),
        }
    }

    /// The worker says which claims it holds: those that never ran and are not among them were refused.
    pub(super) fn keep(&mut self, held: &[Claim]) {
        self.held.retain(|claim, task| task.running.is_some() || held.contains(claim));
    }

    /// A new life: whatever the one before held is gone.
    pub(super) fn all_gone(&mut self, at: Time) -> Vec<Happened> {
        let gone = std::mem::take(&mut self.held);
        let ran = gone.into_values().filter(|task| task.running.is_some());
        let mut said = Vec::new();
        for mut task in ran {
            self.count(&task);
            said.extend(task.introduced());
            said.push(task.happened(TaskEvent::Revoked, at));
        }
        said
    }

    fn count(&mut self, task: &Task) {
        self.processed += 1;
        let name = name(&task.view.key);
        let is_known = self.totals.contains_key(&name) || self.totals.len() < MOST_NAMES;
        *self.totals.entry(if is_known { name } else { OTHERS.to_owned() }).or_default() += 1;
    }
}

/// How an end is called at Celery. What an exception said stays here: it may hold what nobody else shall read.
fn end(outcome: Outcome, exit_code: Option<i32>, runtime: f64, has_more_tries: bool) -> TaskEvent {
    let failed = |retryable: bool, what: &str, why: String| {
        let exception = format!("{what}({})", python::repr(&why));
        if retryable && has_more_tries { TaskEvent::Retried { exception } } else { TaskEvent::Failed { exception } }
    };
    match outcome {
        Outcome::Success | Outcome::Skipped | Outcome::Rescheduled | Outcome::Deferred => {
            TaskEvent::Succeeded { result: python::repr(outcome.as_str()), runtime }
        }
        Outcome::Failed { retryable } => {
            let why =
                exit_code.map_or_else(|| "see its log".to_owned(), |code| format!("exit code {code}, see its log"));
            failed(retryable, "TaskFailed", why)
        }
        Outcome::TimedOut => failed(true, "TaskTimedOut", "it ran longer than execution_timeout".to_owned()),
        Outcome::NeverStarted | Outcome::Undeliverable => failed(false, "TaskNeverStarted", "see its log".to_owned()),
        Outcome::Killed | Outcome::Fenced | Outcome::Lost => TaskEvent::Revoked,
    }
}
