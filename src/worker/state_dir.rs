//! The state directory: one worker's at a time, and clean before that worker speaks (PROTOCOL W6).
//!
//! ```text
//!  worker.lock     held by the worker process: a second worker here is refused
//!  companion.lock  held by the companion until its last kill
//!  journal         see `journal`
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::companion::{ProcessId, Stat, all_processes};
use crate::domain::ids::{Claim, WorkerId};

/// In the environment of every task: whose claim it runs under. What a dead worker left is found by it.
pub const CLAIM_MARK: &str = "UPDRAFT_CLAIM";

/// Holds the number of the worker's process while that has the lock.
pub const LOCK_FILE: &str = "worker.lock";

const LOOK: Duration = Duration::from_millis(10);

/// How long a process may take to vanish after KILL before it is called stuck.
const VANISH: Duration = Duration::from_secs(5);

/// Why a worker cannot live in this directory.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    #[error("another worker{holder} uses {path}: give each worker a state directory of its own, or stop that one", path = path.display())]
    InUse { path: PathBuf, holder: String },
    #[error(
        "the companion{holder} of an earlier worker still ends its tasks after {waited:?} ({path} is locked): \
         wait, or look what those tasks do", path = path.display()
    )]
    StillEnding { path: PathBuf, holder: String, waited: Duration },
    #[error("processes of an earlier worker do not end, not even by KILL: {pids:?}")]
    Stuck { pids: Vec<i32> },
    #[error("cannot use the state directory {path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
}

