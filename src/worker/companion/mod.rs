//! The companion: one tiny process per worker that spawns its tasks and outlives it (PROTOCOL W2, W5-W7).
//!
//! ```text
//!  worker ══ socket ══ companion ── task's process group
//!    │                    ├──────── task's process group ── stray
//!    ╳ kill -9            │
//!      end of file  ────► TERM all, kill_grace, KILL, also what was orphaned; then frees companion.lock
//!      end of lease ────► the same, whether or not the worker lives, or is stopped
//! ```
//!
//! A Python task is forked from a warm interpreter (`nursery`), and is a child of the companion like any other.
//!
//! It is the same binary under a hidden subcommand, with the socket as standard
//! input. Plain threads and blocking calls: no runtime, no actor, no log. Only for
//! the obituary, when nothing is left to guard, does it begin a runtime. It
//! must never fork (with a large process that was measured 50 times slower than
//! the posix_spawn path that `std::process::Command` takes without `pre_exec`),
//! and never wait for its worker: a worker that is stopped must not keep it from killing.

pub mod frame;
mod keeper;
mod lease;
mod nursery;
mod obituary;
mod port;
mod proc;
mod spawner;
mod table;
mod will;

pub use nursery::WARM_WORD;
pub use will::{BrokerAccess, Will};

pub use proc::{ProcessId, Stat, all as all_processes, start_time};

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{getpid, set_child_subreaper};

use super::journal::Journal;
use frame::{FromCompanion, ToCompanion};
use keeper::Fate;
use lease::Lease;
use nursery::Nursery;
use port::Port;
use table::Table;

/// Enough for `Command::spawn` and JSON; only what is touched counts as memory.
const STACK: usize = 128 * 1024;

/// What a companion is charged with.
#[derive(Clone, Debug)]
pub struct Charge {
    /// The file whose lock says that processes of this worker may live.
    lock: PathBuf,
    /// Between TERM and KILL.
    kill_grace: Duration,
    leased: bool,
    will: Option<Box<Will>>,
}

impl Charge {
    /// To guard the worker's processes for as long as the worker lives.
    pub fn new(lock: impl Into<PathBuf>, kill_grace: Duration) -> Self {
        Self { lock: lock.into(), kill_grace, leased: false, will: None }
    }

    /// No process starts before the first [`Companion::lease_until`](super::process::Companion::lease_until), and none
    /// outlives the last one.
    pub fn leased(self) -> Self {
        Self { leased: true, ..self }
    }

    /// When the worker dies, its companion tells the scheduler.
    pub fn with_will(self, will: Will) -> Self {
        Self { will: Some(Box::new(will)), ..self }
    }

    /// As it is said to the companion.
    pub fn hello(self) -> ToCompanion {
        let kill_grace = u64::try_from(self.kill_grace.as_millis()).unwrap_or(u64::MAX);
        ToCompanion::Hello { lock: self.lock, kill_grace, leased: self.leased, will: self.will }
    }
}

/// Runs the companion until its worker's end of the socket closes and nothing of the worker's is left.
pub fn main() -> ExitCode {
    match guard() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("updraft companion: {error}");
            ExitCode::FAILURE
        }
    }
}

fn guard() -> io::Result<()> {
    let port = Arc::new(Port::of_standard_input()?);
    let Some((ToCompanion::Hello { lock, kill_grace, leased, will }, _)) = port.receive()? else {
        return Err(io::Error::other("started without a worker (this command is not for people)"));
    };
    // Told so that `ps` and `top` say more than the name of the binary; it is only a name.
    let _ = fs::write("/proc/self/comm", "updraft-compan");
    // Held until this process ends, after its last kill.
    let lock = match hold(&lock) {
        Ok(file) => file,
        Err(why) => {
            port.send(&FromCompanion::Cannot { why });
            return Ok(());
        }
    };
    // What a task leaves behind becomes a child of ours, where it can be found.
    set_child_subreaper(Some(getpid()))?;

    let lease = if leased { Lease::Awaited } else { Lease::Open };
    let table = Arc::new(Table::new(Duration::from_millis(kill_grace), lease));
    start("reaper", &table, &port, spawner::reap)?;
    let (to_fork, wishes) = mpsc::channel();
    let (nursery, wishes) = (Arc::new(Nursery::default()), Arc::new(Mutex::new(wishes)));
    // Parallel spawns near the core count beat many (DESIGN §7).
    let spawners = thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8));
    for _ in 0..spawners {
        let to_fork = to_fork.clone();
        start("spawner", &table, &port, move |table, port| spawner::serve(table, port, &to_fork))?;
        let (nursery, wishes) = (Arc::clone(&nursery), Arc::clone(&wishes));
        start("warmer", &table, &port, move |table, port| spawner::serve_warm(table, port, &nursery, &wishes))?;
    }
    drop(to_fork);
    port.send(&FromCompanion::Ready { pid: std::process::id() });
    // This thread spawns nothing, so that no program which is slow to start can keep it from killing.
    let (fate, since) = keeper::keep(&table, &port);
    port.stop_receiving();
    keeper::end_everything(&table, &port, since);
    let will = will.filter(|_| fate == Fate::WorkerGone && !port.has_goodbye());
    let remains = will.map(|will| (Journal::remains(&will.journal), will));
    // From here on the next worker may begin: it waits for neither broker nor obituary (W7).
    drop(lock);
    match remains {
        Some((Ok(remains), will)) if remains.incarnation == will.incarnation => {
            obituary::publish(&will, remains).map_err(io::Error::other)
        }
        // Somebody has begun a new life, which speaks for itself.
        Some((Ok(_), _)) | None => Ok(()),
        // Without its reports an obituary would make lost what has ended.
        Some((Err(error), _)) => Err(io::Error::other(error)),
    }
}

fn start(
    name: &str,
    table: &Arc<Table>,
    port: &Arc<Port>,
    run: impl FnOnce(&Table, &Port) + Send + 'static,
) -> io::Result<()> {
    let (table, port) = (Arc::clone(table), Arc::clone(port));
    thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(move || run(&table, &port))?;
    Ok(())
}

/// Takes the lock of the state directory, or says who has it.
fn hold(path: &Path) -> Result<File, String> {
    let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path);
    let mut file = open.map_err(|error| format!("cannot open {}: {error}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(format!("{} is held by another companion", path.display()));
        }
        Err(error) => return Err(format!("cannot lock {}: {error}", path.display())),
    }
    // For the people who look who holds it; the lock itself is what counts.
    let _ = file.set_len(0);
    let _ = writeln!(file, "{}", std::process::id());
    Ok(file)
}
