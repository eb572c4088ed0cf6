//! Clear, mark, trigger: what a user changes about runs and tasks. Each shows first what it will touch, by asking the
//! scheduler to do it without doing it; then one button does it. All of it is forms, so all of it works without script.

use actix_web::{HttpResponse, web as http};
use maud::{Markup, html};

use super::shell::{Fields, Sent, Shell};
use super::{named, way};
use crate::auth::{Action, Resource};
use crate::domain::ids::{DagId, MapIndex, RunId, TaskId};
use crate::domain::state::{Mark, RunState};
use crate::protocol::control::{Clear, Control, TouchedTask};
use crate::protocol::selection::{RunRange, Selection};
use crate::store::write::RunRow;
use crate::web::view::address::{Address, escape};
use crate::web::view::form;
use crate::web::view::frame::{self, Here};
use crate::web::view::icon::{Icon, icon};
use crate::web::view::number;
use crate::web::view::state::badge;
use crate::web::view::toast::Toast;
use crate::web::{Caller, Error, Needs, Route, Web};

/// So many of what is touched are named.
const NAMED: usize = 200;

pub(super) fn routes() -> Vec<Route> {
    let tasks = Needs::May(Action::Edit, Resource::TaskInstance);
    let runs = Needs::May(Action::Edit, Resource::DagRun);
    vec![
        Route::get("/dags/{dag_id}/clear", tasks, preview_clear),
        Route::post("/dags/{dag_id}/clear", tasks, clear),
        Route::get("/dags/{dag_id}/mark", tasks, preview_mark),
        Route::post("/dags/{dag_id}/mark", tasks, mark),
        Route::get("/dags/{dag_id}/runs/{run_id}/mark", runs, preview_mark_run),
        Route::post("/dags/{dag_id}/runs/{run_id}/mark", runs, mark_run),
    ]
}

/// What is to be touched, as an address or a form says it.
struct Wish {
    run: RunId,
    task: Option<TaskId>,
    selection: Selection,
    only_failed: bool,
    only_running: bool,
    mark: Mark,
}

/// Which tasks besides the named one, and which runs besides the named one.
const WIDER: [(&str, &str); 4] = [
    ("upstream", "everything upstream of it"),
    ("downstream", "everything downstream of it"),
    ("past", "the runs before"),
    ("future", "the runs after"),
];

impl Wish {
    fn of<'a>(dag: &DagId, said: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Error> {
        let run = RunId::new(said("run").unwrap_or_default()).map_err(|error| Error::Bad(error.to_string()))?;
        let task = said("task").map(TaskId::new).transpose().map_err(|error| Error::Bad(error.to_string()))?;
        let is = |name: &str| said(name).is_some();
        let selection = Selection {
            dag: dag.clone(),
            runs: RunRange::Names { run_ids: vec![run.clone()] },
            tasks: task.iter().cloned().collect(),
            upstream: is("upstream"),
            downstream: is("downstream"),
            past: is("past"),
            future: is("future"),
        };
        let mark = match said("as") {
            Some("failed") => Mark::Failed,
            Some("skipped") => Mark::Skipped,
            Some(_) | None => Mark::Success,
        };
        Ok(Self { run, task, selection, only_failed: is("only_failed"), only_running: is("only_running"), mark })
    }

    fn clear(&self, dry_run: bool) -> Control {
        Control::Clear(Clear {
            selection: self.selection.clone(),
            only_failed: self.only_failed,
            only_running: self.only_running,
            reset_runs: true,
            dry_run,
        })
    }

    fn marking(&self, dry_run: bool) -> Control {
        Control::MarkTasks { selection: self.selection.clone(), mark: self.mark, dry_run }
    }

    /// Where one goes back to: the instance where one is meant, else the run.
    fn back(&self) -> String {
        let dag = &self.selection.dag;
        match &self.task {
            Some(task) => format!("{}?run={}&task={}", way::dag(dag), escape(self.run.as_str()), escape(task.as_str())),
            None => way::run(dag, &self.run),
        }
    }

    fn subject(&self) -> String {
        match &self.task {
            Some(task) => format!("{task} in run {}", self.run),
            None => format!("run {}", self.run),
        }
    }
}

fn word(mark: Mark) -> &'static str {
    match mark {
        Mark::Success => "success",
        Mark::Failed => "failed",
        Mark::Skipped => "skipped",
    }
}

async fn touched(shell: &Shell, control: Control) -> Result<Vec<TouchedTask>, Error> {
    let reply = shell.web.control(&shell.caller, control).await?;
    reply.touched().map_err(|error| Error::Internal(error.to_string()))
}

