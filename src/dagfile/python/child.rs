//! A child interpreter: started in a process group of its own, spoken to over
//! its file descriptor 0, and gone with all it started when it is dropped.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child as Process, Command};
use tokio::task::JoinHandle;

use super::Interpreter;

/// What a file prints while it loads is kept up to here.
const MAX_TALK: usize = 64 << 10;

/// A description of DAGs longer than this is refused.
const MAX_ANSWER: u32 = 256 << 20;

/// Output can stay open in a process that left the group; nobody waits for it longer than this.
const TALK_PATIENCE: Duration = Duration::from_millis(500);

/// A child that closed the channel gets so long to exit with a status of its own.
pub const EXIT_PATIENCE: Duration = Duration::from_millis(500);

pub struct Child {
    process: Process,
    group: Group,
    channel: UnixStream,
    talk: [JoinHandle<Vec<u8>>; 2],
}

/// A process group by its leader's number; killed when dropped, unless it was before.
struct Group(Option<Pid>);

impl Group {
    /// Asks without reaping.
    fn leader_has_exited(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.0.is_none_or(|leader| !matches!(waitid(WaitId::Pid(leader), options), Ok(None)))
    }

    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            // The group may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a child ended and what it printed.
pub struct Ended {
    pub status: io::Result<ExitStatus>,
    pub stdout: String,
    pub stderr: String,
}

impl Child {
    pub fn start(interpreter: &Interpreter) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let channel = UnixStream::from_std(ours)?;
        let line = interpreter.command_line();
        let mut command = Command::new(&line[0]);
        command
            .args(&line[1..])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut process = command.spawn()?;
        // Our copy of the child's end closes here, so that its death closes the channel.
        drop(command);
        let group = Group(process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
        let stdout = tokio::spawn(listen(process.stdout.take()));
        let stderr = tokio::spawn(listen(process.stderr.take()));
        Ok(Self { process, group, channel, talk: [stdout, stderr] })
    }

    pub async fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        let body = serde_json::to_vec(message)?;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        self.channel.write_all(&length.to_be_bytes()).await?;
        self.channel.write_all(&body).await
    }

    /// The next message; the end of the channel is an error of kind `UnexpectedEof`.
    pub async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut head = [0; 4];
        self.channel.read_exact(&mut head).await?;
        let length = u32::from_be_bytes(head);
        if length > MAX_ANSWER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("an answer of {length} bytes")));
        }
        // Grown as it comes: a length alone must not make us reserve memory.
        let mut body = Vec::new();
        (&mut self.channel).take(length.into()).read_to_end(&mut body).await?;
        if body.len() < length as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(body)
    }

    /// Ends what still runs of the group, and gathers what there is to tell.
    /// With `patience`, the leader may exit by itself first, so that its own status is seen.
    pub async fn end(mut self, patience: Duration) -> Ended {
        let deadline = tokio::time::Instant::now() + patience;
        while tokio::time::Instant::now() < deadline && !self.group.leader_has_exited() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Before the leader is reaped: until then nobody else can get its number.
        self.group.kill();
        let status = self.process.wait().await;
        let [stdout, stderr] = self.talk;
        let (stdout, stderr) = tokio::join!(text_of(stdout), text_of(stderr));
        Ended { status, stdout, stderr }
    }
}

async fn text_of(mut listener: JoinHandle<Vec<u8>>) -> String {
    match tokio::time::timeout(TALK_PATIENCE, &mut listener).await {
        Ok(Ok(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Ok(Err(_)) | Err(_) => {
            listener.abort();
            String::new()
        }
    }
}

/// Reads to the end and keeps the beginning, so that a file that prints much cannot block itself or fill us.
async fn listen(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let Some(mut stream) = stream else { return Vec::new() };
    let mut kept = Vec::new();
    let mut part = vec![0; 8 << 10];
    while let Ok(n @ 1..) = stream.read(&mut part).await {
        let room = MAX_TALK.saturating_sub(kept.len());
        kept.extend_from_slice(&part[..n.min(room)]);
    }
    kept
}
