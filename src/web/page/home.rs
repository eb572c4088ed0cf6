//! The page of all DAGs: what is on, what failed, what comes next. A few queries, however many DAGs there are.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use actix_web::HttpResponse;
use maud::{Markup, html};

use crate::auth::{Action, Resource};
use crate::domain::ids::DagId;
use crate::domain::problem::Severity;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::{Time, until};
use crate::store::query::{ImportError, RunBar};
use crate::web::catalogue::{Listed, ScheduleKind};
use crate::web::view::address::{Address, escape};
use crate::web::view::bars::bars;
use crate::web::view::frame::{Here, head};
use crate::web::view::icon::{Icon, icon};
use crate::web::view::state::Look;
use crate::web::view::table::{Order, Paging, empty, heading, pager, wide_heading};
use crate::web::view::{form, number, time};
use crate::web::{Error, Needs, Route};

use super::shell::Shell;

/// DAGs on one page.
const PAGE: u64 = 50;
/// Bars of a DAG.
const BARS: u32 = 24;
/// Words in a menu of filters.
const WORDS: usize = 200;

pub fn routes() -> Vec<Route> {
    vec![Route::get("/", Needs::May(Action::Read, Resource::Dag), home)]
}

/// How the newest run of each DAG stands, and when it was due.
type Newest = HashMap<DagId, (RunState, Time)>;

async fn home(shell: Shell) -> Result<HttpResponse, Error> {
    let store = &shell.web.store;
    let all = shell.web.catalogue.dags(store).await?;
    let errors = store.import_errors().await?;
    if all.is_empty() {
        let body = html! { (head("DAGs", None, &html! {})) (banner(&errors)) (teach(&shell)) };
        return shell.page("DAGs", Here::Dags, &body).await;
    }
    let newest = store.newest_runs().await?;
    let counts = Counts::of(&all, &newest);
    let order = Order::of(&shell.address, "name");
    let chosen = ordered(filtered(&all, &newest, &shell.address), &newest, order);
    let paging = Paging::of(&shell.address, PAGE, chosen.len() as u64);
    let shown: Vec<&Listed> = chosen
        .iter()
        .skip(usize::try_from(paging.offset()).unwrap_or(usize::MAX))
        .take(PAGE as usize)
        .copied()
        .collect();
    let ids: Vec<DagId> = shown.iter().map(|dag| dag.row.dag_id.clone()).collect();
    let runs = store.latest_bars(&ids, BARS).await?;
    let under_way = store.under_way().await?;
    let rows = Rows { shell: &shell, runs: &runs, under_way: &under_way };
    let body = html! {
        div #top data-live {
            (head("DAGs", None, &html! {}))
            (banner(&errors))
        }
        (filters(&shell.address, &all, &counts))
        div #dags data-live {
            @if shown.is_empty() {
                div.empty {
                    h2 { "No DAG is like that" }
                    p { a href="/" { "Show all " (number::count(all.len() as u64)) } }
                }
            } @else {
                (rows.table(&shown, order))
            }
            (pager(&shell.address, paging))
        }
        (rows.bulk())
    };
    shell.page("DAGs", Here::Dags, &body).await
}

/// How many DAGs are how.
struct Counts {
    all: u64,
    active: u64,
    paused: u64,
    failing: u64,
    running: u64,
}

fn is_failing(dag: &Listed, newest: &Newest) -> bool {
    newest.get(&dag.row.dag_id).is_some_and(|(state, _)| *state == RunState::Failed)
}

fn is_running(dag: &Listed, newest: &Newest) -> bool {
    newest.get(&dag.row.dag_id).is_some_and(|(state, _)| !state.is_finished())
}

impl Counts {
    fn of(all: &[Listed], newest: &Newest) -> Self {
        let count = |is: &dyn Fn(&Listed) -> bool| all.iter().filter(|dag| is(dag)).count() as u64;
        Self {
            all: all.len() as u64,
            active: count(&|dag| !dag.row.is_paused),
            paused: count(&|dag| dag.row.is_paused),
            failing: count(&|dag| is_failing(dag, newest)),
            running: count(&|dag| is_running(dag, newest)),
        }
    }
}

