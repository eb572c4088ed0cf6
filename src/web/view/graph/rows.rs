//! How high each box of a layered graph stands: first an order with few crossings, then heights that make edges straight.
//!
//! Heights under an order and least distances are a regression: where two neighbours would come too near they
//! become one block that stands where suits all of it best. Each column is solved exactly, to and fro.

/// Between two boxes of a column.
const GAP: f64 = 16.0;
/// Between an edge that passes and its neighbour.
const PASSING: f64 = 10.0;
/// How often the columns are walked to and fro: more changes hardly anything any more.
const ORDER_SWEEPS: usize = 12;
const HEIGHT_SWEEPS: usize = 24;
/// Edges that pass want to be straight more than boxes want to be in the middle.
const STRAIGHT: f64 = 4.0;
/// Where a box without any edge wants to be, and how much it matters where it gets.
const FAR_UP: f64 = -1.0e7;
const NO_WEIGHT: f64 = 1.0e-9;

/// The upper end of each node. `links` join neighbouring layers; a node without height is an edge that passes.
pub(super) fn rows(layers: &[Vec<usize>], links: &[(usize, usize)], heights: &[f64]) -> Vec<f64> {
    let neighbours = Neighbours::of(heights.len(), links);
    let layers = ordered(layers, &neighbours);
    let mut middles = stacked(&layers, heights);
    for sweep in 0..HEIGHT_SWEEPS {
        let last = sweep + 1 == HEIGHT_SWEEPS;
        let forth = sweep % 2 == 0;
        let walk: Box<dyn Iterator<Item = &Vec<usize>>> =
            if forth { Box::new(layers.iter()) } else { Box::new(layers.iter().rev()) };
        for layer in walk {
            let wishes: Vec<(f64, f64)> = layer
                .iter()
                .map(|node| {
                    let (before, after) = (&neighbours.before[*node], &neighbours.after[*node]);
                    let both = last || before.is_empty() || after.is_empty();
                    let near = match (both, forth) {
                        (true, _) => before.iter().chain(after.iter()),
                        (false, true) => before.iter().chain([].iter()),
                        (false, false) => after.iter().chain([].iter()),
                    };
                    let (sum, count) =
                        near.fold((0.0, 0_u32), |(sum, count), other| (sum + middles[*other], count + 1));
                    let weight = if heights[*node] == 0.0 { STRAIGHT } else { 1.0 };
                    match (count, neighbours.has_none(*node)) {
                        // Joins the one above it, without pulling it along.
                        (_, true) => (FAR_UP, NO_WEIGHT),
                        // Stays where it is, and gives way.
                        (0, false) => (middles[*node], 0.1),
                        (_, false) => (sum / f64::from(count), weight),
                    }
                })
                .collect();
            let solved = nearest(layer, &wishes, heights);
            for (node, middle) in layer.iter().zip(solved) {
                middles[*node] = middle;
            }
        }
    }
    let mut tops: Vec<f64> = middles.iter().zip(heights).map(|(middle, height)| middle - height / 2.0).collect();
    let highest = tops.iter().copied().fold(f64::INFINITY, f64::min);
    tops.iter_mut().for_each(|top| *top = ((*top - highest) * 2.0).round() / 2.0);
    tops
}

struct Neighbours {
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
}

impl Neighbours {
    fn has_none(&self, node: usize) -> bool {
        self.before[node].is_empty() && self.after[node].is_empty()
    }

    fn of(nodes: usize, links: &[(usize, usize)]) -> Self {
        let mut found = Self { before: vec![Vec::new(); nodes], after: vec![Vec::new(); nodes] };
        for (from, to) in links {
            found.after[*from].push(*to);
            found.before[*to].push(*from);
        }
        found
    }
}

/// How far the middles of two neighbours of a column are apart at least.
fn distance(upper: f64, lower: f64) -> f64 {
    let gap = if upper == 0.0 || lower == 0.0 { PASSING } else { GAP };
    upper / 2.0 + gap + lower / 2.0
}

fn stacked(layers: &[Vec<usize>], heights: &[f64]) -> Vec<f64> {
    let mut middles = vec![0.0; heights.len()];
    for layer in layers {
        let mut at = 0.0;
        for (place, node) in layer.iter().enumerate() {
            if place > 0 {
                at += distance(heights[layer[place - 1]], heights[*node]);
            }
            middles[*node] = at;
        }
        // All columns about one line.
        let half = at / 2.0;
        layer.iter().for_each(|node| middles[*node] -= half);
    }
    middles
}

