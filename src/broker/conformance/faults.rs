//! Wires that are cut, brokers that fall silent, queues that vanish.

use std::collections::BTreeSet;

use super::proxy::Proxy;
use super::*;

#[tokio::test]
async fn nothing_that_was_confirmed_is_lost_when_the_wire_is_cut_again_and_again() {
    on_every_broker(async |bed| {
        let proxy = Proxy::before(&bed.address).await;
        let mut options = bed.options();
        options.addresses = vec![proxy.address(&bed.address)];
        let (mut node, queue) = (bed.node_with(options).await, bed.task("a"));
        node.broker.declare(queue.clone()).await.expect("a queue");
        let reader = bed.node().await;
        let (mut confirmed, mut unknown) = (BTreeSet::new(), 0);
        for round in 0..5 {
            let receipts: Vec<(String, Receipt)> = (0..500)
                .map(|n| format!("{round}-{n}"))
                .map(|body| (body.clone(), node.broker.publish(Outgoing::new(queue.clone(), body))))
                .collect();
            let mut receipts = receipts.into_iter();
            // A cut at once, or when some of them are confirmed.
            for (body, receipt) in receipts.by_ref().take(round * 60) {
                assert_eq!(ended(receipt).await, Published::Confirmed);
                confirmed.insert(body);
            }
            proxy.cut();
            for (body, receipt) in receipts {
                match ended(receipt).await {
                    Published::Confirmed => {
                        confirmed.insert(body);
                    }
                    Published::Unknown { .. } => unknown += 1,
                    other => panic!("{body}: {other:?}"),
                }
            }
            node.lost().await;
            node.up().await;
        }
        eprintln!("{} confirmed, {unknown} unknown", confirmed.len());
        assert!(unknown > 0, "no cut hit anything");
        let (_subscription, mut deliveries) = reader.subscribe(&[&queue], 100).await;
        while !confirmed.is_empty() {
            let (body, delivery) = text(&mut deliveries).await;
            confirmed.remove(&body);
            delivery.ack().await.expect("not void");
        }
        node.close().await;
        reader.close().await;
    })
    .await;
}

#[tokio::test]
async fn without_a_connection_a_publish_says_so_at_once() {
    on_every_broker(async |bed| {
        let mut options = bed.options();
        options.addresses = vec![Address { port: 1, ..bed.address.clone() }];
        let (broker, mut events, _replies) = Broker::open(options);
        let queue = bed.names.scheduler();
        let published = ended(broker.publish(Outgoing::new(queue.clone(), "x"))).await;
        assert!(matches!(published, Published::Unknown { .. }), "{published:?}");
        assert!(matches!(broker.depth(&queue).await, Err(BrokerError::Lost { .. })));
        let event = timeout(PATIENCE, events.recv()).await.expect("in time").expect("the session lives");
        let Event::Failed { error, .. } = event else { panic!("{event:?}") };
        assert!(matches!(error, BrokerError::Unreachable { .. }) && error.waits(), "{error}");
        broker.close();
    })
    .await;
}

#[tokio::test]
async fn a_slot_takes_nothing_after_a_reconnect_until_it_is_told_to() {
    on_every_broker(async |bed| {
        let proxy = Proxy::before(&bed.address).await;
        let mut options = bed.options();
        options.addresses = vec![proxy.address(&bed.address)];
        let (mut node, queue) = (bed.node_with(options).await, bed.task("a"));
        node.broker.declare(queue.clone()).await.expect("a queue");
        let subscribed = node.broker.subscribe(std::slice::from_ref(&queue), 1, AfterReconnect::Pause).await;
        let (slot, mut deliveries) = subscribed.expect("a subscription");
        proxy.cut();
        node.lost().await;
        node.up().await;
        node.put(&queue, &["a"]).await;
        assert_eq!(node.depth(&queue).await.ready, 1);
        assert!(is_empty(&mut deliveries));
        slot.set_credit(1).await.expect("credit");
        assert_eq!(text(&mut deliveries).await.0, "a");
        node.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_falls_silent_is_noticed_and_tried_again() {
    on_every_broker(async |bed| {
        let proxy = Proxy::before(&bed.address).await;
        let mut options = bed.options();
        options.addresses = vec![proxy.address(&bed.address)];
        options.heartbeat = Duration::from_secs(1);
        options.timeout = Duration::from_secs(1);
        let (mut node, queue) = (bed.node_with(options).await, bed.task("a"));
        node.broker.declare(queue.clone()).await.expect("a queue");
        proxy.silence();
        let receipt = node.broker.publish(Outgoing::new(queue.clone(), "into the void"));
        let begun = std::time::Instant::now();
        node.lost().await;
        assert!(begun.elapsed() < Duration::from_secs(6), "noticed after {:?}", begun.elapsed());
        assert!(matches!(ended(receipt).await, Published::Unknown { .. }));
        proxy.heal();
        node.up().await;
        node.put(&queue, &["back"]).await;
        node.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_somebody_deletes_is_made_again_and_taken_from_again() {
    on_every_broker(async |bed| {
        let (mut node, other, queue) = (bed.node().await, bed.node().await, bed.task("a"));
        node.broker.declare(queue.clone()).await.expect("a queue");
        let (_subscription, mut deliveries) = node.subscribe(&[&queue], 1).await;
        other.broker.remove(&queue).await.expect("deleted");
        let cancelled = node
            .event_like(|event| match event {
                Event::Cancelled { queue, .. } => Some(queue.clone()),
                _ => None,
            })
            .await;
        assert_eq!(cancelled, queue.name());
        let published = async {
            while other.publish(&queue, "again").await != Published::Confirmed {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, published).await.expect("the queue is there again");
        assert_eq!(text(&mut deliveries).await.0, "again");
        node.close().await;
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_finds_its_queue_even_when_that_was_deleted() {
    on_every_broker(async |bed| {
        let (node, queue) = (bed.node().await, bed.task("a"));
        node.broker.declare(queue.clone()).await.expect("a queue");
        node.put(&queue, &["poison"]).await;
        node.broker.remove(&bed.names.dead()).await.expect("deleted");
        let (_subscription, mut deliveries) = node.subscribe(&[&queue], 1).await;
        next(&mut deliveries).await.dead_letter("bad").await.expect("buried");
        node.depth_becomes(&bed.names.dead(), 1).await;
        node.close().await;
    })
    .await;
}
