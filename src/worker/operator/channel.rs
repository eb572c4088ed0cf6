//! The worker's end of the channel to a task's process: our bridge's (`protocol::task_channel`), or the one of Airflow's
//! task runner (`worker::sdk`).

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::Judged;
use crate::domain::attempt::Outcome;
use crate::protocol::task_channel::{FromTask, Reply, ToTask, frame, frame_length};
use crate::protocol::work::Answer;
use crate::worker::companion::frame::End;
use crate::worker::question::reply;
use crate::worker::sdk::{self, Step, Supervisor};

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
    heard: mpsc::UnboundedReceiver<Result<Vec<u8>, String>>,
    replies: mpsc::UnboundedSender<Vec<u8>>,
    language: Language,
    /// Understood, and not heard by the slot yet.
    ready: VecDeque<FromTask>,
}

/// What is spoken, and with whom.
enum Language {
    Bridge,
    Sdk(Box<Supervisor>),
}

/// The first word to a process, which says what is spoken.
pub enum First {
    Bridge(Box<ToTask>),
    Sdk(Box<Supervisor>),
}

impl Channel {
    /// Makes the channel and says the first word. The descriptor is for the process, as its standard input.
    pub fn open(first: First) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (mut reading, mut writing) = tokio::net::UnixStream::from_std(ours)?.into_split();
        let (replies, mut to_write) = mpsc::unbounded_channel::<Vec<u8>>();
        let (tell, heard) = mpsc::unbounded_channel();
        let (start, language) = match first {
            First::Bridge(first) => (frame(&first).map_err(io::Error::other)?, Language::Bridge),
            First::Sdk(supervisor) => (supervisor.first_word(), Language::Sdk(supervisor)),
        };
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
        Ok((Self { heard, replies, language, ready: VecDeque::new() }, OwnedFd::from(theirs)))
    }

    /// What the task says next; `None` at the end of the stream. May be cancelled.
    pub async fn hear(&mut self) -> Option<Result<FromTask, String>> {
        loop {
            if let Some(next) = self.ready.pop_front() {
                return Some(Ok(next));
            }
            let bytes = match self.heard.recv().await? {
                Ok(bytes) => bytes,
                Err(why) => return Some(Err(why)),
            };
            let steps = match &mut self.language {
                Language::Bridge => {
                    return Some(serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
                }
                Language::Sdk(supervisor) => match sdk::frame::decode(&bytes) {
                    Ok(frame) => supervisor.on_frame(frame),
                    Err(error) => return Some(Err(error.to_string())),
                },
            };
            self.take(steps);
        }
    }

    /// The answer to something that was heard.
    pub fn answer(&mut self, id: u64, answer: Answer) {
        match &mut self.language {
            Language::Bridge => {
                let reply = reply(id, answer);
                let bytes = frame(&reply).or_else(|error| frame(&Reply::error(id, error.to_string())));
                if let Ok(bytes) = bytes {
                    self.send(bytes);
                }
            }
            Language::Sdk(supervisor) => {
                let steps = supervisor.on_answer(id, answer);
                self.take(steps);
            }
        }
    }

    fn take(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Reply(bytes) => self.send(bytes),
                Step::Say(said) => self.ready.push_back(said),
            }
        }
    }

    fn send(&self, bytes: Vec<u8>) {
        // Nobody writes any more when the process has gone.
        let _ = self.replies.send(bytes);
    }
}

async fn read(from: &mut tokio::net::unix::OwnedReadHalf) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; 4];
    match from.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    let length = frame_length(head).map_err(io::Error::other)?;
    // Grown as it comes: a length alone must not make us reserve memory.
    let mut body = Vec::new();
    from.take(length as u64).read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(body))
}
