//! Runs as columns, tasks as rows: what happened to which task when, at a glance.
//!
//! A hundred runs of five hundred tasks are fifty thousand cells and would be a page of megabytes. So cells are no
//! elements: each state is one path, in which neighbours of the same state are one rectangle, filled with a pattern
//! of squares that has the state's colour and sign. What a pointer or a key is on, the script works out from the
//! place; the rows carry their states as one letter per run for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use maud::{Markup, html};

use super::number::duration;
use super::tally::{Tally, word};
use crate::domain::ids::{RunId, TaskId};
use crate::domain::run::RunType;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;

/// The distance of columns and of rows, and the side of a square, in pixels. The stylesheet has the same rows.
pub const COLUMN: usize = 18;
pub const ROW: usize = 22;
const SQUARE: usize = 14;
/// The longest duration is so high.
const BARS: usize = 64;

/// The newest run comes last.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    pub runs: Vec<Column>,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub run_id: RunId,
    /// What people call it: mostly its date.
    pub label: String,
    pub state: RunState,
    pub kind: RunType,
    pub started_at: Option<Time>,
    pub length: Option<Duration>,
    pub link: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub label: String,
    pub depth: usize,
    pub kind: RowKind,
    pub link: String,
    /// One for each run; nothing where the run does not have the task.
    pub cells: Vec<Option<Tally>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RowKind {
    Task {
        id: TaskId,
        is_mapped: bool,
    },
    Group {
        id: String,
        tasks: usize,
        is_folded: bool,
    },
    /// The DAG no longer has it.
    Gone {
        id: TaskId,
    },
}

/// What is selected in the view.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selected<'a> {
    pub run: Option<&'a RunId>,
    pub task: Option<&'a TaskId>,
}

pub fn draw(grid: &Grid, selected: Selected<'_>) -> Markup {
    let (width, height) = (grid.runs.len() * COLUMN, grid.rows.len() * ROW);
    let ids: Vec<&str> = grid.runs.iter().map(|run| run.run_id.as_str()).collect();
    html! {
        div.grid #grid data-runs=(ids.join(" ")) {
            div.grid-names {
                div.grid-corner {
                    @if let Some(longest) = grid.runs.iter().filter_map(|run| run.length).max() {
                        span { (duration(longest)) }
                        span { "0 s" }
                    }
                }
                ol { @for row in &grid.rows { (name(row, selected)) } }
            }
            div.grid-runs {
                div.grid-sheet {
                    (bars(grid, width, selected))
                    svg.grid-cells xmlns="http://www.w3.org/2000/svg" width=(width) height=(height) tabindex="0" role="application"
                        aria-label="States of the tasks by run: move with the arrow keys, open with Enter" {
                        (patterns())
                        g.grid-paths { (cells(grid)) }
                        g.grid-live {}
                        (column_of(grid, selected, height))
                        rect.grid-cursor width=(COLUMN) height=(ROW) rx="3" visibility="hidden" {}
                    }
                }
            }
        }
    }
}

fn name(row: &Row, selected: Selected<'_>) -> Markup {
    let letters: String =
        row.cells.iter().map(|cell| cell.as_ref().map_or('-', |tally| letter(shown(tally)))).collect();
    let (id, fold) = match &row.kind {
        RowKind::Task { id, .. } | RowKind::Gone { id } => (id.as_str(), None),
        RowKind::Group { id, is_folded, .. } => (id.as_str(), Some(*is_folded)),
    };
    let is_selected = fold.is_none() && selected.task.is_some_and(|task| task.as_str() == id);
    let class = match (&row.kind, is_selected) {
        (_, true) => "selected",
        (RowKind::Gone { .. }, false) => "gone",
        (RowKind::Task { .. } | RowKind::Group { .. }, false) => "",
    };
    html! {
        li class=(class) data-cells=(letters) data-task=[fold.is_none().then_some(id)] data-group=[fold.is_some().then_some(id)] {
            a class=(format!("deep-{}", row.depth.min(8))) href=(row.link) title=(id)
                aria-expanded=[fold.map(|is_folded| (!is_folded).to_string())] {
                @match &row.kind {
                    RowKind::Group { is_folded, tasks, .. } => {
                        span.fold { (if *is_folded { "▸" } else { "▾" }) }
                        span.name { (row.label) }
                        small { (tasks) }
                    }
                    RowKind::Task { is_mapped, .. } => {
                        span.name { (row.label) }
                        @if *is_mapped { small { "[ ]" } }
                    }
                    RowKind::Gone { .. } => { span.name { (row.label) } small { "gone" } }
                }
            }
        }
    }
}

