//! What a person reads when a worker cannot work, and what becomes of messages that are not for it.

use std::net::TcpListener;
use std::process::Output;

use updraft::broker::Published;
use updraft::domain::ids::{Epoch, Incarnation, WorkerId};
use updraft::protocol::envelope::{Direction, Keys, Rejection, Sender};
use updraft::protocol::work::{LeaseTimes, ToWorker};

use super::desk::{Desk, broker_url};

fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.lines().filter(|line| line.starts_with("error:")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn what_waiting_cannot_mend_ends_the_worker_with_one_clear_line() {
    let desk = Desk::open().await;
    let foreign = format!("{}no-such-host", broker_url());
    let password = broker_url().replace("guest:guest@", "guest:wrong@");
    for (key, value, says) in [
        ("CELERY__BROKER_URL", foreign.as_str(), "has no virtual host `no-such-host`"),
        ("CELERY__BROKER_URL", password.as_str(), "does not let the user `guest` in"),
        ("CELERY__BROKER_URL", "ampq://guest:hunter2@h", "did you mean `amqp`?"),
        ("CORE__INTERNAL_SECRET", "", "[core] internal_secret is empty"),
        ("CORE__INTERNAL_SECRET", "short", "at least 16 characters"),
        ("CORE__INSTALLATION", "a.b", "[core] installation"),
        ("CELERY__WORKER_AUTOSCALE", "4,16", "[celery] worker_autoscale: expected two numbers"),
    ] {
        let mut command = desk.command(&["celery", "worker"]);
        command.env(format!("UPDRAFT__{key}"), value);
        let output = command.output().expect("the program runs");
        let error = error(&output);
        assert!(error.contains(says), "{key}={value}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!error.contains("hunter2") && !error.contains(":wrong"), "{error}");
    }
    desk.close(&[]).await;
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_waited_for() {
    let mut desk = Desk::open().await;
    // A port that nobody listens on; then the broker comes.
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    desk.set("celery.broker_url", &desk.url_at(port));
    let worker = desk.start(&[]);
    // Its connection for Celery's tools says it in other words.
    worker.says("no connection to the broker: tried again").await;
    assert!(worker.said().contains("is it started, and is [celery] broker_url right?"), "{}", worker.said());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("still free");
    let server = desk.server();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(server).await.expect("a broker");
                tokio::io::copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    desk.online().await;
    assert_eq!(worker.said().matches("no connection to the broker").count(), 1, "said once:\n{}", worker.said());
    assert!(worker.stop().await.success());
    desk.close(&[]).await;
}

#[tokio::test]
async fn a_worker_with_another_secret_takes_nothing_and_says_what_to_check() {
    let mut desk = Desk::open().await;
    desk.set("core.internal_secret", "quite another secret");
    desk.set("scheduler.leader_silent", "1");
    let worker = desk.start(&["-c", "1"]);
    assert!(matches!(desk.rejection().await, Rejection::UnknownKey { .. }));
    let task = desk.bash("true");
    desk.publish(&task).await;
    worker.says("no scheduler answers").await;
    assert!(worker.said().contains("internal_secret"), "{}", worker.said());
    desk.depth_becomes(&desk.queue("default"), 1).await;
    // Nobody who knew its address, and not the secret, could make it believe otherwise.
    let beat = desk.rejection().await;
    assert!(matches!(beat, Rejection::UnknownKey { .. }));
    assert!(worker.stop().await.success());
    desk.close(&[]).await;
}

#[tokio::test]
async fn what_its_scheduler_did_not_sign_goes_to_the_dead_letters_and_runs_nothing() {
    let mut desk = Desk::open().await;
    let (worker, _) = desk.worker(&["-c", "1"]).await;
    let ran = desk.path("ran");
    let task = desk.bash(&format!("touch {}", ran.display()));
    let name = desk.keys.installation().clone();
    let foreign = Keys::new(name, "quite another secret").expect("a secret");
    let scheduler = Sender::Scheduler { epoch: Epoch(9) };
    let worker_word = Sender::Worker { worker: WorkerId(uuid::Uuid::from_u128(7)), incarnation: Incarnation(1) };
    let seal = |keys: &Keys, direction, sender| keys.seal(direction, sender, "task", &task).expect("short");
    let mut altered = desk.sealed(&task);
    let last = altered.len() - 3;
    altered[last] ^= 1;
    for (bytes, says) in [
        (serde_json::to_vec(&task).expect("JSON"), "not a message of updraft"),
        (seal(&foreign, Direction::ToWorker, scheduler), "signed with a secret that is not known here"),
        (seal(&desk.keys, Direction::ToScheduler, worker_word), "the signature is wrong"),
        (seal(&desk.keys, Direction::ToWorker, worker_word), "that a worker signed"),
        (altered, "the signature is wrong"),
    ] {
        assert_eq!(desk.put(&desk.queue("default"), bytes).await, Published::Confirmed);
        let reason = desk.dead_letter().await;
        assert!(reason.contains(says), "expected `{says}`, got `{reason}`");
    }
    // The slot is none the worse for it.
    let (_, claim) = desk.run("true").await;
    desk.finished(claim).await;
    desk.settle(claim).await;
    assert!(!ran.exists());
    assert!(worker.stop().await.success());
    desk.close(&[]).await;
}

#[tokio::test]
async fn a_worker_whose_times_are_longer_than_its_schedulers_refuses_to_work() {
    let mut desk = Desk::open().await;
    let worker = desk.start(&[]);
    desk.online().await;
    let second = std::time::Duration::from_secs(1);
    let times = LeaseTimes { fence_after: second * 40, ..desk.times() };
    desk.tell(vec![ToWorker::Welcome { epoch: desk.epoch, times }]).await;
    worker.says("[workers] fence_after is 45 s here and 40 s at the scheduler").await;
    assert_eq!(worker.ended().await.code(), Some(1));
    desk.close(&[]).await;
}

#[tokio::test]
async fn two_workers_cannot_share_a_state_folder_and_can_share_a_home() {
    let mut desk = Desk::open().await;
    let (first, one) = desk.worker(&[]).await;
    let output = desk.command(&["worker"]).output().expect("the program runs");
    assert!(error(&output).contains("give each worker a state directory of its own"), "{output:?}");
    let other = desk.path("second");
    let (second, two) = desk.worker(&["--state-dir", other.to_str().expect("text")]).await;
    assert_ne!(one.worker, two.worker);
    assert!(first.stop().await.success() && second.stop().await.success());
    desk.close(&[]).await;
}
