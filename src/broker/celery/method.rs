//! What may be asked, with its arguments checked.

use serde_json::{Map, Value};

/// More slots than these nobody gets by asking: remote control is open to everybody at the broker.
pub(super) const MOST_SLOTS: u32 = 1_024;

/// One question or order of Celery's remote control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Ping,
    Active { safe: bool },
    Reserved { safe: bool },
    Scheduled,
    Revoked,
    Registered,
    Stats,
    ActiveQueues,
    Conf,
    Clock,
    Report,
    QueryTask { ids: Vec<String> },
    Hello { from: String },
    EnableEvents,
    DisableEvents,
    Heartbeat,
    Revoke { ids: Vec<String>, terminate: bool, at_once: bool },
    RateLimit,
    TimeLimit,
    PoolGrow { by: u32 },
    PoolShrink { by: u32 },
    PoolRestart,
    Autoscale,
    AddConsumer { queue: String },
    CancelConsumer { queue: String },
    Shutdown,
    Election,
}

impl Method {
    /// # Errors
    /// As Celery's worker says it: the `repr` of a Python exception.
    pub(super) fn read(name: &str, arguments: &Map<String, Value>) -> Result<Self, String> {
        let safe = is_so(arguments, "safe");
        Ok(match name {
            "ping" => Self::Ping,
            "active" | "dump_active" => Self::Active { safe },
            "reserved" | "dump_reserved" => Self::Reserved { safe },
            "scheduled" | "dump_schedule" => Self::Scheduled,
            "revoked" | "dump_revoked" => Self::Revoked,
            "registered" | "dump_tasks" => Self::Registered,
            "stats" => Self::Stats,
            "active_queues" => Self::ActiveQueues,
            "conf" | "dump_conf" => Self::Conf,
            "clock" => Self::Clock,
            "report" => Self::Report,
            "query_task" => Self::QueryTask { ids: texts(arguments, "ids")? },
            "hello" => Self::Hello { from: text(arguments, "from_node")? },
            "enable_events" => Self::EnableEvents,
            "disable_events" => Self::DisableEvents,
            "heartbeat" => Self::Heartbeat,
            "revoke" => {
                let terminate = is_so(arguments, "terminate");
                Self::Revoke { ids: texts(arguments, "task_id")?, terminate, at_once: is_kill(arguments) }
            }
            "terminate" => {
                Self::Revoke { ids: texts(arguments, "task_id")?, terminate: true, at_once: is_kill(arguments) }
            }
            "rate_limit" => Self::RateLimit,
            "time_limit" => Self::TimeLimit,
            "pool_grow" => Self::PoolGrow { by: count(arguments)? },
            "pool_shrink" => Self::PoolShrink { by: count(arguments)? },
            "pool_restart" => Self::PoolRestart,
            "autoscale" => Self::Autoscale,
            "add_consumer" => Self::AddConsumer { queue: text(arguments, "queue")? },
            "cancel_consumer" => Self::CancelConsumer { queue: text(arguments, "queue")? },
            "shutdown" => Self::Shutdown,
            "election" => Self::Election,
            unknown => return Err(format!("KeyError({})", super::python::repr(unknown))),
        })
    }
}

/// As Python takes it: Flower says 1 for true.
fn is_so(arguments: &Map<String, Value>, name: &str) -> bool {
    match arguments.get(name) {
        Some(Value::Bool(is_so)) => *is_so,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_)) | None => false,
    }
}

fn is_kill(arguments: &Map<String, Value>) -> bool {
    match arguments.get("signal") {
        Some(Value::String(name)) => matches!(name.to_ascii_uppercase().as_str(), "KILL" | "SIGKILL" | "9"),
        Some(Value::Number(number)) => number.as_u64() == Some(9),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => false,
    }
}

fn text(arguments: &Map<String, Value>, name: &str) -> Result<String, String> {
    match arguments.get(name).and_then(Value::as_str) {
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("TypeError(\"expected the argument '{name}' to be a text\")")),
    }
}

/// One text, or a list of them.
fn texts(arguments: &Map<String, Value>, name: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("TypeError(\"expected the argument '{name}' to be one id or a list of ids\")");
    match arguments.get(name) {
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(texts)) => {
            texts.iter().map(|text| text.as_str().map(ToOwned::to_owned).ok_or_else(wrong)).collect()
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Err(wrong()),
    }
}

/// Flower sends a number, a command line may send its text.
fn count(arguments: &Map<String, Value>) -> Result<u32, String> {
    let n = match arguments.get("n") {
        None | Some(Value::Null) => Some(1),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
    };
    let n = n.and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=MOST_SLOTS).contains(n));
    n.ok_or_else(|| format!("ValueError('expected n to be a number from 1 to {MOST_SLOTS}')"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(name: &str, arguments: Value) -> Result<Method, String> {
        Method::read(name, arguments.as_object().expect("an object"))
    }

    #[test]
    fn methods_are_known_by_both_names_and_their_arguments_are_checked() {
        let revoke = |terminate, at_once| Method::Revoke { ids: vec!["a".into()], terminate, at_once };
        for (name, arguments, method) in [
            ("dump_active", json!({ "safe": true }), Method::Active { safe: true }),
            ("dump_tasks", json!({ "taskinfoitems": null, "builtins": false }), Method::Registered),
            ("dump_conf", json!({ "with_defaults": false }), Method::Conf),
            ("pool_grow", json!({}), Method::PoolGrow { by: 1 }),
            ("pool_shrink", json!({ "n": "3" }), Method::PoolShrink { by: 3 }),
            ("revoke", json!({ "task_id": "a", "terminate": false, "signal": "SIGTERM" }), revoke(false, false)),
            ("revoke", json!({ "task_id": ["a"], "terminate": true, "signal": "SIGKILL" }), revoke(true, true)),
            ("revoke", json!({ "task_id": "a", "terminate": 1 }), revoke(true, false)),
            ("terminate", json!({ "task_id": ["a"], "signal": 9 }), revoke(true, true)),
            ("hello", json!({ "from_node": "b", "revoked": {} }), Method::Hello { from: "b".into() }),
            (
                "add_consumer",
                json!({ "queue": "q", "exchange": null, "exchange_type": "direct", "routing_key": null }),
                Method::AddConsumer { queue: "q".into() },
            ),
        ] {
            assert_eq!(read(name, arguments), Ok(method), "{name}");
        }
        for (name, arguments, error) in [
            ("nothing", json!({}), "KeyError('nothing')"),
            ("pool_grow", json!({ "n": 0 }), "ValueError('expected n to be"),
            ("pool_grow", json!({ "n": -1 }), "ValueError"),
            ("pool_grow", json!({ "n": 1_025 }), "from 1 to 1024"),
            ("pool_shrink", json!({ "n": [1] }), "ValueError"),
            ("revoke", json!({ "task_id": [1] }), "TypeError(\"expected the argument 'task_id'"),
            ("add_consumer", json!({}), "TypeError(\"expected the argument 'queue'"),
        ] {
            let got = read(name, arguments).expect_err(name);
            assert!(got.starts_with(error) || got.contains(error), "{name}: {got}");
        }
    }
}