/// Above the columns: how long each run took, how it ended, and why it was there.
fn bars(grid: &Grid, width: usize, selected: Selected<'_>) -> Markup {
    let longest = grid.runs.iter().filter_map(|run| run.length).max().unwrap_or_default().as_secs_f64().max(0.001);
    html! {
        svg.grid-bars xmlns="http://www.w3.org/2000/svg" width=(width) height=(BARS + 22) role="group" aria-label="Runs" {
            @for (at, run) in grid.runs.iter().enumerate() {
                @let took = run.length.unwrap_or_default().as_secs_f64();
                @let high = ((took / longest * BARS as f64).round() as usize).max(3);
                @let x = at * COLUMN + 2;
                @let said = format!("{} ({}), {}{}", run.label, run.kind.as_str(), run.state,
                    run.length.map(|took| format!(", {}", duration(took))).unwrap_or_default());
                a href=(run.link) data-run=(run.run_id) aria-label=(said) aria-current=[(selected.run == Some(&run.run_id)).then_some("true")] {
                    title { (said) }
                    rect.column-hit x=(at * COLUMN) y="0" width=(COLUMN) height=(BARS + 22) {}
                    rect class=(format!("bar s-{}", run.state)) x=(x) y=(BARS + 4 - high) width=(SQUARE) height=(high) rx="2" {}
                    @if let Some(sign) = sign_of_kind(run.kind) { text.kind x=(x + SQUARE / 2) y=(BARS + 18) { (sign) } }
                }
            }
        }
    }
}

/// A scheduled run needs no mark: it is what one expects.
fn sign_of_kind(kind: RunType) -> Option<&'static str> {
    match kind {
        RunType::Scheduled => None,
        RunType::Manual => Some("▸"),
        RunType::Backfill => Some("↶"),
        RunType::AssetTriggered | RunType::AssetMaterialization => Some("◆"),
        RunType::OperatorTriggered => Some("⇢"),
    }
}

fn column_of(grid: &Grid, selected: Selected<'_>, height: usize) -> Markup {
    let at = selected.run.and_then(|id| grid.runs.iter().position(|run| run.run_id == *id));
    html! {
        @if let Some(at) = at { rect.grid-column x=(at * COLUMN) y="0" width=(COLUMN) height=(height) {} }
    }
}

fn shown(tally: &Tally) -> TaskState {
    tally.worst().unwrap_or_default()
}

/// One path for each state.
fn cells(grid: &Grid) -> Markup {
    let mut paths: BTreeMap<TaskState, String> = BTreeMap::new();
    for (at, row) in grid.rows.iter().enumerate() {
        let mut from = 0;
        for group in row.cells.chunk_by(|one, other| one.as_ref().map(shown) == other.as_ref().map(shown)) {
            if let Some(state) = group[0].as_ref().map(shown) {
                // Writing to a string cannot fail.
                let _ = write!(
                    paths.entry(state).or_default(),
                    "M{} {}h{}v{ROW}H{0}z",
                    from * COLUMN,
                    at * ROW,
                    group.len() * COLUMN
                );
            }
            from += group.len();
        }
    }
    html! {
        @for (state, path) in paths {
            path class=(format!("cells-{}", state.as_str())) fill=(format!("url(#cell-{})", state.as_str())) d=(path) {}
        }
    }
}

/// The letter of a state in the rows' data, which the script reads.
pub fn letter(state: TaskState) -> char {
    match state {
        TaskState::None => 'n',
        TaskState::Scheduled => 'c',
        TaskState::Queued => 'q',
        TaskState::Running => 'r',
        TaskState::Success => 's',
        TaskState::Failed => 'f',
        TaskState::Skipped => 'k',
        TaskState::UpstreamFailed => 'u',
        TaskState::UpForRetry => 't',
        TaskState::UpForReschedule => 'h',
        TaskState::Deferred => 'd',
        TaskState::Restarting => 'g',
        TaskState::Removed => 'm',
        TaskState::AwaitingInput => 'a',
    }
}

