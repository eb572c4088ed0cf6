//! A world with one worker in it: real companion, real processes, real files.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use actix::prelude::*;
use tempfile::TempDir;
use tokio::sync::mpsc;
use updraft::actor::told::{Outlet, Told};
use updraft::domain::attempt::Verdict;
use updraft::domain::ids::{AttemptId, Claim, DagId, Dispatch, MapIndex, QueueName, RunId, TaskId, TaskKey, TryNumber};
use updraft::domain::limit::Limit;
use updraft::domain::operator::{Bash, Operator, default_skip_codes};
use updraft::domain::run::RunType;
use updraft::domain::secret::Sensitive;
use updraft::protocol::work::{FromWorker, Report, RunContext, TaskMessage, ToWorker};
use updraft::worker::{PythonRuntime, RunningWorker, WorkerSettings};
use uuid::Uuid;

/// How long a condition may take on a loaded machine before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct World {
    pub folder: TempDir,
    pub settings: WorkerSettings,
    pub worker: RunningWorker,
    pub heard: mpsc::UnboundedReceiver<FromWorker>,
    n: i64,
}

pub struct Ear(pub mpsc::UnboundedSender<FromWorker>);

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<Told<FromWorker>> for Ear {
    type Result = ();

    fn handle(&mut self, Told(message): Told<FromWorker>, _: &mut Context<Self>) {
        // A test that has heard enough is over.
        let _ = self.0.send(message);
    }
}

pub fn settings(folder: &Path, slots: u32) -> WorkerSettings {
    for name in ["dags", "logs", "tmp"] {
        std::fs::create_dir_all(folder.join(name)).expect("a folder of the test");
    }
    WorkerSettings {
        name: "worker@test".to_owned(),
        queues: vec![QueueName::default_queue()],
        slots: Limit::from_zero_unlimited(slots),
        state_dir: folder.join("state"),
        base_log_folder: folder.join("logs"),
        dags_folder: folder.join("dags"),
        temp_dir: folder.join("tmp"),
        search_path: std::env::var_os("PATH").expect("a PATH"),
        companion: PathBuf::from(env!("CARGO_BIN_EXE_updraft")),
        machine_id: "machine".to_owned(),
        kill_grace: Duration::from_secs(5),
        max_task_log_bytes: 0,
        python: PythonRuntime { command: vec![OsString::from("python3")], warm: false, sdk: false },
        mail: updraft::protocol::task_channel::MailServer::default(),
        sensitive: Sensitive::default(),
        base_url: "http://localhost:8080".to_owned(),
        posted: None,
    }
}

pub fn ear() -> (Outlet<FromWorker>, mpsc::UnboundedReceiver<FromWorker>) {
    let (said, heard) = mpsc::unbounded_channel();
    (Outlet::new(Ear(said).start().recipient()), heard)
}

pub fn bash(command: &str) -> Bash {
    Bash {
        command: command.to_owned(),
        env: None,
        append_env: false,
        cwd: None,
        skip_on_exit_code: default_skip_codes(),
    }
}

impl World {
    pub async fn new(slots: u32) -> Self {
        Self::with(slots, |_| {}).await
    }

    pub async fn with(slots: u32, change: impl FnOnce(&mut WorkerSettings)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(folder.path(), slots);
        change(&mut settings);
        let (said, mut heard) = ear();
        let worker = updraft::worker::start(settings.clone(), said).await.expect("a worker");
        assert!(matches!(heard.recv().await, Some(FromWorker::Online(_))), "the first word is Online");
        Self { folder, settings, worker, heard, n: 0 }
    }

    /// A granted task that is not sent yet.
    pub fn task(&mut self, operator: Operator) -> (Box<TaskMessage>, Claim) {
        self.n += 1;
        let claim = Claim { worker: self.worker.worker, incarnation: self.worker.incarnation, n: self.n };
        (Box::new(message(self.n, operator)), claim)
    }

    pub fn send(&self, task: Box<TaskMessage>, claim: Claim) {
        let sent = self.worker.entrance.try_send(ToWorker::Task { task, granted: Some(claim) });
        sent.expect("the worker has a place");
    }

    pub fn send_bash(&mut self, command: &str) -> Claim {
        let (task, claim) = self.task(Operator::Bash(bash(command)));
        self.send(task, claim);
        claim
    }

