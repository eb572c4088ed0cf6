//! What breaks, and how long it takes until that no longer matters (PROTOCOL §12).

use std::fmt;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, SCHEDULERS, WORKERS};
use super::trace::Traces;
use super::until;

/// Longer than any fault of these may hold a task up, with room for a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Clone, Copy, Debug)]
pub enum Fault {
    KillWorker {
        n: usize,
        with_companion: bool,
    },
    /// It comes back when its work has moved on.
    LoseWorker {
        n: usize,
    },
    KillLeader,
    KillStandby,
    FreezeLeader,
    FreezeWorker {
        n: usize,
    },
    /// Silent for longer than its lease, then healed.
    CutOff {
        n: usize,
    },
    ResetConnections,
    SlowWires {
        by: Duration,
    },
    RestartBroker,
    RestartDatabase,
    CutLeaderFromDatabase,
}

/// How long each kind took at most.
#[derive(Default)]
pub struct Recovery {
    takeover: Vec<Duration>,
    killed_worker: Vec<Duration>,
    cut_off_worker: Vec<Duration>,
}

impl Fault {
    pub fn choose(random: &mut fastrand::Rng) -> Self {
        let n = random.usize(..WORKERS);
        match random.u32(..13) {
            0 | 1 => Self::KillWorker { n, with_companion: random.bool() },
            2 => Self::LoseWorker { n },
            3 | 4 => Self::KillLeader,
            5 => Self::KillStandby,
            6 => Self::FreezeLeader,
            7 => Self::FreezeWorker { n },
            8 => Self::CutOff { n },
            9 => Self::ResetConnections,
            10 => Self::SlowWires { by: Duration::from_millis(random.u64(5..100)) },
            11 => Self::RestartBroker,
            _ if random.bool() => Self::RestartDatabase,
            _ => Self::CutLeaderFromDatabase,
        }
    }

    pub fn strike(self, cluster: &mut Cluster, traces: &Traces, random: &mut fastrand::Rng, recovery: &mut Recovery) {
        let moment = Duration::from_millis(random.u64(..2_000));
        match self {
            Self::KillWorker { n, with_companion } => {
                cluster.workers[n].kill(with_companion);
                cluster.start_worker(n);
            }
            Self::LoseWorker { n } => {
                cluster.workers[n].kill(false);
                let killed = Instant::now();
                let tries = traces.running_on(&cluster.workers[n].name);
                until(cluster, "the work of a killed worker moves on", PATIENCE, || {
                    traces.moved_on(&tries).then_some(())
                });
                if !tries.is_empty() {
                    recovery.killed_worker.push(killed.elapsed());
                }
                cluster.start_worker(n);
            }
            Self::KillLeader => {
                let Some(leader) = cluster.leader() else { return };
                let before = cluster.newest_epoch();
                cluster.schedulers[leader].kill(false);
                let killed = Instant::now();
                until(cluster, "the standby leads", PATIENCE, || (cluster.newest_epoch() > before).then_some(()));
                recovery.takeover.push(killed.elapsed());
                cluster.start_scheduler(leader);
            }
            Self::KillStandby => {
                let standby = cluster.leader().map_or(0, |leader| (leader + 1) % SCHEDULERS);
                cluster.schedulers[standby].kill(false);
                cluster.start_scheduler(standby);
            }
            Self::FreezeLeader => {
                let Some(leader) = cluster.leader() else { return };
                let before = cluster.newest_epoch();
                cluster.schedulers[leader].freeze(true);
                until(cluster, "the standby leads", PATIENCE, || (cluster.newest_epoch() > before).then_some(()));
                cluster.schedulers[leader].freeze(false);
            }
            Self::FreezeWorker { n } => {
                cluster.workers[n].freeze(true);
                let tries = traces.running_on(&cluster.workers[n].name);
                until(cluster, "the work of a frozen worker moves on", PATIENCE, || {
                    traces.moved_on(&tries).then_some(())
                });
                cluster.workers[n].freeze(false);
            }
            Self::CutOff { n } => {
                cluster.workers[n].broker.silence();
                let cut = Instant::now();
                let tries = traces.running_on(&cluster.workers[n].name);
                until(cluster, "the work of a cut off worker moves on", PATIENCE, || {
                    traces.moved_on(&tries).then_some(())
                });
                if !tries.is_empty() {
                    recovery.cut_off_worker.push(cut.elapsed());
                }
                cluster.workers[n].broker.heal();
            }
            Self::ResetConnections => {
                for member in cluster.schedulers.iter().chain(&cluster.workers) {
                    member.broker.cut();
                }
            }
            Self::SlowWires { by } => {
                for member in cluster.schedulers.iter().chain(&cluster.workers) {
                    member.broker.slow(by);
                }
                std::thread::sleep(moment);
                for member in cluster.schedulers.iter().chain(&cluster.workers) {
                    member.broker.heal();
                }
            }
            Self::RestartBroker => {
                cluster.rabbit.kill();
                cluster.rabbit.go();
            }
            Self::RestartDatabase => {
                cluster.postgres.kill();
                cluster.postgres.go();
            }
            Self::CutLeaderFromDatabase => {
                let Some(leader) = cluster.leader() else { return };
                let Some(wire) = &cluster.schedulers[leader].database else { return };
                let before = cluster.newest_epoch();
                wire.silence();
                until(cluster, "the standby leads", PATIENCE, || (cluster.newest_epoch() > before).then_some(()));
                wire.heal();
            }
        }
        let goal = traces.ends() + 5;
        until(cluster, &format!("work goes on after {self:?}"), PATIENCE, || (traces.ends() >= goal).then_some(()));
        restart_what_ended(cluster);
    }
}

