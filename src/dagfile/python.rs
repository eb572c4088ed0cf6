//! Python DAG files: the interpreter, the stand-in `airflow` package that it
//! gets, and the description of a file's DAGs by a child process.
//!
//! The Python half is the folder `python/updraft_bridge`. A file's code runs
//! only in children, never here; a child is bounded in time, memory and
//! processes, and its process group is gone when [`parse()`] returns.

mod child;
mod package;
mod parse;
mod runner;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

pub use package::{PackageError, install_package};
pub use parse::{Parsed, parse};
pub use runner::{Runner, SdkVersion, Wish, choose};

/// What `python3 -c` gets: our package first, never the current folder, and a
/// plain word to interpreters that are too old to read the package at all.
const BOOTSTRAP: &str = "import sys; sys.version_info < (3, 9) and sys.exit('updraft: this is Python %d.%d' % \
                         sys.version_info[:2]); sys.path[:] = [sys.argv[1]] + [p for p in sys.path if p]; \
                         from updraft_bridge.main import main; main()";

/// What a DAG file may take while it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `[core] dagbag_import_timeout`
    pub time: Duration,
    /// Address space in MiB; `None` is no limit.
    pub memory_mib: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(30), memory_mib: Some(1024) }
    }
}

/// A Python interpreter and the package that makes it ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// A path, or a name to be found on `PATH`.
    pub program: PathBuf,
    /// The folder that [`install_package`] gave.
    pub package_dir: PathBuf,
    pub limits: Limits,
    pub runner: Runner,
}

impl Interpreter {
    pub fn new(program: impl Into<PathBuf>, package_dir: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            package_dir: package_dir.into(),
            limits: Limits::default(),
            runner: Runner::Builtin,
        }
    }

    /// The command line of a child that takes its orders from file descriptor 0
    /// (parsing: [`parse()`]; running a task: `protocol::task_channel`).
    pub fn command_line(&self) -> Vec<OsString> {
        [self.program.as_os_str(), OsStr::new("-c"), OsStr::new(BOOTSTRAP), self.package_dir.as_os_str()]
            .map(OsStr::to_owned)
            .to_vec()
    }
}

#[cfg(test)]
mod tests;
