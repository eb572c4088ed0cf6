//! The pages that people look at: one file per page, HTML from the server.

mod assets;
mod audit;
mod backfills;
mod config;
mod connections;
mod home;
mod import_errors;
mod pause;
mod pools;
mod runs;
mod search;
pub mod shell;
mod theme;
mod trigger;
mod users;
mod variables;
mod workers;

use super::route::Route;

/// Every page.
pub fn routes() -> Vec<Route> {
    [
        assets::routes(),
        audit::routes(),
        backfills::routes(),
        config::routes(),
        connections::routes(),
        home::routes(),
        import_errors::routes(),
        pause::routes(),
        pools::routes(),
        runs::routes(),
        search::routes(),
        theme::routes(),
        trigger::routes(),
        users::routes(),
        variables::routes(),
        workers::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The pages of workers and queues alone.
pub fn of_workers() -> Vec<Route> {
    [workers::routes(), theme::routes()].into_iter().flatten().collect()
}
