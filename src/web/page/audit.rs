//! Who did what, when, and how it ended. It is only read here.

use actix_web::HttpResponse;
use maud::{Markup, html};

use crate::auth::{Action, Resource};
use crate::store::{AuditEntry, AuditFilter};
use crate::web::view::address::{Address, escape};
use crate::web::view::frame::{Here, head};
use crate::web::view::icon::{Icon, icon};
use crate::web::view::table::{Paging, empty, pager};
use crate::web::view::time;
use crate::web::{Error, Needs, Route};

use super::shell::Shell;

const PAGE: u64 = 50;

pub fn routes() -> Vec<Route> {
    vec![Route::get("/audit", Needs::May(Action::Read, Resource::AuditLog), audit)]
}

async fn audit(shell: Shell) -> Result<HttpResponse, Error> {
    let address = &shell.address;
    let text = |key: &str| address.get(key).map(str::to_owned);
    let filter = AuditFilter {
        dag_id: text("dag"),
        username: text("user"),
        event: text("event"),
        limit: PAGE,
        offset: PAGE.saturating_mul(Paging::page_of(address) - 1),
        ..AuditFilter::default()
    };
    let (entries, total) = shell.web.store.audit_log(&filter).await?;
    let body = html! {
        (head("Audit log", None, &html! {}))
        (filters(address))
        div #audit data-live {
            @if entries.is_empty() {
                (empty(Icon::File, "Nothing is on the record", &html! { p { "Every change that somebody makes is written here." } }))
            } @else {
                (table(&shell, &entries))
            }
            (pager(address, Paging::of(address, PAGE, total)))
        }
    };
    shell.page("Audit log", Here::AuditLog, &body).await
}

fn filters(address: &Address) -> Markup {
    html! {
        div.filters {
            form action="/audit" {
                @for (key, label) in [("user", "User"), ("event", "Event"), ("dag", "DAG")] {
                    input type="search" name=(key) value=(address.get(key).unwrap_or_default()) placeholder=(label)
                        aria-label=(label) autocomplete="off" spellcheck="false";
                }
                button.button type="submit" { "Filter" }
            }
        }
    }
}

fn table(shell: &Shell, entries: &[AuditEntry]) -> Markup {
    html! {
        div.scroll {
            table.list {
                thead {
                    tr {
                        th scope="col" { "When" }
                        th scope="col" { "Who" }
                        th scope="col" { "What" }
                        th scope="col" { "About" }
                        th scope="col" { "How it ended" }
                        th.wide-only scope="col" { "From" }
                    }
                }
                tbody { @for entry in entries { (row(shell, entry)) } }
            }
        }
    }
}

fn row(shell: &Shell, entry: &AuditEntry) -> Markup {
    let row = &entry.row;
    let is_done = row.outcome == "done";
    html! {
        tr id={ "deed-" (entry.id) } {
            td { (time::ago(row.at, shell.now)) }
            td.nowrap { a.plain href=(shell.address.with("user", &row.username).url()) { (row.username) } }
            td.nowrap { a.plain href=(shell.address.with("event", &row.event).url()) { (row.event.replace('_', " ")) } }
            td.name {
                @if let Some(dag) = &row.dag_id {
                    @let link = format!("/dags/{}", escape(dag));
                    a href=(link) { (dag) }
                    @if let Some(run) = &row.run_id { " / " a href={ (link) "/runs/" (escape(run)) } { (run) } }
                    @if let Some(task) = &row.task_id { " / " (task) }
                }
                @if let Some(extra) = &row.extra { " " code.quiet.break { (extra) } }
            }
            td {
                @if is_done { span.badge.s-success { (icon(Icon::Check)) "done" } }
                @else { span.badge.s-failed { (icon(Icon::Cross)) span.break { (row.outcome) } } }
            }
            td.wide-only.quiet { (row.origin) }
        }
    }
}
