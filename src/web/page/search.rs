//! The search behind `/`: DAGs, tasks, runs and pages, by what their names have in common with what was typed.

use actix_web::HttpResponse;
use maud::{Markup, html};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use crate::domain::ids::RunId;
use crate::store::write::RunRow;
use crate::web::catalogue::Listed;
use crate::web::view::address::escape;
use crate::web::view::frame::{self, Here, head};
use crate::web::view::icon::Icon;
use crate::web::view::state::badge;
use crate::web::view::table::empty;
use crate::web::{Error, Needs, Route};

use super::shell::Shell;

/// In the sheet below the field; the page has more.
const FEW: usize = 12;
const MANY: usize = 100;

pub fn routes() -> Vec<Route> {
    vec![Route::get("/search", Needs::SignedIn, search)]
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    score: u32,
    words: String,
    /// Which letters of the words matched.
    places: Vec<u32>,
    kind: &'static str,
    address: String,
}

async fn search(shell: Shell) -> Result<HttpResponse, Error> {
    let words = shell.address.get("q").unwrap_or_default().trim().to_owned();
    let store = &shell.web.store;
    let dags = shell.web.catalogue.dags(store).await?;
    let is_part = shell.address.get("part").is_some();
    let found = find(&words, &dags, if is_part { FEW } else { MANY });
    if is_part {
        let body = html! { (list(&found)) };
        return Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(body.into_string()));
    }
    let runs = match RunId::new(&words) {
        Ok(id) => store.runs_named(&id).await?,
        Err(_) => Vec::new(),
    };
    let body = html! {
        (head(&format!("Search: {words}"), None, &html! {}))
        @if found.is_empty() && runs.is_empty() {
            (empty(Icon::Search, "Nothing is named like that", &html! {
                p { "Names of DAGs, tasks and pages are searched, and whole names of runs." }
            }))
        }
        div.results { (list(&found)) (runs_found(&runs)) }
    };
    shell.page("Search", Here::Elsewhere, &body).await
}

/// The best matches, best first.
fn find(words: &str, dags: &[Listed], most: usize) -> Vec<Found> {
    if words.is_empty() {
        return Vec::new();
    }
    let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
    let pattern = Pattern::parse(words, CaseMatching::Smart, Normalization::Smart);
    let mut letters = Vec::new();
    let mut found: Vec<Found> = Vec::new();
    let mut consider = |text: &str, bonus: u32, kind: &'static str, address: &dyn Fn() -> String| {
        if let Some(score) = pattern.score(Utf32Str::new(text, &mut letters), &mut matcher) {
            found.push(Found {
                score: score + bonus,
                words: text.to_owned(),
                places: Vec::new(),
                kind,
                address: address(),
            });
        }
    };
    for (word, address) in frame::pages() {
        consider(word, 30, "page", &|| address.to_owned());
    }
    for dag in dags {
        let id = dag.row.dag_id.as_str();
        let link = format!("/dags/{}", escape(id));
        consider(id, 20, "DAG", &|| link.clone());
        for task in &dag.card.tasks {
            let text = format!("{id}/{task}");
            consider(&text, 0, "task", &|| format!("{link}?task={}", escape(task.as_str())));
        }
    }
    found.sort_by(|a, b| {
        b.score.cmp(&a.score).then_with(|| a.words.len().cmp(&b.words.len())).then_with(|| a.words.cmp(&b.words))
    });
    found.truncate(most);
    for one in &mut found {
        pattern.indices(Utf32Str::new(&one.words, &mut letters), &mut matcher, &mut one.places);
        one.places.sort_unstable();
        one.places.dedup();
    }
    found
}

fn list(found: &[Found]) -> Markup {
    html! {
        ul role="listbox" aria-label="Found" {
            @for (at, one) in found.iter().enumerate() {
                li id={ "found-" (at) } role="option" aria-selected="false" {
                    a href=(one.address) { span.break { (marked(one)) } span.quiet { (one.kind) } }
                }
            }
        }
    }
}

fn marked(found: &Found) -> Markup {
    let is_marked = |at: usize| u32::try_from(at).is_ok_and(|at| found.places.binary_search(&at).is_ok());
    html! {
        @for (at, letter) in found.words.chars().enumerate() {
            @if is_marked(at) { mark { (letter) } } @else { (letter) }
        }
    }
}

fn runs_found(runs: &[RunRow]) -> Markup {
    html! {
        @if !runs.is_empty() {
            h2 { "Runs" }
            ul {
                @for run in runs {
                    li {
                        a href={ "/dags/" (escape(run.dag_id.as_str())) "/runs/" (escape(run.run_id.as_str())) } {
                            (run.dag_id) " " (run.run_id)
                        }
                        " " (badge(run.state))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_by_some_of_their_letters() {
        let found = find("cnct", &[], 10);
        assert_eq!(found.first().map(|one| one.address.as_str()), Some("/connections"));
        assert!(marked(&found[0]).into_string().starts_with("<mark>C</mark>"));
        assert!(find("", &[], 10).is_empty());
    }
}
