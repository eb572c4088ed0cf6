//! The processes of a test, found by a mark in the environment that everything a node starts inherits.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// One process of this machine.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: i32,
    /// Program and arguments, with blanks between.
    pub command: String,
}

impl Process {
    /// Every living process whose environment holds `NAME=value`.
    pub fn marked(variable: &str) -> Vec<Self> {
        let Ok(all) = fs::read_dir("/proc") else { panic!("/proc can be read") };
        let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        pids.filter_map(|pid| {
            // A process that has ended meanwhile, or a zombie, has no environment.
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            let is_marked = environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes());
            let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned();
            is_marked.then_some(Self { pid, command })
        })
        .collect()
    }

    pub fn is_companion(&self) -> bool {
        self.command.split(' ').nth(1) == Some("companion")
    }

    /// `kill -9`; one that is gone already needs none.
    pub fn kill(&self) {
        let pid = Pid::from_raw(self.pid).expect("a process has a number above zero");
        let _ = kill_process(pid, Signal::KILL);
    }
}
