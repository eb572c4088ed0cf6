//! The tab Grid, and what a pointer that rests on one of its cells asks for.

use std::collections::{BTreeSet, HashMap};

use actix_web::{HttpRequest, HttpResponse, web as http};
use maud::html;
use serde_json::json;

use super::Shown;
use super::look::{Look, stands};
use crate::domain::graph::TaskIx;
use crate::domain::ids::{RunKey, TaskId};
use crate::domain::state::RunState;
use crate::domain::time::{Time, until};
use crate::store::query::RunFilter;
use crate::store::write::RunRow;
use crate::web::error::Error;
use crate::web::page::named;
use crate::web::state::Web;
use crate::web::view::address::Address;
use crate::web::view::grid::{self, Column, Grid, Row, RowKind, Selected};
use crate::web::view::icon::Icon;
use crate::web::view::number;
use crate::web::view::table;
use crate::web::view::tally::{Tally, word};
use crate::web::view::tree::{Kind, Tree};

/// How many runs are shown where the address does not say.
const RUNS: u64 = 25;
const CHOICES: [u64; 4] = [10, 25, 50, 100];
/// More cells than these are not drawn anew with every change.
const TOO_MANY_CELLS: usize = 20_000;

pub(super) async fn show(web: &Web, look: &Look) -> Result<Shown, Error> {
    let wanted = wanted(&look.address);
    let until = look.address.get("until").and_then(|text| text.parse().ok());
    let filter = RunFilter { dag: Some(look.id().clone()), until, limit: Some(wanted), ..RunFilter::default() };
    let mut runs = web.store.runs(&filter).await?;
    runs.reverse();
    let keys: Vec<RunKey> = runs.iter().map(|run| run.key).collect();
    let mut stands: HashMap<(RunKey, TaskId), Tally> = HashMap::new();
    for cell in web.store.cells(&keys).await? {
        stands.entry((cell.run, cell.task_id)).or_default().add(cell.state, cell.count);
    }
    let rows = rows(look, &runs, &stands);
    let grid = Grid { runs: runs.iter().map(|run| column_of(look, run)).collect(), rows };
    let cells = grid.runs.len() * grid.rows.len();
    let selected = Selected {
        run: look.chosen.as_ref().map(|run| &run.run_id),
        task: look.task.map(|ix| &look.dag.task(ix).task_id),
    };
    let body = html! {
        (toolbar(look, &runs, wanted))
        @if runs.is_empty() && until.is_none() { (nothing_yet(look)) }
        (grid::draw(&grid, selected))
        (grid::legend())
    };
    Ok(if cells > TOO_MANY_CELLS { Shown::still(body) } else { Shown::live(body) })
}

fn wanted(address: &Address) -> u64 {
    address.get("runs").and_then(|count| count.parse().ok()).unwrap_or(RUNS).clamp(1, 365)
}

fn toolbar(look: &Look, runs: &[RunRow], wanted: u64) -> maud::Markup {
    let oldest = runs.first().filter(|_| runs.len() as u64 == wanted).map(when);
    html! {
        div.toolbar {
            span.quiet { "Runs" }
            div.chips {
                @for count in CHOICES {
                    a.chip href=(look.address.with("runs", &count.to_string()).url()) aria-current=[(count == wanted).then_some("true")] { (count) }
                }
            }
            @if let Some(oldest) = oldest {
                a.chip href=(look.address.with("until", &oldest.to_rfc3339()).url()) { "← earlier" }
            }
            @if look.address.get("until").is_some() { a.chip href=(look.address.without("until").url()) { "newest →" } }
            @if !look.dag.definition.groups.is_empty() {
                span.push {}
                a.chip href=(look.address.with("fold", "-").url()) { "Unfold all" }
                @let all: Vec<&str> = look.dag.definition.groups.iter().map(|group| group.group_id.as_str()).collect();
                a.chip href=(look.address.with("fold", &all.join(",")).url()) { "Fold all" }
            }
        }
    }
}

