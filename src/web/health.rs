//! `/health`, under the 2.x and the 3.x path, in Airflow's shape. Open to everybody
//! who reaches the address: it says whether the parts live and nothing else.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use crate::protocol::status::Status;
use crate::store::Store;

/// How long a part may take to say that it is well.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the scheduler is; `None` when it does not answer.
pub type Pulse = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Option<Status>>>> + Send + Sync>;

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
    let scheduler = tokio::time::timeout(PATIENCE, (parts.scheduler)()).await;
    let database = matches!(database, Ok(Ok(_)));
    let scheduler = match scheduler {
        Ok(Some(status)) => json!({
            "status": "healthy",
            "latest_scheduler_heartbeat": now(),
            "epoch": status.epoch.0,
            "unfinished_runs": status.runs,
            "occupied_slots": status.occupied,
            "commits": status.commits,
            "invariant_violations": status.violations,
        }),
        Ok(None) | Err(_) => json!({ "status": "unhealthy", "latest_scheduler_heartbeat": null }),
    };
    HttpResponse::Ok().json(json!({
        "metadatabase": { "status": if database { "healthy" } else { "unhealthy" } },
        "scheduler": scheduler,
        "triggerer": { "status": null, "latest_triggerer_heartbeat": null },
        "dag_processor": { "status": null, "latest_dag_processor_heartbeat": null },
    }))
}

fn now() -> Value {
    json!(chrono::Utc::now().to_rfc3339())
}
