//! A wire between a process and a server that can be slow, go silent or be cut.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How the wire behaves now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Through,
    /// Each piece comes so much later.
    Slow(Duration),
    /// Takes nothing and gives nothing, and does not hang up: what a pulled cable looks like.
    Silent,
}

/// What the threads of a wire share.
struct Shared {
    mood: Mutex<Mood>,
    changed: Condvar,
    open: Mutex<Vec<TcpStream>>,
}

/// Listens on a port of its own and passes everything on to the server.
pub struct Wire {
    at: SocketAddr,
    shared: Arc<Shared>,
}

impl Wire {
    /// A wire to this port of 127.0.0.1.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("an address");
        let shared =
            Arc::new(Shared { mood: Mutex::new(Mood::Through), changed: Condvar::new(), open: Mutex::default() });
        let accepting = Arc::clone(&shared);
        // It ends with the process of the tests: nothing else would end it at the right time.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                accepting.connect(client, port);
            }
        });
        Self { at, shared }
    }

    pub fn port(&self) -> u16 {
        self.at.port()
    }

    /// Ends every connection, as a server does that restarts.
    pub fn cut(&self) {
        for stream in self.shared.open().drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn silence(&self) {
        self.shared.set(Mood::Silent);
    }

    pub fn slow(&self, by: Duration) {
        self.shared.set(Mood::Slow(by));
    }

    pub fn heal(&self) {
        self.shared.set(Mood::Through);
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
        self.changed.notify_all();
    }

    fn connect(self: &Arc<Self>, client: TcpStream, port: u16) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
        // Without it each small message would wait for the one before to be acknowledged.
        let fast = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
        let ends = fast.and_then(|()| Ok((client.try_clone()?, server.try_clone()?)));
        let Ok((client_again, server_again)) = ends else { return };
        if let (Ok(one), Ok(other)) = (client.try_clone(), server.try_clone()) {
            self.open().extend([one, other]);
        }
        for (from, to) in [(client, server), (server_again, client_again)] {
            let shared = Arc::clone(self);
            thread::spawn(move || shared.pass(from, to));
        }
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            self.wait_to_pass();
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        // The other side may have hung up first.
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }

    fn wait_to_pass(&self) {
        let mood = self.mood.lock().unwrap_or_else(PoisonError::into_inner);
        let mood = self.changed.wait_while(mood, |mood| *mood == Mood::Silent);
        let late = match *mood.unwrap_or_else(PoisonError::into_inner) {
            Mood::Slow(by) => by,
            Mood::Through | Mood::Silent => Duration::ZERO,
        };
        thread::sleep(late);
    }
}
