//! The tasks of a DAG in the nesting of their groups, in the order in which they can run: rows of the grid and
//! frames of the graph.

use std::collections::{BTreeSet, HashMap};

use crate::domain::graph::{Dag, TaskIx};
use crate::domain::ids::GroupId;

/// Tasks and groups, a group before what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    pub items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub kind: Kind,
    /// The place of its group in the tree.
    pub parent: Option<usize>,
    pub depth: usize,
    /// What people read: without the prefix that its group says already.
    pub label: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Task(TaskIx),
    Group {
        id: GroupId,
        tooltip: Option<String>,
        /// Everything in it, also what is in the groups in it.
        tasks: Vec<TaskIx>,
        /// What is in it has no rows of its own.
        is_folded: bool,
    },
}

impl Tree {
    /// What is in a folded group is left out.
    pub fn of(dag: &Dag, folded: &BTreeSet<String>) -> Self {
        let mut growing = Growing { dag, folded, ranks: ranks(dag), inside: HashMap::new(), items: Vec::new() };
        for (ix, task) in dag.tasks() {
            growing.inside.entry(task.group.clone()).or_default().0.push(ix);
        }
        for (at, group) in dag.definition.groups.iter().enumerate() {
            growing.inside.entry(group.parent.clone()).or_default().1.push(at);
        }
        growing.add(None, None, 0);
        Self { items: growing.items }
    }
}

/// What stands directly in a group.
enum Entry {
    Task(TaskIx),
    /// By its place in the definition, with everything in it.
    Group(usize, Vec<TaskIx>),
}

struct Growing<'a> {
    dag: &'a Dag,
    folded: &'a BTreeSet<String>,
    ranks: Vec<usize>,
    /// By group: its direct tasks and groups.
    inside: HashMap<Option<GroupId>, (Vec<TaskIx>, Vec<usize>)>,
    items: Vec<Item>,
}

impl Growing<'_> {
    fn add(&mut self, group: Option<&GroupId>, parent: Option<usize>, depth: usize) {
        let (tasks, groups) = self.inside.get(&group.cloned()).cloned().unwrap_or_default();
        let mut entries: Vec<(usize, Entry)> =
            tasks.into_iter().map(|ix| (self.ranks[ix.usize()], Entry::Task(ix))).collect();
        for at in groups {
            let all = self.all_in(&self.dag.definition.groups[at].group_id);
            let first = all.iter().map(|ix| self.ranks[ix.usize()]).min().unwrap_or(usize::MAX);
            entries.push((first, Entry::Group(at, all)));
        }
        entries.sort_by_key(|(rank, _)| *rank);
        for (_, entry) in entries {
            let prefix = group.map(|group| format!("{group}."));
            let short = |id: &str| {
                let short = prefix.as_ref().and_then(|prefix| id.strip_prefix(prefix.as_str()));
                short.filter(|short| !short.is_empty()).unwrap_or(id).to_owned()
            };
            match entry {
                Entry::Task(ix) => {
                    let label = short(self.dag.task(ix).task_id.as_str());
                    self.items.push(Item { kind: Kind::Task(ix), parent, depth, label });
                }
                Entry::Group(at, tasks) => {
                    let group = &self.dag.definition.groups[at];
                    let is_folded = self.folded.contains(group.group_id.as_str());
                    let label = group.label.clone().unwrap_or_else(|| short(group.group_id.as_str()));
                    let (id, tooltip) = (group.group_id.clone(), group.tooltip.clone());
                    let place = self.items.len();
                    let kind = Kind::Group { id: id.clone(), tooltip, tasks, is_folded };
                    self.items.push(Item { kind, parent, depth, label });
                    if !is_folded {
                        self.add(Some(&id), Some(place), depth + 1);
                    }
                }
            }
        }
    }

    fn all_in(&self, group: &GroupId) -> Vec<TaskIx> {
        let (mut tasks, groups) = self.inside.get(&Some(group.clone())).cloned().unwrap_or_default();
        for at in groups {
            tasks.extend(self.all_in(&self.dag.definition.groups[at].group_id));
        }
        tasks.sort_unstable();
        tasks
    }
}

/// How far a task is from a beginning, over the longest way.
fn ranks(dag: &Dag) -> Vec<usize> {
    let mut waits: Vec<usize> = dag.tasks().map(|(ix, _)| dag.upstream(ix).len()).collect();
    let mut ranks = vec![0; waits.len()];
    let mut free: Vec<TaskIx> = dag.tasks().map(|(ix, _)| ix).filter(|ix| waits[ix.usize()] == 0).collect();
    while let Some(ix) = free.pop() {
        for next in dag.downstream(ix) {
            ranks[next.usize()] = ranks[next.usize()].max(ranks[ix.usize()] + 1);
            waits[next.usize()] -= 1;
            if waits[next.usize()] == 0 {
                free.push(*next);
            }
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::examples;

    fn drawn(folded: &[&str]) -> String {
        let dag = examples::grouped();
        let tree = Tree::of(&dag, &folded.iter().map(|&id| id.to_owned()).collect());
        let line = |item: &Item| {
            let mark = match &item.kind {
                Kind::Task(_) => "",
                Kind::Group { is_folded: true, .. } => "+ ",
                Kind::Group { is_folded: false, .. } => "- ",
            };
            format!("{}{mark}{}", "  ".repeat(item.depth), item.label)
        };
        tree.items.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn groups_stand_where_their_first_task_can_run_and_fold() {
        assert_eq!(drawn(&[]), "start\n- load\n  - inner\n    one\n    two\n  three\nend");
        assert_eq!(drawn(&["load.inner"]), "start\n- load\n  + inner\n  three\nend");
        assert_eq!(drawn(&["load"]), "start\n+ load\nend");
    }
}
