//! Backfills: runs of past dates. A new one is shown first, date by date in numbers, and made by a second press.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use actix_web::HttpResponse;
use maud::{Markup, html};

use crate::auth::{Action, Resource};
use crate::domain::backfill::{self, BackfillRequest, MAX_ACTIVE_RUNS, Reprocess};
use crate::domain::ids::{BackfillId, DagId};
use crate::domain::run::iso;
use crate::domain::state::RunState;
use crate::domain::time::Time;
use crate::protocol::control::{Control, Reply};
use crate::store::query::BackfillEntry;
use crate::web::view::address::escape;
use crate::web::view::form::{self, Field, checkbox, field, select};
use crate::web::view::frame::{Here, head};
use crate::web::view::icon::{Icon, icon};
use crate::web::view::state::Look;
use crate::web::view::table::{Paging, empty, pager};
use crate::web::view::toast::Toast;
use crate::web::view::{number, time};
use crate::web::{Error, Needs, Route};

use super::shell::{Fields, Sent, Shell};

const PAGE: u64 = 50;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/backfills", Needs::May(Action::Read, Resource::Backfill), backfills),
        Route::post("/backfills", Needs::May(Action::Create, Resource::Backfill), create),
        Route::post("/backfills/change", Needs::May(Action::Edit, Resource::Backfill), change),
    ]
}

async fn backfills(shell: Shell) -> Result<HttpResponse, Error> {
    let dag = shell.address.get("dag").and_then(|dag| DagId::new(dag).ok());
    let all = shell.web.store.backfills(dag.as_ref(), true).await?;
    let may = shell.caller.may(Action::Create, Resource::Backfill);
    let paging = Paging::of(&shell.address, PAGE, all.len() as u64);
    let first = usize::try_from(paging.offset()).unwrap_or(usize::MAX);
    let is_new = shell.address.get("new").is_some();
    let body = html! {
        (head("Backfills", None, &html! { @if may { a.button href="/backfills?new=1" { (icon(Icon::Plus)) "New backfill" } } }))
        @if may && is_new { (editor(&shell)) }
        div #backfills data-live {
            @if all.is_empty() {
                (empty(Icon::Calendar, "There is no backfill", &html! {
                    p { "A backfill runs a DAG for dates that have passed. Make one here, or by" }
                    pre { "updraft backfill create --dag-id etl --from-date 2026-11-01 --to-date 2026-11-19" }
                }))
            } @else {
                (table(&shell, all.iter().skip(first).take(PAGE as usize), may))
                (pager(&shell.address, paging))
            }
        }
    };
    shell.page("Backfills", Here::Backfills, &body).await
}

fn table<'a>(shell: &Shell, entries: impl Iterator<Item = &'a BackfillEntry>, may: bool) -> Markup {
    html! {
        div.scroll {
            table.list {
                thead {
                    tr {
                        th.number scope="col" { "No." }
                        th scope="col" { "DAG" }
                        th scope="col" { "State" }
                        th scope="col" { "Dates" }
                        th scope="col" { "Progress" }
                        th scope="col" { "By" }
                        th scope="col" { "Made" }
                        @if may { th.tight scope="col" { span.unseen { "Actions" } } }
                    }
                }
                tbody { @for entry in entries { (row(shell, entry, may)) } }
            }
        }
    }
}

fn row(shell: &Shell, entry: &BackfillEntry, may: bool) -> Markup {
    let row = &entry.row;
    let dag = &row.request.dag;
    html! {
        tr id={ "backfill-" (row.id) } {
            td.number { (row.id) }
            td.name { a.title.break href={ "/dags/" (escape(dag.as_str())) } { (dag) } }
            td { (standing(entry)) }
            td.nowrap { (row.request.from.format("%Y-%m-%d")) " – " (row.request.to.format("%Y-%m-%d")) }
            td.nowrap { (progress(entry)) }
            td { (row.user.as_deref().unwrap_or("–")) }
            td { (time::ago(row.created_at, shell.now)) }
            @if may { td.tight { @if row.completed_at.is_none() { (changes(shell, entry)) } } }
        }
    }
}

fn standing(entry: &BackfillEntry) -> Markup {
    let row = &entry.row;
    let (class, picture, word) = match (row.completed_at, row.is_cancelled, row.is_paused) {
        (Some(_), true, _) => ("s-removed", Icon::Cross, "cancelled"),
        (Some(_), false, _) => ("s-success", Icon::Check, "completed"),
        (None, _, true) => ("s-queued", Icon::Pause, "paused"),
        (None, _, false) => ("s-running", Icon::Play, "running"),
    };
    html! { span class={ "badge " (class) } { (icon(picture)) (word) } }
}

