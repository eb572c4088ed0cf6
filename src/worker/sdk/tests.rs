//! The wire against frames that Airflow's own encoder wrote, and the supervisor as a table of requests and what follows.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::frame::{self, Frame};
use super::supervisor::Own;
use super::{Step, Supervisor};
use crate::domain::secret::Hidden;
use crate::protocol::task_channel::{FinishState, FromTask};
use crate::protocol::work::{Answer, Question};

fn supervisor() -> Supervisor {
    let own = Own {
        dag_id: "d".to_owned(),
        run_id: "r".to_owned(),
        task_id: "t".to_owned(),
        map_index: -1,
        previous_success: None,
        waiting_since: None,
    };
    Supervisor::new(own, json!({ "type": "StartupDetails", "start_date": "2026-01-01T00:00:00Z", "ti_context": {} }))
}

fn ask(supervisor: &mut Supervisor, id: u64, body: Value) -> Vec<Step> {
    supervisor.on_frame(Frame { id, body: Ok(body) })
}

/// A reply as the runner reads it: its id, its body, its error.
fn read(step: &Step) -> (u64, Value, Value) {
    let Step::Reply(bytes) = step else { panic!("expected a reply, got: {step:?}") };
    let mut body = &bytes[4..];
    let parts = rmpv::decode::read_value(&mut body).expect("msgpack");
    let parts = parts.as_array().expect("an array").clone();
    let part = |at: usize| parts.get(at).map_or(Value::Null, |part| rmpv::ext::from_value(part.clone()).expect("JSON"));
    (parts[0].as_u64().expect("an id"), part(1), part(2))
}

fn only(steps: &[Step]) -> &Step {
    assert_eq!(steps.len(), 1, "{steps:?}");
    &steps[0]
}

fn of_xcom(word: &str) -> Value {
    json!({ "type": word, "key": "k", "dag_id": "d", "run_id": "r", "task_id": "up", "map_index": null,
            "offset": -1, "start": null, "stop": null, "step": null })
}

#[test]
fn frames_of_airflows_own_encoder_are_understood() {
    let vectors = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sdk_frames.json"));
    let vectors: Vec<Value> = serde_json::from_str(vectors).expect("the vectors");
    let mut shown = String::new();
    for vector in &vectors {
        let hex = vector["hex"].as_str().expect("digits");
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("a byte")).collect();
        let head = bytes[..4].try_into().expect("four bytes");
        assert_eq!(frame::announced(head).expect("a length"), bytes.len() - 4);
        let frame = frame::decode(&bytes[4..]).expect("a frame");
        let request = super::request::read(frame.body.expect("a body"));
        shown.push_str(&format!("{} {} {:?}\n", frame.id, vector["what"].as_str().expect("a name"), request));
    }
    for part in [
        "0 GetXCom Ok(GetXCom(XComOf { key: \"return_value\"",
        "1 SetXCom Ok(SetXCom",
        "String(\"ü\")",
        "stop: Some(-1)",
        "RescheduleTask { reschedule_date: 2026-11-21T12:00:00Z }",
        "trigger_timeout: Some(\"PT90S\")",
        "dest_asset_key",
        "tasks: [Task(\"a\"), Instance(\"b\", 3)]",
        "logical_date: Some(1969-12-31T23:59:59Z)",
        "logical_dates: Some([2026-01-01T00:00:00Z])",
        "10 GetHITLDetailResponse Ok(Unknown)",
    ] {
        assert!(shown.contains(part), "{part} is missing in:\n{shown}");
    }
    assert_eq!(vectors.len(), 11);
}

