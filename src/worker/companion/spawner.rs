//! The companion's births and deaths: threads that take frames and spawn, some that let the warm interpreter fork, and
//! one that reaps.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, wait};

use super::frame::{Base, End, FromCompanion, Origin, Remark, SpawnSpec, Stop, ToCompanion};
use super::nursery::{NotWarm, Nursery};
use super::port::Port;
use super::proc;
use super::table::{Birth, Ended, Table};
use crate::worker::boot_time::BootTime;

/// How long to wait before each new try when the machine has no room for a process at this moment.
const TRY_AGAIN: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(150), Duration::from_millis(400)];

/// Why nothing starts.
const NO_LEASE: &str = "the worker's lease is over, or has not begun";

/// Takes frames until the worker is gone. Several threads do this side by side.
pub fn serve(table: &Table, port: &Port, to_fork: &Sender<Wish>) {
    loop {
        let frame = match port.receive() {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(error) => {
                eprintln!("updraft companion: {error}; every task is ended");
                break;
            }
        };
        match frame {
            (ToCompanion::Spawn { id, spec }, descriptors) => match &spec.origin {
                Origin::Exec => start(table, port, id, &spec, descriptors),
                Origin::Warm(_) => {
                    // It fails only when those who fork are gone, and then so is the worker.
                    let _ = to_fork.send(Wish { id, spec, descriptors });
                }
            },
            (ToCompanion::Signal { id, signal }, _) => table.lock().signal(id, signal),
            (ToCompanion::Lease { until }, _) => {
                let mut inner = table.lock();
                inner.lease = inner.lease.renewed(until, BootTime::now());
                drop(inner);
                table.for_keeper.notify_one();
            }
            (ToCompanion::Hello { .. } | ToCompanion::Goodbye, _) => {}
        }
    }
    table.lock().closing = true;
    table.for_keeper.notify_one();
}

/// A process that is to be forked, with what travelled with the wish for it.
pub struct Wish {
    id: u64,
    spec: SpawnSpec,
    descriptors: Vec<OwnedFd>,
}

/// Forks tasks from the warm interpreter until nobody can wish for one. Threads of their own do this, since those who
/// take frames must not wait for Python: a lease or a signal may be in the next one.
pub fn serve_warm(table: &Table, port: &Port, nursery: &Nursery, wishes: &Mutex<Receiver<Wish>>) {
    loop {
        // A block of its own, so that the next one can wait while this one forks.
        let wish = { wishes.lock().unwrap_or_else(PoisonError::into_inner).recv() };
        let Ok(Wish { id, spec, descriptors }) = wish else { return };
        start_warm(table, port, nursery, id, &spec, descriptors);
    }
}

fn start_warm(table: &Table, port: &Port, nursery: &Nursery, id: u64, spec: &SpawnSpec, descriptors: Vec<OwnedFd>) {
    let Some(birth) = begin(table, port, id) else { return };
    match nursery.fork(spec, &descriptors) {
        Ok(unborn) => {
            drop(descriptors);
            let (pid, remark) = (unborn.pid, unborn.slower.clone().map(Remark::Slower));
            let ended = announce(table, port, birth, id, pid, remark);
            // It stands in the table, so it may begin; without the word it leaves by itself.
            if ended.is_none() && table.lock().may_start(BootTime::now()) && unborn.go(spec).is_err() {
                table.lock().signal(id, Stop::Kill);
            }
            if let Some(ended) = ended {
                tell(table, port, ended);
            }
        }
        Err(NotWarm::Never) => exec(table, port, birth, id, spec, descriptors, None),
        Err(NotWarm::Failed(why)) => {
            let why = format!("The warm interpreter could not start it ({why}): a fresh one does");
            exec(table, port, birth, id, spec, descriptors, Some(Remark::Otherwise(why)));
        }
    }
}

fn start(table: &Table, port: &Port, id: u64, spec: &SpawnSpec, descriptors: Vec<OwnedFd>) {
    if let Some(birth) = begin(table, port, id) {
        exec(table, port, birth, id, spec, descriptors, None);
    }
}

fn begin(table: &Table, port: &Port, id: u64) -> Option<Birth> {
    let birth = table.lock().begin(BootTime::now());
    if birth.is_none() {
        say(table, port, &FromCompanion::SpawnFailed { id, why: NO_LEASE.to_owned() });
    }
    birth
}

fn exec(
    table: &Table,
    port: &Port,
    birth: Birth,
    id: u64,
    spec: &SpawnSpec,
    descriptors: Vec<OwnedFd>,
    remark: Option<Remark>,
) {
    match spawn(table, spec, descriptors) {
        Ok(pid) => {
            if let Some(ended) = announce(table, port, birth, id, pid, remark) {
                tell(table, port, ended);
            }
        }
        Err(why) => {
            table.lock().failed(birth);
            say(table, port, &FromCompanion::SpawnFailed { id, why });
        }
    }
}

