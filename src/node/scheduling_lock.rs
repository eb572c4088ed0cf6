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
    _file: File,
}

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
                return Err(NotLocked::Held { home: shown, pid: pid.trim().to_owned() });
            }
            Err(errno) => return Err(unwritable(errno.into())),
        }
        let named = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        named.map_err(unwritable)?;
        Ok(Self { _file: file })
    }
}