#[test]
fn a_hostile_frame_is_refused_and_a_body_that_is_no_json_is_an_error_of_its_request() {
    let huge = frame::announced([255; 4]).expect_err("4 GiB");
    assert!(huge.to_string().contains("got: 4294967295 bytes"), "{huge}");
    let deep: Vec<u8> = [0x92, 0x01].into_iter().chain(std::iter::repeat_n(0x91, 100_000)).collect();
    let promised = [0x92, 0x01, 0xdd, 0xff, 0xff, 0xff, 0xff];
    let beyond = [&frame::reply(1, &Value::Null)[4..], &[0xc0]].concat();
    for (what, bytes) in [
        ("empty", &[][..]),
        ("no array", &[0xc0]),
        ("no id", &[0x92, 0xc0, 0x80]),
        ("a negative id", &[0x92, 0xff, 0x80]),
        ("too short", &[0x91, 0x01]),
        ("too long", &[0x94, 0x01, 0x80, 0xc0, 0xc0]),
        ("too deep", &deep),
        ("more elements promised than there are", &promised),
        ("something behind its end", &beyond),
    ] {
        assert!(frame::decode(bytes).is_err(), "{what}");
    }
    for (what, body) in [
        ("bytes", &[0xc4, 0x01, 0x00][..]),
        ("not a number", &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]),
        ("a number as a key", &[0x81, 0x01, 0x02]),
        ("no UTF-8", &[0xa1, 0xff]),
        ("another extension", &[0xd4, 0x05, 0x00]),
        ("an instant with too many nanoseconds", &[0xd7, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
    ] {
        let bytes = [&[0x92, 0x07][..], body].concat();
        let frame = frame::decode(&bytes).expect("it has an id");
        let why = frame.body.clone().expect_err(what);
        let steps = supervisor().on_frame(frame);
        let (id, body, error) = read(only(&steps));
        assert_eq!((id, body), (7, Value::Null));
        assert_eq!(error["detail"]["message"], why);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300f64).prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(id in any::<u64>(), body in any_json()) {
        let bytes = frame::request(id, &body);
        let length = frame::announced(bytes[..4].try_into().expect("four bytes")).expect("short enough");
        prop_assert_eq!(length, bytes.len() - 4);
        prop_assert_eq!(frame::decode(&bytes[4..]), Ok(Frame { id, body: Ok(body) }));
    }

    #[test]
    fn no_bytes_make_it_panic_and_every_frame_gets_its_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(frame) = frame::decode(&bytes) {
            let id = frame.id;
            let mut supervisor = supervisor();
            let steps = supervisor.on_frame(frame);
            prop_assert!(!steps.is_empty());
            let steps = match &steps[0] {
                Step::Reply(_) => steps,
                Step::Say(_) => supervisor.on_answer(id, Answer::Refused { why: "no".to_owned() }),
            };
            let replies = steps.iter().filter(|step| matches!(step, Step::Reply(_))).count();
            prop_assert_eq!(replies, 1);
        }
    }
}

#[test]
fn what_is_not_there_is_told_and_not_raised() {
    let mut supervisor = supervisor();
    let steps = ask(&mut supervisor, 1, json!({ "type": "GetVariable", "key": "k" }));
    assert_eq!(steps, [Step::Say(FromTask::GetVariable { id: 1, key: "k".to_owned() })]);
    let (id, body, error) = read(only(&supervisor.on_answer(1, Answer::Variable { value: None })));
    assert_eq!((id, &body["error"], error), (1, &json!("VARIABLE_NOT_FOUND"), Value::Null));

    ask(&mut supervisor, 2, json!({ "type": "GetVariable", "key": "k" }));
    let found = supervisor.on_answer(2, Answer::Variable { value: Some(Hidden("v".to_owned())) });
    assert_eq!(read(only(&found)).1, json!({ "type": "VariableResult", "key": "k", "value": "v" }));

    ask(&mut supervisor, 3, json!({ "type": "GetConnection", "conn_id": "c" }));
    let (_, body, _) = read(only(&supervisor.on_answer(3, Answer::Connection { connection: None })));
    assert_eq!(body["error"], "CONNECTION_NOT_FOUND");

    ask(&mut supervisor, 4, of_xcom("GetXComSequenceItem"));
    let (_, body, _) = read(only(&supervisor.on_answer(4, Answer::XComs { values: Vec::new() })));
    assert_eq!(body["error"], "XCOM_NOT_FOUND");
    // What the scheduler refuses is raised, with its sentence.
    ask(&mut supervisor, 5, of_xcom("GetXCom"));
    let (_, body, error) = read(only(&supervisor.on_answer(5, Answer::Refused { why: "no such task".to_owned() })));
    assert_eq!((body, &error["detail"]["message"]), (Value::Null, &json!("no such task")));
    // An answer that nobody waits for says nothing.
    assert_eq!(supervisor.on_answer(5, Answer::Stored), []);
}

