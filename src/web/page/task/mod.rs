//! A task instance: its log, why it waited, what it left, how it was called, every try, everything that happened.

mod events;
mod file;
mod follow;
pub(super) mod log;
mod tries;
mod why;
mod xcom;

use actix_web::{HttpResponse, web as http};
use maud::{Markup, html};

use super::shell::Shell;
use super::{act, kept, named, way};
use crate::auth::{Action, Resource};
use crate::domain::ids::{DagId, MapIndex, TaskId};
use crate::domain::time::Time;
use crate::store::query::InstanceFilter;
use crate::store::write::{AttemptRow, RunRow, TaskRow};
use crate::web::view::frame::{self, Here, Tab, tabs};
use crate::web::view::state::badge;
use crate::web::view::{number, time};
use crate::web::{Caller, Error, Needs, Route, Web, asset};

/// So many instances of a mapped task are listed.
const SHOWN: u64 = 1_000;

pub(super) fn routes() -> Vec<Route> {
    let read = Needs::May(Action::Read, Resource::TaskInstance);
    let logs = Needs::May(Action::Read, Resource::TaskLog);
    vec![
        Route::get("/dags/{dag_id}/runs/{run_id}/tasks/{task_id}", read, whole),
        Route::get("/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/{map_index}", read, element),
        Route::get("/dags/{dag_id}/runs/{run_id}/log/{task_id}/{map_index}/follow", logs, follow::follow),
        Route::get("/dags/{dag_id}/runs/{run_id}/log/{task_id}/{map_index}/download", logs, log::download),
    ]
}

/// The instance that is looked at.
struct Subject {
    dag: DagId,
    run: RunRow,
    task: TaskId,
    map_index: MapIndex,
    /// `None`: the run has not made it yet.
    row: Option<TaskRow>,
    /// In the order of their tries.
    attempts: Vec<AttemptRow>,
}

impl Subject {
    async fn of(web: &Web, (dag, run, task): (&str, &str, &str), map_index: MapIndex) -> Result<Self, Error> {
        let dag = named::dag(web, dag).await?.dag_id;
        let run = named::run(web, &dag, run).await?;
        let known = TaskId::new(task).map_err(|error| Error::NotFound(error.to_string()))?;
        let row = web.store.task(run.key, &known, map_index).await?;
        if row.is_none() {
            // Either the run has not made it yet, or there is no such task.
            named::task(&*kept::dag(web, &dag, run.version).await?, task)?;
        }
        let attempts = web.store.attempts(run.key, Some(&known)).await?;
        let attempts = attempts.into_iter().filter(|attempt| attempt.map_index == map_index).collect();
        Ok(Self { dag, run, task: known, map_index, row, attempts })
    }

    fn path(&self) -> String {
        way::task(&self.dag, &self.run.run_id, &self.task, self.map_index)
    }

    fn name(&self) -> String {
        match self.map_index {
            MapIndex::UNMAPPED => self.task.to_string(),
            index => format!("{} [{index}]", self.task),
        }
    }
}

/// The parts of an instance, in the order of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Log,
    Why,
    XCom,
    Rendered,
    Tries,
    Events,
}

impl Part {
    const ALL: [Self; 6] = [Self::Log, Self::Why, Self::XCom, Self::Rendered, Self::Tries, Self::Events];

    fn word(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Why => "why",
            Self::XCom => "xcom",
            Self::Rendered => "rendered",
            Self::Tries => "tries",
            Self::Events => "events",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Log => "Log",
            Self::Why => "Why",
            Self::XCom => "XCom",
            Self::Rendered => "Rendered",
            Self::Tries => "Tries",
            Self::Events => "Events",
        }
    }

    fn resource(self) -> Resource {
        match self {
            Self::Log => Resource::TaskLog,
            Self::XCom => Resource::XCom,
            Self::Why | Self::Rendered | Self::Tries | Self::Events => Resource::TaskInstance,
        }
    }
}

async fn whole(shell: Shell, names: http::Path<(String, String, String)>) -> Result<HttpResponse, Error> {
    let subject = Subject::of(&shell.web, (&names.0, &names.1, &names.2), MapIndex::UNMAPPED).await?;
    let filter = InstanceFilter { task: Some(subject.task.clone()), limit: Some(SHOWN), ..InstanceFilter::default() };
    let instances =
        if subject.row.is_none() { shell.web.store.instances(subject.run.key, &filter).await? } else { Vec::new() };
    if instances.is_empty() { show(&shell, &subject).await } else { mapped(&shell, &subject, &instances).await }
}

async fn element(shell: Shell, names: http::Path<(String, String, String, i32)>) -> Result<HttpResponse, Error> {
    let subject = Subject::of(&shell.web, (&names.0, &names.1, &names.2), MapIndex(names.3)).await?;
    if subject.row.is_none() {
        return Err(Error::NotFound(format!("task `{}` has no element {} in this run", subject.task, names.3)));
    }
    show(&shell, &subject).await
}

