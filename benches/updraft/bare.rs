//! What the operating system does by itself, without any of ours.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::sample::count;

/// Starts a program and waits for its end, by posix_spawn and in a process group of its own, as a task is started.
pub fn run(program: &str, args: &[&str]) {
    let mut command = Command::new(program);
    command.args(args).process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
    assert!(status.success(), "{program} {args:?} ended with {status}");
}

pub fn bash_true() {
    run("/bin/bash", &["-c", "true"]);
}

/// Milliseconds of one `bash -c true` after the other.
pub fn bash_latencies(times: usize) -> Vec<f64> {
    let one = |_| {
        let begun = Instant::now();
        bash_true();
        begun.elapsed().as_secs_f64() * 1e3
    };
    (0..times).map(one).collect()
}

/// `bash -c true` per second, so many in all, so many at once.
pub fn bash_rate(tasks: usize, at_once: usize) -> f64 {
    let left = AtomicUsize::new(tasks);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
                    bash_true();
                }
            });
        }
    });
    count(tasks) / begun.elapsed().as_secs_f64()
}
