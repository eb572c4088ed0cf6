//! Where the boxes of a graph stand: left to right in layers, frames around what belongs together.
//!
//! Numbers in, numbers out: it knows neither tasks nor SVG. A frame is laid out by itself and is then one box of
//! the frame around it, so that no frame ever lies over a stranger.
//!
//! ```text
//!   ranks ──► columns: every edge goes to the right; what spans several gets a bend in each
//!   order ──► few crossings: each box beside the middle of its neighbours, to and fro
//!   rows  ──► straight edges: the heights nearest to the neighbours that keep order and distance
//! ```

use super::rows::rows;

/// Between columns there is room for the curves.
const BETWEEN_COLUMNS: f64 = 56.0;
/// Around the content of a frame, and above it for its title.
const PADDING: f64 = 14.0;
const TITLE: f64 = 26.0;
/// Edges over many columns get a bend in each; beyond so many bends they go straight.
const MOST_BENDS: usize = 20_000;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Rect {
    /// Where edges leave it.
    pub fn right(&self) -> Point {
        Point { x: self.x + self.width, y: self.y + self.height / 2.0 }
    }

    /// Where edges come in.
    pub fn left(&self) -> Point {
        Point { x: self.x, y: self.y + self.height / 2.0 }
    }
}

/// A box that is to be placed; those that others name as their parent are frames.
#[derive(Clone, Debug)]
pub struct Unplaced {
    pub parent: Option<usize>,
    /// Of a frame, the least that it needs for its title.
    pub width: f64,
    pub height: f64,
}

/// Where everything is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// By the number of the box.
    pub boxes: Vec<Rect>,
    /// By the number of the edge: from the right side of the one to the left side of the other.
    pub ways: Vec<Vec<Point>>,
    pub width: f64,
    pub height: f64,
}

/// Places boxes, of which a parent stands before its children, and the edges between them.
pub fn lay_out(boxes: &[Unplaced], edges: &[(usize, usize)]) -> Layout {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); boxes.len() + 1];
    let root = boxes.len();
    for (at, one) in boxes.iter().enumerate() {
        children[one.parent.unwrap_or(root)].push(at);
    }
    let mut work = Work {
        boxes,
        children,
        local: local_edges(boxes, edges),
        places: vec![Rect::default(); boxes.len()],
        bends: vec![Vec::new(); edges.len()],
    };
    let (width, height) = work.place(root);
    work.shift_into_frames();
    let ways = edges.iter().enumerate().map(|(number, (from, to))| {
        let (start, end) = (work.places[*from].right(), work.places[*to].left());
        let bends = work.bends[number].iter().copied();
        std::iter::once(start).chain(bends).chain([end]).collect()
    });
    Layout { ways: ways.collect(), boxes: work.places, width, height }
}

/// An edge inside one frame, between two of its direct children.
#[derive(Clone, Debug)]
struct Local {
    from: usize,
    to: usize,
    /// The edges of the graph that take this way.
    carries: Vec<usize>,
}

/// By frame (the last one is the whole picture), the edges that it has to place.
fn local_edges(boxes: &[Unplaced], edges: &[(usize, usize)]) -> Vec<Vec<Local>> {
    let mut local: Vec<Vec<Local>> = vec![Vec::new(); boxes.len() + 1];
    let mut known = std::collections::HashMap::new();
    for (number, (from, to)) in edges.iter().enumerate() {
        let (ups, downs) = (lineage(boxes, *from), lineage(boxes, *to));
        let Some(split) = ups.iter().zip(&downs).position(|(up, down)| up != down) else { continue };
        let frame = if split == 0 { boxes.len() } else { ups[split - 1] };
        let (from, to) = (ups[split], downs[split]);
        let place = *known.entry((from, to)).or_insert_with(|| {
            local[frame].push(Local { from, to, carries: Vec::new() });
            local[frame].len() - 1
        });
        local[frame][place].carries.push(number);
    }
    local
}

/// The frames around a box, the outermost first, and the box itself.
fn lineage(boxes: &[Unplaced], of: usize) -> Vec<usize> {
    let mut line: Vec<usize> = std::iter::successors(Some(of), |at| boxes[*at].parent).collect();
    line.reverse();
    line
}

struct Work<'a> {
    boxes: &'a [Unplaced],
    children: Vec<Vec<usize>>,
    local: Vec<Vec<Local>>,
    /// Relative to the frame until all are placed.
    places: Vec<Rect>,
    bends: Vec<Vec<Point>>,
}

