//! What a worker says to Celery's tools, and what becomes of their wishes: a function of what happened, with the time given.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::answer::Known;
use super::clock::Clock;
use super::event::{Speaker, WorkerEvent};
use super::machine::Vitals;
use super::method::{MOST_SLOTS, Method};
use super::request::Request;
use super::tasks::{Happened, Tasks};
use super::view::{About, News, Order, WorkerView};
use crate::broker::address::Address;
use crate::domain::ids::QueueName;
use crate::domain::time::Time;

/// Where answers go. A stranger's message does not make us write anywhere else.
pub(super) const REPLY_EXCHANGE: &str = "reply.celery.pidbox";

/// Task events that wait for a connection; the oldest go first.
const MOST_WAITING: usize = 2_000;

/// Task events in one message.
const MOST_TOGETHER: usize = 100;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// To the exchange of events.
    Tell {
        routing_key: String,
        body: Vec<u8>,
    },
    /// To the exchange of answers.
    Answer {
        routing_key: String,
        ticket: Option<String>,
        clock: i64,
        body: Vec<u8>,
    },
    Order(Order),
}

/// What a method comes to.
#[derive(Default)]
struct Reaction {
    /// `null` where Celery's worker returns nothing.
    answer: Value,
    orders: Vec<Order>,
    is_silent: bool,
    beats: bool,
}

impl From<Value> for Reaction {
    fn from(answer: Value) -> Self {
        Self { answer, ..Self::default() }
    }
}

fn ok(text: impl Into<String>) -> Reaction {
    json!({ "ok": text.into() }).into()
}

fn error(text: impl Into<String>) -> Reaction {
    json!({ "error": text.into() }).into()
}

/// One worker in the eyes of Celery's tools.
pub(super) struct Core {
    about: About,
    speaker: Speaker,
    clock: Clock,
    view: WorkerView,
    tasks: Tasks,
    server: Option<Address>,
    tells_of_tasks: bool,
    waiting: VecDeque<Value>,
}

impl Core {
    pub(super) fn new(about: About, view: WorkerView) -> Self {
        Self {
            speaker: Speaker { name: about.name.clone(), version: about.version.clone(), pid: about.pid },
            clock: Clock::default(),
            view,
            tasks: Tasks::default(),
            server: None,
            tells_of_tasks: about.task_events,
            waiting: VecDeque::new(),
            about,
        }
    }

    pub(super) fn about(&self) -> &About {
        &self.about
    }

    /// There is a connection: viewers shall know at once.
    pub(super) fn on_connected(&mut self, server: Address, now: Time, vitals: &Vitals) -> Effect {
        self.server = Some(server);
        self.tell(WorkerEvent::Online, now, vitals)
    }

    pub(super) fn on_beat(&mut self, now: Time, vitals: &Vitals) -> Effect {
        self.tell(WorkerEvent::Heartbeat, now, vitals)
    }

    pub(super) fn on_leaving(&mut self, now: Time, vitals: &Vitals) -> Effect {
        self.tell(WorkerEvent::Offline, now, vitals)
    }

