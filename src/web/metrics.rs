//! `/metrics` for Prometheus, under the names that Airflow's metrics have there. What is under way is read from the
//! database when somebody asks. What happened is counted where the scheduler is, from the first question on, and for
//! as long as somebody asks now and then: a counter that begins at zero again is what a monitoring system expects of
//! a restart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use prometheus::core::Collector;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use tokio::sync::Notify;

use crate::auth::{Action, Resource};
use crate::domain::ids::{DagId, RunId, TaskKey};
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::{Time, until};
use crate::protocol::event::{Change, Event};
use crate::protocol::status::Part;
use crate::store::query::PoolUse;

use super::check::permit;
use super::error::Error;
use super::route::{Needs, Route};
use super::state::Web;
use super::watch::News;

/// Who has not asked for so long does not ask any more.
const ASKED_WITHIN: Duration = Duration::from_secs(600);
/// How long the scheduler may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(2);
/// More starts are not remembered at once.
const MOST_STARTS: usize = 100_000;
const SECONDS: [f64; 9] = [0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 600.0, 3_600.0, 36_000.0];

pub fn routes() -> Vec<Route> {
    // Who may is asked in the handler: that depends on where the server listens.
    vec![Route::get("/metrics", Needs::Nobody, metrics)]
}

async fn metrics(web: Web, request: HttpRequest) -> Result<HttpResponse, Error> {
    let is_local = request.peer_addr().is_some_and(|peer| peer.ip().is_loopback());
    if !(web.settings.metrics_are_open && is_local) {
        permit(Needs::May(Action::Read, Resource::Cluster), &request, &web).await?;
    }
    let status = tokio::time::timeout(PATIENCE, (web.pulse)()).await.ok().and_then(|status| status.scheduler);
    let registry = now(&web, status).await?;
    let mut text = Vec::new();
    let mut families = registry.gather();
    // Who leads hears of changes; elsewhere counting them would be to look at the database day and night.
    if matches!(status, Some(Part::Leads(_))) {
        families.extend(web.counters.ask(&web));
    }
    TextEncoder::new().encode(&families, &mut text).map_err(|why| Error::Internal(why.to_string()))?;
    Ok(HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(text))
}

/// What is under way.
async fn now(web: &Web, status: Option<Part>) -> Result<Registry, Error> {
    let registry = Registry::new();
    let gauge = |name: &str, help: &str, value: u64| {
        let gauge = IntGauge::new(name, help)?;
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(Box::new(gauge))
    };
    let by = |name: &str, help: &str, label: &str, values: &[(String, i64)]| {
        let gauges = IntGaugeVec::new(Opts::new(name, help), &[label])?;
        values.iter().for_each(|(of, value)| gauges.with_label_values(&[of]).set(*value));
        registry.register(Box::new(gauges))
    };
    let counts = web.store.counts().await?;
    let activity = web.store.activity(chrono::Utc::now()).await?;
    let of = |state: TaskState| counts.tasks.get(&state).copied().unwrap_or(0);
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let pools = pools(web).await?;
    let dags = web.store.dags(false).await?.len() as u64;
    let tasks: Vec<_> = counts.tasks.iter().map(|(state, count)| (state.to_string(), signed(*count))).collect();
    let runs: Vec<_> = counts.runs.iter().map(|(state, count)| (state.to_string(), signed(*count))).collect();
    let fill = || {
        gauge("airflow_dagbag_size", "DAGs that there are", dags)?;
        gauge("airflow_dag_processing_import_errors", "Problems of DAG files", counts.import_errors)?;
        gauge("airflow_executor_running_tasks", "Task instances that run", of(TaskState::Running))?;
        gauge("airflow_executor_queued_tasks", "Task instances that wait for a slot", of(TaskState::Queued))?;
        if let Some(slots) = activity.slots {
            let open = slots.saturating_sub(activity.slots_used);
            gauge("airflow_executor_open_slots", "Slots of workers that are free", open)?;
        }
        gauge("airflow_scheduler_tasks_executable", "Task instances that may run", of(TaskState::Scheduled))?;
        by("airflow_task_instances", "Task instances of unfinished runs", "state", &tasks)?;
        by("airflow_dag_runs", "Unfinished runs", "state", &runs)?;
        for (name, help, values) in &pools {
            by(name, help, "pool", values)?;
        }
        if let Some(Part::Leads(status)) = status {
            gauge("updraft_scheduler_epoch", "How often somebody began to lead", status.epoch.0.unsigned_abs())?;
            gauge("updraft_scheduler_commits", "Commits of this leader", status.commits)?;
            gauge("updraft_scheduler_invariant_violations", "Anything but 0 is a fault", status.violations)?;
            gauge("updraft_scheduler_rejected_messages", "Messages that were none of ours", status.rejected)?;
        }
        gauge("updraft_live_watchers", "Streams of changes that are open", web.watch.watchers() as u64)
    };
    fill().map_err(|why: prometheus::Error| Error::Internal(why.to_string()))?;
    Ok(registry)
}

