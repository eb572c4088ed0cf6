//! A home folder of a test's own, and what a person does there.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use updraft::config::{self, Environment};
use updraft::domain::asset::AssetEvent;
use updraft::domain::dag::DagDefinition;
use updraft::domain::ids::{AssetName, BackfillId, DagId, MapIndex, RunId, TaskId};
use updraft::domain::notification::NotificationState;
use updraft::domain::state::{RunState, TaskState};
use updraft::node::client::Client;
use updraft::protocol::control::{Control, Reply, Trigger, Triggered, TriggeredBy};
use updraft::store::query::{BackfillEntry, DagEntry, ImportError, NotificationFilter, RunFilter};
use updraft::store::write::{AttemptRow, NotificationRow, RunRow, TaskRow};
use updraft::store::{OpenOptions, Store};

use super::counter::Counter;
use super::node::{Ended, Node};
use super::wait::wait_for;

/// A home folder with a `dags/` in it and a free port; everything goes when it is dropped.
pub struct Home {
    folder: TempDir,
    variables: BTreeMap<String, String>,
    /// How many nodes were started here.
    lives: Cell<u32>,
    runtime: Runtime,
    store: OnceCell<Store>,
}

/// A run that has ended, with its task instances by name.
#[derive(Debug)]
pub struct FinishedRun {
    pub row: RunRow,
    pub tasks: Vec<TaskRow>,
}

impl FinishedRun {
    #[track_caller]
    pub fn task(&self, name: &str) -> &TaskRow {
        self.tasks.iter().find(|task| task.task_id.as_str() == name).unwrap_or_else(|| panic!("no task {name}"))
    }

    #[track_caller]
    pub fn assert_success(&self) {
        let other: Vec<_> = self.tasks.iter().filter(|task| task.state != TaskState::Success).collect();
        assert!(other.is_empty(), "not every task succeeded: {other:#?}");
        assert_eq!(self.row.state, RunState::Success);
    }

    pub fn seconds(&self) -> f64 {
        let (Some(started), Some(ended)) = (self.row.started_at, self.row.ended_at) else {
            panic!("a run that has ended has a start and an end: {:?}", self.row)
        };
        (ended - started).as_seconds_f64()
    }
}

impl Home {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["home/dags", "world", "tmp", "said"] {
            std::fs::create_dir_all(folder.path().join(name)).expect("a folder of the test");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let home = Self { folder, variables: BTreeMap::new(), lives: Cell::new(0), runtime, store: OnceCell::new() };
        let (path, tmp) = (home.path(), home.folder.path().join("tmp"));
        home.with_variable("UPDRAFT_HOME", &path.to_string_lossy())
            .with_variable("TMPDIR", &tmp.to_string_lossy())
            .with("api.port", &free_port().to_string())
            .with("core.dags_are_paused_at_creation", "False")
    }

    /// Sets a key of the configuration, as `section.key`, for the nodes that are started from now on.
    pub fn with(self, key: &str, value: &str) -> Self {
        let variable = format!("UPDRAFT__{}", key.replace('.', "__").to_uppercase());
        self.with_variable(&variable, value)
    }

    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub fn dags(&self) -> PathBuf {
        self.path().join("dags")
    }

    /// A file outside the home folder, which the product knows nothing of.
    pub fn in_world(&self, name: &str) -> PathBuf {
        self.folder.path().join("world").join(name)
    }

    pub fn counter(&self, name: &str) -> Counter {
        Counter::new(self.in_world(name))
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.dags().join(file);
        std::fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder");
        std::fs::write(path, text).expect("the file is written");
    }

    pub fn remove(&self, file: &str) {
        std::fs::remove_file(self.dags().join(file)).expect("the file is removed");
    }