async fn preview_clear(shell: Shell, dag: http::Path<String>) -> Result<HttpResponse, Error> {
    let row = named::dag(&shell.web, &dag).await?;
    let said = &shell.address;
    let wish = Wish::of(&row.dag_id, |name| said.get(name))?;
    let tasks = touched(&shell, wish.clear(true)).await?;
    let options = html! {
        (wider(said, wish.task.is_some()))
        (option(said, "only_failed", "only what failed"))
        (option(said, "only_running", "only what is running"))
    };
    let page = Preview {
        what: "Clear",
        subject: wish.subject(),
        back: wish.back(),
        options,
        button: &|count| format!("Clear {count}"),
        danger: false,
    };
    let lead = "What is cleared runs again, and the run goes on. A task that is running is stopped first.";
    page.show(&shell, lead, &tasks).await
}

async fn clear(shell: Shell, dag: http::Path<String>, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    let wish = Wish::of(&named::dag(&shell.web, &dag).await?.dag_id, |name| fields.get(name))?;
    let done = touched(&shell, wish.clear(false)).await;
    Shell::outcome(&wish.back(), done.map(|tasks| said("Cleared", &wish, tasks.len())))
}

async fn preview_mark(shell: Shell, dag: http::Path<String>) -> Result<HttpResponse, Error> {
    let row = named::dag(&shell.web, &dag).await?;
    let said = &shell.address;
    let wish = Wish::of(&row.dag_id, |name| said.get(name))?;
    let tasks = touched(&shell, wish.marking(true)).await?;
    let mark = word(wish.mark);
    let options = html! {
        div.chips {
            @for other in [Mark::Success, Mark::Failed, Mark::Skipped] {
                a.chip href=(said.with("as", word(other)).url()) aria-current=[(other == wish.mark).then_some("true")] { (word(other)) }
            }
        }
        (wider(said, wish.task.is_some()))
    };
    let page = Preview {
        what: "Mark",
        subject: wish.subject(),
        back: wish.back(),
        options,
        button: &|count| format!("Mark {count} {mark}"),
        danger: wish.mark == Mark::Failed,
    };
    let lead = "What is marked counts as ended so, and what waits for it goes on accordingly. A task that is running is stopped.";
    page.show(&shell, lead, &tasks).await
}

async fn mark(shell: Shell, dag: http::Path<String>, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    let wish = Wish::of(&named::dag(&shell.web, &dag).await?.dag_id, |name| fields.get(name))?;
    let done = touched(&shell, wish.marking(false)).await;
    Shell::outcome(&wish.back(), done.map(|tasks| said("Marked", &wish, tasks.len())))
}

fn said(verb: &str, wish: &Wish, tasks: usize) -> Toast {
    Toast::good(format!("{verb} {} of {}", number::counted(tasks as u64, "task", "tasks"), wish.subject()))
}

/// Links to the same preview with more or less in it.
fn wider(said: &Address, has_task: bool) -> Markup {
    html! {
        @for (name, label) in WIDER.iter().filter(|(name, _)| has_task || !["upstream", "downstream"].contains(name)) {
            (option(said, name, label))
        }
    }
}

fn option(said: &Address, name: &str, label: &str) -> Markup {
    let is_on = said.get(name).is_some();
    html! {
        a.option href=(said.toggled(name, said.get(name).unwrap_or("1")).url()) role="checkbox" aria-checked=(is_on) {
            span.tick { @if is_on { (icon(Icon::Check)) } } (label)
        }
    }
}

/// A page that says what will happen before it does.
struct Preview<'a> {
    what: &'a str,
    subject: String,
    back: String,
    options: Markup,
    button: &'a dyn Fn(String) -> String,
    danger: bool,
}

impl Preview<'_> {
    async fn show(&self, shell: &Shell, lead: &str, tasks: &[TouchedTask]) -> Result<HttpResponse, Error> {
        let said = &shell.address;
        let mut runs: Vec<&RunId> = tasks.iter().map(|task| &task.key.run).collect();
        runs.sort_unstable();
        runs.dedup();
        let count = number::counted(tasks.len() as u64, "task", "tasks");
        let body = html! {
            div.preview {
                (frame::head(&format!("{} {}", self.what, self.subject), Some(&html! { (lead) }), &html! {}))
                div.options { (self.options) }
                @if tasks.is_empty() {
                    p.banner { "Nothing is touched: no task instance is meant." }
                } @else {
                    p #touched { b { (count) } " in " b { (number::counted(runs.len() as u64, "run", "runs")) } ":" }
                }
                form.row method="post" action=(said.path()) {
                    (form::csrf(shell.caller.csrf()))
                    @for (name, value) in said.others(&[]) { input type="hidden" name=(name) value=(value); }
                    button.button.main.danger[self.danger] type="submit" disabled[tasks.is_empty()] { ((self.button)(count.clone())) }
                    a.button href=(self.back) { "Cancel" }
                }
                div.scroll {
                    table.list {
                        @if !tasks.is_empty() { thead { tr { th { "task" } th { "run" } th { "now" } } } }
                        tbody { @for task in tasks.iter().take(NAMED) {
                            tr {
                                td.name { (task.key.task) @if task.key.map_index != MapIndex::UNMAPPED { " [" (task.key.map_index) "]" } }
                                td { span.break { (task.key.run) } }
                                td.tight { (badge(task.state)) }
                            }
                        } }
                    }
                }
                @if tasks.len() > NAMED { p.quiet { "and " (number::count((tasks.len() - NAMED) as u64)) " more" } }
            }
        };
        let title = format!("{} {}", self.what, self.subject);
        shell.page(&title, Here::Dags, &body).await
    }
}

