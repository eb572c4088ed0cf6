//! The companion's end of the socket: any thread may receive, any thread may send, and sending never waits.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, Shutdown, recv, recvmsg, shutdown};

use super::frame::{self, FromCompanion, HEADER, MAX_DESCRIPTORS, ToCompanion};

pub struct Port {
    socket: OwnedFd,
    /// Held by the thread that reads a frame; the next one takes over while this one spawns.
    reading: Mutex<()>,
    /// What the socket did not take because the worker does not read. Sent later by [`Port::flush`].
    backlog: Mutex<VecDeque<Vec<u8>>>,
}

impl Port {
    /// The socket is standard input, of which a duplicate is kept: tasks get another one.
    pub fn of_standard_input() -> io::Result<Self> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self { socket, reading: Mutex::new(()), backlog: Mutex::new(VecDeque::new()) })
    }

    /// The next frame and its descriptors; `None` when the worker is gone.
    ///
    /// Fewer descriptors than announced mean that this process has none left.
    pub fn receive(&self) -> io::Result<Option<(ToCompanion, Vec<OwnedFd>)>> {
        let _turn = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut header = [0; HEADER];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
        let got = rustix::io::retry_on_intr(|| {
            recvmsg(&self.socket, &mut [IoSliceMut::new(&mut header)], &mut control, flags)
        });
        let got = match got {
            Ok(got) => got.bytes,
            // A worker that was killed with frames of ours unread resets the connection.
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if got == 0 {
            return Ok(None);
        }
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        if !self.fill(&mut header[got..])? {
            return Ok(None);
        }
        let announced = frame::announced(header)?;
        let mut body = vec![0; announced.body];
        if !self.fill(&mut body)? {
            return Ok(None);
        }
        Ok(Some((frame::decode(&body)?, descriptors)))
    }

    /// False when the worker went in the middle of a frame.
    fn fill(&self, mut rest: &mut [u8]) -> io::Result<bool> {
        while !rest.is_empty() {
            match rustix::io::retry_on_intr(|| recv(&self.socket, &mut *rest, RecvFlags::WAITALL)) {
                Ok((0, _)) | Err(rustix::io::Errno::CONNRESET) => return Ok(false),
                Ok((got, _)) => rest = &mut rest[got..],
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Says `message`, now or when the worker reads again. To a worker that is gone nothing needs to be said.
    /// False when it must be tried again by [`Port::flush`].
    pub fn send(&self, message: &FromCompanion) -> bool {
        // A message of ours is a few numbers and a sentence: it always has a JSON form.
        let Ok(bytes) = frame::encode(message, 0) else { return true };
        let mut backlog = self.backlog();
        backlog.push_back(bytes);
        self.send_what_goes(&mut backlog);
        backlog.is_empty()
    }

    /// Tries again what could not be sent; true when nothing is left.
    pub fn flush(&self) -> bool {
        let mut backlog = self.backlog();
        self.send_what_goes(&mut backlog);
        backlog.is_empty()
    }

    /// Takes nothing more from the worker: who waits for a frame is told that there is none.
    pub fn stop_receiving(&self) {
        // It fails only when the worker is gone, which is the same to those who wait.
        let _ = shutdown(&self.socket, Shutdown::Read);
    }

    fn send_what_goes(&self, backlog: &mut VecDeque<Vec<u8>>) {
        while let Some(bytes) = backlog.front_mut() {
            match frame::send(self.socket.as_fd(), bytes, &[]) {
                Ok(sent) if sent == bytes.len() => {
                    backlog.pop_front();
                }
                Ok(sent) => {
                    bytes.drain(..sent);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    backlog.clear();
                    return;
                }
            }
        }
    }

    fn backlog(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
