//! Two schedulers, three workers, a broker and a database, all of a test's own; each node has wires of its own.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::kit::{OwnPostgres, OwnRabbit, Process, Wire};

/// Short times, so that a lost worker is noticed within a test; the inequalities of the protocol hold.
const TIMES: [(&str, &str); 12] = [
    ("WORKERS__HEARTBEAT", "0.5"),
    ("WORKERS__FENCE_AFTER", "6"),
    ("WORKERS__KILL_GRACE", "1"),
    ("WORKERS__SPAWN_SLACK", "1"),
    ("WORKERS__CLAIM_RESEND", "1"),
    ("WORKERS__AMQP_HEARTBEAT", "2"),
    ("SCHEDULER__WORKER_LOST_AFTER", "9"),
    ("SCHEDULER__SUSPECT_GRACE", "2"),
    ("SCHEDULER__MARKER_RETRY", "1"),
    ("SCHEDULER__REDISPATCH_AFTER", "4"),
    ("SCHEDULER__MAX_REDISPATCH", "100"),
    ("SCHEDULER__AMQP_HEARTBEAT", "2"),
];

/// In the environment of everything that a life of a node starts.
const MARK: &str = "TEST_NODE_LIFE";

pub const SCHEDULERS: usize = 2;
pub const WORKERS: usize = 3;
pub const SLOTS: usize = 8;

/// A process of the cluster, over all its lives.
pub struct Member {
    pub name: String,
    words: Vec<String>,
    home: PathBuf,
    pub broker: Wire,
    pub database: Option<Wire>,
    child: Option<Child>,
    life: u32,
}

pub struct Cluster {
    pub schedulers: Vec<Member>,
    pub workers: Vec<Member>,
    pub rabbit: OwnRabbit,
    pub postgres: OwnPostgres,
    variables: Vec<(String, String)>,
    // Last: the servers live in it.
    folder: TempDir,
}

impl Cluster {
    /// `None` where the servers are not installed.
    pub fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("others may pass through");
        for name in ["dags", "world"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let postgres = OwnPostgres::start(folder.path())?;
        let rabbit = OwnRabbit::start(folder.path())?;
        let mut variables = vec![
            ("UPDRAFT__CORE__EXECUTOR".to_owned(), "CeleryExecutor".to_owned()),
            ("UPDRAFT__CORE__INTERNAL_SECRET".to_owned(), "a secret that is long enough".to_owned()),
            ("UPDRAFT__CORE__DAGS_FOLDER".to_owned(), folder.path().join("dags").display().to_string()),
            ("UPDRAFT__CORE__DAGS_ARE_PAUSED_AT_CREATION".to_owned(), "False".to_owned()),
            // Each fault may take the same task with it: this is about the faults, not about when to give up.
            ("UPDRAFT__CORE__INFRA_RETRIES".to_owned(), "1000".to_owned()),
            ("UPDRAFT__CORE__PARALLELISM".to_owned(), "20".to_owned()),
        ];
        variables.extend(TIMES.iter().map(|(key, value)| (format!("UPDRAFT__{key}"), (*value).to_owned())));
        let member = |name: String, words: Vec<String>, database: bool| Member {
            home: folder.path().join(&name),
            name,
            words,
            broker: Wire::to(&local(rabbit.port())),
            database: database.then(|| Wire::to(&local(postgres.port()))),
            child: None,
            life: 0,
        };
        let words = |text: &str| text.split(' ').map(ToOwned::to_owned).collect();
        let schedulers = (1..=SCHEDULERS).map(|n| member(format!("scheduler{n}"), words("scheduler"), true)).collect();
        let workers = (1..=WORKERS)
            .map(|n| member(format!("worker{n}"), words(&format!("celery worker -c {SLOTS} -H worker{n}")), false));
        let workers = workers.collect();
        let mut cluster = Self { schedulers, workers, rabbit, postgres, variables, folder };
        let migrated = cluster.command(&["db", "migrate"]).output().expect("the program runs");
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        for n in 0..SCHEDULERS {
            cluster.start_scheduler(n);
        }
        for n in 0..WORKERS {
            cluster.start_worker(n);
        }
        Some(cluster)
    }

    pub fn in_world(&self, name: &str) -> PathBuf {
        self.folder.path().join("world").join(name)
    }

