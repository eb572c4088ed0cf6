//! The process's end of the task channel: one question, one answer.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::End;
use crate::domain::connection::{Connection, InvalidConnection};
use crate::protocol::task_channel::{Finish, FrameError, FromTask, Reply, ToTask, frame, frame_length};
use crate::protocol::work::Question;

/// The worker cannot be talked to, or refuses.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    #[error("the worker cannot be reached: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Refused(String),
}

/// The channel, once it was taken from file descriptor 0.
pub(crate) struct Channel {
    stream: UnixStream,
    last_id: u64,
}

impl Channel {
    /// # Errors
    /// When file descriptor 0 is no socket.
    pub fn from_stdin() -> io::Result<Self> {
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        stream.peer_addr()?;
        Ok(Self { stream, last_id: 0 })
    }

    /// The worker's first word.
    pub fn first(&mut self) -> Result<ToTask, ChannelError> {
        self.read()
    }

    pub fn finish(&mut self, finish: Finish) -> Result<(), ChannelError> {
        self.write(&FromTask::Finish(finish))
    }

    /// Keeps a value as the task's XCom.
    pub fn push(&mut self, key: &str, value: Value) -> Result<(), ChannelError> {
        self.ask(|id| FromTask::SetXCom { id, key: key.to_owned(), value }).map(drop)
    }

    /// Asks the scheduler.
    pub fn question(&mut self, question: Question) -> Result<Value, ChannelError> {
        self.ask(|id| FromTask::Ask { id, question })
    }

    /// A connection that may be missing.
    pub fn find_connection(&mut self, conn_id: &str) -> Result<Option<Connection>, End> {
        match self.ask(|id| FromTask::GetConnection { id, conn_id: conn_id.to_owned() })? {
            Value::Object(object) => Connection::from_object(object)
                .map(Some)
                .map_err(|invalid: InvalidConnection| End::FailedForGood(format!("connection `{conn_id}`: {invalid}"))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Ok(None),
        }
    }

    /// A connection that has to be there.
    pub fn connection(&mut self, conn_id: &str) -> Result<Connection, End> {
        self.find_connection(conn_id)?.ok_or_else(|| {
            End::Failed(format!(
                "there is no connection `{conn_id}`: add it with `updraft connections add {conn_id} --conn-uri URI`"
            ))
        })
    }

    fn ask(&mut self, message: impl FnOnce(u64) -> FromTask) -> Result<Value, ChannelError> {
        self.last_id += 1;
        self.write(&message(self.last_id))?;
        let reply: Reply = self.read()?;
        match reply.error {
            Some(error) => Err(ChannelError::Refused(error)),
            None => Ok(reply.value),
        }
    }

    fn write(&mut self, message: &impl Serialize) -> Result<(), ChannelError> {
        Ok(self.stream.write_all(&frame(message)?)?)
    }

    fn read<T: DeserializeOwned>(&mut self) -> Result<T, ChannelError> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head)?;
        let mut body = vec![0; frame_length(head)?];
        self.stream.read_exact(&mut body)?;
        Ok(serde_json::from_slice(&body).map_err(FrameError::from)?)
    }
}
