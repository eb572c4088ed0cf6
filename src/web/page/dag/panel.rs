//! The panel beside a tab: the run, the task, or the task of the run that is selected.

use maud::{Markup, html};

use super::look::Look;
use crate::store::query::{Instance, InstanceFilter};
use crate::store::write::RunRow;
use crate::web::caller::Caller;
use crate::web::error::Error;
use crate::web::page::{act, way};
use crate::web::state::Web;
use crate::web::view::icon::{Icon, icon};
use crate::web::view::state::badge;
use crate::web::view::tally::Tally;
use crate::web::view::{number, time};

/// So many instances of a mapped task are named.
const MOST_INSTANCES: u64 = 100;

pub(super) async fn show(web: &Web, caller: &Caller, look: &Look) -> Result<Option<Markup>, Error> {
    let content = match (&look.run, look.task) {
        (_, None) if look.chosen.is_none() => return Ok(None),
        (None, None) => return Ok(None),
        (Some(run), None) => of_run(caller, look, run),
        (run, Some(_)) => {
            let task = of_task(look);
            let instance = match run {
                Some(run) => Some(of_instance(web, caller, look, run).await?),
                None => None,
            };
            html! { @if let Some(instance) = instance { (instance) } (task) }
        }
    };
    let closed = look.address.without("run").without("task").url();
    Ok(Some(html! {
        aside.panel #panel data-live aria-label="Selected" {
            a.button.ghost.square.close href=(closed) aria-label="Close the panel" title="Close" { (icon(Icon::Cross)) }
            (content)
        }
    }))
}

fn of_run(caller: &Caller, look: &Look, run: &RunRow) -> Markup {
    let zone = look.dag.definition.timezone;
    html! {
        h2 { a.plain.break href=(way::run(look.id(), &run.run_id)) { (run.run_id) } }
        p { (badge(run.state)) span.quiet { " · " (run.run_type.as_str()) } }
        dl.facts {
            @if let Some(date) = run.logical_date { dt { "Logical date" } dd { (time::clock(date, zone, look.now)) } }
            dt { "Started" } dd { (time::ago_or_dash(run.started_at, look.now)) }
            dt { "Took" } dd { (time::took(run.started_at, run.ended_at, look.now)) }
            dt { "By" } dd { (run.user.as_deref().unwrap_or(run.triggered_by.as_str())) }
            @if let Some(note) = &run.note { dt { "Note" } dd { (note) } }
        }
        @if !run.conf.is_empty() { pre { (serde_json::to_string_pretty(&run.conf).unwrap_or_default()) } }
        div.row { (act::run_buttons(caller, run)) a.button href=(way::run(look.id(), &run.run_id)) { "Open" } }
    }
}

async fn of_instance(web: &Web, caller: &Caller, look: &Look, run: &RunRow) -> Result<Markup, Error> {
    let Some(ix) = look.task else { return Ok(html! {}) };
    let id = &look.dag.task(ix).task_id;
    let filter =
        InstanceFilter { task: Some(id.clone()), limit: Some(MOST_INSTANCES + 1), ..InstanceFilter::default() };
    let instances = web.store.instances(run.key, &filter).await?;
    let zone = look.dag.definition.timezone;
    Ok(html! {
        h2.break { (id) }
        p { a.quiet.break href=(way::run(look.id(), &run.run_id)) { (run.run_id) } }
        @match instances.as_slice() {
            [] => { p.quiet { "The run does not have this task yet." } }
            [one] => {
                p { (badge(one.state)) @if one.try_number.0 > 0 { span.quiet { " · try " (one.try_number) } } }
                dl.facts {
                    dt { "Queued" } dd { (one.queued_at.map_or_else(time::dash, |at| time::clock(at, zone, look.now))) }
                    dt { "Started" } dd { (one.started_at.map_or_else(time::dash, |at| time::clock(at, zone, look.now))) }
                    dt { "Took" } dd { (took(one, look)) }
                }
                (links(look, run, one))
            }
            many => { (mapped(web, look, run, many).await?) }
        }
        div.row { (act::task_buttons(caller, run, id)) }
    })
}

fn took(one: &Instance, look: &Look) -> Markup {
    let end = one.ended_at.filter(|_| !one.state.occupies_slots());
    time::took(one.started_at, end, look.now)
}

/// To what one wants to read of an instance.
fn links(look: &Look, run: &RunRow, one: &Instance) -> Markup {
    let way = way::task(look.id(), &run.run_id, &one.task_id, one.map_index);
    html! {
        p.row {
            a.button.main href=(way) { "Log" }
            a.button href=(format!("{way}?tab=why")) { "Why" }
            a.button href=(format!("{way}?tab=xcom")) { "XCom" }
            a.button href=(format!("{way}?tab=tries")) { "Tries" }
        }
    }
}

async fn mapped(web: &Web, look: &Look, run: &RunRow, some: &[Instance]) -> Result<Markup, Error> {
    let all: Vec<_> = web.store.tallies(&[run.key]).await?;
    let mut tally = Tally::default();
    all.iter().filter(|one| one.task_id == some[0].task_id).for_each(|one| tally.add(one.state, one.count));
    Ok(html! {
        p { (number::count(tally.finished().into())) "/" (number::count(tally.total().into())) " done: " (tally.words()) }
        ul.instances {
            @for one in some.iter().take(MOST_INSTANCES as usize) {
                li { a href=(way::task(look.id(), &run.run_id, &one.task_id, one.map_index)) {
                    span { "[" (one.map_index) "]" } (badge(one.state)) span.push { (took(one, look)) }
                } }
            }
        }
        @if tally.total() as u64 > MOST_INSTANCES { p.quiet { "The first " (MOST_INSTANCES) " of " (number::count(tally.total().into())) "." } }
    })
}

/// What the DAG file says of the task.
fn of_task(look: &Look) -> Markup {
    let Some(ix) = look.task else { return html! {} };
    let task = look.dag.task(ix);
    let names = |all: &[crate::domain::graph::TaskIx]| {
        html! {
            @for (at, other) in all.iter().enumerate() {
                @let id = &look.dag.task(*other).task_id;
                @if at > 0 { ", " }
                a.break href=(look.address.with("task", id.as_str()).url()) { (id) }
            }
            @if all.is_empty() { (time::dash()) }
        }
    };
    html! {
        @if look.run.is_none() { h2.break { (task.task_id) } }
        h3 { "Definition" }
        @if let Some(doc) = &task.doc_md { pre.doc { (doc.trim()) } }
        dl.facts {
            dt { "Operator" } dd { (task.operator_name) }
            dt { "Waits for" } dd { (names(look.dag.upstream(ix))) }
            dt { "Rule" } dd { (task.trigger_rule) }
            dt { "Followed by" } dd { (names(look.dag.downstream(ix))) }
            dt { "Owner" } dd { (task.owner) }
            dt { "Pool" } dd { (task.pool) @if task.pool_slots != 1 { " × " (task.pool_slots) } }
            dt { "Queue" } dd { (task.queue) }
            dt { "Retries" } dd { (task.retries) @if task.retries > 0 { ", every " (number::duration(task.retry_delay)) } }
            dt { "Weight" } dd { (look.dag.priority(ix)) }
            @if let Some(timeout) = task.execution_timeout { dt { "Timeout" } dd { (number::duration(timeout)) } }
            @if look.dag.mapping.of_task(ix).is_some() { dt { "Mapped" } dd { "one instance for each value" } }
        }
    }
}
