//! The same at a real broker: a stranger that declares, asks and listens as Celery's tools do.
//!
//! The exchanges belong to everybody at the virtual host, so each story asks and hears one worker of its own name.

use std::time::Duration;

use chrono::Utc;
use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use super::*;
use crate::broker::amqp::short;
use crate::broker::{Address, Listener, Names, Options};
use crate::domain::ids::QueueName;
use crate::protocol::envelope::Installation;

const PATIENCE: Duration = Duration::from_secs(20);

fn url() -> Option<String> {
    let url =
        std::env::var("UPDRAFT_TEST_RABBITMQ").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/".to_owned());
    (url != "none").then_some(url)
}

fn worker(url: &str, name: &str, remote_control: bool) -> Post {
    let names = Names::new(Installation::new("updraft").expect("a name"));
    let addresses = Address::parse_all(url).expect("an address");
    let options = Options::new(addresses, names.clone(), Listener::Node(Uuid::new_v4()));
    let about = About {
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        pid: 4711,
        started_at: Utc::now(),
        names,
        autoscale: None,
        can_run: vec!["bash".to_owned()],
        conf: Vec::new(),
        remote_control,
        task_events: false,
    };
    let view = WorkerView { slots: 3, queues: vec![QueueName::default_queue()], draining: false };
    announce(options, about, view).expect("a short name")
}

/// One of Celery's tools.
struct Tool {
    channel: Channel,
    replies: Consumer,
    events: Consumer,
    oid: String,
    _connection: Connection,
}

impl Tool {
    async fn open(url: &str) -> Self {
        // Without a path lapin takes the virtual host `/`; a path that is only a slash would name one without a name.
        let url = url.trim_end_matches('/');
        let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("a broker");
        let channel = connection.create_channel().await.expect("a channel");
        for (name, kind, durable) in [
            ("celeryev", ExchangeKind::Topic, true),
            ("celery.pidbox", ExchangeKind::Fanout, false),
            ("reply.celery.pidbox", ExchangeKind::Direct, false),
        ] {
            let options = ExchangeDeclareOptions { durable, ..Default::default() };
            let declared = channel.exchange_declare(short(name), kind, options, FieldTable::default()).await;
            declared.expect("as Celery declares it");
        }
        let oid = Uuid::new_v4().to_string();
        let replies = Self::listen(&channel, "reply.celery.pidbox", &oid).await;
        let events = Self::listen(&channel, "celeryev", "#").await;
        Self { channel, replies, events, oid, _connection: connection }
    }

    async fn listen(channel: &Channel, exchange: &str, key: &str) -> Consumer {
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let queue = channel.queue_declare(short(""), options, FieldTable::default()).await.expect("a queue");
        let (name, none) = (queue.name().clone(), FieldTable::default());
        let bound = channel.queue_bind(name.clone(), short(exchange), short(key), QueueBindOptions::default(), none);
        bound.await.expect("bound");
        let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
        channel.basic_consume(name, short(""), options, FieldTable::default()).await.expect("a consumer")
    }

    async fn ask(&self, name: &str, method: &str, ticket: &str) {
        let reply_to = json!({ "exchange": "reply.celery.pidbox", "routing_key": self.oid });
        let request = json!({
            "method": method, "arguments": {}, "destination": [name], "pattern": null, "matcher": null,
            "ticket": ticket, "reply_to": reply_to,
        });
        let mut headers = FieldTable::default();
        headers.insert(short("clock"), AMQPValue::LongInt(1_000));
        headers.insert(short("expires"), AMQPValue::Double(0.0));
        let properties = BasicProperties::default().with_content_type(short("application/json")).with_headers(headers);
        let body = request.to_string().into_bytes();
        let options = BasicPublishOptions::default();
        let sent = self.channel.basic_publish(short("celery.pidbox"), short(""), options, &body, properties).await;
        drop(sent.expect("sent"));
    }

