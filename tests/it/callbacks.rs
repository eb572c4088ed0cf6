//! Callbacks, notifications and deadlines by the real program: who is told, and what happens when it goes wrong.

use std::time::Instant;

use serde_json::{Value, json};
use updraft::domain::notification::NotificationState;
use updraft::domain::state::{RunState, TaskState};

use crate::kit::{Counter, Home, wait_until};
use crate::operators::servers;

/// The lines of a counter as JSON values, sorted.
fn said(counter: &Counter) -> Vec<Value> {
    let mut lines = counter.lines();
    lines.sort();
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

#[test]
fn a_command_is_told_what_happened_and_no_shell_reads_its_arguments() {
    let home = Home::new();
    let (told, argued) = (home.counter("told"), home.counter("argued"));
    let shell =
        told.shell("$UPDRAFT_EVENT $AIRFLOW_CTX_TASK_ID $AIRFLOW_CTX_TRY_NUMBER: $UPDRAFT_STATE, $UPDRAFT_EXCEPTION");
    let argv = ["sh", "-c", "echo \"$1\" >> \"$2\"", "sh", "{{ exception }}; rm -rf {{ ti.state }}", "PATH"];
    let argv: Vec<String> = argv.map(|word| word.replace("PATH", &argued.path().to_string_lossy())).to_vec();
    let dag = json!({
        "schedule": null,
        "on_failure": { "command": told.shell("run: $UPDRAFT_REASON {{ dag_run.state }}") },
        "default_args": { "on_failure": [{ "command": shell }, { "command": argv }], "on_retry": { "command": shell } },
        "tasks": {
            "fails": { "bash": "exit 7", "retries": 1, "retry_delay": 0 },
            "follows": { "bash": "true", "depends_on": "fails" },
        },
    });
    home.write("tells.yaml", &dag.to_string());
    let _node = home.start();
    let run = home.trigger_and_wait("tells");
    assert_eq!(run.row.state, RunState::Failed);
    let notifications = home.wait_told();
    assert!(notifications.iter().all(|row| row.state == NotificationState::Done), "{notifications:#?}");

    let message = "Bash command failed. The command returned a non-zero exit code 7.";
    let mut lines = told.lines();
    lines.sort();
    let expected = [
        format!("on_failure fails 2: failed, {message}"),
        format!("on_retry fails 1: up_for_retry, {message}"),
        "run: task_failure failed".to_owned(),
    ];
    assert_eq!(lines, expected);
    assert_eq!(argued.lines(), [format!("{message}; rm -rf failed")]);
    let log = home.log_at(&notifications[0].message.log_path);
    assert!(notifications[0].message.log_path.ends_with("task_id=fails/attempt=1.on_retry_callback=0.log"));
    assert!(log.contains("on_retry of tells.fails of run"), "{log}");
}

#[test]
fn python_callbacks_are_called_with_the_context() {
    let home = Home::new();
    let told = home.counter("told");
    let file = r#"
import functools, json, os
from datetime import timedelta
from airflow.sdk import DAG, BaseNotifier, BaseOperator, task
from airflow.operators.bash import BashOperator

def tell(context, who="plain"):
    ti, error = context["ti"], context.get("exception")
    with open("TOLD", "a") as f:
        f.write(json.dumps([who, ti.task_id, ti.state, context["dag_run"].state, context.get("reason"),
                            type(error).__name__ if error else None, str(error) if error else None]) + "\n")

class Chat(BaseNotifier):
    template_fields = ("text",)
    def __init__(self, text):
        super().__init__()
        self.text = text
    def notify(self, context):
        tell(context, self.text)

def broken(context):
    raise RuntimeError("nobody home")

async def later(context):
    tell(context, "awaited")

class Own(BaseOperator):
    def execute(self, context):
        tell(context, "executes %d" % os.getpid())

def begins(context):
    tell(context, "begins %d" % os.getpid())

with DAG("told", schedule=None, on_failure_callback=functools.partial(tell, who="dag")):
    @task(on_failure_callback=[tell, Chat("{{ ti.task_id }} of {{ dag.dag_id }} is {{ ti.state }}"), later])
    def fails():
        raise ValueError("no rows")
    fails()
    BashOperator(task_id="works", bash_command="true", on_success_callback=broken, on_execute_callback=tell)
    Own(task_id="own", on_execute_callback=[broken, begins])
"#;
    home.write("told.py", &file.replace("TOLD", &told.path().to_string_lossy()));
    let home = home.with("workers.callback_retries", "0");
    let _node = home.start();
    let run = home.trigger_and_wait("told");
    assert_eq!(run.task("works").state, TaskState::Success, "a broken callback touches no task");
    assert_eq!(run.task("own").state, TaskState::Success);
    let notifications = home.wait_told();

    let mut lines = said(&told);
    let pid = |line: &Value| line[0].as_str().and_then(|who| who.split_once(' ')).map(|(_, pid)| pid.to_owned());
    let own: Vec<Value> = lines.extract_if(.., |line| line[1] == "own").collect();
    assert_eq!(own.len(), 2, "{own:?}");
    assert_eq!(pid(&own[0]), pid(&own[1]), "on_execute runs inside the task's process");
    let failed = |who: &str| json!([who, "fails", "failed", "running", null, "ValueError", "no rows"]);
    let expected = [
        failed("awaited"),
        // The run tells with the task that failed.
        json!(["dag", "fails", "running", "failed", "task_failure", "ValueError", "no rows"]),
        failed("fails of told is failed"),
        json!(["plain", "fails", "failed", "running", null, "ValueError", "no rows"]),
        json!(["plain", "works", "running", "running", null, null, null]),
    ];
    assert_eq!(lines, expected);

    let broken: Vec<_> = notifications.iter().filter(|row| row.state == NotificationState::Failed).collect();
    assert_eq!(broken.len(), 1, "{notifications:#?}");
    assert_eq!(broken[0].error.as_deref(), Some("RuntimeError: nobody home"));
    let log = home.log_at(&broken[0].message.log_path);
    assert!(log.contains("Callback failed with exception") && log.contains("told.py"), "{log}");
    assert!(home.log(&run.row, "own", 1).contains("Failed to run task callback `broken`"));
}

#[test]
fn what_is_owed_when_the_node_is_killed_is_told_by_the_next() {
    let home = Home::new();
    let (begun, told, free) = (home.counter("begun"), home.counter("told"), home.in_world("free"));
    let callback =
        format!("{}; test -e '{}' || sleep 1000; {}", begun.shell("begun"), free.display(), told.shell("told"));
    let dag = json!({ "schedule": null, "tasks": { "a": { "bash": "true", "on_success": { "command": callback } } } });
    home.write("owes.yaml", &dag.to_string());
    let node = home.start();
    home.trigger_and_wait("owes").assert_success();
    wait_until("the callback has begun", || begun.count() == 1);
    node.kill();
    std::fs::write(&free, "").expect("a file");
    let _node = home.start();
    let all = home.wait_told();
    assert_eq!((all.len(), all[0].state), (1, NotificationState::Done));
    assert_eq!((begun.count(), told.count()), (2, 1), "at least once, and its first process ended with its node");
}

#[test]
fn a_callback_that_hangs_is_ended_by_its_timeout_and_holds_nothing_up() {
    let home = Home::new().with("workers.callback_timeout", "1").with("workers.callback_retries", "1");
    let home = home.with("workers.callback_retry_delay", "0.1").with("workers.callbacks_at_once", "1");
    let dag = json!({
        "schedule": null,
        "tasks": {
            "a": { "bash": "true", "on_success": { "command": "sleep 1000" } },
            "b": { "bash": "true", "depends_on": "a" },
        },
    });
    home.write("hangs.yaml", &dag.to_string());
    let _node = home.start();
    let begun = Instant::now();
    for _ in 0..3 {
        home.trigger_and_wait("hangs").assert_success();
    }
    let took = begun.elapsed();
    let pending = home.notifications().iter().filter(|row| row.state == NotificationState::Pending).count();
    assert!(pending >= 2, "three runs ended while the first callback hung, in {took:?}");
    let all = home.wait_told();
    for row in &all {
        assert_eq!((row.state, row.failed_tries), (NotificationState::Failed, 2), "{row:#?}");
        let error = row.error.as_deref().unwrap_or_default();
        assert_eq!(error, "The callback ran longer than [workers] callback_timeout = 1 s");
    }
    assert_eq!(all.len(), 3);
}

#[test]
fn a_run_that_misses_its_deadline_says_so_and_keeps_the_mark() {
    let home = Home::new();
    let (told, free) = (home.counter("told"), home.in_world("free"));
    let dag = json!({
        "schedule": null,
        "deadlines": {
            "name": "soon",
            "reference": "queued_at",
            "interval": 0.2,
            "callback": { "command": told.shell("{{ deadline.name }} {{ dag_run.state }}") },
        },
        "tasks": { "a": { "bash": format!("until test -e '{}'; do sleep 0.01; done", free.display()) } },
    });
    home.write("late.yaml", &dag.to_string());
    let _node = home.start();
    let run = home.trigger("late");
    wait_until("the deadline is told", || told.count() == 1);
    assert_eq!(told.lines(), ["soon running"]);
    std::fs::write(&free, "").expect("a file");
    home.wait_run("late", &run.run_id).assert_success();
    let listed = home.json(&["dags", "list-runs", "late", "-o", "json"]);
    let missed = listed[0]["missed_deadlines"][0].as_str().unwrap_or_default().to_owned();
    assert!(missed.starts_with("soon 20"), "{listed}");
    let notifications = home.json(&["notifications", "list", "late", "-o", "json"]);
    assert_eq!((&notifications[0]["event"], &notifications[0]["state"]), (&json!("deadline"), &json!("done")));
}

/// What a request carries after its head.
fn body(request: &str) -> &str {
    request.split_once("\n\n").or_else(|| request.split_once("\r\n\n")).map(|(_, body)| body).unwrap_or_default()
}

#[test]
fn a_webhook_says_what_happened_and_its_secrets_are_hidden() {
    let (port, heard) = servers::http();
    let home = Home::new()
        .with_variable("AIRFLOW_CONN_CHAT", &format!("http://me:hunter2secret@127.0.0.1:{port}/?X-Team=etl"))
        .with("workers.callback_retries", "1")
        .with("workers.callback_retry_delay", "0.1");
    let own = json!({ "text": "{{ ti.task_id }}: {{ exception }}", "n": 3, "key": "{{ conn.chat.password }}" });
    let dag = json!({
        "schedule": null,
        "on_failure": { "webhook": { "url": "/ok/run", "conn_id": "chat", "method": "PUT" } },
        "tasks": {
            "fails": {
                "bash": "exit 7",
                "on_failure": [
                    { "webhook": format!("http://127.0.0.1:{port}/ok/default") },
                    { "webhook": { "url": "ok/own", "conn_id": "chat", "headers": { "X-Own": "{{ run_id }}" }, "body": own } },
                    { "webhook": format!("http://127.0.0.1:{port}/broken") },
                    // Nobody listens there.
                    { "webhook": "http://127.0.0.1:1/{{ conn.chat.password }}" },
                ],
            },
        },
    });
    home.write("hooks.yaml", &dag.to_string());
    let _node = home.start();
    let run = home.trigger_and_wait("hooks");
    let all = home.wait_told();
    let heard = heard.lock().expect("nobody panicked").clone();
    let find = |path: &str| heard.iter().find(|request| request.contains(path)).unwrap_or_else(|| panic!("{heard:#?}"));

    let message = "Bash command failed. The command returned a non-zero exit code 7.";
    let plain = find("/ok/default");
    assert!(plain.starts_with("POST ") && plain.contains("content-type: application/json"), "{plain}");
    let told: Value = serde_json::from_str(body(plain)).unwrap_or_else(|error| panic!("{plain}: {error}"));
    for (name, value) in [
        ("event", json!("on_failure")),
        ("dag_id", json!("hooks")),
        ("run_id", json!(run.row.run_id)),
        ("task_id", json!("fails")),
        ("map_index", json!(-1)),
        ("try_number", json!(1)),
        ("state", json!("failed")),
        ("exception", json!(message)),
    ] {
        assert_eq!(told[name], value, "{name} in {told}");
    }
    assert!(told["log_url"].as_str().expect("an address").contains("/tasks/fails?try_number=1"), "{told}");

    let own = find("/ok/own");
    assert!(own.contains(&format!("x-own: {}", run.row.run_id)) && own.contains("x-team: etl"), "{own}");
    // base64 of `me:hunter2secret`
    assert!(own.contains("authorization: Basic bWU6aHVudGVyMnNlY3JldA=="), "{own}");
    let said: Value = serde_json::from_str(body(own)).expect("JSON");
    assert_eq!(said, json!({ "text": format!("fails: {message}"), "n": 3, "key": "hunter2secret" }));
    let of_run: Value = serde_json::from_str(body(find("PUT /ok/run"))).expect("JSON");
    assert_eq!((&of_run["task_id"], &of_run["reason"]), (&json!(null), &json!("task_failure")));

    // Tried again, given up, and the reason is there for people.
    assert_eq!(heard.iter().filter(|request| request.contains("/broken")).count(), 2);
    let listed = home.json(&["notifications", "list", "--state", "failed", "-o", "json"]);
    let failed = listed.as_array().expect("a list");
    let broken = failed.iter().find(|row| row["error"] == "500:Internal Server Error");
    let broken = broken.unwrap_or_else(|| panic!("{listed}"));
    assert_eq!((&broken["failed_tries"], &broken["event"]), (&json!("2"), &json!("on_failure")));
    assert_eq!(broken["notification"], json!(format!("webhook http://127.0.0.1:{port}")));
    assert_eq!(failed.len(), 2, "{listed}");
    for row in &all {
        let log = home.log_at(&row.message.log_path);
        let error = row.error.clone().unwrap_or_default();
        assert!(
            !log.is_empty() && !log.contains("hunter2secret") && !error.contains("hunter2secret"),
            "{error}: {log}"
        );
    }
    let unheard = failed.iter().find(|row| row["error"] != "500:Internal Server Error").expect("another one");
    assert!(unheard["error"].as_str().expect("a reason").contains("http://127.0.0.1:1/***"), "{unheard}");
}

#[test]
fn those_whom_a_task_names_get_a_mail_when_it_is_tried_again_and_when_it_has_failed() {
    let (port, mails) = servers::smtp();
    let home = Home::new()
        .with("smtp.smtp_host", "127.0.0.1")
        .with("smtp.smtp_port", &port.to_string())
        .with("smtp.smtp_starttls", "False")
        .with("smtp.smtp_user", "mailer")
        .with("smtp.smtp_password", "hunter2secret")
        .with("email.from_email", "etl@example.com");
    let subject = home.in_world("subject.jinja");
    std::fs::write(&subject, "{{ ti.task_id }} is {{ ti.state }}\n").expect("a file");
    let home = home.with("email.subject_template", &subject.to_string_lossy());
    let file = r#"
from datetime import timedelta
from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.providers.smtp.notifications.smtp import SmtpNotifier

args = {"email": "ops@example.com, boss@example.com", "retry_delay": timedelta(0)}
with DAG("mails", schedule=None, default_args=args,
         on_failure_callback=SmtpNotifier(to="owner@example.com", subject="{{ dag.dag_id }} failed", html_content="<i>{{ reason }}</i>")):
    BashOperator(task_id="a", bash_command="echo '<b>' >&2; exit 7", retries=1)
"#;
    home.write("mails.py", file);
    let _node = home.start();
    let run = home.trigger_and_wait("mails");
    assert_eq!(run.row.state, RunState::Failed);
    let all = home.wait_told();
    assert!(all.iter().all(|row| row.state == NotificationState::Done), "{all:#?}");
    let mails = mails.lock().expect("nobody panicked").clone();
    let find = |subject: &str| {
        let found = mails.iter().find(|mail| mail.contains(&format!("Subject: {subject}")));
        found.unwrap_or_else(|| panic!("{subject} in {mails:#?}"))
    };
    assert_eq!(mails.len(), 3, "{mails:#?}");
    for subject in ["a is up_for_retry", "a is failed"] {
        let mail = find(subject);
        for part in ["FROM:<etl@example.com>", "TO:<ops@example.com>", "TO:<boss@example.com>", "out of 2<br>"] {
            assert!(mail.contains(part), "{part} in {mail}");
        }
    }
    let own = find("mails failed");
    assert!(own.contains("TO:<owner@example.com>") && own.contains("<i>task_failure</i>"), "{own}");
    for row in &all {
        let log = home.log_at(&row.message.log_path);
        assert!(log.contains("Sent an email to") && !log.contains("hunter2secret"), "{log}");
    }
}

/// Airflow's own example of a deadline names the class of a notifier, and what it is made of.
#[test]
fn a_deadline_sends_the_mail_of_the_notifier_that_it_names() {
    let (port, mails) = servers::smtp();
    let home = Home::new()
        .with("smtp.smtp_host", "127.0.0.1")
        .with("smtp.smtp_port", &port.to_string())
        .with("smtp.smtp_starttls", "False")
        .with("email.from_email", "etl@example.com");
    let told = home.counter("told");
    let file = r#"
from datetime import datetime, timedelta, timezone
from airflow.operators.bash import BashOperator
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG, BaseNotifier
from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference

class Chat(BaseNotifier):
    template_fields = ("text",)
    def __init__(self, text):
        self.text = text
    def notify(self, context):
        with open("TOLD", "a") as told:
            told.write("%s %s\n" % (self.text, context["dag_run"].run_id))

long_ago = DeadlineReference.FIXED_DATETIME(datetime(2026, 1, 1, tzinfo=timezone.utc))
mail = {"to": "ops@example.com", "subject": "{{ dag.dag_id }} is late", "html_content": "{{ run_id }}"}
path = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
deadlines = [
    DeadlineAlert(long_ago, timedelta(0), AsyncCallback(SmtpNotifier, kwargs=mail)),
    DeadlineAlert(long_ago, timedelta(0), AsyncCallback(path, kwargs=dict(mail, subject="by path"))),
    DeadlineAlert(long_ago, timedelta(0), AsyncCallback(Chat, kwargs={"text": "late: {{ dag.dag_id }}"})),
]
with DAG("late", schedule=None, deadline=deadlines):
    BashOperator(task_id="a", bash_command="true")
"#;
    home.write("late.py", &file.replace("TOLD", &told.path().to_string_lossy()));
    let _node = home.start();
    let run = home.trigger_and_wait("late");
    let all = home.wait_told();
    assert!(all.len() == 3 && all.iter().all(|row| row.state == NotificationState::Done), "{all:#?}");
    let mails = mails.lock().expect("nobody panicked").clone();
    assert_eq!(mails.len(), 2, "{mails:#?}");
    for subject in ["late is late", "by path"] {
        let mail = mails.iter().find(|mail| mail.contains(&format!("Subject: {subject}")));
        let mail = mail.unwrap_or_else(|| panic!("{subject} in {mails:#?}"));
        assert!(mail.contains("TO:<ops@example.com>") && mail.contains(run.row.run_id.as_str()), "{mail}");
    }
    assert_eq!(told.lines(), [format!("late: late {}", run.row.run_id)]);
}