async fn preview_mark_run(shell: Shell, names: http::Path<(String, String)>) -> Result<HttpResponse, Error> {
    let (row, run) = run_of(&shell.web, &names).await?;
    let said = &shell.address;
    let succeeded = said.get("as") != Some("failed");
    let tasks = shell.web.store.tallies(&[run.key]).await?;
    let open: u64 = tasks.iter().filter(|tally| !tally.state.is_finished()).map(|tally| u64::from(tally.count)).sum();
    let word = if succeeded { "success" } else { "failed" };
    let body = html! {
        div.preview {
            (frame::head(&format!("Mark run {} {word}", run.run_id), None, &html! {}))
            p { "The run is " (badge(run.state)) ". " @if open > 0 { b { (number::counted(open, "unfinished task", "unfinished tasks")) } " of it will end with it." } @else { "All its tasks have ended." } }
            form.row method="post" action=(said.path()) {
                (form::csrf(shell.caller.csrf()))
                input type="hidden" name="as" value=(word);
                button.button.main.danger[!succeeded] type="submit" { "Mark the run " (word) }
                a.button href=(way::run(&row, &run.run_id)) { "Cancel" }
            }
        }
    };
    shell.page("Mark a run", Here::Dags, &body).await
}

async fn mark_run(shell: Shell, names: http::Path<(String, String)>, sent: Sent) -> Result<HttpResponse, Error> {
    let (dag, run) = run_of(&shell.web, &names).await?;
    let succeeded = match Fields::of(sent).get("as") {
        Some("success") => true,
        Some("failed") => false,
        other => return Err(Error::Bad(format!("expected `as` to be success or failed, got: {other:?}"))),
    };
    let back = way::run(&dag, &run.run_id);
    let wish = Control::MarkRun { dag, run_id: run.run_id.clone(), succeeded };
    let done = shell.web.control(&shell.caller, wish).await;
    let word = if succeeded { "success" } else { "failed" };
    Shell::outcome(&back, done.map(|_| Toast::good(format!("Marked run {} {word}", run.run_id))))
}

async fn run_of(web: &Web, names: &(String, String)) -> Result<(DagId, RunRow), Error> {
    let row = named::dag(web, &names.0).await?;
    let run = named::run(web, &row.dag_id, &names.1).await?;
    Ok((row.dag_id, run))
}

/// What can be done to a run.
pub(super) fn run_buttons(caller: &Caller, run: &RunRow) -> Markup {
    let mark = |word: &str| format!("{}/mark?as={word}", way::run(&run.dag_id, &run.run_id));
    let clear = format!("{}/clear?run={}", way::dag(&run.dag_id), escape(run.run_id.as_str()));
    html! {
        @if caller.may(Action::Edit, Resource::TaskInstance) {
            a.button href=(clear) { (icon(Icon::Retry)) "Clear…" }
            @if run.state == RunState::Failed { a.button href=(format!("{clear}&only_failed=1")) { "Clear failed…" } }
        }
        @if caller.may(Action::Edit, Resource::DagRun) {
            details.menu {
                summary.button { "Mark " (icon(Icon::Down)) }
                div.sheet { a href=(mark("success")) { "as success…" } a href=(mark("failed")) { "as failed…" } }
            }
        }
    }
}

/// What can be done to a task of a run; of a mapped one, to all its instances.
pub(super) fn task_buttons(caller: &Caller, run: &RunRow, task: &TaskId) -> Markup {
    let of = format!("run={}&task={}", escape(run.run_id.as_str()), escape(task.as_str()));
    let dag = way::dag(&run.dag_id);
    html! {
        @if caller.may(Action::Edit, Resource::TaskInstance) {
            details.menu {
                summary.button { (icon(Icon::Retry)) "Clear " (icon(Icon::Down)) }
                div.sheet {
                    a href=(format!("{dag}/clear?{of}")) { "this task…" }
                    a href=(format!("{dag}/clear?{of}&downstream=1")) { "with downstream…" }
                    a href=(format!("{dag}/clear?{of}&upstream=1&downstream=1")) { "with up- and downstream…" }
                    a href=(format!("{dag}/clear?{of}&downstream=1&only_failed=1")) { "what failed from here…" }
                }
            }
            details.menu {
                summary.button { "Mark " (icon(Icon::Down)) }
                div.sheet { @for word in ["success", "failed", "skipped"] { a href=(format!("{dag}/mark?{of}&as={word}")) { "as " (word) "…" } } }
            }
        }
    }
}
