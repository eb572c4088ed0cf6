//! What a task sees, and how its end is reported.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use serde_json::json;
use updraft::domain::attempt::Outcome;
use updraft::domain::operator::{Bash, Operator, Python, PythonCode};
use updraft::protocol::work::{Answer, FromWorker, Question, ToWorker};

use super::world::{World, bash, eventually, number_in, runs};

const FAILED: Outcome = Outcome::Failed { retryable: true };

#[actix::test]
async fn a_task_runs_and_its_last_line_is_its_result() {
    let mut world = World::new(1).await;
    let report = world.run_bash("echo one; echo two >&2; echo 'the end '").await;
    assert_eq!((report.outcome, report.exit_code), (Outcome::Success, Some(0)));
    assert_eq!(report.xcoms, [("return_value".to_owned(), json!("the end"))]);
    assert_eq!(world.output(), ["one", "two", "the end"], "error output in its place among the output");
    let log = world.log();
    assert!(log.contains("Attempt 1 of 1: task d.t1 of run r, operator bash"), "{log}");
    assert!(log.contains(&format!("Process {} started", report.pid.expect("it ran"))), "{log}");
    assert!(log.contains("Ended as success with exit code 0 after 0."), "{log}");

    let report = world.run_bash("true").await;
    assert_eq!(report.xcoms, [("return_value".to_owned(), json!(""))], "an empty result is a result");
}

#[actix::test]
async fn exit_codes_decide() {
    let mut world = World::new(1).await;
    assert_eq!(world.run_bash("exit 99").await.outcome, Outcome::Skipped);
    let report = world.run_bash("exit 3").await;
    assert_eq!((report.outcome, report.exit_code), (FAILED, Some(3)));
    let message = report.message.expect("a sentence");
    assert_eq!(message, "Bash command failed. The command returned a non-zero exit code 3.");
    assert!(report.xcoms.is_empty());
    assert_eq!(world.run_bash("kill -9 $$").await.exit_code, Some(-9));
    assert_eq!(world.run_bash("false; true").await.outcome, Outcome::Success, "only the last command counts");
}

#[actix::test]
async fn a_task_knows_who_it_is() {
    let mut world = World::new(1).await;
    world.run_bash("env | grep AIRFLOW_CTX | sort").await;
    assert_eq!(
        world.output(),
        [
            "AIRFLOW_CTX_DAG_ID=d",
            "AIRFLOW_CTX_DAG_OWNER=airflow",
            "AIRFLOW_CTX_DAG_RUN_ID=r",
            "AIRFLOW_CTX_EXECUTION_DATE=2026-11-21T00:00:00+00:00",
            "AIRFLOW_CTX_LOGICAL_DATE=2026-11-21T00:00:00+00:00",
            "AIRFLOW_CTX_TASK_ID=t1",
            "AIRFLOW_CTX_TRY_NUMBER=1",
        ]
    );
    world.run_bash("echo {{ ds }} {{ run_id }}").await;
    assert_eq!(world.output(), ["2026-11-21 r"]);
    let report = world.run_bash("echo {{ nonsense }}").await;
    assert_eq!(report.outcome, FAILED);
    assert!(report.message.expect("a sentence").contains("bash_command"));
    assert_eq!(report.started_at, None, "nothing started");
}

#[actix::test]
async fn an_environment_of_ones_own_replaces_or_joins_the_workers() {
    let mut world = World::new(1).await;
    let env = Some(BTreeMap::from([("GREETING".to_owned(), "hi {{ ds }}".to_owned())]));
    let script = "echo \"$GREETING\"; echo \"${HOME-none}\"; echo $AIRFLOW_CTX_TASK_ID";
    world.run(Operator::Bash(Bash { env: env.clone(), ..bash(script) })).await;
    assert_eq!(world.output(), ["hi 2026-11-21", "none", "t1"]);
    world.run(Operator::Bash(Bash { env, append_env: true, ..bash(script) })).await;
    assert_eq!(world.output()[1], std::env::var("HOME").expect("the test has a home"));
}

