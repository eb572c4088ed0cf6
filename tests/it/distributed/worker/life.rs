//! What a worker does with a task, from the broker to the settled report, and how it leaves.

use std::time::Duration;

use rustix::process::Signal;
use updraft::domain::attempt::Outcome;
use updraft::domain::operator::Operator;
use updraft::domain::secret::Hidden;
use updraft::protocol::work::{Answer, FromWorker, Question, ToWorker};

use super::desk::{Desk, until_there};
use crate::worker::world::{bash, runs};

#[tokio::test]
async fn a_task_is_claimed_granted_run_reported_and_settled() {
    let mut desk = Desk::open().await;
    let (worker, online) = desk.worker(&["-c", "2", "-H", "one@%h"]).await;
    assert_eq!((online.incarnation.0, online.standing.slots, online.unsettled.len()), (1, 2, 0));
    assert!(online.name.starts_with("one@") && !online.name.contains('%'), "{}", online.name);

    let task = desk.bash("echo over the wire");
    desk.publish(&task).await;
    let (claim, redelivered) = desk.claimed(&task).await;
    assert!(!redelivered);
    assert_eq!((claim.worker, claim.incarnation, claim.n), (online.worker, online.incarnation, 1));
    // Asked again, with the same claim, as long as nobody answers.
    assert_eq!(desk.claimed(&task).await.0, claim);
    let beat = desk.beat("the claim is held", |beat| beat.held.contains(&(task.attempt, claim))).await;
    assert_eq!((beat.highest_n, beat.standing.free_slots), (1, 1));

    desk.grant(&task, claim).await;
    desk.started(claim).await;
    let report = desk.finished(claim).await;
    assert_eq!((report.outcome, report.exit_code), (Outcome::Success, Some(0)));
    assert_eq!(report.xcoms, [("return_value".to_owned(), "over the wire".into())]);
    // Said again until it is settled, and then never.
    assert_eq!(desk.finished(claim).await, report);
    desk.settle(claim).await;
    desk.beat("nothing is held", |beat| beat.held.is_empty() && beat.standing.free_slots == 2).await;
    assert!(desk.log(&task).contains("over the wire"));
    desk.depth_becomes(&desk.queue("default"), 0).await;

    assert!(worker.stop().await.success());
    desk.offline().await;
    desk.close(&[]).await;
}

#[tokio::test]
async fn a_refused_task_never_runs_and_is_gone_from_the_broker() {
    let mut desk = Desk::open().await;
    let (worker, _) = desk.worker(&["-c", "1"]).await;
    let ran = desk.path("ran");
    let task = desk.bash(&format!("touch {}", ran.display()));
    desk.publish(&task).await;
    let (claim, _) = desk.claimed(&task).await;
    desk.refuse(claim).await;
    // The slot is free for the next one.
    let (_, next) = desk.run("true").await;
    assert_eq!((next.n, desk.finished(next).await.outcome), (2, Outcome::Success));
    desk.settle(next).await;
    assert!(!ran.exists());
    assert!(worker.stop().await.success());
    desk.depth_becomes(&desk.queue("default"), 0).await;
    desk.close(&[]).await;
}

#[tokio::test]
async fn what_a_grant_does_not_name_exactly_starts_nothing() {
    let mut desk = Desk::open().await;
    let (worker, online) = desk.worker(&["-c", "1"]).await;
    let ran = desk.path("ran");
    let (task, other) = (desk.bash(&format!("touch {}", ran.display())), desk.bash("true"));
    desk.publish(&task).await;
    let (claim, _) = desk.claimed(&task).await;
    // For another attempt: ignored. For a claim that is not held: given back.
    desk.grant(&other, claim).await;
    let unknown = updraft::domain::ids::Claim { n: 99, ..claim };
    desk.grant(&other, unknown).await;
    desk.hear("released", |said| match said {
        FromWorker::Released { claim, .. } => {
            assert_eq!(*claim, unknown);
            Some(())
        }
        _ => None,
    })
    .await;
    assert!(!ran.exists());
    desk.grant(&task, claim).await;
    assert_eq!(desk.finished(claim).await.outcome, Outcome::Success);
    assert!(ran.exists() && online.incarnation == claim.incarnation);
    desk.settle(claim).await;
    assert!(worker.stop().await.success());
    desk.close(&[]).await;
}

#[tokio::test]
async fn a_task_that_is_told_to_end_ends_and_old_orders_are_copies() {
    let mut desk = Desk::open().await;
    let (worker, _) = desk.worker(&["-c", "2"]).await;
    let (_, first) = desk.run("sleep 1000").await;
    desk.started(first).await;
    let (_, second) = desk.run("sleep 1000").await;
    let pid = desk.started(second).await;
    desk.tell(vec![ToWorker::Terminate { claim: first, grace: Duration::from_secs(5) }]).await;
    assert_eq!(desk.finished(first).await.outcome, Outcome::Killed);
    desk.settle(first).await;
    // A leader of the past orders something.
    desk.epoch = updraft::domain::ids::Epoch(0);
    desk.tell(vec![ToWorker::Terminate { claim: second, grace: Duration::ZERO }]).await;
    desk.tell(vec![ToWorker::Probe]).await;
    desk.beat("it answers the probe", |beat| beat.held.len() == 1).await;
    assert!(runs(pid), "the order was not newer than the last one");
    desk.epoch = updraft::domain::ids::Epoch(2);
    desk.tell(vec![ToWorker::Terminate { claim: second, grace: Duration::from_secs(5) }]).await;
    assert_eq!(desk.finished(second).await.outcome, Outcome::Killed);
    desk.settle(second).await;
    assert!(worker.stop().await.success());
    desk.close(&[]).await;
}

