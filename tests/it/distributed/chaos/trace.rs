//! What the tasks themselves saw: the judge of everything, because no part of the product writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Files to which every task appends short lines.
pub struct Traces {
    folder: PathBuf,
}

/// One line of a task: `run task try node nanoseconds`.
struct Line {
    task: String,
    attempt: String,
    node: String,
    at: u128,
    pool: bool,
}

impl Traces {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// What each task does: notes its start, works for a moment, notes its end.
    /// The lock is the process's and its children's: whoever finds it taken runs beside a try that still lives.
    pub fn command(&self) -> String {
        let folder = self.folder.display();
        let line = "$AIRFLOW_CTX_DAG_RUN_ID $AIRFLOW_CTX_TASK_ID $AIRFLOW_CTX_TRY_NUMBER $CHAOS_NODE";
        format!(
            "exec 9>>\"{folder}/lock.$AIRFLOW_CTX_DAG_RUN_ID.$AIRFLOW_CTX_TASK_ID\"; \
             flock -n 9 || echo \"{line}\" >> '{folder}/overlaps'; \
             echo \"{line} $(date +%s%N)\" >> '{folder}/starts'; sleep 0.$((RANDOM % 5 + 1)); \
             echo \"{line} $(date +%s%N)\" >> '{folder}/ends'"
        )
    }

    fn read(&self, name: &str) -> Vec<Line> {
        let text = std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        let lines = text.lines().map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [run, task, attempt, node, at] = words[..] else { panic!("a line of {name}: {line}") };
            let number: usize = task[1..].parse().expect("tasks are numbered");
            Line {
                task: format!("{run} {task}"),
                attempt: attempt.to_owned(),
                node: node.to_owned(),
                at: at.parse().expect("nanoseconds"),
                pool: number.is_multiple_of(2),
            }
        });
        lines.collect()
    }

    fn count(&self, name: &str) -> usize {
        std::fs::read_to_string(self.folder.join(name)).unwrap_or_default().lines().count()
    }

    pub fn starts(&self) -> usize {
        self.count("starts")
    }

    pub fn ends(&self) -> usize {
        self.count("ends")
    }

    /// Which tasks have started on this node and not come to their end.
    pub fn running_on(&self, node: &str) -> BTreeSet<(String, String)> {
        let ended: BTreeSet<_> = self.read("ends").into_iter().map(|line| (line.task, line.attempt)).collect();
        let starts = self.read("starts").into_iter().filter(|line| line.node == node);
        starts.map(|line| (line.task, line.attempt)).filter(|key| !ended.contains(key)).collect()
    }

    /// Whether each of these tasks has started once more, or ended after all.
    pub fn moved_on(&self, tries: &BTreeSet<(String, String)>) -> bool {
        let (starts, ends) = (self.read("starts"), self.read("ends"));
        tries.iter().all(|(task, attempt)| {
            starts.iter().any(|line| line.task == *task && line.attempt != *attempt && older(attempt, &line.attempt))
                || ends.iter().any(|line| line.task == *task)
        })
    }

    pub fn judge(&self, runs: usize, tasks: usize, pool: usize) {
        let (starts, ends) = (self.read("starts"), self.read("ends"));
        let mut seen = BTreeMap::new();
        for line in &starts {
            *seen.entry((&line.task, &line.attempt)).or_insert(0) += 1;
        }
        let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "attempts that started more than once: {twice:?}");
        let overlaps = std::fs::read_to_string(self.folder.join("overlaps")).unwrap_or_default();
        assert_eq!(overlaps, "", "tries that ran beside an earlier one");
        let done: BTreeSet<&String> = ends.iter().map(|line| &line.task).collect();
        assert_eq!(done.len(), runs * tasks, "every task came to its end");
        assert!(most_at_once(&starts, &ends) <= pool, "the pool of {pool} held {}", most_at_once(&starts, &ends));
    }
}

fn older(one: &str, other: &str) -> bool {
    one.parse::<u32>().expect("a try number") < other.parse::<u32>().expect("a try number")
}

/// How many tasks of the pool ran at once at most, by those whose start and end are known: of one that was killed
/// nobody knows the end, so it counts as not running.
fn most_at_once(starts: &[Line], ends: &[Line]) -> usize {
    let ended: BTreeMap<_, _> = ends.iter().map(|line| ((&line.task, &line.attempt), line.at)).collect();
    let mut changes: Vec<(u128, isize)> = Vec::new();
    for line in starts.iter().filter(|line| line.pool) {
        if let Some(end) = ended.get(&(&line.task, &line.attempt)) {
            changes.extend([(line.at, 1), (*end, -1)]);
        }
    }
    changes.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, change) in changes {
        now += change;
        most = most.max(now);
    }
    usize::try_from(most).expect("never below zero")
}
