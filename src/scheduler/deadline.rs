//! Deadlines of runs, as Airflow 3.1 counts them: made with the run, met when it succeeds, missed when their time has
//! come before that. A run that failed has not met them. Missing one ends nothing and is told once.

use std::sync::Arc;

use crate::domain::deadline::{DeadlineState, Reference};
use crate::domain::graph::Dag;
use crate::domain::ids::RunKey;
use crate::domain::notification::{About, MissedDeadline, Occasion};
use crate::domain::state::RunState;
use crate::domain::time::{Time, to_micros};
use crate::protocol::event::Change;
use crate::store::write::{DeadlineRow, RunRow, Write};

use super::core::{Core, Effect};
use super::notify::Owed;
use super::timers::Timer;

/// A deadline that is neither met nor missed.
#[derive(Debug)]
pub(super) struct OpenDeadline {
    pub row: DeadlineRow,
    /// As it stood when memory last had it: a run that failed may be forgotten before its deadline comes.
    pub run: RunRow,
    pub dag: Arc<Dag>,
}

impl Core {
    /// A new run has the deadlines of its DAG.
    pub(super) fn set_deadlines(&mut self, key: RunKey) {
        let run = self.run(key);
        let (row, dag) = (run.row.clone(), run.dag.clone());
        for (number, deadline) in (0_u32..).zip(&dag.definition.deadlines) {
            let Some(due_at) = deadline.due(row.queued_at, row.logical_date) else { continue };
            let due = DeadlineRow {
                run: key,
                number,
                name: deadline.name.clone(),
                due_at: to_micros(due_at),
                state: DeadlineState::Pending,
                settled_at: None,
            };
            self.write(Write::Deadline(due.clone()));
            self.watch_deadline(OpenDeadline { row: due, run: row.clone(), dag: dag.clone() });
        }
    }

    pub(super) fn watch_deadline(&mut self, open: OpenDeadline) {
        let (run, number) = (open.row.run, open.row.number);
        self.timers.set(open.row.due_at, Timer::Deadline(run, number));
        self.deadlines.insert((run, number), open);
    }

    /// The run has ended. Success meets what is open; after a failure it stays open, for whoever clears it in time.
    pub(super) fn end_meets_deadlines(&mut self, now: Time, key: RunKey) {
        let row = self.run(key).row.clone();
        for (at, mut open) in self.open_deadlines(key) {
            match row.state {
                RunState::Success => {
                    self.timers.cancel(open.row.due_at, Timer::Deadline(at.0, at.1));
                    (open.row.state, open.row.settled_at) = (DeadlineState::Met, Some(now));
                    self.write(Write::Deadline(open.row));
                }
                RunState::Queued | RunState::Running | RunState::Failed => {
                    open.run = row.clone();
                    self.deadlines.insert(at, open);
                }
            }
        }
    }

    /// A run that was cleared is queued again: what is counted from there is counted anew.
    pub(super) fn requeue_moves_deadlines(&mut self, key: RunKey) {
        let row = self.run(key).row.clone();
        for (at, mut open) in self.open_deadlines(key) {
            let definition = open.dag.definition.deadlines.get(usize::try_from(at.1).unwrap_or(usize::MAX));
            let due = definition
                .filter(|deadline| deadline.reference == Reference::DagrunQueuedAt)
                .and_then(|deadline| deadline.due(row.queued_at, row.logical_date));
            if let Some(due) = due {
                self.timers.cancel(open.row.due_at, Timer::Deadline(at.0, at.1));
                open.row.due_at = to_micros(due);
                self.write(Write::Deadline(open.row.clone()));
            }
            open.run = row.clone();
            self.watch_deadline(open);
        }
    }

    fn open_deadlines(&mut self, key: RunKey) -> Vec<((RunKey, u32), OpenDeadline)> {
        self.deadlines.extract_if((key, 0)..=(key, u32::MAX), |_, _| true).collect()
    }

    /// The time has come, and the run has not succeeded.
    pub(super) fn on_deadline(&mut self, now: Time, key: RunKey, number: u32) {
        let Some(mut open) = self.deadlines.remove(&(key, number)) else { return };
        (open.row.state, open.row.settled_at) = (DeadlineState::Missed, Some(now));
        self.write(Write::Deadline(open.row.clone()));
        let missed = MissedDeadline { name: open.row.name, due_at: open.row.due_at };
        let run = self.runs.get(&key).map_or(open.run, |run| run.row.clone());
        let change = Change::DeadlineMissed { dag: run.dag_id.clone(), run: run.run_id.clone(), due_at: missed.due_at };
        self.effect(Effect::Event(change));
        self.work.owed.push(Owed {
            task: self.most_telling(key),
            dag: open.dag,
            run,
            about: About::Run,
            occasion: Occasion::Deadline,
            reason: None,
            deadline: Some((number, missed)),
        });
    }
}
