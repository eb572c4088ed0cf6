//! Shows a test run as it goes, on stderr: one line per change, and below them, on a terminal, what runs now.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

use crate::domain::ids::{TaskKey, TryNumber};
use crate::domain::state::TaskState;
use crate::domain::time::{Time, until};
use crate::protocol::event::{Change, Event};

/// The progress of one run.
pub struct Progress {
    /// `None` where nobody watches.
    bar: Option<ProgressBar>,
    begun: Option<Time>,
    running: BTreeSet<String>,
    /// What was shown last: a change of the row that is none of the state is no news.
    shown: BTreeMap<String, (TaskState, TryNumber)>,
}

impl Progress {
    pub fn new(tasks: usize) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(tasks as u64);
            let style = ProgressStyle::with_template("{bar:20} {pos}/{len} tasks, {elapsed}  {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, begun: None, running: BTreeSet::new(), shown: BTreeMap::new() }
    }

    pub fn on(&mut self, event: &Event) {
        match &event.change {
            Change::Task { key, state, try_number } => {
                let again = if try_number.0 > 1 { format!(" (try {try_number})") } else { String::new() };
                let now = (*state, *try_number);
                if self.shown.insert(key.task.to_string(), now) != Some(now) {
                    self.show(event.at, key, *state, &again);
                }
            }
            // The end of the run is told with its table, and the DAG itself is no news.
            Change::Run { .. } | Change::Dag { .. } | Change::Notification { .. } | Change::DeadlineMissed { .. } => {}
        }
    }

    fn show(&mut self, at: Time, key: &TaskKey, state: TaskState, again: &str) {
        let elapsed = until(*self.begun.get_or_insert(at), at).as_secs_f64();
        let name = key.task.to_string();
        match state {
            TaskState::Running => {
                self.running.insert(name);
            }
            TaskState::None
            | TaskState::Scheduled
            | TaskState::Queued
            | TaskState::Success
            | TaskState::Failed
            | TaskState::Skipped
            | TaskState::UpstreamFailed
            | TaskState::UpForRetry
            | TaskState::UpForReschedule
            | TaskState::Deferred
            | TaskState::Restarting
            | TaskState::Removed
            | TaskState::AwaitingInput => {
                self.running.remove(&name);
            }
        }
        // On the way to a place is no news where everything runs at once.
        if matches!(state, TaskState::None | TaskState::Scheduled | TaskState::Queued) {
            return;
        }
        let line = format!("{elapsed:7.2} s  {}  {state}{again}", key.task);
        match &self.bar {
            Some(bar) => {
                bar.println(line);
                if state.is_finished() {
                    bar.inc(1);
                }
                bar.set_message(self.running.iter().cloned().collect::<Vec<_>>().join(", "));
            }
            None => {
                // Talk that nobody reads is no reason to stop.
                let _ = writeln!(io::stderr(), "{line}");
            }
        }
    }

    /// Takes the bar away: what follows is the result.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
