//! The order between tasks: every name known, no name twice, no cycle.

use std::collections::HashMap;

use crate::dagfile::written::At;
use crate::domain::dag::TaskDefinition;
use crate::domain::ids::TaskId;
use crate::domain::problem::{Place, suggestion};

use super::Notes;

/// What each task waits for, as written, in the order of the file.
#[derive(Default)]
pub(super) struct Links {
    first_seen: HashMap<TaskId, Place>,
    waits: Vec<(TaskId, Place, Vec<At<String>>)>,
}

impl Links {
    /// Remembers the task at hand; its id must be new.
    pub fn add(&mut self, task: &TaskId, upstream: Vec<At<String>>, notes: &mut Notes) {
        let here = notes.place(None);
        if let Some(first) = self.first_seen.get(task) {
            let before = first.line.map_or_else(String::new, |line| format!(" on line {line}"));
            notes.error(None, format!("there is a task of this id already{before}"));
        } else {
            self.first_seen.insert(task.clone(), here.clone());
        }
        self.waits.push((task.clone(), here, upstream));
    }

    /// Fills `upstream` of every task; `tasks` are those that were added, in the same order.
    pub fn resolve(self, tasks: &mut [TaskDefinition], notes: &mut Notes) {
        let index: HashMap<TaskId, usize> =
            tasks.iter().enumerate().rev().map(|(i, task)| (task.task_id.clone(), i)).collect();
        let names: Vec<TaskId> = tasks.iter().map(|task| task.task_id.clone()).collect();
        let mut upstream_of: Vec<Vec<usize>> = Vec::with_capacity(tasks.len());
        for ((task, place, written), definition) in self.waits.into_iter().zip(tasks) {
            notes.task = Some((task.as_str().to_owned(), place));
            let mut known: Vec<usize> = Vec::with_capacity(written.len());
            for At { value, position } in written {
                match TaskId::new(&value).ok().and_then(|id| index.get(&id).copied()) {
                    // Written twice is meant once.
                    Some(upstream) if known.contains(&upstream) => {}
                    Some(upstream) => known.push(upstream),
                    None => {
                        let hint = suggestion(&value, names.iter().filter(|name| **name != task).map(TaskId::as_str));
                        notes.error_with(position, format!("there is no task `{value}` to wait for"), hint);
                    }
                }
            }
            definition.upstream = known.iter().map(|&i| names[i].clone()).collect();
            upstream_of.push(known);
        }
        notes.leave();
        if let Some(cycle) = find_cycle(&upstream_of) {
            // Upstream links lead backwards; people read along the arrows.
            let path: Vec<&str> = cycle.iter().rev().map(|&i| names[i].as_str()).collect();
            notes.error(
                None,
                match path.as_slice() {
                    [task, _] => format!("task `{task}` waits for itself"),
                    circle => format!("the tasks wait for each other in a circle: {}", circle.join(" → ")),
                },
            );
        }
    }
}

/// A circle along upstream links, its first task repeated at the end. Without recursion: chains may be long.
fn find_cycle(upstream_of: &[Vec<usize>]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; upstream_of.len()];
    for root in 0..upstream_of.len() {
        if marks[root] != Mark::New {
            continue;
        }
        let mut path = vec![(root, 0)];
        marks[root] = Mark::OnPath;
        while let Some((node, next)) = path.last_mut() {
            let Some(&upstream) = upstream_of[*node].get(*next) else {
                marks[*node] = Mark::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match marks[upstream] {
                Mark::Done => {}
                Mark::New => {
                    marks[upstream] = Mark::OnPath;
                    path.push((upstream, 0));
                }
                Mark::OnPath => {
                    let from = path.iter().position(|(node, _)| *node == upstream)?;
                    let mut cycle: Vec<usize> = path[from..].iter().map(|(node, _)| *node).collect();
                    cycle.push(upstream);
                    return Some(cycle);
                }
            }
        }
    }
    None
}
