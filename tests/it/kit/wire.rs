//! A wire between a node and a server: cut, so that every connection ends at once, or silent, so that nothing passes and
//! nobody hangs up.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

#[derive(Default)]
struct State {
    is_silent: bool,
    open: Vec<TcpStream>,
}

/// It ends with the process of the tests.
pub struct Wire {
    port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Wire {
    /// To a server at `host:port`.
    pub fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let state: Arc<(Mutex<State>, Condvar)> = Arc::default();
        let (server, shared) = (server.to_owned(), Arc::clone(&state));
        thread::spawn(move || {
            for near in listener.incoming() {
                let (Ok(near), Ok(far)) = (near, TcpStream::connect(&server)) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().expect("a copy"), to.try_clone().expect("a copy"));
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || pass(from, to, &shared));
                }
                shared.0.lock().expect("not poisoned").open.extend([near, far]);
            }
        });
        Self { port, state }
    }

    /// The same address with the wire before it: `host:port` of the URL is replaced.
    pub fn before(&self, url: &str, server: &str) -> String {
        assert!(url.contains(server), "{url} does not name {server}");
        url.replace(server, &format!("127.0.0.1:{}", self.port))
    }

    /// Ends every connection; new ones are let through.
    pub fn cut(&self) {
        for stream in self.state.0.lock().expect("not poisoned").open.drain(..) {
            // An error means that it has ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn silence(&self) {
        self.state.0.lock().expect("not poisoned").is_silent = true;
    }

    pub fn speak(&self) {
        self.state.0.lock().expect("not poisoned").is_silent = false;
        self.state.1.notify_all();
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, shared: &(Mutex<State>, Condvar)) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let state = shared.0.lock().expect("not poisoned");
        drop(shared.1.wait_while(state, |state| state.is_silent).expect("not poisoned"));
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
