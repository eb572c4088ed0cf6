//! What a failure means: another try, the end of the task, the end of its run, or a DAG that is paused.

use crate::domain::attempt::{Outcome, Wish};
use crate::domain::dag::TaskDefinition;
use crate::domain::ids::RunKey;
use crate::domain::retry::{Backoff, RetryKey, may_retry};
use crate::domain::state::{Ending, RunState, TaskEvent, TaskState};
use crate::domain::time::{Time, after};

use super::TaskRef;
use super::core::{Core, Settings};
use super::runs::count;

impl Core {
    /// The user's retries (SCHEDULING §8).
    pub(super) fn fail_or_retry(&mut self, now: Time, at: TaskRef, retryable: bool) {
        let run = self.run(at.run);
        let (task, row) = (run.dag.task(at.task), &run.instance(at).row);
        let failed_try = u32::try_from(row.try_number.0).unwrap_or(0);
        let max_tries = u32::try_from(row.max_tries).unwrap_or(0);
        if !may_retry(task.retries, failed_try, max_tries, retryable) {
            self.fail(now, at);
            return;
        }
        let key = RetryKey { dag_id: &run.row.dag_id, task_id: &task.task_id, logical_date: run.row.logical_date };
        let delay = backoff(task, &self.settings).delay_after(key, failed_try);
        let ended = row.ended_at.unwrap_or(run.row.queued_at);
        self.wait_for_retry(at, after(ended, delay));
    }

    /// The machinery's retries: at once, and without using up the user's (DESIGN §3).
    pub(super) fn retry_what_was_lost(&mut self, now: Time, at: TaskRef, outcome: Outcome) {
        let allowed = self.settings.infra_retries;
        let row = &mut self.instance_mut(at).row;
        row.infra_tries += 1;
        if row.infra_tries > allowed {
            self.note(at, &format!("{}: the machinery lost it {} times", outcome.as_str(), allowed + 1));
            self.fail(now, at);
            return;
        }
        row.max_tries = row.max_tries.saturating_add(1);
        self.wait_for_retry(at, now);
    }

    /// No further try: the task instance has failed, and in a DAG that fails fast its run with it.
    pub(super) fn fail(&mut self, now: Time, at: TaskRef) {
        self.move_task(at, TaskEvent::Ended(Ending::Failed));
        if self.run(at.run).dag.definition.fail_fast {
            self.fail_fast(now, at.run);
        }
    }

    /// SCHEDULING §2: what runs is stopped and fails, what waits is skipped; teardowns are left alone.
    fn fail_fast(&mut self, now: Time, run: RunKey) {
        let places: Vec<TaskRef> = self.run(run).places().collect();
        for at in places {
            if self.run(run).dag.task(at.task).role.is_teardown() {
                continue;
            }
            if self.instance(at).row.state == TaskState::Running {
                self.wish(now, at, Wish::FailFast);
            } else {
                self.abandon(now, at);
            }
        }
    }

    /// A run ended: where the latest ones have all failed, as many as the DAG allows, it is paused.
    pub(super) fn count_failed_runs(&mut self, now: Time, key: RunKey) {
        let row = &self.run(key).row;
        let (id, entry, state) = (row.dag_id.clone(), (row.run_after, key), row.state);
        let Some(dag) = self.dags.get_mut(&id) else { return };
        let Some(limit) = dag.dag.definition.max_consecutive_failed_runs else {
            dag.recent.clear();
            return;
        };
        dag.recent.insert(entry, state);
        while count(dag.recent.len()) > limit.get() {
            dag.recent.pop_first();
        }
        let is_full = count(dag.recent.len()) == limit.get();
        let all_failed = is_full && dag.recent.values().all(|state| *state == RunState::Failed);
        if !all_failed || dag.row.is_paused {
            return;
        }
        // A run that still goes on is one of the latest, and has not failed.
        let oldest = *dag.recent.first_key_value().expect("a limit is at least one run").0;
        if self.open_runs(&id).any(|row| (row.run_after, row.key) > oldest) {
            return;
        }
        self.set_paused(now, &id, true);
    }
}

fn backoff(task: &TaskDefinition, settings: &Settings) -> Backoff {
    Backoff {
        retry_delay: task.retry_delay,
        multiplier: task.retry_exponential_backoff,
        max_retry_delay: task.max_retry_delay,
        ceiling: settings.max_retry_delay,
    }
}
