//! A home folder of its own, and the real binary that runs a node in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::{Builder, Runtime};

use updraft::config::{self, Environment, Settings};
use updraft::domain::ids::{DagId, RunId};
use updraft::domain::state::RunState;
use updraft::node::client::Client;
use updraft::protocol::control::{Control, Reply, Trigger, TriggeredBy};
use updraft::store::Store;
use updraft::store::query::RunFilter;
use updraft::store::write::{AttemptRow, RunRow};

use super::Result;

/// The program under test, built by the same `cargo bench`.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_updraft");

/// Whatever takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often a condition is looked at where the figure comes from the rows' own times.
const LOOK: Duration = Duration::from_millis(20);
/// The same where the figure is the time until the condition was seen.
const LOOK_CLOSELY: Duration = Duration::from_millis(1);

/// A home on the disk of the build folder: a memory file system would make every commit look free.
pub struct Home {
    folder: PathBuf,
    variables: BTreeMap<&'static str, String>,
    runtime: Rc<Runtime>,
}

/// All homes of this run, removed when it ends and not before: ext4 passes over inodes that were deleted in the last
/// minutes one by one when it makes a new file, and with the homes of a few rounds gone that was measured to take more
/// time than Bash itself.
static HOMES: OnceLock<PathBuf> = OnceLock::new();

/// Removes the homes of this run.
pub fn remove_all() {
    if let Some(homes) = HOMES.get()
        && let Err(error) = fs::remove_dir_all(homes)
    {
        eprintln!("{}: {error}", homes.display());
    }
}

fn homes() -> Result<&'static Path> {
    if let Some(homes) = HOMES.get() {
        return Ok(homes);
    }
    let homes = tempfile::Builder::new().prefix("bench-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?.keep();
    Ok(HOMES.get_or_init(|| homes))
}

/// A process that ends with this value, whatever went wrong in between.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // It has ended already when it was stopped properly.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node that runs in a [`Home`]; killed when dropped.
pub struct Node {
    child: Guarded,
    log: PathBuf,
    client: Client,
    runtime: Rc<Runtime>,
}

/// A worker node; killed when dropped.
pub struct Worker {
    child: Guarded,
    log: PathBuf,
}

impl Worker {
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// TERM: it drains and leaves.
    pub fn stop(self) -> Result<()> {
        terminate(self.child, &self.log)
    }
}

/// TERM, and the end of the process, which must be a good one.
fn terminate(mut child: Guarded, log: &Path) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(child.0.id())?).ok_or("the node has no pid")?;
    kill_process(pid, Signal::TERM)?;
    let status = child.0.wait()?;
    if status.success() {
        return Ok(());
    }
    Err(format!("the node ended with {status} when asked to stop; {}", last_words(log)).into())
}

