//! The same as a drawing: the slots over time, and below them the runs of each
//! DAG. Plain SVG with a style for light and one for dark.

use std::fmt::Write as _;

use chrono::Datelike;

use crate::domain::ids::DagId;
use crate::domain::state::RunState;
use crate::domain::time::{Time, until};
use crate::node::simulate::Simulated;

use super::picture::capacity;

const WIDTH: usize = 1_000;
/// Where names end and time begins.
const LEFT: usize = 180;
/// Columns of time, one unit wide each.
const COLUMNS: usize = WIDTH - LEFT - 10;
const CHART: usize = 120;
const ROW: usize = 18;
const TOP: usize = 40;
/// More rows are no picture any more.
const MOST_ROWS: usize = 100;

const STYLE: &str = "\
svg{background:#fff;color:#1f2328;font:12px system-ui,sans-serif;color-scheme:light dark}\
text{fill:currentColor}.quiet{opacity:.65}.line{stroke:currentColor;stroke-opacity:.25}\
.busy{fill:#2f81f7}.waiting{fill:none;stroke:#d1242f;stroke-width:1.5}\
.success{fill:#2da44e}.failed{fill:#cf222e}.open{fill:#8c959f}.late{fill:#bf8700}\
@media (prefers-color-scheme:dark){svg{background:#0d1117;color:#e6edf3}\
.busy{fill:#388bfd}.success{fill:#3fb950}.failed{fill:#f85149}.open{fill:#6e7681}.late{fill:#d29922}.waiting{stroke:#ff7b72}}";

/// What a column of a DAG's row shows; of several runs the worst.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    Nothing,
    Success,
    Open,
    Late,
    Failed,
}

impl Shown {
    fn class(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Success => Some("success"),
            Self::Open => Some("open"),
            Self::Late => Some("late"),
            Self::Failed => Some("failed"),
        }
    }
}

pub(super) fn draw(simulated: &Simulated) -> String {
    let dags: Vec<&DagId> = simulated.dags.iter().map(|dag| &dag.dag_id).take(MOST_ROWS).collect();
    let height = TOP + CHART + 40 + dags.len() * ROW + 30;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\"><title>updraft simulate</title><style>{STYLE}</style>"
    );
    let slots = capacity(simulated);
    let title = format!(
        "{} to {}: {:.1} of {slots:.0} slots on average, {} at most",
        simulated.from.format("%Y-%m-%d %H:%M"),
        simulated.until.format("%Y-%m-%d %H:%M UTC"),
        simulated.utilisation.mean,
        simulated.utilisation.most
    );
    text(&mut svg, 10, 20, "", &title);
    chart(&mut svg, simulated, slots);
    for (row, dag) in dags.iter().enumerate() {
        let y = TOP + CHART + 40 + row * ROW;
        let name: String = dag.as_str().chars().take(26).collect();
        text(&mut svg, 10, y + 12, "", &name);
        bars(&mut svg, &columns(simulated, dag), y);
    }
    let missing = simulated.dags.len() - dags.len();
    if missing > 0 {
        text(&mut svg, 10, height - 12, "quiet", &format!("and {missing} more DAGs"));
    }
    text(
        &mut svg,
        LEFT,
        height - 12,
        "quiet",
        "green: success, red: failed, amber: late, grey: not ended; red line: tasks that wait",
    );
    svg.push_str("</svg>\n");
    svg
}

fn text(svg: &mut String, x: usize, y: usize, class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    // Writing to a string cannot fail.
    let _ = write!(svg, "<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{text}</text>");
}

/// The slots that are taken, and the tasks that wait, both on one scale.
fn chart(svg: &mut String, simulated: &Simulated, slots: f64) {
    let used = &simulated.utilisation;
    let most = used.waiting.iter().fold(slots, |most, waiting| most.max(*waiting));
    let step = COLUMNS as f64 / used.busy.len().max(1) as f64;
    let floor = (TOP + CHART) as f64;
    let y = |value: f64| floor - value / most * CHART as f64;
    let mut area = format!("M{LEFT} {floor:.1}");
    let mut line = String::new();
    for (at, (busy, waiting)) in used.busy.iter().zip(&used.waiting).enumerate() {
        let (from, to) = (LEFT as f64 + at as f64 * step, LEFT as f64 + (at + 1) as f64 * step);
        let _ = write!(area, "L{from:.1} {0:.1}L{to:.1} {0:.1}", y(*busy));
        let _ = write!(line, "{}{from:.1} {1:.1}L{to:.1} {1:.1}", if at == 0 { "M" } else { "L" }, y(*waiting));
    }
    let _ = write!(area, "L{} {floor:.1}Z", LEFT + COLUMNS);
    let full = y(slots);
    let _ = write!(svg, "<path class=\"busy\" d=\"{area}\"/><path class=\"waiting\" d=\"{line}\"/>");
    let _ = write!(svg, "<path class=\"line\" d=\"M{LEFT} {full:.1}H{}\"/>", LEFT + COLUMNS);
    text(svg, 10, full as usize + 4, "quiet", &format!("{slots:.0} slots"));
    if most > slots {
        text(svg, 10, TOP + 4, "quiet", &format!("{most:.0} tasks"));
    }
    dates(svg, simulated);
}

/// At most a dozen dates below the chart.
fn dates(svg: &mut String, simulated: &Simulated) {
    let days = (simulated.until - simulated.from).num_days().max(1);
    let every = (days / 12).max(1);
    let mut day = simulated.from.date_naive();
    while let Some(at) = day.and_hms_opt(0, 0, 0).map(|at| at.and_utc()).filter(|at| *at < simulated.until) {
        if at >= simulated.from && i64::from(day.num_days_from_ce()) % every == 0 {
            let x = LEFT + column(simulated, at);
            let _ = write!(svg, "<path class=\"line\" d=\"M{x} {TOP}V{}\"/>", TOP + CHART + 5);
            text(svg, x + 2, TOP + CHART + 18, "quiet", &at.format("%m-%d").to_string());
        }
        let Some(next) = day.succ_opt() else { return };
        day = next;
    }
}

fn column(simulated: &Simulated, at: Time) -> usize {
    let whole = until(simulated.from, simulated.until).as_secs_f64().max(1.0);
    let share = until(simulated.from, at).as_secs_f64() / whole;
    ((share * COLUMNS as f64) as usize).min(COLUMNS - 1)
}

/// What a DAG did in each column of time: the picture stays small however many runs there are.
fn columns(simulated: &Simulated, dag: &DagId) -> Vec<Shown> {
    let mut columns = vec![Shown::Nothing; COLUMNS];
    for run in simulated.runs.iter().filter(|run| run.dag_id == *dag) {
        let Some(started) = run.started else { continue };
        let shown = match run.state {
            RunState::Failed => Shown::Failed,
            RunState::Success if run.late => Shown::Late,
            RunState::Success => Shown::Success,
            RunState::Queued | RunState::Running => Shown::Open,
        };
        let (from, to) = (column(simulated, started), column(simulated, run.ended.unwrap_or(simulated.until)));
        for column in &mut columns[from..=to] {
            *column = (*column).max(shown);
        }
    }
    columns
}

/// Equal neighbours are one rectangle.
fn bars(svg: &mut String, columns: &[Shown], y: usize) {
    let mut from = 0;
    for group in columns.chunk_by(|a, b| a == b) {
        if let Some(class) = group[0].class() {
            let (x, width, height) = (LEFT + from, group.len(), ROW - 6);
            let _ = write!(svg, "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>");
        }
        from += group.len();
    }
}
