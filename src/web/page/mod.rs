//! The pages that people look at: one file per page, HTML from the server.

mod act;
mod assets;
mod audit;
mod backfills;
mod config;
mod connections;
mod dag;
mod home;
mod import_errors;
mod kept;
mod named;
mod pause;
mod pools;
mod run;
mod runs;
mod search;
pub mod shell;
mod task;
mod theme;
mod trigger;
mod users;
mod variables;
mod way;
mod workers;

use super::route::Route;

/// Every page.
pub fn routes() -> Vec<Route> {
    [
        act::routes(),
        assets::routes(),
        audit::routes(),
        backfills::routes(),
        config::routes(),
        connections::routes(),
        dag::routes(),
        home::routes(),
        import_errors::routes(),
        pause::routes(),
        pools::routes(),
        run::routes(),
        runs::routes(),
        search::routes(),
        task::routes(),
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
