//! Airflow's REST API: one file per group of resources.

use super::route::Route;

/// Everything under `/api`.
pub fn routes() -> Vec<Route> {
    Vec::new()
}
