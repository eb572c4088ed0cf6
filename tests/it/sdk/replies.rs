//! Every reply of the supervisor, read by Airflow's own models: those refuse a key too much as well as one too few.

use std::io::Write;
use std::process::{Command, Stdio};

use chrono::{TimeZone, Utc};
use serde_json::{Value, json};
use updraft::domain::connection::Connection;
use updraft::domain::run::{DataInterval, RunType};
use updraft::domain::secret::Hidden;
use updraft::domain::state::{RunState, TaskState};
use updraft::domain::template::PreviousSuccess;
use updraft::protocol::found::{FoundRun, FoundTask};
use updraft::protocol::work::Answer;
use updraft::worker::sdk::frame::Frame;
use updraft::worker::sdk::supervisor::Own;
use updraft::worker::sdk::{Step, Supervisor};

use super::python;

/// Reads frames in hexadecimal digits, one a line, and prints what the models make of them.
const READER: &str = "
import sys
from airflow.sdk.execution_time.comms import CommsDecoder, ToTask, _ResponseFrame
import msgspec
from pydantic import TypeAdapter
bodies, frames = TypeAdapter(ToTask), msgspec.msgpack.Decoder(_ResponseFrame)
for line in sys.stdin:
    what, digits = line.split()
    frame = frames.decode(bytes.fromhex(digits)[4:])
    body = frame.body if frame.error is None else frame.error
    try:
        print(what, 'nothing' if body is None else type(bodies.validate_python(body)).__name__)
    except Exception as error:
        print(what, 'REFUSED', str(error).replace(chr(10), ' '))
";

fn at(day: u32) -> chrono::DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, day, 6, 30, 0).single().expect("a date")
}

fn interval() -> DataInterval {
    DataInterval { start: at(1), end: at(2) }
}

fn found_run() -> FoundRun {
    FoundRun {
        run_id: "r".into(),
        run_type: RunType::Manual,
        state: RunState::Success,
        logical_date: Some(at(1)),
        interval: Some(interval()),
        run_after: at(2),
        started_at: Some(at(2)),
        ended_at: None,
        conf: serde_json::Map::new(),
        note: Some("a note".into()),
        user: None,
        clear_number: 0,
    }
}

fn found_task() -> FoundTask {
    FoundTask {
        run_id: "r".into(),
        logical_date: Some(at(1)),
        task_id: "t".into(),
        map_index: 2,
        state: TaskState::None,
        try_number: 1,
        operator: "EmptyOperator".into(),
        started_at: Some(at(2)),
        ended_at: Some(at(3)),
    }
}