impl Home {
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("home-").tempdir_in(homes()?)?.keep();
        fs::create_dir(folder.join("dags"))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
        let variables = BTreeMap::from([
            ("UPDRAFT_HOME", folder.display().to_string()),
            ("UPDRAFT__API__PORT", port.to_string()),
            ("UPDRAFT__CORE__DAGS_ARE_PAUSED_AT_CREATION", "False".to_owned()),
            ("PATH", path),
        ]);
        let runtime = Rc::new(Builder::new_current_thread().enable_all().build()?);
        Ok(Self { folder, variables, runtime })
    }

    /// Sets a variable of the node's environment.
    pub fn with(mut self, variable: &'static str, value: impl ToString) -> Self {
        self.variables.insert(variable, value.to_string());
        self
    }

    /// Writes a DAG file; the DAG is named after it.
    pub fn dag(&self, name: &str, text: &str) -> Result<DagId> {
        let (stem, file) = match name.rsplit_once('.') {
            Some((stem, _)) => (stem, name.to_owned()),
            None => (name, format!("{name}.yaml")),
        };
        // Written elsewhere and moved, so that a watching node never reads half of it.
        let draft = self.folder.join("draft");
        fs::write(&draft, text)?;
        fs::rename(draft, self.path().join("dags").join(file))?;
        Ok(DagId::new(stem)?)
    }

    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Where the node's stderr goes.
    pub fn log(&self) -> PathBuf {
        self.path().join("node.log")
    }

    /// The binary with this home as its environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env_clear().envs(&self.variables).current_dir(self.path());
        command
    }

    /// Starts a role of the program, without waiting for anything.
    fn spawn(&self, words: &[&str], log: &Path) -> Result<Guarded> {
        let log = File::create(log)?;
        let mut command = self.command();
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Ok(Guarded(command.spawn()?))
    }

    /// Starts `updraft scheduler` and waits until it hears commands.
    pub fn start_scheduler(&self) -> Result<Node> {
        let mut child = self.spawn(&["scheduler"], &self.log())?;
        let begun = Instant::now();
        while !updraft::node::nudge::nudge(self.path()) {
            self.check(&mut child, begun)?;
            std::thread::sleep(Duration::from_millis(2));
        }
        self.attach(child)
    }

    /// Starts `updraft celery worker` in a home of its own, with the same broker and secret.
    pub fn start_worker(&self, slots: usize) -> Result<Worker> {
        let home = Self::new()?;
        let mut variables = self.variables.clone();
        variables.extend(home.variables.clone().into_iter().filter(|(name, _)| *name == "UPDRAFT_HOME"));
        variables.remove("UPDRAFT__DATABASE__SQL_ALCHEMY_CONN");
        let home = Self { variables, ..home };
        let child = home.spawn(&["celery", "worker", "-c", &slots.to_string()], &home.log())?;
        Ok(Worker { child, log: home.log() })
    }

    /// Starts `updraft standalone` and waits until it hears commands.
    pub fn start(&self) -> Result<Node> {
        let mut child = self.spawn(&["standalone"], &self.log())?;
        let begun = Instant::now();
        loop {
            let greeted = fs::read_to_string(self.log())?.contains("is ready in");
            if greeted && updraft::node::nudge::nudge(self.path()) {
                break;
            }
            self.check(&mut child, begun)?;
            std::thread::sleep(Duration::from_millis(2));
        }
        self.attach(child)
    }

    /// A node from its process, once its database is there.
    fn attach(&self, child: Guarded) -> Result<Node> {
        let client = self.runtime.block_on(Client::open(&self.settings()?))?;
        Ok(Node { child, log: self.log(), client, runtime: Rc::clone(&self.runtime) })
    }

    /// An error when the node has ended or taken too long.
    fn check(&self, child: &mut Guarded, begun: Instant) -> Result<()> {
        let ended = child.0.try_wait()?;
        if ended.is_some() || begun.elapsed() > PATIENCE {
            return Err(format!("the node did not get ready ({ended:?}); {}", last_words(&self.log())).into());
        }
        Ok(())
    }

    /// The same configuration that the node reads.
    pub fn settings(&self) -> Result<Settings> {
        let variables = self.variables.iter().map(|(name, value)| (*name, value.as_str()));
        let loaded = config::load(&Environment::new(self.path(), variables), &[])?;
        Ok(loaded.config.settings().clone())
    }

    /// Runs what waits for the store or the clock.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// The store, while no node runs or beside one.
    pub fn store(&self) -> Result<Store> {
        Ok(self.runtime.block_on(Client::open(&self.settings()?))?.store)
    }
}

impl Node {
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    pub fn store(&self) -> &Store {
        &self.client.store
    }

    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Waits until `holds` gives something.
    pub fn wait_until<T>(&mut self, what: &str, holds: impl FnMut(&Self) -> Result<Option<T>>) -> Result<T> {
        self.wait(what, LOOK, holds)
    }

