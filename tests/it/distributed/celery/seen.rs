//! A real worker, a scripted leader, and Celery's tools beside them.

use serde_json::{Value, json};
use updraft::domain::attempt::Outcome;

use super::tools::{Flower, Tools, tools};
use crate::distributed::worker::desk::{Desk, until_there};
use crate::kit::wait_for;

const NODE: &str = "celery@night";

/// Waits until Flower shows a task so.
fn shown(flower: &Flower, uuid: &str, state: &str) -> Value {
    wait_for(&format!("Flower shows {uuid} as {state}"), || {
        Some(flower.task(uuid)).filter(|task| task["state"] == state)
    })
}

/// Waits until Flower's table of workers has it so.
fn row(flower: &Flower, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || flower.worker(NODE).filter(&is_so))
}

fn the_page_of_the_worker(flower: &Flower) {
    let page = wait_for("the page of the worker", || flower.get(&format!("/worker/{NODE}")));
    for text in ["Updraft:Slots", "Max concurrency", "trigger_dagrun", ".task.default"] {
        assert!(page.contains(text), "{text} is not on the page:\n{page}");
    }
    let known = wait_for("Flower asks the worker everything", || {
        let workers = flower.json(&format!("/api/workers?refresh=1&workername={NODE}"));
        Some(workers[NODE].clone()).filter(|known| known["stats"]["pool"].is_object())
    });
    assert_eq!(known["stats"]["pool"]["max-concurrency"], 2);
    assert_eq!(known["active_queues"][0]["alias"], "default");
}

fn what_inspect_says(tools: &Tools, uuid: &str) {
    assert_eq!(tools.inspect(NODE, &["ping"]), json!({ "ok": "pong" }));
    let active = tools.inspect(NODE, &["active"]);
    assert_eq!((&active[0]["id"], &active[0]["name"]), (&json!(uuid), &json!("d.t1")));
    assert!(active[0]["worker_pid"].as_u64().is_some_and(|pid| pid > 1), "{active}");
    let asked = tools.inspect(NODE, &["query_task", uuid]);
    assert_eq!(asked[uuid][0], "active");
    let stats = tools.inspect(NODE, &["stats"]);
    assert_eq!((&stats["pool"]["max-concurrency"], &stats["broker"]["transport"]), (&json!(2), &json!("amqp")));
    assert!(stats["rusage"]["maxrss"].as_u64().is_some_and(|size| size > 0), "{stats}");
    assert_eq!(tools.inspect(NODE, &["reserved"]), json!([]));
    assert_eq!(tools.inspect(NODE, &["scheduled"]), json!([]));
    assert_eq!(tools.inspect(NODE, &["revoked"]), json!([]));
    assert!(tools.inspect(NODE, &["registered"]).as_array().is_some_and(|words| words.contains(&json!("bash"))));
    assert_eq!(tools.inspect(NODE, &["active_queues"])[0]["alias"], "default");
    let conf = tools.inspect(NODE, &["conf"]);
    assert_eq!(conf["worker_concurrency"], 2);
    assert!(!conf.to_string().contains("guest"), "{conf}");
    assert!(tools.inspect(NODE, &["clock"])["clock"].as_i64().is_some_and(|clock| clock > 0));
    assert!(tools.inspect(NODE, &["report"])["ok"].as_str().is_some_and(|text| text.contains("updraft:")));
    let refused = tools.asked("control", NODE, &["rate_limit", "d.t1", "1/m"]);
    assert!(refused["error"].as_str().is_some_and(|why| why.contains("not supported")), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flower_and_celery_inspect_see_a_worker_and_steer_it() {
    let Some(tools) = tools() else { return };
    let flower = tools.flower();
    let mut desk = Desk::open_at(tools.url.clone()).await;
    let (worker, online) = desk.worker(&["-H", NODE, "-c", "2"]).await;
    assert_eq!(online.name, NODE);
    row(&flower, "Flower sees the worker", |row| row["status"] == true);
    // Flower asks for events every five seconds, and a worker tells of tasks from then on.
    worker.says("visible to Celery's tools").await;

    let open = desk.path("open");
    let (task, claim) = desk.run(&format!("echo my-dear-secret; {}", until_there(&open))).await;
    desk.started(claim).await;
    let uuid = task.attempt.to_string();
    let started = shown(&flower, &uuid, "STARTED");
    assert_eq!((&started["name"], &started["args"]), (&json!("d.t1"), &json!("('d', 't1', 'r', 1)")));
    row(&flower, "one task is active", |row| row["active"] == 1);
    what_inspect_says(&tools, &uuid);
    the_page_of_the_worker(&flower);

    flower.press(&format!("/api/worker/pool/grow/{NODE}?n=2"));
    desk.beat("four slots", |beat| beat.standing.slots == 4).await;
    assert_eq!(tools.asked("control", NODE, &["pool_shrink", "1"]), json!({ "ok": "pool will shrink" }));
    desk.beat("three slots", |beat| beat.standing.slots == 3).await;
    flower.press(&format!("/api/worker/queue/add-consumer/{NODE}?queue=gpu"));
    desk.beat("another queue", |beat| beat.standing.queues.iter().any(|queue| queue.as_str() == "gpu")).await;
    assert_eq!(
        tools.asked("control", NODE, &["cancel_consumer", "gpu"]),
        json!({ "ok": "no longer consuming from gpu" })
    );
    desk.beat("one queue", |beat| beat.standing.queues.len() == 1).await;

    std::fs::write(&open, "").expect("a file");
    assert_eq!(desk.finished(claim).await.outcome, Outcome::Success);
    desk.settle(claim).await;
    let done = shown(&flower, &uuid, "SUCCESS");
    assert!(done["runtime"].as_f64().is_some_and(|seconds| seconds > 0.0), "{done}");
    assert!(!flower.json("/api/tasks").to_string().contains("my-dear-secret"));

    let (long, claim) = desk.run("sleep 300").await;
    desk.started(claim).await;
    let uuid = long.attempt.to_string();
    shown(&flower, &uuid, "STARTED");
    flower.press(&format!("/api/task/revoke/{uuid}?terminate=true"));
    assert_eq!(desk.finished(claim).await.outcome, Outcome::Killed);
    desk.settle(claim).await;
    shown(&flower, &uuid, "REVOKED");

    let (failing, claim) = desk.run("exit 7").await;
    assert!(matches!(desk.finished(claim).await.outcome, Outcome::Failed { .. }));
    desk.settle(claim).await;
    let failed = shown(&flower, &failing.attempt.to_string(), "FAILURE");
    assert_eq!(failed["exception"], "TaskFailed('exit code 7, see its log')");
    let metrics = flower.get("/metrics").expect("metrics");
    assert!(metrics.contains(&format!("flower_worker_online{{worker=\"{NODE}\"}} 1.0")), "{metrics}");

    flower.press(&format!("/api/worker/shutdown/{NODE}"));
    desk.offline().await;
    assert!(worker.ended().await.success());
    row(&flower, "Flower sees it go", |row| row["status"] == false);
    desk.close(&["gpu"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_remote_control_is_off_answers_nobody() {
    let Some(tools) = tools() else { return };
    let mut desk = Desk::open_at(tools.url.clone()).await;
    desk.set("celery.worker_enable_remote_control", "False");
    let (worker, _) = desk.worker(&["-H", NODE]).await;
    let output = tools.say("inspect", NODE, &["-t", "2", "ping"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("No nodes replied"), "{said}");
    assert!(worker.stop().await.success());
    desk.close(&[]).await;
}
