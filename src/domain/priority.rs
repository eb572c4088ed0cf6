//! Effective priority: a task's own weight and that of everything that waits for it (SCHEDULING §7).
//!
//! Weights are counted once per distinct neighbour, however many paths lead to
//! it, and are the same for every run of a DAG version: compute them once.

use super::dag::WeightRule;

/// What a DAG file says about one task's priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnWeight {
    pub weight: i32,
    pub rule: WeightRule,
}

/// The effective weight of every task, in the order of `tasks`.
///
/// `upstream[i]` and `downstream[i]` list the direct neighbours of task `i` by
/// index; together they are one acyclic graph, seen from both ends. A sum that
/// does not fit is held at the end of `i32`, which is the column's type.
pub fn effective_weights<N: AsRef<[u32]>>(tasks: &[OwnWeight], upstream: &[N], downstream: &[N]) -> Vec<i32> {
    let mut weights: Vec<i32> = tasks.iter().map(|task| task.weight).collect();
    for (rule, towards, back) in
        [(WeightRule::Downstream, downstream, upstream), (WeightRule::Upstream, upstream, downstream)]
    {
        if tasks.iter().any(|task| task.rule == rule) {
            let sums = reachable_weights(tasks, towards, back);
            for ((weight, task), sum) in weights.iter_mut().zip(tasks).zip(sums) {
                if task.rule == rule {
                    *weight = i32::try_from(sum).unwrap_or(if sum > 0 { i32::MAX } else { i32::MIN });
                }
            }
        }
    }
    weights
}

/// For every task, its own weight and that of all distinct tasks that `towards` reaches.
///
/// A bit per pair of tasks would be 12 MB for 10,000 tasks, so 64 targets are
/// taken at a time: one word per task, passed back along the edges. That is
/// tasks / 64 passes over the graph and 8 bytes of memory per task.
fn reachable_weights<N: AsRef<[u32]>>(tasks: &[OwnWeight], towards: &[N], back: &[N]) -> Vec<i64> {
    let order = targets_first(towards, back);
    let mut rank = vec![0usize; tasks.len()];
    for (position, task) in order.iter().enumerate() {
        rank[*task as usize] = position;
    }
    let mut sums = vec![0i64; tasks.len()];
    let mut reached = vec![0u64; tasks.len()];
    for (block, targets) in order.chunks(64).enumerate() {
        let first = block * 64;
        let sum_of = SumOfBits::new(targets.iter().map(|target| i64::from(tasks[*target as usize].weight)));
        // What comes before the block in this order cannot reach it.
        for (position, task) in order.iter().enumerate().skip(first) {
            let own = if position < first + targets.len() { 1u64 << (position - first) } else { 0 };
            let bits = towards[*task as usize]
                .as_ref()
                .iter()
                .filter(|next| rank[**next as usize] >= first)
                .fold(own, |bits, next| bits | reached[*next as usize]);
            reached[*task as usize] = bits;
            sums[*task as usize] += sum_of.get(bits);
        }
    }
    sums
}

/// The tasks in an order in which each comes after all that it points `towards`.
fn targets_first<N: AsRef<[u32]>>(towards: &[N], back: &[N]) -> Vec<u32> {
    let mut open: Vec<usize> = towards.iter().map(|next| next.as_ref().len()).collect();
    let mut order: Vec<u32> = (0u32..).zip(&open).filter(|(_, open)| **open == 0).map(|(task, _)| task).collect();
    let mut done = 0;
    while let Some(task) = order.get(done).copied() {
        done += 1;
        for before in back[task as usize].as_ref() {
            let left = &mut open[*before as usize];
            *left -= 1;
            if *left == 0 {
                order.push(*before);
            }
        }
    }
    debug_assert_eq!(order.len(), towards.len(), "a DAG has no cycle");
    order
}

/// The sum of the weights whose bits are set, by eight look-ups of a byte.
struct SumOfBits {
    by_byte: Box<[[i64; 256]; 8]>,
}

impl SumOfBits {
    fn new(weights: impl Iterator<Item = i64>) -> Self {
        let mut by_byte = Box::new([[0i64; 256]; 8]);
        for (bit, weight) in weights.enumerate() {
            let (table, bit) = (&mut by_byte[bit / 8], 1usize << (bit % 8));
            for byte in (0..256).filter(|byte| byte & bit != 0) {
                table[byte] += weight;
            }
        }
        Self { by_byte }
    }

