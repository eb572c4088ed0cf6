//! Which boxes and edges a graph has, and where they stand: depends on the DAG and on what is folded, and on no run.
//! So it can be kept for as long as the DAG does not change.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::layout::{Layout, Unplaced, lay_out};
use crate::domain::graph::{Dag, TaskIx};
use crate::domain::ids::GroupId;
use crate::web::view::tree::{Kind, Tree};

/// Of a box, in pixels of a picture that is not zoomed.
const HEIGHT: f64 = 44.0;
const NARROWEST: f64 = 148.0;
const WIDEST: f64 = 260.0;
/// What a letter takes, about, and what stands beside the name.
const LETTER: f64 = 7.4;
const BESIDE: f64 = 48.0;

/// A graph that is laid out.
#[derive(Clone, Debug)]
pub struct Sketch {
    pub boxes: Vec<SketchBox>,
    pub edges: Vec<Edge>,
    pub layout: Layout,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SketchBox {
    pub kind: SketchKind,
    pub label: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SketchKind {
    Task {
        ix: TaskIx,
        is_mapped: bool,
    },
    /// A group that is one box.
    Folded {
        id: GroupId,
        tasks: Vec<TaskIx>,
        is_mapped: bool,
    },
    /// A group around what is in it.
    Frame {
        id: GroupId,
        tasks: Vec<TaskIx>,
        tooltip: Option<String>,
        is_mapped: bool,
    },
}

/// From the right side of one box to the left side of another, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
}

impl Sketch {
    pub fn of(dag: &Dag, folded: &BTreeSet<String>) -> Self {
        let tree = Tree::of(dag, folded);
        let expanded: HashSet<&GroupId> =
            dag.definition.groups.iter().filter(|group| group.expand.is_some()).map(|group| &group.group_id).collect();
        let mut of_task = HashMap::new();
        let (mut boxes, mut unplaced) = (Vec::new(), Vec::new());
        for (at, item) in tree.items.into_iter().enumerate() {
            let kind = match item.kind {
                Kind::Task(ix) => {
                    of_task.insert(ix, at);
                    SketchKind::Task { ix, is_mapped: dag.mapping.of_task(ix).is_some() }
                }
                Kind::Group { id, tasks, is_folded: true, .. } => {
                    of_task.extend(tasks.iter().map(|ix| (*ix, at)));
                    SketchKind::Folded { is_mapped: expanded.contains(&id), id, tasks }
                }
                Kind::Group { id, tasks, tooltip, is_folded: false } => {
                    SketchKind::Frame { is_mapped: expanded.contains(&id), id, tasks, tooltip }
                }
            };
            let letters = item.label.chars().count() as f64;
            let width = (letters * LETTER + BESIDE).clamp(NARROWEST, WIDEST);
            unplaced.push(Unplaced { parent: item.parent, width, height: HEIGHT });
            boxes.push(SketchBox { kind, label: item.label });
        }
        let edges = edges(dag, &of_task);
        let pairs: Vec<(usize, usize)> = edges.iter().map(|edge| (edge.from, edge.to)).collect();
        let layout = lay_out(&unplaced, &pairs);
        Self { boxes, edges, layout }
    }
}

/// Between boxes, each once, in the order of the DAG file.
fn edges(dag: &Dag, of_task: &HashMap<TaskIx, usize>) -> Vec<Edge> {
    let mut known = HashSet::new();
    let mut edges = Vec::new();
    for (ix, _) in dag.tasks() {
        for next in dag.downstream(ix) {
            let edge = Edge { from: of_task[&ix], to: of_task[next] };
            if edge.from != edge.to && known.insert(edge) {
                edges.push(edge);
            }
        }
    }
    edges
}
