//! A small language for stories about scheduling: a graph in one line, a virtual
//! clock, a store that remembers rows, and a worker that does as it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeZone;

use crate::domain::attempt::{AttemptState, Outcome};
use crate::domain::dag::{DagDefinition, TaskDefinition, TaskLimitScope, WeightRule};
use crate::domain::graph::Dag;
use crate::domain::ids::{
    AttemptId, Claim, DagId, Epoch, Incarnation, PoolName, QueueName, RunId, RunKey, TaskId, VersionNumber, WorkerId,
};
use crate::domain::limit::Limit;
use crate::domain::operator::{Bash, Operator, default_skip_codes};
use crate::domain::schedule::Schedule;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;
use crate::domain::trigger::TriggerRule;
use crate::protocol::control::{Control, Reply, Trigger, TriggeredBy};
use crate::protocol::selection::Selection;
use crate::protocol::work::{FromWorker, Online, Report, TaskMessage, ToWorker};
use crate::scheduler::core::{Core, Effect, FileChange, Grant, History, Ids, Input, KnownRun, Settings, Ticket};
use crate::scheduler::restore::{Unfinished, UnfinishedRun};
use crate::store::write::{AttemptRow, DagRow, PoolRow, RunRow, TaskRow, WorkerRow, Write};

/// Midnight of a day in 2026: where every story begins.
pub fn start_of_story() -> Time {
    chrono::Utc.with_ymd_and_hms(2026, 11, 21, 0, 0, 0).single().expect("a date")
}

pub fn settings() -> Settings {
    Settings {
        parallelism: Limit::from(32),
        paused_at_creation: false,
        infra_retries: 3,
        max_retry_delay: Duration::from_secs(86_400),
        manual_runs_have_dates: false,
        kill_grace: Duration::from_secs(5),
        grant: Grant::InProcess,
    }
}

/// A DAG from a line such as `a >> b c >> d; a >> e`.
pub fn dag(id: &str, graph: &str) -> DagDefinition {
    let mut tasks: Vec<TaskDefinition> = Vec::new();
    for chain in graph.split(';') {
        let mut before: Vec<TaskId> = Vec::new();
        for stage in chain.split(">>") {
            let names: Vec<TaskId> = stage.split_whitespace().map(|n| TaskId::new(n).expect("a task id")).collect();
            for name in &names {
                let at = tasks.iter().position(|t| t.task_id == *name).unwrap_or_else(|| {
                    tasks.push(task(name.as_str()));
                    tasks.len() - 1
                });
                tasks[at].upstream.extend(before.iter().cloned());
            }
            before = names;
        }
    }
    DagDefinition {
        dag_id: DagId::new(id).expect("a DAG id"),
        description: None,
        doc_md: None,
        tags: Vec::new(),
        file: format!("{id}.yaml"),
        schedule: Schedule::Never,
        timezone: chrono_tz::UTC,
        start_date: None,
        end_date: None,
        catchup: false,
        max_active_runs: Limit::from(16),
        max_active_tasks: Limit::from(16),
        max_active_tasks_scope: TaskLimitScope::AllRuns,
        dagrun_timeout: None,
        fail_fast: false,
        max_consecutive_failed_runs: None,
        is_paused_upon_creation: None,
        params: serde_json::Map::new(),
        template_searchpath: Vec::new(),
        tasks,
    }
}

pub fn task(id: &str) -> TaskDefinition {
    TaskDefinition {
        task_id: TaskId::new(id).expect("a task id"),
        operator: Operator::Bash(Bash {
            command: "true".to_owned(),
            env: None,
            append_env: false,
            cwd: None,
            skip_on_exit_code: default_skip_codes(),
        }),
        operator_name: "BashOperator".to_owned(),
        upstream: Vec::new(),
        trigger_rule: TriggerRule::AllSuccess,
        owner: "airflow".to_owned(),
        retries: 0,
        retry_delay: Duration::from_secs(300),
        retry_exponential_backoff: None,
        max_retry_delay: None,
        execution_timeout: None,
        pool: PoolName::default_pool(),
        pool_slots: 1,
        max_active_tis_per_dag: None,
        priority_weight: 1,
        weight_rule: WeightRule::Downstream,
        queue: QueueName::default_queue(),
        start_date: None,
        end_date: None,
        do_xcom_push: true,
        doc_md: None,
        params: serde_json::Map::new(),
    }
}

