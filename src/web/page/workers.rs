//! Workers and what they do, and the queues that they take from. What a worker is told, it is told once.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::HttpResponse;
use maud::{Markup, html};

use crate::auth::{Action, Resource};
use crate::domain::ids::{MapIndex, QueueName};
use crate::domain::state::TaskState;
use crate::domain::time::{Time, until};
use crate::domain::worker::WorkerStatus;
use crate::protocol::control::{Control, Reply, WorkerOrder};
use crate::store::query::{ListedWorker, Owned};
use crate::web::view::address::escape;
use crate::web::view::frame::{Here, head};
use crate::web::view::icon::{Icon, icon};
use crate::web::view::state::{Look, badge};
use crate::web::view::table::empty;
use crate::web::view::toast::Toast;
use crate::web::view::{form, number, time};
use crate::web::{Error, Needs, Route};

use super::shell::{Fields, Sent, Shell};

/// A worker that is told to shut down may finish for so long.
const GRACE: Duration = Duration::from_secs(600);
/// Names of tasks in one row.
const SHOWN: usize = 4;
/// Squares of a meter; more slots are only counted.
const SQUARES: u64 = 16;

pub fn routes() -> Vec<Route> {
    let read = Needs::May(Action::Read, Resource::Worker);
    vec![
        Route::get("/workers", read, workers),
        Route::get("/queues", read, queues),
        Route::post("/workers/order", Needs::May(Action::Edit, Resource::Worker), order),
    ]
}

async fn workers(shell: Shell) -> Result<HttpResponse, Error> {
    let all = shell.web.store.list_workers().await?;
    let owned = shell.web.store.owned_attempts().await?;
    let with_gone = shell.address.get("gone").is_some();
    let gone = all.iter().filter(|worker| !worker.row.status.lives()).count();
    let mut shown: Vec<&ListedWorker> = all.iter().filter(|worker| with_gone || worker.row.status.lives()).collect();
    shown.sort_by_key(|worker| (!worker.row.status.lives(), worker.row.name.clone()));
    let body = html! {
        (head("Workers", None, &html! {
            a.button href="/queues" { (icon(Icon::Queue)) "Queues" }
            @if gone > 0 && !with_gone { a.button.ghost href="/workers?gone=1" { "Show " (gone) " that are gone" } }
            @if with_gone { a.button.ghost href="/workers" { "Hide those that are gone" } }
        }))
        div #workers data-live { @if shown.is_empty() { (none()) } @else { (table(&shell, &shown, &owned)) } }
    };
    shell.page("Workers", Here::Workers, &body).await
}

fn none() -> Markup {
    empty(
        Icon::Worker,
        "No worker is online",
        &html! {
            p { "Start one on any machine that reaches the broker:" }
            pre { "updraft celery worker --concurrency 8 --queues default" }
            p.quiet { "With LocalExecutor the scheduler's own node works: " code { "updraft standalone" } "." }
        },
    )
}

fn table(shell: &Shell, workers: &[&ListedWorker], owned: &[Owned]) -> Markup {
    let may = shell.caller.may(Action::Edit, Resource::Worker);
    html! {
        div.scroll {
            table.list {
                thead {
                    tr {
                        th scope="col" { "Worker" }
                        th scope="col" { "State" }
                        th scope="col" { "Slots" }
                        th scope="col" { "Running" }
                        th scope="col" { "Queues" }
                        th.wide-only scope="col" { "Version" }
                        th scope="col" { "Seen" }
                        @if may { th.tight scope="col" { span.unseen { "Actions" } } }
                    }
                }
                tbody { @for worker in workers { (row(shell, worker, owned, may)) } }
            }
        }
    }
}

fn row(shell: &Shell, worker: &ListedWorker, owned: &[Owned], may: bool) -> Markup {
    let row = &worker.row;
    let now = shell.now;
    html! {
        tr id={ "worker-" (row.id.0) } {
            td.name { span.title.break { (row.name) } }
            td { (status(row.status)) }
            td.nowrap { (meter(worker.owned, u32::from(row.slots).into())) }
            td { (running(owned.iter().filter(|one| one.worker == row.id), now)) }
            td { @for queue in &row.queues { a.tag href="/queues" { (queue) } " " } }
            td.wide-only.quiet { (row.version) }
            td { (time::ago(row.seen_at, now)) }
            @if may { td.tight { @if row.status.lives() { (orders(shell, worker)) } } }
        }
    }
}

fn status(status: WorkerStatus) -> Markup {
    let (class, picture) = match status {
        WorkerStatus::Online => ("s-success", Icon::Check),
        WorkerStatus::Draining => ("s-up_for_retry", Icon::Drain),
        WorkerStatus::Suspect => ("s-upstream_failed", Icon::Warning),
        WorkerStatus::Offline => ("s-removed", Icon::Dash),
        WorkerStatus::Lost => ("s-failed", Icon::Cross),
    };
    html! { span class={ "badge " (class) } { (icon(picture)) (status.as_str()) } }
}

