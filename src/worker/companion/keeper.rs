//! The companion's clock: ends what outlived its task, its lease or its worker.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpid, kill_process, kill_process_group, test_kill_process_group};

use super::frame::{FromCompanion, Stop};
use super::lease::Lease;
use super::port::Port;
use super::proc::{self, Stat};
use super::table::{Inner, Table, signal};
use crate::worker::boot_time::BootTime;

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

/// Why everything must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    WorkerGone,
    /// The worker may live, or be stopped: it is not waited for.
    LeaseOver,
}

/// Ends strays, until everything must end; answers why, and since when.
pub fn keep(table: &Table, port: &Port) -> (Fate, BootTime) {
    let mut inner = table.lock();
    loop {
        let now = BootTime::now();
        inner.lease = inner.lease.at(now);
        if let Lease::Over(since) = inner.lease {
            port.send(&FromCompanion::LeaseOver);
            return (Fate::LeaseOver, since);
        }
        if inner.closing {
            return (Fate::WorkerGone, now);
        }
        tell_gone(&mut inner, port);
        end_strays(&mut inner, table.kill_grace);
        let ending = !inner.strays.is_empty();
        let sent = port.flush();
        if ending {
            // Strays are children of ours now: somebody must reap them for their group to vanish.
            table.for_reaper.notify_one();
        }
        let soon = (ending || !sent).then_some(LOOK);
        let wait = soon.or(match inner.lease {
            Lease::Until(until) => Some(until.since(now).min(LEASE_LOOK)),
            Lease::Open | Lease::Awaited | Lease::Over(_) => None,
        });
        inner = match wait {
            Some(wait) => table.for_keeper.wait_timeout(inner, wait).unwrap_or_else(PoisonError::into_inner).0,
            None => table.for_keeper.wait(inner).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

fn tell_gone(inner: &mut Inner, port: &Port) {
    inner.strays.retain(|strays| {
        let lives = test_kill_process_group(strays.group).is_ok();
        if !lives {
            port.send(&FromCompanion::Gone { id: strays.id });
        }
        lives
    });
}

fn end_strays(inner: &mut Inner, kill_grace: Duration) {
    let now = Instant::now();
    for strays in &mut inner.strays {
        let age = now.duration_since(strays.since);
        if age >= STRAY_GRACE + kill_grace {
            let _ = kill_process_group(strays.group, signal(Stop::Kill));
        } else if age >= STRAY_GRACE && !strays.told {
            strays.told = true;
            let _ = kill_process_group(strays.group, signal(Stop::Term));
        }
    }
}

/// TERM, `kill_grace` after `since` KILL, to every group and to everything that was orphaned to us; returns when
/// nothing is left.
pub fn end_everything(table: &Table, port: &Port, since: BootTime) {
    let me = getpid();
    let mut told: HashSet<i32> = HashSet::new();
    table.lock().signal_all(Stop::Term);
    loop {
        table.for_reaper.notify_one();
        // A worker that lives wants to know who ended.
        tell_gone(&mut table.lock(), port);
        port.flush();
        let children = proc::children(me);
        let waited = BootTime::now().since(since);
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
