//! A run: how it stands, what to look at first, and all its tasks. A failed run leads with the first task that failed
//! and the end of its log.

use actix_web::{HttpResponse, web as http};
use maud::{Markup, html};

use super::shell::Shell;
use super::task::log::excerpt;
use super::{act, dag, named, way};
use crate::auth::{Action, Resource};
use crate::domain::ids::MapIndex;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;
use crate::store::query::{Instance, InstanceFilter};
use crate::store::write::RunRow;
use crate::web::view::address::{Address, escape};
use crate::web::view::frame::{self, Here, Tab, tabs};
use crate::web::view::icon::{Icon, icon};
use crate::web::view::state::badge;
use crate::web::view::{number, time};
use crate::web::{Caller, Error, Needs, Route, Web, asset};

/// Lines of the log of what failed.
const LINES: usize = 15;
/// So many task instances are listed at once.
const SHOWN: u64 = 500;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/dags/{dag_id}/runs/{run_id}", Needs::May(Action::Read, Resource::DagRun), show)]
}

async fn show(shell: Shell, names: http::Path<(String, String)>) -> Result<HttpResponse, Error> {
    let Shell { web, caller, address, now, .. } = &shell;
    let now = *now;
    let row = named::dag(web, &names.0).await?;
    let run = named::run(web, &row.dag_id, &names.1).await?;
    let states: Vec<TaskState> = address.all("state").filter_map(|word| word.parse().ok()).collect();
    let filter = InstanceFilter { states, limit: Some(SHOWN + 1), ..InstanceFilter::default() };
    let instances = web.store.instances(run.key, &filter).await?;
    let body = html! {
        p.crumbs { a href="/" { "DAGs" } " / " a href=(way::dag(&row.dag_id)) { (row.dag_id) } }
        div #head data-live { (head(caller, &run, now)) }
        div #first data-live { (first(web, caller, &run, now).await?) }
        (views(address, &run))
        div #tasks data-live {
            @if address.get("tab") == Some("gantt") { (dag::of_run(web, &run, now).await?) }
            @else {
                (states_of(web, &run, address).await?)
                (list(&run, &instances, now))
                @if instances.len() as u64 > SHOWN { p.quiet { "The first " (number::count(SHOWN)) " are listed; choose a state to see others." } }
            }
        }
    };
    let title = format!("{} · {}", run.run_id, row.dag_id);
    shell.page_with(&title, Here::Runs, &[asset::url("dag.js")], &body).await
}

fn head(caller: &Caller, run: &RunRow, now: Time) -> Markup {
    let lead = html! {
        (badge(run.state)) " · " (run.run_type.as_str()) " by " (run.user.as_deref().unwrap_or(run.triggered_by.as_str()))
        @if let Some(date) = run.logical_date { " · for " (time::clock(date, chrono_tz::UTC, now)) }
        " · started " (time::ago_or_dash(run.started_at, now)) " · " (time::took(run.started_at, run.ended_at, now))
        @if run.clear_number > 0 { " · cleared " (number::counted(run.clear_number.unsigned_abs().into(), "time", "times")) }
        @if let Some(note) = &run.note { br; "“" (note) "”" }
    };
    html! {
        (frame::head(run.run_id.as_str(), Some(&lead), &act::run_buttons(caller, run)))
        @if !run.conf.is_empty() {
            details.conf { summary { "Configuration" } pre { (serde_json::to_string_pretty(&run.conf).unwrap_or_default()) } }
        }
    }
}

