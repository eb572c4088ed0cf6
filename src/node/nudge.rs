//! A nudge: "there is a command for you in the store". An empty datagram on a
//! socket in the home folder; it carries nothing, so it can mean nothing else.

use std::fs::Permissions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// The longest path that a socket address can hold, less the final NUL.
const LONGEST_ADDRESS: usize = 107;

/// Where a scheduler hears nudges; the socket is removed with this value.
#[derive(Debug)]
pub struct Ear {
    socket: tokio::net::UnixDatagram,
    path: PathBuf,
}

impl Ear {
    /// To be called with the scheduling lock held: what an earlier process left is replaced.
    pub fn open(home: &Path) -> io::Result<Self> {
        let path = home.join(NAME);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let socket = at_address(home, |path| UnixDatagram::bind(path))?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket: tokio::net::UnixDatagram::from_std(socket)?, path })
    }

    /// Waits for the next nudge; several that came together are one.
    pub async fn next(&self) -> io::Result<()> {
        let mut nothing = [0; 1];
        self.socket.recv(&mut nothing).await?;
        while self.socket.try_recv(&mut nothing).is_ok() {}
        Ok(())
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        // The next node replaces it anyway.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Nudges the scheduler of `home`; false when none listens.
pub fn nudge(home: &Path) -> bool {
    let sent = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        at_address(home, |path| socket.send_to(&[], path))
    });
    match sent {
        Ok(_) => true,
        // It listens and has more nudges waiting than fit: it will look.
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

const NAME: &str = "scheduler.sock";

/// A folder may have a longer name than a socket address holds; then it is named through its descriptor.
fn at_address<T>(home: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let path = home.join(NAME);
    if path.as_os_str().len() <= LONGEST_ADDRESS {
        return act(&path);
    }
    let folder = std::fs::File::open(home)?;
    act(&Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_nudge_is_heard_also_in_a_folder_with_a_very_long_name() {
        let root = tempfile::tempdir().expect("a folder");
        for home in [root.path().to_owned(), root.path().join("x".repeat(200))] {
            std::fs::create_dir_all(&home).expect("a folder");
            assert!(!nudge(&home), "nobody listens yet");
            let ear = Ear::open(&home).expect("a socket");
            assert!(nudge(&home));
            assert!(nudge(&home));
            ear.next().await.expect("a nudge");
            drop(ear);
            assert!(!nudge(&home), "nobody listens any more");
        }
    }
}
