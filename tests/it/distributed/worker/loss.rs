//! What becomes of tasks when the wire, the worker or its lease ends.

use std::time::Duration;

use rustix::process::Signal;
use updraft::domain::attempt::Outcome;
use updraft::domain::ids::Incarnation;
use updraft::protocol::work::ToWorker;

use super::desk::{Desk, until_there};
use super::wire::Wire;
use crate::worker::world::{eventually, runs};

#[tokio::test]
async fn a_lost_connection_costs_no_task_and_the_message_that_comes_again_is_refused() {
    let mut desk = Desk::open().await;
    let wire = Wire::to(desk.server()).await;
    desk.set("celery.broker_url", &desk.url_at(wire.port));
    let (worker, _) = desk.worker(&["-c", "2"]).await;
    let go = desk.path("go");
    let (task, claim) = desk.run(&until_there(&go)).await;
    let pid = desk.started(claim).await;
    let asked = desk.bash("true");
    desk.publish(&asked).await;
    let (waiting, _) = desk.claimed(&asked).await;

    wire.cut();
    worker.says("the connection is lost").await;
    wire.mend();
    // In the life that it has: the claims of both, at a new address.
    let before = desk.reply_to.clone();
    let beat = desk.beat("it is back", |beat| beat.held.len() >= 2).await;
    assert_eq!(beat.incarnation, claim.incarnation);
    while desk.reply_to == before {
        desk.beat("from the new address", |_| true).await;
    }
    assert!(runs(pid), "it goes on");
    assert_eq!(desk.claimed(&asked).await.0, waiting, "asked again with the same claim");
    desk.grant(&asked, waiting).await;
    assert_eq!(desk.finished(waiting).await.outcome, Outcome::Success);
    desk.settle(waiting).await;

    // The broker took the messages back and gives them again: each is claimed anew, and owned or ended already.
    let (again, redelivered) = desk.claimed(&task).await;
    assert!(redelivered && again.n > claim.n);
    desk.refuse(again).await;
    let (again, _) = desk.claimed(&asked).await;
    desk.refuse(again).await;
    std::fs::write(&go, "").expect("written");
    assert_eq!(desk.finished(claim).await.outcome, Outcome::Success);
    desk.settle(claim).await;
    assert!(worker.stop().await.success());
    desk.depth_becomes(&desk.queue("default"), 0).await;
    desk.close(&[]).await;
}

#[tokio::test]
async fn a_lease_that_no_confirm_renews_ends_the_life_and_the_next_one_reports_it() {
    let mut desk = Desk::open().await;
    let wire = Wire::to(desk.server()).await;
    desk.set("celery.broker_url", &desk.url_at(wire.port));
    desk.set("workers.fence_after", "4.5");
    desk.set("workers.kill_grace", "0.3");
    let (_worker, online) = desk.worker(&["-c", "2"]).await;
    let (task, claim) = desk.run("trap '' TERM; while :; do sleep 0.02; done").await;
    let pid = desk.started(claim).await;
    let asked = desk.bash("true");
    desk.publish(&asked).await;
    desk.claimed(&asked).await;

    let cut = std::time::Instant::now();
    wire.cut();
    eventually("the task is killed", || !runs(pid)).await;
    let lived = cut.elapsed();
    assert!(lived > Duration::from_secs(4) && lived < Duration::from_millis(4_500 + 300 + 1_500), "{lived:?}");
    wire.mend();
    let next = desk.online().await;
    assert_eq!(next.incarnation, online.incarnation.next());
    assert_eq!(next.unsettled.iter().map(|report| report.outcome).collect::<Vec<_>>(), [Outcome::Fenced]);
    assert_eq!(next.unsettled[0].claim, claim);
    desk.welcome().await;
    desk.settle(claim).await;
    // The messages of the old life are claimed by the new one, under its own numbers.
    let (stale, _) = desk.claimed(&task).await;
    desk.refuse(stale).await;
    let (again, redelivered) = desk.claimed(&asked).await;
    assert!(redelivered);
    assert_eq!(again.incarnation, next.incarnation);
    desk.grant(&asked, again).await;
    assert_eq!(desk.finished(again).await.outcome, Outcome::Success);
    desk.settle(again).await;
    desk.beat("nothing is held", |beat| beat.held.is_empty()).await;
    desk.close(&[]).await;
}