#[actix::test]
async fn a_task_works_in_a_fresh_folder_or_in_the_one_it_names() {
    let mut world = World::new(1).await;
    world.run_bash("pwd; touch left; mkdir -p deep/er").await;
    let fresh = world.output().remove(0);
    assert!(fresh.starts_with(&format!("{}/airflowtmp", world.settings.temp_dir.display())), "{fresh}");
    eventually("the folder is gone with what was in it", || !std::path::Path::new(&fresh).exists()).await;
    world.run_bash("ls -A; pwd").await;
    assert_eq!(world.output().len(), 1, "the next task's is empty");

    let named = world.folder.path().join("dags").display().to_string();
    world.run(Operator::Bash(Bash { cwd: Some(named.clone()), ..bash("pwd") })).await;
    assert_eq!(world.output(), [named]);
    let report = world.run(Operator::Bash(Bash { cwd: Some("/no/such".to_owned()), ..bash("pwd") })).await;
    assert_eq!((report.outcome, report.message.as_deref()), (FAILED, Some("can not find the cwd: /no/such")));
}

#[actix::test]
async fn a_command_that_ends_in_sh_is_a_template_file() {
    let mut world = World::new(1).await;
    let script = world.folder.path().join("dags/hello.sh");
    std::fs::write(&script, "echo hello {{ ds }}\necho $0\n").expect("written");
    world.run_bash("hello.sh").await;
    let output = world.output();
    assert_eq!(output[0], "hello 2026-11-21");
    assert!(output[1].starts_with("tmp") && output[1].ends_with(".sh"), "{output:?}");
    let report = world.run_bash("missing.sh").await;
    assert!(report.message.expect("a sentence").starts_with("TemplateNotFound: missing.sh"));
    world.run_bash(&format!("bash {} ", script.display())).await;
    assert_eq!(world.output()[0], "hello {{ ds }}", "as a command the file is run as it stands");
}

#[actix::test]
async fn a_task_that_runs_too_long_is_told_and_then_killed() {
    let mut world = World::with(1, |settings| settings.kill_grace = Duration::from_secs(2)).await;
    let (mut task, claim) = world.task(Operator::Bash(bash("trap 'echo asked' TERM; while :; do sleep 0.01; done")));
    task.execution_timeout = Some(Duration::from_secs(1));
    world.send(task, claim);
    let report = world.finished().await;
    assert_eq!((report.outcome, report.exit_code), (Outcome::TimedOut, Some(-9)));
    assert!(world.output().contains(&"asked".to_owned()), "TERM comes first");
    assert!(world.log().contains("execution_timeout of 1 s"), "{}", world.log());
}

#[actix::test]
async fn a_task_can_be_ended_and_may_clean_up() {
    let mut world = World::new(1).await;
    let claim = world.send_bash("trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    world.started().await;
    let log = world.settings.base_log_folder.join(super::world::log_path(1));
    eventually("it is ready", || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("- ready"))).await;
    world.worker.told.say(ToWorker::Terminate { claim, grace: Duration::from_secs(5) });
    let report = world.finished().await;
    assert_eq!((report.outcome, report.exit_code), (Outcome::Killed, Some(0)));
    let output = world.output();
    assert_eq!(
        (output.first().map(String::as_str), output.last().map(String::as_str)),
        (Some("ready"), Some("cleaned"))
    );
}

#[actix::test]
async fn what_is_ended_before_it_started_never_starts() {
    let mut world = World::new(1).await;
    let running = world.send_bash("while :; do sleep 0.01; done");
    world.started().await;
    let marker = world.folder.path().join("started");
    let waiting = world.send_bash(&format!("touch {}", marker.display()));
    world.worker.told.say(ToWorker::Terminate { claim: waiting, grace: Duration::ZERO });
    world.worker.told.say(ToWorker::Terminate { claim: running, grace: Duration::from_secs(5) });
    let mut released = None;
    while released.is_none() {
        match world.hear().await {
            FromWorker::Released { claim, .. } => released = Some(claim),
            FromWorker::Finish(report) => world.settle(report.claim),
            _ => {}
        }
    }
    assert_eq!(released, Some(waiting));
    assert!(!marker.exists());
}

