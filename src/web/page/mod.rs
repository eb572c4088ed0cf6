//! The pages that people look at: one file per page, HTML from the server.

mod act;
mod dag;
mod home;
mod kept;
mod named;
mod pause;
mod run;
mod runs;
mod search;
pub mod shell;
mod task;
mod theme;
mod trigger;
mod way;

use super::route::Route;

/// Every page.
pub fn routes() -> Vec<Route> {
    let pages = [home::routes(), pause::routes(), runs::routes(), search::routes(), theme::routes(), trigger::routes()];
    let of_dags = [dag::routes(), run::routes(), task::routes(), act::routes()];
    pages.into_iter().chain(of_dags).flatten().collect()
}
