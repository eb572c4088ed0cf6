//! A node as a user starts it: the real program as a process of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::processes::Process;
use super::wait::{wait_for, wait_until};

/// A node that runs, or has just been started. It is killed when dropped.
pub struct Node {
    child: Child,
    /// Where its stdout and stderr go.
    output: PathBuf,
    /// `NAME=value` in the environment of everything that this life of the node started.
    mark: String,
    address: String,
    spawned: Instant,
}

/// How a node ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// `None`: a signal ended it.
    pub code: Option<i32>,
    pub output: String,
}

impl Node {
    pub fn spawn(mut command: Command, output: PathBuf, mark: String, address: String) -> Self {
        let file = File::create(&output).expect("a file for the output of the node");
        let both = file.try_clone().expect("a second descriptor");
        command.stdin(Stdio::null()).stdout(file).stderr(both).process_group(0);
        let spawned = Instant::now();
        let child = command.spawn().expect("the program starts");
        Self { child, output, mark, address, spawned }
    }

    /// Waits for the greeting and tells how long after the start of the process it came.
    #[track_caller]
    pub fn wait_ready(&mut self) -> Duration {
        wait_for("the node is ready", || {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                panic!("the node ended before it was ready ({status}): {}", self.output());
            }
            self.output().contains(" is ready in ").then(|| self.spawned.elapsed())
        })
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    #[track_caller]
    pub fn wait_says(&self, words: &str) {
        wait_until(&format!("the node says `{words}`"), || self.output().contains(words));
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn spawned(&self) -> Instant {
        self.spawned
    }

    /// `kill -9`, of this one process.
    pub fn kill(mut self) {
        self.kill_and_reap();
    }

    /// `kill -9` of the node and of the companion that would clean up after it.
    pub fn kill_with_companion(mut self) {
        let companions: Vec<Process> = self.processes().into_iter().filter(Process::is_companion).collect();
        companions.iter().for_each(Process::kill);
        self.kill_and_reap();
    }

    fn kill_and_reap(&mut self) {
        // An error means that it ended before.
        let _ = self.child.kill();
        self.child.wait().expect("a child can be waited for");
    }

    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process number");
        kill_process(pid, signal).expect("the node takes signals");
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn wait_end(mut self) -> Ended {
        let status = wait_for("the node ends", || self.child.try_wait().expect("a child can be waited for"));
        Ended { code: status.code(), output: self.output() }
    }

    /// Asks it to stop as Ctrl-C does, and waits until it has.
    #[track_caller]
    pub fn stop(self) -> Ended {
        self.interrupt();
        self.wait_end()
    }

    /// All living processes of this life of the node, itself included.
    pub fn processes(&self) -> Vec<Process> {
        Process::marked(&self.mark)
    }

    /// The mark of this life, for a look after its end.
    pub fn mark(&self) -> String {
        self.mark.clone()
    }

    /// Where its pages are: `http://127.0.0.1:8080`.
    pub fn site(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What `/health` answers; `None` while nothing listens.
    pub fn health(&self) -> Option<Value> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.write_all(b"GET /health HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill_and_reap();
        if std::thread::panicking() {
            eprintln!("--- the node said:\n{}---", self.output());
        }
    }
}