type OfPools = (&'static str, &'static str, Vec<(String, i64)>);

async fn pools(web: &Web) -> Result<Vec<OfPools>, Error> {
    let (pools, taken) = (web.store.pools().await?, web.store.pool_use().await?);
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let count = |pool: &str, is: &dyn Fn(&PoolUse) -> bool| -> i64 {
        signed(taken.iter().filter(|one| one.pool.as_str() == pool && is(one)).map(|one| one.slots).sum())
    };
    let of_state = |name, help, state: TaskState| -> OfPools {
        let value = |pool: &str| count(pool, &|one| one.state == state);
        (name, help, pools.iter().map(|pool| (pool.name.to_string(), value(pool.name.as_str()))).collect())
    };
    let open = pools.iter().map(|pool| {
        let takes = |one: &PoolUse| match one.state {
            TaskState::Queued | TaskState::Running | TaskState::Restarting => true,
            TaskState::Deferred => pool.include_deferred,
            TaskState::None
            | TaskState::Scheduled
            | TaskState::Success
            | TaskState::Failed
            | TaskState::Skipped
            | TaskState::UpstreamFailed
            | TaskState::UpForRetry
            | TaskState::UpForReschedule
            | TaskState::Removed
            | TaskState::AwaitingInput => false,
        };
        let left = i64::from(pool.slots) - count(pool.name.as_str(), &takes);
        // -1 is without limit.
        (pool.name.to_string(), if pool.slots < 0 { -1 } else { left })
    });
    Ok(vec![
        ("airflow_pool_open_slots", "Free slots of the pool; -1: without limit", open.collect()),
        of_state("airflow_pool_queued_slots", "Slots of queued task instances", TaskState::Queued),
        of_state("airflow_pool_running_slots", "Slots of running task instances", TaskState::Running),
        of_state("airflow_pool_deferred_slots", "Slots of deferred task instances", TaskState::Deferred),
        of_state("airflow_pool_scheduled_slots", "Slots that scheduled task instances want", TaskState::Scheduled),
    ])
}

/// What happened, as far as it was heard.
#[derive(Clone)]
pub struct Counters(Arc<Inner>);

struct Inner {
    started: IntCounterVec,
    finished: IntCounterVec,
    successes: IntCounter,
    failures: IntCounter,
    task_seconds: HistogramVec,
    run_seconds_success: HistogramVec,
    run_seconds_failed: HistogramVec,
    missed: IntCounter,
    under_way: Mutex<UnderWay>,
    asked: Notify,
}

#[derive(Default)]
struct UnderWay {
    is_counting: bool,
    tasks: HashMap<TaskKey, Time>,
    runs: HashMap<(DagId, RunId), Time>,
}

impl Default for Counters {
    fn default() -> Self {
        let fixed = "the names of our metrics are well formed";
        let counters = |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels).expect(fixed);
        let counter = |name, help| IntCounter::new(name, help).expect(fixed);
        let histogram = |name: &str, help: &str| {
            let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
            HistogramVec::new(options, &["dag_id"]).expect(fixed)
        };
        Self(Arc::new(Inner {
            started: counters("airflow_ti_start", "Task instances that began to run", &["dag_id"]),
            finished: counters("airflow_ti_finish", "Task instances that ended", &["dag_id", "state"]),
            successes: counter("airflow_ti_successes", "Task instances that succeeded"),
            failures: counter("airflow_ti_failures", "Task instances that failed"),
            task_seconds: histogram("airflow_task_duration", "Seconds that task instances ran"),
            run_seconds_success: histogram("airflow_dagrun_duration_success", "Seconds of runs that succeeded"),
            run_seconds_failed: histogram("airflow_dagrun_duration_failed", "Seconds of runs that failed"),
            missed: counter("updraft_changes_missed", "Times that changes went uncounted"),
            under_way: Mutex::default(),
            asked: Notify::new(),
        }))
    }
}