    /// The answer to this ticket, once it comes; asked again until then, for the worker may not be there yet.
    async fn answer(&mut self, name: &str, method: &str) -> Value {
        let ticket = Uuid::new_v4().to_string();
        let answered = async {
            loop {
                self.ask(name, method, &ticket).await;
                let Ok(reply) = timeout(Duration::from_millis(500), self.replies.next()).await else { continue };
                let reply = reply.expect("the queue lives").expect("a reply");
                let headers = reply.properties.headers().clone().expect("headers");
                assert_eq!(
                    headers.inner().get("ticket"),
                    Some(&AMQPValue::LongString(LongString::from(ticket.as_str())))
                );
                let AMQPValue::LongLongInt(clock) = headers.inner()["clock"] else { panic!("{headers:?}") };
                assert!(clock > 1_000, "it goes on from what it heard");
                assert_eq!(
                    reply.properties.content_type().as_ref().map(|kind| kind.as_str()),
                    Some("application/json")
                );
                let mut body: Value = serde_json::from_slice(&reply.data).expect("JSON");
                return body[name].take();
            }
        };
        timeout(PATIENCE, answered).await.expect("an answer in time")
    }

    /// The next event of this worker with this routing key.
    async fn event(&mut self, name: &str, key: &str) -> Value {
        let hostname = AMQPValue::LongString(LongString::from(name));
        let found = async {
            loop {
                let event = self.events.next().await.expect("the queue lives").expect("an event");
                let headers = event.properties.headers().clone().unwrap_or_default();
                if headers.inner().get("hostname") == Some(&hostname) && event.routing_key.as_str() == key {
                    assert_eq!(event.properties.delivery_mode(), &Some(1));
                    assert_eq!(event.properties.content_encoding().as_ref().map(|kind| kind.as_str()), Some("utf-8"));
                    return serde_json::from_slice(&event.data).expect("JSON");
                }
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no {key} of {name} in time"))
    }
}

fn name() -> String {
    format!("celery@{}", Uuid::new_v4().simple())
}

#[tokio::test]
async fn a_stranger_sees_the_worker_come_asks_it_orders_it_and_sees_it_go() {
    let Some(url) = url() else { return };
    let (mut tool, name) = (Tool::open(&url).await, name());
    let mut post = worker(&url, &name, true);
    let came = tool.event(&name, "worker.online").await;
    assert_eq!((&came["hostname"], &came["sw_ident"]), (&json!(name), &json!("updraft")));
    assert_eq!(tool.answer(&name, "ping").await, json!({ "ok": "pong" }));
    let stats = tool.answer(&name, "stats").await;
    assert_eq!((&stats["pool"]["max-concurrency"], &stats["broker"]["port"]), (&json!(3), &json!(5672)));
    assert_eq!(tool.answer(&name, "pool_grow").await, json!({ "ok": "pool will grow" }));
    let order = timeout(PATIENCE, post.orders.recv()).await.expect("an order in time");
    assert_eq!(order, Some(Order::Resize { slots: 4 }));
    assert_eq!(tool.answer(&name, "heartbeat").await, Value::Null);
    tool.event(&name, "worker.heartbeat").await;
    post.presence.leave().await;
    tool.event(&name, "worker.offline").await;
}

#[tokio::test]
async fn a_worker_whose_name_is_taken_waits_and_does_not_disturb_the_other() {
    let Some(url) = url() else { return };
    let (mut tool, name) = (Tool::open(&url).await, name());
    let first = worker(&url, &name, true);
    assert_eq!(tool.answer(&name, "ping").await, json!({ "ok": "pong" }));
    let second = worker(&url, &name, true);
    for _ in 0..3 {
        assert_eq!(tool.answer(&name, "ping").await, json!({ "ok": "pong" }), "one answer, of the first");
    }
    for post in [second, first] {
        post.presence.leave().await;
    }
}

#[tokio::test]
async fn without_remote_control_a_worker_is_seen_and_cannot_be_asked() {
    let Some(url) = url() else { return };
    let (mut tool, name) = (Tool::open(&url).await, name());
    let post = worker(&url, &name, false);
    tool.event(&name, "worker.online").await;
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    let queue = short(&format!("{name}.celery.pidbox"));
    let found = tool.channel.queue_declare(queue, passive, FieldTable::default()).await;
    assert!(found.is_err_and(|error| error.to_string().contains("NOT_FOUND")), "nothing listens");
    post.presence.leave().await;
}
