//! The warm interpreter: one Python that has loaded what every Python task needs, and forks itself for each.
//!
//! ```text
//!  companion                        warm interpreter           task
//!     │ fork for this file, 3 fds ───►│
//!     │                               ├── fork, fork ───────────► own group
//!     │◄── its pid ─────────────────────────────────────────────┤ waits
//!     │ writes it into the table                                │
//!     │ environment, folder: go ───────────────────────────────►│ runs
//! ```
//!
//! It forks twice, so that the task becomes a child of the companion, which is the
//! subreaper, and is reaped by it like any other. A task that is not told to go,
//! because its lease ended or the companion died, ends at the end of the stream. The
//! Python half is `updraft_bridge/warm.py`.
//!
//! No task ever fails for the warm interpreter: whatever goes wrong here, the task's program is started afresh.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv,
    sendmsg, socketpair,
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::frame::{Base, Origin, SpawnSpec};
use crate::protocol::task_channel::{frame, frame_length};
use crate::worker::state_dir::CLAIM_MARK;

/// The word after an interpreter's arguments that makes it the warm one.
pub const WARM_WORD: &str = "warm";

/// So many interpreters are kept.
const MOST: usize = 2;

/// How long an interpreter may take until it can fork: to import Airflow takes seconds.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How long it may take to fork, and a task to hear that it may go.
const PATIENCE: Duration = Duration::from_secs(1);

/// After so many tasks in a row that it could not fork, it is left alone for a while.
const PATIENT_WITH: u32 = 3;

const REST: Duration = Duration::from_secs(60);

/// Why a task is not forked.
#[derive(Debug)]
pub enum NotWarm {
    /// It is not made for that, or starting it afresh will say better what is wrong.
    Never,
    /// It should have been. Why, as the end of a sentence.
    Failed(String),
}

/// Who forks: nobody until the first task that wants it.
#[derive(Default)]
pub struct Nursery(Mutex<State>);

#[derive(Default)]
struct State {
    /// The one that was needed last at the end: our bridge's, and one that has loaded Airflow's task runner.
    warm: Vec<Arc<Interpreter>>,
    /// Tasks in a row that could not be forked.
    failures: u32,
    rests_until: Option<Instant>,
}

struct Interpreter {
    program: PathBuf,
    args: Vec<String>,
    folder: PathBuf,
    socket: OwnedFd,
    process: OwnedFd,
}

/// A process that waits for the word to go.
pub struct Unborn {
    pub pid: Pid,
    /// Why its DAG file has to be imported once more.
    pub slower: Option<String>,
    control: UnixStream,
}

/// What the warm interpreter is asked.
#[derive(Serialize)]
struct Request<'a> {
    file: Option<&'a Path>,
    folder: &'a Path,
}

/// A task's first word to the companion.
#[derive(Deserialize)]
struct Waiting {
    pid: i32,
    #[serde(default)]
    slower: Option<String>,
}

/// The companion's only word to a task.
#[derive(Serialize)]
struct Go<'a> {
    env: &'a BTreeMap<String, String>,
    cwd: &'a Path,
}

impl Nursery {
    /// A process for this task, which waits. With `descriptors` as for any spawn: output, and standard input if there is one.
    pub fn fork(&self, spec: &SpawnSpec, descriptors: &[OwnedFd]) -> Result<Unborn, NotWarm> {
        let Origin::Warm(warm) = &spec.origin else { return Err(NotWarm::Never) };
        if descriptors.is_empty() || spec.base == Base::Empty || !spec.cwd.is_dir() {
            return Err(NotWarm::Never);
        }
        let request = Request { file: warm.file.as_deref(), folder: &spec.cwd };
        let mut why = String::new();
        // Once more with a new one, because the old one may have died long ago.
        for _ in 0..2 {
            let interpreter = self.warm(spec).map_err(NotWarm::Failed)?;
            match interpreter.ask(&request, descriptors) {
                Ok(unborn) => {
                    self.lock().failures = 0;
                    return Ok(unborn);
                }
                Err(error) => why = sentence(&error),
            }
            self.forget(&interpreter);
        }
        Err(NotWarm::Failed(self.failed(why)))
    }

