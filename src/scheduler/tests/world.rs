//! A small language for stories about scheduling: a graph in one line, a virtual
//! clock, a store that remembers rows, and a worker that does as it is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeZone;

use crate::domain::asset::{Asset, AssetEvent};
use crate::domain::attempt::{AttemptState, Outcome};
use crate::domain::dag::{DagDefinition, TaskDefinition, TaskLimitScope, WeightRule};
use crate::domain::deadline::DeadlineState;
use crate::domain::graph::Dag;
use crate::domain::ids::{
    AssetEventId, AssetName, AttemptId, BackfillId, Claim, DagId, Epoch, Incarnation, MapIndex, NotificationId,
    PoolName, QueueName, RunId, RunKey, TaskId, TaskKey, VersionNumber, WorkerId,
};
use crate::domain::limit::Limit;
use crate::domain::notification::{About, NotificationState, Patience};
use crate::domain::operator::{Bash, Operator, default_skip_codes};
use crate::domain::run::RunType;
use crate::domain::schedule::Schedule;
use crate::domain::skip::SKIP_KEY;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;
use crate::domain::trigger::TriggerRule;
use crate::domain::wait::{Awaited, Seen};
use crate::protocol::control::{Control, Reply, Trigger, TriggeredBy};
use crate::protocol::selection::Selection;
use crate::protocol::work::{
    Answer, FromWorker, LeaseTimes, Notified, Online, Report, Standing, TaskMessage, ToWorker,
};
use crate::scheduler::core::{
    Core, Effect, FileChange, Grant, History, Ids, Input, Inquiry, KnownPast, KnownRun, LookBack, Notifications,
    PreviousRun, Remote, Settings, Stands, Ticket,
};
use crate::scheduler::restore::{Unfinished, UnfinishedRun};
use crate::store::write::{
    AttemptRow, BackfillRow, DagRow, DeadlineRow, NotificationRow, PoolRow, QueueRow, RunRow, TaskRow, WorkerRow,
    Write, XComRow,
};

/// Midnight of a day in 2026: where every story begins.
pub fn start_of_story() -> Time {
    chrono::Utc.with_ymd_and_hms(2026, 11, 21, 0, 0, 0).single().expect("a date")
}

pub fn settings() -> Settings {
    Settings {
        parallelism: Limit::from(32),
        paused_at_creation: false,
        infra_retries: 3,
        max_map_length: 1024,
        max_retry_delay: Duration::from_secs(86_400),
        manual_runs_have_dates: false,
        xcom_of_any_task: false,
        conf_overrides_params: true,
        kill_grace: Duration::from_secs(5),
        grant: Grant::InProcess,
        remote: Remote {
            lease: LeaseTimes {
                fence_after: Duration::from_secs(45),
                kill_grace: Duration::from_secs(5),
                spawn_slack: Duration::from_secs(1),
                worker_lost_after: Duration::from_secs(60),
            },
            redispatch_after: Duration::from_secs(30),
            max_redispatch: 5,
        },
        notifications: Notifications {
            at_once: 4,
            timeout: Duration::from_secs(60),
            patience: Patience { retries: 2, delay: Duration::from_secs(10) },
        },
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
        param_schemas: serde_json::Map::new(),
        render_template_as_native_obj: false,
        assets: Vec::new(),
        template_searchpath: Vec::new(),
        groups: Vec::new(),
        callbacks: Default::default(),
        deadlines: Vec::new(),
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
        past: Default::default(),
        role: Default::default(),
        owner: "airflow".to_owned(),
        retries: 0,
        retry_delay: Duration::from_secs(300),
        retry_exponential_backoff: None,
        max_retry_delay: None,
        execution_timeout: None,
        pool: PoolName::default_pool(),
        pool_slots: 1,
        max_active_tis_per_dag: None,
        max_active_tis_per_dagrun: None,
        priority_weight: 1,
        weight_rule: WeightRule::Downstream,
        queue: QueueName::default_queue(),
        start_date: None,
        end_date: None,
        do_xcom_push: true,
        doc_md: None,
        map_index_template: None,
        only_instance: None,
        params: serde_json::Map::new(),
        param_schemas: serde_json::Map::new(),
        outlets: Vec::new(),
        inlets: Vec::new(),
        group: None,
        expand: None,
        callbacks: Default::default(),
    }
}

