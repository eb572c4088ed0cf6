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
//! What it is asked about those who wait is in `line.rs`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::domain::ids::{DagId, PoolName, QueueName, RunKey, TaskId};
use crate::domain::journal::Stretch;
use crate::domain::limit::Limit;
use crate::domain::time::Time;

use super::TaskRef;
use super::gauge::Gauge;
use super::lane::{Lane, LaneId, Place, Waiting};
use super::waits::Log;

/// The order of picking (SCHEDULING §7): weight, then date, then map index, then who came first.
/// Whatever a backfill does waits for what happens now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    pub of_backfill: bool,
    /// Negated weight, so that the heaviest sorts first.
    pub weight: i64,
    /// In microseconds; of a backfill's run its place in the order of the backfill.
    pub date: i64,
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
    /// Of a task with a limit in each run.
    pub task_of_run: Option<Scope>,
    pub pool: PoolName,
    pub pool_slots: u32,
    /// Over a broker: the task queue, of which only so much is filled ahead of its workers.
    pub queue: Option<QueueName>,
}

impl Holds {
    pub(super) fn scopes(&self) -> impl Iterator<Item = &Scope> {
        std::iter::once(&self.scope).chain(self.task_scopes())
    }

    /// The limits of its own task.
    pub(super) fn task_scopes(&self) -> impl Iterator<Item = &Scope> {
        self.task.iter().chain(&self.task_of_run)
    }
}

/// What a limit counts over: a DAG's `max_active_tasks`, or a task's `max_active_tis_per_dag` and `max_active_tis_per_dagrun`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    Dag(DagId),
    Run(RunKey),
    Task(DagId, TaskId),
    TaskOfRun(RunKey, TaskId),
}

/// What a lane waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Constraint {
    Paused(DagId),
    Pool(PoolName),
    Scope(Scope),
    Queue(QueueName),
}

/// Why nobody is admitted although the limits of a lane have room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Nobody waits, or whoever does meets a limit of its own.
    No,
    /// As many hold places as `parallelism` allows.
    Parallelism,
    NoWorker,
    NoFreeSlot,
    Leaving,
}