    fn wait<T>(&mut self, what: &str, look: Duration, mut holds: impl FnMut(&Self) -> Result<Option<T>>) -> Result<T> {
        let begun = Instant::now();
        loop {
            if let Some(found) = holds(self)? {
                return Ok(found);
            }
            if let Some(status) = self.child.0.try_wait()? {
                let words = last_words(&self.log);
                return Err(
                    format!("the node ended with {status} while the benchmark waited for {what}; {words}").into()
                );
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("after {} s there is still no {what}", PATIENCE.as_secs()).into());
            }
            std::thread::sleep(look);
        }
    }

    pub fn wait_for_dag(&mut self, dag: &DagId) -> Result<()> {
        self.wait("DAG of that name", LOOK_CLOSELY, |node| {
            let names = node.block_on(node.store().dag_names())?;
            Ok(names.iter().any(|name| name == dag.as_str()).then_some(()))
        })
    }

    /// Triggers a run as the command line does: a durable command and a nudge.
    pub fn trigger(&self, dag: &DagId) -> Result<RunId> {
        let trigger = Trigger {
            dag: dag.clone(),
            run_id: None,
            logical_date: None,
            conf: serde_json::Map::new(),
            note: None,
            by: TriggeredBy::Cli,
            user: None,
        };
        Ok(self.block_on(self.client.control(&Control::Trigger(trigger), None))?.triggered()?.run_id)
    }

    /// Triggers a run and waits for its success.
    pub fn run(&mut self, dag: &DagId) -> Result<RunRow> {
        let run_id = self.trigger(dag)?;
        self.wait_until("end of the run", |node| succeeded(node.block_on(node.store().run(dag, &run_id))?))
    }

    /// Seconds from the wish for a run until its success can be read. For runs of no-ops: they
    /// begin and end in one step of the scheduler, so that their rows name one instant.
    pub fn seconds_until_seen(&mut self, dag: &DagId) -> Result<f64> {
        let begun = Instant::now();
        let run_id = self.trigger(dag)?;
        self.wait("end of the run", LOOK_CLOSELY, |node| succeeded(node.block_on(node.store().run(dag, &run_id))?))?;
        Ok(begun.elapsed().as_secs_f64())
    }

    /// Lets a paused DAG go on, and gives the seconds until so many runs can be read as succeeded.
    pub fn seconds_from_unpause(&mut self, dag: &DagId, expected: usize) -> Result<f64> {
        let begun = Instant::now();
        let unpause = Control::Pause { dag: dag.clone(), paused: false };
        match self.block_on(self.client.control(&unpause, None))? {
            Reply::Paused { changed: true, .. } => {}
            other => return Err(format!("unpausing was answered with {other:?}").into()),
        }
        self.wait("end of all runs", LOOK_CLOSELY, |node| node.all_succeeded(dag, expected))?;
        Ok(begun.elapsed().as_secs_f64())
    }

    fn all_succeeded(&self, dag: &DagId, expected: usize) -> Result<Option<Vec<RunRow>>> {
        let filter = RunFilter { dag: Some(dag.clone()), ..RunFilter::default() };
        let runs = self.block_on(self.store().runs(&filter))?;
        let ended = runs.into_iter().map(|run| succeeded(Some(run))).collect::<Result<Option<Vec<_>>>>()?;
        Ok(ended.filter(|runs| runs.len() >= expected))
    }

    /// Waits until a DAG has so many runs and all have succeeded.
    pub fn wait_for_runs(&mut self, dag: &DagId, expected: usize) -> Result<Vec<RunRow>> {
        self.wait_until("end of all runs", |node| node.all_succeeded(dag, expected))
    }

    pub fn attempts(&self, run: &RunRow) -> Result<Vec<AttemptRow>> {
        Ok(self.block_on(self.store().attempts(run.key, None))?)
    }

    /// `kill -9`, and waits for the end of the process itself.
    pub fn kill(mut self) -> Result<()> {
        self.child.0.kill()?;
        self.child.0.wait()?;
        Ok(())
    }

    /// TERM: the node drains and leaves.
    pub fn stop(self) -> Result<()> {
        terminate(self.child, &self.log)
    }
}

/// What a node wrote last, for the error of a question that cannot be answered.
fn last_words(log: &Path) -> String {
    let said = fs::read_to_string(log).unwrap_or_default();
    let last: Vec<&str> = said.lines().rev().take(5).collect();
    format!("it said, last line first: {last:#?}")
}

/// The run once it has succeeded; an error when it ended otherwise.
fn succeeded(run: Option<RunRow>) -> Result<Option<RunRow>> {
    match run {
        Some(run) if run.state == RunState::Success => Ok(Some(run)),
        Some(run) if run.state.is_finished() => Err(format!("run {} ended as {}", run.run_id, run.state).into()),
        Some(_) | None => Ok(None),
    }
}

/// Seconds from the wish for a run to its end.
pub fn run_seconds(run: &RunRow) -> Result<f64> {
    let ended = run.ended_at.ok_or("a run that has ended has no end")?;
    Ok((ended - run.queued_at).to_std()?.as_secs_f64())
}