/// The store as maps of rows; it checks what a database would, and a little more.
#[derive(Clone, Debug, Default)]
pub struct ModelStore {
    pub dags: BTreeMap<DagId, DagRow>,
    pub versions: BTreeMap<(DagId, VersionNumber), DagDefinition>,
    pub runs: BTreeMap<RunKey, RunRow>,
    pub tasks: BTreeMap<(RunKey, TaskId), TaskRow>,
    pub attempts: BTreeMap<AttemptId, AttemptRow>,
    pub workers: BTreeMap<WorkerId, WorkerRow>,
    pub pools: Vec<PoolRow>,
}

impl ModelStore {
    pub fn apply(&mut self, write: Write) {
        match write {
            Write::Dag(row) => {
                self.dags.insert(row.dag_id.clone(), row);
            }
            Write::Version(row) => {
                let before = self.versions.insert((row.dag_id, row.version), row.definition);
                assert!(before.is_none(), "a version is written once");
            }
            Write::Run(row) => {
                let clash = self.runs.values().any(|other| {
                    other.key != row.key
                        && other.dag_id == row.dag_id
                        && (other.run_id == row.run_id
                            || (row.logical_date.is_some() && other.logical_date == row.logical_date))
                });
                assert!(!clash, "run {} of {} exists twice", row.run_id, row.dag_id);
                self.runs.insert(row.key, row);
            }
            Write::Task(row) => {
                self.tasks.insert((row.run, row.task_id.clone()), row);
            }
            Write::Attempt(row) => {
                if let Some(before) = self.attempts.get(&row.id).filter(|before| before.state.is_done()) {
                    assert_eq!(before.state, row.state, "I3 one_outcome: attempt {} ended twice", row.id);
                }
                self.attempts.insert(row.id, row);
            }
            Write::Worker(row) => {
                self.workers.insert(row.id, row);
            }
            Write::Pool(row) => {
                self.pools.retain(|pool| pool.name != row.name);
                self.pools.push(row);
            }
            Write::DeletePool(name) => self.pools.retain(|pool| pool.name != name),
            Write::XCom(_) | Write::ClearXComs { .. } | Write::FileProblems { .. } | Write::CommandDone { .. } => {}
        }
    }

    /// What a restart finds.
    pub fn unfinished(&self) -> Unfinished {
        let open = |attempt: &&AttemptRow| !attempt.state.is_done();
        let is_needed = |run: &&RunRow| {
            !run.state.is_finished() || self.attempts.values().filter(open).any(|attempt| attempt.run == run.key)
        };
        Unfinished {
            dags: self.dags.values().cloned().collect(),
            versions: self
                .versions
                .iter()
                .map(|(name, definition)| (name.clone(), compile(definition.clone())))
                .collect(),
            runs: self
                .runs
                .values()
                .filter(is_needed)
                .map(|row| UnfinishedRun {
                    row: row.clone(),
                    tasks: self.tasks.values().filter(|task| task.run == row.key).cloned().collect(),
                    attempts: self
                        .attempts
                        .values()
                        .filter(open)
                        .filter(|attempt| attempt.run == row.key)
                        .cloned()
                        .collect(),
                })
                .collect(),
            pools: self.pools.clone(),
            workers: self.workers.values().cloned().collect(),
            next_run: self.runs.keys().last().map_or(RunKey(1), |key| key.next()),
            taken_dates: self
                .runs
                .values()
                .filter(|run| run.run_type != crate::domain::run::RunType::Scheduled)
                .filter_map(|run| Some((run.dag_id.clone(), run.logical_date?)))
                .collect(),
            recent: self.dags.values().flat_map(|dag| self.recent(dag)).collect(),
        }
    }