/// All limits, what is taken of them, and who waits for them.
#[derive(Debug)]
pub struct Admission {
    pub(super) lanes: HashMap<LaneId, Lane>,
    pub(super) by_holds: HashMap<Holds, LaneId>,
    next_lane: u32,
    pub(super) open: BTreeSet<(Rank, LaneId)>,
    /// By limit, then by slots needed, best first.
    pub(super) parked: HashMap<Constraint, BTreeMap<u32, BTreeSet<(Rank, LaneId)>>>,
    pub(super) total: Gauge,
    pub(super) pools: HashMap<PoolName, Gauge>,
    pub(super) scopes: HashMap<Scope, Gauge>,
    /// What is published and unclaimed, by task queue.
    pub(super) queues: HashMap<QueueName, Gauge>,
    paused: HashSet<DagId>,
    /// Who is deferred, by pool, with the slots that it wants.
    deferred: HashMap<PoolName, BTreeMap<TaskRef, u32>>,
    /// The pools whose slots stay taken meanwhile: `include_deferred`.
    include_deferred: HashSet<PoolName>,
    waiting: usize,
    /// The present instant; none before a restored memory goes on.
    pub(super) now: Option<Time>,
    /// What stopped everybody.
    pub(super) stopped: Log<Stopped>,
    /// How many lanes were looked at: what the work of picking is measured by.
    steps: u64,
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
            total: Gauge::new(Some(parallelism)),
            pools: HashMap::new(),
            scopes: HashMap::new(),
            queues: HashMap::new(),
            paused: HashSet::new(),
            deferred: HashMap::new(),
            include_deferred: HashSet::new(),
            waiting: 0,
            now: None,
            stopped: Log::new(),
            steps: 0,
        }
    }

    /// What is remembered from here on happens at this instant.
    pub fn begin(&mut self, now: Time) {
        if self.now.replace(now).is_none() {
            // Restored lanes stood somewhere before anybody knew the time.
            for lane in self.lanes.values_mut() {
                lane.log.note(now, lane.place.parked_at());
            }
        }
    }

    /// Nobody more is admitted at this instant, for this reason.
    pub fn stop(&mut self, why: Stopped) {
        if let Some(now) = self.now {
            self.stopped.note(now, if self.open.is_empty() { Stopped::No } else { why });
        }
    }

    /// How many lanes were looked at so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// A pool that was never set, or that has no slots (`None`), lets nobody in.
    pub fn set_pool(&mut self, pool: PoolName, slots: Option<Limit>, include_deferred: bool) {
        self.pool_mut(&pool).limit = slots;
        self.set_include_deferred(&pool, include_deferred);
        self.wake(&Constraint::Pool(pool));
    }

    /// Those who are deferred at this moment take their slots, or give them back.
    fn set_include_deferred(&mut self, pool: &PoolName, include: bool) {
        let changes =
            if include { self.include_deferred.insert(pool.clone()) } else { self.include_deferred.remove(pool) };
        let deferred = self.deferred.get(pool).filter(|_| changes).cloned().unwrap_or_default();
        let now = self.now;
        let gauge = self.pool_mut(pool);
        for (task, slots) in deferred {
            if include {
                gauge.take(task, slots, now);
            } else {
                gauge.give_back(task, slots);
            }
        }
    }

    pub fn set_scope(&mut self, scope: Scope, limit: Limit) {
        self.scopes.entry(scope.clone()).or_insert_with(|| Gauge::new(None)).limit = Some(limit);
        self.wake(&Constraint::Scope(scope));
    }

    /// The same, unless the scope has a limit already.
    pub fn ensure_scope(&mut self, scope: Scope, limit: Limit) {
        self.scopes.entry(scope).or_insert_with(|| Gauge::new(Some(limit)));
    }

    /// A run is over: its own limit goes with it.
    pub fn forget_scope(&mut self, scope: &Scope) {
        self.scopes.remove(scope);
    }

    /// How much may lie unclaimed in a task queue; `None` where nobody takes work from it.
    pub fn set_queue(&mut self, queue: QueueName, window: Option<Limit>) {
        self.queue_mut(&queue).limit = window;
        self.wake(&Constraint::Queue(queue));
    }

    /// A task instance lies in its task queue, and nobody has claimed it.
    pub fn enter_queue(&mut self, task: TaskRef, holds: &Holds) {
        let now = self.now;
        if let Some(gauge) = holds.queue.as_ref().map(|queue| self.queue_mut(queue))
            && !gauge.holders.contains(&task)
        {
            gauge.take(task, 1, now);
        }
    }

    /// It was claimed, or has ended unclaimed.
    pub fn leave_queue(&mut self, task: TaskRef, holds: &Holds) {
        let Some(queue) = &holds.queue else { return };
        let gauge = self.queue_mut(queue);
        if gauge.holders.contains(&task) {
            gauge.give_back(task, 1);
            self.wake(&Constraint::Queue(queue.clone()));
        }
    }

    pub fn set_paused(&mut self, dag: &DagId, paused: bool) {
        if paused {
            self.paused.insert(dag.clone());
        } else {
            self.paused.remove(dag);
            self.wake(&Constraint::Paused(dag.clone()));
        }
    }

    /// A task instance became scheduled, at `since`.
    pub fn add(&mut self, task: TaskRef, since: Time, rank: Rank, holds: &Holds) {
        let id = self.lane(holds);
        self.waiting += 1;
        let lane = self.lane_mut(id);
        let head = lane.waiting.first_key_value().map(|(rank, _)| *rank);
        lane.waiting.insert(rank, Waiting { task, since });
        // A new head may fit where the old one did not, so it is looked at again.
        if head.is_none_or(|head| rank < head) {
            self.take_out(id);
            self.open(id);
        }
    }

    /// A scheduled task instance is no longer so, for another reason than admission. Returns what had held it.
    pub fn remove(&mut self, rank: Rank, holds: &Holds) -> Vec<Stretch> {
        let Some(&id) = self.by_holds.get(holds) else { return Vec::new() };
        let held = self.held_so_far(rank, holds);
        self.take_out(id);
        if self.lane_mut(id).waiting.remove(&rank).is_some() {
            self.waiting -= 1;
        }
        self.open(id);
        self.wake_all(holds);
        held
    }

    /// The best task instance that fits every limit, which takes its places; and what had held it.
    pub fn admit(&mut self) -> Option<(TaskRef, Vec<Stretch>)> {
        while self.total.room() > 0 {
            let &(rank, id) = self.open.first()?;
            self.steps += 1;
            let lane = self.lane_mut(id);
            let holds = lane.holds.clone();
            self.take_out(id);
            if let Some(constraint) = self.blocked_by(&holds) {
                self.park(id, constraint);
                self.wake_all(&holds);
                continue;
            }
            let held = self.held_so_far(rank, &holds);
            let lane = self.lane_mut(id);
            let (_, Waiting { task, .. }) = lane.waiting.pop_first().expect("an open lane has a head");
            self.waiting -= 1;
            self.occupy(task, &holds);
            self.enter_queue(task, &holds);
            self.open(id);
            self.wake_all(&holds);
            return Some((task, held));
        }
        None
    }

    /// A task instance takes its places without being asked: it held them before a restart.
    pub fn occupy(&mut self, task: TaskRef, holds: &Holds) {
        let now = self.now;
        self.total.take(task, 1, now);
        self.pool_mut(&holds.pool).take(task, holds.pool_slots, now);
        for scope in holds.scopes() {
            if let Some(gauge) = self.scopes.get_mut(scope) {
                gauge.take(task, 1, now);
            }
        }
    }

    /// A task instance gives its places back.
    pub fn release(&mut self, task: TaskRef, holds: &Holds) {
        self.leave_queue(task, holds);
        self.total.give_back(task, 1);
        self.pool_mut(&holds.pool).give_back(task, holds.pool_slots);
        for scope in holds.scopes() {
            if let Some(gauge) = self.scopes.get_mut(scope) {
                gauge.give_back(task, 1);
            }
        }
        self.wake_all(holds);
    }

    /// A task instance waits without a process. It goes on counting for the limits of its task, and, where it is
    /// deferred, for a pool with `include_deferred`. When it goes on it gives all that back, and waits in its lane
    /// for everything: while it is scheduled nothing counts it.
    pub fn rest(&mut self, task: TaskRef, holds: &Holds, is_deferred: bool) {
        let now = self.now;
        if is_deferred {
            self.deferred.entry(holds.pool.clone()).or_default().insert(task, holds.pool_slots);
            if self.include_deferred.contains(&holds.pool) {
                self.pool_mut(&holds.pool).take(task, holds.pool_slots, now);
            }
        }
        for scope in holds.task_scopes() {
            if let Some(gauge) = self.scopes.get_mut(scope) {
                gauge.take(task, 1, now);
            }
        }
    }

    /// It waits so no longer, whatever becomes of it.
    pub fn rise(&mut self, task: TaskRef, holds: &Holds) {
        let deferred = self.deferred.get_mut(&holds.pool);
        if let Some(slots) = deferred.and_then(|deferred| deferred.remove(&task))
            && self.include_deferred.contains(&holds.pool)
        {
            self.pool_mut(&holds.pool).give_back(task, slots);
        }
        for scope in holds.task_scopes() {
            if let Some(gauge) = self.scopes.get_mut(scope) {
                gauge.give_back(task, 1);
            }
        }
        self.wake_all(holds);
    }

    /// Whether one of these takes up room while it is deferred, so that it has to wait for that room first.
    pub fn deferred_takes_room(&self, holds: &Holds) -> bool {
        self.include_deferred.contains(&holds.pool) || holds.task_scopes().next().is_some()
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

    /// Whether `parallelism` is reached.
    pub fn is_full(&self) -> bool {
        self.total.room() == 0
    }

    /// What the lane of `holds` meets first, if anything; the total comes last.
    pub fn blocked_by(&self, holds: &Holds) -> Option<Constraint> {
        self.constraints(holds).next()
    }

    /// Every limit that the lane of `holds` meets, in the order in which it meets them.
    pub fn constraints<'a>(&'a self, holds: &'a Holds) -> impl Iterator<Item = Constraint> + 'a {
        let paused = self.paused.contains(&holds.dag).then(|| Constraint::Paused(holds.dag.clone()));
        let queue = holds.queue.as_ref().filter(|queue| self.queues.get(*queue).map_or(0, Gauge::room) == 0);
        let queue = queue.map(|full| Constraint::Queue(full.clone()));
        let is_full = |scope: &&Scope| self.scopes.get(*scope).is_some_and(|gauge| gauge.room() == 0);
        let scopes = holds.scopes().filter(is_full).map(|full| Constraint::Scope(full.clone()));
        let pool = std::iter::once_with(|| {
            let room = self.pools.get(&holds.pool).map_or(0, Gauge::room);
            (holds.pool_slots > room).then(|| Constraint::Pool(holds.pool.clone()))
        });
        paused.into_iter().chain(queue).chain(scopes).chain(pool.flatten())
    }

    fn pool_mut(&mut self, pool: &PoolName) -> &mut Gauge {
        self.pools.entry(pool.clone()).or_insert_with(|| Gauge::new(None))
    }

    fn queue_mut(&mut self, queue: &QueueName) -> &mut Gauge {
        self.queues.entry(queue.clone()).or_insert_with(|| Gauge::new(None))
    }

    fn lane(&mut self, holds: &Holds) -> LaneId {
        if let Some(&id) = self.by_holds.get(holds) {
            return id;
        }
        let id = LaneId(self.next_lane);
        self.next_lane = self.next_lane.wrapping_add(1);
        self.by_holds.insert(holds.clone(), id);
        let (waiting, place, log) = (BTreeMap::new(), Place::Nowhere, Log::new());
        self.lanes.insert(id, Lane { holds: holds.clone(), waiting, place, log });
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
        let now = self.now;
        let lane = self.lane_mut(id);
        match lane.waiting.first_key_value() {
            Some((&rank, _)) => {
                lane.place = Place::Open { rank };
                if let Some(now) = now {
                    lane.log.note(now, None);
                }
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
        let now = self.now;
        let lane = self.lane_mut(id);
        let (&rank, _) = lane.waiting.first_key_value().expect("only a lane with a head is parked");
        let need = lane.holds.pool_slots;
        lane.place = Place::Parked { rank, at: at.clone() };
        if let Some(now) = now {
            lane.log.note(now, Some(at.clone()));
        }
        self.note_shut(&at, true);
        self.parked.entry(at).or_default().entry(need).or_default().insert((rank, id));
    }

    fn wake_all(&mut self, holds: &Holds) {
        self.wake(&Constraint::Pool(holds.pool.clone()));
        for scope in holds.scopes() {
            self.wake(&Constraint::Scope(scope.clone()));
        }
        if let Some(queue) = &holds.queue {
            self.wake(&Constraint::Queue(queue.clone()));
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
            Constraint::Queue(queue) => match self.queues.get(queue).map_or(0, Gauge::room) {
                0 => return,
                _ => u32::MAX,
            },
        };
        let Some(needs) = self.parked.get(constraint) else { return };
        let best = needs.range(..=room).filter_map(|(_, lanes)| lanes.first()).min().copied();
        if let Some((_, id)) = best {
            self.steps += 1;
            self.note_shut(constraint, false);
            self.take_out(id);
            self.open(id);
        }
    }

    fn note_shut(&mut self, constraint: &Constraint, is_shut: bool) {
        let gauge = match constraint {
            Constraint::Paused(_) => None,
            Constraint::Pool(pool) => self.pools.get_mut(pool),
            Constraint::Scope(scope) => self.scopes.get_mut(scope),
            Constraint::Queue(queue) => self.queues.get_mut(queue),
        };
        if let (Some(gauge), Some(now)) = (gauge, self.now) {
            gauge.shut.note(now, is_shut);
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
            if let Constraint::Queue(queue) = constraint {
                let has_room = self.queues.get(queue).map_or(0, Gauge::room) > 0;
                let of_it = |lane: &Lane| lane.holds.queue.as_ref() == Some(queue);
                if has_room && !self.open.iter().any(|(_, id)| of_it(&self.lanes[id])) {
                    return Err(format!("room_wakes: queue {queue} has room and nobody of those it holds is open"));
                }
            }
        }
        Ok(())
    }
}
