//! Which processes the companion guards, and how a death that is seen before its birth is kept.
//!
//! Spawning and reaping are different threads, so a short process can be reaped
//! before its spawner has written down who it is. Such an end is kept for those
//! spawns that were under way at that moment, and for no later one: a pid that
//! comes again must not meet an old end.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use super::frame::{End, Stop};
use super::lease::Lease;
use crate::worker::boot_time::BootTime;

pub struct Table {
    pub kill_grace: Duration,
    inner: Mutex<Inner>,
    /// Something the keeper must look at: strays, a lease, a backlog, the end.
    pub for_keeper: Condvar,
    /// A child was born.
    pub for_reaper: Condvar,
}

#[derive(Default)]
pub struct Inner {
    /// Groups whose first process lives.
    alive: HashMap<u64, Pid>,
    by_pid: HashMap<i32, u64>,
    /// Groups whose first process ended and left others.
    pub strays: Vec<Strays>,
    /// Spawns under way, by the order in which they began.
    under_way: BTreeSet<u64>,
    begun: u64,
    /// Ends without a birth yet: the end, and how many spawns had begun by then.
    early: HashMap<i32, (End, u64)>,
    /// +1 at each birth.
    pub born: u64,
    pub lease: Lease,
    pub closing: bool,
}

/// What is left of a group.
pub struct Strays {
    pub id: u64,
    pub group: Pid,
    pub since: Instant,
    pub told: bool,
}

/// A spawn under way.
pub struct Birth(u64);

/// What became of a group when its first process ended.
pub struct Ended {
    pub id: u64,
    pub end: End,
    pub strays: bool,
}

impl Table {
    pub fn new(kill_grace: Duration, lease: Lease) -> Self {
        let inner = Mutex::new(Inner { lease, ..Inner::default() });
        Self { kill_grace, inner, for_keeper: Condvar::new(), for_reaper: Condvar::new() }
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether a process may start at this moment.
    pub fn may_start(&self, now: BootTime) -> bool {
        !self.closing && self.lease.may_start(now)
    }

    /// Before a spawn; `None` when nothing may start.
    pub fn begin(&mut self, now: BootTime) -> Option<Birth> {
        if !self.may_start(now) {
            return None;
        }
        self.begun += 1;
        self.under_way.insert(self.begun);
        Some(Birth(self.begun))
    }

    /// A spawn that came to nothing.
    pub fn failed(&mut self, Birth(birth): Birth) {
        self.under_way.remove(&birth);
        self.forget_early();
    }

    /// A spawn that succeeded. `Some` when the process has already ended.
    pub fn born(&mut self, Birth(birth): Birth, id: u64, pid: Pid) -> Option<Ended> {
        self.under_way.remove(&birth);
        self.born += 1;
        let early = self.early.remove(&pid.as_raw_nonzero().get()).filter(|(_, begun)| *begun >= birth);
        self.forget_early();
        self.alive.insert(id, pid);
        self.by_pid.insert(pid.as_raw_nonzero().get(), id);
        if self.closing || matches!(self.lease, Lease::Over(_)) {
            // The others were told while this one was being started.
            let _ = kill_process_group(pid, signal(Stop::Term));
        }
        early.and_then(|(end, _)| self.ended(pid, end))
    }

    /// A process was reaped. `None` when it was no task's first process, or is not known to be one yet.
    pub fn ended(&mut self, pid: Pid, end: End) -> Option<Ended> {
        let raw = pid.as_raw_nonzero().get();
        let Some(id) = self.by_pid.remove(&raw) else {
            if !self.under_way.is_empty() {
                self.early.insert(raw, (end, self.begun));
            }
            return None;
        };
        self.alive.remove(&id);
        let strays = test_kill_process_group(pid).is_ok();
        if strays {
            self.strays.push(Strays { id, group: pid, since: Instant::now(), told: false });
        }
        Some(Ended { id, end, strays })
    }

    /// Sends the signal to the whole group, strays included. To what has ended nothing needs to be sent.
    pub fn signal(&self, id: u64, stop: Stop) {
        let strays = || self.strays.iter().find(|s| s.id == id).map(|s| s.group);
        if let Some(group) = self.alive.get(&id).copied().or_else(strays) {
            let _ = kill_process_group(group, signal(stop));
        }
    }

    pub fn signal_all(&self, stop: Stop) {
        for group in self.alive.values().copied().chain(self.strays.iter().map(|s| s.group)) {
            let _ = kill_process_group(group, signal(stop));
        }
    }

    /// Whether this is the group of a task of ours, which is told as a whole.
    pub fn guards(&self, group: i32) -> bool {
        let groups = self.alive.values().copied().chain(self.strays.iter().map(|s| s.group));
        groups.into_iter().any(|known| known.as_raw_nonzero().get() == group)
    }

    /// Nothing runs, and nothing is about to.
    pub fn is_empty(&self) -> bool {
        self.alive.is_empty() && self.strays.is_empty() && self.under_way.is_empty()
    }

    fn forget_early(&mut self) {
        let oldest = self.under_way.first().copied();
        self.early.retain(|_, (_, begun)| oldest.is_some_and(|oldest| oldest <= *begun));
    }
}

pub fn signal(stop: Stop) -> Signal {
    match stop {
        Stop::Term => Signal::TERM,
        Stop::Kill => Signal::KILL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beyond any pid that Linux gives, so that no process is met by chance.
    fn pid(n: i32) -> Pid {
        Pid::from_raw(1_000_000_000 + n).expect("not zero")
    }

    #[test]
    fn an_end_that_is_seen_before_the_birth_is_not_lost() {
        let mut table = Inner::default();
        let birth = table.begin(BootTime::now()).expect("open");
        assert!(table.ended(pid(1), End::Code(3)).is_none());
        let ended = table.born(birth, 10, pid(1)).expect("it has ended already");
        assert_eq!((ended.id, ended.end, ended.strays), (10, End::Code(3), false));
        assert!(table.is_empty());
    }

    #[test]
    fn the_end_of_a_stray_is_not_taken_for_that_of_a_later_process_with_its_pid() {
        let mut table = Inner::default();
        let first = table.begin(BootTime::now()).expect("open");
        assert!(table.ended(pid(1), End::Code(1)).is_none(), "an orphan, while a spawn is under way");
        let later = table.begin(BootTime::now()).expect("open");
        assert!(table.born(later, 11, pid(1)).is_none(), "that end was before this spawn began");
        assert!(table.born(first, 12, pid(2)).is_none());
        assert!(table.early.is_empty());
        assert!(!table.is_empty());
    }

    #[test]
    fn nothing_starts_when_the_lease_is_over_or_the_worker_gone() {
        let until = BootTime::now();
        let mut table = Inner { lease: Lease::Until(until), ..Inner::default() };
        assert!(table.begin(until).is_none(), "whether or not the keeper has seen it");
        table = Inner { lease: Lease::Awaited, ..Inner::default() };
        assert!(table.begin(until).is_none(), "before the first lease");
        table = Inner { closing: true, ..Inner::default() };
        assert!(table.begin(until).is_none());
    }
}
