//! The Python process of one attempt, driven over its channel as a worker drives it.

mod elsewhere;

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use chrono::{TimeZone, Utc};
use serde_json::{Map, Value, json};
use updraft::dagfile::python::{Interpreter, install_package};
use updraft::domain::operator::PythonCode;
use updraft::domain::run::RunType;
use updraft::protocol::task_channel::{Finish, FinishState, FromTask, Reply, Start, ToTask, frame, frame_length};

/// What came of one attempt.
struct Attempt {
    finish: Option<Finish>,
    /// In the order in which they were set.
    xcoms: Vec<(String, Value)>,
    log: String,
    exit_code: Option<i32>,
}

impl Attempt {
    fn finish(&self) -> &Finish {
        self.finish.as_ref().unwrap_or_else(|| panic!("no finish; the log: {}", self.log))
    }

    /// The returned value of an attempt that succeeded.
    fn result(&self) -> &Value {
        assert_eq!(self.finish().state, FinishState::Success, "{:?}\n{}", self.finish, self.log);
        let result = self.xcoms.iter().find(|(key, _)| key == "return_value");
        &result.unwrap_or_else(|| panic!("no result among {:?}", self.xcoms)).1
    }
}

fn interpreter() -> Interpreter {
    static PACKAGE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, package) = PACKAGE.get_or_init(|| {
        let cache = tempfile::tempdir().expect("a cache folder");
        let package = install_package(cache.path()).expect("the package is written");
        (cache, package)
    });
    Interpreter::new("python3", package)
}

fn start(task_id: &str, code: PythonCode) -> Start {
    let day = |day| Utc.with_ymd_and_hms(2024, 5, day, 0, 0, 0).single().expect("a date");
    let Value::Object(conf) = json!({ "key": "value" }) else { unreachable!("an object") };
    Start {
        decides: None,
        code,
        args: vec![],
        kwargs: Map::new(),
        dag_id: "tasks".into(),
        task_id: task_id.into(),
        run_id: "manual__1".into(),
        map_index: -1,
        mapped: None,
        try_number: 2,
        max_tries: 3,
        run_type: RunType::Manual,
        logical_date: Some(day(1)),
        data_interval_start: Some(day(1)),
        data_interval_end: Some(day(2)),
        run_after: day(2),
        run_start_date: Some(day(2)),
        start_date: Some(day(2)),
        previous_logical_date: None,
        next_logical_date: Some(day(2)),
        prev_data_interval_start_success: None,
        prev_data_interval_end_success: None,
        prev_start_date_success: None,
        prev_end_date_success: None,
        xcom_of_any_task: false,
        conf,
        params: Map::new(),
        inlets: Vec::new(),
        outlets: Vec::new(),
        asset_events: Vec::new(),
        dags_folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dags/run").to_string_lossy().into_owned(),
        waiting_since: None,
        reschedules: 0,
        log_url: None,
        callback: None,
    }
}

fn of_file(task_id: &str) -> Start {
    start(task_id, PythonCode::DagFile { file: "tasks.py".into() })
}

/// Runs an attempt to its end, answering for XComs out of `values` by (task, key).
fn run(start: Start, values: &[(&str, &str, Value)]) -> Attempt {
    run_with(start, values, &[])
}

/// The same, with these variables in its environment.
fn run_with(start: Start, values: &[(&str, &str, Value)], variables: &[(&str, &str)]) -> Attempt {
    let (mut ours, theirs) = UnixStream::pair().expect("a socket pair");
    let log = tempfile::NamedTempFile::new().expect("a log file");
    let log_end = || Stdio::from(File::options().append(true).open(log.path()).expect("the log opens"));
    let line = interpreter().command_line();
    let mut command = Command::new(&line[0]);
    command
        .args(&line[1..])
        .envs(variables.iter().copied())
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(log_end())
        .stderr(log_end());
    let mut child = command.process_group(0).spawn().expect("python3 starts");
    drop(command);

    let values: HashMap<_, _> = values.iter().map(|(task, key, value)| ((*task, *key), value)).collect();
    let mut attempt = Attempt { finish: None, xcoms: vec![], log: String::new(), exit_code: None };
    send(&mut ours, &ToTask::Start(Box::new(start)));
    while let Some(said) = receive(&mut ours) {
        match said {
            FromTask::GetXCom { id, task_id, key, .. } => {
                let value = values.get(&(&*task_id, &*key)).map_or(Value::Null, |value| (*value).clone());
                send(&mut ours, &Reply::value(id, value));
            }
            FromTask::SetXCom { id, key, value } => {
                attempt.xcoms.push((key, value));
                send(&mut ours, &Reply::value(id, Value::Null));
            }
            // Nothing is kept.
            FromTask::GetVariable { id, .. }
            | FromTask::GetConnection { id, .. }
            | FromTask::SetVariable { id, .. }
            | FromTask::DeleteVariable { id, .. }
            | FromTask::GetNewestXCom { id, .. }
            | FromTask::Ask { id, .. }
            | FromTask::MaskSecret { id, .. }
            | FromTask::GetAssetEvents { id, .. } => {
                send(&mut ours, &Reply::value(id, Value::Null));
            }
            FromTask::Finish(finish) => {
                assert!(attempt.finish.is_none(), "the last word is said once");
                attempt.finish = Some(finish);
            }
        }
    }
    attempt.exit_code = child.wait().expect("python3 ends").code();
    attempt.log = readable(&std::fs::read_to_string(log.path()).expect("the log is text"));
    attempt
}