fn filtered<'a>(all: &'a [Listed], newest: &Newest, address: &Address) -> Vec<&'a Listed> {
    let words: Option<Vec<String>> =
        address.get("q").map(|text| text.to_lowercase().split_whitespace().map(str::to_owned).collect());
    let has_words = |dag: &Listed| {
        words.as_ref().is_none_or(|words| {
            let name = dag.row.dag_id.as_str().to_lowercase();
            let told = dag.card.description.as_deref().unwrap_or_default().to_lowercase();
            words.iter().all(|word| name.contains(word) || told.contains(word))
        })
    };
    let is_so = |dag: &Listed| match address.get("show") {
        Some("active") => !dag.row.is_paused,
        Some("paused") => dag.row.is_paused,
        Some("failing") => is_failing(dag, newest),
        Some("running") => is_running(dag, newest),
        Some(_) | None => true,
    };
    let has_tags = |dag: &Listed| address.all("tag").all(|tag| dag.card.tags.iter().any(|one| one == tag));
    let has_owner = |dag: &Listed| address.get("owner").is_none_or(|owner| dag.card.owners.iter().any(|o| o == owner));
    let has_kind = |dag: &Listed| address.get("schedule").is_none_or(|kind| dag.card.kind.as_str() == kind);
    all.iter().filter(|d| is_so(d) && has_words(d) && has_tags(d) && has_owner(d) && has_kind(d)).collect()
}

fn ordered<'a>(mut dags: Vec<&'a Listed>, newest: &Newest, order: Order<'_>) -> Vec<&'a Listed> {
    // By name they are already; a stable sort keeps that among equals.
    match order.key {
        "next" => dags.sort_by_key(|dag| next_run(dag).map_or((true, Time::MAX_UTC), |at| (false, at))),
        "last" => dags.sort_by_key(|dag| {
            let at = newest.get(&dag.row.dag_id).map(|(_, at)| *at);
            (at.is_none(), std::cmp::Reverse(at))
        }),
        "schedule" => dags.sort_by(|a, b| (a.card.kind, &a.card.schedule).cmp(&(b.card.kind, &b.card.schedule))),
        _ => {}
    }
    if order.down {
        dags.reverse();
    }
    dags
}

fn next_run(dag: &Listed) -> Option<Time> {
    dag.row.next_run.filter(|_| !dag.row.is_paused).map(|next| next.run_after)
}

fn filters(address: &Address, all: &[Listed], counts: &Counts) -> Markup {
    let chip = |show: Option<&str>, word: &str, count: u64| {
        let is_here = address.get("show") == show;
        let to = show.map_or_else(|| address.without("show"), |show| address.with("show", show));
        html! {
            a.chip href=(to.url()) aria-current=[is_here.then_some("true")] {
                (word) " " span.count { (number::count(count)) }
            }
        }
    };
    html! {
        div.filters #filters data-live {
            nav.chips aria-label="Which DAGs" {
                (chip(None, "All", counts.all))
                (chip(Some("active"), "Active", counts.active))
                (chip(Some("paused"), "Paused", counts.paused))
                (chip(Some("running"), "Running", counts.running))
                (chip(Some("failing"), "Failing", counts.failing))
            }
            form.push action="/" role="search" {
                @for (key, value) in address.others(&["q", "page"]) { input type="hidden" name=(key) value=(value); }
                input #filter type="search" name="q" value=(address.get("q").unwrap_or_default()) placeholder="Filter by name"
                    aria-label="Filter DAGs by name" autocomplete="off";
            }
            (menu(address, "tag", "Tag", words(all.iter().flat_map(|dag| dag.card.tags.iter()))))
            (menu(address, "owner", "Owner", words(all.iter().flat_map(|dag| dag.card.owners.iter()))))
            (menu(address, "schedule", "Schedule", kinds(all)))
        }
    }
}

/// How often each word comes, the frequent ones first.
fn words<'a>(words: impl Iterator<Item = &'a String>) -> Vec<(&'a str, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.truncate(WORDS);
    counts
}

fn kinds(all: &[Listed]) -> Vec<(&'static str, u64)> {
    let count = |kind| all.iter().filter(|dag| dag.card.kind == kind).count() as u64;
    ScheduleKind::ALL.map(|kind| (kind.as_str(), count(kind))).into_iter().filter(|(_, count)| *count > 0).collect()
}

fn menu(address: &Address, key: &str, word: &str, choices: Vec<(&str, u64)>) -> Markup {
    let chosen = address.get(key);
    html! {
        @if !choices.is_empty() {
            details.menu.end id={ "menu-" (key) } {
                summary.button { (word) @if let Some(chosen) = chosen { ": " b { (chosen) } } (icon(Icon::Down)) }
                div.sheet {
                    @if chosen.is_some() { a href=(address.without(key).url()) { "Any" } }
                    @for (choice, count) in choices {
                        @let is_chosen = address.is_chosen(key, choice);
                        a href=(address.with(key, choice).url()) aria-current=[is_chosen.then_some("true")] {
                            (choice) span.count { (number::count(count)) }
                        }
                    }
                }
            }
        }
    }
}

/// What the rows are made of.
struct Rows<'a> {
    shell: &'a Shell,
    runs: &'a HashMap<DagId, Vec<RunBar>>,
    under_way: &'a HashMap<DagId, BTreeMap<TaskState, u64>>,
}

