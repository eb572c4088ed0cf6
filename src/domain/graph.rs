//! A DAG compiled to indices: what the scheduler walks. A [`Dag`] that exists is valid.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::dag::{DagDefinition, TaskDefinition};
use super::ids::{GroupId, TaskId};
use super::mapping::Mapping;
use super::priority::{OwnWeight, effective_weights};
use super::problem::suggestion;
use super::schedule::{Bounds, InvalidSchedule, Timetable};
use super::setup::{self, Setups};

/// A task's place in [`Dag::tasks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskIx(pub u32);

impl TaskIx {
    pub fn from_usize(index: usize) -> Self {
        Self(u32::try_from(index).expect("a DAG has fewer than 2^32 tasks"))
    }

    pub fn usize(self) -> usize {
        self.0 as usize
    }
}

/// A compiled DAG.
#[derive(Debug)]
pub struct Dag {
    pub definition: DagDefinition,
    /// SHA-256 of the definition's JSON, in hex: equal definitions are one version.
    pub hash: String,
    pub timetable: Timetable,
    pub mapping: Mapping,
    /// In the order of `definition.tasks`.
    edges: Vec<Edges>,
    setups: Setups,
    /// Whether some task waits for the run before.
    looks_back: bool,
    by_id: HashMap<TaskId, TaskIx>,
}

#[derive(Debug, Default)]
struct Edges {
    upstream: Vec<TaskIx>,
    downstream: Vec<TaskIx>,
    priority: i32,
}

/// Why a definition is no DAG.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidDag {
    #[error("task id `{0}` is used twice: give each task an id of its own")]
    DuplicateTask(TaskId),
    #[error("task `{task}` depends on `{upstream}`, which is no task of this DAG{}", hint.as_ref().map(|h| format!("; {h}")).unwrap_or_default())]
    UnknownUpstream { task: TaskId, upstream: TaskId, hint: Option<String> },
    #[error("group id `{0}` is used twice: give each group an id of its own")]
    DuplicateGroup(GroupId),
    #[error("there is no task group `{group}`{}", hint.as_ref().map(|h| format!("; {h}")).unwrap_or_default())]
    UnknownGroup { group: GroupId, hint: Option<String> },
    #[error("task group `{0}` stands in itself")]
    GroupCircle(GroupId),
    #[error(
        "{what} is expanded inside the expanded group `{group}`; mapping inside a mapped group is not supported: expand only one of the two"
    )]
    Nested { what: String, group: GroupId },
    #[error("`{0}` is expanded over nothing: give `expand` at least one argument")]
    NothingToExpand(String),
    #[error("`{who}` is expanded over `{source_task}`, which is no task of this DAG{}", hint.as_ref().map(|h| format!("; {h}")).unwrap_or_default())]
    UnknownSource { who: String, source_task: TaskId, hint: Option<String> },
    #[error(
        "`{who}` is expanded over the values of `{source_task}`, which belongs to it and runs only when they are known"
    )]
    OwnSource { who: String, source_task: TaskId },
    #[error("the tasks depend on each other in a circle: {0}")]
    Cycle(String),
    #[error(transparent)]
    Schedule(#[from] InvalidSchedule),
}

impl Dag {
    /// Checks and compiles a definition.
    pub fn compile(definition: DagDefinition) -> Result<Self, InvalidDag> {
        let by_id = index(&definition.tasks)?;
        let mut edges: Vec<Edges> = definition.tasks.iter().map(|_| Edges::default()).collect();
        for (at, task) in definition.tasks.iter().enumerate() {
            for upstream in &task.upstream {
                let Some(&from) = by_id.get(upstream) else {
                    return Err(unknown_upstream(&definition, task, upstream));
                };
                link(&mut edges, from, TaskIx::from_usize(at));
            }
        }
        let mapping = Mapping::compile(&definition, &by_id)?;
        for (from, to) in mapping_links(&mapping, &edges) {
            link(&mut edges, from, to);
        }
        refuse_cycles(&definition.tasks, &edges)?;
        let timetable = Timetable::compile(&definition.schedule)?;
        weigh(&definition.tasks, &mut edges);
        let setups = Setups::of(
            &definition.tasks,
            &setup::Edges {
                upstream: &|ix| edges[ix.usize()].upstream.as_slice(),
                downstream: &|ix| edges[ix.usize()].downstream.as_slice(),
            },
        );
        let looks_back = definition.tasks.iter().any(|task| task.past.looks_back());
        let hash = hash(&definition);
        Ok(Self { definition, hash, timetable, mapping, edges, setups, looks_back, by_id })
    }

