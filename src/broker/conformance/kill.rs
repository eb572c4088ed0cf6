//! The broker itself ends a connection.

use std::process::Command;

use super::*;

impl Bed {
    /// Ends the connection of the node with this label from the broker's side.
    pub(super) async fn kill(&self, label: &str) {
        match self.kind {
            Kind::Rabbit | Kind::RabbitQuorum => kill_by_rabbitmqctl(label.to_owned()).await,
            Kind::Redis => self.kill_by_redis(label).await,
        }
    }

    async fn kill_by_redis(&self, label: &str) {
        let client = ::redis::Client::open(self.address.to_string()).expect("an address");
        let mut admin = client.get_multiplexed_async_connection().await.expect("a connection");
        let clients: String = ::redis::cmd("CLIENT").arg("LIST").query_async(&mut admin).await.expect("a list");
        let name = format!("name={} ", label.replace(' ', "-"));
        let id = clients.lines().find(|line| line.contains(&name)).unwrap_or_else(|| panic!("no {name} in {clients}"));
        let id = id.split_whitespace().find_map(|word| word.strip_prefix("id=")).expect("an id");
        let killed: i64 =
            ::redis::cmd("CLIENT").arg(&["KILL", "ID", id]).query_async(&mut admin).await.expect("a kill");
        assert_eq!(killed, 1);
    }
}

/// `close_all_connections` would also end those of every other test.
async fn kill_by_rabbitmqctl(label: String) {
    let done = tokio::task::spawn_blocking(move || {
        let listed = rabbitmqctl(&["-q", "list_connections", "pid", "client_properties"]);
        let line = listed.lines().find(|line| line.contains(&label)).expect("the connection is listed").to_owned();
        let pid = line.split('\t').next().expect("a process").to_owned();
        rabbitmqctl(&["-q", "close_connection", &pid, "by the test"]);
    });
    done.await.expect("no panic");
}

fn rabbitmqctl(arguments: &[&str]) -> String {
    let output = Command::new("rabbitmqctl").args(arguments).output();
    let output = output.unwrap_or_else(|why| panic!("rabbitmqctl is needed to end a connection at the server: {why}"));
    assert!(
        output.status.success(),
        "rabbitmqctl {arguments:?} (root, or the user of the server, may run it): {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_connection_that_the_broker_kills_comes_back_and_its_deliveries_are_void() {
    on_every_broker(async |bed| {
        let options = bed.options();
        let label = options.label.clone();
        let (mut node, queue) = (bed.node_with(options).await, bed.task("a"));
        node.broker.declare(queue.clone()).await.expect("a queue");
        node.put(&queue, &["a", "b"]).await;
        let (_subscription, mut deliveries) = node.subscribe(&[&queue], 1).await;
        let held = next(&mut deliveries).await;
        let (before, old_address) = (node.connection, node.reply_to.clone());
        bed.kill(&label).await;
        let why = node.lost().await;
        assert!(matches!(why, BrokerError::Lost { .. }), "{why}");
        node.up().await;
        assert!(node.connection > before && node.reply_to != old_address);
        assert!(held.is_void());
        assert_eq!(held.ack().await, Err(BrokerError::Void));
        let (body, delivery) = text(&mut deliveries).await;
        assert_eq!((body.as_str(), delivery.redelivered), ("a", true), "the subscription stands again");
        assert_eq!(delivery.connection, node.connection);
        delivery.ack().await.expect("not void");
        assert_eq!(text(&mut deliveries).await.0, "b");
        let to_the_old = node.publish(&old_address, "x").await;
        assert!(matches!(to_the_old, Published::Returned { .. }), "{to_the_old:?}");
        node.close().await;
    })
    .await;
}