/// The store as maps of rows; it checks what a database would, and a little more.
#[derive(Clone, Debug, Default)]
pub struct ModelStore {
    pub dags: BTreeMap<DagId, DagRow>,
    pub versions: BTreeMap<(DagId, VersionNumber), DagDefinition>,
    pub runs: BTreeMap<RunKey, RunRow>,
    pub tasks: BTreeMap<(RunKey, TaskId, MapIndex), TaskRow>,
    pub attempts: BTreeMap<AttemptId, AttemptRow>,
    pub workers: BTreeMap<WorkerId, WorkerRow>,
    pub notifications: BTreeMap<NotificationId, NotificationRow>,
    pub deadlines: BTreeMap<(RunKey, u32), DeadlineRow>,
    pub pools: Vec<PoolRow>,
    pub xcoms: BTreeMap<(RunKey, TaskId, MapIndex, String), XComRow>,
    pub backfills: BTreeMap<BackfillId, BackfillRow>,
    pub assets: BTreeMap<AssetName, Asset>,
    pub events: BTreeMap<AssetEventId, AssetEvent>,
    pub queue: BTreeMap<(DagId, AssetEventId), QueueRow>,
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
                self.tasks.insert((row.run, row.task_id.clone(), row.map_index), row);
            }
            Write::DropTask { run, task, map_index } => {
                self.tasks.remove(&(run, task, map_index));
            }
            Write::Attempt(row) => {
                if let Some(before) = self.attempts.get(&row.id).filter(|before| before.state.is_done()) {
                    assert_eq!(before.state, row.state, "I3 one_outcome: attempt {} ended twice", row.id);
                }
                self.attempts.insert(row.id, row);
            }
            Write::Notification(row) => {
                if let Some(before) = self.notifications.get(&row.id) {
                    let is_open = before.state == NotificationState::Pending;
                    assert!(is_open, "notification {} ended twice: {row:?}", row.id);
                }
                self.notifications.insert(row.id, *row);
            }
            Write::Deadline(row) => {
                self.deadlines.insert((row.run, row.number), row);
            }
            Write::Worker(row) => {
                self.workers.insert(row.id, row);
            }
            Write::Pool(row) => {
                self.pools.retain(|pool| pool.name != row.name);
                self.pools.push(row);
            }
            Write::DeletePool(name) => self.pools.retain(|pool| pool.name != name),
            Write::XCom(row) => {
                self.xcoms.insert((row.run, row.task_id.clone(), row.map_index, row.key.clone()), row);
            }
            Write::ClearXComs { run, task, map_index } => {
                self.xcoms.retain(|(of, id, index, _), _| (*of, id, *index) != (run, &task, map_index));
            }
            Write::Backfill(row) => {
                self.backfills.insert(row.id, *row);
            }
            Write::DeleteDag(dag) => self.delete(&dag),
            Write::Asset(asset) => {
                self.assets.insert(asset.name.clone(), asset);
            }
            Write::AssetEvent(event) => {
                let before = self.events.insert(event.id, event);
                assert!(before.is_none(), "an asset event is written once");
            }
            Write::Queued(row) => {
                let before = self.queue.insert((row.dag.clone(), row.event), row.clone());
                let given_to = before.and_then(|before| before.run);
                assert!(given_to.is_none(), "event {} was given to two runs of {}", row.event, row.dag);
            }
            Write::Dequeued { dag, event } => {
                let gone = self.queue.remove(&(dag, event));
                assert!(gone.is_some_and(|row| row.run.is_none()), "only what waits can be dropped");
            }
            Write::Clean(rows) => {
                self.runs.retain(|key, _| !rows.runs.contains(key));
                self.tasks.retain(|(run, ..), _| !rows.runs.contains(run));
                self.attempts.retain(|_, attempt| !rows.runs.contains(&attempt.run));
                self.notifications.retain(|_, row| !rows.runs.contains(&row.run));
                self.deadlines.retain(|(run, _), _| !rows.runs.contains(run));
                self.queue.retain(|_, row| row.run.is_none_or(|run| !rows.runs.contains(&run)));
            }
            Write::FileProblems { .. } | Write::CommandDone { .. } => {}
        }
    }

    fn delete(&mut self, dag: &DagId) {
        let gone: Vec<RunKey> = self.runs.values().filter(|run| run.dag_id == *dag).map(|run| run.key).collect();
        self.tasks.retain(|(run, ..), _| !gone.contains(run));
        self.attempts.retain(|_, attempt| !gone.contains(&attempt.run));
        self.runs.retain(|key, _| !gone.contains(key));
        self.notifications.retain(|_, row| !gone.contains(&row.run));
        self.deadlines.retain(|(run, _), _| !gone.contains(run));
        self.queue.retain(|(of, _), _| of != dag);
        self.backfills.retain(|_, row| row.request.dag != *dag);
        self.versions.retain(|(of, _), _| of != dag);
        self.dags.remove(dag);
    }

    /// What a restart finds.
    pub fn unfinished(&self) -> Unfinished {
        let open = |attempt: &&AttemptRow| !attempt.state.is_done();
        let is_needed = |run: &&RunRow| {
            let is_awaited =
                |deadline: &&DeadlineRow| deadline.state == DeadlineState::Pending && deadline.run == run.key;
            !run.state.is_finished()
                || self.deadlines.values().any(|deadline| is_awaited(&deadline))
                || self.attempts.values().filter(open).any(|attempt| attempt.run == run.key)
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
                    decisions: self.decisions(row.key),
                    events: self.events_of(row.key),
                })
                .collect(),
            notifications: self.owed().cloned().collect(),
            deadlines: self.deadlines.values().filter(|row| row.state == DeadlineState::Pending).cloned().collect(),
            pools: self.pools.clone(),
            workers: self.workers.values().cloned().collect(),
            next_run: self.runs.keys().last().map_or(RunKey(1), |key| key.next()),
            taken_dates: self
                .runs
                .values()
                .filter(|run| run.run_type != RunType::Scheduled)
                .filter_map(|run| Some((run.dag_id.clone(), run.logical_date?)))
                .collect(),
            recent: self.dags.values().flat_map(|dag| self.recent(dag)).collect(),
            backfills: self.backfills.values().filter(|row| self.is_open(row)).cloned().collect(),
            next_backfill: self.backfills.keys().last().map_or(BackfillId(1), |id| id.next()),
            assets: self.assets.values().cloned().collect(),
            queued: self
                .queue
                .values()
                .filter(|row| row.run.is_none())
                .map(|row| (row.clone(), self.events[&row.event].clone()))
                .collect(),
            successes: self.successes(),
            next_event: self.events.keys().last().map_or(AssetEventId(1), |id| id.next()),
        }
    }

    fn is_open(&self, backfill: &BackfillRow) -> bool {
        let of_it = |run: &&RunRow| run.backfill.is_some_and(|place| place.backfill == backfill.id);
        let is_needed = |run: &RunRow| {
            let ends = |attempt: &AttemptRow| attempt.run == run.key && !attempt.state.is_done();
            !run.state.is_finished() || self.attempts.values().any(ends)
        };
        backfill.completed_at.is_none() || self.runs.values().filter(of_it).any(is_needed)
    }

    /// Of each DAG the successful run of the latest logical date.
    fn successes(&self) -> Vec<RunRow> {
        let of = |dag: &DagId| {
            let successful = self.runs.values().filter(|run| run.dag_id == *dag && run.state == RunState::Success);
            successful.filter(|run| run.logical_date.is_some()).max_by_key(|run| run.logical_date).cloned()
        };
        self.dags.keys().filter_map(of).collect()
    }

    pub fn events_of(&self, run: RunKey) -> Vec<AssetEvent> {
        let given = self.queue.values().filter(|row| row.run == Some(run));
        given.map(|row| self.events[&row.event].clone()).collect()
    }

    /// Notifications that are not carried out.
    pub fn owed(&self) -> impl Iterator<Item = &NotificationRow> {
        self.notifications.values().filter(|row| row.state == NotificationState::Pending)
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

    /// How every task instance stands.
    pub fn states(&self) -> BTreeMap<TaskKey, TaskState> {
        let key = |row: &TaskRow| {
            let run = self.runs.get(&row.run)?;
            let (dag, run) = (run.dag_id.clone(), run.run_id.clone());
            Some((TaskKey { dag, run, task: row.task_id.clone(), map_index: row.map_index }, row.state))
        };
        self.tasks.values().filter_map(key).collect()
    }

    /// What the shell reads of a run that memory has forgotten.
    pub fn judge(&self, awaited: &Awaited) -> Seen {
        let run = |is_it: &dyn Fn(&RunRow) -> bool| self.runs.values().find(|run| is_it(run));
        match awaited {
            Awaited::Look { .. } | Awaited::Moment { .. } => Seen::NotYet,
            Awaited::Run(awaited) => {
                let run = run(&|run| run.dag_id == awaited.dag && run.run_id == awaited.run);
                awaited.judge(run.map(|run| run.state))
            }
            Awaited::Tasks(awaited) => {
                let run = run(&|run| run.dag_id == awaited.dag && run.logical_date == Some(awaited.date));
                let Some(run) = run else { return Seen::NotYet };
                let tasks = self.tasks.values().filter(|task| task.run == run.key);
                let states: Vec<_> = tasks.map(|task| (task.task_id.clone(), task.state)).collect();
                let version = self.versions.get(&(run.dag_id.clone(), run.version));
                awaited.judge(Some(run.state), &states, version)
            }
        }
    }

    /// What the shell reads for a control about past runs.
    pub fn history(&self, control: &Control) -> History {
        let selection = match control {
            Control::Trigger(_)
            | Control::Materialize(_)
            | Control::Pause { .. }
            | Control::SetPool(_)
            | Control::DeletePool { .. }
            | Control::ExplainDag { .. }
            | Control::OrderWorkers { .. }
            | Control::CreateBackfill { .. } => return History::default(),
            Control::PauseBackfill { backfill, .. } | Control::CancelBackfill { backfill } => {
                let row = self.backfills.get(backfill).cloned();
                return History { backfills: row.into_iter().collect(), ..History::default() };
            }
            Control::Clean(clean) => {
                let is_old =
                    |run: &&RunRow| run.ended_at.is_some_and(|end| end < clean.before) && run.state.is_finished();
                let old_runs = self.runs.values().filter(is_old).map(|run| run.key).collect();
                return History { old_runs, ..History::default() };
            }
            Control::DeleteRun { dag, run_id } => {
                let is_it = |run: &&RunRow| run.dag_id == *dag && run.run_id == *run_id;
                let old_runs = self.runs.values().filter(is_it).map(|run| run.key).collect();
                return History { old_runs, ..History::default() };
            }
            Control::DeleteDag { .. } => return History { source: Some(String::new()), ..History::default() },
            Control::Clear(clear) => clear.selection.clone(),
            Control::MarkTasks { selection, .. } => selection.clone(),
            Control::MarkRun { dag, run_id, .. }
            | Control::NoteRun { dag, run_id, .. }
            | Control::Explain { dag, run_id, .. } => Selection::whole_run(dag.clone(), run_id.clone()),
        };
        let of_dag = || self.runs.values().filter(|run| run.dag_id == selection.dag);
        let dates: Vec<Time> = of_dag()
            .filter(|run| selection.run_ids().contains(&run.run_id))
            .filter_map(|run| run.logical_date)
            .collect();
        let runs = of_dag().filter(|run| selection.includes(&run.run_id, run.logical_date, &dates));
        let runs: Vec<KnownRun> = runs.map(|row| self.known(row)).collect();
        let of_run = |known: &KnownRun| known.row.backfill.map(|place| place.backfill);
        let ids: BTreeSet<BackfillId> = runs.iter().filter_map(of_run).collect();
        let backfills = ids.iter().filter_map(|id| self.backfills.get(id)).cloned().collect();
        History { runs, backfills, ..History::default() }
    }

    /// What the shell reads for a backfill.
    pub fn dates(&self, inquiry: &Inquiry) -> History {
        let of_dag = || self.runs.values().filter(|run| run.dag_id == inquiry.dag);
        let is_meant = |run: &&RunRow| inquiry.dates.iter().any(|date| Some(date.logical_date) == run.logical_date);
        History {
            runs: of_dag().filter(is_meant).map(|row| self.known(row)).collect(),
            taken_ids: of_dag().map(|run| run.run_id.clone()).collect(),
            ..History::default()
        }
    }

    fn known(&self, row: &RunRow) -> KnownRun {
        KnownRun {
            row: row.clone(),
            dag: Some(compile(self.versions[&(row.dag_id.clone(), row.version)].clone())),
            decisions: self.decisions(row.key),
            events: self.events_of(row.key),
            tasks: match row.state.is_finished() {
                true => self.tasks.values().filter(|task| task.run == row.key).cloned().collect(),
                false => Vec::new(),
            },
        }
    }

    fn decisions(&self, run: RunKey) -> Vec<XComRow> {
        self.xcoms.values().filter(|row| row.run == run && row.key == SKIP_KEY).cloned().collect()
    }

    /// What the shell reads about the runs before one run.
    pub fn past(&self, question: &LookBack) -> KnownPast {
        let counts = |run: &&RunRow| {
            run.dag_id == question.dag && (question.manual_runs_count || run.run_type != RunType::Manual)
        };
        let dated = |run: &RunRow| run.logical_date;
        let before = |run: &&RunRow| dated(run).is_some_and(|date| date < question.before);
        let tasks = |run: RunKey| self.tasks.values().filter(move |task| task.run == run);
        let previous = self.runs.values().filter(counts).filter(before).max_by_key(|run| run.logical_date);
        let earlier = || self.runs.values().filter(|run| run.dag_id == question.dag).filter(before);
        let was_there = |task: &TaskId| {
            let there =
                |row: &TaskRow| row.task_id == *task && (row.state != TaskState::Removed || row.try_number.0 > 0);
            earlier().any(|run| tasks(run.key).any(there))
        };
        KnownPast {
            manual_runs_count: question.manual_runs_count,
            previous: previous.map(|run| PreviousRun {
                key: run.key,
                logical_date: run.logical_date.expect("it has one, to be before"),
                stands: Stands::of_rows(tasks(run.key)),
            }),
            is_newest: !self
                .runs
                .values()
                .filter(counts)
                .any(|run| dated(run).is_some_and(|date| date > question.before)),
            seen: question.first_of.iter().filter(|task| was_there(task)).cloned().collect(),
        }
    }

    pub fn task(&self, run: RunKey, task: &str) -> &TaskRow {
        &self.tasks[&(run, TaskId::new(task).expect("a task id"), MapIndex::UNMAPPED)]
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
    /// Notifications that a worker has, in the order in which they came.
    pub notices: Vec<(NotificationId, TaskMessage)>,
    pub terminated: Vec<Claim>,
    pub looked_up: usize,
    pub looked_back: usize,
    /// What running tasks were answered.
    pub told: Vec<Answer>,
    /// What a backfill asks for; answered at once, or when the story wants it.
    pub inquiries: VecDeque<Inquiry>,
    pub answers_inquiries: bool,
    /// No two lives of a scheduler make the same ids.
    lives: i64,
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
            notices: Vec::new(),
            terminated: Vec::new(),
            looked_up: 0,
            looked_back: 0,
            told: Vec::new(),
            inquiries: VecDeque::new(),
            answers_inquiries: true,
            lives: 1,
        };
        world.start_worker(Vec::new());
        world
    }

    /// The worker begins a new life.
    pub fn start_worker(&mut self, unsettled: Vec<Report>) {
        self.incarnation = self.incarnation.next();
        self.running.clear();
        self.notices.clear();
        let online = Online {
            worker: self.worker,
            incarnation: self.incarnation,
            name: "local".to_owned(),
            standing: Standing { queues: vec![QueueName::default_queue()], ..Standing::default() },
            version: String::new(),
            understands: 1,
            unsettled,
        };
        self.tell(FromWorker::Online(online));
    }

    pub fn apply(&mut self, input: Input) {
        let effects = self.core.apply(self.now, input);
        self.take(effects);
        while self.answers_inquiries && self.answer_an_inquiry() {}
    }

    /// The store says what it knows about the dates that were asked for first.
    pub fn answer_an_inquiry(&mut self) -> bool {
        let Some(inquiry) = self.inquiries.pop_front() else { return false };
        let history = self.store.dates(&inquiry);
        let effects = self.core.apply(self.now, Input::DatesKnown { inquiry, history });
        self.take(effects);
        true
    }

    pub fn take(&mut self, effects: Vec<Effect>) {
        assert_eq!(self.core.violations(), []);
        let (mut looks, mut errands) = (Vec::new(), Vec::new());
        let mut questions = Vec::new();
        for effect in effects {
            match effect {
                Effect::Write(write) => self.store.apply(write),
                Effect::Send { message: ToWorker::Task { task, granted }, .. } => {
                    self.running.push((*task, granted.expect("in one process every task comes granted")));
                }
                Effect::Send { message: ToWorker::Notify { id, task }, .. } => self.notices.push((id, *task)),
                Effect::Send { message: ToWorker::Terminate { claim, .. }, .. } => self.terminated.push(claim),
                Effect::Send { message: ToWorker::Values { answer, .. }, .. } => self.told.push(answer),
                Effect::Send { .. } | Effect::Event(_) => {}
                Effect::Answer { reply, .. } => self.answers.push(reply),
                Effect::LookUp { .. } => self.looked_up += 1,
                Effect::LookAt { at, awaited } => looks.push((at, awaited)),
                Effect::Errand { ticket, control } => errands.push((ticket, control)),
                Effect::LookBack(question) => questions.push(question),
                Effect::Inquire(inquiry) => self.inquiries.push_back(inquiry),
            }
        }
        for (at, awaited) in looks {
            let seen = self.store.judge(&awaited);
            if seen != Seen::NotYet {
                self.apply(Input::Seen { at, awaited, seen });
            }
        }
        for (ticket, control) in errands {
            let history = self.store.history(&control);
            self.apply(Input::Control { ticket, control, history });
        }
        for question in questions {
            self.looked_back += 1;
            let past = self.store.past(&question);
            self.apply(Input::LookedBack { run: question.run, past });
        }
    }

    pub fn tell(&mut self, message: FromWorker) {
        self.apply(Input::Worker(message));
    }

    pub fn add(&mut self, dag: DagDefinition) {
        let (file, dags) = (dag.file.clone(), vec![compile(dag)]);
        let change =
            FileChange { file, source: String::new(), dags, problems: Vec::new(), took: std::time::Duration::ZERO };
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

    /// Triggers the one DAG there is with a conf.
    pub fn trigger_with(&mut self, conf: serde_json::Value) -> Reply {
        let dag = self.store.dags.keys().next().expect("a DAG").clone();
        self.now += Duration::from_secs(1);
        self.control(Control::Trigger(Trigger {
            dag,
            run_id: None,
            logical_date: None,
            conf: conf.as_object().cloned().expect("an object"),
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

    /// Ends the attempt of this instance with success and the value that it returned.
    pub fn finish_with(&mut self, task: &str, map_index: i32, value: serde_json::Value) {
        let is_meant = |key: &TaskKey| key.task.as_str() == task && key.map_index == MapIndex(map_index);
        let at = self.running.iter().position(|(message, _)| is_meant(&message.key));
        let (message, claim) = self.running.remove(at.unwrap_or_else(|| panic!("{task} [{map_index}] does not run")));
        let mut report = self.report(&message, claim, Outcome::Success);
        if !value.is_null() {
            report.xcoms.push(("return_value".to_owned(), value));
        }
        self.tell(FromWorker::Finish(report));
    }

    /// The states of a task's instances, by map index; one alone is that of index -1.
    pub fn states(&self, run: i64, task: &str) -> Vec<(i32, &'static str)> {
        let rows = self.store.tasks.values().filter(|row| row.run == RunKey(run) && row.task_id.as_str() == task);
        rows.map(|row| (row.map_index.0, row.state.as_str())).collect()
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
            outlet_events: Vec::new(),
            awaited: None,
        }
    }

    /// What a worker was told to say, as `on_failure of task a, try 1`, in the order in which it came.
    pub fn said(&self) -> Vec<String> {
        self.notices
            .iter()
            .map(|(_, message)| {
                let notice = message.notice.as_ref().expect("a notification says what happened");
                let about = match notice.about {
                    About::Task => format!("task {}, try {}", message.key.task, message.try_number),
                    About::Run => format!("run {}", notice.reason.as_deref().unwrap_or("in time")),
                };
                format!("{} of {about}", notice.occasion.as_str())
            })
            .collect()
    }

    /// The worker has tried the first notification that it has.
    pub fn carry_out(&mut self, succeeded: bool) {
        let (id, _) = self.notices.remove(0);
        let message = (!succeeded).then(|| "nobody listens".to_owned());
        let notified = Notified { id, worker: self.worker, succeeded, message, ended_at: self.now };
        self.tell(FromWorker::Notified(notified));
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
        self.inquiries.clear();
        self.lives += 1;
        self.core =
            Core::restore(settings, Epoch(self.lives), Ids::seeded(self.lives.unsigned_abs()), self.store.unfinished());
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
