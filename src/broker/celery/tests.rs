//! Stories of one worker and those who look at it, without a broker: requests in, events and answers out.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use uuid::Uuid;

use super::core::{Core, Effect};
use super::machine::Vitals;
use super::view::{About, News, Order, TaskView, WorkerView};
use crate::broker::address::Address;
use crate::broker::topology::Names;
use crate::domain::attempt::Outcome;
use crate::domain::ids::{AttemptId, Claim, DagId, Incarnation, MapIndex, QueueName, RunId, TaskId, TaskKey, WorkerId};
use crate::domain::time::Time;
use crate::protocol::envelope::Installation;

const ME: &str = "celery@host1";

/// The whole tenth second since 1970 and so on.
fn second(n: i64) -> Time {
    DateTime::from_timestamp(n, 0).expect("a time")
}

fn claim(n: i64) -> Claim {
    Claim { worker: WorkerId(Uuid::from_u128(7)), incarnation: Incarnation(1), n }
}

fn uuid(n: i64) -> String {
    Uuid::from_u128(u128::try_from(n).expect("a number")).to_string()
}

fn queue(name: &str) -> QueueName {
    QueueName::new(name).expect("a name")
}

fn view(slots: u32) -> WorkerView {
    WorkerView { slots, queues: vec![queue("default")], draining: false }
}

fn task(n: i64, has_more_tries: bool) -> TaskView {
    TaskView {
        attempt: AttemptId(Uuid::from_u128(u128::try_from(n).expect("a number"))),
        claim: claim(n),
        key: TaskKey {
            dag: DagId::new("etl").expect("an id"),
            run: RunId::new("manual__2026").expect("an id"),
            task: TaskId::new(format!("load{n}")).expect("an id"),
            map_index: MapIndex::UNMAPPED,
        },
        try_number: 2,
        has_more_tries,
        queue: queue("default"),
        redelivered: false,
    }
}

/// One worker, and what it says.
struct World {
    core: Core,
}

impl World {
    fn new(autoscale: Option<(u32, u32)>, task_events: bool) -> Self {
        let about = About {
            name: ME.to_owned(),
            version: "1.2.3".to_owned(),
            pid: 4711,
            started_at: second(0),
            names: Names::new(Installation::new("updraft").expect("a name")),
            autoscale,
            can_run: vec!["bash".to_owned()],
            conf: vec![("worker_concurrency".to_owned(), json!(4))],
            remote_control: true,
            task_events,
        };
        Self { core: Core::new(about, view(4)) }
    }

    fn hears(&mut self, news: News) {
        self.core.on_news(news, second(99));
    }

    /// A task's whole life, from its arrival at `from`.
    fn runs(&mut self, n: i64, outcome: Outcome, has_more_tries: bool) {
        self.hears(News::Received { task: task(n, has_more_tries), at: second(10) });
        self.hears(News::Started { claim: claim(n), pid: 55, at: second(11) });
        self.ends(n, outcome);
    }

    fn ends(&mut self, n: i64, outcome: Outcome) {
        let ended_at = second(11) + TimeDelta::milliseconds(1_500);
        let (exit_code, started_at) = (Some(3), Some(second(11)));
        self.hears(News::Ended { claim: claim(n), outcome, exit_code, started_at, ended_at });
    }

    /// Everything that waits to be told of tasks.
    fn told(&mut self) -> Vec<Value> {
        let effects: Vec<Effect> = std::iter::from_fn(|| self.core.flush()).collect();
        let messages = effects.into_iter().map(|effect| match effect {
            Effect::Tell { routing_key, body } => {
                assert_eq!(routing_key, "task.multi");
                serde_json::from_slice::<Vec<Value>>(&body).expect("a list")
            }
            other @ (Effect::Answer { .. } | Effect::Order(_)) => panic!("{other:?}"),
        });
        messages.flatten().collect()
    }

    fn kinds(&mut self) -> Vec<String> {
        self.told().iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
    }