impl Rows<'_> {
    fn may(&self, action: Action, resource: Resource) -> bool {
        self.shell.caller.may(action, resource)
    }

    fn table(&self, shown: &[&Listed], order: Order<'_>) -> Markup {
        let address = &self.shell.address;
        html! {
            div.scroll {
                table.list {
                    thead {
                        tr {
                            @if self.may(Action::Edit, Resource::Dag) {
                                th.tight.wide-only scope="col" {
                                    input.only-script type="checkbox" data-choose-all aria-label="Choose all rows";
                                    span.unseen { "Chosen" }
                                }
                            }
                            th.tight scope="col" { span.unseen { "On" } }
                            (heading(address, order, "name", "DAG"))
                            (wide_heading(address, order, "schedule", "Schedule"))
                            (heading(address, order, "next", "Next run"))
                            (heading(address, order, "last", "Last 24 runs"))
                            th scope="col" { "Now" }
                            th.number.wide-only scope="col" { "Median" }
                            th.tight scope="col" { span.unseen { "Actions" } }
                        }
                    }
                    tbody { @for dag in shown { (self.row(dag)) } }
                }
            }
        }
    }

    fn row(&self, dag: &Listed) -> Markup {
        let id = dag.row.dag_id.as_str();
        let link = format!("/dags/{}", escape(id));
        let runs = self.runs.get(&dag.row.dag_id).map_or(&[][..], Vec::as_slice);
        let now = self.shell.now;
        html! {
            tr id={ "dag-" (id) } {
                @if self.may(Action::Edit, Resource::Dag) {
                    td.tight.wide-only {
                        input type="checkbox" name="chosen" value=(id) form="bulk" aria-label={ "Choose " (id) };
                    }
                }
                td.tight { (self.switch(dag)) }
                td.name {
                    div.row {
                        a.title.break href=(link) title=(title(dag)) { (id) }
                        @if !dag.card.tags.is_empty() { (tags(&self.shell.address, &dag.card.tags)) }
                    }
                }
                td.nowrap.wide-only { (schedule(dag)) }
                td.nowrap {
                    @if dag.row.is_paused { span.quiet { "paused" } } @else { (time::ago_or_dash(next_run(dag), now)) }
                }
                td { (bars(&link, runs, now)) }
                td.nowrap { (under_way(id, self.under_way.get(&dag.row.dag_id))) }
                td.number.wide-only { (median(runs).map_or_else(time::dash, time::span)) }
                td.tight { (self.trigger(dag, &link)) }
            }
        }
    }

    fn switch(&self, dag: &Listed) -> Markup {
        let id = dag.row.dag_id.as_str();
        let word = if dag.row.is_paused { "paused" } else { "active" };
        if !self.may(Action::Edit, Resource::Dag) {
            return html! { span.quiet { (word) } };
        }
        let (label, paused) =
            if dag.row.is_paused { (format!("Unpause {id}"), "false") } else { (format!("Pause {id}"), "true") };
        let fields = [("chosen", id), ("paused", paused), ("back", &self.shell.address.url())];
        form::action("/dags/pause", self.shell.caller.csrf(), &fields, &form::switch(&label, !dag.row.is_paused))
    }

    fn trigger(&self, dag: &Listed, link: &str) -> Markup {
        if !self.may(Action::Create, Resource::DagRun) {
            return html! {};
        }
        let label = format!("Trigger {}", dag.row.dag_id);
        let to = format!("{link}/trigger");
        if dag.card.has_params {
            return html! { a.button.ghost.square href=(to) title=(label) aria-label=(label) { (icon(Icon::Play)) } };
        }
        let button = html! {
            button.button.ghost.square type="submit" title=(label) aria-label=(label) { (icon(Icon::Play)) }
        };
        form::action(&to, self.shell.caller.csrf(), &[("back", &self.shell.address.url())], &button)
    }

    /// The bar of what can be done to all chosen rows; the script shows it when there are some.
    fn bulk(&self) -> Markup {
        if !self.may(Action::Edit, Resource::Dag) {
            return html! {};
        }
        html! {
            form.bulk #bulk method="post" action="/dags/pause" data-bulk {
                (form::csrf(self.shell.caller.csrf()))
                input type="hidden" name="back" value=(self.shell.address.url());
                span data-count { "Chosen DAGs:" }
                button.button type="submit" name="paused" value="true" { (icon(Icon::Pause)) "Pause" }
                button.button type="submit" name="paused" value="false" { (icon(Icon::Play)) "Unpause" }
                @if self.may(Action::Create, Resource::DagRun) {
                    button.button type="submit" formaction="/dags/trigger" { (icon(Icon::Trigger)) "Trigger" }
                }
            }
        }
    }
}

