//! The number of a worker's process in a file, for those who stop it. The file goes with the worker.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Why there is no such file, or nothing behind it.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    #[error("{path} says that process {pid} runs already: stop it, or name another file with --pid", path = path.display())]
    Runs { path: PathBuf, pid: i32 },
    #[error("cannot use the pid file {path}: {why}", path = path.display())]
    Io { path: PathBuf, why: io::Error },
    #[error("{path} holds no number of a process", path = path.display())]
    NoNumber { path: PathBuf },
    #[error("no worker runs here: {path} names process {pid}, which has ended", path = path.display())]
    Ended { path: PathBuf, pid: i32 },
    #[error("process {pid}, which {path} names, is no worker of ours and is left alone", path = path.display())]
    Foreign { path: PathBuf, pid: i32 },
    #[error("process {pid} cannot be asked to stop: {why}")]
    Signal { pid: i32, why: io::Error },
}

/// A pid file that is ours for as long as this lives.
pub struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// # Errors
    /// When the process that the file names still runs, or it cannot be written.
    pub fn write(path: PathBuf) -> Result<Self, PidFileError> {
        if let Ok(pid) = read(&path)
            && is_ours(pid)
        {
            return Err(PidFileError::Runs { path, pid: pid.as_raw_nonzero().get() });
        }
        match fs::write(&path, format!("{}\n", std::process::id())) {
            Ok(()) => Ok(Self { path }),
            Err(why) => Err(PidFileError::Io { path, why }),
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // One that is left behind names a process that has ended, which the next reader sees.
        let _ = fs::remove_file(&self.path);
    }
}

/// Sends TERM to the worker that the file names, and says which process that is.
///
/// # Errors
/// When it names none that runs.
pub fn stop(path: &Path) -> Result<i32, PidFileError> {
    let pid = read(path)?;
    let raw = pid.as_raw_nonzero().get();
    if test_kill_process(pid).is_err() {
        return Err(PidFileError::Ended { path: path.to_owned(), pid: raw });
    }
    if !is_ours(pid) {
        return Err(PidFileError::Foreign { path: path.to_owned(), pid: raw });
    }
    kill_process(pid, Signal::TERM).map_err(|why| PidFileError::Signal { pid: raw, why: why.into() })?;
    Ok(raw)
}

fn read(path: &Path) -> Result<Pid, PidFileError> {
    let text = fs::read_to_string(path).map_err(|why| PidFileError::Io { path: path.to_owned(), why })?;
    let number = text.lines().next().and_then(|line| line.trim().parse::<i32>().ok());
    // One is the init of the machine, and below are groups of processes.
    let pid = number.filter(|number| *number > 1).and_then(Pid::from_raw);
    pid.ok_or_else(|| PidFileError::NoNumber { path: path.to_owned() })
}

/// Whether the process is a worker: numbers of processes come again.
fn is_ours(pid: Pid) -> bool {
    let words = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    words.split(|byte| *byte == 0).any(|word| word == b"worker")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_names_no_worker_stops_nobody() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("worker.pid");
        assert!(matches!(stop(&path), Err(PidFileError::Io { .. })));
        for (text, says) in [
            ("hello\n", "holds no number"),
            ("1\n", "holds no number"),
            ("-5\n", "holds no number"),
            // The highest number that Linux gives is 4194304.
            ("2147483000\n", "which has ended"),
        ] {
            fs::write(&path, text).expect("written");
            let error = stop(&path).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        let mut other = std::process::Command::new("sleep").arg("60").spawn().expect("a process");
        fs::write(&path, other.id().to_string()).expect("written");
        assert!(matches!(stop(&path), Err(PidFileError::Foreign { .. })));
        assert!(other.try_wait().expect("asked").is_none(), "it was left alone");
        other.kill().expect("ours");
        other.wait().expect("reaped");
    }

    #[test]
    fn a_pid_file_goes_with_its_worker_and_one_of_the_past_is_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("worker.pid");
        fs::write(&path, "2147483000").expect("written");
        let file = PidFile::write(path.clone()).expect("nobody runs");
        assert_eq!(fs::read_to_string(&path).expect("there").trim(), std::process::id().to_string());
        drop(file);
        assert!(!path.exists());
    }
}