/// How its dates stand, as one bar and in words.
fn progress(entry: &BackfillEntry) -> Markup {
    const WIDTH: u64 = 160;
    let dates = u64::from(entry.row.dates).max(1);
    let parts: Vec<(RunState, u64)> = [RunState::Success, RunState::Failed, RunState::Running, RunState::Queued]
        .map(|state| (state, entry.runs_that_are(state)))
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect();
    let bars = parts.iter().scan(0, |at, (state, count)| {
        let width = (count * WIDTH / dates).max(1);
        let begin = *at;
        *at += width;
        Some((*state, begin, width))
    });
    let bars: Vec<_> = bars.collect();
    let said: Vec<String> = parts.iter().map(|(state, count)| format!("{} {state}", number::count(*count))).collect();
    let left = number::count(entry.left());
    html! {
        svg.bars width=(WIDTH) height="10" role="img" aria-label=(said.join(", ")) {
            title { (said.join(", ")) ", " (left) " left" }
            rect.s-none.faint width=(WIDTH) height="8" y="1" rx="2" {}
            @for (state, at, width) in &bars {
                rect class=(Look::from(*state).class) x=(at) y="1" width=(width) height="8" {}
            }
        }
        span.quiet { (number::count(entry.row.dealt.into())) "/" (number::count(entry.row.dates.into())) }
    }
}

fn changes(shell: &Shell, entry: &BackfillEntry) -> Markup {
    let id = entry.row.id.to_string();
    let csrf = shell.caller.csrf();
    let (verb, word) = if entry.row.is_paused { ("unpause", "Go on") } else { ("pause", "Pause") };
    html! {
        (form::action("/backfills/change", csrf, &[("backfill", &id), ("to", verb)], &html! { button.button type="submit" { (word) } }))
        " "
        form.inline method="post" action="/backfills/change" data-confirm={ "Cancel backfill " (id) "? What waits of it fails; what runs goes on." } {
            (form::csrf(csrf))
            input type="hidden" name="backfill" value=(id);
            input type="hidden" name="to" value="cancel";
            button.button.danger type="submit" { "Cancel" }
        }
    }
}

fn editor(shell: &Shell) -> Markup {
    let reprocess = [
        (Reprocess::None.as_str(), "Only dates without a run"),
        (Reprocess::Failed.as_str(), "Also dates whose run failed"),
        (Reprocess::Completed.as_str(), "Also dates whose run is over"),
    ];
    let most = MAX_ACTIVE_RUNS.to_string();
    let fields = html! {
        h2 { "New backfill" }
        (field(&Field { name: "dag", label: "DAG", value: shell.address.get("dag").unwrap_or_default(), required: true, ..Field::default() }))
        (field(&Field { name: "from", label: "First date (UTC)", kind: "date", required: true, ..Field::default() }))
        (field(&Field { name: "to", label: "Last date (UTC)", kind: "date", required: true, ..Field::default() }))
        (select("reprocess", "Which dates", "", &reprocess, Reprocess::None.as_str()))
        (field(&Field { name: "max_active_runs", label: "Runs at once", kind: "number", value: &most, required: true, ..Field::default() }))
        (checkbox("backwards", "The newest date first", "", false))
        div.row { button.button.main type="submit" { "Show what it will do" } a.button.ghost href="/backfills" { "Cancel" } }
    };
    form::form("/backfills", shell.caller.csrf(), &fields)
}

fn date(fields: &Fields, name: &str) -> Result<Time, Error> {
    let date: chrono::NaiveDate = fields.parse(name)?;
    Ok(date.and_time(chrono::NaiveTime::MIN).and_utc())
}

async fn create(shell: Shell, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    let request = match read(&fields) {
        Ok(request) => request,
        Err(error) => return Shell::outcome("/backfills?new=1", Err(error)),
    };
    if fields.is_on("sure") {
        return Shell::outcome("/backfills", make(&shell, request).await);
    }
    let again = format!("/backfills?new=1&dag={}", escape(request.dag.as_str()));
    let shown = match preview(&shell, &request, &fields).await {
        Ok(shown) => shown,
        Err(error) => return Shell::outcome(&again, Err(error)),
    };
    shell.page("New backfill", Here::Backfills, &shown).await
}