/// What hovering over its name says: the whole name, and what it is for.
fn title(dag: &Listed) -> String {
    let told = dag.card.description.as_deref().map_or_else(String::new, |told| format!("\n{told}"));
    format!("{}{told}", dag.row.dag_id)
}

/// The first few; the others on hover.
fn tags(address: &Address, tags: &[String]) -> Markup {
    html! {
        div.tags {
            @for tag in tags.iter().take(3) { a.tag href=(address.with("tag", tag).url()) { (tag) } }
            @if tags.len() > 3 { span.tag title=(tags[3..].join(", ")) { "+" (tags.len() - 3) } }
        }
    }
}

/// In words, with the way that it is written on hover.
fn schedule(dag: &Listed) -> Markup {
    let card = &dag.card;
    let (words, class) = match card.kind {
        ScheduleKind::Manual => ("manual", "quiet"),
        ScheduleKind::Time | ScheduleKind::Assets | ScheduleKind::Once => (card.summary.as_str(), ""),
    };
    html! {
        span class=(class) title={ (card.schedule) ": " (card.summary) ", " (card.timezone.name()) } { (short(words)) }
    }
}

/// At most as much of a text as a cell bears.
fn short(text: &str) -> String {
    if text.chars().count() <= 32 { text.to_owned() } else { text.chars().take(31).chain(['…']).collect() }
}

fn under_way(dag: &str, counts: Option<&BTreeMap<TaskState, u64>>) -> Markup {
    let Some(counts) = counts else { return time::dash() };
    let to = Address::new("/runs").with("dag", dag).with("state", "running").url();
    html! {
        a.plain.row href=(to) {
            @for (state, count) in counts {
                @let look = Look::from(*state);
                span class={ "badge " (look.class) } { (icon(look.icon)) (number::count(*count)) " " (look.word) }
            }
        }
    }
}

/// The median duration of the runs that succeeded.
fn median(runs: &[RunBar]) -> Option<Duration> {
    let took = |run: &RunBar| Some(until(run.started_at?, run.ended_at?));
    let mut durations: Vec<Duration> =
        runs.iter().filter(|run| run.state == RunState::Success).filter_map(took).collect();
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied()
}

/// The files that cannot be read, each with its line.
pub fn banner(errors: &[ImportError]) -> Markup {
    let bad: Vec<&ImportError> = errors.iter().filter(|error| error.problem.severity == Severity::Error).collect();
    let Some(first) = bad.first() else { return html! {} };
    let said =
        if bad.len() == 1 { "A file cannot be read".to_owned() } else { format!("{} problems in files", bad.len()) };
    html! {
        details.banner.bad #import-errors {
            summary {
                (icon(Icon::Warning)) " " b { (said) } " – " code { (first.problem.place) } ": " (first.problem.message)
            }
            ul {
                @for error in bad.iter().take(20) {
                    li {
                        code { (error.problem.place) } ": " (error.problem.message)
                        @if let Some(hint) = &error.problem.hint { " – " (hint) }
                    }
                }
            }
            a href="/import-errors" { "All problems" }
        }
    }
}

fn teach(shell: &Shell) -> Markup {
    let folder = shell.web.settings.dags_folder.display().to_string();
    let body = html! {
        p { "Put this into " code { (folder) "/hello.yaml" } "; it is here a moment later:" }
        pre { "dag_id: hello\nschedule: \"@daily\"\ntasks:\n  - { task_id: greet, bash_command: \"echo hello\" }\n" }
        p.quiet { "Python files of Airflow work as they are, in the same folder." }
    };
    html! { div #dags data-live { (empty(Icon::Empty, "There is no DAG yet", &body)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_of_what_succeeded() {
        let start: Time = "2026-11-20T00:00:00Z".parse().expect("an instant");
        let run = |state: RunState, seconds: i64| RunBar {
            run_id: crate::domain::ids::RunId::new("r").expect("an id"),
            run_type: crate::domain::run::RunType::Manual,
            state,
            run_after: start,
            started_at: Some(start),
            ended_at: Some(start + chrono::Duration::seconds(seconds)),
        };
        let runs = [
            run(RunState::Success, 9),
            run(RunState::Failed, 900),
            run(RunState::Success, 1),
            run(RunState::Success, 5),
        ];
        assert_eq!(median(&runs), Some(Duration::from_secs(5)));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_long_schedule_is_cut_and_frequent_words_come_first() {
        assert_eq!(short("at minute 0 past hour 1, 2, 3, 4, 5, 6, 7 and 8").chars().count(), 32);
        let tags: Vec<String> = ["b", "a", "b"].map(str::to_owned).to_vec();
        assert_eq!(words(tags.iter()), [("b", 2), ("a", 1)]);
    }
}
