//! What a schedule makes up for as soon as its DAG is unpaused: how many runs, of which dates, in a sentence.

use super::graph::Dag;
use super::limit::Limit;
use super::run::{DataInterval, iso};
use super::schedule::Schedule;
use super::time::Time;

/// Counting stops here: the answer to the question is clear by then.
const COUNTED: usize = 100_000;

/// The runs that a schedule makes as soon as its DAG is unpaused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    pub runs: u64,
    /// There are more than were counted.
    pub more: bool,
    pub first: Option<Time>,
    pub last: Option<Time>,
    /// Where there are none now: when the next one is due.
    pub next: Option<Time>,
}

impl Backlog {
    /// As seen at `now`; `last` is the interval of the newest run that the schedule made.
    pub fn of(dag: &Dag, last: Option<&DataInterval>, now: Time) -> Self {
        let bounds = dag.bounds();
        let mut backlog = Self { runs: 0, more: false, first: None, last: None, next: None };
        for run in dag.timetable.due(&bounds, last, now).take(COUNTED + 1) {
            if backlog.runs == COUNTED as u64 {
                backlog.more = true;
                break;
            }
            backlog.runs += 1;
            backlog.first.get_or_insert(run.logical_date);
            backlog.last = Some(run.logical_date);
        }
        if backlog.runs == 0 {
            backlog.next = dag.timetable.next(&bounds, last, now).map(|run| run.run_after);
        }
        backlog
    }

    /// For people who are about to unpause `dag`; `count` writes a number as they read it.
    pub fn sentence(&self, dag: &Dag, count: impl Fn(u64) -> String) -> String {
        let definition = &dag.definition;
        let id = &definition.dag_id;
        let tasks = self.runs.saturating_mul(definition.tasks.len() as u64);
        let counted = |number: u64, what: &str| {
            let plural = if number == 1 { "" } else { "s" };
            format!("{} {what}{plural}", count(number))
        };
        let more = if self.more { "more than " } else { "" };
        let (runs, tasks) = (counted(self.runs, "run"), counted(tasks, "task"));
        match (self.first, self.last, self.next) {
            (Some(first), Some(last), _) if first != last => {
                let at_once: Limit = definition.max_active_runs;
                format!(
                    "unpausing `{id}` will create {more}{runs}, {tasks}, from {} to {}{} (max_active_runs: {at_once})",
                    iso(first),
                    iso(last),
                    if self.more { " and on" } else { "" },
                )
            }
            (Some(first), _, _) => format!("unpausing `{id}` will create {runs}, {tasks}, of {}", iso(first)),
            (None, _, Some(next)) => {
                format!("unpausing `{id}` will create no run now; the next one is due at {}", iso(next))
            }
            (None, _, None) if definition.schedule == Schedule::Never => {
                format!("unpausing `{id}` will create no run: it has no schedule, and runs when it is triggered")
            }
            (None, _, None) if definition.schedule.assets().is_some() => {
                format!("unpausing `{id}` will create no run now: it runs when its assets have changed")
            }
            (None, _, None) => format!("unpausing `{id}` will create no run: its schedule makes no more"),
        }
    }
}