#[tokio::test]
async fn what_a_task_asks_is_answered_by_letter_and_asked_again_until_it_is() {
    let mut desk = Desk::open().await;
    let (worker, _) = desk.worker(&["-c", "1"]).await;
    let mut task = desk.bash("");
    task.operator = Operator::Bash(bash("echo {{ var.value.colour }}"));
    desk.publish(&task).await;
    let (claim, _) = desk.claimed(&task).await;
    desk.grant(&task, claim).await;
    let asked = |said: &FromWorker| match said {
        FromWorker::Asked { seq, question: Question::GetVariable { key }, .. } => Some((*seq, key.clone())),
        _ => None,
    };
    let first = desk.hear("a question", asked).await;
    assert_eq!(first.1, "colour");
    assert_eq!(desk.hear("the same question", asked).await, first);
    let answer = || ToWorker::Values {
        claim,
        seq: first.0,
        answer: Answer::Variable { value: Some(Hidden("green".to_owned())) },
    };
    desk.tell(vec![answer(), answer()]).await;
    let report = desk.finished(claim).await;
    assert_eq!(report.xcoms, [("return_value".to_owned(), "green".into())]);
    desk.settle(claim).await;
    assert!(worker.stop().await.success());
    desk.close(&[]).await;
}

#[tokio::test]
async fn a_drained_worker_finishes_what_runs_leaves_what_waits_and_says_goodbye() {
    let mut desk = Desk::open().await;
    let (worker, _) = desk.worker(&["-c", "1"]).await;
    let go = desk.path("go");
    let (_, running) = desk.run(&until_there(&go)).await;
    desk.started(running).await;
    let waiting = desk.bash("true");
    desk.publish(&waiting).await;
    desk.depth_becomes(&desk.queue("default"), 1).await;
    worker.signal(Signal::TERM);
    desk.beat("it drains", |beat| beat.standing.draining && beat.held.len() == 1).await;
    std::fs::write(&go, "").expect("written");
    assert_eq!(desk.finished(running).await.outcome, Outcome::Success);
    desk.settle(running).await;
    desk.offline().await;
    assert!(worker.ended().await.success());
    desk.depth_becomes(&desk.queue("default"), 1).await;
    desk.close(&[]).await;
}

#[tokio::test]
async fn a_claim_without_an_answer_is_given_back_when_the_worker_drains() {
    let mut desk = Desk::open().await;
    let (worker, _) = desk.worker(&["-c", "1"]).await;
    let task = desk.bash("true");
    desk.publish(&task).await;
    let (asked, _) = desk.claimed(&task).await;
    worker.signal(Signal::TERM);
    desk.hear("released", |said| match said {
        FromWorker::Released { claim, .. } => {
            assert_eq!(*claim, asked);
            Some(())
        }
        _ => None,
    })
    .await;
    desk.offline().await;
    assert!(worker.ended().await.success());
    desk.depth_becomes(&desk.queue("default"), 1).await;
    desk.close(&[]).await;
}

#[tokio::test]
async fn a_second_signal_stops_what_runs() {
    let mut desk = Desk::open().await;
    desk.set("workers.kill_grace", "0.2");
    let (worker, _) = desk.worker(&["-c", "1"]).await;
    let (_, claim) = desk.run("trap '' TERM; while :; do sleep 0.02; done").await;
    let pid = desk.started(claim).await;
    worker.signal(Signal::TERM);
    desk.beat("it drains", |beat| beat.standing.draining).await;
    assert!(runs(pid), "the first one lets it run");
    worker.signal(Signal::TERM);
    assert_eq!(desk.finished(claim).await.outcome, Outcome::Killed);
    desk.settle(claim).await;
    desk.offline().await;
    assert!(worker.ended().await.success());
    assert!(!runs(pid));
    desk.close(&[]).await;
}

#[tokio::test]
async fn a_worker_is_stopped_by_its_pid_file_or_by_its_home() {
    let mut desk = Desk::open().await;
    let pid_file = desk.path("worker.pid");
    let (worker, _) = desk.worker(&["--pid", pid_file.to_str().expect("text")]).await;
    let stop = desk.command(&["celery", "stop", "--pid", pid_file.to_str().expect("text")]).output().expect("it runs");
    assert!(stop.status.success(), "{}", String::from_utf8_lossy(&stop.stderr));
    assert!(worker.ended().await.success());
    assert!(!pid_file.exists());

    let (worker, online) = desk.worker(&[]).await;
    assert_eq!(online.incarnation.0, 2, "the same worker, its next life");
    let stop = desk.command(&["celery", "stop"]).output().expect("it runs");
    assert!(stop.status.success(), "{}", String::from_utf8_lossy(&stop.stderr));
    assert!(worker.ended().await.success());
    let stop = desk.command(&["celery", "stop"]).output().expect("it runs");
    assert_eq!(stop.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&stop.stderr).contains("no worker runs here"), "{stop:?}");
    desk.close(&[]).await;
}