    pub fn write_dag(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join("dags").join(file), text).expect("written");
    }

    /// A command of a person, on ways that no fault touches.
    pub fn command(&self, words: &[&str]) -> Command {
        let home = self.folder.path().join("person");
        let mut command = program(&home, &self.variables, self.rabbit.port(), Some(self.postgres.port()));
        command.args(words);
        command
    }

    /// What a command prints as JSON; `None` when it fails, as it may while the database is away.
    pub fn json(&self, words: &[&str]) -> Option<serde_json::Value> {
        let said = self.command(words).output().expect("the program runs");
        if !said.status.success() {
            return None;
        }
        serde_json::from_slice(&said.stdout).ok()
    }

    pub fn start_scheduler(&mut self, n: usize) {
        self.schedulers[n].start(&self.variables);
    }

    pub fn start_worker(&mut self, n: usize) {
        self.workers[n].start(&self.variables);
    }

    /// Which scheduler said last that it leads.
    pub fn leader(&self) -> Option<usize> {
        let epoch = |member: &Member| member.child.as_ref().and_then(|_| newest_epoch(&member.output()));
        let leaders = self.schedulers.iter().enumerate().filter_map(|(n, member)| Some((epoch(member)?, n)));
        leaders.max().map(|(_, n)| n)
    }

    pub fn newest_epoch(&self) -> Option<i64> {
        self.schedulers.iter().filter_map(|member| newest_epoch(&member.all_output())).max()
    }

    /// Every node's words, for a test that fails.
    pub fn everything_said(&self) -> String {
        let members = self.schedulers.iter().chain(&self.workers);
        members.map(|member| format!("--- {}:\n{}", member.name, member.all_output())).collect()
    }
}

impl Member {
    fn start(&mut self, variables: &[(String, String)]) {
        assert!(self.child.is_none(), "{} lives already", self.name);
        self.life += 1;
        fs::create_dir_all(&self.home).expect("a folder");
        let database = self.database.as_ref().map(Wire::port);
        let mut command = program(&self.home, variables, self.broker.port(), database);
        let output = File::create(self.output_of(self.life)).expect("a file");
        command.args(&self.words).env(MARK, self.mark()).env("CHAOS_NODE", &self.name);
        command.stderr(output.try_clone().expect("a second descriptor")).stdout(output).stdin(Stdio::null());
        self.child = Some(command.spawn().expect("the program starts"));
    }

    fn mark(&self) -> String {
        format!("{}#{}", self.home.display(), self.life)
    }

    fn output_of(&self, life: u32) -> PathBuf {
        self.home.join(format!("said.{life}"))
    }

    /// What it has said in this life.
    pub fn output(&self) -> String {
        read(&self.output_of(self.life))
    }

    fn all_output(&self) -> String {
        (1..=self.life).map(|life| read(&self.output_of(life))).collect()
    }

    pub fn lives(&self) -> bool {
        self.child.is_some()
    }

    /// `kill -9`; of its companion too, when asked.
    pub fn kill(&mut self, with_companion: bool) {
        if with_companion {
            let processes = Process::marked(&format!("{MARK}={}", self.mark()));
            processes.iter().filter(|process| process.is_companion()).for_each(Process::kill);
        }
        if let Some(mut child) = self.child.take() {
            // An error means that it ended before.
            let _ = child.kill();
            child.wait().expect("a child can be waited for");
        }
    }

    /// Freezes it, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let pid = self.child.as_ref().and_then(|child| Pid::from_raw(i32::try_from(child.id()).ok()?));
        if let Some(pid) = pid {
            let _ = kill_process(pid, if frozen { Signal::STOP } else { Signal::CONT });
        }
    }

    /// Asks it to leave in order, and waits for its exit code.
    pub fn leave(&mut self) -> Option<i32> {
        let mut child = self.child.take()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process number");
        kill_process(pid, Signal::TERM).expect("it takes signals");
        child.wait().expect("a child can be waited for").code()
    }

    /// Whether it ended by itself; then with its exit code.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        let status = self.child.as_mut()?.try_wait().expect("a child can be waited for")?;
        self.child = None;
        Some(status.code())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill(true);
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn amqp(port: u16) -> String {
    format!("amqp://guest:guest@127.0.0.1:{port}/")
}

fn newest_epoch(output: &str) -> Option<i64> {
    // Who steps down names the other one in much the same words.
    let leads = ["scheduler leads epoch=", "scheduler leads again epoch="];
    let lines = output.lines().filter(|line| leads.iter().any(|words| line.contains(words)));
    let epochs = lines.filter_map(|line| {
        let (_, rest) = line.split_once("epoch=")?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    });
    epochs.max()
}

/// The program with nothing else in its environment that it would heed.
fn program(home: &Path, variables: &[(String, String)], broker: u16, database: Option<u16>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_updraft"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("UPDRAFT") || name.to_string_lossy().starts_with("AIRFLOW") {
            command.env_remove(name);
        }
    }
    command.env("UPDRAFT_HOME", home).env("NO_COLOR", "1").envs(variables.iter().cloned());
    command.env("UPDRAFT__CELERY__BROKER_URL", amqp(broker));
    if let Some(port) = database {
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        command.env("UPDRAFT__DATABASE__SQL_ALCHEMY_CONN", url);
    }
    command
}
