//! Messages that flow as they should.

use super::*;

#[tokio::test]
async fn messages_arrive_in_order_and_are_gone_when_they_are_acknowledged() {
    on_every_broker(async |bed| {
        let (node, queue) = (bed.node().await, bed.task("a"));
        node.broker.declare(queue.clone()).await.expect("a queue");
        let receipts: Vec<Receipt> =
            (0..1_000).map(|n| node.broker.publish(Outgoing::new(queue.clone(), format!("{n}")))).collect();
        let (subscription, mut deliveries) = node.subscribe(&[&queue], 100).await;
        for n in 0..1_000 {
            let (body, delivery) = text(&mut deliveries).await;
            assert_eq!(body, n.to_string());
            assert!(!delivery.redelivered);
            assert_eq!((delivery.queue.name(), delivery.connection), (queue.name(), node.connection));
            delivery.ack().await.expect("not void");
        }
        for receipt in receipts {
            assert_eq!(ended(receipt).await, Published::Confirmed);
        }
        subscription.close().await.expect("closed");
        node.depth_becomes(&queue, 0).await;
        node.close().await;
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_publishes_are_under_way_at_once_and_each_is_confirmed() {
    on_every_broker(async |bed| {
        let (node, queue) = (bed.node().await, bed.task("a"));
        node.broker.declare(queue.clone()).await.expect("a queue");
        let begun = std::time::Instant::now();
        let receipts: Vec<Receipt> =
            (0..10_000).map(|n| node.broker.publish(Outgoing::new(queue.clone(), format!("{n:0400}")))).collect();
        for receipt in receipts {
            assert_eq!(ended(receipt).await, Published::Confirmed);
        }
        eprintln!("10,000 confirmed in {:?}", begun.elapsed());
        node.depth_becomes(&queue, 10_000).await;
        node.close().await;
    })
    .await;
}

#[tokio::test]
async fn any_bytes_arrive_as_they_were_sent() {
    on_every_broker(async |bed| {
        let (node, queue) = (bed.node().await, bed.task("hostile \u{1F32C} ;*#'\"\\{}"));
        node.broker.declare(queue.clone()).await.expect("a queue of any printable name");
        let (_subscription, mut deliveries) = node.subscribe(&[&queue], 1).await;
        let noise: Vec<u8> = (0..1 << 20).map(|n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let bodies: [&[u8]; 6] = [b"", b"\0", b"\xff\xfe\xce\r\n$-1\r\n*0\r\n", b"updraft proof ", b"{\"a\":", &noise];
        for body in bodies {
            assert_eq!(node.publish(&queue, body).await, Published::Confirmed);
            let delivery = next(&mut deliveries).await;
            assert!(delivery.body == body, "{} bytes became {}", body.len(), delivery.body.len());
            delivery.ack().await.expect("not void");
        }
        let too_long = node.publish(&queue, vec![0; message::MAX_BODY + 1]).await;
        assert!(matches!(&too_long, Published::Nacked { why } if why.contains("expected at most")), "{too_long:?}");
        node.put(&queue, &["still here"]).await;
        assert_eq!(text(&mut deliveries).await.0, "still here");
        node.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_given_back_comes_again_before_what_waits_behind_it() {
    on_every_broker(async |bed| {
        let (node, queue) = (bed.node().await, bed.task("a"));
        node.broker.declare(queue.clone()).await.expect("a queue");
        node.put(&queue, &["a", "b", "c"]).await;
        let (first, mut deliveries) = node.subscribe(&[&queue], 1).await;
        let (body, delivery) = text(&mut deliveries).await;
        assert_eq!(body, "a");
        delivery.give_back().await.expect("not void");
        let (body, delivery) = text(&mut deliveries).await;
        assert_eq!((body.as_str(), delivery.redelivered), ("a", true));
        first.set_credit(0).await.expect("no credit");
        delivery.give_back().await.expect("not void");
        node.depth_becomes(&queue, 3).await;
        let (_second, mut others) = node.subscribe(&[&queue], 3).await;
        for expected in ["a", "b", "c"] {
            let (body, delivery) = text(&mut others).await;
            assert_eq!((body.as_str(), delivery.redelivered), (expected, expected == "a"));
            delivery.ack().await.expect("not void");
        }
        assert!(is_empty(&mut deliveries), "who has no credit gets nothing");
        node.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_closed_subscription_gives_back_all_that_it_held_in_order() {
    on_every_broker(async |bed| {
        let (node, queue) = (bed.node().await, bed.task("a"));
        node.broker.declare(queue.clone()).await.expect("a queue");
        node.put(&queue, &["a", "b", "c", "d"]).await;
        let (subscription, mut deliveries) = node.subscribe(&[&queue], 3).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(next(&mut deliveries).await);
        }
        subscription.close().await.expect("closed");
        for delivery in held {
            assert!(delivery.is_void());
            assert_eq!(delivery.ack().await, Err(BrokerError::Void));
        }
        node.depth_becomes(&queue, 4).await;
        let (_again, mut deliveries) = node.subscribe(&[&queue], 1).await;
        for expected in ["a", "b", "c", "d"] {
            let (body, delivery) = text(&mut deliveries).await;
            assert_eq!((body.as_str(), delivery.redelivered), (expected, expected != "d"));
            delivery.ack().await.expect("not void");
        }
        node.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_keeps_its_body_and_says_why_and_where_it_was() {
    on_every_broker(async |bed| {
        let (node, queue) = (bed.node().await, bed.task("a"));
        node.broker.declare(queue.clone()).await.expect("a queue");
        node.put(&queue, &["poison", "good"]).await;
        let (_subscription, mut deliveries) = node.subscribe(&[&queue], 1).await;
        let reason = format!("the signature is wrong {}", "ü".repeat(3_000));
        next(&mut deliveries).await.dead_letter(&reason).await.expect("buried");
        assert_eq!(text(&mut deliveries).await.0, "good", "the credit is free again");
        let (_grave, mut dead) = node.subscribe(&[&node.broker.names().dead()], 1).await;
        let (body, letter) = text(&mut dead).await;
        assert_eq!((body.as_str(), letter.header(message::FROM_QUEUE)), ("poison", Some(queue.name())));
        let why = letter.header(message::REASON).expect("a reason");
        assert!(why.starts_with("the signature is wrong ü") && why.chars().count() == 1_000);
        letter.ack().await.expect("not void");
        node.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_depth_of_a_queue_is_told() {
    on_every_broker(async |bed| {
        let (node, queue) = (bed.node().await, bed.task("a"));
        assert_eq!(node.broker.depth(&queue).await, Ok(None), "nobody made it");
        node.broker.declare(queue.clone()).await.expect("a queue");
        assert_eq!(node.depth(&queue).await, Depth { ready: 0, consumers: 0 });
        node.put(&queue, &["a", "b", "c"]).await;
        node.depth_becomes(&queue, 3).await;
        let (subscription, mut deliveries) = node.subscribe(&[&queue], 1).await;
        let held = next(&mut deliveries).await;
        node.depth_becomes(&queue, 2).await;
        assert_eq!(node.depth(&queue).await.consumers, 1);
        held.ack().await.expect("not void");
        node.depth_becomes(&queue, 1).await;
        subscription.close().await.expect("closed");
        node.depth_becomes(&queue, 2).await;
        assert_eq!(node.depth(&queue).await.consumers, 0);
        node.broker.remove(&queue).await.expect("deleted");
        assert_eq!(node.broker.depth(&queue).await, Ok(None));
        node.close().await;
    })
    .await;
}

#[tokio::test]
async fn answers_find_the_reply_queue_of_a_connection() {
    on_every_broker(async |bed| {
        let (mut worker, leader) = (bed.node().await, bed.node().await);
        let address = bed.names.reply_address(worker.reply_to.name()).expect("a reply queue of this installation");
        assert_eq!(worker.broker.reply_to(), Some(address.clone()));
        for n in 0..100 {
            assert_eq!(leader.publish(&address, format!("{n}")).await, Published::Confirmed);
        }
        for n in 0..100 {
            let reply = timeout(PATIENCE, worker.replies.recv()).await.expect("in time").expect("the session lives");
            assert_eq!((reply.connection, reply.body), (worker.connection, n.to_string().into_bytes()));
        }
        worker.close().await;
        let late = leader.publish(&address, "too late").await;
        assert!(matches!(late, Published::Returned { .. }), "{late:?}");
        leader.close().await;
    })
    .await;
}
