//! The pages that people look at: one file per page, HTML from the server.

use super::route::Route;

/// Every page.
pub fn routes() -> Vec<Route> {
    Vec::new()
}