/// A square per slot, the taken ones full.
fn meter(used: u64, slots: u64) -> Markup {
    let told = if slots == 0 { format!("{} of any number", number::count(used)) } else { format!("{used}/{slots}") };
    html! {
        @if slots > 0 && slots <= SQUARES {
            svg.meter width=(slots * 9) height="12" aria-hidden="true" {
                @for at in 0..slots {
                    rect.owned[at < used] x=(at * 9) y="2" width="7" height="9" rx="1.5" {}
                }
            }
            " "
        }
        (told)
    }
}

fn running<'a>(owned: impl Iterator<Item = &'a Owned>, now: Time) -> Markup {
    let owned: Vec<&Owned> = owned.collect();
    html! {
        @if owned.is_empty() { (time::dash()) }
        @for (at, one) in owned.iter().take(SHOWN).enumerate() {
            @if at > 0 { " · " }
            span.nowrap {
                a href=(task_address(one)) title={ (one.dag) " " (one.run_id) } { (one.task) }
                " " span.quiet { (time::took(one.started_at, None, now)) }
            }
        }
        @if owned.len() > SHOWN { span.quiet { " and " (owned.len() - SHOWN) " more" } }
    }
}

fn task_address(one: &Owned) -> String {
    let (dag, run, task) = (escape(one.dag.as_str()), escape(one.run_id.as_str()), escape(one.task.as_str()));
    let base = format!("/dags/{dag}/runs/{run}/tasks/{task}");
    if one.map_index == MapIndex::UNMAPPED { base } else { format!("{base}/{}", one.map_index) }
}

/// What a worker can be told. Each says what becomes of the work that it has.
fn orders(shell: &Shell, worker: &ListedWorker) -> Markup {
    let name = worker.row.name.as_str();
    let csrf = shell.caller.csrf();
    let left = number::counted(worker.owned, "task", "tasks");
    html! {
        details.menu.end id={ "orders-" (worker.row.id.0) } {
            summary.button.ghost.square aria-label={ "Orders for " (name) } { (icon(Icon::More)) }
            div.sheet {
                @if worker.row.queues.is_empty() {
                    div.title { "It is drained: it takes nothing" }
                } @else {
                    div.title { "Takes nothing new; the " (left) " it has go on" }
                    (form::action("/workers/order", csrf, &[("name", name), ("order", "drain")],
                        &html! { button type="submit" { (icon(Icon::Drain)) "Drain" } }))
                }
                form.row method="post" action="/workers/order" {
                    (form::csrf(csrf))
                    input type="hidden" name="name" value=(name);
                    input type="hidden" name="order" value="add_queue";
                    input name="queue" required value=[worker.row.queues.is_empty().then_some("default")]
                        placeholder="queue" aria-label={ "Queue for " (name) } autocomplete="off";
                    button type="submit" { "Take from this queue too" }
                }
                div.title { "Other slots; what runs, runs on" }
                form.row method="post" action="/workers/order" {
                    (form::csrf(csrf))
                    input type="hidden" name="name" value=(name);
                    input type="hidden" name="order" value="resize";
                    input type="number" name="slots" min="1" max="10000" required
                        value=(u32::from(worker.row.slots).max(1)) aria-label={ "Slots of " (name) };
                    button type="submit" { "Resize" }
                }
                div.title { "Has " (number::duration(GRACE)) " to finish; what is left is run again elsewhere" }
                form.inline method="post" action="/workers/order" data-confirm={ "Shut " (name) " down? It has " (left) "." } {
                    (form::csrf(csrf))
                    input type="hidden" name="name" value=(name);
                    input type="hidden" name="order" value="shutdown";
                    button.bad type="submit" { (icon(Icon::Cross)) "Shut down" }
                }
            }
        }
    }
}

async fn order(shell: Shell, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    Shell::outcome(fields.back("/workers"), tell(&shell, &fields).await)
}

async fn tell(shell: &Shell, fields: &Fields) -> Result<Toast, Error> {
    let name: String = fields.parse("name")?;
    let (order, said) = match fields.text("order") {
        "drain" => (WorkerOrder::RemoveAllQueues, "takes nothing new"),
        "add_queue" => (WorkerOrder::AddQueue { queue: fields.parse("queue")? }, "takes from that queue too"),
        "resize" => (WorkerOrder::Resize { slots: fields.parse::<NonZeroU32>("slots")? }, "changes its slots"),
        "shutdown" => (WorkerOrder::Shutdown { deadline: GRACE }, "finishes and leaves"),
        other => {
            return Err(Error::Bad(format!("expected an order (drain, add_queue, resize, shutdown), got: {other}")));
        }
    };
    match shell.web.control(&shell.caller, Control::OrderWorkers { name: Some(name), order }).await? {
        Reply::WorkersOrdered { workers } => Ok(Toast::good(format!("{} {said}", workers.join(", ")))),
        other => Err(Error::Internal(format!("an order was answered by {other:?}"))),
    }
}

