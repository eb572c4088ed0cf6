//! A DAG: what happened to its tasks (grid, graph, Gantt), when it ran (calendar, runs), what it is (code, details).
//! The address holds the whole view, so that it can be sent to a colleague.

mod code;
mod details;
mod gantt;
mod graph;
mod grid;
mod head;
mod look;
mod panel;
mod runs;
mod year;

use actix_web::{HttpResponse, web as http};
use maud::{Markup, html};

use look::{Look, Tab};

use crate::auth::{Action, Resource};
use crate::web::view::frame::Here;
use crate::web::{Error, Needs, Route, asset};

use super::shell::Shell;

pub(super) use gantt::{of_run, state_of};

pub(super) fn routes() -> Vec<Route> {
    let read = Needs::May(Action::Read, Resource::Dag);
    vec![Route::get("/dags/{dag_id}", read, show), Route::get("/dags/{dag_id}/column", read, grid::column)]
}

async fn show(shell: Shell, dag: http::Path<String>) -> Result<HttpResponse, Error> {
    let (web, caller) = (&shell.web, &shell.caller);
    let look = Look::of(&shell, &dag).await?;
    let may_see_code = caller.may(Action::Read, Resource::DagCode);
    let tab = match look.tab {
        Tab::Grid => grid::show(web, &look).await?,
        Tab::Graph => graph::show(web, &look).await?,
        Tab::Gantt => gantt::show(web, &look).await?,
        Tab::Calendar => year::show(web, &look).await?,
        Tab::Runs => runs::show(web, &look).await?,
        Tab::Code if may_see_code => code::show(web, &look).await?,
        Tab::Code => return Err(Error::Forbidden),
        Tab::Details => details::show(web, &look),
    };
    let panel = panel::show(web, caller, &look).await?;
    let body = html! {
        (head::head(caller, &look))
        @if let Some(panel) = panel {
            div.split.dag {
                div.view #view data-live[tab.is_live] data-tab=(look.tab.word()) { (tab.body) }
                (panel)
            }
        } @else {
            div.view #view data-live[tab.is_live] data-tab=(look.tab.word()) { (tab.body) }
        }
    };
    let title = format!("{} · {}", look.id(), look.tab.label());
    shell.page_with(&title, Here::Dags, &[asset::url("dag.js")], &body).await
}

/// The body of a tab.
struct Shown {
    body: Markup,
    /// Whether all of it is drawn anew when something changes; what is too large for that changes by its cells.
    is_live: bool,
}

impl Shown {
    fn live(body: Markup) -> Self {
        Self { body, is_live: true }
    }

    fn still(body: Markup) -> Self {
        Self { body, is_live: false }
    }
}