    /// Copies a DAG file of the repository.
    pub fn copy(&self, from: &str) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(from);
        let name = source.file_name().expect("a file").to_owned();
        std::fs::copy(&source, self.dags().join(name)).unwrap_or_else(|error| panic!("{from}: {error}"));
    }

    /// `updraft standalone`, without waiting for anything.
    pub fn spawn(&self) -> Node {
        let life = self.lives.get() + 1;
        self.lives.set(life);
        let mark = format!("{}#{life}", self.folder.path().display());
        let mut command = self.command();
        command.arg("standalone").env(MARK, &mark);
        let output = self.folder.path().join("said").join(life.to_string());
        let address = format!("127.0.0.1:{}", self.variables["UPDRAFT__API__PORT"]);
        Node::spawn(command, output, format!("{MARK}={mark}"), address)
    }

    /// The program with this home and nothing else in its environment that it would heed.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_updraft"));
        command.current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("UPDRAFT") || name.to_string_lossy().starts_with("AIRFLOW") {
                command.env_remove(name);
            }
        }
        command.envs(&self.variables);
        command
    }

    /// What a command of the program prints as JSON.
    #[track_caller]
    pub fn json(&self, words: &[&str]) -> Value {
        let said = self.command().args(words).output().expect("the program runs");
        assert!(said.status.success(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
        serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Any other command, until it ends.
    pub fn finished(&self, words: &[&str]) -> std::process::Output {
        self.command().args(words).output().expect("the program runs")
    }

    /// `updraft standalone`, up to its greeting.
    #[track_caller]
    pub fn start(&self) -> Node {
        let mut node = self.spawn();
        node.wait_ready();
        node
    }

    /// `updraft standalone` where it cannot work.
    #[track_caller]
    pub fn start_in_vain(&self) -> Ended {
        self.spawn().wait_end()
    }

    pub fn settings(&self) -> config::Settings {
        let variables = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let environment = Environment::new(self.folder.path(), variables);
        config::load(&environment, &[]).expect("the configuration of the test").config.settings().clone()
    }

    /// The database, read-only for those who ask; it must have been made by a node.
    fn store(&self) -> &Store {
        self.store.get_or_init(|| {
            let url = self.settings().database.url.sqlx_url().reveal().to_owned();
            let options = OpenOptions { create: false, ..OpenOptions::new(url) };
            self.runtime.block_on(Store::open(&options)).expect("the database of the node")
        })
    }

    /// Closes the database for everybody but a node.
    #[must_use]
    pub fn closed(mut self) -> Self {
        if let Some(store) = self.store.take() {
            self.runtime.block_on(store.close()).expect("the database closes");
        }
        self
    }

    /// What a command of another process does.
    pub fn control(&self, control: &Control) -> Reply {
        let reply = self.runtime.block_on(async {
            let client = Client::open(&self.settings()).await?;
            let reply = client.control(control, None).await;
            client.store.close().await?;
            reply
        });
        reply.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Asks for a run of a DAG, once the DAG is known.
    #[track_caller]
    pub fn trigger(&self, dag: &str) -> Triggered {
        self.wait_dag(dag);
        let dag = DagId::new(dag).expect("a DAG id");
        let trigger = Trigger {
            dag,
            run_id: None,
            logical_date: None,
            conf: serde_json::Map::new(),
            note: None,
            by: TriggeredBy::Test,
            user: None,
        };
        match self.control(&Control::Trigger(trigger)) {
            Reply::Triggered(run) => run,
            other => panic!("expected a run, got {other:?}"),
        }
    }

    pub fn dag(&self, dag: &str) -> Option<DagEntry> {
        let id = DagId::new(dag).expect("a DAG id");
        self.runtime.block_on(self.store().dag(&id)).expect("the database can be read")
    }

    #[track_caller]
    pub fn wait_dag(&self, dag: &str) -> DagEntry {
        wait_for(&format!("DAG {dag} is known"), || self.dag(dag).filter(|entry| !entry.row.is_stale))
    }

    /// What a DAG is, in its newest version.
    #[track_caller]
    pub fn definition(&self, dag: &str) -> DagDefinition {
        self.wait_dag(dag);
        let id = DagId::new(dag).expect("a DAG id");
        let version = self.runtime.block_on(self.store().version(&id, None)).expect("the database can be read");
        version.unwrap_or_else(|| panic!("{dag} has no version")).definition
    }

    pub fn import_errors(&self) -> Vec<ImportError> {
        self.runtime.block_on(self.store().import_errors()).expect("the database can be read")
    }

    /// Waits for a problem of this file and gives its text.
    #[track_caller]
    pub fn wait_import_error(&self, file: &str) -> String {
        wait_for(&format!("{file} has an import error"), || {
            self.import_errors().into_iter().find(|error| error.file == file).map(|error| error.problem.to_string())
        })
    }

    pub fn runs(&self, dag: &str) -> Vec<RunRow> {
        let filter = RunFilter { dag: Some(DagId::new(dag).expect("a DAG id")), ..RunFilter::default() };
        self.runtime.block_on(self.store().runs(&filter)).expect("the database can be read")
    }

    pub fn backfill(&self, id: BackfillId) -> BackfillEntry {
        let entry = self.runtime.block_on(self.store().backfill(id)).expect("the database can be read");
        entry.unwrap_or_else(|| panic!("no backfill {id}"))
    }

    pub fn tasks(&self, run: &RunRow) -> Vec<TaskRow> {
        self.runtime.block_on(self.store().tasks(run.key)).expect("the database can be read")
    }

    /// All events of an asset, oldest first.
    pub fn asset_events(&self, asset: &str) -> Vec<AssetEvent> {
        let name = AssetName::new(asset).expect("a name");
        self.runtime.block_on(self.store().asset_events(&name, 1_000)).expect("the database can be read")
    }

    /// What a task left under this key, `null` for nothing.
    pub fn xcom(&self, run: &RunRow, task: &str, key: &str) -> serde_json::Value {
        let task = TaskId::new(task).expect("a task id");
        let found = self.runtime.block_on(self.store().xcom(run.key, &task, MapIndex::UNMAPPED, key));
        found.expect("the database can be read").map_or(serde_json::Value::Null, |row| row.value)
    }

    pub fn attempts(&self, run: &RunRow) -> Vec<AttemptRow> {
        self.runtime.block_on(self.store().attempts(run.key, None)).expect("the database can be read")
    }

    /// What a task instance returned.
    pub fn result_of(&self, run: &RunRow, task: &TaskId, map_index: MapIndex) -> Option<serde_json::Value> {
        let row = self.runtime.block_on(self.store().xcom(run.key, task, map_index, "return_value"));
        row.expect("the database can be read").map(|row| row.value)
    }

    /// All notifications, the oldest first.
    pub fn notifications(&self) -> Vec<NotificationRow> {
        let all = self.runtime.block_on(self.store().notifications(&NotificationFilter::default()));
        let mut all = all.expect("the database can be read");
        all.reverse();
        all
    }

    /// Waits until nobody is owed a word any more, and gives all notifications.
    #[track_caller]
    pub fn wait_told(&self) -> Vec<NotificationRow> {
        wait_for("everybody is told", || {
            let all = self.notifications();
            all.iter().all(|row| row.state != NotificationState::Pending).then_some(all)
        })
    }

    #[track_caller]
    pub fn run(&self, dag: &str, run_id: &RunId) -> RunRow {
        let dag = DagId::new(dag).expect("a DAG id");
        let row = self.runtime.block_on(self.store().run(&dag, run_id)).expect("the database can be read");
        row.unwrap_or_else(|| panic!("no run {run_id} of {dag}"))
    }

    /// Waits until a run has ended.
    #[track_caller]
    pub fn wait_run(&self, dag: &str, run_id: &RunId) -> FinishedRun {
        let row = wait_for(&format!("run {run_id} of {dag} ends"), || {
            Some(self.run(dag, run_id)).filter(|row| row.state.is_finished())
        });
        FinishedRun { tasks: self.tasks(&row), row }
    }

    /// Waits for the one run that the timetable made, until it has ended.
    #[track_caller]
    pub fn wait_scheduled_run(&self, dag: &str) -> FinishedRun {
        self.wait_dag(dag);
        let run = wait_for(&format!("the timetable makes a run of {dag}"), || self.runs(dag).into_iter().next());
        self.wait_run(dag, &run.run_id)
    }

    #[track_caller]
    pub fn trigger_and_wait(&self, dag: &str) -> FinishedRun {
        let run = self.trigger(dag);
        self.wait_run(dag, &run.run_id)
    }

    /// The log of one try of a task.
    pub fn log(&self, run: &RunRow, task: &str, try_number: u32) -> String {
        self.log_at(&format!("dag_id={}/run_id={}/task_id={task}/attempt={try_number}.log", run.dag_id, run.run_id))
    }

    /// A log by its place in the log folder.
    pub fn log_at(&self, name: &str) -> String {
        std::fs::read_to_string(self.settings().logging.base_log_folder.join(name)).unwrap_or_default()
    }
}

/// In the environment of everything that a node of a test starts.
const MARK: &str = "TEST_NODE_LIFE";

/// A port of which the system gives none away, and no other test of this process either.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 10_000).expect("less than ten thousand");
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