/// What a queue holds, and who takes from it.
#[derive(Default)]
struct Queue {
    counts: BTreeMap<TaskState, u64>,
    oldest: Option<Time>,
    workers: u64,
    slots: u64,
    is_unlimited: bool,
}

async fn queues(shell: Shell) -> Result<HttpResponse, Error> {
    let mut queues: BTreeMap<QueueName, Queue> = BTreeMap::new();
    for load in shell.web.store.queue_loads().await? {
        let queue = queues.entry(load.queue).or_default();
        queue.counts.insert(load.state, load.count);
        if load.state == TaskState::Queued {
            queue.oldest = load.oldest;
        }
    }
    for worker in shell.web.store.list_workers().await?.into_iter().filter(|worker| worker.row.status.takes_work()) {
        let slots = u32::from(worker.row.slots);
        for name in worker.row.queues {
            let queue = queues.entry(name).or_default();
            queue.workers += 1;
            queue.slots += u64::from(slots);
            queue.is_unlimited |= slots == 0;
        }
    }
    let body = html! {
        (head("Queues", None, &html! { a.button href="/workers" { (icon(Icon::Worker)) "Workers" } }))
        div #queues data-live {
            @if queues.is_empty() {
                (empty(Icon::Queue, "No queue is known", &html! {
                    p { "A queue is there as soon as a worker takes from it or a task names it: " code { "queue: gpu" } "." }
                }))
            } @else { (queue_table(&shell, &queues)) }
        }
    };
    shell.page("Queues", Here::Queues, &body).await
}

fn queue_table(shell: &Shell, queues: &BTreeMap<QueueName, Queue>) -> Markup {
    let count = |queue: &Queue, state: TaskState| queue.counts.get(&state).copied().unwrap_or(0);
    html! {
        div.scroll {
            table.list {
                thead {
                    tr {
                        th scope="col" { "Queue" }
                        @for state in [TaskState::Queued, TaskState::Running, TaskState::Scheduled] { th.number scope="col" { (badge(state)) } }
                        th scope="col" { "Oldest waits for" }
                        th.number scope="col" { "Workers" }
                        th.number scope="col" { "Slots" }
                        th scope="col" { "How it is" }
                    }
                }
                tbody {
                    @for (name, queue) in queues {
                        @let depth = count(queue, TaskState::Queued);
                        tr id={ "queue-" (name) } {
                            td.name { span.title.break { (name) } }
                            @for state in [TaskState::Queued, TaskState::Running, TaskState::Scheduled] {
                                td.number { (number::count(count(queue, state))) }
                            }
                            td { @if let Some(oldest) = queue.oldest { (time::span(until(oldest, shell.now))) } @else { (time::dash()) } }
                            td.number { a.plain href="/workers" { (number::count(queue.workers)) } }
                            td.number { @if queue.is_unlimited { "∞" } @else { (number::count(queue.slots)) } }
                            td { (verdict(queue, depth)) }
                        }
                    }
                }
            }
        }
    }
}

fn verdict(queue: &Queue, depth: u64) -> Markup {
    let waits = depth > 0;
    if queue.workers == 0 {
        let look = Look::from(if waits { TaskState::Failed } else { TaskState::None });
        let said = if waits { "nobody takes from it: start a worker for it" } else { "nobody takes from it" };
        return html! { span class={ "badge " (look.class) } { (icon(Icon::Warning)) (said) } };
    }
    let running = queue.counts.get(&TaskState::Running).copied().unwrap_or(0);
    if waits && !queue.is_unlimited && running >= queue.slots {
        return html! { span.badge.s-up_for_retry { (icon(Icon::Clock)) "every slot is taken" } };
    }
    html! { span.badge.s-success { (icon(Icon::Check)) "flows" } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_without_workers_says_so() {
        assert!(verdict(&Queue::default(), 3).into_string().contains("start a worker"));
        let full =
            Queue { workers: 1, slots: 2, counts: BTreeMap::from([(TaskState::Running, 2)]), ..Queue::default() };
        assert!(verdict(&full, 1).into_string().contains("every slot is taken"));
        assert!(verdict(&full, 0).into_string().contains("flows"));
    }

    #[test]
    fn a_meter_shows_taken_slots_and_never_a_thousand_squares() {
        assert_eq!(meter(3, 8).into_string().matches("owned").count(), 3);
        assert!(!meter(3, 1000).into_string().contains("<svg"));
        assert!(meter(3, 0).into_string().contains("any number"));
    }
}
