//! What is wrong with DAG files now: where, what, and what to do.

use actix_web::HttpResponse;
use maud::{Markup, html};

use crate::auth::{Action, Resource};
use crate::domain::problem::Severity;
use crate::store::query::ImportError;
use crate::web::view::frame::{Here, head};
use crate::web::view::icon::{Icon, icon};
use crate::web::view::table::empty;
use crate::web::view::time;
use crate::web::{Error, Needs, Route};

use super::shell::Shell;

pub fn routes() -> Vec<Route> {
    vec![Route::get("/import-errors", Needs::May(Action::Read, Resource::ImportError), import_errors)]
}

async fn import_errors(shell: Shell) -> Result<HttpResponse, Error> {
    let errors = shell.web.store.import_errors().await?;
    let body = html! {
        (head("Import errors", None, &html! {}))
        div #problems data-live {
            @if errors.is_empty() { (empty(Icon::Check, "Every file can be read", &html! {})) }
            @for error in &errors { (problem(&shell, error)) }
        }
    };
    shell.page("Import errors", Here::ImportErrors, &body).await
}

fn problem(shell: &Shell, error: &ImportError) -> Markup {
    let problem = &error.problem;
    let is_error = problem.severity == Severity::Error;
    html! {
        section.banner.bad[is_error].warn[!is_error] {
            div.row {
                (icon(Icon::Warning))
                b { (problem.place) }
                span.push.quiet { (time::ago(error.at, shell.now)) }
            }
            p { (problem.message) }
            @if let Some(hint) = &problem.hint { p.quiet { (hint) } }
            @if let Some(detail) = &problem.detail { details { summary { "Details" } pre { (detail) } } }
        }
    }
}
