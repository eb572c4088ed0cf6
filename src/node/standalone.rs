//! `updraft standalone`: everything that a person needs to begin, in one process.

use std::io::Write;
use std::sync::Arc;

use actix::Addr;

use crate::config::{self, Environment};
use crate::scheduler::actor::Scheduler;
use crate::scheduler::message::HowAreYou;
use crate::store::Store;
use crate::web::health::{self, AskScheduler, SchedulerHealth};

use super::run::{Node, NodeError, shared_database};
use super::signals::Signals;
use super::translate;

/// Runs until a signal asks it to stop. `talk` is told where things are, once.
pub async fn run(config: config::Config, environment: Environment, talk: &mut dyn Write) -> Result<(), NodeError> {
    let settings = config.settings();
    let begun = std::time::Instant::now();
    let signals = Signals::listen()?;
    make_tables(settings).await?;
    let node = Node::start(settings, &environment).await?;
    let address = format!("{}:{}", settings.api.host, settings.api.port);
    let server = match health::serve(&address, ask(node.scheduler.clone()), node.store.clone()) {
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
    let greeted =
        writeln!(talk, "updraft {} is ready in {} ms", env!("CARGO_PKG_VERSION"), begun.elapsed().as_millis())
            .and_then(|()| words.iter().try_for_each(|(what, where_)| writeln!(talk, "  {what:<10} {where_}")));
    if let Err(error) = greeted {
        tracing::debug!(%error, "nobody reads the greeting");
    }
    let result = signals.run_until_asked(settings, node).await;
    handle.stop(true).await;
    result
}

/// One command is all that a beginner types: a server's database gets its tables here too (SQLite always does).
async fn make_tables(settings: &config::Settings) -> Result<(), NodeError> {
    if shared_database(settings) {
        let store = Store::open(&translate::store(settings)).await?;
        store.migrate().await?;
        store.close().await?;
    }
    Ok(())
}

/// The way on which the health page asks.
fn ask(scheduler: Addr<Scheduler>) -> AskScheduler {
    Arc::new(move || {
        let asked = scheduler.send(HowAreYou);
        Box::pin(async move {
            let status = asked.await.ok()?;
            Some(SchedulerHealth {
                epoch: status.epoch,
                unfinished_runs: status.runs,
                occupied_slots: status.occupied,
                commits: status.commits,
                invariant_violations: status.violations,
            })
        })
    })
}