impl Work<'_> {
    /// Places what is in a frame and gives the frame's size; the frame itself is placed by the one around it.
    fn place(&mut self, frame: usize) -> (f64, f64) {
        let inside = self.children[frame].clone();
        for child in &inside {
            let (width, height) = if self.children[*child].is_empty() {
                (self.boxes[*child].width, self.boxes[*child].height)
            } else {
                let (width, height) = self.place(*child);
                let width = (width + 2.0 * PADDING).max(self.boxes[*child].width);
                (width, height + PADDING + TITLE)
            };
            (self.places[*child].width, self.places[*child].height) = (width, height);
        }
        self.place_children(frame, &inside)
    }

    fn place_children(&mut self, frame: usize, inside: &[usize]) -> (f64, f64) {
        let local = std::mem::take(&mut self.local[frame]);
        let number: std::collections::HashMap<usize, usize> =
            inside.iter().enumerate().map(|(at, child)| (*child, at)).collect();
        let edges: Vec<(usize, usize)> = local.iter().map(|edge| (number[&edge.from], number[&edge.to])).collect();
        let columns = Columns::of(inside.len(), &edges);
        let mut heights: Vec<f64> = inside.iter().map(|child| self.places[*child].height).collect();
        heights.resize(columns.of_node.len(), 0.0);
        let tops = rows(&columns.layers, &columns.links, &heights);
        let widths = columns.layers.iter().map(|layer| {
            let real = layer.iter().filter_map(|node| inside.get(*node));
            real.map(|child| self.places[*child].width).fold(0.0, f64::max)
        });
        let mut lefts = Vec::new();
        let mut width = 0.0;
        for column in widths {
            lefts.push((width, column));
            width += column + BETWEEN_COLUMNS;
        }
        let mut height: f64 = 0.0;
        for (node, child) in inside.iter().enumerate() {
            let place = &mut self.places[*child];
            (place.x, place.y) = (lefts[columns.of_node[node]].0, tops[node]);
            height = height.max(place.y + place.height);
        }
        for (edge, chain) in local.iter().zip(&columns.chains) {
            let points = chain.iter().flat_map(|bend| {
                let (x, width) = lefts[columns.of_node[*bend]];
                let y = tops[*bend];
                [Point { x, y }, Point { x: x + width, y }]
            });
            let points: Vec<Point> = points.collect();
            height = points.iter().fold(height, |height, point| height.max(point.y));
            for carried in &edge.carries {
                self.bends[*carried].clone_from(&points);
            }
        }
        self.local[frame] = local;
        ((width - BETWEEN_COLUMNS).max(0.0), height)
    }

    /// From places in the frame to places in the picture; a parent stands before its children.
    fn shift_into_frames(&mut self) {
        for at in 0..self.boxes.len() {
            let Some(frame) = self.boxes[at].parent else { continue };
            let origin = inner(self.places[frame]);
            self.places[at].x += origin.x;
            self.places[at].y += origin.y;
        }
        for frame in 0..self.boxes.len() {
            let origin = inner(self.places[frame]);
            let carried = self.local[frame].iter().flat_map(|edge| &edge.carries);
            for number in carried {
                for point in &mut self.bends[*number] {
                    point.x += origin.x;
                    point.y += origin.y;
                }
            }
        }
    }
}

/// Where the content of a frame begins.
fn inner(frame: Rect) -> Point {
    Point { x: frame.x + PADDING, y: frame.y + TITLE }
}

/// The columns of one frame.
struct Columns {
    /// The column of each node; bends come after the real ones.
    of_node: Vec<usize>,
    layers: Vec<Vec<usize>>,
    /// Between neighbouring columns only.
    links: Vec<(usize, usize)>,
    /// By edge: its bends, from left to right.
    chains: Vec<Vec<usize>>,
}

impl Columns {
    fn of(nodes: usize, edges: &[(usize, usize)]) -> Self {
        let mut of_node = ranks(nodes, edges);
        let span = |(from, to): &(usize, usize), ranks: &[usize]| ranks[*to].saturating_sub(ranks[*from]);
        let bends: usize = edges.iter().map(|edge| span(edge, &of_node).saturating_sub(1)).sum();
        let (mut links, mut chains) = (Vec::new(), Vec::new());
        for edge @ (from, to) in edges {
            let mut chain = Vec::new();
            let mut last = *from;
            if bends <= MOST_BENDS {
                for column in of_node[*from] + 1..(of_node[*from] + span(edge, &of_node)).max(of_node[*from] + 1) {
                    let bend = of_node.len();
                    of_node.push(column);
                    links.push((last, bend));
                    chain.push(bend);
                    last = bend;
                }
            }
            // An edge of a circle of frames goes backwards, and one without bends over columns: neither orders any.
            if of_node[*to] == of_node[last] + 1 {
                links.push((last, *to));
            }
            chains.push(chain);
        }
        let mut layers = vec![Vec::new(); of_node.iter().max().map_or(0, |last| last + 1)];
        for (node, column) in of_node.iter().enumerate() {
            layers[*column].push(node);
        }
        Self { of_node, layers, links, chains }
    }
}

