//! What people and programs see over HTTP: the route table, and the server that walks it. It reads the store and
//! changes nothing of runs and tasks itself: it sends control.
//!
//! ```text
//!  request ─► dress (headers, error pages) ─► route ─► check (who, may they, no forgery) ─► handler ─► Web
//! ```
//!
//! The check is part of every [`Route`], so that no handler can forget it.

pub mod api;
pub mod asset;
pub mod audit;
pub mod caller;
pub mod catalogue;
mod check;
mod dress;
pub mod error;
pub mod health;
mod live;
pub mod logs;
pub mod metrics;
pub mod page;
pub mod route;
pub mod settings;
pub mod sign_in;
pub mod state;
pub mod vault;
pub mod view;
pub mod watch;

use std::collections::BTreeMap;
use std::io;

use actix_web::middleware::from_fn;
use actix_web::web::{FormConfig, JsonConfig, PayloadConfig, Redirect};
use actix_web::{App, HttpServer};

pub use actix_web::dev::Server;
pub use caller::{Caller, How};
pub use catalogue::Catalogue;
pub use error::Error;
pub use logs::LogFolder;
pub use route::{Needs, Route};
pub use settings::WebSettings;
pub use state::{ControlRefused, Controller, Parts, Renderer, Web};
pub use watch::Watch;

/// How many threads serve.
const THREADS: usize = 2;

/// Longer requests are refused: nothing that people send is.
const LONGEST_BODY: usize = 4 * 1024 * 1024;

/// Everything that is answered.
pub fn routes() -> Vec<Route> {
    let ours = [health::routes(), asset::routes(), metrics::routes(), sign_in::routes(), live::routes()];
    ours.into_iter().chain([api::routes(), page::routes()]).flatten().collect()
}

/// Which of it a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Everything,
    /// Workers and queues, where Flower would be.
    Workers,
}

impl Scope {
    fn routes(self) -> Vec<Route> {
        match self {
            Self::Everything => routes(),
            Self::Workers => {
                let home = Route::get("/", Needs::SignedIn, || async { Redirect::to("/workers") });
                let ours = [health::routes(), asset::routes(), sign_in::routes(), live::routes(), vec![home]];
                ours.into_iter().chain([page::of_workers()]).flatten().collect()
            }
        }
    }
}

/// Listens on `address` at once; the returned server runs when it is spawned.
pub fn serve(address: &str, web: Web, scope: Scope) -> io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web.clone())
            .app_data(PayloadConfig::new(LONGEST_BODY))
            .app_data(FormConfig::default().limit(LONGEST_BODY))
            .app_data(JsonConfig::default().limit(LONGEST_BODY))
            .wrap(from_fn(dress::dress))
            .configure(|app| lay_out(app, scope.routes()))
    });
    Ok(server.workers(THREADS).disable_signals().shutdown_timeout(1).bind(address)?.run())
}

/// One resource per path, in the order in which the paths first appear: so a method that a path does not take is
/// told apart from a path that does not exist.
fn lay_out(app: &mut actix_web::web::ServiceConfig, routes: Vec<Route>) {
    let mut places: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut resources: Vec<(&'static str, Vec<Route>)> = Vec::new();
    for route in routes {
        let place = *places.entry(route.path).or_insert(resources.len());
        if place == resources.len() {
            resources.push((route.path, Vec::new()));
        }
        resources[place].1.push(route);
    }
    for (path, routes) in resources {
        let resource = routes
            .into_iter()
            .fold(actix_web::web::resource(path), |resource, route| resource.route(route.into_service()))
            .default_service(actix_web::web::to(|| async { Err::<String, _>(Error::MethodNotAllowed) }));
        app.service(resource);
    }
    app.default_service(actix_web::web::to(|| async { Err::<String, _>(Error::NoSuchPath) }));
}
