//! Processes, as the worker sees them: it asks its companion and hears what became of them.
//!
//! The worker never spawns a task itself: a process that the companion does not
//! know would outlive a worker that is killed.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use rustix::net::{RecvFlags, Shutdown, recv, shutdown};
use tokio::io::Interest;
use tokio::sync::mpsc;

use super::boot_time::BootTime;
use super::companion::Charge;
use super::companion::frame::{self, FromCompanion, HEADER, SpawnSpec, Stop, ToCompanion};

/// Why there is no companion, and so no task can start.
#[derive(Debug, thiserror::Error)]
pub enum NoCompanion {
    #[error("cannot start the companion process {program}: {error}", program = program.display())]
    Start { program: PathBuf, error: io::Error },
    #[error("the companion process refused: {0}")]
    Refused(String),
    #[error("the companion process ended before it was ready")]
    Ended,
    #[error("cannot talk to the companion process: {0}")]
    Socket(#[from] io::Error),
}

/// The one process that spawns, guards and ends this worker's tasks.
#[derive(Clone)]
pub struct Companion(Rc<Link>);

struct Link {
    socket: tokio::net::UnixStream,
    /// Who waits for news of which process.
    routes: RefCell<HashMap<u64, mpsc::UnboundedSender<FromCompanion>>>,
    /// Frames that the socket did not take at once.
    backlog: RefCell<VecDeque<(Vec<u8>, Vec<OwnedFd>)>>,
    flushing: Cell<bool>,
    last_id: Cell<u64>,
    lost: Cell<bool>,
}

/// One process, from the wish for it to the end of its group. Dropping it ends nothing.
pub struct Process {
    id: u64,
    companion: Companion,
    news: mpsc::UnboundedReceiver<FromCompanion>,
}

impl Companion {
    /// Starts the companion (`<program> companion`) and waits until it holds the lock of its charge.
    ///
    /// `on_lost` is called once when the companion is gone, however it went.
    pub async fn start(
        program: &Path,
        charge: Charge,
        on_lost: impl FnOnce() + 'static,
    ) -> Result<(Self, Child), NoCompanion> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(program);
        // A group of its own: Ctrl-C at the terminal is for the worker, which drains.
        command.arg0("updraft").arg("companion").process_group(0);
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        let child = command.spawn().map_err(|error| NoCompanion::Start { program: program.to_owned(), error })?;
        // It holds a duplicate of our other end until it is dropped; then the companion's death closes the socket.
        drop(command);

        let socket = tokio::net::UnixStream::from_std(ours)?;
        let companion = Self(Rc::new(Link {
            socket,
            routes: RefCell::default(),
            backlog: RefCell::default(),
            flushing: Cell::new(false),
            last_id: Cell::new(0),
            lost: Cell::new(false),
        }));
        let (ready_tx, mut ready) = mpsc::unbounded_channel();
        companion.0.routes.borrow_mut().insert(0, ready_tx);
        companion.say(&charge.hello(), Vec::new())?;
        let listener = companion.clone();
        actix::spawn(async move {
            // However the stream ends, it means the same: nobody guards our tasks.
            let _ = listener.listen().await;
            listener.0.lost.set(true);
            listener.0.routes.borrow_mut().clear();
            on_lost();
        });
        match ready.recv().await {
            Some(FromCompanion::Ready { .. }) => Ok((companion, child)),
            Some(FromCompanion::Cannot { why }) => Err(NoCompanion::Refused(why)),
            Some(
                FromCompanion::Spawned { .. }
                | FromCompanion::SpawnFailed { .. }
                | FromCompanion::Exited { .. }
                | FromCompanion::Gone { .. }
                | FromCompanion::LeaseOver,
            )
            | None => Err(NoCompanion::Ended),
        }
    }

    /// Asks for a process. `output` becomes its standard output and error.
    pub fn spawn(&self, spec: SpawnSpec, output: OwnedFd, stdin: Option<OwnedFd>) -> io::Result<Process> {
        let id = self.0.last_id.get() + 1;
        self.0.last_id.set(id);
        let (route, news) = mpsc::unbounded_channel();
        let mut descriptors = vec![output];
        descriptors.extend(stdin);
        if !self.0.lost.get() {
            self.0.routes.borrow_mut().insert(id, route);
            self.say(&ToCompanion::Spawn { id, spec }, descriptors)?;
        }
        Ok(Process { id, companion: self.clone(), news })
    }

