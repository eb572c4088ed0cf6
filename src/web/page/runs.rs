//! All runs, newest first, by state, DAG and dates. Nobody counts how many there are: that would cost by history.

use actix_web::HttpResponse;
use maud::{Markup, html};

use crate::auth::{Action, Resource};
use crate::domain::ids::DagId;
use crate::domain::state::RunState;
use crate::domain::time::Time;
use crate::store::query::RunFilter;
use crate::store::write::RunRow;
use crate::web::view::address::{Address, escape};
use crate::web::view::frame::{Here, head};
use crate::web::view::icon::Icon;
use crate::web::view::state::badge;
use crate::web::view::table::{Paging, empty, pager};
use crate::web::view::time;
use crate::web::{Error, Needs, Route};

use super::shell::Shell;

const PAGE: u64 = 50;

pub fn routes() -> Vec<Route> {
    vec![Route::get("/runs", Needs::May(Action::Read, Resource::DagRun), runs)]
}

async fn runs(shell: Shell) -> Result<HttpResponse, Error> {
    let address = &shell.address;
    let filter = RunFilter {
        dag: address.get("dag").and_then(|dag| DagId::new(dag).ok()),
        states: address.all("state").filter_map(|state| state.parse().ok()).collect(),
        from: address.get("from").and_then(|date| day(date, false)),
        until: address.get("until").and_then(|date| day(date, true)),
        limit: Some(PAGE + 1),
    };
    let since = (address.get("since") == Some("today")).then(|| shell.midnight());
    let offset = PAGE.saturating_mul(Paging::page_of(address) - 1);
    let mut found = shell.web.store.runs_page(&filter, since, offset).await?;
    let paging = Paging::open(address, PAGE, found.len());
    found.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let body = html! {
        (head("Runs", None, &html! {}))
        (filters(address))
        div #runs data-live {
            @if found.is_empty() { (nothing(address)) } @else { (table(&shell, &found)) }
            (pager(address, paging))
        }
    };
    shell.page("Runs", Here::Runs, &body).await
}

/// The beginning of a day, UTC, or its end.
fn day(text: &str, end: bool) -> Option<Time> {
    let date: chrono::NaiveDate = text.parse().ok()?;
    let time = if end { date.and_hms_micro_opt(23, 59, 59, 999_999)? } else { date.and_hms_opt(0, 0, 0)? };
    Some(time.and_utc())
}

fn filters(address: &Address) -> Markup {
    let chip = |state: Option<RunState>| {
        let word = state.map_or("all", RunState::as_str);
        let is_here = state.map_or(address.get("state").is_none(), |state| address.is_chosen("state", state.as_str()));
        let to = state.map_or_else(|| address.without("state"), |state| address.with("state", state.as_str()));
        html! {
            a.chip href=(to.without("since").url()) aria-current=[is_here.then_some("true")] {
                @if let Some(state) = state { (badge(state)) } @else { (word) }
            }
        }
    };
    html! {
        div.filters {
            nav.chips aria-label="State" { (chip(None)) @for state in RunState::ALL { (chip(Some(state))) } }
            @if address.get("since").is_some() {
                a.chip aria-current="true" href=(address.without("since").url()) { "today ✕" }
            }
            form.push action="/runs" {
                @for (key, value) in address.others(&["dag", "from", "until", "page"]) {
                    input type="hidden" name=(key) value=(value);
                }
                input type="search" name="dag" value=(address.get("dag").unwrap_or_default()) placeholder="DAG"
                    aria-label="DAG" autocomplete="off" spellcheck="false";
                input type="date" name="from" value=(address.get("from").unwrap_or_default()) aria-label="From this date";
                input type="date" name="until" value=(address.get("until").unwrap_or_default()) aria-label="Until this date";
                button.button type="submit" { "Filter" }
            }
        }
    }
}

fn nothing(address: &Address) -> Markup {
    let is_filtered = address.others(&["page"]).next().is_some();
    let body = if is_filtered {
        html! { p { a href="/runs" { "Show all runs" } } }
    } else {
        html! { p { "Trigger a DAG with ▶ on the " a href="/" { "page of DAGs" } ", or by " code { "updraft dags trigger <dag_id>" } "." } }
    };
    empty(Icon::Clock, if is_filtered { "No run is like that" } else { "Nothing has run yet" }, &body)
}

fn table(shell: &Shell, runs: &[RunRow]) -> Markup {
    html! {
        div.scroll {
            table.list {
                thead {
                    tr {
                        th scope="col" { "State" }
                        th scope="col" { "DAG" }
                        th scope="col" { "Run" }
                        th.wide-only scope="col" { "Logical date" }
                        th scope="col" { "Started" }
                        th.number scope="col" { "Took" }
                        th.wide-only scope="col" { "By" }
                    }
                }
                tbody { @for run in runs { (row(shell, run)) } }
            }
        }
    }
}

fn row(shell: &Shell, run: &RunRow) -> Markup {
    let dag = format!("/dags/{}", escape(run.dag_id.as_str()));
    html! {
        tr id={ "run-" (run.key) } {
            td { (badge(run.state)) }
            td.name { a.plain.break href=(dag) { (run.dag_id) } }
            td.name { a.title.break href={ (dag) "/runs/" (escape(run.run_id.as_str())) } { (run.run_id) } }
            td.wide-only { @if let Some(date) = run.logical_date { (time::clock(date, chrono_tz::UTC, shell.now)) } @else { (time::dash()) } }
            td { (time::ago_or_dash(run.started_at, shell.now)) }
            td.number { (time::took(run.started_at, run.ended_at, shell.now)) }
            td.nowrap.quiet.wide-only { (run.user.as_deref().unwrap_or(run.triggered_by.as_str())) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_both_its_ends() {
        assert_eq!(day("2026-11-20", false).map(|at| at.to_rfc3339()).as_deref(), Some("2026-11-20T00:00:00+00:00"));
        assert_eq!(
            day("2026-11-20", true).map(|at| at.to_rfc3339()).as_deref(),
            Some("2026-11-20T23:59:59.999999+00:00")
        );
        assert_eq!(day("soon", false), None);
    }
}