    fn effects(&mut self, request: &Value) -> Vec<Effect> {
        self.core.on_request(request.to_string().as_bytes(), 0, second(100), &Vitals::default())
    }

    /// The answer and the orders that follow from asking this worker.
    fn ask(&mut self, method: &str, arguments: Value) -> (Value, Vec<Order>) {
        let reply_to = json!({ "exchange": "reply.celery.pidbox", "routing_key": "oid" });
        let request = json!({
            "method": method, "arguments": arguments, "destination": [ME], "pattern": null, "matcher": null,
            "ticket": "t-1", "reply_to": reply_to,
        });
        let (mut answer, mut orders) = (json!("nothing was answered"), Vec::new());
        for effect in self.effects(&request) {
            match effect {
                Effect::Answer { routing_key, ticket, body, clock } => {
                    assert_eq!((routing_key.as_str(), ticket.as_deref()), ("oid", Some("t-1")));
                    assert!(clock > 0);
                    let mut body: Value = serde_json::from_slice(&body).expect("JSON");
                    answer = body[ME].take();
                }
                Effect::Order(order) => orders.push(order),
                Effect::Tell { routing_key, .. } => assert_eq!(routing_key, "worker.heartbeat"),
            }
        }
        (answer, orders)
    }

    fn answer(&mut self, method: &str, arguments: Value) -> Value {
        let (answer, orders) = self.ask(method, arguments);
        assert!(orders.is_empty(), "{orders:?}");
        answer
    }
}

