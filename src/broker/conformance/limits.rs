//! Credits, bounds and single consumers.

use super::*;

/// What waits in several subscriptions, as many as `expected`, and no more.
async fn one_each(slots: &mut [(Subscription, Deliveries)]) -> Vec<Delivery> {
    let mut held = Vec::new();
    for (_, deliveries) in slots.iter_mut() {
        held.push(next(deliveries).await);
    }
    assert!(slots.iter_mut().all(|(_, deliveries)| is_empty(deliveries)), "one per free slot");
    held
}

#[tokio::test]
async fn each_free_slot_gets_one_message_and_what_no_slot_can_take_stays_in_the_broker() {
    on_every_broker(async |bed| {
        let (node, queue) = (bed.node().await, bed.task("a"));
        node.broker.declare(queue.clone()).await.expect("a queue");
        for n in 0..20 {
            node.put(&queue, &[&n.to_string()]).await;
        }
        let mut slots = Vec::new();
        for _ in 0..3 {
            slots.push(node.subscribe(&[&queue], 1).await);
        }
        let mut held = one_each(&mut slots).await;
        node.depth_becomes(&queue, 17).await;
        // A slot that is free takes the next one.
        held.remove(1).ack().await.expect("not void");
        held.push(next(&mut slots[1].1).await);
        node.depth_becomes(&queue, 16).await;
        // A slot that is taken out of service takes none, neither now nor when its work is done.
        slots[0].0.set_credit(0).await.expect("no credit");
        held.remove(0).ack().await.expect("not void");
        // Its place is taken by a fourth, so the broker had the chance.
        slots.push(node.subscribe(&[&queue], 1).await);
        held.push(next(&mut slots[3].1).await);
        node.depth_becomes(&queue, 15).await;
        assert!(is_empty(&mut slots[0].1));
        slots[0].0.set_credit(1).await.expect("credit again");
        held.push(next(&mut slots[0].1).await);
        node.depth_becomes(&queue, 14).await;
        assert!(slots.iter_mut().all(|(_, deliveries)| is_empty(deliveries)));
        node.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_credit_that_changes_is_never_exceeded_and_used_up_in_the_end() {
    on_every_broker(async |bed| {
        let (node, queue) = (bed.node().await, bed.task("a"));
        node.broker.declare(queue.clone()).await.expect("a queue");
        let receipts: Vec<Receipt> =
            (0..300).map(|n| node.broker.publish(Outgoing::new(queue.clone(), n.to_string()))).collect();
        for receipt in receipts {
            assert_eq!(ended(receipt).await, Published::Confirmed);
        }
        let (subscription, mut deliveries) = node.subscribe(&[&queue], 4).await;
        let mut held = std::collections::VecDeque::new();
        let mut seen = std::collections::BTreeSet::new();
        for credit in [4u16, 10, 2, 0, 7, 1, 30, 3, 5] {
            subscription.set_credit(credit).await.expect("a credit");
            while held.len() > usize::from(credit) {
                let delivery: Delivery = held.pop_front().expect("held");
                delivery.ack().await.expect("not void");
                // What comes while more is held than the credit would be too much.
                assert!(held.len() < usize::from(credit) || is_empty(&mut deliveries), "credit {credit}");
            }
            while held.len() < usize::from(credit) {
                let delivery = next(&mut deliveries).await;
                seen.insert(delivery.body.clone());
                held.push_back(delivery);
            }
            assert!(is_empty(&mut deliveries), "more than {credit}");
            node.depth_becomes(&queue, 300 - seen.len() as u64).await;
            assert!(is_empty(&mut deliveries), "more than {credit}");
        }
        node.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_slot_on_several_queues_holds_one_message_and_starves_no_queue() {
    on_every_broker(async |bed| {
        let (node, queues) = (bed.node().await, [bed.task("a"), bed.task("b"), bed.task("c")]);
        for queue in &queues {
            node.broker.declare(queue.clone()).await.expect("a queue");
            node.put(queue, &["1", "2", "3", "4", "5"]).await;
        }
        let all: Vec<&Queue> = queues.iter().collect();
        let (_subscription, mut deliveries) = node.subscribe(&all, 1).await;
        let mut order: Vec<(String, String)> = Vec::new();
        for n in 0..15 {
            let (body, delivery) = text(&mut deliveries).await;
            assert!(is_empty(&mut deliveries), "one at a time");
            order.push((delivery.queue.to_string(), body));
            if n == 0 {
                let mut ready = 0;
                for queue in &queues {
                    node.depth_becomes(queue, if *queue == *delivery.queue { 4 } else { 5 }).await;
                    ready += node.depth(queue).await.ready;
                }
                assert_eq!(ready, 14, "what it does not hold is there for others");
            }
            delivery.ack().await.expect("not void");
        }
        for queue in &queues {
            let of_it: Vec<&str> =
                order.iter().filter(|(of, _)| of == queue.name()).map(|(_, body)| body.as_str()).collect();
            assert_eq!(of_it.len(), 5, "{queue}: {order:?}");
        }
        let early: std::collections::BTreeSet<&String> = order[..9].iter().map(|(queue, _)| queue).collect();
        assert_eq!(early.len(), 3, "each queue has its turn: {order:?}");
        node.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_full_log_refuses_and_takes_again_when_there_is_room() {
    on_every_broker(async |bed| {
        let mut options = bed.options();
        options.shape.log_length = 5;
        let (node, log) = (bed.node_with(options).await, bed.log());
        node.broker.declare(log.clone()).await.expect("a queue");
        // A quorum queue notices that it is full a little late, so this asks until it refuses.
        let mut taken = 0;
        while node.publish(&log, "chunk").await == Published::Confirmed {
            taken += 1;
            assert!(taken < 100, "it never refuses");
        }
        assert!(taken >= 5, "{taken}");
        let (_subscription, mut deliveries) = node.subscribe(&[&log], 100).await;
        for _ in 0..taken {
            next(&mut deliveries).await.ack().await.expect("not void");
        }
        node.depth_becomes(&log, 0).await;
        node.put(&log, &["again"]).await;
        assert_eq!(text(&mut deliveries).await.0, "again");
        node.close().await;
    })
    .await;
}

#[tokio::test]
async fn only_the_leader_hears_the_scheduler_queue_until_it_closes_its_channel() {
    on_every_broker(async |bed| {
        let (leader, standby, queue) = (bed.node().await, bed.node().await, bed.scheduler());
        leader.broker.declare(queue.clone()).await.expect("a queue");
        let (reign, mut heard) = leader.subscribe(&[&queue], 2).await;
        leader.put(&queue, &["a", "b", "c", "d"]).await;
        let (body, a) = text(&mut heard).await;
        assert_eq!(body, "a");
        let _b = text(&mut heard).await;
        let (_waits, mut later) = standby.subscribe(&[&queue], 10).await;
        a.ack().await.expect("not void");
        assert_eq!(text(&mut heard).await.0, "c");
        leader.depth_becomes(&queue, 1).await;
        assert!(is_empty(&mut later), "a leader is there");
        reign.close().await.expect("closed");
        for expected in ["b", "c", "d"] {
            let (body, delivery) = text(&mut later).await;
            assert_eq!((body.as_str(), delivery.redelivered), (expected, expected != "d"));
            delivery.ack().await.expect("not void");
        }
        leader.put(&queue, &["e"]).await;
        assert_eq!(text(&mut later).await.0, "e");
        leader.close().await;
        standby.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_goes_away_leaves_the_scheduler_queue_to_the_next() {
    on_every_broker(async |bed| {
        let (leader, standby, queue) = (bed.node().await, bed.node().await, bed.scheduler());
        leader.broker.declare(queue.clone()).await.expect("a queue");
        let (_reign, mut heard) = leader.subscribe(&[&queue], 1).await;
        let (_waits, mut later) = standby.subscribe(&[&queue], 1).await;
        standby.put(&queue, &["a", "b"]).await;
        let held = next(&mut heard).await;
        leader.close().await;
        assert!(held.is_void());
        let (body, delivery) = text(&mut later).await;
        assert_eq!((body.as_str(), delivery.redelivered), ("a", true));
        delivery.ack().await.expect("not void");
        assert_eq!(text(&mut later).await.0, "b");
        standby.close().await;
    })
    .await;
}
