//! `updraft webserver`, `updraft api-server` and `updraft celery flower`: pages in a process of their own, over the
//! database that schedulers elsewhere write. It schedules nothing.

use std::io::Write;
use std::sync::Arc;

use crate::config::{self, Environment};
use crate::protocol::status::{NodeStatus, Part};
use crate::store::Store;
use crate::web::Scope;
use crate::web::health::Pulse;

use super::client::{Client, Tables, open_store};
use super::first_user::{self, Nobody};
use super::run::NodeError;
use super::signals::Signals;
use super::web;

/// What such a process serves, for those who may not name the web server itself.
pub use crate::web::Scope as Served;

/// Serves until a signal asks it to stop. `talk` is told where, once.
pub async fn run(
    config: config::Config,
    environment: Environment,
    scope: Scope,
    talk: &mut dyn Write,
) -> Result<(), NodeError> {
    let settings = config.settings();
    let signals = Signals::listen()?;
    let store = open_store(settings, Tables::AsTheyAre).await?;
    let people = first_user::ready(&config, &store, Nobody::StaysNobody).await?;
    // Nobody ever schedules in this process.
    let (_, nobody) = tokio::sync::watch::channel(None);
    let server = web::serve(&config, &environment, &store, nobody, pulse(settings, &store), scope)?;
    let handle = server.handle();
    let serving = actix::spawn(server);
    let told = writeln!(talk, "updraft {} serves http://{}/", env!("CARGO_PKG_VERSION"), web::address(settings, scope))
        .and_then(|()| people.iter().try_for_each(|way| writeln!(talk, "  sign in    {way}")));
    if let Err(error) = told {
        tracing::debug!(%error, "nobody reads the greeting");
    }
    signals.next().await;
    tokio::select! {
        () = handle.stop(true) => {}
        () = signals.next() => tracing::info!("hurrying"),
    }
    serving.abort();
    Ok(store.close().await?)
}

/// Whether somebody schedules, as far as can be told from here.
fn pulse(settings: &config::Settings, store: &Store) -> Pulse {
    let client = Arc::new(Client::over(store.clone(), settings));
    let threshold = settings.scheduler.scheduler_health_check_threshold;
    Arc::new(move || {
        let client = Arc::clone(&client);
        Box::pin(async move {
            let scheduler_lives = client.scheduler_lives().await.unwrap_or(false);
            NodeStatus { scheduler: Some(Part::Serves { scheduler_lives }), broker: None, threshold }
        })
    })
}