    pub fn tasks(&self) -> impl ExactSizeIterator<Item = (TaskIx, &TaskDefinition)> {
        self.definition.tasks.iter().enumerate().map(|(at, task)| (TaskIx::from_usize(at), task))
    }

    pub fn task(&self, ix: TaskIx) -> &TaskDefinition {
        &self.definition.tasks[ix.usize()]
    }

    pub fn find(&self, id: &TaskId) -> Option<TaskIx> {
        self.by_id.get(id).copied()
    }

    pub fn upstream(&self, ix: TaskIx) -> &[TaskIx] {
        &self.edges[ix.usize()].upstream
    }

    pub fn downstream(&self, ix: TaskIx) -> &[TaskIx] {
        &self.edges[ix.usize()].downstream
    }

    /// Everything transitively upstream of these tasks, without themselves unless one is upstream of another.
    pub fn all_upstream(&self, from: &BTreeSet<TaskIx>) -> BTreeSet<TaskIx> {
        reach(from, |ix| self.upstream(ix))
    }

    /// Everything transitively downstream of these tasks, likewise.
    pub fn all_downstream(&self, from: &BTreeSet<TaskIx>) -> BTreeSet<TaskIx> {
        reach(from, |ix| self.downstream(ix))
    }

    /// Nothing that matters follows it, so it decides how its run ends (SCHEDULING §1).
    pub fn decides_the_run(&self, ix: TaskIx) -> bool {
        self.setups.effective_leaf[ix.usize()]
    }

    /// What the roles of setups and teardowns mean for each task.
    pub fn setups(&self) -> &Setups {
        &self.setups
    }

    /// Whether some task waits for the run before its own.
    pub fn looks_back(&self) -> bool {
        self.looks_back
    }

    /// The first tasks of a task group; empty where there is no such group.
    pub fn roots_of_group(&self, id: &str) -> Vec<TaskIx> {
        let is_inside = |ix: &TaskIx| self.is_in_group(*ix, id);
        let inside = self.tasks().map(|(ix, _)| ix).filter(is_inside);
        inside.filter(|ix| !self.upstream(*ix).iter().any(is_inside)).collect()
    }

    /// Whether the task stands in the group, or in a group in it. Where a group is declared its tasks may be
    /// named in any way (`prefix_group_id=False`); one that is not declared is what dots in names make of it.
    fn is_in_group(&self, ix: TaskIx, id: &str) -> bool {
        let (groups, task) = (&self.definition.groups, self.task(ix));
        if !groups.iter().any(|group| group.group_id.as_str() == id) {
            return task.task_id.as_str().strip_prefix(id).is_some_and(|rest| rest.starts_with('.'));
        }
        let parent = |of: &&GroupId| groups.iter().find(|group| group.group_id == **of)?.parent.as_ref();
        // No deeper than there are groups: a group that stands in itself is refused, and not here.
        std::iter::successors(task.group.as_ref(), parent).take(groups.len()).any(|group| group.as_str() == id)
    }

    /// The weight by which it is picked, after its weight rule.
    pub fn priority(&self, ix: TaskIx) -> i32 {
        self.edges[ix.usize()].priority
    }

    /// What bounds the schedule's runs: the earliest start and the latest end that DAG and tasks name.
    pub fn bounds(&self) -> Bounds {
        let dag = &self.definition;
        let task_starts = dag.tasks.iter().filter_map(|task| task.start_date);
        let task_ends: Option<Vec<_>> = dag.tasks.iter().map(|task| task.end_date).collect();
        Bounds {
            earliest: dag.start_date.into_iter().chain(task_starts).min(),
            latest: dag.end_date.or_else(|| task_ends.and_then(|ends| ends.into_iter().max())),
            catchup: dag.catchup,
            timezone: dag.timezone,
        }
    }
}

fn link(edges: &mut [Edges], from: TaskIx, to: TaskIx) {
    if !edges[to.usize()].upstream.contains(&from) {
        edges[to.usize()].upstream.push(from);
        edges[from.usize()].downstream.push(to);
    }
}