/// As the worker shows the lines that say what they are.
fn readable(log: &str) -> String {
    let line = |line: &str| match line.strip_prefix('\u{1e}').map(|rest| rest.splitn(3, '\u{1f}').collect::<Vec<_>>()) {
        Some(parts) if parts.len() == 3 => format!("{{{}}} {} - {}", parts[1], parts[0], parts[2]),
        Some(_) | None => line.trim_start_matches('\u{1e}').to_owned(),
    };
    log.split_inclusive('\n').map(line).collect()
}

fn send(channel: &mut UnixStream, message: &impl serde::Serialize) {
    channel.write_all(&frame(message).expect("a message")).expect("the task listens");
}

fn receive(channel: &mut UnixStream) -> Option<FromTask> {
    let mut head = [0; 4];
    channel.read_exact(&mut head).ok()?;
    let mut body = vec![0; frame_length(head).expect("a sane length")];
    channel.read_exact(&mut body).expect("a whole frame");
    Some(serde_json::from_slice(&body).expect("a message of the protocol"))
}

#[test]
fn a_callable_gets_what_it_names_and_its_result_is_kept() {
    let mut start = of_file("by_name");
    start.args = vec![json!("2024-05-01")];
    let attempt = run(start, &[]);
    let expected = json!({
        "name": "2024-05-01", "ds": "2024-05-01", "try": 2, "conf": { "key": "value" }, "rows": 10,
        "week": "2024-05-08", "next_ds": "2024-05-02", "ts": "2024-05-01T00:00:00+00:00", "task": "by_name",
        "tomorrow": "2024-05-02", "same": true, "added": "2024-05-06",
    });
    assert_eq!(attempt.result(), &expected);
    assert_eq!(attempt.exit_code, Some(0));
    assert!(attempt.log.contains("a line of print\n"), "{}", attempt.log);
    assert!(attempt.log.contains("{tasks.py:"), "{}", attempt.log);
    assert!(attempt.log.contains("INFO - a line of logging\n"), "{}", attempt.log);
    let result = run(of_file("missing_context"), &[]);
    assert_eq!(result.result(), &json!(["manual__1", 5]));
}

#[test]
fn rendered_arguments_replace_texts_and_leave_what_only_python_can_hold() {
    let mut start = of_file("as_written");
    let Value::Object(kwargs) = json!({ "when": { "__updraft__": "as_written" }, "words": ["2024-05-01", "plain"] })
    else {
        unreachable!("an object")
    };
    start.kwargs = kwargs;
    assert_eq!(run(start, &[]).result(), &json!([2024, "Europe/Zurich", ["2024-05-01", "plain"]]));

    let mut start = of_file("templates_dict");
    start.kwargs.insert("templates_dict".into(), json!({ "day": "2024-05-01" }));
    assert_eq!(run(start, &[]).result(), &json!("2024-05-01"));

    let mut start = of_file("shout");
    start.kwargs.insert("word".into(), json!("rendered"));
    assert_eq!(run(start, &[]).result(), &json!("RENDERED"), "template_fields of an operator of the author's own");
}

