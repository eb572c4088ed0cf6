//! Encrypted connections: a broker behind a TLS proxy with a certificate of the story's own authority.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let output = output.unwrap_or_else(|why| panic!("openssl makes the certificates of this test: {why}"));
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// `ca.pem`, and `cert.pem` with `key.pem` for 127.0.0.1.
fn certificates(folder: &Path) {
    let new_key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(folder, &format!("{new_key} -keyout ca.key -out ca.pem -subj /CN=authority"));
    openssl(
        folder,
        &format!(
            "{new_key} -keyout key.pem -out cert.pem -subj /CN=broker -CA ca.pem -CAkey ca.key \
             -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
        ),
    );
}

/// Decrypts before the broker; returns its port.
async fn tls_proxy(broker: &Address, folder: &Path) -> u16 {
    let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_file_iter(folder.join("cert.pem"))
        .expect("a file")
        .map(|certificate| certificate.expect("a certificate").into_owned())
        .collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).expect("a key");
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate and its key");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let broker = (broker.host.clone(), broker.port);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, broker) = (acceptor.clone(), broker.clone());
            tokio::spawn(async move {
                // A client that does not trust the certificate hangs up here.
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let Ok(mut server) = TcpStream::connect(broker).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn an_encrypted_connection_carries_messages_and_trusts_only_its_authority() {
    on_every_broker(async |bed| {
        let folder = tempfile::tempdir().expect("a folder");
        certificates(folder.path());
        let port = tls_proxy(&bed.address, folder.path()).await;
        let mut options = bed.options();
        options.addresses = vec![Address { tls: true, port, host: "127.0.0.1".to_owned(), ..bed.address.clone() }];
        options.tls = Tls { ca: Some(folder.path().join("ca.pem")), ..Tls::default() };
        let (node, queue) = (bed.node_with(options.clone()).await, bed.task("a"));
        node.broker.declare(queue.clone()).await.expect("a queue");
        node.put(&queue, &["in secret"]).await;
        let (_subscription, mut deliveries) = node.subscribe(&[&queue], 1).await;
        assert_eq!(text(&mut deliveries).await.0, "in secret");
        node.close().await;

        options.tls.ca = None;
        let (broker, mut events, _replies) = Broker::open(options);
        let event = timeout(PATIENCE, events.recv()).await.expect("an event in time").expect("the session lives");
        broker.close();
        let Event::Failed { error, .. } = event else { panic!("a stranger's certificate is trusted: {event:?}") };
        assert!(matches!(error, BrokerError::Tls { .. }) && !error.waits(), "{error:?}");
    })
    .await;
}
