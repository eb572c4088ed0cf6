//! Pausing and unpausing, of one DAG or of many. Unpausing says first what the schedule will make up for.

use actix_web::HttpResponse;
use maud::html;

use crate::auth::{Action, Resource};
use crate::domain::backlog::Backlog;
use crate::domain::graph::Dag;
use crate::domain::ids::DagId;
use crate::protocol::control::{Control, Reply};
use crate::web::view::frame::{Here, head};
use crate::web::view::toast::{Toast, Undo};
use crate::web::view::{form, number};
use crate::web::{Error, Needs, Route};

use super::shell::{Fields, Sent, Shell};

/// More runs than this are asked about first.
const FEW_RUNS: u64 = 1;

pub fn routes() -> Vec<Route> {
    vec![Route::post("/pause", Needs::May(Action::Edit, Resource::Dag), pause)]
}

async fn pause(shell: Shell, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    let back = fields.back("/").to_owned();
    let paused = fields.is_on("paused");
    let mut dags = Vec::new();
    for name in fields.all("chosen") {
        dags.push(DagId::new(name).map_err(|error| Error::Bad(error.to_string()))?);
    }
    if dags.is_empty() {
        return Ok(Shell::go(&back, &Toast::bad("Nothing was chosen: tick the rows of the DAGs that you mean")));
    }
    if !paused && !fields.is_on("sure") {
        let (runs, sentences) = backlogs(&shell, &dags).await?;
        if runs > FEW_RUNS {
            return ask(&shell, &dags, runs, &sentences, &back).await;
        }
    }
    Shell::outcome(&back, switch(&shell, dags, paused).await)
}

/// How many runs unpausing these makes at once, with a sentence for each.
async fn backlogs(shell: &Shell, dags: &[DagId]) -> Result<(u64, Vec<String>), Error> {
    let (mut runs, mut sentences) = (0_u64, Vec::new());
    for id in dags {
        let Some(entry) = shell.web.store.dag(id).await? else { continue };
        if !entry.row.is_paused {
            continue;
        }
        let dag = Dag::compile(entry.definition).map_err(|error| Error::Internal(error.to_string()))?;
        let backlog = Backlog::of(&dag, entry.row.last_interval.as_ref(), shell.now);
        runs = runs.saturating_add(backlog.runs);
        sentences.push(backlog.sentence(&dag, number::count));
    }
    Ok((runs, sentences))
}

async fn ask(
    shell: &Shell,
    dags: &[DagId],
    runs: u64,
    sentences: &[String],
    back: &str,
) -> Result<HttpResponse, Error> {
    let title = if let [dag] = dags { format!("Unpause {dag}?") } else { format!("Unpause {} DAGs?", dags.len()) };
    let fields: Vec<(&str, &str)> = dags
        .iter()
        .map(|dag| ("chosen", dag.as_str()))
        .chain([("paused", "false"), ("sure", "true"), ("back", back)])
        .collect();
    let button = html! {
        button.button.main type="submit" autofocus { "Unpause, and make " (number::counted(runs, "run", "runs")) }
    };
    let body = html! {
        (head(&title, None, &html! {}))
        ul { @for sentence in sentences.iter().take(50) { li { (sentence) } } }
        div.row { (form::action("/pause", shell.caller.csrf(), &fields, &button)) a.button href=(back) { "Leave it paused" } }
    };
    shell.page(&title, Here::Dags, &body).await
}

async fn switch(shell: &Shell, dags: Vec<DagId>, paused: bool) -> Result<Toast, Error> {
    let mut switched = Vec::new();
    for dag in dags {
        let control = Control::Pause { dag: dag.clone(), paused };
        if let Reply::Paused { changed: true, .. } = shell.web.control(&shell.caller, control).await? {
            switched.push(dag.as_str().to_owned());
        }
    }
    let verb = if paused { "Paused" } else { "Unpaused" };
    let said = match switched.as_slice() {
        [] => return Ok(Toast::good(if paused { "It was paused already" } else { "It was on already" })),
        [dag] => format!("{verb} {dag}"),
        many => format!("{verb} {} DAGs", many.len()),
    };
    Ok(Toast::good(said).undo(Undo::Pause { dags: switched, paused: !paused }))
}
