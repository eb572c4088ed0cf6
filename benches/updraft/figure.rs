//! A figure: what was measured, against what, and whether it is good enough.

use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "us")]
    Microseconds,
    #[serde(rename = "1/s")]
    PerSecond,
    #[serde(rename = "MiB")]
    Mebibytes,
    #[serde(rename = "%")]
    Percent,
    #[serde(rename = "x")]
    Times,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{value:.3} s"),
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::Microseconds => format!("{value:.0} µs"),
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Mebibytes => format!("{value:.1} MiB"),
            Self::Percent => format!("{value:.1} %"),
            Self::Times => format!("{value:.2} x"),
        }
    }
}

/// What the design asks for.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Shown to explain another figure.
    None,
    /// In the figure's unit.
    AtMost(f64),
    AtLeast(f64),
    /// Of figure to baseline.
    RatioAtMost(f64),
    RatioAtLeast(f64),
}

/// Measured beside the figure, in the same run and unit.
#[derive(Clone, Debug, Serialize)]
pub struct Baseline {
    pub what: String,
    pub value: f64,
}

/// One row of the answer.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    question: &'static str,
    what: String,
    value: f64,
    unit: Unit,
    baseline: Option<Baseline>,
    target: Target,
}

impl Figure {
    pub fn new(what: impl Into<String>, value: f64, unit: Unit) -> Self {
        Self { question: "", what: what.into(), value, unit, baseline: None, target: Target::None }
    }

    pub fn against(self, what: impl Into<String>, value: f64) -> Self {
        Self { baseline: Some(Baseline { what: what.into(), value }), ..self }
    }

    pub fn target(self, target: Target) -> Self {
        Self { target, ..self }
    }

    pub fn of(self, question: &'static str) -> Self {
        Self { question, ..self }
    }

    /// Figure to baseline; `None` without a baseline.
    fn ratio(&self) -> Option<f64> {
        self.baseline.as_ref().map(|baseline| self.value / baseline.value)
    }

    /// `None` when nothing is asked of it.
    fn is_met(&self) -> Option<bool> {
        let ratio = self.ratio().unwrap_or(f64::NAN);
        match self.target {
            Target::None => None,
            Target::AtMost(most) => Some(self.value <= most),
            Target::AtLeast(least) => Some(self.value >= least),
            Target::RatioAtMost(most) => Some(ratio <= most),
            Target::RatioAtLeast(least) => Some(ratio >= least),
        }
    }

    fn row(&self) -> [String; 7] {
        let target = match self.target {
            Target::None => String::new(),
            Target::AtMost(most) => format!("≤ {}", self.unit.show(most)),
            Target::AtLeast(least) => format!("≥ {}", self.unit.show(least)),
            Target::RatioAtMost(most) => format!("≤ {most} of the baseline"),
            Target::RatioAtLeast(least) => format!("≥ {least} of the baseline"),
        };
        let verdict = match self.is_met() {
            None => "",
            Some(true) => "met",
            Some(false) => "MISSED",
        };
        [
            self.question.to_owned(),
            self.what.clone(),
            self.unit.show(self.value),
            self.baseline.as_ref().map_or(String::new(), |b| format!("{} ({})", self.unit.show(b.value), b.what)),
            self.ratio().map_or(String::new(), |ratio| format!("{ratio:.2}")),
            target,
            verdict.to_owned(),
        ]
    }
}

/// All figures for people.
pub fn table(figures: &[Figure]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["question", "what", "figure", "baseline", "ratio", "target", ""]);
    for figure in figures {
        table.add_row(figure.row());
    }
    for numbers in [2, 4] {
        if let Some(column) = table.column_mut(numbers) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// All figures for programs: what the table shows, unrounded, with ratio and verdict.
pub fn write_json(figures: &[Figure], path: &Path) -> std::io::Result<()> {
    #[derive(Serialize)]
    struct Row<'a> {
        #[serde(flatten)]
        figure: &'a Figure,
        ratio: Option<f64>,
        met: Option<bool>,
    }
    let rows: Vec<Row<'_>> =
        figures.iter().map(|figure| Row { figure, ratio: figure.ratio(), met: figure.is_met() }).collect();
    std::fs::write(path, serde_json::to_string_pretty(&rows)?)
}