/// A sign inside the square, so that a state is never colour alone. Success has none: it is the calm one.
fn sign(state: TaskState) -> Option<&'static str> {
    match state {
        TaskState::Success => None,
        TaskState::None => None,
        TaskState::Failed => Some("M6 8l6 6M12 8l-6 6"),
        TaskState::UpstreamFailed => Some("M9 14V8M6 11l3-3 3 3"),
        TaskState::Running => Some("M7 7.5l5 3.5-5 3.5z"),
        TaskState::Queued => Some("M6 9h6M6 13h6"),
        TaskState::Scheduled => Some("M9 7.5V11l2.5 2"),
        TaskState::Skipped => Some("M6 8l3 3-3 3M10 8l3 3-3 3"),
        TaskState::UpForRetry => Some("M12 9a3.5 3.5 0 1 0 .3 3M12.3 7v2.3H10"),
        TaskState::UpForReschedule => Some("M6 11h6M10 9l2 2-2 2"),
        TaskState::Deferred => Some("M7.5 8v6M10.5 8v6"),
        TaskState::Restarting => Some("M6 11h6M8 9l-2 2 2 2"),
        TaskState::Removed => Some("M6 14l6-6"),
        TaskState::AwaitingInput => Some("M7 9a2 2 0 1 1 2 2v1M9 14v.5"),
    }
}

fn patterns() -> Markup {
    let inset = (COLUMN - SQUARE) / 2;
    html! {
        defs {
            @for state in TaskState::ALL {
                pattern id=(format!("cell-{}", state.as_str())) patternUnits="userSpaceOnUse" width=(COLUMN) height=(ROW) {
                    rect class=(format!("square s-{}", state.as_str())) x=(inset) y=((ROW - SQUARE) / 2) width=(SQUARE) height=(SQUARE) rx="2.5" {}
                    @if let Some(path) = sign(state) { path.sign d=(path) {} }
                }
            }
        }
    }
}

/// The states with their squares, for those who see the grid for the first time.
pub fn legend() -> Markup {
    html! {
        ul.legend aria-label="States" {
            @for state in [TaskState::Success, TaskState::Running, TaskState::Queued, TaskState::Scheduled, TaskState::Failed,
                TaskState::UpstreamFailed, TaskState::UpForRetry, TaskState::Skipped] {
                li {
                    svg width=(COLUMN) height=(ROW) aria-hidden="true" {
                        rect class=(format!("square s-{}", state.as_str())) x="2" y="4" width=(SQUARE) height=(SQUARE) rx="2.5" {}
                        @if let Some(path) = sign(state) { path.sign d=(path) {} }
                    }
                    (word(state))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::examples::at;

    fn grid(runs: usize, rows: usize, state: impl Fn(usize, usize) -> TaskState) -> Grid {
        let column = |n: usize| Column {
            run_id: RunId::new(format!("manual__{n}")).expect("an id"),
            label: format!("run {n}"),
            state: RunState::Success,
            kind: if n == 0 { RunType::Manual } else { RunType::Scheduled },
            started_at: Some(at(0)),
            length: Some(Duration::from_secs(n as u64 + 1)),
            link: format!("?run={n}"),
        };
        let row = |n: usize| Row {
            label: format!("task_{n}"),
            depth: 0,
            kind: RowKind::Task { id: TaskId::new(format!("task_{n}")).expect("an id"), is_mapped: false },
            link: format!("?task=task_{n}"),
            cells: (0..runs).map(|run| Some(Tally::one(state(run, n)))).collect(),
        };
        Grid { runs: (0..runs).map(column).collect(), rows: (0..rows).map(row).collect() }
    }

    #[test]
    fn equal_neighbours_are_one_rectangle_and_each_state_one_path() {
        let mut grid = grid(4, 2, |run, row| if (run, row) == (2, 1) { TaskState::Failed } else { TaskState::Success });
        grid.rows[0].cells[3] = None;
        insta::assert_snapshot!(draw(&grid, Selected::default()).into_string().replace('>', ">\n"));
    }

    #[test]
    fn fifty_thousand_cells_are_few_elements_and_few_bytes() {
        let usual = draw(
            &grid(100, 500, |run, row| if (run * 7 + row) % 97 == 0 { TaskState::Failed } else { TaskState::Success }),
            Selected::default(),
        )
        .into_string();
        let elements = usual.matches('<').count() / 2;
        assert!(elements < 3_500, "{elements} elements");
        assert!(usual.len() < 300_000, "{} bytes", usual.len());
        let mut random = fastrand::Rng::with_seed(1);
        let states: Vec<TaskState> = (0..50_000).map(|_| TaskState::ALL[random.usize(0..14)]).collect();
        let wildest = draw(&grid(100, 500, |run, row| states[run * 500 + row]), Selected::default()).into_string();
        assert!(wildest.len() < 1_400_000, "{} bytes", wildest.len());
    }

    #[test]
    fn every_state_has_a_letter_of_its_own() {
        let letters: std::collections::BTreeSet<char> = TaskState::ALL.into_iter().map(letter).collect();
        assert_eq!(letters.len(), TaskState::ALL.len());
    }
}