fn event(effect: Effect, key: &str) -> Value {
    match effect {
        Effect::Tell { routing_key, body } if routing_key == key => serde_json::from_slice(&body).expect("JSON"),
        other => panic!("{other:?}"),
    }
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

const COMMON: [&str; 6] = ["type", "hostname", "utcoffset", "pid", "clock", "timestamp"];

#[test]
fn a_worker_comes_beats_and_goes_with_the_fields_that_viewers_read() {
    let mut world = World::new(None, true);
    world.hears(News::Received { task: task(1, false), at: second(10) });
    world.hears(News::Started { claim: claim(1), pid: 55, at: second(11) });
    world.runs(2, Outcome::Success, false);
    let vitals = Vitals { load: [0.5, 0.25, 0.1], ..Vitals::default() };
    let server = Address::parse_all("amqp://ann:hunter2@rabbit/air").expect("an address").remove(0);
    let came = event(world.core.on_connected(server, second(20), &vitals), "worker.online");
    let beat = event(world.core.on_beat(second(25), &vitals), "worker.heartbeat");
    let went = event(world.core.on_leaving(second(30), &vitals), "worker.offline");
    for (event, kind) in [(&came, "worker-online"), (&beat, "worker-heartbeat"), (&went, "worker-offline")] {
        let own = ["freq", "active", "processed", "loadavg", "sw_ident", "sw_ver", "sw_sys"];
        assert_eq!(keys(event), COMMON.into_iter().chain(own).collect());
        assert_eq!(event["type"], kind);
    }
    assert_eq!((&beat["hostname"], &beat["utcoffset"], &beat["pid"]), (&json!(ME), &json!(0), &json!(4711)));
    assert_eq!((&beat["timestamp"], &beat["active"], &beat["processed"]), (&json!(25.0), &json!(1), &json!(1)));
    assert_eq!((&beat["loadavg"], &beat["freq"]), (&json!([0.5, 0.25, 0.1]), &json!(5.0)));
    assert!(came["clock"].as_i64() < beat["clock"].as_i64() && beat["clock"].as_i64() < went["clock"].as_i64());
}

#[test]
fn every_end_of_a_task_has_its_event_with_the_fields_of_celery() {
    for (outcome, has_more_tries, kind, fields) in [
        (Outcome::Success, true, "task-succeeded", json!({ "result": "'success'", "runtime": 1.5 })),
        (Outcome::Skipped, true, "task-succeeded", json!({ "result": "'skipped'", "runtime": 1.5 })),
        (Outcome::Deferred, true, "task-succeeded", json!({ "result": "'deferred'", "runtime": 1.5 })),
        (Outcome::Rescheduled, true, "task-succeeded", json!({ "result": "'rescheduled'", "runtime": 1.5 })),
        (
            Outcome::Failed { retryable: true },
            true,
            "task-retried",
            json!({ "exception": "TaskFailed('exit code 3, see its log')", "traceback": "the log of the task has it" }),
        ),
        (
            Outcome::Failed { retryable: true },
            false,
            "task-failed",
            json!({ "exception": "TaskFailed('exit code 3, see its log')", "traceback": "the log of the task has it" }),
        ),
        (
            Outcome::Failed { retryable: false },
            true,
            "task-failed",
            json!({ "exception": "TaskFailed('exit code 3, see its log')", "traceback": "the log of the task has it" }),
        ),
        (
            Outcome::TimedOut,
            false,
            "task-failed",
            json!({
                "exception": "TaskTimedOut('it ran longer than execution_timeout')",
                "traceback": "the log of the task has it",
            }),
        ),
        (Outcome::Killed, true, "task-revoked", json!({ "terminated": true, "signum": "SIGTERM", "expired": false })),
        (Outcome::Fenced, true, "task-revoked", json!({ "terminated": true, "signum": "SIGTERM", "expired": false })),
    ] {
        let mut world = World::new(None, true);
        world.runs(1, outcome, has_more_tries);
        let told = world.told();
        let kinds: Vec<&Value> = told.iter().map(|event| &event["type"]).collect();
        assert_eq!(kinds, [&json!("task-received"), &json!("task-started"), &json!(kind)], "{outcome:?}");
        let [received, started, ended] = &told[..] else { panic!("three") };
        let of_received = ["name", "args", "kwargs", "root_id", "parent_id", "retries", "eta", "expires"];
        assert_eq!(keys(received), COMMON.into_iter().chain(["uuid"]).chain(of_received).collect());
        assert_eq!((&received["name"], &received["kwargs"]), (&json!("etl.load1"), &json!("{}")));
        assert_eq!(received["args"], "('etl', 'load1', 'manual__2026', 2)");
        assert_eq!((&received["retries"], &received["timestamp"]), (&json!(1), &json!(10.0)));
        assert_eq!(keys(started), COMMON.into_iter().chain(["uuid"]).collect());
        assert_eq!(started["timestamp"], 11.0);
        assert_eq!(keys(ended), COMMON.into_iter().chain(["uuid"]).chain(keys(&fields)).collect());
        for (name, value) in fields.as_object().expect("an object") {
            assert_eq!(&ended[name], value, "{outcome:?}");
        }
        assert!(told.iter().all(|event| event["uuid"] == uuid(1) && event["hostname"] == ME));
        assert_eq!(ended["timestamp"], 12.5);
    }
}

#[test]
fn a_report_that_is_repeated_counts_once_and_one_without_a_start_is_told_whole() {
    let mut world = World::new(None, true);
    world.runs(1, Outcome::Success, false);
    world.ends(1, Outcome::Success);
    assert_eq!(world.kinds().len(), 3);
    world.hears(News::Received { task: task(2, false), at: second(10) });
    world.hears(News::Ended {
        claim: claim(2),
        outcome: Outcome::NeverStarted,
        exit_code: None,
        started_at: None,
        ended_at: second(12),
    });
    assert_eq!(world.kinds(), ["task-received", "task-failed"]);
    assert_eq!(world.answer("stats", json!({}))["total"], json!({ "etl.load1": 1, "etl.load2": 1 }));
}

#[test]
fn what_was_refused_or_given_back_is_no_task_of_this_worker() {
    let mut world = World::new(None, true);
    for n in [1, 2, 3] {
        world.hears(News::Received { task: task(n, false), at: second(10) });
    }
    world.hears(News::Started { claim: claim(3), pid: 9, at: second(11) });
    assert_eq!(world.kinds(), ["task-received", "task-started"]);
    let held = |world: &mut World| {
        let count = |list: Value| list.as_array().expect("a list").len();
        (count(world.answer("reserved", json!({}))), count(world.answer("active", json!({}))))
    };
    assert_eq!(held(&mut world), (2, 1));
    world.hears(News::GivenBack { claim: claim(1), at: second(12) });
    world.hears(News::Standing(view(4), vec![claim(3)]));
    assert_eq!(held(&mut world), (0, 1));
    world.hears(News::Online(view(4)));
    assert_eq!(held(&mut world), (0, 0));
    assert_eq!(world.kinds(), ["task-revoked"], "its life ended, and the task with it");
}

#[test]
fn task_events_begin_when_a_viewer_asks_and_then_tell_of_what_runs() {
    let mut world = World::new(None, false);
    world.runs(1, Outcome::Success, false);
    world.hears(News::Received { task: task(2, false), at: second(10) });
    world.hears(News::Started { claim: claim(2), pid: 9, at: second(11) });
    assert!(world.told().is_empty());
    assert_eq!(world.answer("enable_events", json!({})), json!({ "ok": "task events enabled" }));
    assert_eq!(world.answer("enable_events", json!({})), json!({ "ok": "task events already enabled" }));
    assert_eq!(world.kinds(), ["task-received", "task-started"]);
    world.ends(2, Outcome::Success);
    assert_eq!(world.kinds(), ["task-succeeded"]);
    assert_eq!(world.answer("disable_events", json!({})), json!({ "ok": "task events disabled" }));
    world.runs(3, Outcome::Success, false);
    assert!(world.told().is_empty());
}

#[test]
fn events_that_wait_for_a_connection_are_bounded() {
    let mut world = World::new(None, true);
    for n in 1..=1_000 {
        world.runs(n, Outcome::Success, false);
    }
    let told = world.told();
    assert_eq!(told.len(), 2_000);
    assert_eq!(told.last().map(|event| &event["uuid"]), Some(&json!(uuid(1_000))), "the newest are kept");
}

#[test]
fn inspect_is_answered_with_the_fields_of_celery() {
    let mut world = World::new(None, false);
    let server = Address::parse_all("amqp://ann:hunter2@rabbit/air").expect("an address").remove(0);
    world.core.on_connected(server, second(20), &Vitals::default());
    world.runs(1, Outcome::Success, false);
    world.hears(News::Received { task: task(2, false), at: second(10) });
    world.hears(News::Started { claim: claim(2), pid: 77, at: second(11) });
    world.hears(News::Received { task: task(3, false), at: second(12) });

    assert_eq!(world.answer("ping", json!({})), json!({ "ok": "pong" }));
    let active = world.answer("active", json!({}));
    assert_eq!(
        active,
        json!([{
            "id": uuid(2), "name": "etl.load2", "args": ["etl", "load2", "manual__2026", 2], "kwargs": {},
            "type": "etl.load2", "hostname": ME, "time_start": 11.0, "acknowledged": false,
            "delivery_info": {
                "exchange": "", "routing_key": "updraft.task.default", "priority": 0, "redelivered": false,
            },
            "worker_pid": 77,
        }])
    );
    let safe = world.answer("dump_active", json!({ "safe": true }));
    assert_eq!((&safe[0]["args"], &safe[0]["kwargs"]), (&json!("('etl', 'load2', 'manual__2026', 2)"), &json!("{}")));
    let reserved = world.answer("reserved", json!({}));
    assert_eq!((&reserved[0]["id"], &reserved[0]["time_start"]), (&json!(uuid(3)), &Value::Null));
    assert_eq!(world.answer("scheduled", json!({})), json!([]));
    assert_eq!(world.answer("revoked", json!({})), json!([]));
    assert_eq!(world.answer("registered", json!({ "taskinfoitems": null })), json!(["bash"]));
    assert_eq!(world.answer("conf", json!({ "with_defaults": true })), json!({ "worker_concurrency": 4 }));
    let asked = world.answer("query_task", json!({ "ids": [uuid(2), uuid(3), uuid(1), "nonsense"] }));
    assert_eq!(keys(&asked), BTreeSet::from([uuid(2).as_str(), uuid(3).as_str()]));
    assert_eq!((&asked[uuid(2)][0], &asked[uuid(3)][0]), (&json!("active"), &json!("reserved")));

    let stats = world.answer("stats", json!({}));
    assert_eq!(stats["total"], json!({ "etl.load1": 1 }));
    assert_eq!((&stats["pid"], &stats["uptime"], &stats["prefetch_count"]), (&json!(4711), &json!(100), &json!(4)));
    assert!(stats["clock"].as_str().is_some_and(|clock| clock.parse::<i64>().is_ok()), "a text");
    let pool = &stats["pool"];
    assert_eq!(pool["max-concurrency"], 4);
    assert_eq!(pool["processes"].as_array().map(Vec::len), Some(4), "exporters count them");
    let broker = &stats["broker"];
    assert_eq!(
        (&broker["hostname"], &broker["userid"], &broker["port"]),
        (&json!("rabbit"), &json!("ann"), &json!(5672))
    );
    assert_eq!((&broker["transport"], &broker["virtual_host"]), (&json!("amqp"), &json!("air")));
    assert!(!stats.to_string().contains("hunter2"));

    let queues = world.answer("active_queues", json!({}));
    let of_queue = [
        "name",
        "exchange",
        "routing_key",
        "queue_arguments",
        "binding_arguments",
        "consumer_arguments",
        "durable",
        "exclusive",
        "auto_delete",
        "no_ack",
        "alias",
        "bindings",
        "no_declare",
        "expires",
        "message_ttl",
        "max_length",
        "max_length_bytes",
        "max_priority",
    ];
    assert_eq!(keys(&queues[0]), BTreeSet::from(of_queue));
    assert_eq!((&queues[0]["name"], &queues[0]["alias"]), (&json!("updraft.task.default"), &json!("default")));
    assert!(world.answer("report", json!({}))["ok"].as_str().is_some_and(|text| text.contains("updraft:1.2.3")));
    assert_eq!(world.answer("hello", json!({ "from_node": ME, "revoked": {} })), Value::Null);
    assert_eq!(world.answer("hello", json!({ "from_node": "celery@other" }))["revoked"], json!([]));
    assert_eq!(world.answer("nonsense", json!({})), json!({ "error": "KeyError('nonsense')" }));
    assert_eq!(world.answer("election", json!({ "id": 1, "topic": "t" })), Value::Null);
}

#[test]
fn orders_change_the_worker_within_its_bounds() {
    let mut world = World::new(None, false);
    let resized = |slots| vec![Order::Resize { slots }];
    assert_eq!(world.ask("pool_grow", json!({ "n": 2 })), (json!({ "ok": "pool will grow" }), resized(6)));
    assert_eq!(world.ask("pool_grow", json!({})), (json!({ "ok": "pool will grow" }), resized(7)));
    assert_eq!(world.ask("pool_shrink", json!({ "n": 6 })), (json!({ "ok": "pool will shrink" }), resized(1)));
    let never = world.answer("pool_shrink", json!({}));
    assert!(never["error"].as_str().is_some_and(|why| why.contains("1 to 1024 slots")), "{never}");
    let never = world.answer("pool_grow", json!({ "n": 1_024 }));
    assert!(never["error"].as_str().is_some_and(|why| why.contains("has 1")), "{never}");

    let queues = |add: &[&str], remove: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| queue(name)).collect();
        vec![Order::Queues { add: names(add), remove: names(remove) }]
    };
    let asked = json!({ "queue": "gpu" });
    assert_eq!(world.ask("add_consumer", asked.clone()), (json!({ "ok": "add consumer gpu" }), queues(&["gpu"], &[])));
    assert_eq!(world.answer("add_consumer", asked), json!({ "ok": "already consuming from gpu" }));
    // As a viewer shows it.
    let shown = json!({ "queue": "updraft.task.gpu" });
    let gone = json!({ "ok": "no longer consuming from updraft.task.gpu" });
    assert_eq!(world.ask("cancel_consumer", shown.clone()), (gone.clone(), queues(&[], &["gpu"])));
    assert_eq!(world.answer("cancel_consumer", shown), gone);
    let too_long = world.answer("add_consumer", json!({ "queue": "ü".repeat(200) }));
    assert!(too_long["error"].as_str().is_some_and(|why| why.contains("too long")), "{too_long}");

    assert_eq!(world.ask("shutdown", json!({})), (json!("nothing was answered"), vec![Order::Shutdown]));
    world.hears(News::Standing(WorkerView { draining: true, ..view(4) }, Vec::new()));
    assert_eq!(world.answer("pool_grow", json!({})), json!({ "error": "the worker is leaving" }));
}

