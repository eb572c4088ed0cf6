//! The runs and task instances that a user means, and finished runs back in memory.
//!
//! What is under way is in memory already; a finished run comes back with the
//! rows that the shell read from the store. One that nothing changes is dropped
//! again when the input is done. Nothing here changes a state.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::graph::{Dag, TaskIx};
use crate::domain::ids::{MapIndex, RunKey, TaskId};
use crate::domain::problem::suggestion;
use crate::domain::state::{Decision, TaskEvent, TaskState};
use crate::protocol::control::{Refused, TouchedTask};
use crate::protocol::selection::Selection;
use crate::store::write::{TaskRow, Write};

use super::TaskRef;
use super::core::{Core, History, KnownRun, Run};
use super::instances::Instance;

impl Core {
    /// The selected runs, each with the task instances that are meant in it.
    pub(super) fn select(
        &mut self,
        selection: &Selection,
        history: &History,
    ) -> Result<Vec<(RunKey, BTreeSet<TaskRef>)>, Refused> {
        self.known(&selection.dag)?;
        for run_id in selection.run_ids() {
            if history.runs.iter().all(|known| known.row.run_id != *run_id) {
                return Err(Refused::RunNotFound { dag: selection.dag.clone(), run_id: run_id.clone() });
            }
        }
        let runs: Vec<RunKey> = history.runs.iter().filter_map(|known| self.recall(known)).collect();
        let newest = self.dags[&selection.dag].dag.clone();
        for task in &selection.tasks {
            let is_known =
                newest.find(task).is_some() || runs.iter().any(|key| self.run(*key).dag.find(task).is_some());
            if !is_known {
                return Err(task_not_found(selection, &newest, task));
            }
        }
        Ok(runs.into_iter().map(|key| (key, selected(self.run(key), selection))).collect())
    }

    /// The run in memory, with its task instances. Of unfinished runs memory is the truth.
    pub(super) fn recall(&mut self, known: &KnownRun) -> Option<RunKey> {
        let key = known.row.key;
        if !self.runs.contains_key(&key) {
            if !known.row.state.is_finished() {
                return None;
            }
            let name = (known.row.dag_id.clone(), known.row.version);
            let newest = self.dags.get(&known.row.dag_id).map(|dag| dag.dag.clone());
            let dag = self.versions.get(&name).cloned().or_else(|| known.dag.clone()).or(newest)?;
            let mut run = Run::new(known.row.clone(), dag);
            run.events = known.events.iter().cloned().map(Arc::new).collect();
            run.restore_tasks(known.tasks.clone(), Vec::new(), &known.decisions);
            self.runs.insert(key, run);
            self.enter_timeline(key);
        }
        let run = self.run_mut(key);
        if run.tasks.is_empty() {
            run.create_tasks();
        }
        self.work.maybe_forgotten.insert(key);
        Some(key)
    }

