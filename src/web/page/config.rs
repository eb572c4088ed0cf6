//! The configuration with where each value comes from, as far as `[webserver] expose_config` lets people see it.

use actix_web::HttpResponse;
use maud::{Markup, html};

use crate::auth::{Action, Resource};
use crate::web::settings::{ConfigRow, Exposed};
use crate::web::view::frame::{Here, head};
use crate::web::view::icon::Icon;
use crate::web::view::table::empty;
use crate::web::{Error, Needs, Route};

use super::shell::Shell;

pub fn routes() -> Vec<Route> {
    vec![Route::get("/config", Needs::May(Action::Read, Resource::Configuration), config)]
}

async fn config(shell: Shell) -> Result<HttpResponse, Error> {
    let settings = &shell.web.settings;
    let words = shell.address.get("q").unwrap_or_default().to_lowercase();
    let only_set = shell.address.get("show") == Some("set");
    let is_shown = |row: &&ConfigRow| match settings.exposed {
        Exposed::Nothing => false,
        Exposed::Everything => true,
        Exposed::NotSensitive => !row.is_sensitive,
    };
    let is_meant = |row: &&ConfigRow| {
        (!only_set || !row.is_default)
            && format!("[{}] {} {}", row.section, row.key, row.explanation).to_lowercase().contains(&words)
    };
    let rows: Vec<&ConfigRow> = settings.configuration.iter().filter(is_shown).filter(is_meant).collect();
    let body = html! {
        (head("Configuration", None, &html! {}))
        @if settings.exposed == Exposed::Nothing {
            (empty(Icon::File, "It is not shown here", &html! {
                p { "An administrator can set " code { "[api] expose_config = True" } ", or " code { "non-sensitive-only" } "." }
                p.quiet { "On the machine itself: " code { "updraft config list" } "." }
            }))
        } @else {
            div.filters {
                nav.chips aria-label="Which keys" {
                    a.chip href=(shell.address.without("show").url()) aria-current=[(!only_set).then_some("true")] { "All" }
                    a.chip href=(shell.address.with("show", "set").url()) aria-current=[only_set.then_some("true")] { "Not the default" }
                }
                form.push action="/config" {
                    @if only_set { input type="hidden" name="show" value="set"; }
                    input type="search" name="q" value=(shell.address.get("q").unwrap_or_default()) placeholder="Filter" aria-label="Filter the configuration";
                }
            }
            (sections(&rows))
        }
    };
    shell.page("Configuration", Here::Config, &body).await
}

fn sections(rows: &[&ConfigRow]) -> Markup {
    html! {
        @if rows.is_empty() { p.quiet { "No key is like that." } }
        @for section in rows.chunk_by(|one, other| one.section == other.section) {
            h2 { "[" (section[0].section) "]" }
            div.scroll {
                table.list {
                    thead.unseen { tr { th scope="col" { "Key" } th scope="col" { "Value" } th scope="col" { "From" } } }
                    tbody {
                        @for row in section {
                            tr {
                                td.name.top { code { (row.key) } details { summary.quiet { "What it is for" } p.quiet { (row.explanation) } } }
                                td.name.top { code.break { (row.value) } }
                                td.name.top { @if row.is_default { span.quiet { "default" } } @else { (row.origin) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