async fn show(shell: &Shell, subject: &Subject) -> Result<HttpResponse, Error> {
    let (web, address) = (&shell.web, &shell.address);
    let part = address.get("tab").and_then(|word| Part::ALL.into_iter().find(|part| part.word() == word));
    let part = part.unwrap_or(Part::Log);
    if !shell.caller.may(Action::Read, part.resource()) {
        return Err(Error::Forbidden);
    }
    if part == Part::Log && address.get("jump") == Some("error") {
        return log::jump(web, address, subject).await;
    }
    let content = match part {
        Part::Log => log::show(web, address, subject).await?,
        Part::Why => live(&why::show(shell, subject).await?),
        Part::XCom => live(&xcom::show(web, subject, shell.now).await?),
        Part::Rendered => rendered(web, subject).await,
        Part::Tries => live(&tries::show(subject, shell.now)),
        Part::Events => live(&events::show(web, subject).await?),
    };
    let links: Vec<(Part, String)> = Part::ALL
        .into_iter()
        .map(|part| (part, address.without("jump").without("line").with("tab", part.word()).url()))
        .collect();
    let links: Vec<Tab<'_>> =
        links.iter().map(|(one, address)| Tab { word: one.label(), address, is_here: *one == part }).collect();
    let body = html! {
        (crumbs(subject))
        div #head data-live { (head(&shell.caller, subject, shell.now)) }
        (tabs("Parts of the task instance", &links))
        (content)
    };
    let title = format!("{} · {}", subject.name(), subject.dag);
    shell.page_with(&title, Here::Runs, &[asset::url("dag.js")], &body).await
}

fn live(part: &Markup) -> Markup {
    html! { div #part data-live { (part) } }
}

fn crumbs(subject: &Subject) -> Markup {
    html! {
        p.crumbs {
            a href="/" { "DAGs" } " / " a href=(way::dag(&subject.dag)) { (subject.dag) }
            " / " a href=(way::run(&subject.dag, &subject.run.run_id)) { (subject.run.run_id) }
            @if subject.map_index != MapIndex::UNMAPPED {
                " / " a href=(way::task(&subject.dag, &subject.run.run_id, &subject.task, MapIndex::UNMAPPED)) { (subject.task) }
            }
        }
    }
}

fn head(caller: &Caller, subject: &Subject, now: Time) -> Markup {
    let lead = html! {
        @match &subject.row {
            None => { "not yet made: the run has not come to it" }
            Some(row) => {
                (badge(row.state))
                @if row.try_number.0 > 0 { " · try " (row.try_number) " of " (row.max_tries.saturating_add(1).max(row.try_number.0)) }
                @if let Some(next) = row.next_try_at.filter(|_| row.state.as_str().starts_with("up_for")) { " · again " (time::ago(next, now)) }
                " · " (row.operator)
                @if row.started_at.is_some() { " · " (time::took(row.started_at, row.ended_at.filter(|_| !row.state.occupies_slots()), now)) }
                @if let Some(host) = &row.hostname { " · on " (host) }
                @if let Some(note) = &row.note { br; (note) }
            }
        }
    };
    html! { (frame::head(&subject.name(), Some(&lead), &act::task_buttons(caller, &subject.run, &subject.task))) }
}

/// A mapped task has no log of its own: its instances do.
async fn mapped(
    shell: &Shell,
    subject: &Subject,
    instances: &[crate::store::query::Instance],
) -> Result<HttpResponse, Error> {
    let lead = html! { (number::counted(instances.len() as u64, "instance", "instances")) @if instances.len() as u64 == SHOWN { " are shown" } };
    let body = html! {
        (crumbs(subject))
        (frame::head(&subject.name(), Some(&lead), &act::task_buttons(&shell.caller, &subject.run, &subject.task)))
        div.scroll #instances data-live { table.list {
            thead { tr { th { "index" } th { "state" } th.number { "try" } th { "started" } th.number { "took" } } }
            tbody { @for one in instances {
                tr id=(format!("element-{}", one.map_index)) {
                    td.name { a.title href=(way::task(&subject.dag, &subject.run.run_id, &one.task_id, one.map_index)) { "[" (one.map_index) "]" } }
                    td.tight { (badge(one.state)) }
                    td.number { (one.try_number) }
                    td.tight { (time::ago_or_dash(one.started_at, shell.now)) }
                    td.tight.number { (time::took(one.started_at, one.ended_at.filter(|_| !one.state.occupies_slots()), shell.now)) }
                }
            } }
        } }
    };
    let title = format!("{} · {}", subject.name(), subject.dag);
    shell.page_with(&title, Here::Runs, &[asset::url("dag.js")], &body).await
}

/// The templates of the task, as this run fills them.
async fn rendered(web: &Web, subject: &Subject) -> Markup {
    let run = &subject.run;
    match (web.renderer)(subject.dag.clone(), run.run_id.clone(), subject.task.clone(), subject.map_index).await {
        Ok(fields) if fields.is_empty() => html! { p.quiet { "The task has no templates." } },
        Ok(fields) => html! {
            p.quiet { "As the values are now: variables and connections may have changed since it ran. Secrets are hidden." }
            @for (name, text) in &fields { h3 { (name) } pre.break { (text) } }
        },
        Err(why) => html! { p.banner.bad { "Its templates cannot be rendered: " (why) } },
    }
}