fn read(fields: &Fields) -> Result<BackfillRequest, Error> {
    let word = fields.text("reprocess");
    let reprocess = Reprocess::from_word(word).ok_or_else(|| Error::Bad(format!("reprocess: there is no `{word}`")))?;
    Ok(BackfillRequest {
        dag: fields.parse("dag")?,
        from: date(fields, "from")?,
        // The whole of the last day.
        to: date(fields, "to")? + chrono::Duration::days(1) - chrono::Duration::microseconds(1),
        max_active_runs: fields.parse::<NonZeroU32>("max_active_runs")?,
        backwards: fields.is_on("backwards"),
        reprocess,
        conf: serde_json::Map::new(),
    })
}

async fn preview(shell: &Shell, request: &BackfillRequest, fields: &Fields) -> Result<Markup, Error> {
    let found = shell.web.store.dag(&request.dag).await?;
    let entry = found.ok_or_else(|| Error::NotFound(format!("no DAG is named `{}`", request.dag)))?;
    let dates = backfill::dates(request, &entry.definition, shell.now).map_err(|why| Error::Bad(why.to_string()))?;
    let logical: Vec<Time> = dates.iter().map(|run| run.logical_date).collect();
    let (Some(first), Some(last)) = (logical.iter().min(), logical.iter().max()) else {
        return Err(Error::Bad("the backfill has no date".to_owned()));
    };
    let runs = shell.web.store.runs_between(&request.dag, *first, *last).await?;
    let states: BTreeMap<Time, RunState> = runs.iter().filter_map(|run| Some((run.logical_date?, run.state))).collect();
    let mut steps: BTreeMap<&'static str, u64> = BTreeMap::new();
    for date in &logical {
        *steps.entry(request.reprocess.step(states.get(date).copied()).as_str()).or_default() += 1;
    }
    let hidden: Vec<(&str, &str)> = ["dag", "from", "to", "reprocess", "max_active_runs", "backwards"]
        .into_iter()
        .map(|name| (name, fields.text(name)))
        .chain([("sure", "true")])
        .collect();
    let button = html! { button.button.main type="submit" autofocus { "Backfill " (number::counted(logical.len() as u64, "date", "dates")) } };
    Ok(html! {
        (head(&format!("Backfill {}?", request.dag), None, &html! {}))
        dl.facts {
            dt { "Dates" } dd { (number::count(logical.len() as u64)) ", from " (iso(*first)) " to " (iso(*last)) }
            @for (step, count) in &steps { dt { (step) } dd { (number::count(*count)) } }
            dt { "Runs at once" } dd { (request.max_active_runs) }
            dt { "Tasks of each run" } dd { (number::count(entry.definition.tasks.len() as u64)) }
        }
        @if entry.row.is_paused { p { "The DAG is paused: the backfill waits until it is not." } }
        div.row {
            (form::action("/backfills", shell.caller.csrf(), &hidden, &button))
            a.button href="/backfills" { "Cancel" }
        }
    })
}

async fn make(shell: &Shell, request: BackfillRequest) -> Result<Toast, Error> {
    let user = Some(shell.caller.user.clone());
    match shell.web.control(&shell.caller, Control::CreateBackfill { request, user }).await? {
        Reply::BackfillCreated(made) => {
            let waits = if made.paused { "; it waits, because the DAG is paused" } else { "" };
            let dates = number::counted(made.dates.into(), "date", "dates");
            Ok(Toast::good(format!("Backfill {} of {}: {dates}{waits}", made.backfill, made.dag)))
        }
        other => Err(Error::Internal(format!("a backfill was answered by {other:?}"))),
    }
}

async fn change(shell: Shell, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    let done = async {
        let backfill = BackfillId(fields.parse("backfill")?);
        let (control, said) = match fields.text("to") {
            "pause" => (Control::PauseBackfill { backfill, paused: true }, "is paused"),
            "unpause" => (Control::PauseBackfill { backfill, paused: false }, "goes on"),
            "cancel" => (Control::CancelBackfill { backfill }, "is cancelled"),
            other => return Err(Error::Bad(format!("expected pause, unpause or cancel, got: {other}"))),
        };
        shell.web.control(&shell.caller, control).await?;
        Ok(Toast::good(format!("Backfill {backfill} {said}")))
    };
    Shell::outcome("/backfills", done.await)
}