    pub(super) fn on_news(&mut self, news: News, now: Time) {
        let happened = match news {
            News::Online(view) => {
                self.view = view;
                self.tasks.all_gone(now)
            }
            News::Standing(view, held) => {
                self.view = view;
                self.tasks.keep(&held);
                Vec::new()
            }
            News::Received { task, at } => {
                self.tasks.received(task, at);
                Vec::new()
            }
            News::Started { claim, pid, at } => self.tasks.started(claim, pid, at),
            News::Ended { claim, outcome, exit_code, started_at, ended_at } => {
                self.tasks.ended(claim, (outcome, exit_code), started_at, ended_at)
            }
            News::GivenBack { claim, at } => self.tasks.given_back(claim, at),
        };
        if self.tells_of_tasks {
            self.keep(happened);
        }
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Task events that waited, as many as go into one message.
    pub(super) fn flush(&mut self) -> Option<Effect> {
        let together = self.waiting.len().min(MOST_TOGETHER);
        let events: Vec<Value> = self.waiting.drain(..together).collect();
        (!events.is_empty()).then(|| told("task.multi", &Value::Array(events)))
    }

    /// A message of remote control. What is not for this worker, or no request at all, changes nothing.
    pub(super) fn on_request(&mut self, body: &[u8], clock: i64, now: Time, vitals: &Vitals) -> Vec<Effect> {
        self.clock.heard(clock);
        let request = match Request::read(body) {
            Ok(request) => request,
            Err(why) => {
                tracing::debug!(why, "a message of remote control is not understood");
                return Vec::new();
            }
        };
        if !request.is_for(&self.about.name) {
            return Vec::new();
        }
        let reaction = match Method::read(&request.method, &request.arguments()) {
            Ok(method) => self.react(method, now, vitals),
            Err(why) => error(why),
        };
        let mut effects: Vec<Effect> = reaction.orders.into_iter().map(Effect::Order).collect();
        if reaction.beats {
            effects.push(self.on_beat(now, vitals));
        }
        if let Some(to) = request.reply_to.filter(|to| to.exchange == REPLY_EXCHANGE && !reaction.is_silent) {
            let body = json!({ self.about.name.as_str(): reaction.answer }).to_string().into_bytes();
            let (routing_key, ticket) = (to.routing_key, request.ticket);
            effects.push(Effect::Answer { routing_key, ticket, clock: self.clock.forward(), body });
        }
        effects
    }

    fn react(&mut self, method: Method, now: Time, vitals: &Vitals) -> Reaction {
        let (about, view, tasks, server) = (&self.about, &self.view, &self.tasks, self.server.as_ref());
        let known = Known { about, view, tasks, server, clock: self.clock.now() };
        match method {
            Method::Ping => ok("pong"),
            Method::Active { safe } => known.active(safe).into(),
            Method::Reserved { safe } => known.reserved(safe).into(),
            // Nothing waits here for a time to come, and nothing is remembered as revoked: that is the scheduler's.
            Method::Scheduled | Method::Revoked => json!([]).into(),
            Method::Registered => json!(about.can_run).into(),
            Method::Stats => known.stats(now, vitals).into(),
            Method::ActiveQueues => known.queues().into(),
            Method::Conf => known.conf().into(),
            Method::Clock => json!({ "clock": known.clock }).into(),
            Method::Report => known.report().into(),
            Method::QueryTask { ids } => known.query(&ids).into(),
            Method::Hello { from } if from == about.name => Reaction::default(),
            Method::Hello { from: _ } => json!({ "revoked": [], "clock": self.clock.forward() }).into(),
            Method::EnableEvents => self.enable_task_events(),
            Method::DisableEvents => match std::mem::take(&mut self.tells_of_tasks) {
                true => ok("task events disabled"),
                false => ok("task events already disabled"),
            },
            Method::Heartbeat => Reaction { beats: true, ..Reaction::default() },
            Method::Revoke { ids, terminate, at_once } => self.revoke(&ids, terminate, at_once),
            Method::RateLimit => error("rate limits are not supported: give the tasks a pool in Updraft"),
            Method::TimeLimit => error("time limits are not supported: give the task an execution_timeout"),
            Method::PoolGrow { by } => self.resize(i64::from(by), "pool will grow"),
            Method::PoolShrink { by } => self.resize(-i64::from(by), "pool will shrink"),
            Method::PoolRestart => error("ValueError('Pool restarts not enabled')"),
            Method::Autoscale => match about.autoscale {
                None => error("ValueError('Autoscale not enabled')"),
                Some((max, min)) => error(format!(
                    "the bounds are max={max} min={min} by [celery] worker_autoscale: change them there and restart the worker"
                )),
            },
            Method::AddConsumer { queue } => self.listen(&queue, true),
            Method::CancelConsumer { queue } => self.listen(&queue, false),
            Method::Shutdown => Reaction { orders: vec![Order::Shutdown], is_silent: true, ..Reaction::default() },
            // Workers of ours elect nobody.
            Method::Election => Reaction::default(),
        }
    }

    fn enable_task_events(&mut self) -> Reaction {
        if std::mem::replace(&mut self.tells_of_tasks, true) {
            return ok("task events already enabled");
        }
        let running = self.tasks.introduce_running();
        self.keep(running);
        ok("task events enabled")
    }

    /// Only a process that runs here can be ended here: what waits is the scheduler's to take back.
    fn revoke(&mut self, ids: &[String], terminate: bool, at_once: bool) -> Reaction {
        if !terminate {
            return error(
                "only a running task can be revoked (terminate=True): one that waits belongs to the scheduler, mark or clear it there",
            );
        }
        let running = |id: &String| self.tasks.of_attempt(id).filter(|task| task.running.is_some());
        let found: Vec<_> = ids.iter().filter_map(|id| Some((id.as_str(), running(id)?.view.claim))).collect();
        if found.is_empty() {
            return ok("terminate: tasks unknown");
        }
        let says = found.iter().map(|(id, _)| *id).collect::<Vec<_>>().join(", ");
        let orders = found.iter().map(|(_, claim)| Order::Terminate { claim: *claim, at_once }).collect();
        Reaction { orders, ..ok(format!("terminate: {says}")) }
    }

    fn resize(&mut self, by: i64, says: &str) -> Reaction {
        if self.view.draining {
            return error("the worker is leaving");
        }
        if self.about.autoscale.is_some() {
            let what = if by > 0 { "pool_grow" } else { "pool_shrink" };
            return error(format!("{what} is not supported with autoscale. Adjust autoscale range instead."));
        }
        match u32::try_from(i64::from(self.view.slots) + by) {
            Ok(slots) if (1..=MOST_SLOTS).contains(&slots) => {
                // The worker says so itself in a moment; until then a second wish counts on from here.
                self.view.slots = slots;
                Reaction { orders: vec![Order::Resize { slots }], ..ok(says) }
            }
            Ok(_) | Err(_) => {
                let now = self.view.slots;
                error(format!("ValueError('a worker has 1 to {MOST_SLOTS} slots, and this one has {now}')"))
            }
        }
    }

    /// Both names of a queue are understood: the one that the broker knows, which viewers show, and Airflow's.
    fn listen(&mut self, queue: &str, more: bool) -> Reaction {
        let name = self.about.names.task_of(queue).map_or_else(|| QueueName::new(queue), Ok);
        let name = match name {
            Ok(name) if self.about.names.task(&name).is_ok() => name,
            Ok(_) => return error("ValueError('the name of the queue is too long for the broker')"),
            Err(why) => return error(format!("ValueError({})", super::python::repr(&why.to_string()))),
        };
        if more == self.view.queues.contains(&name) {
            return ok(if more {
                format!("already consuming from {queue}")
            } else {
                format!("no longer consuming from {queue}")
            });
        }
        if more && self.view.draining {
            return error("the worker is leaving");
        }
        let (add, remove, says) = if more {
            self.view.queues.push(name.clone());
            (vec![name], Vec::new(), format!("add consumer {queue}"))
        } else {
            self.view.queues.retain(|known| *known != name);
            (Vec::new(), vec![name], format!("no longer consuming from {queue}"))
        };
        Reaction { orders: vec![Order::Queues { add, remove }], ..ok(says) }
    }

    fn keep(&mut self, happened: Vec<Happened>) {
        for Happened { attempt, event, at } in happened {
            let event = self.speaker.of_task(event, &attempt.to_string(), &mut self.clock, at);
            if self.waiting.len() == MOST_WAITING {
                self.waiting.pop_front();
            }
            self.waiting.push_back(event);
        }
    }

    fn tell(&mut self, kind: WorkerEvent, now: Time, vitals: &Vitals) -> Effect {
        let counts = (self.tasks.active().count(), self.tasks.processed());
        let event = self.speaker.of_worker(kind, &mut self.clock, now, counts, vitals);
        told(&kind.name().replace('-', "."), &event)
    }
}

fn told(routing_key: &str, body: &Value) -> Effect {
    Effect::Tell { routing_key: routing_key.to_owned(), body: body.to_string().into_bytes() }
}