#[test]
fn an_unknown_request_gets_the_answer_that_the_runner_knows_and_an_incomplete_one_a_sentence() {
    let mut supervisor = supervisor();
    let (_, body, error) =
        read(only(&ask(&mut supervisor, 1, json!({ "type": "GetHITLDetailResponse", "ti_id": "x" }))));
    assert_eq!(body, Value::Null);
    assert_eq!(
        error,
        json!({ "type": "ErrorResponse", "error": "API_SERVER_ERROR",
                "detail": { "status_code": 400, "message": "Unhandled request" } })
    );
    let (_, _, error) = read(only(&ask(&mut supervisor, 2, json!({ "type": "GetVariable" }))));
    let why = error["detail"]["message"].as_str().expect("a sentence");
    assert!(why.contains("`GetVariable`") && why.contains("missing field `key`"), "{why}");
    let (_, _, error) = read(only(&ask(&mut supervisor, 3, json!({ "key": "k" }))));
    assert_eq!(error["error"], "GENERIC_ERROR");
}

#[test]
fn a_task_leaves_values_in_its_own_name_alone() {
    let mut supervisor = supervisor();
    let set = |task: &str, index: Value| {
        json!({ "type": "SetXCom", "key": "return_value", "value": [1], "dag_id": "d", "run_id": "r",
                "task_id": task, "map_index": index, "dag_result": false, "mapped_length": null })
    };
    let said = FromTask::SetXCom { id: 1, key: "return_value".to_owned(), value: json!([1]) };
    assert_eq!(ask(&mut supervisor, 1, set("t", json!(-1))), [Step::Say(said)]);
    assert_eq!(read(only(&supervisor.on_answer(1, Answer::Stored))), (1, Value::Null, Value::Null));
    for (id, (task, index)) in (2..).zip([("other", json!(-1)), ("t", json!(3))]) {
        let (_, _, error) = read(only(&ask(&mut supervisor, id, set(task, index))));
        let why = error["detail"]["message"].as_str().expect("a sentence");
        assert!(why.contains("cannot leave an XCom"), "{why}");
    }
}

#[test]
fn a_branch_that_has_decided_is_not_decided_once_more() {
    let skip = json!({ "type": "SkipDownstreamTasks", "tasks": ["a", ["b", 2]] });
    let mut branch = supervisor();
    let decision = json!({ "type": "SetXCom", "key": "skipmixin_key", "value": { "followed": ["c"] }, "dag_id": "d",
                           "run_id": "r", "task_id": "t", "map_index": -1 });
    ask(&mut branch, 1, decision);
    branch.on_answer(1, Answer::Stored);
    assert_eq!(read(only(&ask(&mut branch, 2, skip.clone()))), (2, Value::Null, Value::Null));

    let expected =
        FromTask::SetXCom { id: 1, key: "skipmixin_key".to_owned(), value: json!({ "skipped": ["a", "b"] }) };
    assert_eq!(ask(&mut supervisor(), 1, skip), [Step::Say(expected)]);
}

