//! What those who wait for a place may be told: what held them from when to
//! when, who holds the limits, and how many come before them.
//!
//! Reads the admission and changes nothing in it.

use std::collections::BTreeSet;

use crate::domain::blocker::Ahead;
use crate::domain::journal::{Held, Journal, Stretch};
use crate::domain::limit::Limit;
use crate::domain::time::Time;

use super::TaskRef;
use super::admit::{Admission, Constraint, Holds, Rank, Scope, Stopped};
use super::gauge::Gauge;
use super::lane::{Lane, LaneId, Place};

/// Counting those who come before stops there.
const FAR_AHEAD: u32 = 10_000;

/// A limit as it stands.
pub(super) struct Standing<'a> {
    /// None: nobody has set it, or it lets nobody in.
    pub limit: Option<Limit>,
    pub taken: u32,
    pub holders: &'a BTreeSet<TaskRef>,
}

impl Admission {
    /// What has held a task instance that waits at this rank, up to now.
    pub(super) fn held_so_far(&self, rank: Rank, holds: &Holds) -> Vec<Stretch> {
        let lane = self.by_holds.get(holds).and_then(|id| self.lanes.get(id));
        let waiting = lane.and_then(|lane| lane.waiting.get(&rank));
        match (lane, waiting, self.now) {
            (Some(lane), Some(waiting), Some(now)) if waiting.since < now => {
                self.held_between(lane, waiting.since, now)
            }
            // The way of most: it became scheduled at this very instant.
            (_, _, _) => Vec::new(),
        }
    }

    fn held_between(&self, lane: &Lane, from: Time, to: Time) -> Vec<Stretch> {
        let mut held = Journal::default();
        for (from, to, at) in lane.log.between(from, to) {
            match at {
                Some(Constraint::Paused(_)) => held.push(Stretch { from, to, held: Held::DagPaused }),
                Some(at @ (Constraint::Pool(_) | Constraint::Scope(_) | Constraint::Queue(_))) => {
                    self.at_limit(at, from, to, &mut held)
                }
                None => self.while_stopped(from, to, None, &mut held),
            }
        }
        held.stretches().to_vec()
    }

    /// A limit with room lets in the best of those parked at it, and the others wait for what that one waits for.
    fn at_limit(&self, at: &Constraint, from: Time, to: Time, into: &mut Journal) {
        let Some(gauge) = self.gauge(at) else { return };
        let name = match at {
            Constraint::Paused(_) => Held::DagPaused,
            Constraint::Pool(pool) => Held::Pool { pool: pool.clone() },
            Constraint::Scope(Scope::Task(..) | Scope::TaskOfRun(..)) => Held::MaxActiveTis,
            Constraint::Scope(Scope::Dag(_) | Scope::Run(_)) => Held::MaxActiveTasks,
            Constraint::Queue(queue) => Held::Queue { queue: queue.clone() },
        };
        for (from, to, is_shut) in gauge.shut.between(from, to) {
            if *is_shut {
                into.push(Stretch { from, to, held: name.clone() });
            } else {
                self.while_stopped(from, to, Some(&name), into);
            }
        }
    }

    /// What held everybody; while nothing did, whatever else is known.
    fn while_stopped(&self, from: Time, to: Time, otherwise: Option<&Held>, into: &mut Journal) {
        for (from, to, why) in self.stopped.between(from, to) {
            let held = match why {
                Stopped::No => match otherwise {
                    Some(held) => held.clone(),
                    None => continue,
                },
                Stopped::Parallelism => Held::Parallelism,
                Stopped::NoWorker => Held::NoWorker,
                Stopped::NoFreeSlot => Held::NoFreeSlot,
                Stopped::Leaving => Held::Leaving,
            };
            into.push(Stretch { from, to, held });
        }
    }

    fn gauge(&self, of: &Constraint) -> Option<&Gauge> {
        match of {
            Constraint::Paused(_) => None,
            Constraint::Pool(pool) => self.pools.get(pool),
            Constraint::Scope(scope) => self.scopes.get(scope),
            Constraint::Queue(queue) => self.queues.get(queue),
        }
    }

    /// A limit that somebody meets.
    pub(super) fn standing(&self, of: &Constraint) -> Option<Standing<'_>> {
        self.gauge(of).map(standing)
    }

    /// `parallelism`.
    pub(super) fn total(&self) -> Standing<'_> {
        standing(&self.total)
    }

    /// How many get a place under this limit before the one at `rank`, as things stand.
    pub(super) fn ahead_at(&self, limit: &Constraint, rank: Rank) -> Ahead {
        let parked = self.parked.get(limit).into_iter().flat_map(|needs| needs.values());
        let meets = |lane: &Lane| match limit {
            Constraint::Paused(dag) => lane.holds.dag == *dag,
            Constraint::Pool(pool) => lane.holds.pool == *pool,
            Constraint::Scope(scope) => lane.holds.scopes().any(|of| of == scope),
            Constraint::Queue(queue) => lane.holds.queue.as_ref() == Some(queue),
        };
        let mut count = Count::default();
        for lanes in parked {
            count.lanes(self, lanes, rank, |_| true);
        }
        count.lanes(self, &self.open, rank, meets);
        count.ahead
    }

    /// How many of those whose limits have room come before the one at `rank`.
    pub(super) fn ahead_of_all(&self, rank: Rank) -> Ahead {
        let mut count = Count::default();
        count.lanes(self, &self.open, rank, |_| true);
        for (limit, needs) in &self.parked {
            let room = self.gauge(limit).map_or(0, Gauge::room);
            for (_, lanes) in needs.range(..=room) {
                count.lanes(self, lanes, rank, |lane| self.blocked_by(&lane.holds).is_none());
            }
        }
        count.ahead
    }

    /// Whether the lane of `holds` is open, so that nothing but the total or the workers holds it.
    pub(super) fn is_open(&self, holds: &Holds) -> bool {
        let lane = self.by_holds.get(holds).and_then(|id| self.lanes.get(id));
        lane.is_some_and(|lane| matches!(lane.place, Place::Open { .. }))
    }
}

fn standing(gauge: &Gauge) -> Standing<'_> {
    Standing { limit: gauge.limit, taken: gauge.taken, holders: &gauge.holders }
}

/// Counts whoever is better, and stops when that is many.
struct Count {
    ahead: Ahead,
}

impl Default for Count {
    fn default() -> Self {
        Self { ahead: Ahead { tasks: 0, or_more: false } }
    }
}

impl Count {
    fn lanes(
        &mut self,
        admission: &Admission,
        lanes: &BTreeSet<(Rank, LaneId)>,
        rank: Rank,
        counts: impl Fn(&Lane) -> bool,
    ) {
        // Best heads first: behind the first that is worse nobody is better.
        for (_, id) in lanes.iter().take_while(|(head, _)| *head < rank) {
            let lane = &admission.lanes[id];
            if !counts(lane) {
                continue;
            }
            for _ in lane.waiting.range(..rank) {
                if self.ahead.tasks == FAR_AHEAD {
                    self.ahead.or_more = true;
                    return;
                }
                self.ahead.tasks += 1;
            }
        }
    }
}
