//! Admission: which of the scheduled task instances gets a place next.
//!
//! Task instances that are held by exactly the same limits wait in one *lane*,
//! best first. A lane whose head meets a full limit is *parked* at that limit
//! and costs nothing until the limit has room again:
//!
//! ```text
//!            add                    head fits every limit
//!   ───────► open lanes ─────────────────────────────────► admitted
//!              ▲   │ head meets a full limit
//!   room again │   ▼
//!            parked at that limit (one set per limit, best first)
//! ```
//!
//! So picking costs O(log lanes) per admitted task, however many tasks are
//! blocked ahead of it. The invariant behind it: *of every limit that has room,
//! the best parked lane that fits is open* (`wake` keeps it so).
//!
//! This module counts; it never decides that a task is ready, and it writes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::domain::ids::{DagId, PoolName, RunKey, TaskId};
use crate::domain::limit::Limit;
use crate::domain::time::Time;

use super::TaskRef;

/// The order of picking (SCHEDULING §7): weight, then date, then map index, then who came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Negated weight, so that the heaviest sorts first.
    pub weight: i64,
    pub date: Time,
    pub map_index: i32,
    pub arrival: u64,
}

/// The limits that a task instance must fit into.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Holds {
    pub dag: DagId,
    pub scope: Scope,
    /// Of a task with a limit of its own.
    pub task: Option<Scope>,
    pub pool: PoolName,
    pub pool_slots: u32,
}

impl Holds {
    fn scopes(&self) -> impl Iterator<Item = &Scope> {
        std::iter::once(&self.scope).chain(&self.task)
    }
}

/// What a limit counts over: a DAG's `max_active_tasks`, or a task's `max_active_tis_per_dag`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    Dag(DagId),
    Run(RunKey),
    Task(DagId, TaskId),
}

/// What a lane waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Constraint {
    Paused(DagId),
    Pool(PoolName),
    Scope(Scope),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct LaneId(u32);

#[derive(Debug)]
struct Lane {
    holds: Holds,
    waiting: BTreeMap<Rank, TaskRef>,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Being moved, or new.
    Nowhere,
    Open {
        rank: Rank,
    },
    Parked {
        rank: Rank,
        at: Constraint,
    },
}

/// What is taken of one limit; without a limit there is no room at all.
#[derive(Clone, Copy, Debug)]
struct Gauge {
    limit: Option<Limit>,
    taken: u32,
}

impl Gauge {
    fn room(&self) -> u32 {
        self.limit.map_or(0, |limit| limit.room(self.taken))
    }
}

/// All limits, what is taken of them, and who waits for them.
#[derive(Debug)]
pub struct Admission {
    lanes: HashMap<LaneId, Lane>,
    by_holds: HashMap<Holds, LaneId>,
    next_lane: u32,
    open: BTreeSet<(Rank, LaneId)>,
    /// By limit, then by slots needed, best first.
    parked: HashMap<Constraint, BTreeMap<u32, BTreeSet<(Rank, LaneId)>>>,
    total: Gauge,
    pools: HashMap<PoolName, Gauge>,
    scopes: HashMap<Scope, Gauge>,
    paused: HashSet<DagId>,
    waiting: usize,
}

impl Admission {
    /// `parallelism`: how many task instances may hold a place at once, over all.
    pub fn new(parallelism: Limit) -> Self {
        Self {
            lanes: HashMap::new(),
            by_holds: HashMap::new(),
            next_lane: 0,
            open: BTreeSet::new(),
            parked: HashMap::new(),
            total: Gauge { limit: Some(parallelism), taken: 0 },
            pools: HashMap::new(),
            scopes: HashMap::new(),
            paused: HashSet::new(),
            waiting: 0,
        }
    }

    /// A pool that was never set, or that has no slots (`None`), lets nobody in.
    pub fn set_pool(&mut self, pool: PoolName, slots: Option<Limit>) {
        self.pool_mut(&pool).limit = slots;
        self.wake(&Constraint::Pool(pool));
    }

    pub fn set_scope(&mut self, scope: Scope, limit: Limit) {
        self.scopes.entry(scope.clone()).or_insert(Gauge { limit: None, taken: 0 }).limit = Some(limit);
        self.wake(&Constraint::Scope(scope));
    }

    /// The same, unless the scope has a limit already.
    pub fn ensure_scope(&mut self, scope: Scope, limit: Limit) {
        self.scopes.entry(scope).or_insert(Gauge { limit: Some(limit), taken: 0 });
    }