fn nothing_yet(look: &Look) -> maud::Markup {
    table::empty(
        Icon::Play,
        "No run yet",
        &html! {
            @if look.row.is_paused { p { "The DAG is paused: its schedule makes no run until it is switched on." } }
            p { "A run is made by the schedule (" (look.dag.timetable.summary()) "), by the button " b { "Trigger" } ", or by" }
            pre { "updraft dags trigger " (look.id()) }
        },
    )
}

/// The logical date; of a run without one, when it was due.
pub(super) fn when(run: &RunRow) -> Time {
    run.logical_date.unwrap_or(run.run_after)
}

fn column_of(look: &Look, run: &RunRow) -> Column {
    let zone = look.dag.definition.timezone;
    let end = match run.state {
        RunState::Queued | RunState::Running => look.now,
        RunState::Success | RunState::Failed => run.ended_at.unwrap_or(look.now),
    };
    Column {
        run_id: run.run_id.clone(),
        label: when(run).with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string(),
        state: run.state,
        kind: run.run_type,
        started_at: run.started_at,
        length: run.started_at.map(|start| until(start, end)),
        link: look.with_run(run),
    }
}

/// The tasks of the DAG as it is now, and at the end those that only its history knows.
fn rows(look: &Look, runs: &[RunRow], stands: &HashMap<(RunKey, TaskId), Tally>) -> Vec<Row> {
    let dag = &look.dag;
    let of_task = |ix: TaskIx| -> Vec<Option<Tally>> {
        let id = &dag.task(ix).task_id;
        runs.iter().map(|run| stands.get(&(run.key, id.clone())).cloned()).collect()
    };
    let mut rows: Vec<Row> = Tree::of(dag, &look.folded)
        .items
        .into_iter()
        .map(|item| match item.kind {
            Kind::Task(ix) => {
                let id = dag.task(ix).task_id.clone();
                let link = look.with_task(&id);
                let kind = RowKind::Task { id, is_mapped: dag.mapping.of_task(ix).is_some() };
                Row { label: item.label, depth: item.depth, kind, link, cells: of_task(ix) }
            }
            Kind::Group { id, tasks, is_folded, .. } => {
                let mut cells: Vec<Option<Tally>> = vec![None; runs.len()];
                for task in &tasks {
                    for (cell, one) in cells.iter_mut().zip(of_task(*task)) {
                        if let Some(one) = one {
                            cell.get_or_insert_default().join(&one);
                        }
                    }
                }
                let link = look.with_fold(id.as_str());
                let kind = RowKind::Group { id: id.to_string(), tasks: tasks.len(), is_folded };
                Row { label: item.label, depth: item.depth, kind, link, cells }
            }
        })
        .collect();
    let gone: BTreeSet<&TaskId> = stands.keys().map(|(_, task)| task).filter(|task| dag.find(task).is_none()).collect();
    rows.extend(gone.into_iter().map(|id| Row {
        label: id.to_string(),
        depth: 0,
        kind: RowKind::Gone { id: id.clone() },
        link: look.with_task(id),
        cells: runs.iter().map(|run| stands.get(&(run.key, id.clone())).cloned()).collect(),
    }));
    rows
}

/// Of one run, what each cell says to who points at it.
pub(super) async fn column(web: Web, request: HttpRequest, dag: http::Path<String>) -> Result<HttpResponse, Error> {
    let row = named::dag(&web, &dag).await?;
    let address = Address::parse("", request.query_string());
    let run = named::run(&web, &row.dag_id, address.get("run").unwrap_or_default()).await?;
    let now = chrono::Utc::now();
    let stands = stands(web.store.tallies(&[run.key]).await?);
    let cells: serde_json::Map<String, serde_json::Value> = stands
        .into_iter()
        .map(|((_, task), tally)| {
            let mut said = if tally.total() > 1 { tally.words() } else { tally.worst().map_or("", word).to_owned() };
            if let Some(took) = tally.length(now) {
                said = format!("{said} · {}", number::duration(took));
            }
            if tally.try_number > 1 {
                said = format!("{said} · try {}", tally.try_number);
            }
            (task.to_string(), said.into())
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "run": run.run_id, "cells": cells })))
}
