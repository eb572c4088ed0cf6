//! Forgetting: a DAG that is deleted (SCHEDULING §13), and what has long ended.
//! The file of a deleted DAG stays, so what that defines begins anew.

use crate::domain::ids::{DagId, RunId, RunKey};
use crate::domain::problem::suggestion;
use crate::domain::time::Time;
use crate::protocol::control::{Clean, HistoryTable, Refused, Reply};
use crate::store::write::{CleanedRows, Write};

use super::TaskRef;
use super::admit::Scope;
use super::core::{Core, DagState, History};
use super::instances::Instance;
use super::runs::count;
use super::waiting::waits;

impl Core {
    pub(super) fn delete_dag(&mut self, now: Time, id: DagId, history: &History) -> Result<Reply, Refused> {
        if !self.dags.contains_key(&id) {
            let hint = suggestion(id.as_str(), self.dags.keys().map(DagId::as_str));
            return Err(Refused::DagNotFound { dag: id, hint });
        }
        self.refuse_running_tasks(&id)?;
        let runs: Vec<RunKey> = self.runs.iter().filter(|(_, run)| run.row.dag_id == id).map(|(key, _)| *key).collect();
        for key in runs {
            self.drop_run(key);
        }
        self.cancel_plan(&id);
        let state = self.dags.remove(&id).expect("it was there a line above");
        self.drop_memory_of(&id, &state);
        self.work.deleted_dags.push(id.clone());
        if let Some(source) = history.source.as_ref().filter(|_| !state.row.is_stale) {
            self.adopt(now, source, state.dag);
        }
        Ok(Reply::DagDeleted { dag: id })
    }

    /// What has long ended goes. A run in memory stays: something of it is still to come.
    pub(super) fn clean(&mut self, clean: Clean, history: &History) -> Reply {
        let last = history.old_runs.last().copied();
        let runs: Vec<RunKey> = history.old_runs.iter().copied().filter(|key| self.is_forgotten(*key)).collect();
        let number = count(runs.len());
        self.write(Write::Clean(Box::new(CleanedRows { runs, tables: clean.tables, before: clean.before })));
        Reply::Cleaned { runs: number, last }
    }

    /// One run that is over goes. What waits for it in the run after has seen how it ended.
    pub(super) fn delete_run(
        &mut self,
        now: Time,
        dag: DagId,
        run_id: RunId,
        history: &History,
    ) -> Result<Reply, Refused> {
        let Some(key) = history.old_runs.first().copied() else { return Err(Refused::RunNotFound { dag, run_id }) };
        if !self.is_forgotten(key) {
            return Err(Refused::RunNotOver { dag, run_id });
        }
        let tables = vec![HistoryTable::DagRun];
        // Of the other tables nothing is meant, so the instant means nothing either.
        self.write(Write::Clean(Box::new(CleanedRows { runs: vec![key], tables, before: now })));
        Ok(Reply::RunDeleted { dag, run_id })
    }

    /// Neither the run nor a word about it is under way.
    fn is_forgotten(&self, key: RunKey) -> bool {
        !self.runs.contains_key(&key) && !self.outbox.is_about(key)
    }

    fn refuse_running_tasks(&self, id: &DagId) -> Result<(), Refused> {
        let runs = self.runs.values().filter(|run| run.row.dag_id == *id);
        let mut running = runs.flat_map(|run| {
            let is_open = |task: &&Instance| task.attempt.as_ref().is_some_and(|attempt| !attempt.state.is_done());
            run.instances().map(|(_, task)| task).find(is_open).map(|task| (&run.row.run_id, &task.row.task_id))
        });
        match running.next() {
            None => Ok(()),
            Some((run_id, task)) => {
                Err(Refused::TaskRuns { dag: id.clone(), run_id: run_id.clone(), task: task.clone() })
            }
        }
    }

    /// Forgets a run of which nothing runs.
    fn drop_run(&mut self, key: RunKey) {
        let run = self.run(key);
        let waiting: Vec<TaskRef> = run.instances().filter(|(_, task)| task.rank.is_some()).map(|(at, _)| at).collect();
        for at in waiting {
            self.leave_lane(at);
        }
        let places: Vec<TaskRef> = self.run(key).places().collect();
        for at in places {
            let state = self.instance(at).row.state;
            if waits(state) {
                self.stop_watching(at);
            }
            if state.rests() {
                self.admission.rise(at, &self.holds(at));
            }
        }
        self.deadlines.retain(|(run, _), _| *run != key);
        let run = self.runs.remove(&key).expect("only a run in memory is dropped");
        for attempt in run.instances().filter_map(|(_, task)| task.attempt.as_ref()) {
            self.attempts.remove(&attempt.id);
        }
        self.admission.forget_scope(&Scope::Run(key));
    }

    /// What is kept by the DAG's name.
    fn drop_memory_of(&mut self, id: &DagId, state: &DagState) {
        for backfill in &state.backfills {
            self.backfills.remove(backfill);
        }
        self.outbox.forget(id);
        self.versions.retain(|(of, _), _| of != id);
        self.admission.set_paused(id, false);
        self.admission.forget_scope(&Scope::Dag(id.clone()));
        for task in &state.dag.definition.tasks {
            self.admission.forget_scope(&Scope::Task(id.clone(), task.task_id.clone()));
        }
    }
}
