//! What `/proc` says about processes.

use std::fs;

use rustix::process::Pid;

/// A process for good: a pid is reused, a pid with its start time is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ProcessId {
    pub pid: u32,
    /// Clock ticks since boot, as in field 22 of `/proc/<pid>/stat`.
    pub start_time: u64,
}

/// One line of `/proc/<pid>/stat`, as far as it concerns us.
pub struct Stat {
    pub pid: i32,
    pub zombie: bool,
    pub parent: i32,
    pub group: i32,
    pub start_time: u64,
}

/// `None` when there is no such process.
pub fn stat(pid: i32) -> Option<Stat> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(pid: i32, line: &str) -> Option<Stat> {
    // The name in parentheses may hold spaces and parentheses of its own.
    let after_name = line.rsplit_once(") ")?.1;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    Some(Stat {
        pid,
        zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

/// When the process began; `None` when there is no such process.
pub fn start_time(pid: u32) -> Option<u64> {
    stat(i32::try_from(pid).ok()?).map(|stat| stat.start_time)
}

/// Every process that can be seen now. Costs a read per process: for the rare moment in which all must be looked at.
pub fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(stat).collect()
}

/// Children of `parent` that still run.
pub fn children(parent: Pid) -> Vec<Stat> {
    let parent = parent.as_raw_nonzero().get();
    all().into_iter().filter(|p| p.parent == parent && !p.zombie).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_is_no_trap() {
        let line = "42 (a) S (b) S 7 40 40 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123456 0 0";
        let stat = parse(42, line).expect("a line of the kernel");
        assert_eq!((stat.parent, stat.group, stat.start_time, stat.zombie), (7, 40, 123_456, false));
    }

    #[test]
    fn this_process_has_a_start_time_and_no_process_has_pid_zero() {
        assert!(start_time(std::process::id()).is_some());
        assert!(stat(0).is_none());
    }
}