    /// A finished run that goes on does so with its DAG as it is now: what was mended
    /// in the file is what the user wants to run. Tasks that are gone are removed.
    pub(super) fn upgrade(&mut self, key: RunKey) {
        let run = self.run(key);
        let Some(known) = self.dags.get(&run.row.dag_id) else { return };
        let (newest, version) = (known.dag.clone(), known.row.version);
        // Attempts that are still ending know their task by its place in the old version.
        if Arc::ptr_eq(&run.dag, &newest) || run.row.version == version || run.open_attempts > 0 {
            return;
        }
        let old = self.runs.remove(&key).expect("it was there a line above");
        for attempt in old.instances().filter_map(|(_, task)| task.attempt.as_ref()) {
            self.attempts.remove(&attempt.id);
        }
        self.forget_version(&old);
        let mut before: HashMap<TaskId, Vec<TaskRow>> = HashMap::new();
        for (_, task) in old.instances() {
            before.entry(task.row.task_id.clone()).or_default().push(task.row.clone());
        }
        let decisions: Vec<_> = old
            .instances()
            .filter_map(|(_, task)| Some((task.row.task_id.clone(), task.row.map_index, task.decision.clone()?)))
            .collect();
        let mut run = Run::new(old.row, newest.clone());
        run.events = old.events;
        run.row.version = version;
        run.create_tasks();
        for (ix, task) in newest.tasks() {
            let rows = before.remove(&task.task_id).unwrap_or_default();
            let left = run.take_rows(ix, rows, Instance::continue_as);
            before.insert(task.task_id.clone(), left);
        }
        for (task, map, decision) in decisions {
            let place = run.dag.find(&task).map(|task| TaskRef { run: key, task, map });
            if let Some(at) = place.filter(|at| run.find(*at).is_some()) {
                run.instance_mut(at).decision = Some(decision);
            }
        }
        run.count_all();
        self.work.dirty_tasks.extend(run.places());
        self.runs.insert(key, run);
        self.enter_timeline(key);
        for mut gone in before.into_values().flatten() {
            if let Ok(removed) = gone.state.on(TaskEvent::Decided(Decision::Removed)) {
                gone.state = removed;
                self.write(Write::Task(gone));
            }
        }
    }

    /// These task instances of the run, by the names that survive an upgrade.
    pub(super) fn names_of(&self, key: RunKey, places: &BTreeSet<TaskRef>) -> Vec<(TaskId, MapIndex)> {
        let dag = &self.run(key).dag;
        places.iter().map(|at| (dag.task(at.task).task_id.clone(), at.map)).collect()
    }

    /// Where the task instances of these names stand now; a name that is gone stands nowhere.
    pub(super) fn places_of(&self, key: RunKey, names: &[(TaskId, MapIndex)]) -> Vec<TaskRef> {
        let run = self.run(key);
        let place = |(task, map): &(TaskId, MapIndex)| {
            let at = TaskRef { run: key, task: run.dag.find(task)?, map: *map };
            run.find(at).map(|_| at)
        };
        names.iter().filter_map(place).collect()
    }

    pub(super) fn touched(&self, places: &BTreeSet<TaskRef>) -> Vec<TouchedTask> {
        places.iter().map(|at| TouchedTask { key: self.key(*at), state: self.instance(*at).row.state }).collect()
    }
}

impl Instance {
    /// What the instance was in an older version of its DAG; its new definition decides the rest.
    fn continue_as(&mut self, before: TaskRow) {
        let fresh = self.row.clone();
        let state = match (fresh.state, before.state) {
            (TaskState::Removed, _) => TaskState::Removed,
            (_, TaskState::Removed) => fresh.state,
            (_, state) => state,
        };
        self.row = TaskRow {
            state,
            operator: fresh.operator,
            pool: fresh.pool,
            pool_slots: fresh.pool_slots,
            queue: fresh.queue,
            priority_weight: fresh.priority_weight,
            ..before
        };
    }
}

/// The task instances that are meant in a run: all of each task.
fn selected(run: &Run, selection: &Selection) -> BTreeSet<TaskRef> {
    if selection.tasks.is_empty() {
        return run.places().collect();
    }
    let dag = &run.dag;
    let named: BTreeSet<TaskIx> = selection.tasks.iter().filter_map(|task| dag.find(task)).collect();
    let mut all = named.clone();
    if selection.upstream {
        all.extend(dag.all_upstream(&named));
    }
    if selection.downstream {
        all.extend(dag.all_downstream(&named));
    }
    all.into_iter().flat_map(|task| run.places_of(task)).collect()
}

fn task_not_found(selection: &Selection, dag: &Dag, task: &TaskId) -> Refused {
    let hint = suggestion(task.as_str(), dag.tasks().map(|(_, task)| task.task_id.as_str()));
    Refused::TaskNotFound { dag: selection.dag.clone(), task: task.clone(), hint }
}
