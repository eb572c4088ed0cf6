//! `/live`: the changes as they are committed, as server-sent events. A page asks for everything since it was made;
//! a browser that lost the connection goes on where it was.
//!
//! Nothing is kept per client but its place in the ring of [`watch`](super::watch): one that is slow is told to reload.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Query};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::auth::{Action, Resource};
use crate::protocol::event::{Change, Event};

use super::route::{Needs, Route};
use super::state::Web;
use super::watch::{News, Position, Subscription};

/// How often a silent stream says that it lives: what stands between would close it, and who has gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After so long a browser asks anew, and is asked anew who it is.
const LONGEST: Duration = Duration::from_secs(15 * 60);

pub fn routes() -> Vec<Route> {
    vec![Route::get("/live", Needs::May(Action::Read, Resource::DagRun), live)]
}

/// What is asked for: everything, or a DAG, or a run of it.
#[derive(Clone, Debug, Default, Deserialize)]
struct Topic {
    #[serde(default)]
    since: String,
    dag: Option<String>,
    run: Option<String>,
}

impl Topic {
    fn includes(&self, event: &Event) -> bool {
        let (dag, run) = match &event.change {
            Change::Task { key, .. } | Change::Notification { key, .. } => (&key.dag, Some(&key.run)),
            Change::Run { dag, run, .. } | Change::DeadlineMissed { dag, run, .. } => (dag, Some(run)),
            Change::Dag { dag } => (dag, None),
        };
        let is_dag = self.dag.as_ref().is_none_or(|wanted| wanted == dag.as_str());
        let is_run = self.run.as_ref().is_none_or(|wanted| run.is_none_or(|run| wanted == run.as_str()));
        is_dag && is_run
    }
}

struct Client {
    subscription: Subscription,
    topic: Topic,
    ends: Instant,
}

async fn live(web: Web, request: HttpRequest, topic: Query<Topic>) -> HttpResponse {
    let topic = topic.into_inner();
    // What the browser heard last is newer than what the page was made with.
    let heard = request.headers().get("last-event-id").and_then(|id| id.to_str().ok());
    let since = heard.unwrap_or(&topic.since).parse::<Position>().ok();
    let client = Client { subscription: web.watch.subscribe(since), topic, ends: Instant::now() + LONGEST };
    let greeting = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"retry: 1000\n\n"))]);
    let news = stream::unfold(client, |mut client| async {
        let said = client.next().await?;
        Some((Ok(said), client))
    });
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(futures_util::StreamExt::chain(greeting, news))
}

impl Client {
    /// The next words, or the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let now = Instant::now();
            if now >= self.ends {
                return None;
            }
            let Ok(news) = timeout_at(now + HEARTBEAT, self.subscription.next()).await else {
                return Some(Bytes::from_static(b": still here\n\n"));
            };
            if let Some(said) = self.say(news) {
                return Some(said);
            }
        }
    }

    /// What this client hears of it.
    fn say(&self, news: News) -> Option<Bytes> {
        match news {
            News::Missed { at } => Some(message(at, "reload", &Value::Null)),
            News::Changes { events, at } => {
                let about = events.iter().filter(|event| self.topic.includes(event));
                let changes: Vec<Value> = about.map(|event| json!(**event)).collect();
                (!changes.is_empty()).then(|| message(at, "change", &Value::Array(changes)))
            }
        }
    }
}

fn message(at: Position, event: &str, data: &Value) -> Bytes {
    Bytes::from(format!("id: {at}\nevent: {event}\ndata: {data}\n\n"))
}