    /// The latest finished runs, as many as the DAG's newest version wants to know of.
    fn recent(&self, dag: &DagRow) -> Vec<RunRow> {
        let limit = self.versions[&(dag.dag_id.clone(), dag.version)].max_consecutive_failed_runs;
        let mut runs: Vec<RunRow> =
            self.runs.values().filter(|run| run.dag_id == dag.dag_id && run.state.is_finished()).cloned().collect();
        runs.sort_by_key(|run| std::cmp::Reverse((run.run_after, run.key)));
        runs.truncate(limit.map_or(0, |limit| limit.get() as usize));
        runs
    }

    /// What the shell reads for a control about past runs.
    pub fn history(&self, control: &Control) -> History {
        let selection = match control {
            Control::Trigger(_) | Control::Pause { .. } | Control::SetPool(_) | Control::DeletePool { .. } => {
                return History::default();
            }
            Control::Clear(clear) => clear.selection.clone(),
            Control::MarkTasks { selection, .. } => selection.clone(),
            Control::MarkRun { dag, run_id, .. } => Selection::whole_run(dag.clone(), run_id.clone()),
        };
        let of_dag = || self.runs.values().filter(|run| run.dag_id == selection.dag);
        let dates: Vec<Time> = of_dag()
            .filter(|run| selection.run_ids().contains(&run.run_id))
            .filter_map(|run| run.logical_date)
            .collect();
        let runs =
            of_dag().filter(|run| selection.includes(&run.run_id, run.logical_date, &dates)).map(|row| KnownRun {
                row: row.clone(),
                dag: Some(compile(self.versions[&(row.dag_id.clone(), row.version)].clone())),
                tasks: match row.state.is_finished() {
                    true => self.tasks.values().filter(|task| task.run == row.key).cloned().collect(),
                    false => Vec::new(),
                },
            });
        History { runs: runs.collect(), ..History::default() }
    }

    pub fn task(&self, run: RunKey, task: &str) -> &TaskRow {
        &self.tasks[&(run, TaskId::new(task).expect("a task id"))]
    }
}

pub fn compile(definition: DagDefinition) -> Arc<Dag> {
    Arc::new(Dag::compile(definition).expect("a valid DAG"))
}

/// A node in one process whose commits always succeed: for stories.
pub struct World {
    pub now: Time,
    pub core: Core,
    pub store: ModelStore,
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    /// Attempts that run, in the order in which they were started.
    pub running: Vec<(TaskMessage, Claim)>,
    pub answers: Vec<Reply>,
    pub terminated: Vec<Claim>,
    pub looked_up: usize,
}

impl World {
    pub fn new(settings: Settings) -> Self {
        let mut core = Core::new(settings, Epoch(1), Ids::seeded(1));
        let pool =
            PoolRow { name: PoolName::default_pool(), slots: 128, description: String::new(), include_deferred: false };
        core.set_pool(pool.clone());
        let mut world = Self {
            now: start_of_story(),
            core,
            store: ModelStore { pools: vec![pool], ..ModelStore::default() },
            worker: WorkerId(uuid::Uuid::from_u128(1)),
            incarnation: Incarnation(0),
            running: Vec::new(),
            answers: Vec::new(),
            terminated: Vec::new(),
            looked_up: 0,
        };
        world.start_worker(Vec::new());
        world
    }

    /// The worker begins a new life.
    pub fn start_worker(&mut self, unsettled: Vec<Report>) {
        self.incarnation = self.incarnation.next();
        self.running.clear();
        let online = Online {
            worker: self.worker,
            incarnation: self.incarnation,
            name: "local".to_owned(),
            slots: 0,
            queues: vec![QueueName::default_queue()],
            unsettled,
        };
        self.tell(FromWorker::Online(online));
    }

    pub fn apply(&mut self, input: Input) {
        let effects = self.core.apply(self.now, input);
        self.take(effects);
    }

