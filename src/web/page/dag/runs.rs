//! The tab Runs: a list, newest first.

use chrono::{Days, NaiveDate};
use maud::html;

use super::Shown;
use super::look::Look;
use super::year::start_of;
use crate::domain::state::RunState;
use crate::store::query::RunFilter;
use crate::web::error::Error;
use crate::web::page::way;
use crate::web::state::Web;
use crate::web::view::state::badge;
use crate::web::view::time;

const SHOWN: u64 = 50;

pub(super) async fn show(web: &Web, look: &Look) -> Result<Shown, Error> {
    let zone = look.dag.definition.timezone;
    let day: Option<NaiveDate> = look.address.get("day").and_then(|day| day.parse().ok());
    let states: Vec<RunState> = look.address.all("state").filter_map(|word| word.parse().ok()).collect();
    let mut filter = RunFilter { dag: Some(look.id().clone()), states, limit: Some(SHOWN + 1), ..RunFilter::default() };
    if let Some(day) = day {
        let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
        filter.from = Some(start_of(day, zone));
        // Both ends of the filter are inclusive.
        filter.until = Some(start_of(next, zone) - chrono::Duration::microseconds(1));
    }
    if let Some(until) = look.address.get("until").and_then(|text| text.parse().ok()) {
        filter.until = Some(until);
    }
    let mut runs = web.store.runs(&filter).await?;
    let has_more = runs.len() as u64 > SHOWN;
    runs.truncate(SHOWN as usize);
    let body = html! {
        div.toolbar {
            div.chips {
                @for state in [RunState::Running, RunState::Queued, RunState::Failed, RunState::Success] {
                    a.chip href=(look.address.toggled("state", state.as_str()).url())
                        aria-current=[look.address.is_chosen("state", state.as_str()).then_some("true")] { (badge(state)) }
                }
            }
            @if let Some(day) = day { a.chip href=(look.address.without("day").url()) title="All days" { (day) " ×" } }
        }
        @if runs.is_empty() { p.quiet { "No such run." } }
        @else {
            div.scroll {
                table.list {
                    thead { tr { th { "run" } th { "state" } th { "type" } th { "logical date" } th { "started" } th.number { "took" } th { "by" } } }
                    tbody {
                        @for run in &runs {
                            tr id=(format!("run-{}", run.key)) {
                                td.name { a.title.break href=(way::run(look.id(), &run.run_id)) { (run.run_id) }
                                    @if let Some(note) = &run.note { div.quiet.clip { (note) } } }
                                td.tight { (badge(run.state)) }
                                td.tight { (run.run_type.as_str()) }
                                td.tight { @match run.logical_date {
                                    Some(date) => { (time::clock(date, zone, look.now)) }
                                    None => { (time::dash()) }
                                } }
                                td.tight { (time::ago_or_dash(run.started_at, look.now)) }
                                td.tight.number { (time::took(run.started_at, run.ended_at, look.now)) }
                                td.tight { (run.user.as_deref().unwrap_or(run.triggered_by.as_str())) }
                            }
                        }
                    }
                }
            }
        }
        @if let Some(last) = runs.last().filter(|_| has_more) {
            p { a.button href=(look.address.with("until", &super::grid::when(last).to_rfc3339()).url()) { "Earlier runs" } }
        }
    };
    Ok(Shown::live(body))
}