    /// A run is over: its own limit goes with it.
    pub fn forget_scope(&mut self, scope: &Scope) {
        self.scopes.remove(scope);
    }

    pub fn set_paused(&mut self, dag: &DagId, paused: bool) {
        if paused {
            self.paused.insert(dag.clone());
        } else {
            self.paused.remove(dag);
            self.wake(&Constraint::Paused(dag.clone()));
        }
    }

    /// A task instance became scheduled.
    pub fn add(&mut self, task: TaskRef, rank: Rank, holds: &Holds) {
        let id = self.lane(holds);
        self.waiting += 1;
        let lane = self.lane_mut(id);
        let head = lane.waiting.first_key_value().map(|(rank, _)| *rank);
        lane.waiting.insert(rank, task);
        // A new head may fit where the old one did not, so it is looked at again.
        if head.is_none_or(|head| rank < head) {
            self.take_out(id);
            self.open(id);
        }
    }

    /// A scheduled task instance is no longer so, for another reason than admission.
    pub fn remove(&mut self, rank: Rank, holds: &Holds) {
        let Some(&id) = self.by_holds.get(holds) else { return };
        self.take_out(id);
        if self.lane_mut(id).waiting.remove(&rank).is_some() {
            self.waiting -= 1;
        }
        self.open(id);
        self.wake_all(holds);
    }

    /// The best task instance that fits every limit, which takes its places.
    pub fn admit(&mut self) -> Option<TaskRef> {
        while self.total.room() > 0 {
            let &(_, id) = self.open.first()?;
            let lane = self.lane_mut(id);
            let holds = lane.holds.clone();
            self.take_out(id);
            if let Some(constraint) = self.blocked_by(&holds) {
                self.park(id, constraint);
                self.wake_all(&holds);
                continue;
            }
            let lane = self.lane_mut(id);
            let (_, task) = lane.waiting.pop_first().expect("an open lane has a head");
            self.waiting -= 1;
            self.occupy(&holds);
            self.open(id);
            self.wake_all(&holds);
            return Some(task);
        }
        None
    }

    /// A task instance takes its places without being asked: it held them before a restart.
    pub fn occupy(&mut self, holds: &Holds) {
        self.total.taken += 1;
        self.pool_mut(&holds.pool).taken += holds.pool_slots;
        for scope in holds.scopes() {
            if let Some(gauge) = self.scopes.get_mut(scope) {
                gauge.taken += 1;
            }
        }
    }

    /// A task instance gives its places back.
    pub fn release(&mut self, holds: &Holds) {
        self.total.taken = self.total.taken.saturating_sub(1);
        let pool = self.pool_mut(&holds.pool);
        pool.taken = pool.taken.saturating_sub(holds.pool_slots);
        for scope in holds.scopes() {
            if let Some(gauge) = self.scopes.get_mut(scope) {
                gauge.taken = gauge.taken.saturating_sub(1);
            }
        }
        self.wake_all(holds);
    }

    /// How many task instances hold a place.
    pub fn taken(&self) -> u32 {
        self.total.taken
    }

    /// How many task instances are counted by a scope, where it has a limit.
    pub fn scope_taken(&self, scope: &Scope) -> Option<u32> {
        self.scopes.get(scope).map(|gauge| gauge.taken)
    }

    /// How many slots of a pool are taken.
    pub fn pool_taken(&self, pool: &PoolName) -> u32 {
        self.pools.get(pool).map_or(0, |gauge| gauge.taken)
    }

    /// What the lane of `holds` meets first, if anything; the total comes last.
    pub fn blocked_by(&self, holds: &Holds) -> Option<Constraint> {
        if self.paused.contains(&holds.dag) {
            return Some(Constraint::Paused(holds.dag.clone()));
        }
        let is_full = |scope: &&Scope| self.scopes.get(*scope).is_some_and(|gauge| gauge.room() == 0);
        if let Some(full) = holds.scopes().find(is_full) {
            return Some(Constraint::Scope(full.clone()));
        }
        let room = self.pools.get(&holds.pool).map_or(0, Gauge::room);
        (holds.pool_slots > room).then(|| Constraint::Pool(holds.pool.clone()))
    }

    fn pool_mut(&mut self, pool: &PoolName) -> &mut Gauge {
        self.pools.entry(pool.clone()).or_insert(Gauge { limit: None, taken: 0 })
    }

