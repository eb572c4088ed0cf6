//! Clearing: task instances run again, and the runs they belong to go on (SCHEDULING §13).
//!
//! ```text
//!   finished, waiting ──────────────────────────► none ──► decided anew
//!   queued, running ──► restarting ──(it ended)──► none        (PROTOCOL L9)
//!   run: success, failed ──► queued, with the DAG as it is now
//! ```
//!
//! What was tried stays in the attempts; numbers of tries go on.

use std::collections::BTreeSet;

use crate::domain::attempt::Wish;
use crate::domain::ids::RunKey;
use crate::domain::state::{RunEvent, TaskEvent, TaskState};
use crate::domain::time::Time;
use crate::protocol::control::{Clear, Refused, Reply};

use super::TaskRef;
use super::core::{Core, History};

impl Core {
    pub(super) fn clear(&mut self, now: Time, clear: &Clear, history: &History) -> Result<Reply, Refused> {
        let mut tasks = Vec::new();
        for (key, mut selected) in self.select(&clear.selection, history)? {
            selected.extend(self.companions_of(&selected));
            selected.retain(|at| self.is_to_clear(*at, clear));
            if selected.is_empty() {
                continue;
            }
            tasks.extend(self.touched(&selected));
            if !clear.dry_run {
                self.clear_tasks(now, key, &selected, clear.reset_runs);
            }
        }
        Ok(Reply::Touched { tasks, dry_run: clear.dry_run })
    }

    /// The setups and teardowns around these tasks run again with them (SCHEDULING §11).
    fn companions_of(&self, selected: &BTreeSet<TaskRef>) -> Vec<TaskRef> {
        let companions = selected.iter().flat_map(|at| {
            let run = self.run(at.run);
            run.dag.setups().companions(at.task).iter().flat_map(|task| run.places_of(*task))
        });
        companions.collect()
    }

    fn is_to_clear(&self, at: TaskRef, clear: &Clear) -> bool {
        let run = self.run(at.run);
        let state = run.instance(at).row.state;
        let is_of_the_wanted_kind = match (clear.only_failed, clear.only_running) {
            (false, false) => true,
            (failed, running) => (failed && state.is_failed_like()) || (running && state == TaskState::Running),
        };
        // What waits for its first try in a run that goes on anyway has nothing to clear.
        let waits = state == TaskState::None && !run.row.state.is_finished();
        is_of_the_wanted_kind && state != TaskState::Removed && !waits
    }

    /// Clears these task instances of one run; with `reset`, a finished run goes on.
    pub(super) fn clear_tasks(&mut self, now: Time, key: RunKey, tasks: &BTreeSet<TaskRef>, reset: bool) {
        let names = self.names_of(key, tasks);
        if reset && self.run(key).row.state.is_finished() {
            self.upgrade(key);
            self.requeue(now, key);
        }
        for at in self.places_of(key, &names) {
            self.clear_task(now, at);
        }
        let id = self.run(key).row.dag_id.clone();
        self.start_runs(now, &id);
    }

    fn clear_task(&mut self, now: Time, at: TaskRef) {
        let state = self.instance(at).row.state;
        if state.occupies_slots() {
            // Shown at once, and so until the process has ended.
            self.move_task(at, TaskEvent::Cleared);
            self.wish(now, at, Wish::Clear);
        } else if state == TaskState::Scheduled {
            self.allow_all_tries(at, -1);
        } else if self.move_task(at, TaskEvent::Cleared) {
            self.forget_try(at);
        }
    }

    /// The task instance stands as if it had never been tried, but for the count of its tries.
    pub(super) fn forget_try(&mut self, at: TaskRef) {
        self.allow_all_tries(at, 0);
        let row = &mut self.instance_mut(at).row;
        row.attempt = None;
        (row.scheduled_at, row.queued_at, row.started_at, row.ended_at) = (None, None, None, None);
        (row.next_try_at, row.hostname, row.pid, row.note) = (None, None, None, None);
        row.waiting = None;
        self.work.undecided.push_back(at);
    }

    /// All retries are there again; `begun` corrects for a try that was counted and has not begun.
    fn allow_all_tries(&mut self, at: TaskRef, begun: i32) {
        let retries = i32::try_from(self.run(at.run).dag.task(at.task).retries).unwrap_or(i32::MAX);
        let row = &mut self.instance_mut(at).row;
        row.max_tries = row.try_number.0.saturating_add(begun).saturating_add(retries);
        row.infra_tries = 0;
        self.work.dirty_tasks.insert(at);
    }

    /// A finished run waits for its place again.
    fn requeue(&mut self, now: Time, key: RunKey) {
        let run = self.run_mut(key);
        let Some(state) = run.row.state.on(RunEvent::Cleared) else { return };
        let row = &mut run.row;
        (row.state, row.queued_at, row.started_at, row.ended_at) = (state, now, None, None);
        row.clear_number += 1;
        let entry = (row.run_after, key);
        let id = row.dag_id.clone();
        let dag = self.dags.get_mut(&id).expect("a run is cleared only with a known DAG");
        dag.recent.remove(&entry);
        self.enqueue(key);
        self.tell_run(key);
        self.requeue_moves_deadlines(key);
    }
}