#[test]
fn the_last_word_is_the_outcome_and_is_answered_like_any_other() {
    let table = [
        (json!({ "type": "SucceedTask", "end_date": "2026-01-01T00:00:00Z" }), FinishState::Success, true),
        (json!({ "type": "TaskState", "state": "failed" }), FinishState::Failed, false),
        (json!({ "type": "TaskState", "state": "skipped" }), FinishState::Skipped, true),
        (json!({ "type": "TaskState", "state": "removed" }), FinishState::Failed, false),
        (json!({ "type": "RetryTask" }), FinishState::Failed, true),
        (
            json!({ "type": "RescheduleTask", "reschedule_date": "2026-01-01T00:00:00Z" }),
            FinishState::Rescheduled,
            true,
        ),
    ];
    for (body, state, retryable) in table {
        let steps = ask(&mut supervisor(), 9, body.clone());
        let [Step::Say(FromTask::Finish(finish)), reply] = &steps[..] else { panic!("{body}: {steps:?}") };
        assert_eq!((finish.state, finish.retryable), (state, retryable), "{body}");
        assert_eq!(finish.awaited.is_some(), state == FinishState::Rescheduled, "{body}");
        assert_eq!(read(reply), (9, Value::Null, Value::Null));
    }
}

#[test]
fn a_deferred_task_goes_on_with_the_event_of_its_trigger() {
    let mut supervisor = supervisor();
    let next = json!({ "type": "Updraft.Next" });
    assert_eq!(read(only(&ask(&mut supervisor, 1, next.clone()))).1, Value::Null, "nothing was deferred");
    let deferral = json!({ "type": "DeferTask", "classpath": "a.Trigger", "trigger_kwargs": { "n": 1 },
                           "trigger_timeout": "PT90S", "next_method": "go_on", "next_kwargs": { "a": 1 } });
    assert_eq!(read(only(&ask(&mut supervisor, 2, deferral))).1, Value::Null);
    let (_, waiting, _) = read(only(&ask(&mut supervisor, 3, next.clone())));
    assert_eq!(
        waiting,
        json!({ "classpath": "a.Trigger", "trigger_kwargs": { "n": 1 }, "trigger_timeout": "PT90S",
                "next_method": "go_on", "next_kwargs": { "a": 1 } })
    );
    let fired = json!({ "type": "Updraft.Resume", "next_method": "go_on", "next_kwargs": { "a": 1, "event": 7 } });
    let (_, details, _) = read(only(&ask(&mut supervisor, 4, fired)));
    assert_eq!(
        details,
        json!({ "type": "StartupDetails", "start_date": "2026-01-01T00:00:00Z",
                "ti_context": { "next_method": "go_on", "next_kwargs": { "a": 1, "event": 7 },
                                "start_date": "2026-01-01T00:00:00Z" } })
    );
    assert_eq!(read(only(&ask(&mut supervisor, 5, next))).1, Value::Null, "it was waited for once");
}

#[test]
fn a_run_that_exists_is_brought_back_only_where_the_task_says_so() {
    let trigger =
        |reset: bool| json!({ "type": "TriggerDagRun", "dag_id": "o", "run_id": "r2", "reset_dag_run": reset });
    let exists = || Answer::RunExists { run_id: "r2".to_owned() };
    let mut plain = supervisor();
    ask(&mut plain, 1, trigger(false));
    assert_eq!(read(only(&plain.on_answer(1, exists()))).1["error"], "DAGRUN_ALREADY_EXISTS");

    let mut reset = supervisor();
    ask(&mut reset, 1, trigger(true));
    let question = Question::ClearRun { dag_id: "o".to_owned(), run_id: "r2".to_owned() };
    assert_eq!(reset.on_answer(1, exists()), [Step::Say(FromTask::Ask { id: 1, question })]);
    assert_eq!(read(only(&reset.on_answer(1, Answer::Stored))).1, json!({ "type": "OKResponse", "ok": true }));
}

#[test]
fn a_secret_is_hidden_before_the_task_goes_on() {
    let mut supervisor = supervisor();
    let value = json!({ "password": "x1" });
    let steps = ask(&mut supervisor, 1, json!({ "type": "MaskSecret", "value": value, "name": null }));
    assert_eq!(steps, [Step::Say(FromTask::MaskSecret { id: 1, value, name: None })], "the reply waits for the mask");
    assert_eq!(read(only(&supervisor.on_answer(1, Answer::Stored))), (1, Value::Null, Value::Null));
}