    fn get(&self, bits: u64) -> i64 {
        let bytes = bits.to_le_bytes();
        self.by_byte.iter().zip(bytes).map(|(table, byte)| table[usize::from(byte)]).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    type Neighbours = Vec<Vec<u32>>;

    fn graph(tasks: usize, edges: impl IntoIterator<Item = (u32, u32)>) -> (Neighbours, Neighbours) {
        let (mut upstream, mut downstream) = (vec![Vec::new(); tasks], vec![Vec::new(); tasks]);
        for (from, to) in edges.into_iter().collect::<BTreeSet<_>>() {
            downstream[from as usize].push(to);
            upstream[to as usize].push(from);
        }
        (upstream, downstream)
    }

    fn all(rule: WeightRule, weights: &[i32]) -> Vec<OwnWeight> {
        weights.iter().map(|weight| OwnWeight { weight: *weight, rule }).collect()
    }

    #[test]
    fn in_a_diamond_the_join_counts_once_for_the_source() {
        let (upstream, downstream) = graph(4, [(0, 1), (0, 2), (1, 3), (2, 3)]);
        let of = |rule| effective_weights(&all(rule, &[1, 10, 100, 1000]), &upstream, &downstream);
        assert_eq!(of(WeightRule::Downstream), [1111, 1010, 1100, 1000]);
        assert_eq!(of(WeightRule::Upstream), [1, 11, 101, 1111]);
        assert_eq!(of(WeightRule::Absolute), [1, 10, 100, 1000]);
    }

    #[test]
    fn each_task_follows_its_own_rule_and_counts_the_own_weights_of_the_others() {
        let (upstream, downstream) = graph(3, [(0, 1), (1, 2)]);
        let rules = [WeightRule::Absolute, WeightRule::Downstream, WeightRule::Upstream];
        let tasks: Vec<_> = rules.map(|rule| OwnWeight { weight: 5, rule }).into();
        assert_eq!(effective_weights(&tasks, &upstream, &downstream), [5, 10, 15]);
    }

    #[test]
    fn a_sum_that_does_not_fit_is_held_at_the_end() {
        let (upstream, downstream) = graph(3, [(0, 1), (1, 2)]);
        let of = |weight| effective_weights(&all(WeightRule::Downstream, &[weight; 3]), &upstream, &downstream);
        assert_eq!(of(i32::MAX), [i32::MAX; 3]);
        assert_eq!(of(i32::MIN), [i32::MIN; 3]);
    }

    #[test]
    fn a_chain_of_ten_thousand_tasks_is_weighed_while_its_file_is_read() {
        let (upstream, downstream) = graph(10_000, (0..9_999).map(|i| (i, i + 1)));
        let begun = Instant::now();
        let weights = effective_weights(&all(WeightRule::Downstream, &[1; 10_000]), &upstream, &downstream);
        // 200 ms are promised of an optimised build; an unoptimised one gets ten times that.
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert!(weights.iter().copied().eq((1..=10_000).rev()));
    }

    proptest! {
        #[test]
        fn weights_are_those_of_a_plain_walk(
            weights in proptest::collection::vec(-1000..1000_i32, 2..200),
            edges in proptest::collection::vec((0..10_000_u32, 0..10_000_u32), 0..400)
        ) {
            let tasks = weights.len() as u32;
            let edges = edges.into_iter().map(|(a, b)| (a % tasks, b % tasks)).filter(|(a, b)| a != b)
                .map(|(a, b)| (a.min(b), a.max(b)));
            let (upstream, downstream) = graph(weights.len(), edges);
            let walk = |from: usize| {
                let (mut seen, mut open) = (BTreeSet::from([from as u32]), vec![from as u32]);
                while let Some(task) = open.pop() {
                    open.extend(downstream[task as usize].iter().filter(|next| seen.insert(**next)));
                }
                seen.iter().map(|task| weights[*task as usize]).sum::<i32>()
            };
            let expected: Vec<i32> = (0..weights.len()).map(walk).collect();
            prop_assert_eq!(effective_weights(&all(WeightRule::Downstream, &weights), &upstream, &downstream), expected);
        }
    }
}