#[actix::test]
async fn a_task_whose_template_waits_for_a_value_can_still_be_given_back() {
    let mut world = World::new(1).await;
    let marker = world.folder.path().join("started");
    let claim = world.send_bash(&format!("touch {} # {{{{ var.value.rows }}}}", marker.display()));
    let question = loop {
        if let FromWorker::Asked { question, .. } = world.hear().await {
            break question;
        }
    };
    assert_eq!(question, Question::GetVariable { key: "rows".to_owned() });
    world.worker.told.say(ToWorker::Terminate { claim, grace: Duration::ZERO });
    let released = loop {
        if let FromWorker::Released { claim, .. } = world.hear().await {
            break claim;
        }
    };
    assert_eq!(released, claim);
    assert!(!marker.exists());
}

#[actix::test]
async fn what_a_task_leaves_in_the_background_dies_but_may_finish_its_last_words() {
    let mut world = World::new(1).await;
    let pid_file = world.folder.path().join("pid");
    world.run_bash(&format!("sleep 1000 & echo $! > {}; echo done", pid_file.display())).await;
    assert_eq!(world.output(), ["done"]);
    assert!(!runs(number_in(&pid_file).await), "it is gone before the end is reported");

    world.run_bash("exec > >(sed 's/^/piped: /'); for i in 1 2 3; do echo $i; done").await;
    assert_eq!(world.output(), ["piped: 1", "piped: 2", "piped: 3"], "as with `> >(tee log)`");
}

#[actix::test]
async fn output_keeps_its_order_and_a_flood_is_bounded() {
    let mut world = World::with(1, |settings| settings.max_task_log_bytes = 1 << 20).await;
    world.run_bash("for i in $(seq 1 5000); do echo $i; done").await;
    let expected: Vec<String> = (1..=5000).map(|n| n.to_string()).collect();
    assert_eq!(world.output(), expected);

    let report = world.run_bash("seq 1 2000000; echo end").await;
    assert_eq!(report.xcoms[0].1, json!("end"), "the task goes on and its result is seen");
    let log = world.log();
    assert!(log.len() < (1 << 20) + 2000, "{} bytes", log.len());
    assert!(log.contains("The log has reached 1048576 bytes") && log.contains("more lines"), "it says what is missing");
    assert!(log.trim_end().lines().last().expect("lines").contains("Ended as success"));
}

#[actix::test]
async fn a_line_of_a_hundred_megabytes_is_one_line_and_little_memory() {
    let mut world = World::new(1).await;
    let peak_before = peak_kilobytes();
    let report = world.run_bash("head -c 100000000 /dev/zero | tr '\\0' x").await;
    assert_eq!((report.outcome, report.xcoms.len()), (Outcome::Success, 0));
    let path = world.settings.base_log_folder.join(super::world::log_path(1));
    assert!(std::fs::metadata(&path).expect("a log").len() > 100_000_000);
    let grown = peak_kilobytes().saturating_sub(peak_before);
    // Other tests run in this process, too; the line itself would be 100,000 kB.
    assert!(grown < 60_000, "{grown} kB");
    let log = std::fs::read_to_string(&path).expect("text");
    assert_eq!(log.lines().filter(|line| line.contains("xxxx")).count(), 1);
    assert!(log.contains("The last line of output has 100000000 bytes"));
}

fn peak_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("a peak");
    line.split_ascii_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

#[actix::test]
async fn without_bash_the_task_says_so() {
    let mut world = World::with(1, |settings| settings.search_path = OsString::from("/no/such:/tmp")).await;
    let report = world.run_bash("true").await;
    assert_eq!(report.outcome, FAILED);
    let message = report.message.expect("a sentence");
    assert!(message.contains("there is no `bash` in the worker's PATH (/no/such:/tmp)"), "{message}");
    assert!(world.log().contains(&message));
}

#[actix::test]
async fn a_command_that_linux_cannot_take_is_explained() {
    let mut world = World::new(1).await;
    let report = world.run_bash(&format!("true {}", "x".repeat(200_000))).await;
    let message = report.message.expect("a sentence");
    assert!(message.contains("too long for Linux") && message.contains("200005 bytes"), "{message}");
    assert_eq!(world.run_bash("echo fine").await.outcome, Outcome::Success);
}