    /// Until when processes may start and live, of a companion with a lease. One that has lapsed is not renewed: the
    /// companion ends everything and leaves, as `on_lost` tells (W4, W5).
    pub fn lease_until(&self, until: BootTime) {
        // It fails only when the companion is gone, which its listener tells.
        let _ = self.say(&ToCompanion::Lease { until }, Vec::new());
    }

    /// Says goodbye: the companion ends whatever still runs, frees its lock and leaves.
    pub fn leave(&self) {
        // It fails only when the companion has left already.
        let _ = shutdown(&self.0.socket, Shutdown::Both);
    }

    fn say(&self, message: &ToCompanion, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        let bytes = frame::encode(message, descriptors.len())?;
        self.0.backlog.borrow_mut().push_back((bytes, descriptors));
        if !self.0.flushing.get() && !self.0.send_what_goes()? {
            self.0.flushing.set(true);
            let link = Rc::clone(&self.0);
            actix::spawn(async move { link.flush().await });
        }
        Ok(())
    }

    async fn listen(&self) -> io::Result<()> {
        let mut bytes: Vec<u8> = Vec::new();
        let mut chunk = vec![0; 16 * 1024];
        loop {
            let socket = &self.0.socket;
            let read = || Ok(recv(socket, &mut *chunk, RecvFlags::DONTWAIT)?.0);
            let got = socket.async_io(Interest::READABLE, read).await?;
            if got == 0 {
                return Ok(());
            }
            bytes.extend_from_slice(&chunk[..got]);
            let mut read = 0;
            while let Some(header) = bytes.get(read..read + HEADER) {
                let Ok(header) = header.try_into() else { break };
                let end = read + HEADER + frame::announced(header)?.body;
                let Some(body) = bytes.get(read + HEADER..end) else { break };
                self.0.route(frame::decode(body)?);
                read = end;
            }
            bytes.drain(..read);
        }
    }
}

impl Link {
    fn route(&self, news: FromCompanion) {
        let (id, last) = match &news {
            FromCompanion::Ready { .. } | FromCompanion::Cannot { .. } => (0, true),
            FromCompanion::SpawnFailed { id, .. }
            | FromCompanion::Exited { id, strays: false, .. }
            | FromCompanion::Gone { id } => (*id, true),
            FromCompanion::Spawned { id, .. } | FromCompanion::Exited { id, strays: true, .. } => (*id, false),
            FromCompanion::LeaseOver => {
                // From now on it starts nothing: whoever asks is answered as if it were gone.
                self.lost.set(true);
                for route in self.routes.borrow().values() {
                    // A process that nobody waits for needs no news.
                    let _ = route.send(FromCompanion::LeaseOver);
                }
                return;
            }
        };
        let mut routes = self.routes.borrow_mut();
        if let Some(route) = routes.get(&id) {
            let _ = route.send(news);
        }
        if last {
            routes.remove(&id);
        }
    }

    /// True when nothing is left to send.
    fn send_what_goes(&self) -> io::Result<bool> {
        let mut backlog = self.backlog.borrow_mut();
        while let Some((bytes, descriptors)) = backlog.front_mut() {
            let fds: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
            match frame::send(self.socket.as_fd(), bytes, &fds) {
                Ok(sent) if sent == bytes.len() => {
                    backlog.pop_front();
                }
                Ok(sent) => {
                    bytes.drain(..sent);
                    descriptors.clear();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => {
                    backlog.clear();
                    return Err(error);
                }
            }
        }
        Ok(true)
    }

    async fn flush(&self) {
        let all = || if self.send_what_goes()? { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) };
        // An error is that of a companion that is gone, which its listener tells.
        let _ = self.socket.async_io(Interest::WRITABLE, all).await;
        self.flushing.set(false);
    }
}

impl Process {
    /// What happened next. `None`: the companion is gone, and the process with it or soon.
    pub async fn news(&mut self) -> Option<FromCompanion> {
        self.news.recv().await
    }

    /// Sends TERM or KILL to the whole process group.
    pub fn signal(&self, signal: Stop) {
        // It fails only when the companion is gone, and then `news` says so.
        let _ = self.companion.say(&ToCompanion::Signal { id: self.id, signal }, Vec::new());
    }
}
