//! The top of a DAG's page: its name, whether it is on, when it runs, what can be done; and the tabs.

use maud::{Markup, html};

use super::look::{Look, Tab};
use crate::auth::{Action, Resource};
use crate::store::query::RunFilter;
use crate::web::caller::Caller;
use crate::web::error::Error;
use crate::web::page::way;
use crate::web::state::Web;
use crate::web::view::frame::{self, Tab as TabLink, tabs};
use crate::web::view::icon::{Icon, icon};
use crate::web::view::{form, time};

pub(super) fn head(caller: &Caller, look: &Look) -> Markup {
    let dag = &look.dag.definition;
    let id = look.id();
    let mut owners: Vec<&str> = dag.tasks.iter().map(|task| task.owner.as_str()).collect();
    owners.sort_unstable();
    owners.dedup();
    let lead = html! {
        span title=(dag.timezone.name()) { (look.dag.timetable.summary()) }
        @match look.row.next_run.filter(|_| !look.row.is_paused && !look.row.is_stale) {
            Some(next) => { " · next run " (time::ago(next.run_after, look.now)) }
            None if look.row.is_paused => " · paused",
            None => {}
        }
        @if !owners.is_empty() { " · " (owners.join(", ")) }
        @for tag in &dag.tags { " " a.tag href=(format!("/?tag={}", crate::web::view::address::escape(tag))) { (tag) } }
        @if let Some(description) = &dag.description { br; (description) }
    };
    let actions = html! {
        @if caller.may(Action::Edit, Resource::Dag) && !look.row.is_stale { (switch(caller, look)) }
        @if caller.may(Action::Create, Resource::DagRun) && !look.row.is_stale {
            (form::action(&format!("{}/trigger", way::dag(id)), caller.csrf(), &[("back", &look.address.url())], &html! {
                button.button.main type="submit" title="A run with the defaults of the params" { (icon(Icon::Play)) "Trigger" }
            }))
            a.button href=(format!("{}/trigger", way::dag(id))) title="A run with params or a date of its own" { "with…" }
        }
    };
    html! {
        div #head data-live { (frame::head(id.as_str(), Some(&lead), &actions)) }
        @if look.row.is_stale {
            p.banner.warn { (icon(Icon::Warning)) " Its file " code { (look.row.file) } " is gone, or no longer defines it: what is here is its history." }
        }
        (tabs("Views of the DAG", &links(look).iter().map(|(tab, address)| TabLink {
            word: tab.label(), address, is_here: *tab == look.tab,
        }).collect::<Vec<_>>()))
    }
}

/// What is selected stays selected.
fn links(look: &Look) -> Vec<(Tab, String)> {
    Tab::ALL.into_iter().map(|tab| (tab, look.address.with("tab", tab.word()).url())).collect()
}

fn switch(caller: &Caller, look: &Look) -> Markup {
    let (paused, label) = if look.row.is_paused { ("false", "Switch the DAG on") } else { ("true", "Pause the DAG") };
    form::action(
        "/pause",
        caller.csrf(),
        &[("chosen", look.id().as_str()), ("paused", paused), ("back", &look.address.url())],
        &form::switch(label, !look.row.is_paused),
    )
}

/// Which run is shown, and the ones around it.
pub(super) async fn run_choice(web: &Web, look: &Look) -> Result<Markup, Error> {
    /// So many are at hand; all others are in the tab Runs.
    const AT_HAND: u64 = 30;
    let filter = RunFilter { dag: Some(look.id().clone()), limit: Some(AT_HAND), ..RunFilter::default() };
    let runs = web.store.runs(&filter).await?;
    let Some(run) = &look.run else { return Ok(html! { span.quiet { "No run yet: this is the graph alone." } }) };
    let at = runs.iter().position(|one| one.key == run.key);
    let newer = at.and_then(|at| at.checked_sub(1)).map(|at| &runs[at]);
    let older = at.and_then(|at| runs.get(at + 1));
    let to = |run: &crate::store::write::RunRow| look.address.with("run", run.run_id.as_str()).url();
    let zone = look.dag.definition.timezone;
    Ok(html! {
        @if let Some(older) = older { a.chip href=(to(older)) rel="prev" aria-label="The run before" { "←" } }
        details.menu {
            summary.chip { (crate::web::view::state::small_badge(run.state)) span.clip { (run.run_id) } (icon(Icon::Down)) }
            div.sheet {
                @for one in &runs {
                    a href=(to(one)) aria-current=[(one.key == run.key).then_some("true")] {
                        (crate::web::view::state::small_badge(one.state))
                        (super::grid::when(one).with_timezone(&zone).format("%Y-%m-%d %H:%M"))
                        span.quiet { (one.run_type.as_str()) }
                    }
                }
            }
        }
        @if let Some(newer) = newer { a.chip href=(to(newer)) rel="next" aria-label="The run after" { "→" } }
        a.chip href=(way::run(look.id(), &run.run_id)) { "Open the run" }
    })
}