fn python(source: &str) -> Operator {
    let code = PythonCode::Inline { source: source.to_owned() };
    Operator::Python(Python { code, args: Vec::new(), kwargs: serde_json::Map::new(), decides: None })
}

/// A bridge in few lines, which speaks the task channel; the product's own is tested where it lives.
const BRIDGE: &str = r#"
import json, os, socket, struct, sys
s = socket.socket(fileno=os.dup(0))
def receive():
    head = s.recv(4, socket.MSG_WAITALL); (n,) = struct.unpack(">I", head)
    return json.loads(s.recv(n, socket.MSG_WAITALL))
def send(m):
    b = json.dumps(m).encode(); s.sendall(struct.pack(">I", len(b)) + b)
def ask(m):
    send(m); return receive()
start = receive()
exec(start["code"]["source"])
"#;

async fn python_world() -> World {
    World::with(1, |settings| settings.python.command = ["python3", "-c", BRIDGE].map(OsString::from).to_vec()).await
}

#[actix::test]
async fn a_python_task_asks_and_answers() {
    let mut world = python_world().await;
    let source = r#"
got = ask({"type": "get_xcom", "id": 1, "task_id": "up", "key": "return_value"})["value"]
refused = ask({"type": "set_xcom", "id": 2, "key": "k", "value": 1})["error"]
print(start["task_id"], got, refused, flush=True)
ask({"type": "set_xcom", "id": 3, "key": "return_value", "value": [got]})
send({"type": "finish", "state": "success"})
"#;
    let (task, claim) = world.task(python(source));
    world.send(task, claim);
    let mut questions = Vec::new();
    let report = loop {
        match world.hear().await {
            FromWorker::Asked { seq, question, .. } => {
                let answer = match &question {
                    Question::GetXCom { .. } | Question::GetNewestXCom { .. } => Answer::XCom { value: Some(json!(7)) },
                    Question::GetAssetEvents { .. } => Answer::AssetEvents { events: Vec::new() },
                    Question::SetVariable { .. } => Answer::Stored,
                    Question::DeleteVariable { .. } => Answer::Deleted { existed: false },
                    Question::SetXCom { .. }
                    | Question::GetMapped { .. }
                    | Question::GetVariable { .. }
                    | Question::GetConnection { .. }
                    | Question::TriggerDagRun(_)
                    | Question::ClearRun { .. }
                    | Question::GetRunState { .. }
                    | Question::LookAt { .. }
                    | Question::GetXComs { .. }
                    | Question::FindRuns(_)
                    | Question::FindTasks(_) => Answer::Refused { why: "no".to_owned() },
                };
                questions.push(question);
                world.worker.told.say(ToWorker::Values { claim, seq, answer });
            }
            FromWorker::Finish(report) => break report,
            _ => {}
        }
    };
    assert_eq!(report.outcome, Outcome::Success, "{}", world.log());
    assert_eq!(questions.len(), 2);
    assert_eq!(report.xcoms, [("return_value".to_owned(), json!([7]))], "the result travels with the outcome");
    assert!(world.log().contains("{python} INFO - t1 7 no"), "{}", world.log());
}

#[actix::test]
async fn a_python_task_says_how_it_ended_or_its_exit_does() {
    let mut world = python_world().await;
    let finish = |more: &str| format!("send(dict({{\"type\": \"finish\"}}, {more}))");
    let skipped = world.run(python(&finish("state='skipped', message='no data'"))).await;
    assert_eq!((skipped.outcome, skipped.message.as_deref()), (Outcome::Skipped, Some("no data")));
    let fails = world.run(python(&finish("state='failed', retryable=False"))).await;
    assert_eq!(fails.outcome, Outcome::Failed { retryable: false });
    assert_eq!(world.run(python("os._exit(4)")).await.exit_code, Some(4));
    let killed = world.run(python("os.kill(os.getpid(), 11)")).await;
    assert_eq!(killed.outcome, FAILED);
    assert!(killed.message.expect("a sentence").contains("signal 11"));
}
