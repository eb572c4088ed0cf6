//! How DAG files become DAGs: new versions, files that break, files that go.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::domain::dag::{TaskDefinition, TaskLimitScope};
use crate::domain::graph::Dag;
use crate::domain::ids::{DagId, RunKey, VersionNumber};
use crate::domain::limit::Limit;
use crate::domain::problem::Severity;
use crate::domain::time::Time;
use crate::protocol::event::Change;
use crate::store::write::{DagRow, VersionRow, Write};

use super::admit::Scope;
use super::core::{Core, DagState, Effect, FileChange, Run};

/// As a worker computes it of its own file.
fn hash_of(source: &str) -> String {
    Sha256::digest(source.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Core {
    pub(super) fn on_files_changed(&mut self, now: Time, changes: Vec<FileChange>) {
        for change in changes {
            self.on_file_changed(now, change);
        }
    }

    fn on_file_changed(&mut self, now: Time, change: FileChange) {
        let FileChange { file, source, dags, problems, .. } = change;
        self.file_hashes.insert(file.clone(), hash_of(&source));
        // A file that cannot be read for the moment must not stop what it defined before.
        let is_broken = problems.iter().any(|problem| problem.severity == Severity::Error);
        self.write(Write::FileProblems { file: file.clone(), problems, at: now });
        let gone: Vec<DagId> = self
            .dags
            .values()
            .filter(|known| known.row.file == file && !known.row.is_stale && !is_broken)
            .map(|known| known.row.dag_id.clone())
            .filter(|id| dags.iter().all(|dag| dag.definition.dag_id != *id))
            .collect();
        for id in gone {
            self.retire(now, &id);
        }
        for dag in dags {
            self.adopt(now, &source, dag);
        }
    }

    /// A DAG whose file no longer defines it starts nothing more; what runs goes on.
    fn retire(&mut self, now: Time, id: &DagId) {
        let dag = self.dags.get_mut(id).expect("a DAG that goes is known");
        dag.row.is_stale = true;
        dag.row.parsed_at = now;
        self.dag_changed(id);
        self.plan(now, id);
    }

    /// A DAG as its file has it now: a new version only if it differs.
    pub(super) fn adopt(&mut self, now: Time, source: &str, dag: Arc<Dag>) {
        let id = dag.definition.dag_id.clone();
        let known = self.dags.get(&id);
        let same = known.is_some_and(|known| known.dag.hash == dag.hash);
        if same && known.is_some_and(|known| !known.row.is_stale) {
            return;
        }
        let catchup_before = known.map(|known| known.dag.definition.catchup);
        let version = match known {
            Some(known) if same => known.row.version,
            Some(known) => known.row.version.next(),
            None => VersionNumber(1),
        };
        if !same {
            self.write(Write::Version(Box::new(VersionRow {
                dag_id: id.clone(),
                version,
                hash: dag.hash.clone(),
                definition: dag.definition.clone(),
                source: source.to_owned(),
                created_at: now,
            })));
        }
        self.versions.insert((id.clone(), version), dag.clone());
        let paused_at_creation = dag.definition.is_paused_upon_creation.unwrap_or(self.settings.paused_at_creation);
        let file = dag.definition.file.clone();
        let state = self.dags.entry(id.clone()).or_insert_with(|| DagState {
            row: DagRow {
                dag_id: id.clone(),
                version,
                is_paused: paused_at_creation,
                is_stale: false,
                file: file.clone(),
                last_interval: None,
                next_run: None,
                parsed_at: now,
            },
            dag: dag.clone(),
            next: None,
            running: Default::default(),
            queued: Default::default(),
            taken_dates: Default::default(),
            recent: Default::default(),
            timeline: None,
            backfills: Default::default(),
            waiting: Default::default(),
            last_success: None,
        });
        state.row = DagRow { version, is_stale: false, file, parsed_at: now, ..state.row.clone() };
        let before = std::mem::replace(&mut state.dag, dag);
        self.adopt_assets(&id, Some(&before));
        self.apply_limits(&id);
        self.renew_timeline(&id, catchup_before);
        self.dag_changed(&id);
        self.plan(now, &id);
    }

    /// Admission knows the limits of the DAG as it is now.
    pub(super) fn apply_limits(&mut self, id: &DagId) {
        let dag = &self.dags[id];
        let (definition, paused) = (&dag.dag.definition, dag.row.is_paused);
        // Runs of an older version may count over the DAG though the newest does not, and the other way round.
        let limit = definition.max_active_tasks;
        if definition.max_active_tasks_scope == TaskLimitScope::AllRuns {
            self.admission.set_scope(Scope::Dag(id.clone()), limit);
        }
        let tasks = dag.dag.definition.tasks.iter();
        let limits: Vec<(Scope, Limit)> = tasks.filter_map(|task| task_limit(id, task)).collect();
        self.admission.set_paused(id, paused);
        for (scope, limit) in limits {
            self.admission.set_scope(scope, limit);
        }
    }

    /// A run of an older version counts by limits that the newest may no longer have.
    pub(super) fn ensure_task_limits(&mut self, run: RunKey, dag: &Dag) {
        for task in &dag.definition.tasks {
            if let Some(limit) = task.max_active_tis_per_dagrun {
                self.admission.set_scope(Scope::TaskOfRun(run, task.task_id.clone()), Limit::AtMost(limit));
            }
        }
        for (scope, limit) in dag.definition.tasks.iter().filter_map(|task| task_limit(&dag.definition.dag_id, task)) {
            self.admission.ensure_scope(scope, limit);
        }
    }

    /// A run is over: the limits of its tasks go with it.
    pub(super) fn forget_task_limits(&mut self, run: &Run) {
        for task in run.dag.definition.tasks.iter().filter(|task| task.max_active_tis_per_dagrun.is_some()) {
            self.admission.forget_scope(&Scope::TaskOfRun(run.row.key, task.task_id.clone()));
        }
    }

    pub(super) fn dag_changed(&mut self, id: &DagId) {
        self.work.dirty_dags.insert(id.clone());
        self.effect(Effect::Event(Change::Dag { dag: id.clone() }));
    }
}

/// `max_active_tis_per_dag`, where the task has one.
fn task_limit(dag: &DagId, task: &TaskDefinition) -> Option<(Scope, Limit)> {
    let limit = task.max_active_tis_per_dag?;
    Some((Scope::Task(dag.clone(), task.task_id.clone()), Limit::AtMost(limit)))
}
