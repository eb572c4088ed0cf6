//! A worker node among Celery's tools: what they are shown of it, and what their orders mean for it.

use std::time::Duration;

use serde_json::json;

use crate::broker::BrokerError;
use crate::broker::address::Scheme;
use crate::broker::celery::{About, Order, Post, WorkerView, announce};
use crate::config;
use crate::domain::limit::Limit;
use crate::protocol::work::ToWorker;
use crate::worker::{RemoteSettings, WorkerSettings};

/// What a worker can run, in the words of DAG files.
const CAN_RUN: [&str; 9] =
    ["bash", "branch", "email", "http", "python", "sensor", "short_circuit", "sql", "trigger_dagrun"];

/// Shows a worker, unless nobody wants it or its broker is none that Celery's events and remote control are known on.
///
/// # Errors
/// When its name is too long for the broker.
pub(super) fn show(
    settings: &config::Settings,
    own: &WorkerSettings,
    remote: &RemoteSettings,
) -> Result<Option<Post>, BrokerError> {
    let celery = &settings.celery;
    if !celery.worker_enable_remote_control && !celery.worker_send_task_events {
        return Ok(None);
    }
    if remote.options.addresses.iter().any(|address| address.scheme == Scheme::Redis) {
        tracing::info!("Flower and `celery inspect` do not see this worker: that needs RabbitMQ as broker");
        return Ok(None);
    }
    let slots = match own.slots {
        Limit::AtMost(slots) => slots.get(),
        Limit::Unlimited => 0,
    };
    let view = WorkerView { slots, queues: own.queues.clone(), draining: false };
    announce(remote.options.clone(), about(celery, own, remote), view).map(Some)
}

/// As Celery names its nodes: what has no `@` is the name of a host.
fn node_name(name: &str) -> String {
    if name.contains('@') { name.to_owned() } else { format!("celery@{name}") }
}

fn about(celery: &config::Celery, own: &WorkerSettings, remote: &RemoteSettings) -> About {
    let options = &remote.options;
    // An address shows neither name nor password.
    let addresses: Vec<String> = options.addresses.iter().map(ToString::to_string).collect();
    About {
        name: node_name(&own.name),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started_at: chrono::Utc::now(),
        names: options.names.clone(),
        autoscale: remote.autoscale.map(|bounds| (bounds.max.get(), bounds.min.get())),
        can_run: CAN_RUN.iter().map(|&word| word.to_owned()).collect(),
        conf: vec![
            ("broker_url".to_owned(), addresses.join(";").into()),
            ("worker_concurrency".to_owned(), celery.worker_concurrency.into()),
            ("worker_autoscale".to_owned(), celery.worker_autoscale.as_str().into()),
            ("worker_enable_remote_control".to_owned(), celery.worker_enable_remote_control.into()),
            ("worker_send_task_events".to_owned(), celery.worker_send_task_events.into()),
            ("worker_prefetch_multiplier".to_owned(), json!(1)),
            ("task_acks_late".to_owned(), json!(true)),
            ("enable_utc".to_owned(), json!(true)),
        ],
        remote_control: celery.worker_enable_remote_control,
        task_events: celery.worker_send_task_events,
    }
}

/// What an order is to the worker.
pub(super) fn meant(order: Order, workers: &config::Workers) -> ToWorker {
    match order {
        Order::Resize { slots } => ToWorker::Resize { slots },
        Order::Queues { add, remove } => ToWorker::Queues { add, remove },
        Order::Terminate { claim, at_once } => {
            ToWorker::Terminate { claim, grace: if at_once { Duration::ZERO } else { workers.kill_grace } }
        }
        Order::Shutdown => ToWorker::Drain { deadline: workers.drain_deadline },
    }
}