/// The column of each node: one after the last of its upstreams; what has none stands just before what follows it.
/// Frames may depend on each other in a circle although tasks never do; whatever closes one is left out here.
fn ranks(nodes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut downstream = vec![Vec::new(); nodes];
    let mut waits = vec![0_usize; nodes];
    for (from, to) in edges {
        downstream[*from].push(*to);
        waits[*to] += 1;
    }
    let mut rank = vec![0_usize; nodes];
    let mut is_done = vec![false; nodes];
    let mut order = Vec::with_capacity(nodes);
    let mut free: std::collections::VecDeque<usize> = (0..nodes).filter(|node| waits[*node] == 0).collect();
    let mut next_stuck = 0;
    while order.len() < nodes {
        let Some(node) = free.pop_front() else {
            // Only circles are left: the first of them begins.
            while is_done[next_stuck] {
                next_stuck += 1;
            }
            free.push_back(next_stuck);
            continue;
        };
        if std::mem::replace(&mut is_done[node], true) {
            continue;
        }
        order.push(node);
        for next in &downstream[node] {
            if is_done[*next] {
                continue;
            }
            rank[*next] = rank[*next].max(rank[node] + 1);
            waits[*next] -= 1;
            if waits[*next] == 0 {
                free.push_back(*next);
            }
        }
    }
    let mut has_upstream = vec![false; nodes];
    edges.iter().for_each(|(_, to)| has_upstream[*to] = true);
    for node in order.into_iter().rev().filter(|node| !has_upstream[*node]) {
        let nearest = downstream[node].iter().map(|next| rank[*next]).filter(|next| *next > rank[node]).min();
        rank[node] = nearest.map_or(rank[node], |nearest| nearest - 1);
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(parents: &[Option<usize>]) -> Vec<Unplaced> {
        parents.iter().map(|parent| Unplaced { parent: *parent, width: 100.0, height: 40.0 }).collect()
    }

    fn overlap(one: &Rect, other: &Rect) -> bool {
        one.x < other.x + other.width
            && other.x < one.x + one.width
            && one.y < other.y + other.height
            && other.y < one.y + one.height
    }

    #[test]
    fn a_diamond_stands_upright() {
        let layout = lay_out(&boxes(&[None; 4]), &[(0, 1), (0, 2), (1, 3), (2, 3)]);
        let [first, upper, lower, last] = layout.boxes[..] else { panic!("four boxes") };
        assert!(first.x < upper.x && upper.x < last.x && upper.x == lower.x, "{layout:?}");
        assert!(upper.y + upper.height < lower.y);
        assert!((first.y - (upper.y + lower.y) / 2.0).abs() < 1.0, "in the middle of what follows: {layout:?}");
        assert!((first.y - last.y).abs() < 1.0);
    }

    #[test]
    fn a_frame_holds_its_own_and_nobody_else() {
        let parents = [None, None, Some(1), Some(1), None, None];
        let layout = lay_out(&boxes(&parents), &[(0, 2), (2, 3), (3, 4), (0, 5), (5, 4)]);
        let frame = layout.boxes[1];
        for (at, parent) in parents.iter().enumerate().filter(|(at, _)| *at != 1) {
            let one = layout.boxes[at];
            let inside = one.x > frame.x
                && one.y > frame.y
                && one.x + one.width < frame.x + frame.width
                && one.y + one.height < frame.y + frame.height;
            assert_eq!(inside, parent.is_some(), "{at}: {layout:?}");
            assert!(parent.is_some() || !overlap(&one, &frame), "{at}: {layout:?}");
        }
    }

    #[test]
    fn an_edge_over_many_columns_goes_round_what_lies_between() {
        let layout = lay_out(&boxes(&[None; 4]), &[(0, 1), (1, 2), (2, 3), (0, 3)]);
        let way = &layout.ways[3];
        assert_eq!(way.len(), 6, "a start, an end, and two points in each of two columns");
        for point in &way[1..5] {
            assert!(layout.boxes[1..3].iter().all(|one| point.y < one.y || point.y > one.y + one.height), "{layout:?}");
        }
    }

    #[test]
    fn frames_that_wait_for_each_other_are_drawn_nevertheless() {
        // a.1 -> b.1 -> a.2: the frames a and b make a circle.
        let parents = [None, Some(0), Some(0), None, Some(3)];
        let layout = lay_out(&boxes(&parents), &[(1, 4), (4, 2)]);
        assert!(!overlap(&layout.boxes[0], &layout.boxes[3]), "{layout:?}");
    }

    #[test]
    fn five_thousand_boxes_never_lie_over_each_other() {
        let mut random = fastrand::Rng::with_seed(7);
        let edges: Vec<(usize, usize)> =
            (1..5_000).map(|to: usize| (random.usize(to.saturating_sub(40)..to), to)).collect();
        let layout = lay_out(&boxes(&vec![None; 5_000]), &edges);
        let mut sorted = layout.boxes.clone();
        sorted.sort_by(|one, other| one.x.total_cmp(&other.x).then(one.y.total_cmp(&other.y)));
        for pair in sorted.windows(2) {
            assert!(!overlap(&pair[0], &pair[1]), "{pair:?}");
        }
    }
}