#[test]
fn xcoms_go_both_ways() {
    let attempt = run(of_file("push_and_pull"), &[("other", "half", json!(4))]);
    assert_eq!(attempt.xcoms, [("half".to_owned(), json!(21)), ("return_value".to_owned(), json!(8))]);
    let attempt = run(of_file("split"), &[("numbers", "return_value", json!([1, 2, 3]))]);
    let whole = json!({ "sum": 60, "count": 3 });
    let expected = [("sum", json!(60)), ("count", json!(3)), ("return_value", whole)];
    assert_eq!(attempt.xcoms, expected.map(|(key, value)| (key.to_owned(), value)), "multiple_outputs");
    let upstream = [("split", "sum", json!(60)), ("split", "count", json!(3))];
    assert_eq!(run(of_file("join"), &upstream).result(), &json!([60, { "deep": [3] }]));
    assert_eq!(run(of_file("quiet"), &[]).xcoms, [], "do_xcom_push=False");
    assert_eq!(run(of_file("none"), &[]).xcoms, [], "None is not kept");
}

#[test]
fn every_way_to_end_is_told_apart() {
    for (task, state, retryable, message) in [
        ("skip", FinishState::Skipped, true, "nothing to do"),
        ("fail_for_good", FinishState::Failed, false, "AirflowFailException: never again"),
        ("fail", FinishState::Failed, true, "KeyError: 'b'"),
        ("exits", FinishState::Failed, true, "SystemExit: 2"),
        ("not_json", FinishState::Failed, true, "got: datetime at [\"rows\"][1]"),
        ("variable", FinishState::Failed, true, "updraft variables set nowhere VALUE"),
        ("docker", FinishState::Failed, false, "apache-airflow-providers-docker"),
        ("no_such_task", FinishState::Failed, true, "has no task `no_such_task`"),
    ] {
        let mut start = of_file(task);
        if task == "exits" {
            start.args = vec![json!(2)];
        }
        let attempt = run(start, &[]);
        let finish = attempt.finish();
        assert_eq!((finish.state, finish.retryable), (state, retryable), "{task}: {finish:?}");
        assert!(finish.message.as_deref().unwrap_or_default().contains(message), "{task}: {finish:?}");
        assert_eq!(attempt.exit_code, Some(i32::from(state == FinishState::Failed)), "{task}");
    }
}

#[test]
fn a_failure_leaves_the_authors_traceback_in_the_log() {
    let log = run(of_file("fail"), &[]).log;
    assert!(log.contains("ERROR - Task failed with exception\nTraceback (most recent call last):"), "{log}");
    assert!(log.contains("tasks.py\", line") && log.contains("in inner") && log.contains("KeyError: 'b'"), "{log}");
    assert!(!log.contains("updraft_bridge"), "our own frames are no help: {log}");
}

#[test]
fn a_process_that_leaves_at_once_says_nothing_and_its_exit_code_remains() {
    let mut start = of_file("crash");
    start.args = vec![json!(7)];
    let attempt = run(start, &[]);
    assert_eq!(attempt.finish, None);
    assert_eq!(attempt.exit_code, Some(7));
}

#[test]
fn a_subclass_of_the_bash_operator_runs_bash_itself() {
    let attempt = run(of_file("bash_twice"), &[]);
    assert_eq!(attempt.result(), &json!("lastlast"));
    assert!(attempt.log.contains("first\nlast\n"), "{}", attempt.log);
}

#[test]
fn functions_and_statements_of_yaml_files_run_too() {
    let function = |name: &str| PythonCode::Function { module: "jobs".into(), function: name.into() };
    let mut add = start("add", function("add"));
    add.args = vec![json!(1)];
    add.kwargs.insert("b".into(), json!(2));
    assert_eq!(run(add, &[]).result(), &json!({ "sum": 3, "run": "manual__1" }));
    assert_eq!(run(start("one", function("Jobs.one")), &[]).result(), &json!(1));
    let misspelt = run(start("add", function("ad")), &[]);
    let message = misspelt.finish().message.clone().unwrap_or_default();
    assert!(message.contains("has no function `ad`; did you mean `add`?"), "{message}");

    let inline = |source: &str| start("inline", PythonCode::Inline { source: source.into() });
    let attempt = run(
        inline("import math\nprint(ds)\nresult = [math.floor(2.5), ti.xcom_pull('a')]"),
        &[("a", "return_value", json!("x"))],
    );
    assert_eq!(attempt.result(), &json!([2, "x"]));
    assert!(attempt.log.contains("2024-05-01\n"), "{}", attempt.log);
    let broken = run(inline("a = 1\nb = a + unknown\n"), &[]);
    assert!(broken.log.contains("line 2") && broken.log.contains("b = a + unknown"), "{}", broken.log);
}