/// A supervisor's work: what ended by itself is started again. Only a deposed or disconnected scheduler may do so.
fn restart_what_ended(cluster: &mut Cluster) {
    for n in 0..SCHEDULERS {
        if let Some(code) = cluster.schedulers[n].ended() {
            println!("{} ended with {code:?} and is started again", cluster.schedulers[n].name);
            cluster.start_scheduler(n);
        }
    }
    for n in 0..WORKERS {
        if let Some(code) = cluster.workers[n].ended() {
            panic!("{} ended with {code:?}: {}", cluster.workers[n].name, cluster.workers[n].output());
        }
    }
}

/// Nothing is broken any more.
pub fn heal_all(cluster: &mut Cluster) {
    for member in cluster.schedulers.iter().chain(&cluster.workers) {
        member.freeze(false);
        member.broker.heal();
        if let Some(database) = &member.database {
            database.heal();
        }
    }
    for n in 0..SCHEDULERS {
        if !cluster.schedulers[n].lives() {
            cluster.start_scheduler(n);
        }
    }
    for n in 0..WORKERS {
        if !cluster.workers[n].lives() {
            cluster.start_worker(n);
        }
    }
}

impl Recovery {
    /// PROTOCOL §12: leader takeover ≤ 5 s, a worker killed with -9 ≤ 6 s; twice that where nothing is optimised and
    /// all of it shares two cores with other tests. A cut off worker is proven lost after the configured 9 s.
    pub fn judge(&self) {
        let factor = if cfg!(debug_assertions) { 3 } else { 1 };
        for (what, took, most) in [
            ("takeover", &self.takeover, 5),
            ("killed worker", &self.killed_worker, 6),
            ("cut off worker", &self.cut_off_worker, 9 + 5),
        ] {
            let slowest = took.iter().max().copied().unwrap_or_default();
            assert!(slowest <= Duration::from_secs(most * factor), "{what}: {slowest:?}, at most {most} s");
        }
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, took) in [
            ("takeover", &self.takeover),
            ("work of a killed worker", &self.killed_worker),
            ("work of a cut off worker", &self.cut_off_worker),
        ] {
            let slowest = took.iter().max().copied().unwrap_or_default();
            write!(f, "{what}: {} times, slowest {:.1} s; ", took.len(), slowest.as_secs_f64())?;
        }
        Ok(())
    }
}
