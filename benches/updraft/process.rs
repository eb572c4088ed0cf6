//! What `/proc` says of a node: its memory and its time on the processors, companion included.

use std::fs;

use updraft::worker::companion::all_processes;

use super::Result;

/// A process and those that it started and that still run.
fn family(pid: u32) -> Vec<i32> {
    let pid = i32::try_from(pid).expect("the kernel's pids fit");
    let mut family = vec![pid];
    family.extend(all_processes().into_iter().filter(|p| p.parent == pid && !p.zombie).map(|p| p.pid));
    family
}

/// How many processes a node is, and their proportional share of memory in MiB.
pub fn memory(pid: u32) -> Result<(usize, f64)> {
    let family = family(pid);
    let mut kib = 0.0;
    for pid in &family {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss in smaps_rollup")?;
        kib += line.trim().trim_end_matches("kB").trim().parse::<f64>()?;
    }
    Ok((family.len(), kib / 1024.0))
}

/// Seconds of processor time so far: of the node and its companion, and of all ended tasks that they waited for.
pub fn cpu_seconds(pid: u32) -> Result<Cpu> {
    let mut cpu = Cpu { own: 0.0, tasks: 0.0 };
    for pid in family(pid) {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let after_name = stat.rsplit_once(") ").ok_or("no name in /proc/<pid>/stat")?.1;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        let ticks = |at: usize| {
            fields
                .get(at)
                .ok_or("too few fields in /proc/<pid>/stat")?
                .parse::<f64>()
                .map_err(Box::<dyn std::error::Error>::from)
        };
        let per_second = f64::from(u32::try_from(rustix::param::clock_ticks_per_second())?);
        // Fields 14 to 17 of proc(5): utime, stime, cutime, cstime.
        cpu.own += (ticks(11)? + ticks(12)?) / per_second;
        cpu.tasks += (ticks(13)? + ticks(14)?) / per_second;
    }
    Ok(cpu)
}

/// Seconds of processor time.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    pub own: f64,
    pub tasks: f64,
}
