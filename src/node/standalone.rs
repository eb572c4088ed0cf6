//! `updraft standalone`: everything that a person needs to begin, in one process. With CeleryExecutor its workers are
//! elsewhere, and it stands by where another one leads.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use crate::config::{self, Environment};
use crate::domain::executor::ExecutorKind;
use crate::protocol::status::{NodeStatus, Part};
use crate::scheduler::message::HowAreYou;
use crate::store::Store;
use crate::web::Scope;
use crate::web::health::Pulse;

use super::client::Tables;
use super::first_user::{self, Nobody};
use super::leader::LeaderNode;
use super::run::{Node, NodeError};
use super::signals::Signals;
use super::web;

/// Runs until a signal asks it to stop. `talk` is told where things are, once.
pub async fn run(config: config::Config, environment: Environment, talk: &mut dyn Write) -> Result<(), NodeError> {
    let settings = config.settings();
    let begun = Instant::now();
    let signals = Signals::listen()?;
    if settings.core.executor == ExecutorKind::Celery {
        return run_leader(&config, &environment, &signals, begun, talk).await;
    }
    let node = Node::start(settings, &environment, Tables::Migrate).await?;
    let here = tokio::sync::watch::Sender::new(Some(node.scheduler.clone()));
    let opened = async {
        let people = first_user::ready(&config, &node.store, Nobody::GetsAnAdministrator).await?;
        let server = web::serve(
            &config,
            &environment,
            &node.store,
            here.subscribe(),
            pulse(settings, &node),
            Scope::Everything,
        )?;
        Ok((people, server))
    };
    let (people, server) = match opened.await {
        Ok(opened) => opened,
        Err(error) => {
            node.close().await?;
            return Err(error);
        }
    };
    let handle = server.handle();
    actix::spawn(server);
    let words = words(settings, &node.store, &people, "Ctrl-C drains, a second one hurries");
    let result = signals.run_until_asked(settings, node, || greet(talk, begun, &words)).await;
    handle.stop(true).await;
    result
}

async fn run_leader(
    config: &config::Config,
    environment: &Environment,
    signals: &Signals,
    begun: Instant,
    talk: &mut dyn Write,
) -> Result<(), NodeError> {
    let settings = config.settings();
    let node = LeaderNode::start(settings, environment, Tables::Migrate).await?;
    let people = first_user::ready(config, &node.store, Nobody::GetsAnAdministrator).await?;
    let server = web::serve(config, environment, &node.store, node.here(), node.pulse(settings), Scope::Everything)?;
    let handle = server.handle();
    actix::spawn(server);
    let words = words(settings, &node.store, &people, "Ctrl-C; running tasks go on, they are their workers'");
    let mut is_greeted = false;
    let result = node
        .run(settings, signals, |part| {
            if !std::mem::replace(&mut is_greeted, true) {
                greet(talk, begun, &words);
            }
            tracing::info!("this node {part}");
        })
        .await;
    handle.stop(true).await;
    result
}

/// Where things are.
fn words(settings: &config::Settings, store: &Store, people: &[String], stop: &str) -> Vec<(&'static str, String)> {
    let mut words = vec![
        ("executor", settings.core.executor.to_string()),
        ("dags", settings.core.dags_folder.display().to_string()),
        ("database", store.describe()),
        ("task logs", settings.logging.base_log_folder.display().to_string()),
        ("pages", format!("http://{}/", web::address(settings, Scope::Everything))),
    ];
    words.extend(people.iter().map(|way| ("sign in", way.clone())));
    words.push(("stop", stop.to_owned()));
    words
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
fn pulse(settings: &config::Settings, node: &Node) -> Pulse {
    let (scheduler, threshold) = (node.scheduler.clone(), settings.scheduler.scheduler_health_check_threshold);
    Arc::new(move || {
        let asked = scheduler.send(HowAreYou);
        Box::pin(async move { NodeStatus { scheduler: asked.await.ok().map(Part::Leads), broker: None, threshold } })
    })
}
