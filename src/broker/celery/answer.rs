//! Answers to `celery inspect`, field by field as Celery's own worker gives them. Pure: what is not known is left empty.

use serde_json::{Value, json};

use super::event::{SOFTWARE, unix};
use super::machine::Vitals;
use super::tasks::{Task, Tasks, name};
use super::view::{About, WorkerView};
use crate::broker::address::Address;
use crate::domain::ids::QueueName;
use crate::domain::time::Time;

/// Everything that an answer is made of.
pub(super) struct Known<'a> {
    pub(super) about: &'a About,
    pub(super) view: &'a WorkerView,
    pub(super) tasks: &'a Tasks,
    /// The server that is talked to.
    pub(super) server: Option<&'a Address>,
    pub(super) clock: i64,
}

impl Known<'_> {
    pub(super) fn active(&self, safe: bool) -> Value {
        self.tasks.active().map(|(task, _)| self.task(task, safe)).collect()
    }

    pub(super) fn reserved(&self, safe: bool) -> Value {
        self.tasks.reserved().map(|task| self.task(task, safe)).collect()
    }

    /// Unknown ones are left out, as Celery does it.
    pub(super) fn query(&self, ids: &[String]) -> Value {
        let found = ids.iter().filter_map(|id| self.tasks.of_attempt(id));
        let state = |task: &Task| if task.running.is_some() { "active" } else { "reserved" };
        let entry = |task: &Task| (task.view.attempt.to_string(), json!([state(task), self.task(task, false)]));
        Value::Object(found.map(entry).collect())
    }

    fn task(&self, task: &Task, safe: bool) -> Value {
        let name = name(&task.view.key);
        let args = if safe { task.args_repr().into() } else { Value::Array(task.args()) };
        json!({
            "id": task.view.attempt.to_string(),
            "name": name,
            "args": args,
            "kwargs": if safe { "{}".into() } else { json!({}) },
            "type": name,
            "hostname": self.about.name,
            "time_start": task.running.map(|running| unix(running.since)),
            // The delivery is acknowledged last.
            "acknowledged": false,
            "delivery_info": {
                "exchange": "",
                "routing_key": self.queue_name(&task.view.queue),
                "priority": 0,
                "redelivered": task.view.redelivered,
            },
            "worker_pid": task.running.map(|running| running.pid),
        })
    }

    pub(super) fn stats(&self, now: Time, vitals: &Vitals) -> Value {
        let (about, slots) = (self.about, self.view.slots);
        let processes = vec![about.pid; usize::try_from(slots).unwrap_or_default()];
        json!({
            "total": self.tasks.totals(),
            "pid": about.pid,
            "clock": self.clock.to_string(),
            "uptime": (now - about.started_at).num_seconds().max(0),
            "pool": {
                "implementation": "updraft:Slots",
                "max-concurrency": slots,
                // One entry a slot: exporters count them. A task has a process of its own while it runs.
                "processes": processes,
                "max-tasks-per-child": 1,
                "put-guarded-by-semaphore": false,
                "timeouts": [0, 0],
                "writes": "N/A",
            },
            "broker": self.server(),
            "prefetch_count": slots,
            "rusage": {
                "utime": vitals.user_time,
                "stime": vitals.system_time,
                "maxrss": vitals.max_rss,
            },
        })
    }

    /// Where the broker is; of the login, the name alone.
    fn server(&self) -> Value {
        let Some(server) = self.server else { return json!({}) };
        json!({
            "hostname": server.host,
            "userid": server.user,
            "virtual_host": server.room,
            "port": server.port,
            "insist": false,
            "ssl": server.tls,
            "transport": "amqp",
            "connect_timeout": 5,
            "transport_options": {},
            "login_method": "PLAIN",
            "uri_prefix": null,
            "heartbeat": 0,
            "failover_strategy": "round-robin",
            "alternates": [],
        })
    }

    /// Under the names that the broker knows, so that their lengths can be asked there.
    pub(super) fn queues(&self) -> Value {
        self.view.queues.iter().map(|queue| self.queue(queue)).collect()
    }

    fn queue_name(&self, queue: &QueueName) -> String {
        // One whose name is too long for the broker is never consumed.
        self.about.names.task(queue).map_or_else(|_| queue.to_string(), |queue| queue.name().to_owned())
    }

    fn queue(&self, queue: &QueueName) -> Value {
        let name = self.queue_name(queue);
        json!({
            "name": name,
            "exchange": {
                "name": "", "type": "direct", "arguments": null, "durable": true, "passive": false,
                "auto_delete": false, "delivery_mode": 2, "no_declare": true,
            },
            "routing_key": name,
            "queue_arguments": null,
            "binding_arguments": null,
            "consumer_arguments": null,
            "durable": true,
            "exclusive": false,
            "auto_delete": false,
            "no_ack": false,
            "alias": queue.as_str(),
            "bindings": [],
            "no_declare": null,
            "expires": null,
            "message_ttl": null,
            "max_length": null,
            "max_length_bytes": null,
            "max_priority": null,
        })
    }

    pub(super) fn conf(&self) -> Value {
        Value::Object(self.about.conf.iter().cloned().collect())
    }

    pub(super) fn report(&self) -> Value {
        let (about, view) = (self.about, self.view);
        let queues = view.queues.iter().map(QueueName::as_str).collect::<Vec<_>>().join(", ");
        let lines = [
            String::new(),
            format!(
                "software -> {SOFTWARE}:{} (not Celery; it speaks Celery's events and remote control)",
                about.version
            ),
            format!("worker -> {} process:{} slots:{} queues:{queues}", about.name, about.pid, view.slots),
            String::new(),
        ];
        json!({ "ok": lines.join("\n") })
    }
}