    pub async fn hear(&mut self) -> FromWorker {
        let heard = tokio::time::timeout(PATIENCE, self.heard.recv()).await;
        heard.expect("the worker says something in time").expect("the worker lives")
    }

    pub async fn started(&mut self) -> u32 {
        loop {
            if let FromWorker::Started { pid, .. } = self.hear().await {
                return pid;
            }
        }
    }

    /// The next report, settled as the scheduler does after its commit.
    pub async fn finished(&mut self) -> Report {
        loop {
            if let FromWorker::Finish(report) = self.hear().await {
                self.settle(report.claim);
                return report;
            }
        }
    }

    pub fn settle(&self, claim: Claim) {
        self.worker.told.say(ToWorker::Settled { claims: vec![(claim, Verdict::Applied)] });
    }

    pub async fn run(&mut self, operator: Operator) -> Report {
        let (task, claim) = self.task(operator);
        self.send(task, claim);
        self.finished().await
    }

    pub async fn run_bash(&mut self, command: &str) -> Report {
        self.run(Operator::Bash(bash(command))).await
    }

    /// The log of the task that was made last.
    pub fn log(&self) -> String {
        let path = self.settings.base_log_folder.join(log_path(self.n));
        std::fs::read_to_string(&path).expect("a log")
    }

    /// What the task of the last log wrote.
    pub fn output(&self) -> Vec<String> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| line.split_once("{bash} INFO - ")).map(|(_, text)| text.to_owned());
        lines.filter(|text| !text.starts_with("Running command")).collect()
    }

    /// Settles what is reported until the worker has left.
    pub async fn left(&mut self) {
        loop {
            match self.hear().await {
                FromWorker::Finish(report) => self.settle(report.claim),
                FromWorker::Offline { .. } => return,
                FromWorker::Online(_)
                | FromWorker::Claimed { .. }
                | FromWorker::Started { .. }
                | FromWorker::Released { .. }
                | FromWorker::Beat(_)
                | FromWorker::Notified(_)
                | FromWorker::Obituary { .. }
                | FromWorker::Asked { .. } => {}
            }
        }
    }
}

pub fn log_path(n: i64) -> String {
    format!("dag_id=d/run_id=r/task_id=t{n}/attempt=1.log")
}

pub fn message(n: i64, operator: Operator) -> TaskMessage {
    let date = chrono::DateTime::from_timestamp(1_795_219_200, 0).expect("2026-11-21");
    TaskMessage {
        attempt: AttemptId(Uuid::new_v4()),
        dispatch: Dispatch(1),
        key: TaskKey {
            dag: DagId::new("d").expect("valid"),
            run: RunId::new("r").expect("valid"),
            task: TaskId::new(format!("t{n}")).expect("valid"),
            map_index: MapIndex::UNMAPPED,
        },
        try_number: TryNumber(1),
        max_tries: 0,
        operator,
        queue: QueueName::default_queue(),
        owner: "airflow".to_owned(),
        execution_timeout: None,
        do_xcom_push: true,
        waiting_since: None,
        reschedules: 0,
        log_path: log_path(n),
        operator_name: "BashOperator".to_owned(),
        retries: 0,
        inlets: Vec::new(),
        outlets: Vec::new(),
        run: RunContext {
            description: None,
            tags: Vec::new(),
            run_type: RunType::Manual,
            logical_date: Some(date),
            interval: None,
            run_after: date,
            started_at: None,
            conf: serde_json::Map::new(),
            params: serde_json::Map::new(),
            previous_logical_date: None,
            next_logical_date: None,
            previous_success: None,
            xcom_of_any_task: false,
            native_templates: false,
            file: "d.yaml".to_owned(),
            file_hash: None,
            template_searchpath: Vec::new(),
            asset_events: Vec::new(),
        },
        mapped: None,
        notice: None,
    }
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "it never came true that {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether the process runs (a zombie does not).
pub fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The number that a task wrote into a file, once it is there.
pub async fn number_in(path: &Path) -> u32 {
    let read =
        || std::fs::read_to_string(path).ok().filter(|text| text.ends_with('\n')).and_then(|t| t.trim().parse().ok());
    eventually(&format!("{} holds a number", path.display()), || read().is_some()).await;
    read().expect("just seen")
}
