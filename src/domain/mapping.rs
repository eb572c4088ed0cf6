//! Which tasks of a DAG are expanded together, and whose values decide into how many
//! instances: a mapped task by itself, or all tasks of a mapped group (SCHEDULING §12).

use std::collections::{BTreeMap, HashMap};

use super::dag::DagDefinition;
use super::expand::{Expand, TaskGroup};
use super::graph::{InvalidDag, TaskIx};
use super::ids::{GroupId, TaskId};
use super::problem::suggestion;

/// An expansion's place in [`Mapping::expansions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExpansionIx(u32);

impl ExpansionIx {
    pub fn usize(self) -> usize {
        self.0 as usize
    }
}

/// Tasks that are expanded together.
#[derive(Clone, Debug)]
pub struct Expansion {
    pub expand: Expand,
    /// `None`: one task by itself.
    pub group: Option<GroupId>,
    pub members: Vec<TaskIx>,
    /// The tasks whose values decide the length, each once.
    pub sources: Vec<TaskIx>,
}

/// All expansions of a DAG.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    expansions: Vec<Expansion>,
    of_task: HashMap<TaskIx, ExpansionIx>,
    fed_by: HashMap<TaskIx, Vec<ExpansionIx>>,
    /// The keys under which others look for values of a task, and who is the first to.
    keys: HashMap<TaskIx, BTreeMap<String, String>>,
}

impl Mapping {
    pub(super) fn compile(dag: &DagDefinition, by_id: &HashMap<TaskId, TaskIx>) -> Result<Self, InvalidDag> {
        let groups = index(&dag.groups)?;
        let mut mapping = Self::default();
        let mut of_group: BTreeMap<&GroupId, Vec<TaskIx>> = BTreeMap::new();
        for task in &dag.tasks {
            let at = by_id[&task.task_id];
            let mapped = mapped_group(task.group.as_ref(), &groups)?;
            match (&task.expand, mapped) {
                (Some(_), Some(group)) => {
                    return Err(InvalidDag::Nested { what: format!("task `{}`", task.task_id), group: group.clone() });
                }
                (Some(expand), None) => mapping.add(expand, None, vec![at], by_id, task.task_id.as_str())?,
                (None, Some(group)) => of_group.entry(group).or_default().push(at),
                (None, None) => {}
            }
        }
        for group in &dag.groups {
            if let Some(outer) = mapped_group(group.parent.as_ref(), &groups)?.filter(|_| group.expand.is_some()) {
                return Err(InvalidDag::Nested { what: format!("group `{}`", group.group_id), group: outer.clone() });
            }
            let members = of_group.remove(&group.group_id).unwrap_or_default();
            if let Some(expand) = &group.expand {
                mapping.add(expand, Some(group.group_id.clone()), members, by_id, group.group_id.as_str())?;
            }
        }
        Ok(mapping)
    }

    fn add(
        &mut self,
        expand: &Expand,
        group: Option<GroupId>,
        members: Vec<TaskIx>,
        by_id: &HashMap<TaskId, TaskIx>,
        who: &str,
    ) -> Result<(), InvalidDag> {
        if matches!(expand, Expand::Product { arguments } if arguments.is_empty()) {
            return Err(InvalidDag::NothingToExpand(who.to_owned()));
        }
        let next = ExpansionIx(u32::try_from(self.expansions.len()).expect("a DAG has fewer than 2^32 tasks"));
        let mut sources = Vec::new();
        for (task, key) in expand.wants() {
            let Some(&source) = by_id.get(task) else {
                let hint = suggestion(task.as_str(), by_id.keys().map(TaskId::as_str));
                return Err(InvalidDag::UnknownSource { who: who.to_owned(), source_task: task.clone(), hint });
            };
            if members.contains(&source) {
                return Err(InvalidDag::OwnSource { who: who.to_owned(), source_task: task.clone() });
            }
            self.keys.entry(source).or_default().entry(key.to_owned()).or_insert_with(|| who.to_owned());
            if !sources.contains(&source) {
                sources.push(source);
                self.fed_by.entry(source).or_default().push(next);
            }
        }
        self.of_task.extend(members.iter().map(|task| (*task, next)));
        self.expansions.push(Expansion { expand: expand.clone(), group, members, sources });
        Ok(())
    }

    pub fn expansions(&self) -> impl ExactSizeIterator<Item = (ExpansionIx, &Expansion)> {
        let number = |n| ExpansionIx(u32::try_from(n).expect("a DAG has fewer than 2^32 tasks"));
        self.expansions.iter().enumerate().map(move |(n, expansion)| (number(n), expansion))
    }

    pub fn expansion(&self, ix: ExpansionIx) -> &Expansion {
        &self.expansions[ix.usize()]
    }

    pub fn of_task(&self, task: TaskIx) -> Option<ExpansionIx> {
        self.of_task.get(&task).copied()
    }

    /// The expansions whose length depends on this task.
    pub fn fed_by(&self, task: TaskIx) -> &[ExpansionIx] {
        self.fed_by.get(&task).map_or(&[], Vec::as_slice)
    }

    /// The keys under which this task's values are expanded over, each with the id of one that does.
    pub fn keys_of(&self, task: TaskIx) -> impl Iterator<Item = (&str, &str)> {
        self.keys.get(&task).into_iter().flatten().map(|(key, who)| (key.as_str(), who.as_str()))
    }

    /// Two tasks of one mapped group: instance n of the one goes with instance n of the other.
    pub fn are_paired(&self, one: TaskIx, other: TaskIx) -> bool {
        self.of_task(one).is_some_and(|ix| self.of_task(other) == Some(ix))
    }
}

fn index(groups: &[TaskGroup]) -> Result<HashMap<&GroupId, &TaskGroup>, InvalidDag> {
    let mut by_id = HashMap::new();
    for group in groups {
        if by_id.insert(&group.group_id, group).is_some() {
            return Err(InvalidDag::DuplicateGroup(group.group_id.clone()));
        }
    }
    for group in groups {
        // Also finds parents that are unknown or go round in a circle.
        mapped_group(group.parent.as_ref(), &by_id)?;
    }
    Ok(by_id)
}

/// The innermost mapped group around something that stands in `group`.
fn mapped_group<'a>(
    group: Option<&GroupId>,
    groups: &HashMap<&'a GroupId, &'a TaskGroup>,
) -> Result<Option<&'a GroupId>, InvalidDag> {
    let mut next = group;
    for _ in 0..=groups.len() {
        let Some(id) = next else { return Ok(None) };
        let Some(group) = groups.get(id) else {
            let hint = suggestion(id.as_str(), groups.keys().map(|id| id.as_str()));
            return Err(InvalidDag::UnknownGroup { group: id.clone(), hint });
        };
        if group.expand.is_some() {
            return Ok(Some(&group.group_id));
        }
        next = group.parent.as_ref();
    }
    Err(InvalidDag::GroupCircle(group.cloned().expect("only a group has a parent")))
}