/// What went wrong first, with the end of its log; or what is going on.
async fn first(web: &Web, caller: &Caller, run: &RunRow, now: Time) -> Result<Markup, Error> {
    let wanted = match run.state {
        RunState::Failed => vec![TaskState::Failed],
        RunState::Running | RunState::Queued => vec![TaskState::Failed, TaskState::UpForRetry],
        RunState::Success => return Ok(html! {}),
    };
    let filter = InstanceFilter { states: wanted, limit: Some(SHOWN), ..InstanceFilter::default() };
    let failed = web.store.instances(run.key, &filter).await?;
    let Some(worst) = failed.iter().min_by_key(|one| (one.ended_at.is_none(), one.ended_at)) else {
        return Ok(match run.state {
            RunState::Failed => {
                html! { p.banner.bad { (icon(Icon::Cross)) " The run failed, and no task of it did: it took too long, or somebody marked it." } }
            }
            RunState::Running | RunState::Queued | RunState::Success => html! {},
        });
    };
    let way = way::task(&run.dag_id, &run.run_id, &worst.task_id, worst.map_index);
    let end = match caller.may(Action::Read, Resource::TaskLog) {
        true => excerpt(web, run, worst, LINES).await?,
        false => None,
    };
    Ok(html! {
        section.first-failed {
            h2 {
                (badge(worst.state)) " "
                a href=(format!("{way}?jump=error")) { (worst.task_id) @if worst.map_index != MapIndex::UNMAPPED { " [" (worst.map_index) "]" } }
                span.quiet { " " (time::ago_or_dash(worst.ended_at, now)) ", try " (worst.try_number) }
                @if failed.len() > 1 { span.quiet { " · and " (failed.len() - 1) " more failed" } }
            }
            @if let Some(end) = end { div.log { (end) } }
            div.row { a.button href=(format!("{way}?jump=error")) { "First error" } a.button href=(way) { "Whole log" } (act::task_buttons(caller, run, &worst.task_id)) }
        }
    })
}

fn views(address: &Address, run: &RunRow) -> Markup {
    let dag = format!("{}?run={}", way::dag(&run.dag_id), escape(run.run_id.as_str()));
    let is_gantt = address.get("tab") == Some("gantt");
    let (list, gantt) = (address.without("tab").url(), address.with("tab", "gantt").url());
    let (graph, grid, code) = (format!("{dag}&tab=graph"), format!("{dag}&tab=grid"), format!("{dag}&tab=code"));
    tabs(
        "Views of the run",
        &[
            Tab { word: "Tasks", address: &list, is_here: !is_gantt },
            Tab { word: "Gantt", address: &gantt, is_here: is_gantt },
            Tab { word: "Graph", address: &graph, is_here: false },
            Tab { word: "Grid", address: &grid, is_here: false },
            Tab { word: "Code", address: &code, is_here: false },
        ],
    )
}

async fn states_of(web: &Web, run: &RunRow, address: &Address) -> Result<Markup, Error> {
    let mut all = crate::web::view::tally::Tally::default();
    web.store.tallies(&[run.key]).await?.iter().for_each(|one| all.add(one.state, one.count));
    Ok(html! {
        div.chips {
            @for (state, count) in all.parts() {
                a.chip href=(address.toggled("state", state.as_str()).url()) aria-current=[address.is_chosen("state", state.as_str()).then_some("true")] {
                    (badge(state)) span.count { (number::count(count.into())) }
                }
            }
        }
    })
}

fn list(run: &RunRow, instances: &[Instance], now: Time) -> Markup {
    html! {
        @if instances.is_empty() { p.quiet { "No task instance yet: the run has not begun." } }
        @else {
            div.scroll { table.list {
                thead { tr { th { "task" } th { "state" } th.number { "try" } th { "queued" } th { "started" } th.number { "took" } } }
                tbody { @for one in instances.iter().take(SHOWN as usize) {
                    tr id=(format!("task-{}-{}", one.task_id, one.map_index)) {
                        td.name { a.title.break href=(way::task(&run.dag_id, &run.run_id, &one.task_id, one.map_index)) {
                            (one.task_id) @if one.map_index != MapIndex::UNMAPPED { " [" (one.map_index) "]" } } }
                        td.tight { (badge(one.state)) }
                        td.number { (one.try_number) }
                        td.tight { (time::ago_or_dash(one.queued_at, now)) }
                        td.tight { (time::ago_or_dash(one.started_at, now)) }
                        td.tight.number { (time::took(one.started_at, one.ended_at.filter(|_| !one.state.occupies_slots()), now)) }
                    }
                } }
            } }
        }
    }
}
