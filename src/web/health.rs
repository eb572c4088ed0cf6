//! `/health`, under the 2.x and the 3.x path, in Airflow's shape. Open to everybody
//! who reaches the address: it says whether the parts live and nothing else.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use serde_json::{Value, json};

use crate::protocol::status::{NodeStatus, Part};
use crate::store::query::LeaderStatus;

use super::route::{Needs, Route};
use super::state::Web;

/// How long a part may take to say that it is well.
const PATIENCE: Duration = Duration::from_secs(2);

/// How this node is.
pub type Pulse = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = NodeStatus>>> + Send + Sync>;

pub fn routes() -> Vec<Route> {
    let paths = ["/health", "/api/v1/health", "/api/v2/monitor/health"];
    paths.into_iter().map(|path| Route::get(path, Needs::Nobody, health)).collect()
}

/// Always 200, as Airflow answers: the body says who is well.
async fn health(web: Web) -> HttpResponse {
    let database = tokio::time::timeout(PATIENCE, web.store.leader()).await;
    let node = tokio::time::timeout(PATIENCE, (web.pulse)()).await;
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
        Some((Part::Serves { scheduler_lives }, _)) => json!({
            "status": word(scheduler_lives),
            "latest_scheduler_heartbeat": leader.filter(|leader| leader.renewed_at.timestamp() > 0).map(|leader| leader.renewed_at.to_rfc3339()),
            "leader": leader.map(|leader| leader.holder.as_str()),
            "epoch": leader.map(|leader| leader.epoch.0),
        }),
        None => json!({ "status": "unhealthy", "latest_scheduler_heartbeat": null }),
    }
}

fn now() -> Value {
    json!(chrono::Utc::now().to_rfc3339())
}