/// Says that a process is there, and puts it into the table. `Some` when it has already ended.
fn announce(table: &Table, port: &Port, birth: Birth, id: u64, pid: Pid, remark: Option<Remark>) -> Option<Ended> {
    let raw = pid.as_raw_nonzero().get();
    // The process cannot be gone, at most a zombie, unless the reaper was
    // faster; then its start time is of no use to anybody.
    let start_time = proc::stat(raw).map_or(0, |stat| stat.start_time);
    say(table, port, &FromCompanion::Spawned { id, pid: raw.unsigned_abs(), start_time, remark });
    // The lock is taken after the message is sent: an exit can only be told after its birth.
    let ended = table.lock().born(birth, id, pid);
    table.for_reaper.notify_one();
    ended
}

fn spawn(table: &Table, spec: &SpawnSpec, descriptors: Vec<OwnedFd>) -> Result<Pid, String> {
    let mut descriptors = descriptors.into_iter();
    let Some(output) = descriptors.next() else {
        return Err("the companion has no file descriptors left: raise the limit (`ulimit -n`)".to_owned());
    };
    let stdin = descriptors.next();
    let mut tries = TRY_AGAIN.into_iter();
    loop {
        let error = match command(spec, &output, stdin.as_ref()).and_then(|mut command| command.spawn()) {
            // Dropping a `Child` neither kills nor reaps it.
            Ok(child) => return pid_of(child.id()),
            Err(error) => error,
        };
        let passing = matches!(
            error.raw_os_error().map(Errno::from_raw_os_error),
            Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE)
        );
        match tries.next() {
            Some(pause) if passing => thread::sleep(pause),
            Some(_) | None => return Err(sentence(spec, &error)),
        }
        if !table.lock().may_start(BootTime::now()) {
            return Err(NO_LEASE.to_owned());
        }
    }
}

fn pid_of(id: u32) -> Result<Pid, String> {
    i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(|| format!("the kernel gave the impossible pid {id}"))
}

/// Without `pre_exec`, and with an absolute program, std takes the posix_spawn path.
fn command(spec: &SpawnSpec, output: &OwnedFd, stdin: Option<&OwnedFd>) -> io::Result<Command> {
    let mut command = Command::new(&spec.program);
    command.args(&spec.args).current_dir(&spec.cwd).process_group(0);
    match spec.base {
        Base::Inherit => {}
        Base::Empty => {
            command.env_clear();
        }
    }
    command.envs(&spec.env);
    command.stdin(match stdin {
        Some(fd) => Stdio::from(fd.try_clone()?),
        None => Stdio::null(),
    });
    command.stdout(Stdio::from(output.try_clone()?));
    command.stderr(Stdio::from(output.try_clone()?));
    Ok(command)
}

/// What to tell the person whose task did not start.
fn sentence(spec: &SpawnSpec, error: &io::Error) -> String {
    let program = spec.program.display();
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::TOOBIG) => {
            let longest = spec.args.iter().map(String::len).max().unwrap_or(0);
            let env: usize = spec.env.iter().map(|(name, value)| name.len() + value.len()).sum();
            format!(
                "the command is too long for Linux: its longest argument has {longest} bytes (at most 131,071 are \
                 possible), its own environment {env}; put the command into a `.sh` file, or pass the data in a file"
            )
        }
        Some(Errno::AGAIN) => {
            format!("cannot start {program}: too many processes (`ulimit -u`, or the cgroup's limit)")
        }
        Some(Errno::NOMEM) => format!("cannot start {program}: the machine has no memory left for a process"),
        Some(Errno::MFILE | Errno::NFILE) => {
            format!("cannot start {program}: too many open files (`ulimit -n`)")
        }
        Some(Errno::NOENT | Errno::NOTDIR) if !spec.cwd.is_dir() => {
            format!("the working folder {} does not exist", spec.cwd.display())
        }
        Some(Errno::NOENT) => format!("{program} does not exist"),
        Some(Errno::ACCESS) if spec.cwd.is_dir() => {
            format!("no permission to run {program} in {}", spec.cwd.display())
        }
        _ if error.kind() == io::ErrorKind::InvalidInput => {
            format!("cannot start {program}: the command or its environment holds a NUL byte")
        }
        _ => format!("cannot start {program}: {error}"),
    }
}

/// Reaps for ever: tasks, and what became a child of ours when its parent ended.
pub fn reap(table: &Table, port: &Port) {
    loop {
        let seen = table.lock().born;
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => {
                let end = match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => End::Code(code),
                    (None, Some(signal)) => End::Signal(signal),
                    (None, None) => continue,
                };
                let ended = table.lock().ended(pid, end);
                if let Some(ended) = ended {
                    tell(table, port, ended);
                }
            }
            Ok(None) | Err(Errno::INTR) => {}
            // No child at all: the next birth, or the keeper that looks for strays, wakes us.
            Err(_) => {
                let inner = table.lock();
                if inner.born == seen {
                    drop(table.for_reaper.wait(inner));
                }
            }
        }
    }
}

/// Says it, and lets the keeper try again when the worker does not read.
fn say(table: &Table, port: &Port, message: &FromCompanion) {
    if !port.send(message) {
        // The lock is what makes sure that the keeper either sees the backlog or waits already.
        drop(table.lock());
        table.for_keeper.notify_one();
    }
}

fn tell(table: &Table, port: &Port, Ended { id, end, strays }: Ended) {
    say(table, port, &FromCompanion::Exited { id, end, strays });
    if strays {
        table.for_keeper.notify_one();
    }
}
