//! `updraft standalone`: everything that a person needs to begin, in one process.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use crate::config::{self, Environment};
use crate::scheduler::message::HowAreYou;
use crate::web::health::{self, Pulse};

use super::client::Tables;
use super::run::{Node, NodeError};
use super::signals::Signals;

/// Runs until a signal asks it to stop. `talk` is told where things are, once.
pub async fn run(config: config::Config, environment: Environment, talk: &mut dyn Write) -> Result<(), NodeError> {
    let settings = config.settings();
    let begun = Instant::now();
    let signals = Signals::listen()?;
    let node = Node::start(settings, &environment, Tables::Migrate).await?;
    let address = format!("{}:{}", settings.api.host, settings.api.port);
    let server = match health::serve(&address, pulse(&node), node.store.clone()) {
        Ok(server) => server,
        Err(why) => {
            node.close().await?;
            return Err(NodeError::Listen { address, why });
        }
    };
    let handle = server.handle();
    actix::spawn(server);
    let words = [
        ("executor", settings.core.executor.to_string()),
        ("dags", settings.core.dags_folder.display().to_string()),
        ("database", node.store.describe()),
        ("task logs", settings.logging.base_log_folder.display().to_string()),
        ("health", format!("http://{address}/health")),
        ("stop", "Ctrl-C drains, a second one hurries".to_owned()),
    ];
    let result = signals.run_until_asked(settings, node, || greet(talk, begun, &words)).await;
    handle.stop(true).await;
    result
}

fn greet(talk: &mut dyn Write, begun: Instant, words: &[(&str, String)]) {
    let took = begun.elapsed().as_millis();
    let greeted = writeln!(talk, "updraft {} is ready in {took} ms", env!("CARGO_PKG_VERSION"))
        .and_then(|()| words.iter().try_for_each(|(what, is)| writeln!(talk, "  {what:<10} {is}")));
    if let Err(error) = greeted {
        tracing::debug!(%error, "nobody reads the greeting");
    }
}

/// How the health page asks the scheduler.
fn pulse(node: &Node) -> Pulse {
    let scheduler = node.scheduler.clone();
    Arc::new(move || {
        let asked = scheduler.send(HowAreYou);
        Box::pin(async move { asked.await.ok() })
    })
}
