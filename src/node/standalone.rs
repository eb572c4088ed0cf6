//! `updraft standalone`: everything that a person needs to begin, in one process.

use std::io::Write;
use std::sync::Arc;

use crate::config::{self, Environment};
use crate::scheduler::message::HowAreYou;
use crate::web::health::{self, Pulse};

use super::client::Tables;
use super::run::{Node, NodeError};
use super::{files, signals};

/// Runs until a signal asks it to stop. `talk` is told where things are, once.
pub async fn run(config: config::Config, environment: Environment, talk: &mut dyn Write) -> Result<(), NodeError> {
    let settings = config.settings();
    let begun = std::time::Instant::now();
    let node = Node::start(settings, &environment, Tables::Migrate).await?;
    let address = format!("{}:{}", settings.api.host, settings.api.port);
    let listening = health::serve(&address, pulse(&node), node.store.clone());
    let server = listening.map_err(|why| NodeError::Listen { address: address.clone(), why })?;
    let handle = server.handle();
    actix::spawn(server);
    files::follow(settings, &node).await?;
    let words = [
        ("executor", settings.core.executor.to_string()),
        ("dags", settings.core.dags_folder.display().to_string()),
        ("database", node.store.describe()),
        ("task logs", settings.logging.base_log_folder.display().to_string()),
        ("health", format!("http://{address}/health")),
        ("stop", "Ctrl-C drains, a second one hurries".to_owned()),
    ];
    let greeted =
        writeln!(talk, "updraft {} is ready in {} ms", env!("CARGO_PKG_VERSION"), begun.elapsed().as_millis())
            .and_then(|()| words.iter().try_for_each(|(what, where_)| writeln!(talk, "  {what:<10} {where_}")));
    if let Err(error) = greeted {
        tracing::debug!(%error, "nobody reads the greeting");
    }
    let result = signals::run_until_asked(node).await;
    handle.stop(true).await;
    result
}

/// How the health page asks the scheduler.
fn pulse(node: &Node) -> Pulse {
    let scheduler = node.scheduler.clone();
    Arc::new(move || {
        let asked = scheduler.send(HowAreYou);
        Box::pin(async move { asked.await.ok() })
    })
}
