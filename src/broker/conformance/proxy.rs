//! A wire between a node and its broker that can be cut or go silent.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::super::Address;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Through,
    /// Takes and answers nothing, and does not hang up.
    Silent,
}

pub(super) struct Proxy {
    at: SocketAddr,
    wire: watch::Sender<Wire>,
    /// Changes at each cut.
    cut: watch::Sender<u64>,
}

impl Proxy {
    pub(super) async fn before(broker: &Address) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = Arc::new(Self {
            at: listener.local_addr().expect("an address"),
            wire: watch::channel(Wire::Through).0,
            cut: watch::channel(0).0,
        });
        let (wire, cut) = (proxy.wire.subscribe(), proxy.cut.subscribe());
        let broker = (broker.host.clone(), broker.port);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (broker, wire, mut cut) = (broker.clone(), wire.clone(), cut.clone());
                cut.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(broker).await else { return };
                    let ((from_client, to_client), (from_server, to_server)) =
                        (client.into_split(), server.into_split());
                    tokio::select! {
                        () = pass(from_client, to_server, wire.clone()) => {}
                        () = pass(from_server, to_client, wire) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        proxy
    }

    pub(super) fn address(&self, broker: &Address) -> Address {
        Address { host: self.at.ip().to_string(), port: self.at.port(), ..broker.clone() }
    }

    /// Ends every connection.
    pub(super) fn cut(&self) {
        self.cut.send_modify(|n| *n += 1);
    }

    pub(super) fn silence(&self) {
        self.wire.send_replace(Wire::Silent);
    }

    pub(super) fn heal(&self) {
        self.wire.send_replace(Wire::Through);
    }
}

async fn pass(
    from: tokio::net::tcp::OwnedReadHalf,
    to: tokio::net::tcp::OwnedWriteHalf,
    mut wire: watch::Receiver<Wire>,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        if wire.wait_for(|wire| *wire == Wire::Through).await.is_err() || from.readable().await.is_err() {
            return;
        }
        if *wire.borrow() == Wire::Silent {
            continue;
        }
        match from.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => {
                let mut rest = &buffer[..n];
                while !rest.is_empty() {
                    if to.writable().await.is_err() {
                        return;
                    }
                    match to.try_write(rest) {
                        Ok(n) => rest = &rest[n..],
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                        Err(_) => return,
                    }
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