#[test]
fn airflows_own_models_accept_every_reply() {
    let own = Own {
        dag_id: "d".into(),
        run_id: "r".into(),
        task_id: "t".into(),
        map_index: -1,
        previous_success: Some(PreviousSuccess {
            data_interval: Some(interval()),
            start_date: None,
            end_date: Some(at(3)),
        }),
        waiting_since: Some(at(4)),
    };
    let mut supervisor = Supervisor::new(own, Value::Null);
    let connection = Connection {
        conn_type: "http".into(),
        description: None,
        host: Some("h".into()),
        login: None,
        password: Some("p".into()),
        schema: Some("https".into()),
        port: Some(80),
        extra: Some("{}".into()),
    };
    let xcom = |word: &str| {
        json!({ "type": word, "key": "k", "dag_id": "d", "run_id": "r", "task_id": "u", "offset": 0,
                "start": null, "stop": null, "step": null })
    };
    let runs = || Some(Answer::Runs { runs: vec![found_run()] });
    let tasks = || Some(Answer::Tasks { tasks: vec![found_task()] });
    let values = || Some(Answer::XComs { values: vec![json!({ "a": [1, null] })] });
    let table: Vec<(Value, Option<Answer>, &str)> = vec![
        (
            json!({ "type": "GetVariable", "key": "k" }),
            Some(Answer::Variable { value: Some(Hidden("v".into())) }),
            "VariableResult",
        ),
        (json!({ "type": "GetVariable", "key": "k" }), Some(Answer::Variable { value: None }), "ErrorResponse"),
        (json!({ "type": "DeleteVariable", "key": "k" }), Some(Answer::Deleted { existed: true }), "OKResponse"),
        (
            json!({ "type": "GetConnection", "conn_id": "c" }),
            Some(Answer::Connection { connection: Some(Box::new(connection)) }),
            "ConnectionResult",
        ),
        (
            json!({ "type": "GetConnection", "conn_id": "c" }),
            Some(Answer::Connection { connection: None }),
            "ErrorResponse",
        ),
        (xcom("GetXCom"), Some(Answer::XCom { value: None }), "XComResult"),
        (xcom("GetXComCount"), values(), "XComCountResponse"),
        (xcom("GetXComSequenceItem"), values(), "XComSequenceIndexResult"),
        (xcom("GetXComSequenceSlice"), values(), "XComSequenceSliceResult"),
        (
            json!({ "type": "TriggerDagRun", "dag_id": "o", "run_id": "r" }),
            Some(Answer::RunExists { run_id: "r".into() }),
            "ErrorResponse",
        ),
        (
            json!({ "type": "GetDagRunState", "dag_id": "o", "run_id": "r" }),
            Some(Answer::RunState { state: Some(RunState::Queued) }),
            "DagRunStateResult",
        ),
        (json!({ "type": "GetDagRun", "dag_id": "o", "run_id": "r" }), runs(), "DagRunResult"),
        (json!({ "type": "GetPreviousDagRun", "dag_id": "o", "logical_date": at(9) }), runs(), "PreviousDagRunResult"),
        (
            json!({ "type": "GetPreviousDagRun", "dag_id": "o", "logical_date": at(9) }),
            Some(Answer::Runs { runs: vec![] }),
            "PreviousDagRunResult",
        ),
        (json!({ "type": "GetPrevSuccessfulDagRun", "ti_id": "x" }), None, "PrevSuccessfulDagRunResult"),
        (json!({ "type": "GetDRCount", "dag_id": "o" }), runs(), "DRCount"),
        (json!({ "type": "GetTICount", "dag_id": "o" }), tasks(), "TICount"),
        (json!({ "type": "GetTaskStates", "dag_id": "o" }), tasks(), "TaskStatesResult"),
        (json!({ "type": "GetPreviousTI", "dag_id": "o", "task_id": "t" }), tasks(), "PreviousTIResult"),
        (json!({ "type": "GetTaskBreadcrumbs", "dag_id": "o", "run_id": "r" }), tasks(), "TaskBreadcrumbsResult"),
        (json!({ "type": "GetTaskRescheduleStartDate", "ti_id": "x" }), None, "TaskRescheduleStartDate"),
        (json!({ "type": "ValidateInletsAndOutlets", "ti_id": "x" }), None, "InactiveAssetsResult"),
        (
            json!({ "type": "GetAssetEventByAsset", "name": "a", "uri": null }),
            Some(Answer::AssetEvents { events: vec![] }),
            "AssetEventsResult",
        ),
        (json!({ "type": "SetRenderedFields", "rendered_fields": {} }), None, "nothing"),
        (json!({ "type": "ResendLoggingFD" }), None, "ErrorResponse"),
        (json!({ "type": "GetHITLDetailResponse", "ti_id": "x" }), None, "ErrorResponse"),
    ];
    let (mut lines, mut expected) = (String::new(), String::new());
    for (id, (body, answer, model)) in (0..).zip(table) {
        let word = body["type"].as_str().expect("a word").to_owned();
        let mut steps = supervisor.on_frame(Frame { id, body: Ok(body) });
        if let Some(answer) = answer {
            steps = supervisor.on_answer(id, answer);
        }
        let [Step::Reply(bytes)] = &steps[..] else { panic!("{word}: {steps:?}") };
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        lines.push_str(&format!("{word} {digits}\n"));
        expected.push_str(&format!("{word} {model}\n"));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut reader = Command::new(python::with_sdk())
        .args(["-c", READER])
        .env("AIRFLOW_HOME", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the interpreter starts");
    reader.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("it listens");
    let output = reader.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}
