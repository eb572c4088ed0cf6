//! How many tasks a worker runs at once and where it takes them from, and how both change while it lives.

use rustix::process::Signal;
use updraft::domain::attempt::Outcome;
use updraft::domain::ids::{Claim, QueueName};
use updraft::protocol::work::{TaskMessage, ToWorker};

use super::desk::{Desk, until_there};

fn queue(name: &str) -> QueueName {
    QueueName::new(name).expect("a name")
}

/// Publishes so many tasks that wait for `go`.
async fn pile(desk: &mut Desk, count: usize) -> Vec<TaskMessage> {
    let wait = until_there(&desk.path("go"));
    let mut tasks = Vec::new();
    for _ in 0..count {
        let task = desk.bash(&wait);
        desk.publish(&task).await;
        tasks.push(task);
    }
    tasks
}

/// Grants these tasks as they are claimed, and waits until they run.
async fn start_all(desk: &mut Desk, tasks: &[TaskMessage]) -> Vec<Claim> {
    let mut claims = Vec::new();
    for task in tasks {
        let (claim, _) = desk.claimed(task).await;
        desk.grant(task, claim).await;
        claims.push(claim);
    }
    claims
}

async fn end_all(desk: &mut Desk, claims: &[Claim]) {
    std::fs::write(desk.path("go"), "").expect("written");
    for claim in claims {
        assert_eq!(desk.finished(*claim).await.outcome, Outcome::Success);
        desk.settle(*claim).await;
    }
}

#[tokio::test]
async fn a_full_worker_leaves_work_in_the_broker_and_grows_and_shrinks_by_order() {
    let mut desk = Desk::open().await;
    let (worker, _) = desk.worker(&["-c", "1"]).await;
    let tasks = pile(&mut desk, 5).await;
    let mut claims = start_all(&mut desk, &tasks[..1]).await;
    desk.depth_becomes(&desk.queue("default"), 4).await;

    desk.tell(vec![ToWorker::Resize { slots: 3 }]).await;
    claims.extend(start_all(&mut desk, &tasks[1..3]).await);
    desk.beat("three are held", |beat| beat.held.len() == 3 && beat.standing.slots == 3).await;
    desk.depth_becomes(&desk.queue("default"), 2).await;

    desk.tell(vec![ToWorker::Resize { slots: 1 }]).await;
    desk.beat("it says so", |beat| beat.standing.slots == 1 && beat.held.len() == 3).await;
    end_all(&mut desk, &claims).await;
    // One slot is left: the fourth task is claimed, and the fifth only when that one is done.
    let claims = start_all(&mut desk, &tasks[3..4]).await;
    end_all(&mut desk, &claims).await;
    let claims = start_all(&mut desk, &tasks[4..]).await;
    end_all(&mut desk, &claims).await;
    desk.beat("nothing is held", |beat| beat.held.is_empty() && beat.standing.free_slots == 1).await;
    assert!(worker.stop().await.success());
    desk.close(&[]).await;
}

#[tokio::test]
async fn worker_concurrency_is_read_again_on_a_hang_up() {
    let mut desk = Desk::open().await;
    let config = desk.in_home("updraft.toml");
    std::fs::write(&config, "[celery]\nworker_concurrency = 2\n").expect("written");
    let (worker, online) = desk.worker(&[]).await;
    assert_eq!(online.standing.slots, 2);
    std::fs::write(&config, "[celery]\nworker_concurrency = 5\n").expect("written");
    worker.signal(Signal::HUP);
    desk.beat("five slots", |beat| beat.standing.slots == 5 && beat.standing.free_slots == 5).await;
    std::fs::write(&config, "[celery]\nworker_concurrency = \"many\"\n").expect("written");
    worker.signal(Signal::HUP);
    worker.says("the worker keeps its slots").await;
    desk.beat("still five", |beat| beat.standing.slots == 5).await;
    assert!(worker.stop().await.success());
    desk.close(&[]).await;
}

#[tokio::test]
async fn a_worker_listens_on_the_queues_that_it_is_told() {
    let mut desk = Desk::open().await;
    let (worker, online) = desk.worker(&["-q", "etl,reports", "-c", "1"]).await;
    assert_eq!(online.standing.queues, [queue("etl"), queue("reports")]);
    for name in ["etl", "reports"] {
        let mut task = desk.bash("true");
        task.queue = queue(name);
        desk.publish(&task).await;
        let (claim, _) = desk.claimed(&task).await;
        desk.refuse(claim).await;
    }
    desk.tell(vec![ToWorker::Queues { add: vec![queue("late")], remove: vec![queue("etl")] }]).await;
    desk.beat("other queues", |beat| beat.standing.queues == [queue("reports"), queue("late")]).await;
    let mut nobodys = desk.bash("true");
    nobodys.queue = queue("etl");
    desk.publish(&nobodys).await;
    let mut task = desk.bash("true");
    task.queue = queue("late");
    desk.publish(&task).await;
    let (claim, _) = desk.claimed(&task).await;
    desk.refuse(claim).await;
    desk.depth_becomes(&desk.queue("etl"), 1).await;
    assert!(worker.stop().await.success());
    desk.close(&["etl", "reports", "late"]).await;
}

#[tokio::test]
async fn with_autoscale_slots_grow_with_the_work_that_waits() {
    let mut desk = Desk::open().await;
    let (worker, online) = desk.worker(&["--autoscale", "4,1"]).await;
    assert_eq!(online.standing.slots, 1);
    let tasks = pile(&mut desk, 6).await;
    let mut claims = start_all(&mut desk, &tasks[..4]).await;
    desk.beat("four slots, and no more", |beat| beat.standing.slots == 4 && beat.held.len() == 4).await;
    desk.depth_becomes(&desk.queue("default"), 2).await;
    end_all(&mut desk, &claims).await;
    claims = start_all(&mut desk, &tasks[4..]).await;
    end_all(&mut desk, &claims).await;
    assert!(worker.stop().await.success());
    desk.close(&[]).await;
}

#[tokio::test]
async fn claims_of_one_moment_travel_in_one_letter_and_a_hundred_tasks_all_succeed() {
    let mut desk = Desk::open().await;
    let (worker, _) = desk.worker(&["-c", "8"]).await;
    let mut open = std::collections::HashMap::new();
    for _ in 0..100 {
        let task = desk.bash("true");
        desk.publish(&task).await;
        open.insert(task.attempt, task);
    }
    let mut settled = 0;
    while settled < 100 {
        use updraft::protocol::work::FromWorker;
        let what = desk.hear("a claim or a report", |said| match said {
            FromWorker::Claimed { .. } | FromWorker::Finish(_) => Some(said.clone()),
            _ => None,
        });
        match what.await {
            FromWorker::Claimed { attempt, claim, .. } => desk.grant(&open[&attempt], claim).await,
            FromWorker::Finish(report) => {
                assert_eq!(report.outcome, Outcome::Success);
                if open.remove(&report.attempt).is_some() {
                    settled += 1;
                }
                desk.settle(report.claim).await;
            }
            other => panic!("{other:?}"),
        }
    }
    desk.depth_becomes(&desk.queue("default"), 0).await;
    assert!(worker.stop().await.success());
    desk.close(&[]).await;
}
