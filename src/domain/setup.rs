//! Setups and teardowns (SCHEDULING §11): what a task is to the tasks around it,
//! and what follows from that for the graph. Nothing here knows a state.
//!
//! ```text
//!   create_cluster (setup) ──► load ──► report ──► delete_cluster (teardown)
//!          └──────────────────────────────────────────▲
//! ```

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::dag::TaskDefinition;
use super::graph::TaskIx;

/// What a task is to those around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskRole {
    #[default]
    Work,
    /// Makes what others need.
    Setup,
    /// Takes it away again, however the others ended.
    Teardown {
        /// Whether its failure counts when the run is judged.
        #[serde(default)]
        on_failure_fail_dagrun: bool,
    },
}

impl TaskRole {
    pub fn is_setup(self) -> bool {
        match self {
            Self::Setup => true,
            Self::Work | Self::Teardown { .. } => false,
        }
    }

    pub fn is_teardown(self) -> bool {
        match self {
            Self::Teardown { .. } => true,
            Self::Work | Self::Setup => false,
        }
    }

    pub fn is_work(&self) -> bool {
        *self == Self::Work
    }

    /// A teardown whose failure does not make the run fail.
    fn is_ignorable(self) -> bool {
        self == Self::Teardown { on_failure_fail_dagrun: false }
    }
}

/// What the roles of a DAG's tasks mean for each of them.
#[derive(Debug, Default)]
pub struct Setups {
    /// Whether the task decides how its run ends.
    pub effective_leaf: Vec<bool>,
    /// The setups that a task needs although they are not directly upstream. Empty where there are none at all.
    indirect: Vec<Vec<TaskIx>>,
    /// The same the other way round.
    needed_by: Vec<Vec<TaskIx>>,
    /// The setups and teardowns that run again when the task does.
    companions: Vec<Vec<TaskIx>>,
}

/// The graph as this module wants it.
pub struct Edges<'a> {
    pub upstream: &'a dyn Fn(TaskIx) -> &'a [TaskIx],
    pub downstream: &'a dyn Fn(TaskIx) -> &'a [TaskIx],
}

impl Setups {
    pub fn of(tasks: &[TaskDefinition], edges: &Edges) -> Self {
        let all: Vec<TaskIx> = (0..tasks.len()).map(TaskIx::from_usize).collect();
        let mut setups = Self { effective_leaf: effective_leaves(tasks, edges, &all), ..Self::default() };
        if tasks.iter().all(|task| task.role.is_work()) {
            return setups;
        }
        setups.indirect = vec![Vec::new(); tasks.len()];
        setups.needed_by = vec![Vec::new(); tasks.len()];
        setups.companions = vec![Vec::new(); tasks.len()];
        for &ix in &all {
            let needed = relevant_setups(ix, tasks, edges);
            for &setup in needed.iter().filter(|setup| !(edges.upstream)(ix).contains(setup)) {
                // A teardown waits for its direct upstreams alone.
                if !tasks[ix.usize()].role.is_teardown() {
                    setups.indirect[ix.usize()].push(setup);
                    setups.needed_by[setup.usize()].push(ix);
                }
            }
            setups.companions[ix.usize()] = companions(ix, &needed, tasks, edges);
        }
        setups
    }

    /// The setups that `ix` needs although they are not directly upstream.
    pub fn indirect(&self, ix: TaskIx) -> &[TaskIx] {
        self.indirect.get(ix.usize()).map_or(&[], Vec::as_slice)
    }

    /// The tasks that need the setup `ix` although they are not directly downstream.
    pub fn needed_by(&self, ix: TaskIx) -> &[TaskIx] {
        self.needed_by.get(ix.usize()).map_or(&[], Vec::as_slice)
    }

    /// The setups and teardowns that run again when `ix` does.
    pub fn companions(&self, ix: TaskIx) -> &[TaskIx] {
        self.companions.get(ix.usize()).map_or(&[], Vec::as_slice)
    }
}

/// SCHEDULING §1: whose every downstream is an ignorable teardown, and which are none themselves.
fn effective_leaves(tasks: &[TaskDefinition], edges: &Edges, all: &[TaskIx]) -> Vec<bool> {
    let role = |ix: TaskIx| tasks[ix.usize()].role;
    let decides = |ix: &TaskIx| {
        !role(*ix).is_ignorable() && (edges.downstream)(*ix).iter().all(|next| role(*next).is_ignorable())
    };
    let leaves: Vec<bool> = all.iter().map(decides).collect();
    if leaves.contains(&true) {
        return leaves;
    }
    all.iter().map(|ix| (edges.downstream)(*ix).is_empty()).collect()
}

/// The setups upstream whose work is not taken away before the task: those without a teardown, and
/// those with one downstream of the task.
fn relevant_setups(ix: TaskIx, tasks: &[TaskDefinition], edges: &Edges) -> Vec<TaskIx> {
    let role = |ix: &TaskIx| tasks[ix.usize()].role;
    let after = reach(ix, edges.downstream);
    let upstream = reach(ix, edges.upstream);
    let is_relevant = |setup: &TaskIx| {
        let mut teardowns = (edges.downstream)(*setup).iter().filter(|next| role(next).is_teardown()).peekable();
        teardowns.peek().is_none() || teardowns.any(|teardown| after.contains(teardown))
    };
    upstream.into_iter().filter(|up| role(up).is_setup()).filter(is_relevant).collect()
}

fn companions(ix: TaskIx, needed: &[TaskIx], tasks: &[TaskDefinition], edges: &Edges) -> Vec<TaskIx> {
    let teardowns = |of: TaskIx| {
        let next = (edges.downstream)(of).iter().copied();
        next.filter(|next| *next != ix && tasks[next.usize()].role.is_teardown())
    };
    let found: BTreeSet<TaskIx> = match tasks[ix.usize()].role {
        TaskRole::Work => needed.iter().flat_map(|setup| teardowns(*setup).chain([*setup])).collect(),
        TaskRole::Setup => teardowns(ix).collect(),
        TaskRole::Teardown { .. } => BTreeSet::new(),
    };
    found.into_iter().collect()
}

fn reach<'a>(from: TaskIx, next: &dyn Fn(TaskIx) -> &'a [TaskIx]) -> BTreeSet<TaskIx> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(ix) = open.pop() {
        open.extend(next(ix).iter().copied().filter(|next| reached.insert(*next)));
    }
    reached
}
