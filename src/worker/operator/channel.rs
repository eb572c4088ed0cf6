//! The worker's end of the channel to a task's process (`protocol::task_channel`).

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::Judged;
use crate::domain::attempt::Outcome;
use crate::protocol::task_channel::{FromTask, Reply, ToTask, frame, frame_length};
use crate::worker::companion::frame::End;

/// The process ended without saying how: it crashed, or left by itself.
pub fn judge_without_finish(what: &str, end: End) -> Judged {
    match end {
        End::Code(0) => Judged::plain(Outcome::Success, None),
        End::Code(code) => Judged::plain(
            Outcome::Failed { retryable: true },
            Some(format!("The {what} process ended with exit code {code} before it could say how the task went")),
        ),
        End::Signal(signal) => Judged::plain(
            Outcome::Failed { retryable: true },
            Some(format!("The {what} process was ended by signal {signal} (was it short of memory?)")),
        ),
    }
}

/// The worker's end of a task's channel. Reading and writing go on by themselves, so that a
/// task that does not read cannot hold up its slot.
pub struct Channel {
    heard: mpsc::UnboundedReceiver<Result<FromTask, String>>,
    replies: mpsc::UnboundedSender<Vec<u8>>,
}

impl Channel {
    /// Makes the channel and says the first word. The descriptor is for the process, as its standard input.
    pub fn open(first: &ToTask) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (mut reading, mut writing) = tokio::net::UnixStream::from_std(ours)?.into_split();
        let (replies, mut to_write) = mpsc::unbounded_channel::<Vec<u8>>();
        let (tell, heard) = mpsc::unbounded_channel();
        let start = frame(first).map_err(io::Error::other)?;
        actix::spawn(async move {
            let mut next = Some(start);
            while let Some(bytes) = next {
                // It fails when the process has gone, which its exit says better.
                if writing.write_all(&bytes).await.is_err() {
                    return;
                }
                next = to_write.recv().await;
            }
        });
        actix::spawn(async move {
            loop {
                let heard = match read(&mut reading).await {
                    Ok(None) => return,
                    Ok(Some(message)) => Ok(message),
                    Err(error) => Err(error.to_string()),
                };
                let last = heard.is_err();
                if tell.send(heard).is_err() || last {
                    return;
                }
            }
        });
        Ok((Self { heard, replies }, OwnedFd::from(theirs)))
    }

    /// What the task says next; `None` at the end of the stream. May be cancelled.
    pub async fn hear(&mut self) -> Option<Result<FromTask, String>> {
        self.heard.recv().await
    }

    pub fn reply(&self, reply: &Reply) {
        let bytes = frame(reply).or_else(|error| frame(&Reply::error(reply.id, error.to_string())));
        if let Ok(bytes) = bytes {
            // Nobody writes any more when the process has gone.
            let _ = self.replies.send(bytes);
        }
    }
}

async fn read(from: &mut tokio::net::unix::OwnedReadHalf) -> io::Result<Option<FromTask>> {
    let mut head = [0; 4];
    match from.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    let mut body = vec![0; frame_length(head).map_err(io::Error::other)?];
    from.read_exact(&mut body).await?;
    Ok(Some(serde_json::from_slice(&body)?))
}