    fn lane(&mut self, holds: &Holds) -> LaneId {
        if let Some(&id) = self.by_holds.get(holds) {
            return id;
        }
        let id = LaneId(self.next_lane);
        self.next_lane = self.next_lane.wrapping_add(1);
        self.by_holds.insert(holds.clone(), id);
        self.lanes.insert(id, Lane { holds: holds.clone(), waiting: BTreeMap::new(), place: Place::Nowhere });
        id
    }

    fn lane_mut(&mut self, id: LaneId) -> &mut Lane {
        self.lanes.get_mut(&id).expect("a lane is named only while it exists")
    }

    /// Takes the lane out of wherever it stands.
    fn take_out(&mut self, id: LaneId) {
        let lane = self.lane_mut(id);
        let need = lane.holds.pool_slots;
        match std::mem::replace(&mut lane.place, Place::Nowhere) {
            Place::Nowhere => {}
            Place::Open { rank } => {
                self.open.remove(&(rank, id));
            }
            Place::Parked { rank, at } => self.unpark(&at, need, (rank, id)),
        }
    }

    fn unpark(&mut self, at: &Constraint, need: u32, entry: (Rank, LaneId)) {
        let Some(needs) = self.parked.get_mut(at) else { return };
        if let Some(lanes) = needs.get_mut(&need) {
            lanes.remove(&entry);
            if lanes.is_empty() {
                needs.remove(&need);
            }
        }
        if needs.is_empty() {
            self.parked.remove(at);
        }
    }

    /// Puts a lane that stands nowhere among the open ones; an empty lane ends.
    fn open(&mut self, id: LaneId) {
        let lane = self.lane_mut(id);
        match lane.waiting.first_key_value() {
            Some((&rank, _)) => {
                lane.place = Place::Open { rank };
                self.open.insert((rank, id));
            }
            None => {
                if let Some(lane) = self.lanes.remove(&id) {
                    self.by_holds.remove(&lane.holds);
                }
            }
        }
    }

    fn park(&mut self, id: LaneId, at: Constraint) {
        let lane = self.lane_mut(id);
        let (&rank, _) = lane.waiting.first_key_value().expect("only a lane with a head is parked");
        let need = lane.holds.pool_slots;
        lane.place = Place::Parked { rank, at: at.clone() };
        self.parked.entry(at).or_default().entry(need).or_default().insert((rank, id));
    }

    fn wake_all(&mut self, holds: &Holds) {
        self.wake(&Constraint::Pool(holds.pool.clone()));
        for scope in holds.scopes() {
            self.wake(&Constraint::Scope(scope.clone()));
        }
    }

    /// Opens the best lane parked at a limit that has room for it. Waking one is
    /// enough: whatever becomes of it wakes the next.
    fn wake(&mut self, constraint: &Constraint) {
        let room = match constraint {
            Constraint::Paused(dag) if self.paused.contains(dag) => return,
            Constraint::Paused(_) => return self.wake_every(constraint),
            Constraint::Pool(pool) => self.pools.get(pool).map_or(0, Gauge::room),
            Constraint::Scope(scope) => match self.scopes.get(scope) {
                Some(gauge) if gauge.room() == 0 => return,
                Some(_) | None => u32::MAX,
            },
        };
        let Some(needs) = self.parked.get(constraint) else { return };
        let best = needs.range(..=room).filter_map(|(_, lanes)| lanes.first()).min().copied();
        if let Some((_, id)) = best {
            self.take_out(id);
            self.open(id);
        }
    }

    /// An unpaused DAG: all its lanes may compete again.
    fn wake_every(&mut self, constraint: &Constraint) {
        let Some(needs) = self.parked.get(constraint) else { return };
        let ids: Vec<LaneId> = needs.values().flatten().map(|&(_, id)| id).collect();
        for id in ids {
            self.take_out(id);
            self.open(id);
        }
    }

    /// Checks the invariants of this module; the error names the one that is broken.
    pub fn check(&self) -> Result<(), String> {
        let waiting: usize = self.lanes.values().map(|lane| lane.waiting.len()).sum();
        if waiting != self.waiting {
            return Err(format!("waiting_is_counted: {} counted, {waiting} in the lanes", self.waiting));
        }
        for (constraint, needs) in &self.parked {
            if let Constraint::Pool(pool) = constraint {
                let room = self.pools.get(pool).map_or(0, Gauge::room);
                let fits = needs.range(..=room).next().is_some();
                let represented = self.open.iter().any(|(_, id)| self.lanes[id].holds.pool == *pool);
                if fits && !represented {
                    return Err(format!(
                        "room_wakes: pool {pool} has {room} slots and nobody of those it holds is open"
                    ));
                }
            }
        }
        Ok(())
    }
}
