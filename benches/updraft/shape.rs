//! DAG files of a given shape, as YAML.

use std::fmt::Write;

/// What every task of a shape does.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// The scheduler passes it without an attempt.
    Nothing,
    /// `bash -c true`.
    True,
    /// `sleep 0.05` in Bash.
    Nap,
    /// An attempt in a slot of a worker, without a process: a condition that is true.
    Condition,
}

/// When a DAG of a shape runs.
#[derive(Clone, Copy, Debug)]
pub enum When {
    Triggered,
    /// As soon as a node sees the file.
    Once,
    /// Ten daily runs are due as soon as a node sees the file.
    TenDays,
}

/// Ten runs.
pub const TEN_DAYS: usize = 10;

/// A DAG file under construction: tasks are numbered from 0.
pub struct Shape {
    text: String,
    work: &'static str,
    tasks: usize,
}

impl Shape {
    pub fn new(when: When, work: Work) -> Self {
        let when = match when {
            When::Triggered => "schedule: null\n",
            When::Once => "schedule: \"@once\"\nstart_date: 2026-01-01\n",
            When::TenDays => "schedule: \"@daily\"\nstart_date: 2026-01-01\nend_date: 2026-01-10\ncatchup: true\n",
        };
        let work = match work {
            Work::Nothing => "empty: true",
            Work::True => "bash: \"true\"",
            Work::Nap => "bash: \"sleep 0.05\"",
            Work::Condition => "short_circuit: \"{{ 1 }}\"",
        };
        let text = format!("{when}max_active_runs: 0\nmax_active_tasks: 0\ntasks:\n");
        Self { text, work, tasks: 0 }
    }

    /// Adds a task after those, and gives its number.
    fn task(&mut self, after: impl IntoIterator<Item = usize>) -> usize {
        let after: Vec<String> = after.into_iter().map(|task| format!("t{task}")).collect();
        let number = self.tasks;
        self.tasks += 1;
        // Writing to memory cannot fail.
        let _ = writeln!(self.text, "  t{number}: {{{}, depends_on: [{}]}}", self.work, after.join(", "));
        number
    }

    /// One after the other.
    pub fn chain(mut self, length: usize) -> String {
        for task in 0..length {
            self.task(task.checked_sub(1));
        }
        self.text
    }

    /// All at once.
    pub fn parallel(mut self, tasks: usize) -> String {
        for _ in 0..tasks {
            self.task([]);
        }
        self.text
    }

    /// One, then many, then one.
    pub fn fan(mut self, tasks: usize) -> String {
        let split = self.task([]);
        for _ in 0..tasks.saturating_sub(2) {
            self.task([split]);
        }
        self.task(1..tasks.saturating_sub(1));
        self.text
    }

    /// Layers of so many tasks; each task waits for one to three of the layer before, by chance but always the same.
    pub fn layers(mut self, layers: usize, width: usize) -> String {
        let mut chance = fastrand::Rng::with_seed(7);
        for layer in 0..layers {
            for _ in 0..width {
                let first = layer.saturating_sub(1) * width;
                let upstream = if layer == 0 { 0 } else { chance.usize(1..=3.min(width)) };
                let picks = chance.choose_multiple(first..first + width, upstream);
                self.task(picks);
            }
        }
        self.text
    }
}
