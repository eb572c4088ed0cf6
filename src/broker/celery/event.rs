//! Events, as Celery's viewers read them: one JSON object each, several of one group as a list.

use serde_json::{Map, Value, json};

use super::clock::Clock;
use super::machine::Vitals;
use crate::domain::time::Time;

/// Every how many seconds a worker beats. A viewer takes it for gone after twice as long.
pub(super) const BEAT_SECONDS: u64 = 5;

/// Which program this is, to Celery.
pub(super) const SOFTWARE: &str = "updraft";

/// What happened to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorkerEvent {
    Online,
    Heartbeat,
    Offline,
}

impl WorkerEvent {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Online => "worker-online",
            Self::Heartbeat => "worker-heartbeat",
            Self::Offline => "worker-offline",
        }
    }
}

/// What happened to a task.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TaskEvent {
    Received { name: String, args: String, retries: i32 },
    Started,
    Succeeded { result: String, runtime: f64 },
    Failed { exception: String },
    Retried { exception: String },
    Revoked,
    Rejected,
}

impl TaskEvent {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Received { .. } => "task-received",
            Self::Started => "task-started",
            Self::Succeeded { .. } => "task-succeeded",
            Self::Failed { .. } => "task-failed",
            Self::Retried { .. } => "task-retried",
            Self::Revoked => "task-revoked",
            Self::Rejected => "task-rejected",
        }
    }

    fn fields(self) -> Value {
        match self {
            Self::Received { name, args, retries } => json!({
                "name": name, "args": args, "kwargs": "{}", "root_id": null, "parent_id": null,
                "retries": retries, "eta": null, "expires": null,
            }),
            Self::Started => json!({}),
            Self::Succeeded { result, runtime } => json!({ "result": result, "runtime": runtime }),
            Self::Failed { exception } | Self::Retried { exception } => {
                json!({ "exception": exception, "traceback": "the log of the task has it" })
            }
            Self::Revoked => json!({ "terminated": true, "signum": "SIGTERM", "expired": false }),
            Self::Rejected => json!({ "requeue": true }),
        }
    }
}

/// Who says it.
#[derive(Clone, Debug)]
pub(super) struct Speaker {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) pid: u32,
}

impl Speaker {
    /// What every event has. The offset is zero and the time UTC: viewers add the one to the other.
    fn event(
        &self,
        kind: &str,
        clock: &mut Clock,
        at: Time,
        fields: impl IntoIterator<Item = (String, Value)>,
    ) -> Value {
        let mut event = Map::new();
        event.insert("type".into(), kind.into());
        event.insert("hostname".into(), self.name.as_str().into());
        event.insert("utcoffset".into(), 0.into());
        event.insert("pid".into(), self.pid.into());
        event.insert("clock".into(), clock.forward().into());
        event.insert("timestamp".into(), unix(at).into());
        event.extend(fields);
        event.into()
    }

    pub(super) fn of_worker(
        &self,
        kind: WorkerEvent,
        clock: &mut Clock,
        at: Time,
        (active, processed): (usize, u64),
        vitals: &Vitals,
    ) -> Value {
        let fields = json!({
            "freq": BEAT_SECONDS as f64, "active": active, "processed": processed, "loadavg": vitals.load,
            "sw_ident": SOFTWARE, "sw_ver": self.version, "sw_sys": "Linux",
        });
        self.event(kind.name(), clock, at, members(fields))
    }

    pub(super) fn of_task(&self, event: TaskEvent, uuid: &str, clock: &mut Clock, at: Time) -> Value {
        let kind = event.name();
        let fields = std::iter::once(("uuid".to_owned(), uuid.into())).chain(members(event.fields()));
        self.event(kind, clock, at, fields)
    }
}

/// Seconds since 1970 in UTC.
pub(super) fn unix(at: Time) -> f64 {
    at.timestamp_micros() as f64 / 1e6
}

fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}