#[tokio::test]
async fn a_life_that_the_leader_knows_dead_ends_at_once() {
    let mut desk = Desk::open().await;
    let (_worker, online) = desk.worker(&["-c", "1"]).await;
    let (_, claim) = desk.run("sleep 1000").await;
    let pid = desk.started(claim).await;
    // Of an earlier life: nothing happens.
    desk.tell(vec![ToWorker::Fenced { incarnation: Incarnation(0) }, ToWorker::Probe]).await;
    desk.beat("it lives", |beat| beat.held.len() == 1).await;
    desk.tell(vec![ToWorker::Fenced { incarnation: online.incarnation }]).await;
    let next = desk.online().await;
    assert_eq!((next.incarnation, next.unsettled.len()), (online.incarnation.next(), 1));
    assert!(!runs(pid), "W6: it is gone before the next life speaks");
    desk.close(&[]).await;
}

#[tokio::test]
async fn a_worker_that_is_killed_leaves_its_task_to_the_next_life() {
    let mut desk = Desk::open().await;
    let (mut worker, online) = desk.worker(&["-c", "1"]).await;
    let (task, claim) = desk.run("sleep 1000").await;
    let pid = desk.started(claim).await;
    worker.child.kill().expect("ours");
    worker.child.wait().expect("reaped");
    let (_next, again) = desk.worker(&["-c", "1"]).await;
    assert_eq!((again.worker, again.incarnation), (online.worker, online.incarnation.next()));
    assert!(again.unsettled.is_empty(), "it has no outcome: it is lost");
    assert!(!runs(pid));
    let (claim, redelivered) = desk.claimed(&task).await;
    assert!(redelivered, "its message came back to the queue");
    desk.refuse(claim).await;
    desk.depth_becomes(&desk.queue("default"), 0).await;
    desk.close(&[]).await;
}

#[tokio::test]
async fn a_report_that_was_not_settled_is_the_first_word_of_the_next_life() {
    let mut desk = Desk::open().await;
    let (worker, _) = desk.worker(&["-c", "1"]).await;
    let (_, claim) = desk.run("echo kept").await;
    let report = desk.finished(claim).await;
    // It waits a moment for the answer, then leaves with its journal.
    worker.signal(Signal::TERM);
    desk.offline().await;
    assert!(worker.ended().await.success());
    let (_next, again) = desk.worker(&["-c", "1"]).await;
    assert_eq!(again.unsettled, [report]);
    desk.close(&[]).await;
}

#[tokio::test]
async fn nothing_depends_on_the_message_of_a_long_task() {
    let mut desk = Desk::open().await;
    desk.set("workers.long_task_after", "0.5");
    let (mut worker, _) = desk.worker(&["-c", "1"]).await;
    let go = desk.path("go");
    let (_, claim) = desk.run(&until_there(&go)).await;
    desk.started(claim).await;
    let next = desk.bash("true");
    desk.publish(&next).await;
    // Wait for what happens after the time: a beat of a second later.
    for _ in 0..8 {
        desk.beat("time passes", |_| true).await;
    }
    desk.depth_becomes(&desk.queue("default"), 1).await;
    // The slot is taken all the same, and takes again when it is free.
    std::fs::write(&go, "").expect("written");
    assert_eq!(desk.finished(claim).await.outcome, Outcome::Success);
    desk.settle(claim).await;
    let (second, _) = desk.claimed(&next).await;
    desk.refuse(second).await;
    desk.depth_becomes(&desk.queue("default"), 0).await;

    let (_, long) = desk.run("sleep 1000").await;
    desk.started(long).await;
    for _ in 0..8 {
        desk.beat("time passes", |_| true).await;
    }
    worker.child.kill().expect("ours");
    worker.child.wait().expect("reaped");
    let (_again, online) = desk.worker(&["-c", "1"]).await;
    assert_eq!(online.incarnation.0, 2);
    for _ in 0..3 {
        desk.beat("nothing came back", |beat| {
            assert_eq!(beat.highest_n, 0, "its message was acknowledged long ago");
            true
        })
        .await;
    }
    desk.close(&[]).await;
}
