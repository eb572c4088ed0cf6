//! The tab Gantt, and the same picture on the page of a run.

use std::collections::HashMap;

use maud::{Markup, html};

use super::Shown;
use super::head::run_choice;
use super::look::Look;
use crate::domain::attempt::{AttemptState, Outcome};
use crate::domain::graph::Dag;
use crate::domain::ids::{MapIndex, TaskId};
use crate::domain::limit::Limit;
use crate::domain::state::TaskState;
use crate::domain::time::Time;
use crate::store::query::{Instance, InstanceFilter};
use crate::store::write::{AttemptRow, RunRow};
use crate::web::error::Error;
use crate::web::page::{kept, way};
use crate::web::state::Web;
use crate::web::view::gantt::{self, Bar, Gantt, Try};
use crate::web::view::icon::Icon;
use crate::web::view::table;

/// More bars are no picture any more.
const MOST_BARS: usize = 400;

pub(super) async fn show(web: &Web, look: &Look) -> Result<Shown, Error> {
    let Some(run) = &look.run else {
        let empty = html! { p { "Once the DAG has run, this shows when each of its tasks waited and ran." } };
        return Ok(Shown::live(table::empty(Icon::Clock, "No run yet", &empty)));
    };
    let picture = of_run(web, run, look.now).await?;
    Ok(Shown::live(html! {
        div.toolbar { (run_choice(web, look).await?) }
        (picture)
    }))
}

/// The picture of one run.
pub(in crate::web::page) async fn of_run(web: &Web, run: &RunRow, now: Time) -> Result<Markup, Error> {
    let dag = kept::dag(web, &run.dag_id, run.version).await?;
    let instances = web.store.instances(run.key, &InstanceFilter::default()).await?;
    let attempts = web.store.attempts(run.key, None).await?;
    let gantt = gantt(run, &dag, &instances, attempts, now);
    Ok(match gantt.bars.is_empty() {
        true => table::empty(
            Icon::Clock,
            "Nothing has run yet",
            &html! { p { "Bars appear as soon as a task is queued." } },
        ),
        false => gantt::draw(&gantt, dag.definition.timezone),
    })
}

fn gantt(run: &RunRow, dag: &Dag, instances: &[Instance], attempts: Vec<AttemptRow>, now: Time) -> Gantt {
    let mut tries: HashMap<(TaskId, MapIndex), Vec<AttemptRow>> = HashMap::new();
    for attempt in attempts {
        tries.entry((attempt.task_id.clone(), attempt.map_index)).or_default().push(attempt);
    }
    let mut bars: Vec<Bar> = instances
        .iter()
        .filter_map(|instance| {
            let attempts = tries.remove(&(instance.task_id.clone(), instance.map_index)).unwrap_or_default();
            let tries = tries_of(instance, &attempts);
            let link = way::task(&run.dag_id, &run.run_id, &instance.task_id, instance.map_index);
            let (task, map_index) = (instance.task_id.clone(), instance.map_index);
            (!tries.is_empty()).then(|| Bar { task, map_index, link, tries, upstream: Vec::new() })
        })
        .collect();
    bars.sort_by_key(|bar| bar.tries.first().map(|one| (one.started_at.unwrap_or(one.queued_at), one.queued_at)));
    let left_out = bars.len().saturating_sub(MOST_BARS);
    bars.truncate(MOST_BARS);
    join_upstream(dag, &mut bars);
    let all = || bars.iter().flat_map(|bar| &bar.tries);
    let from = all().map(|one| one.queued_at).chain(run.started_at).min().unwrap_or(run.queued_at);
    let goes_on = all().any(|one| one.ended_at.is_none());
    let last = all().filter_map(|one| one.ended_at).max();
    let until = if goes_on { now } else { last.unwrap_or(now) }.max(from);
    let limit = match dag.definition.max_active_tasks {
        Limit::Unlimited => None,
        Limit::AtMost(most) => Some(most.get()),
    };
    Gantt { from, until, bars, limit, left_out }
}

/// The attempts; of what the scheduler passes by itself, which has none, the instance alone.
fn tries_of(instance: &Instance, attempts: &[AttemptRow]) -> Vec<Try> {
    if attempts.is_empty() {
        let one = instance.started_at.map(|started| Try {
            number: instance.try_number,
            state: instance.state,
            queued_at: instance.queued_at.unwrap_or(started),
            started_at: Some(started),
            ended_at: instance.ended_at,
        });
        return one.into_iter().collect();
    }
    let last = attempts.len() - 1;
    attempts
        .iter()
        .enumerate()
        .map(|(at, attempt)| Try {
            number: attempt.try_number,
            state: if at == last && instance.state.is_finished() { instance.state } else { state_of(attempt) },
            queued_at: attempt.queued_at,
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
        })
        .collect()
}

/// As which state of a task instance a try shows.
pub(in crate::web::page) fn state_of(attempt: &AttemptRow) -> TaskState {
    match attempt.state {
        AttemptState::Queued { .. } => TaskState::Queued,
        AttemptState::Run { .. } if attempt.started_at.is_none() => TaskState::Queued,
        AttemptState::Run { .. } => TaskState::Running,
        AttemptState::Ending { .. } => TaskState::Restarting,
        AttemptState::Done { outcome, .. } => match outcome {
            Outcome::Success => TaskState::Success,
            Outcome::Skipped => TaskState::Skipped,
            Outcome::Rescheduled => TaskState::UpForReschedule,
            Outcome::Deferred => TaskState::Deferred,
            Outcome::Failed { .. } | Outcome::TimedOut | Outcome::Undeliverable => TaskState::Failed,
            Outcome::Killed | Outcome::Fenced | Outcome::Lost | Outcome::NeverStarted => TaskState::Removed,
        },
    }
}

/// The rows of direct upstreams; of mapped ones, of the same index or of all.
fn join_upstream(dag: &Dag, bars: &mut [Bar]) {
    let mut rows: HashMap<TaskId, Vec<usize>> = HashMap::new();
    for (row, bar) in bars.iter().enumerate() {
        rows.entry(bar.task.clone()).or_default().push(row);
    }
    for row in 0..bars.len() {
        let Some(ix) = dag.find(&bars[row].task) else { continue };
        let index = bars[row].map_index;
        let before = dag.upstream(ix).iter().filter_map(|up| rows.get(&dag.task(*up).task_id));
        let of_all = before.flat_map(|rows| {
            let same: Vec<usize> = rows.iter().copied().filter(|at| bars[*at].map_index == index).collect();
            // Whoever waits for hundreds would only be covered by lines.
            if same.is_empty() { rows.iter().copied().take(20).collect() } else { same }
        });
        let upstream: Vec<usize> = of_all.collect();
        bars[row].upstream = upstream;
    }
}