/// A state directory that is ours for as long as this lives.
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes the directory if needed and takes it.
    pub fn take(path: &Path) -> Result<Self, StateDirError> {
        let failed = |error| StateDirError::Io { path: path.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let lock_path = path.join(LOCK_FILE);
        let mut lock = lock_file(&lock_path).map_err(failed)?;
        if !try_lock(&lock).map_err(failed)? {
            return Err(StateDirError::InUse { path: path.to_owned(), holder: holder(&lock_path) });
        }
        // For the people who look who holds it; the lock itself is what counts.
        let _ = lock.set_len(0);
        let _ = writeln!(lock, "{}", std::process::id());
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    pub fn companion_lock(&self) -> PathBuf {
        self.path.join("companion.lock")
    }

    /// Waits until the companion of an earlier worker has made its last kill.
    pub async fn wait_for_earlier_companion(&self, at_most: Duration) -> Result<(), StateDirError> {
        let path = self.companion_lock();
        let lock = lock_file(&path).map_err(|error| StateDirError::Io { path: path.clone(), error })?;
        let begun = Instant::now();
        let mut said = false;
        loop {
            // A lock that is taken here is freed at the end of this function, when the file closes.
            if try_lock(&lock).map_err(|error| StateDirError::Io { path: path.clone(), error })? {
                return Ok(());
            }
            let waited = begun.elapsed();
            if waited >= at_most {
                return Err(StateDirError::StillEnding { holder: holder(&path), path, waited });
            }
            if !said && waited >= Duration::from_secs(1) {
                said = true;
                tracing::warn!(lock = %path.display(), "waiting for the tasks of an earlier worker to end");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends what is left of `worker`'s earlier lives: TERM, `grace`, KILL. Only needed when worker and companion
    /// were killed together. Returns how many processes there were.
    pub async fn end_leftovers(
        &self,
        worker: WorkerId,
        journaled: &[(Claim, ProcessId)],
        grace: Duration,
    ) -> Result<usize, StateDirError> {
        let begun = Instant::now();
        let mut found = leftovers(worker, journaled);
        let count = found.len();
        send(&found, Signal::TERM);
        while !found.is_empty() {
            if begun.elapsed() >= grace + VANISH {
                return Err(StateDirError::Stuck { pids: found.iter().map(|p| p.pid).collect() });
            }
            if begun.elapsed() >= grace {
                send(&found, Signal::KILL);
            }
            tokio::time::sleep(LOOK).await;
            found = leftovers(worker, journaled);
        }
        Ok(count)
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)
}

/// False when another process holds it.
fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// ` (process 123)`, or nothing when it cannot be told.
fn holder(path: &Path) -> String {
    let mut pid = String::new();
    let read = File::open(path).and_then(|file| file.take(32).read_to_string(&mut pid));
    match read {
        Ok(_) if !pid.trim().is_empty() => format!(" (process {})", pid.trim()),
        Ok(_) | Err(_) => String::new(),
    }
}

/// Processes that carry the worker's mark, that the journal names, or that are in a group which such a process leads.
fn leftovers(worker: WorkerId, journaled: &[(Claim, ProcessId)]) -> Vec<Stat> {
    let is_journaled = |stat: &Stat| {
        u32::try_from(stat.pid).is_ok_and(|pid| {
            journaled.iter().any(|(_, process)| *process == ProcessId { pid, start_time: stat.start_time })
        })
    };
    let processes = all_processes();
    let groups: Vec<i32> = processes.iter().filter(|p| is_journaled(p)).map(|p| p.group).collect();
    let mark = format!("{CLAIM_MARK}={worker}/");
    processes
        .into_iter()
        .filter(|p| !p.zombie && (groups.contains(&p.group) || has_in_environment(p.pid, mark.as_bytes())))
        .collect()
}

fn has_in_environment(pid: i32, mark: &[u8]) -> bool {
    // Those of other users cannot be read, and are not ours.
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|variable| variable.starts_with(mark)))
}

fn send(to: &[Stat], signal: Signal) {
    for stat in to {
        if let Some(pid) = Pid::from_raw(stat.pid) {
            // Gone in between is what we want.
            let _ = if stat.pid == stat.group { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Incarnation;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};
    use uuid::Uuid;

    #[test]
    fn a_second_worker_in_the_same_directory_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = StateDir::take(folder.path()).expect("free");
        let error = StateDir::take(folder.path()).err().expect("taken").to_string();
        assert!(error.contains(&format!("another worker (process {})", std::process::id())), "{error}");
        drop(first);
        StateDir::take(folder.path()).expect("free again");
    }

    #[tokio::test]
    async fn it_waits_for_an_earlier_companion_and_says_when_that_takes_too_long() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = StateDir::take(folder.path()).expect("free");
        let held = lock_file(&dir.companion_lock()).expect("openable");
        assert!(try_lock(&held).expect("lockable"));
        let error = dir.wait_for_earlier_companion(Duration::from_millis(30)).await.expect_err("held").to_string();
        assert!(error.contains("still ends its tasks"), "{error}");
        drop(held);
        dir.wait_for_earlier_companion(Duration::ZERO).await.expect("free");
    }

    fn sleeper(mark: Option<&str>) -> Child {
        let mut command = Command::new("sleep");
        command.arg("1000").process_group(0);
        if let Some(mark) = mark {
            command.env(CLAIM_MARK, mark);
        }
        command.spawn().expect("sleep is everywhere")
    }

    #[tokio::test]
    async fn what_a_dead_worker_left_is_ended_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = StateDir::take(folder.path()).expect("free");
        let worker = WorkerId(Uuid::new_v4());
        let claim = Claim { worker, incarnation: Incarnation(1), n: 1 };
        let mut marked = sleeper(Some(&claim.to_string()));
        let mut journaled = sleeper(None);
        let mut reused = sleeper(None);
        let start_time = |child: &Child| crate::worker::companion::start_time(child.id()).expect("it runs");
        let records = [
            (claim, ProcessId { pid: journaled.id(), start_time: start_time(&journaled) }),
            (claim, ProcessId { pid: reused.id(), start_time: start_time(&reused) - 1 }),
        ];
        let reaper = std::thread::spawn(move || (marked.wait(), journaled.wait()));
        let ended = dir.end_leftovers(worker, &records, Duration::from_secs(2)).await.expect("they end by TERM");
        assert_eq!(ended, 2);
        let (marked, journaled) = reaper.join().expect("both are reaped");
        assert!(!marked.expect("waited").success() && !journaled.expect("waited").success());
        assert!(reused.try_wait().expect("waited").is_none(), "the same pid at another time is another process");
        reused.kill().expect("ours");
        reused.wait().expect("ours");
    }
}
