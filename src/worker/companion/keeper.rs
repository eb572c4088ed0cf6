//! The companion's clock: ends what outlived its task, its lease or its worker.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpid, kill_process, kill_process_group, test_kill_process_group};
use rustix::time::{ClockId, clock_gettime};

use super::frame::{FromCompanion, Stop};
use super::port::Port;
use super::proc::{self, Stat};
use super::table::{Lease, Table, signal};

/// What ends by itself a moment after the task, such as bash's `> >(tee log)`, may do so.
const STRAY_GRACE: Duration = Duration::from_millis(250);

/// How often groups that are being ended are looked at. Only then, never when idle.
const LOOK: Duration = Duration::from_millis(5);

/// A lease is counted by a clock that runs while the machine sleeps, waiting is
/// not: so it is looked at several times in each second that it may be late (PROTOCOL §8, s).
const LEASE_LOOK: Duration = Duration::from_millis(250);

/// A process that does not even die by KILL is stuck in the kernel: waited for
/// this long, then left to the next start of the worker, which finds it in the journal.
const STUCK: Duration = Duration::from_secs(10);

/// Ends strays and enforces the lease, for ever.
pub fn keep(table: &Table, port: &Port) {
    let mut killing_since: Option<Instant> = None;
    let mut inner = table.lock();
    loop {
        let now = Instant::now();
        let mut gone = Vec::new();
        inner.strays.retain_mut(|strays| {
            if test_kill_process_group(strays.group).is_err() {
                gone.push(strays.id);
                return false;
            }
            let age = now.duration_since(strays.since);
            if age >= STRAY_GRACE + table.kill_grace {
                let _ = kill_process_group(strays.group, signal(Stop::Kill));
            } else if age >= STRAY_GRACE && !strays.told {
                strays.told = true;
                let _ = kill_process_group(strays.group, signal(Stop::Term));
            }
            true
        });
        match inner.lease {
            Lease::Until(until) if boot_milliseconds() >= until => {
                inner.lease = Lease::Over;
                inner.signal_all(Stop::Term);
                killing_since = Some(now);
                port.send(&FromCompanion::LeaseOver);
            }
            Lease::Open | Lease::Until(_) => {}
            Lease::Over => {
                if killing_since.is_some_and(|since| now.duration_since(since) >= table.kill_grace) {
                    inner.signal_all(Stop::Kill);
                }
            }
        }
        let ending = !inner.strays.is_empty() || (inner.lease == Lease::Over && !inner.is_empty());
        let leased = matches!(inner.lease, Lease::Until(_));
        for id in gone {
            port.send(&FromCompanion::Gone { id });
        }
        let sent = port.flush();
        if ending {
            // Strays are children of ours now: somebody must reap them for their group to vanish.
            table.for_reaper.notify_one();
        }
        inner = if ending || !sent {
            let wait = table.for_keeper.wait_timeout(inner, LOOK);
            wait.unwrap_or_else(std::sync::PoisonError::into_inner).0
        } else if leased {
            let wait = table.for_keeper.wait_timeout(inner, LEASE_LOOK);
            wait.unwrap_or_else(std::sync::PoisonError::into_inner).0
        } else {
            table.for_keeper.wait(inner).unwrap_or_else(std::sync::PoisonError::into_inner)
        };
    }
}

/// The worker is gone: TERM, `kill_grace`, KILL, to every group and to everything that was orphaned
/// to us; returns when nothing is left.
pub fn end_everything(table: &Table) {
    let me = getpid();
    let begun = Instant::now();
    let mut told: HashSet<i32> = HashSet::new();
    table.lock().signal_all(Stop::Term);
    loop {
        table.for_reaper.notify_one();
        let children = proc::children(me);
        let waited = begun.elapsed();
        if (children.is_empty() && table.lock().is_empty()) || waited > table.kill_grace + STUCK {
            return;
        }
        if waited >= table.kill_grace {
            table.lock().signal_all(Stop::Kill);
            for child in children {
                send(&child, Stop::Kill);
            }
        } else {
            for child in children {
                // Each is told once: a second TERM would run a trap twice.
                if !table.lock().guards(child.group) && told.insert(child.pid) {
                    send(&child, Stop::Term);
                }
            }
        }
        thread::sleep(LOOK);
    }
}

fn send(to: &Stat, stop: Stop) {
    if let Some(pid) = Pid::from_raw(to.pid) {
        let _ = kill_process(pid, signal(stop));
    }
}

fn boot_milliseconds() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}
