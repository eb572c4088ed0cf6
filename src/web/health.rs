//! `/health`, under the 2.x and the 3.x path, in Airflow's shape. Open to everybody
//! who reaches the address: it says whether the parts live and nothing else.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use actix_web::dev::Server;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use crate::protocol::status::{NodeStatus, Part};
use crate::store::Store;
use crate::store::query::LeaderStatus;

/// How long a part may take to say that it is well.
const PATIENCE: Duration = Duration::from_secs(2);

/// How this node is.
pub type Pulse = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = NodeStatus>>> + Send + Sync>;

#[derive(Clone)]
struct Parts {
    scheduler: Pulse,
    store: Store,
}

/// Listens on `address` at once; the returned server runs when it is spawned.
pub fn serve(address: &str, scheduler: Pulse, store: Store) -> io::Result<Server> {
    let parts = Parts { scheduler, store };
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(parts.clone()))
            .route("/health", web::get().to(health))
            .route("/api/v1/health", web::get().to(health))
            .route("/api/v2/monitor/health", web::get().to(health))
    });
    Ok(server.workers(1).disable_signals().shutdown_timeout(1).bind(address)?.run())
}

/// Always 200, as Airflow answers: the body says who is well.
async fn health(parts: web::Data<Parts>) -> HttpResponse {
    let database = tokio::time::timeout(PATIENCE, parts.store.leader()).await;
    let node = tokio::time::timeout(PATIENCE, (parts.scheduler)()).await;
    let leader = database.ok().and_then(Result::ok);
    let mut answer = json!({
        "metadatabase": { "status": word(leader.is_some()) },
        "scheduler": scheduler(node.as_ref().ok(), leader.as_ref()),
        "triggerer": { "status": null, "latest_triggerer_heartbeat": null },
        "dag_processor": { "status": null, "latest_dag_processor_heartbeat": null },
    });
    if let Ok(NodeStatus { broker: Some(is_up), .. }) = node {
        answer["broker"] = json!({ "status": word(is_up) });
    }
    HttpResponse::Ok().json(answer)
}

fn word(is_well: bool) -> &'static str {
    if is_well { "healthy" } else { "unhealthy" }
}

/// A node that stands by is as well as the leader that it would follow.
fn scheduler(node: Option<&NodeStatus>, leader: Option<&LeaderStatus>) -> Value {
    match node.and_then(|node| Some((node.scheduler?, node.threshold))) {
        Some((Part::Leads(status), _)) => json!({
            "status": "healthy",
            "latest_scheduler_heartbeat": now(),
            "role": "leader",
            "epoch": status.epoch.0,
            "unfinished_runs": status.runs,
            "occupied_slots": status.occupied,
            "commits": status.commits,
            "invariant_violations": status.violations,
            "rejected_messages": status.rejected,
        }),
        Some((Part::StandsBy, threshold)) => json!({
            "status": word(leader.is_some_and(|leader| leader.age <= threshold)),
            "latest_scheduler_heartbeat": leader.filter(|leader| leader.renewed_at.timestamp() > 0).map(|leader| leader.renewed_at.to_rfc3339()),
            "role": "standby",
            "leader": leader.map(|leader| leader.holder.as_str()),
            "epoch": leader.map(|leader| leader.epoch.0),
        }),
        None => json!({ "status": "unhealthy", "latest_scheduler_heartbeat": null }),
    }
}

fn now() -> Value {
    json!(chrono::Utc::now().to_rfc3339())
}
