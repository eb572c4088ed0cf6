//! Without Nagle's algorithm to the database: a statement longer than one TLS record leaves in two pieces, and the second
//! would wait for an acknowledgement that the server holds back for 40 ms.
//!
//! sqlx 0.9.0 sets the option no more (its issue 4335) and shows nobody its socket, so it is found among our own by its
//! peer and set over a duplicate. Where the kernel does not let us, statements are only slower. To be removed with the
//! first version of sqlx that sets it again.

use std::fs;
use std::io;
use std::os::fd::RawFd;

use rustix::net::{SocketAddrAny, getpeername, sockopt};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// Every connection of ours to this port from now on sends at once.
pub(super) fn send_at_once(port: u16) {
    if let Err(error) = try_all(port) {
        tracing::debug!(%error, "statements may wait for acknowledgements");
    }
}

fn try_all(port: u16) -> io::Result<()> {
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let is_socket = fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
        let number = entry.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok());
        let Some(number) = number.filter(|_| is_socket) else { continue };
        // It may have been closed since.
        let Ok(socket) = pidfd_getfd(&this, number, PidfdGetfdFlags::empty()) else { continue };
        if getpeername(&socket).is_ok_and(|peer| peer.as_ref().and_then(port_of) == Some(port)) {
            sockopt::set_tcp_nodelay(&socket, true)?;
        }
    }
    Ok(())
}

fn port_of(peer: &SocketAddrAny) -> Option<u16> {
    std::net::SocketAddr::try_from(peer.clone()).ok().map(|address| address.port())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_to_the_port_sends_at_once_and_others_are_left_alone() {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let [ours, other] = listeners.each_ref().map(|listener| listener.local_addr().expect("bound"));
        let (to_ours, to_other) = (TcpStream::connect(ours).expect("open"), TcpStream::connect(other).expect("open"));
        send_at_once(ours.port());
        assert!(to_ours.nodelay().expect("an option"));
        assert!(!to_other.nodelay().expect("an option"));
    }
}
