//! Marking: a user says how task instances or a whole run ended (SCHEDULING §13).
//!
//! A process that runs is stopped first, and its end brings the mark (PROTOCOL L9).

use std::collections::BTreeSet;

use crate::domain::attempt::Wish;
use crate::domain::graph::TaskIx;
use crate::domain::ids::{DagId, RunId, RunKey};
use crate::domain::notification::RunEnd;
use crate::domain::state::{Mark, RunEvent, TaskEvent, TaskState};
use crate::domain::time::Time;
use crate::protocol::control::{Refused, Reply};
use crate::protocol::selection::Selection;

use super::TaskRef;
use super::core::{Core, History};

impl Core {
    pub(super) fn mark_tasks(
        &mut self,
        now: Time,
        selection: &Selection,
        mark: Mark,
        dry_run: bool,
        history: &History,
    ) -> Result<Reply, Refused> {
        let mut tasks = Vec::new();
        for (key, mut selected) in self.select(selection, history)? {
            selected.retain(|at| {
                let state = self.instance(*at).row.state;
                state != TaskState::Removed && state != mark.into()
            });
            if selected.is_empty() {
                continue;
            }
            tasks.extend(self.touched(&selected));
            if !dry_run {
                self.mark_in_run(now, key, &selected, mark);
            }
        }
        Ok(Reply::Touched { tasks, dry_run })
    }

    /// Marks these tasks, and lets what failed because of them run again.
    fn mark_in_run(&mut self, now: Time, key: RunKey, selected: &BTreeSet<TaskRef>, mark: Mark) {
        let run = self.run(key);
        let tasks: BTreeSet<TaskIx> = selected.iter().map(|at| at.task).collect();
        let after = run.dag.all_downstream(&tasks);
        let failed_after: BTreeSet<TaskRef> = after
            .into_iter()
            .flat_map(|task| run.places_of(task))
            .filter(|at| !selected.contains(at) && run.instance(*at).row.state.is_failed_like())
            .collect();
        let names = self.names_of(key, selected);
        if !failed_after.is_empty() {
            // First, because the run may go on in a newer version.
            self.clear_tasks(now, key, &failed_after, true);
        }
        for at in self.places_of(key, &names) {
            let state = self.instance(at).row.state;
            if state.occupies_slots() {
                self.wish(now, at, Wish::Mark { mark });
            } else {
                self.apply_mark(now, at, mark);
            }
        }
    }

    /// The mark stands from now on.
    pub(super) fn apply_mark(&mut self, now: Time, at: TaskRef, mark: Mark) {
        if !self.move_task(at, TaskEvent::Marked(mark)) {
            return;
        }
        let row = &mut self.instance_mut(at).row;
        row.started_at.get_or_insert(now);
        row.ended_at.get_or_insert(now);
        row.next_try_at = None;
        row.note = Some(format!("marked {} by a user", TaskState::from(mark)));
        self.work.dirty_tasks.insert(at);
    }

    pub(super) fn mark_run(
        &mut self,
        now: Time,
        dag: DagId,
        run_id: RunId,
        succeeded: bool,
        history: &History,
    ) -> Result<Reply, Refused> {
        let selection = Selection::whole_run(dag.clone(), run_id.clone());
        let selected = self.select(&selection, history)?;
        let Some((key, tasks)) = selected.into_iter().next() else {
            return Err(Refused::RunNotFound { dag, run_id });
        };
        let (event, mark) =
            if succeeded { (RunEvent::Succeeded, Mark::Success) } else { (RunEvent::Failed, Mark::Failed) };
        let before = self.run(key).row.state;
        let changed = before.on(event).is_some();
        if changed {
            let is_pending_teardown = |at: &TaskRef| {
                let run = self.run(key);
                run.dag.task(at.task).role.is_teardown() && !run.instance(*at).row.state.is_finished()
            };
            let (teardowns, others): (Vec<TaskRef>, Vec<TaskRef>) = tasks.into_iter().partition(is_pending_teardown);
            // Teardowns still run, and how the run ends follows from its tasks then (SCHEDULING §11).
            if teardowns.is_empty() {
                self.end_run(now, key, event, RunEnd::Marked);
            }
            for at in others {
                self.end_with_run(now, at, mark);
            }
        }
        let state = self.run(key).row.state;
        Ok(Reply::RunMarked { dag, run_id, state, changed })
    }

    /// A remark about a run; nothing else of it changes.
    pub(super) fn note_run(
        &mut self,
        dag: DagId,
        run_id: RunId,
        note: Option<String>,
        history: &History,
    ) -> Result<Reply, Refused> {
        let selected = self.select(&Selection::whole_run(dag.clone(), run_id.clone()), history)?;
        let Some((key, _)) = selected.into_iter().next() else { return Err(Refused::RunNotFound { dag, run_id }) };
        self.run_mut(key).row.note = note;
        self.work.dirty_runs.insert(key);
        Ok(Reply::RunNoted { dag, run_id })
    }

    /// What runs ends as its run does; what has not begun is skipped; what is finished stays.
    fn end_with_run(&mut self, now: Time, at: TaskRef, mark: Mark) {
        match self.instance(at).row.state {
            TaskState::Running | TaskState::Restarting => self.wish(now, at, Wish::Mark { mark }),
            TaskState::Deferred | TaskState::UpForReschedule | TaskState::AwaitingInput => {
                self.apply_mark(now, at, mark);
            }
            TaskState::None | TaskState::Scheduled | TaskState::Queued | TaskState::UpForRetry => {
                self.abandon(now, at);
            }
            TaskState::Success
            | TaskState::Failed
            | TaskState::Skipped
            | TaskState::UpstreamFailed
            | TaskState::Removed => {}
        }
    }
}
