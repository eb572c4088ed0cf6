//! What the operating system does by itself, without any of ours.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::Result;
use super::sample::count;

/// By posix_spawn and in a process group of its own, as a task is started.
fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Starts a program and waits for its end.
pub fn run(program: &str, args: &[&str]) {
    let status = command(program, args).status().unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
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

/// Milliseconds to write four pages of SQLite and sync them in this folder, then to start a Bash (its end is not
/// waited for): what lies between two tasks when nothing but the promise is kept.
pub fn sync_and_spawn_latencies(folder: &Path, times: usize) -> Result<Vec<f64>> {
    let file = File::create(folder.join("sync"))?;
    let pages = [1; 4 * 4096];
    let mut latencies = Vec::new();
    for at in 0..times {
        let begun = Instant::now();
        file.write_all_at(&pages, u64::try_from(at * pages.len())?)?;
        file.sync_all()?;
        let mut child = command("/bin/bash", &["-c", "true"]).spawn()?;
        latencies.push(begun.elapsed().as_secs_f64() * 1e3);
        child.wait()?;
    }
    Ok(latencies)
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

/// Forks itself so many times, so many at once; each fork computes the expression.
const FORKS: &str = "
import os, sys, time, json, logging, inspect
names = {}
exec(sys.argv[1], names)
work, times, at_once = compile(sys.argv[2], 'work', 'eval'), int(sys.argv[3]), int(sys.argv[4])
begun, running = time.perf_counter(), 0
for _ in range(times):
    if running == at_once:
        os.wait()
        running -= 1
    if not os.fork():
        eval(work, names)
        os._exit(0)
    running += 1
while running:
    os.wait()
    running -= 1
print(time.perf_counter() - begun)
";

/// Seconds that a warm Python needs to fork itself so many times and to compute the expression in each fork.
pub fn python_forks(before: &str, expression: &str, times: usize, at_once: usize) -> Result<f64> {
    let arguments = ["-c", FORKS, before, expression, &times.to_string(), &at_once.to_string()];
    let output = Command::new("python3").args(arguments).stderr(Stdio::inherit()).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