/// Whoever is expanded waits for those whose values it is expanded over; of a group, its first tasks do.
fn mapping_links(mapping: &Mapping, edges: &[Edges]) -> Vec<(TaskIx, TaskIx)> {
    let mut links = Vec::new();
    for (_, expansion) in mapping.expansions() {
        let is_first =
            |task: &&TaskIx| edges[task.usize()].upstream.iter().all(|before| !mapping.are_paired(*before, **task));
        for to in expansion.members.iter().filter(is_first) {
            links.extend(expansion.sources.iter().map(|from| (*from, *to)));
        }
    }
    links
}

fn reach<'a>(from: &BTreeSet<TaskIx>, next: impl Fn(TaskIx) -> &'a [TaskIx]) -> BTreeSet<TaskIx> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<TaskIx> = from.iter().copied().collect();
    while let Some(ix) = open.pop() {
        open.extend(next(ix).iter().copied().filter(|next| reached.insert(*next)));
    }
    reached
}

/// The name of a definition's content: SHA-256 over its JSON, in hex.
pub fn hash(definition: &DagDefinition) -> String {
    let json = serde_json::to_vec(definition).expect("a definition is plain data and always JSON");
    Sha256::digest(json).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn index(tasks: &[TaskDefinition]) -> Result<HashMap<TaskId, TaskIx>, InvalidDag> {
    let mut by_id = HashMap::with_capacity(tasks.len());
    for (at, task) in tasks.iter().enumerate() {
        if by_id.insert(task.task_id.clone(), TaskIx::from_usize(at)).is_some() {
            return Err(InvalidDag::DuplicateTask(task.task_id.clone()));
        }
    }
    Ok(by_id)
}

fn unknown_upstream(dag: &DagDefinition, task: &TaskDefinition, upstream: &TaskId) -> InvalidDag {
    let known = dag.tasks.iter().map(|t| t.task_id.as_str());
    InvalidDag::UnknownUpstream {
        task: task.task_id.clone(),
        upstream: upstream.clone(),
        hint: suggestion(upstream.as_str(), known),
    }
}

/// Takes away what waits for nothing until nothing is left; what remains holds a circle.
fn refuse_cycles(tasks: &[TaskDefinition], edges: &[Edges]) -> Result<(), InvalidDag> {
    let mut waits: Vec<usize> = edges.iter().map(|e| e.upstream.len()).collect();
    let mut free: Vec<usize> = (0..edges.len()).filter(|&at| waits[at] == 0).collect();
    let mut left = edges.len();
    while let Some(at) = free.pop() {
        left -= 1;
        for next in &edges[at].downstream {
            waits[next.usize()] -= 1;
            if waits[next.usize()] == 0 {
                free.push(next.usize());
            }
        }
    }
    if left == 0 { Ok(()) } else { Err(InvalidDag::Cycle(a_circle(tasks, edges, &waits))) }
}

/// Walks upstream among what is left; what waits has an upstream that waits, so the walk meets itself.
fn a_circle(tasks: &[TaskDefinition], edges: &[Edges], waits: &[usize]) -> String {
    let mut walk: Vec<usize> = waits.iter().position(|&w| w > 0).into_iter().collect();
    while let Some(&at) = walk.last() {
        let Some(next) = edges[at].upstream.iter().map(|ix| ix.usize()).find(|&up| waits[up] > 0) else { break };
        if let Some(start) = walk.iter().position(|&seen| seen == next) {
            let mut names: Vec<&str> = walk[start..].iter().rev().map(|&i| tasks[i].task_id.as_str()).collect();
            names.push(names[0]);
            return names.join(" -> ");
        }
        walk.push(next);
    }
    walk.iter().map(|&i| tasks[i].task_id.as_str()).collect::<Vec<_>>().join(", ")
}

fn weigh(tasks: &[TaskDefinition], edges: &mut [Edges]) {
    let links = |of: fn(&Edges) -> &Vec<TaskIx>| -> Vec<Vec<u32>> {
        edges.iter().map(|e| of(e).iter().map(|ix| ix.0).collect()).collect()
    };
    let own: Vec<OwnWeight> =
        tasks.iter().map(|t| OwnWeight { weight: t.priority_weight, rule: t.weight_rule }).collect();
    let effective = effective_weights(&own, &links(|e| &e.upstream), &links(|e| &e.downstream));
    for (edge, priority) in edges.iter_mut().zip(effective) {
        edge.priority = priority;
    }
}
