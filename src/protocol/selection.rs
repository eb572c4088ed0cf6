//! Which task instances a user means: when something is to be cleared or marked.
//!
//! Plain data with one question, [`Selection::includes`]; the graph is walked by
//! whoever holds it.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{DagId, RunId, TaskId};
use crate::domain::time::Time;

/// Task instances of one DAG.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    pub dag: DagId,
    pub runs: RunRange,
    /// Empty: every task.
    #[serde(default)]
    pub tasks: Vec<TaskId>,
    /// Also everything transitively upstream of these tasks.
    #[serde(default)]
    pub upstream: bool,
    /// Also everything transitively downstream of them.
    #[serde(default)]
    pub downstream: bool,
    /// Also the runs of earlier logical dates.
    #[serde(default)]
    pub past: bool,
    /// Also the runs of later logical dates.
    #[serde(default)]
    pub future: bool,
}

/// Runs by name or by logical date.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum RunRange {
    Names {
        run_ids: Vec<RunId>,
    },
    /// Both ends inclusive. Without either, every run, also one that has no logical date.
    Dates {
        from: Option<Time>,
        until: Option<Time>,
    },
}

impl Selection {
    /// Every task of one run.
    pub fn whole_run(dag: DagId, run: RunId) -> Self {
        let runs = RunRange::Names { run_ids: vec![run] };
        Self { dag, runs, tasks: Vec::new(), upstream: false, downstream: false, past: false, future: false }
    }

    /// Whether a run of this DAG is meant. `named` are the logical dates of the runs that are named.
    pub fn includes(&self, run_id: &RunId, date: Option<Time>, named: &[Time]) -> bool {
        let is_within = |from: Option<Time>, until: Option<Time>| match date {
            Some(date) => from.is_none_or(|from| date >= from) && until.is_none_or(|until| date <= until),
            None => from.is_none() && until.is_none(),
        };
        match &self.runs {
            RunRange::Names { run_ids } if run_ids.contains(run_id) => true,
            RunRange::Names { .. } => {
                let (first, last) = (named.iter().min(), named.iter().max());
                let is_past = self.past && date.zip(last).is_some_and(|(date, last)| date <= *last);
                let is_future = self.future && date.zip(first).is_some_and(|(date, first)| date >= *first);
                is_past || is_future
            }
            RunRange::Dates { from, until } => is_within(from.filter(|_| !self.past), until.filter(|_| !self.future)),
        }
    }

    /// The runs that are named; none where they are meant by date.
    pub fn run_ids(&self) -> &[RunId] {
        match &self.runs {
            RunRange::Names { run_ids } => run_ids,
            RunRange::Dates { .. } => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    fn day(n: u32) -> Option<Time> {
        chrono::Utc.with_ymd_and_hms(2026, 11, n, 0, 0, 0).single()
    }

    /// Which of five daily runs, named by their day, and one without a date are meant.
    fn days(selection: &Selection) -> Vec<String> {
        let runs = (1..=5).map(|n| (format!("d{n}"), day(n))).chain([("undated".to_owned(), None)]);
        let runs: Vec<_> = runs.map(|(name, date)| (RunId::new(name).expect("an id"), date)).collect();
        let named: Vec<Time> =
            runs.iter().filter(|(id, _)| selection.run_ids().contains(id)).filter_map(|(_, date)| *date).collect();
        runs.iter().filter(|(id, date)| selection.includes(id, *date, &named)).map(|(id, _)| id.to_string()).collect()
    }

    #[test]
    fn past_and_future_widen_what_is_named_or_dated() {
        let mut selection = Selection::whole_run(DagId::new("d").expect("an id"), RunId::new("d3").expect("an id"));
        assert_eq!(days(&selection), ["d3"]);
        selection.past = true;
        assert_eq!(days(&selection), ["d1", "d2", "d3"]);
        (selection.past, selection.future) = (false, true);
        assert_eq!(days(&selection), ["d3", "d4", "d5"]);
        selection.runs = RunRange::Dates { from: day(2), until: day(3) };
        assert_eq!(days(&selection), ["d2", "d3", "d4", "d5"]);
        (selection.past, selection.future) = (false, false);
        assert_eq!(days(&selection), ["d2", "d3"]);
        selection.runs = RunRange::Dates { from: None, until: None };
        assert_eq!(days(&selection).len(), 6, "without any bound every run is meant");
    }
}
