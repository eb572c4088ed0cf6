//! A DAG compiled to indices: what the scheduler walks. A [`Dag`] that exists is valid.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::dag::{DagDefinition, TaskDefinition};
use super::ids::TaskId;
use super::priority::{OwnWeight, effective_weights};
use super::problem::suggestion;
use super::schedule::{Bounds, InvalidSchedule, Timetable};

/// A task's place in [`Dag::tasks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskIx(pub u32);

impl TaskIx {
    fn from_usize(index: usize) -> Self {
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
    /// In the order of `definition.tasks`.
    edges: Vec<Edges>,
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
                let to = TaskIx::from_usize(at);
                if !edges[at].upstream.contains(&from) {
                    edges[at].upstream.push(from);
                    edges[from.usize()].downstream.push(to);
                }
            }
        }
        refuse_cycles(&definition.tasks, &edges)?;
        let timetable = Timetable::compile(&definition.schedule)?;
        weigh(&definition.tasks, &mut edges);
        let hash = hash(&definition);
        Ok(Self { definition, hash, timetable, edges, by_id })
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

    /// Nothing follows it, so it decides how its run ends.
    pub fn is_leaf(&self, ix: TaskIx) -> bool {
        self.downstream(ix).is_empty()
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