    fn take(&mut self, effects: Vec<Effect>) {
        assert_eq!(self.core.violations(), []);
        for effect in effects {
            match effect {
                Effect::Write(write) => self.store.apply(write),
                Effect::Send { message: ToWorker::Task { task, granted }, .. } => {
                    self.running.push((*task, granted.expect("in one process every task comes granted")));
                }
                Effect::Send { message: ToWorker::Terminate { claim, .. }, .. } => self.terminated.push(claim),
                Effect::Send { .. } | Effect::Event(_) => {}
                Effect::Answer { reply, .. } => self.answers.push(reply),
                Effect::LookUp { .. } => self.looked_up += 1,
            }
        }
    }

    pub fn tell(&mut self, message: FromWorker) {
        self.apply(Input::Worker(message));
    }

    pub fn add(&mut self, dag: DagDefinition) {
        let (file, dags) = (dag.file.clone(), vec![compile(dag)]);
        let change = FileChange { file, source: String::new(), dags, problems: Vec::new() };
        self.apply(Input::FilesChanged(vec![change]));
    }

    pub fn control(&mut self, control: Control) -> Reply {
        let history = self.store.history(&control);
        self.apply(Input::Control { ticket: Ticket::Caller(0), control, history });
        self.answers.pop().expect("every control is answered")
    }

    pub fn trigger(&mut self, dag: &str) -> Reply {
        self.control(Control::Trigger(Trigger {
            dag: DagId::new(dag).expect("a DAG id"),
            run_id: None,
            logical_date: None,
            conf: serde_json::Map::new(),
            note: None,
            by: TriggeredBy::Cli,
            user: None,
        }))
    }

    pub fn pause(&mut self, dag: &str, paused: bool) -> Reply {
        self.control(Control::Pause { dag: DagId::new(dag).expect("a DAG id"), paused })
    }

    /// The tasks that run, by name, in the order in which they were started.
    pub fn names(&self) -> Vec<String> {
        self.running.iter().map(|(task, _)| task.key.task.to_string()).collect()
    }

    /// Ends the first running attempt of this task.
    pub fn finish(&mut self, task: &str, outcome: Outcome) {
        let at = self.running.iter().position(|(message, _)| message.key.task.as_str() == task);
        let (message, claim) = self.running.remove(at.unwrap_or_else(|| panic!("{task} does not run")));
        let report = self.report(&message, claim, outcome);
        self.tell(FromWorker::Finish(report));
    }

    pub fn report(&self, message: &TaskMessage, claim: Claim, outcome: Outcome) -> Report {
        Report {
            attempt: message.attempt,
            claim,
            outcome,
            exit_code: Some(0),
            message: None,
            started_at: Some(self.now),
            ended_at: self.now,
            pid: Some(1),
            xcoms: Vec::new(),
        }
    }

    pub fn succeed(&mut self, tasks: &[&str]) {
        for task in tasks {
            self.finish(task, Outcome::Success);
        }
    }

    /// Time passes; whatever is due happens.
    pub fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(due) = self.core.next_wake().filter(|due| *due <= until) {
            self.now = due.max(self.now);
            self.apply(Input::Tick);
        }
        self.now = until;
        self.apply(Input::Tick);
    }

    /// `kill -9` and a new start: memory is what the store remembers.
    pub fn crash_and_restart(&mut self, settings: Settings) {
        self.core = Core::restore(settings, Epoch(2), Ids::seeded(2), self.store.unfinished());
        let effects = self.core.resume(self.now);
        self.take(effects);
        self.apply(Input::FolderRead);
        self.start_worker(Vec::new());
    }

    pub fn state(&self, run: i64, task: &str) -> TaskState {
        self.store.task(RunKey(run), task).state
    }

    pub fn run_state(&self, run: i64) -> RunState {
        self.store.runs[&RunKey(run)].state
    }

    pub fn run_ids(&self) -> Vec<RunId> {
        self.store.runs.values().map(|run| run.run_id.clone()).collect()
    }

    pub fn open_attempts(&self) -> usize {
        self.store.attempts.values().filter(|attempt| !matches!(attempt.state, AttemptState::Done { .. })).count()
    }
}