impl Counters {
    /// What was counted; from now on it is.
    fn ask(&self, web: &Web) -> Vec<prometheus::proto::MetricFamily> {
        self.0.asked.notify_one();
        if !std::mem::replace(&mut self.0.under_way().is_counting, true) {
            tokio::spawn(self.clone().count(web.watch.subscribe(None)));
        }
        let inner = &self.0;
        let all: [&dyn Collector; 8] = [
            &inner.started,
            &inner.finished,
            &inner.successes,
            &inner.failures,
            &inner.task_seconds,
            &inner.run_seconds_success,
            &inner.run_seconds_failed,
            &inner.missed,
        ];
        all.into_iter().flat_map(Collector::collect).filter(|family| !family.get_metric().is_empty()).collect()
    }

    async fn count(self, mut subscription: super::watch::Subscription) {
        loop {
            let nobody_asks = tokio::time::sleep(ASKED_WITHIN);
            let mut nobody_asks = std::pin::pin!(nobody_asks);
            loop {
                tokio::select! {
                    () = self.0.asked.notified() => break,
                    () = &mut nobody_asks => {
                        *self.0.under_way() = UnderWay::default();
                        return;
                    }
                    news = subscription.next() => match news {
                        News::Changes { events, .. } => events.iter().for_each(|event| self.0.hear(event)),
                        News::Missed { .. } => self.0.missed.inc(),
                    },
                }
            }
        }
    }
}

impl Inner {
    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, event: &Event) {
        match &event.change {
            Change::Task { key, state, .. } => self.task(key, *state, event.at),
            Change::Run { dag, run, state } => self.run((dag.clone(), run.clone()), *state, event.at),
            Change::Dag { .. } | Change::Notification { .. } | Change::DeadlineMissed { .. } => {}
        }
    }

    fn task(&self, key: &TaskKey, state: TaskState, at: Time) {
        let (dag, mut under_way) = (key.dag.as_str(), self.under_way());
        if state == TaskState::Running {
            if under_way.tasks.len() < MOST_STARTS && under_way.tasks.insert(key.clone(), at).is_none() {
                self.started.with_label_values(&[dag]).inc();
            }
            return;
        }
        if let Some(since) = under_way.tasks.remove(key) {
            self.task_seconds.with_label_values(&[dag]).observe(until(since, at).as_secs_f64());
        }
        if state.is_finished() {
            self.finished.with_label_values(&[dag, &state.to_string()]).inc();
        }
        match state {
            TaskState::Success => self.successes.inc(),
            TaskState::Failed => self.failures.inc(),
            TaskState::None
            | TaskState::Scheduled
            | TaskState::Queued
            | TaskState::Running
            | TaskState::Skipped
            | TaskState::UpstreamFailed
            | TaskState::UpForRetry
            | TaskState::UpForReschedule
            | TaskState::Deferred
            | TaskState::Restarting
            | TaskState::Removed
            | TaskState::AwaitingInput => {}
        }
    }

    fn run(&self, run: (DagId, RunId), state: RunState, at: Time) {
        let mut under_way = self.under_way();
        let seconds = match state {
            RunState::Running => {
                if under_way.runs.len() < MOST_STARTS {
                    under_way.runs.entry(run).or_insert(at);
                }
                return;
            }
            RunState::Queued => return,
            RunState::Success => &self.run_seconds_success,
            RunState::Failed => &self.run_seconds_failed,
        };
        if let Some(since) = under_way.runs.remove(&run) {
            seconds.with_label_values(&[run.0.as_str()]).observe(until(since, at).as_secs_f64());
        }
    }
}
