//! The pages that people look at: one file per page, HTML from the server.

mod home;
mod pause;
mod runs;
mod search;
pub mod shell;
mod theme;
mod trigger;

use super::route::Route;

/// Every page.
pub fn routes() -> Vec<Route> {
    [home::routes(), pause::routes(), runs::routes(), search::routes(), theme::routes(), trigger::routes()]
        .into_iter()
        .flatten()
        .collect()
}
