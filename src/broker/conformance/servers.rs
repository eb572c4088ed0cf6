//! Servers of a story's own, where what it does would disturb the others.

use std::process::{Child, Command, Stdio};

use super::*;

/// A Redis that ends with the story.
struct OwnRedis {
    server: Child,
    address: Address,
}

impl OwnRedis {
    /// `None` where the person at the keyboard brought a server along and has no program.
    async fn start(arguments: &[&str]) -> Option<Self> {
        let given = std::env::var("UPDRAFT_TEST_REDIS").unwrap_or_default();
        if given == "none" {
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
        let started = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"])
            .args(arguments)
            .stdout(Stdio::null())
            .spawn();
        let server = match started {
            Ok(server) => server,
            Err(why) if given.is_empty() => panic!("redis-server is needed for this test: {why}"),
            Err(why) => {
                eprintln!("left out, because there is no redis-server here: {why}");
                return None;
            }
        };
        let address = Address::parse_all(&format!("redis://127.0.0.1:{port}")).expect("an address").remove(0);
        let own = Self { server, address };
        let listens = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, listens).await.expect("redis-server listens");
        Some(own)
    }

    fn bed(&self) -> Bed {
        let mut bed = Bed::new(Kind::Redis).expect("not left out");
        bed.address = self.address.clone();
        bed
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[tokio::test]
async fn a_redis_without_memory_refuses_says_so_and_recovers() {
    let Some(own) = OwnRedis::start(&["--maxmemory", "20mb", "--maxmemory-policy", "noeviction"]).await else { return };
    let bed = own.bed();
    let (mut node, queue) = (bed.node().await, bed.task("a"));
    node.broker.declare(queue.clone()).await.expect("a queue");
    let mut stored = 0;
    let why = loop {
        match node.publish(&queue, vec![b'x'; 1 << 20]).await {
            Published::Confirmed => stored += 1,
            Published::Nacked { why } => break why,
            other => panic!("{other:?}"),
        }
        assert!(stored < 100, "it never refuses");
    };
    assert!(stored > 5 && why.contains("OOM"), "{stored}: {why}");
    let reason = node
        .event_like(|event| match event {
            Event::Blocked { reason } => Some(reason.clone()),
            _ => None,
        })
        .await;
    assert!(reason.contains("OOM"), "{reason}");
    let (_subscription, mut deliveries) = node.subscribe(&[&queue], 100).await;
    for _ in 0..stored {
        next(&mut deliveries).await.ack().await.expect("an ack frees memory, so it is let through");
    }
    node.put(&queue, &["room again"]).await;
    node.event_like(|event| (*event == Event::Unblocked).then_some(())).await;
    node.close().await;
}

#[tokio::test]
async fn a_redis_that_restarts_without_its_data_is_set_up_again() {
    let Some(mut own) = OwnRedis::start(&[]).await else { return };
    let bed = own.bed();
    let (mut node, queue) = (bed.node().await, bed.task("a"));
    node.broker.declare(queue.clone()).await.expect("a queue");
    let (_subscription, mut deliveries) = node.subscribe(&[&queue], 1).await;
    own.server.kill().expect("a kill");
    own.server.wait().expect("it ends");
    node.lost().await;
    let port = own.address.port.to_string();
    let again = Command::new("redis-server")
        .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"])
        .stdout(Stdio::null())
        .spawn();
    own.server = again.expect("it started before");
    node.up().await;
    node.put(&queue, &["a"]).await;
    assert_eq!(text(&mut deliveries).await.0, "a");
    node.close().await;
}