#[test]
fn only_a_running_task_can_be_ended_and_no_wish_is_refused_in_silence() {
    let mut world = World::new(None, false);
    world.hears(News::Received { task: task(1, false), at: second(10) });
    world.hears(News::Started { claim: claim(1), pid: 9, at: second(11) });
    world.hears(News::Received { task: task(2, false), at: second(10) });
    let unknown = json!({ "ok": "terminate: tasks unknown" });
    assert_eq!(world.answer("revoke", json!({ "task_id": [uuid(2)], "terminate": true })), unknown);
    let ended = json!({ "ok": format!("terminate: {}", uuid(1)) });
    let order = |at_once| vec![Order::Terminate { claim: claim(1), at_once }];
    let both = json!([uuid(2), uuid(1)]);
    assert_eq!(world.ask("revoke", json!({ "task_id": both, "terminate": true })), (ended.clone(), order(false)));
    assert_eq!(world.ask("terminate", json!({ "task_id": uuid(1), "signal": "KILL" })), (ended, order(true)));
    for (method, arguments, says) in [
        ("revoke", json!({ "task_id": uuid(1) }), "only a running task"),
        ("rate_limit", json!({ "task_name": "etl.load1", "rate_limit": "1/m" }), "not supported"),
        ("time_limit", json!({ "task_name": "etl.load1", "soft": 1, "hard": 2 }), "not supported"),
        ("pool_restart", json!({}), "not enabled"),
        ("autoscale", json!({ "max": 3, "min": 1 }), "ValueError('Autoscale not enabled')"),
    ] {
        let answer = world.answer(method, arguments);
        assert!(answer["error"].as_str().is_some_and(|why| why.contains(says)), "{method}: {answer}");
    }
    let mut scaled = World::new(Some((8, 2)), false);
    for method in ["pool_grow", "autoscale"] {
        assert!(scaled.answer(method, json!({}))["error"].is_string());
    }
}

#[test]
fn a_stranger_cannot_make_the_worker_write_elsewhere_or_fall_over() {
    let mut world = World::new(None, false);
    let elsewhere = json!({
        "method": "ping", "ticket": "t", "reply_to": { "exchange": "", "routing_key": "updraft.scheduler" },
    });
    assert!(world.effects(&elsewhere).is_empty());
    assert!(world.effects(&json!({ "method": "ping" })).is_empty(), "nobody wants an answer");
    assert!(world.effects(&json!({ "method": "shutdown", "destination": ["celery@other"] })).is_empty());
    for nonsense in [&b"\x80\x04pickle"[..], b"", b"null", b"{\"method\":{}}"] {
        assert!(world.core.on_request(nonsense, i64::MAX, second(1), &Vitals::default()).is_empty());
    }
    assert_eq!(world.effects(&json!({ "method": "shutdown" })), [Effect::Order(Order::Shutdown)]);
    let beats = world.effects(&json!({ "method": "heartbeat" }));
    assert!(matches!(&beats[..], [Effect::Tell { routing_key, .. }] if routing_key == "worker.heartbeat"));
}