    /// The interpreter for this command; started when there is none.
    fn warm(&self, spec: &SpawnSpec) -> Result<Arc<Interpreter>, String> {
        // Held while it starts: whoever comes meanwhile wants the same one.
        let mut state = self.lock();
        if let Some(place) = state.warm.iter().position(|warm| warm.is_for(spec)) {
            let warm = state.warm.remove(place);
            state.warm.push(Arc::clone(&warm));
            return Ok(warm);
        }
        if state.rests_until.is_some_and(|until| Instant::now() < until) {
            return Err(format!("it failed {PATIENT_WITH} times and rests for {} s", REST.as_secs()));
        }
        match Interpreter::start(spec) {
            Ok(warm) => {
                let warm = Arc::new(warm);
                if state.warm.len() >= MOST {
                    state.warm.remove(0);
                }
                state.warm.push(Arc::clone(&warm));
                Ok(warm)
            }
            Err(error) => {
                drop(state);
                Err(self.failed(format!("it did not start: {}", sentence(&error))))
            }
        }
    }

    fn failed(&self, why: String) -> String {
        let mut state = self.lock();
        state.failures += 1;
        if state.failures >= PATIENT_WITH {
            state.failures = 0;
            state.rests_until = Some(Instant::now() + REST);
        }
        why
    }

    /// Unless somebody has already put another one into its place.
    fn forget(&self, interpreter: &Arc<Interpreter>) {
        self.lock().warm.retain(|warm| !Arc::ptr_eq(warm, interpreter));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interpreter {
    fn start(spec: &SpawnSpec) -> io::Result<Self> {
        let (socket, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(START_PATIENCE))?;
        set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
        let mut command = Command::new(&spec.program);
        command.args(&spec.args).arg(WARM_WORD).current_dir(&spec.cwd).process_group(0);
        // What a dead worker and its dead companion left is found by this mark, also in what is forked from here.
        if let Some((worker, _)) = spec.env.get(CLAIM_MARK).and_then(|claim| claim.split_once('/')) {
            command.env(CLAIM_MARK, format!("{worker}/{WARM_WORD}"));
        }
        // What it cannot do, the fresh interpreter says in the task's log.
        command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn()?;
        // Our copy of its end, so that we see when it is gone.
        drop(command);
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        // A number may be another's tomorrow, this may not.
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        let (program, args, folder) = (spec.program.clone(), spec.args.clone(), spec.cwd.clone());
        let interpreter = Self { program, args, folder, socket, process };
        let mut word = [0; 16];
        match rustix::io::retry_on_intr(|| recv(&interpreter.socket, &mut word, RecvFlags::empty()))? {
            (0, _) => Err(io::ErrorKind::UnexpectedEof.into()),
            (_, _) => Ok(interpreter),
        }
    }

    fn is_for(&self, spec: &SpawnSpec) -> bool {
        (&self.program, &self.args, &self.folder) == (&spec.program, &spec.args, &spec.cwd)
    }

    fn ask(&self, request: &Request<'_>, descriptors: &[OwnedFd]) -> io::Result<Unborn> {
        let (mut control, theirs) = UnixStream::pair()?;
        control.set_read_timeout(Some(PATIENCE))?;
        control.set_write_timeout(Some(PATIENCE))?;
        let request = serde_json::to_vec(request)?;
        let theirs = OwnedFd::from(theirs);
        let given: Vec<BorrowedFd<'_>> = std::iter::once(&theirs).chain(descriptors).map(AsFd::as_fd).collect();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(&given)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        rustix::io::retry_on_intr(|| {
            sendmsg(&self.socket, &[IoSlice::new(&request)], &mut ancillary, SendFlags::NOSIGNAL)
        })?;
        // With ours open, we would wait for somebody who is gone.
        drop(given);
        drop(theirs);
        let mut head = [0; 4];
        control.read_exact(&mut head)?;
        let mut body = vec![0; frame_length(head).map_err(io::Error::other)?];
        control.read_exact(&mut body)?;
        let Waiting { pid, slower } = serde_json::from_slice(&body)?;
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Unborn { pid, slower, control })
    }
}

impl Drop for Interpreter {
    /// The last who asked it is done: whether it hangs or not, it ends. What it has forked lives on.
    fn drop(&mut self) {
        // It fails when it is gone already.
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
    }
}

impl Unborn {
    /// Lets it begin.
    ///
    /// # Errors
    /// When it does not listen.
    pub fn go(mut self, spec: &SpawnSpec) -> io::Result<()> {
        let go = frame(&Go { env: &spec.env, cwd: &spec.cwd }).map_err(io::Error::other)?;
        self.control.write_all(&go)
    }
}

fn sentence(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "it does not answer".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            "it has ended".to_owned()
        }
        _ => error.to_string(),
    }
}
