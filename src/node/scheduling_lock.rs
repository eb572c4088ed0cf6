//! One scheduler at a time in one home, and a way to ask whether one lives.
//!
//! The lock belongs to the process: the system frees it however the process
//! ends. It is a courtesy between processes of one machine; what makes two
//! schedulers harmless is the epoch in the database.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Held as long as this value lives.
#[derive(Debug)]
pub struct SchedulingLock {
    file: File,
}

/// What the holder does, for processes that ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    Leads,
    StandsBy,
}

/// Behind the number of the process, where it stands by.
const STANDS_BY: &str = "stands by";

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum NotLocked {
    #[error("a node already runs in {home} (process {pid}): use it, or stop it first")]
    Held { home: String, pid: String },
    #[error("cannot write in the home folder {home}: {why}")]
    Unwritable { home: String, why: io::Error },
}

impl SchedulingLock {
    /// Takes the lock of `home`, at once or not at all.
    pub fn take(home: &Path) -> Result<Self, NotLocked> {
        let shown = home.display().to_string();
        let unwritable = |why| NotLocked::Unwritable { home: shown.clone(), why };
        std::fs::create_dir_all(home).map_err(unwritable)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(home.join("scheduler.lock"))
            .map_err(unwritable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                // The name of the holder is for people only: without it the message is still true.
                let _ = file.read_to_string(&mut pid);
                let pid = pid.lines().next().unwrap_or_default().trim().to_owned();
                return Err(NotLocked::Held { home: shown, pid });
            }
            Err(errno) => return Err(unwritable(errno.into())),
        }
        name(&mut file, Duty::Leads).map_err(unwritable)?;
        Ok(Self { file })
    }

    /// Says to whoever asks what this process does now.
    pub fn note(&mut self, duty: Duty) {
        if let Err(error) = name(&mut self.file, duty) {
            tracing::debug!(%error, "the lock does not say what its holder does");
        }
    }

    /// Whether a living process of this home stands by.
    pub fn stands_by(home: &Path) -> bool {
        let Ok(file) = File::open(home.join("scheduler.lock")) else { return false };
        if flock(&file, FlockOperation::NonBlockingLockShared) != Err(rustix::io::Errno::WOULDBLOCK) {
            return false;
        }
        io::read_to_string(file).is_ok_and(|text| text.lines().nth(1) == Some(STANDS_BY))
    }
}

/// The process, and what it does.
fn name(file: &mut File, duty: Duty) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    let pid = std::process::id();
    match duty {
        Duty::Leads => write!(file, "{pid}"),
        Duty::StandsBy => write!(file, "{pid}\n{STANDS_BY}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_tells_whether_its_scheduler_stands_by() {
        let home = tempfile::tempdir().expect("a folder");
        assert!(!SchedulingLock::stands_by(home.path()), "nobody is there");
        let mut lock = SchedulingLock::take(home.path()).expect("it is free");
        assert!(!SchedulingLock::stands_by(home.path()));
        lock.note(Duty::StandsBy);
        assert!(SchedulingLock::stands_by(home.path()));
        let held = SchedulingLock::take(home.path()).expect_err("it is held");
        assert!(held.to_string().contains(&format!("(process {})", std::process::id())), "{held}");
        lock.note(Duty::Leads);
        assert!(!SchedulingLock::stands_by(home.path()));
        lock.note(Duty::StandsBy);
        drop(lock);
        assert!(!SchedulingLock::stands_by(home.path()), "it has ended");
    }
}
