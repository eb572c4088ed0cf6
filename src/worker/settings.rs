//! What a worker must be told about the machine and its place on it. All of it comes from outside: nothing here is read
//! from the environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};

use crate::broker;
use crate::domain::ids::QueueName;
use crate::domain::limit::Limit;
use crate::domain::secret::{Hidden, Sensitive};
use crate::protocol::envelope::Keys;
use crate::protocol::task_channel::MailServer;

/// How to build a worker.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// `name@host`, for people.
    pub name: String,
    pub queues: Vec<QueueName>,
    /// Attempts at once: `worker_concurrency`, or the executor's `parallelism`.
    pub slots: Limit,
    /// The worker's own folder, for one worker at a time; made if missing.
    pub state_dir: PathBuf,
    /// `[logging] base_log_folder`, absolute.
    pub base_log_folder: PathBuf,
    /// The DAGs folder, absolute.
    pub dags_folder: PathBuf,
    /// Where the temporary folders of Bash tasks are made.
    pub temp_dir: PathBuf,
    /// The worker's PATH: where `bash` and the Python interpreter are looked for.
    pub search_path: OsString,
    /// The binary that runs `<companion> companion`; `/proc/self/exe` is this one, even after an upgrade replaced its file.
    pub companion: PathBuf,
    /// The text of `/etc/machine-id`, trimmed; empty if there is none. A journal of another machine is not ours.
    pub machine_id: String,
    /// Between TERM and KILL.
    pub kill_grace: Duration,
    /// The most bytes of output in one task's log; 0 is no bound.
    pub max_task_log_bytes: u64,
    pub python: PythonRuntime,
    /// Where mail goes that names no connection.
    pub mail: MailServer,
    /// Which names hold what must not stand in a log.
    pub sensitive: Sensitive,
    /// Where people look at runs: links begin with it.
    pub base_url: String,
    /// Behind a broker: what logs and last words need.
    pub posted: Option<Posted>,
}

/// What reaches the scheduler beside the worker's own letters: logs, and the obituary that the companion writes.
#[derive(Clone, Debug)]
pub struct Posted {
    /// For connections of their own: the listener is a node, and no worker.
    pub broker: broker::Options,
    pub keys: Keys,
    /// `[core] internal_secret`, for the companion.
    pub internal_secret: Hidden,
    /// `[scheduler] worker_lost_after`
    pub worker_lost_after: Duration,
}

/// How Python tasks are run.
#[derive(Clone, Debug)]
pub struct PythonRuntime {
    /// Interpreter and arguments that start the bridge, with the task's channel as standard input.
    pub command: Vec<OsString>,
    /// Tasks of DAG files are run by Airflow's own task runner, which the interpreter can import.
    pub sdk: bool,
    /// Whether the command, with [`WARM_WORD`](super::companion::WARM_WORD) after it, makes an interpreter that forks
    /// the tasks.
    pub warm: bool,
}

impl WorkerSettings {
    /// Finds a program as a shell would; `None` when no folder of the search path has it.
    pub fn find_program(&self, name: &Path) -> Option<PathBuf> {
        if name.components().count() > 1 {
            return is_program(name).then(|| name.to_owned());
        }
        // An empty entry of a PATH means the current folder, which is never meant for a service.
        let folders = std::os::unix::ffi::OsStrExt::as_bytes(self.search_path.as_os_str()).split(|byte| *byte == b':');
        folders
            .filter(|folder| !folder.is_empty())
            .map(|folder| Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(folder)).join(name))
            .find(|path| is_program(path))
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}