/// The heights nearest to the wishes (place, weight) that keep order and distance: pool adjacent violators.
fn nearest(layer: &[usize], wishes: &[(f64, f64)], heights: &[f64]) -> Vec<f64> {
    /// A block of neighbours that touch: where it wants to be, how much, and how many it is.
    struct Block {
        place: f64,
        weight: f64,
        count: usize,
    }
    let mut offsets = Vec::with_capacity(layer.len());
    let mut blocks: Vec<Block> = Vec::new();
    for (at, (wish, weight)) in wishes.iter().enumerate() {
        let offset = match at {
            0 => 0.0,
            _ => offsets[at - 1] + distance(heights[layer[at - 1]], heights[layer[at]]),
        };
        offsets.push(offset);
        let mut block = Block { place: wish - offset, weight: *weight, count: 1 };
        while let Some(above) = blocks.pop_if(|above| above.place > block.place) {
            let weight = above.weight + block.weight;
            block.place = (above.place * above.weight + block.place * block.weight) / weight;
            block.weight = weight;
            block.count += above.count;
        }
        blocks.push(block);
    }
    let places = blocks.iter().flat_map(|block| std::iter::repeat_n(block.place, block.count));
    places.zip(offsets).map(|(place, offset)| place + offset).collect()
}

/// Each layer in an order with few crossings: the best that was met while walking to and fro.
fn ordered(layers: &[Vec<usize>], neighbours: &Neighbours) -> Vec<Vec<usize>> {
    let mut layers = layers.to_vec();
    layers.iter_mut().for_each(|layer| layer.sort_by_key(|node| neighbours.has_none(*node)));
    let nodes = neighbours.before.len();
    let mut place = vec![0.0; nodes];
    let note = |layer: &[usize], place: &mut Vec<f64>| {
        layer.iter().enumerate().for_each(|(at, node)| place[*node] = at as f64);
    };
    layers.iter().for_each(|layer| note(layer, &mut place));
    let mut fewest = crossings(&layers, neighbours, &place);
    let mut best = layers.clone();
    for sweep in 0..ORDER_SWEEPS {
        if fewest == 0 {
            break;
        }
        let forth = sweep % 2 == 0;
        for step in 0..layers.len() {
            let at = if forth { step } else { layers.len() - 1 - step };
            let near = if forth { &neighbours.before } else { &neighbours.after };
            let wish = |node: usize| match near[node].len() {
                // What has no edge at all stands below what has some.
                0 if neighbours.has_none(node) => f64::MAX,
                0 => place[node],
                count => near[node].iter().map(|other| place[*other]).sum::<f64>() / count as f64,
            };
            let mut wishes: Vec<(f64, usize)> = layers[at].iter().map(|node| (wish(*node), *node)).collect();
            wishes.sort_by(|one, other| one.0.total_cmp(&other.0));
            layers[at] = wishes.into_iter().map(|(_, node)| node).collect();
            note(&layers[at], &mut place);
        }
        let found = crossings(&layers, neighbours, &place);
        if found < fewest {
            fewest = found;
            best.clone_from(&layers);
        }
    }
    best
}

/// How many pairs of edges cross, counted with a tree of sums.
fn crossings(layers: &[Vec<usize>], neighbours: &Neighbours, place: &[f64]) -> u64 {
    let mut count = 0;
    for pair in layers.windows(2) {
        let mut tree = vec![0_u64; pair[1].len() + 1];
        let mut seen = 0;
        for node in &pair[0] {
            let mut ends: Vec<usize> = neighbours.after[*node].iter().map(|to| place[*to] as usize).collect();
            ends.sort_unstable();
            for end in &ends {
                let mut below = 0;
                let mut at = end + 1;
                while at > 0 {
                    below += tree[at];
                    at &= at - 1;
                }
                count += seen - below;
            }
            for end in ends {
                seen += 1;
                let mut at = end + 1;
                while at < tree.len() {
                    tree[at] += 1;
                    at += at & at.wrapping_neg();
                }
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crossings_are_undone_where_an_order_without_any_exists() {
        let layers = [vec![0, 1, 2], vec![3, 4, 5]];
        let links = [(0, 5), (1, 4), (2, 3)];
        let neighbours = Neighbours::of(6, &links);
        let place = [0.0, 1.0, 2.0, 0.0, 1.0, 2.0];
        assert_eq!(crossings(&layers, &neighbours, &place), 3);
        let better = ordered(&layers, &neighbours);
        assert_eq!(better[1], [5, 4, 3]);
    }

    #[test]
    fn who_comes_too_near_stands_with_its_neighbour_where_suits_both() {
        let solved = nearest(&[0, 1], &[(10.0, 1.0), (10.0, 1.0)], &[40.0, 40.0]);
        assert_eq!(solved, [10.0 - 28.0, 10.0 + 28.0]);
        let free = nearest(&[0, 1], &[(0.0, 1.0), (100.0, 1.0)], &[40.0, 40.0]);
        assert_eq!(free, [0.0, 100.0]);
    }
}
