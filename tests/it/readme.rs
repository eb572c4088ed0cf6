//! The README is meant literally: its DAGs, its configuration and its commands are taken
//! as they stand and run in their order, in a fresh home, beside a node.
//!
//! Only what builds the program is left out: the lines of `cargo`, `export` and `tests/run`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const README: &str = include_str!("../../README.md");
/// Long enough for a loaded machine; nothing waits that long on a free one.
const PATIENCE: Duration = Duration::from_secs(120);

/// The fenced blocks of one language, without the fences.
fn blocks(language: &str) -> Vec<&'static str> {
    let (opening, closing) = (format!("\n```{language}\n"), "\n```");
    let after = README.split(opening.as_str()).skip(1);
    after.map(|text| text.split_once(closing).expect("a fence that is closed").0).collect()
}

/// A line that a person types, and the lines that the README shows below it.
struct Typed {
    line: &'static str,
    shown: Vec<&'static str>,
}

fn typed() -> Vec<Typed> {
    let mut all: Vec<Typed> = Vec::new();
    for text in blocks("console").into_iter().flat_map(str::lines) {
        match text.strip_prefix("$ ") {
            Some(line) => all.push(Typed { line, shown: Vec::new() }),
            None => all.last_mut().expect("a command before its output").shown.push(text),
        }
    }
    all
}

fn of_updraft() -> Vec<Typed> {
    typed().into_iter().filter(|typed| typed.line.starts_with("updraft ")).collect()
}

/// Whether `line` is what the README shows; `…` stands for anything.
fn matches(shown: &str, line: &str) -> bool {
    match shown.split_once('…') {
        None => line.trim_end() == shown,
        Some((before, after)) => line.trim_end().strip_prefix(before).is_some_and(|rest| rest.ends_with(after)),
    }
}

/// A home with the example DAGs, and with the DAGs and the configuration of the README.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("a temporary folder"));
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("dags");
        let copied = Command::new("cp").arg("-R").args([examples.as_path(), home.path()]).status().expect("cp");
        assert!(copied.success(), "a copy of the examples");
        for text in ["yaml", "python", "toml"].into_iter().flat_map(blocks) {
            let name = text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a comment with its name");
            fs::write(home.path().join(name), text).expect("a file that is written");
        }
        home
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// A command in this home, as a stranger's shell would run it.
    fn command(&self, program: &str) -> Command {
        let updraft = PathBuf::from(env!("CARGO_BIN_EXE_updraft"));
        let path = std::env::var("PATH").expect("a PATH");
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("UPDRAFT") || name.starts_with("AIRFLOW"))
        {
            command.env_remove(name);
        }
        command.env("PATH", format!("{}:{path}", updraft.parent().expect("a folder").display()));
        command.current_dir(self.path()).stdin(Stdio::null());
        command
    }

    fn shell(&self, line: &str) -> Output {
        let mut command = self.command("timeout");
        command.arg(PATIENCE.as_secs().to_string()).args(["bash", "-c", line]);
        command.output().expect("bash and timeout")
    }

    fn dags(&self) -> String {
        String::from_utf8_lossy(&self.shell("updraft dags list -o plain").stdout).into_owned()
    }
}

/// `updraft standalone` in a home; its words come line by line.
struct Node {
    process: Child,
    words: Receiver<String>,
}

impl Node {
    fn start(home: &Home) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let mut command = home.command(env!("CARGO_BIN_EXE_updraft"));
        command.arg("standalone").env("UPDRAFT__API__PORT", free.port().to_string()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("updraft");
        let words = lines(process.stderr.take().expect("a pipe"));
        Self { process, words }
    }

    /// Everything up to the line that holds `what`, that line included.
    fn said(&self, what: &str) -> Vec<String> {
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.contains(what)) {
            match self.words.recv_timeout(PATIENCE) {
                Ok(line) => said.push(line),
                Err(_) => panic!("the node does not say `{what}`, only: {said:#?}"),
            }
        }
        said
    }

    fn signal(&self) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::INT).expect("a process that lives");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // After a failed test; otherwise it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn lines(stderr: ChildStderr) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

#[test]
fn every_command_of_the_readme_works_as_it_stands() {
    let home = Home::new();
    let mut node = Node::start(&home);

    let greeting = node.said("  stop ");
    let start = typed().into_iter().find(|typed| typed.line.ends_with("-- standalone")).expect("a start");
    for shown in &start.shown {
        // The first line has a figure, the others a name in a column of its own.
        let name: String = shown.chars().take(13).collect();
        assert!(greeting.iter().any(|line| line.starts_with(&name)), "`{name}` is not in {greeting:#?}");
    }

    let begun = Instant::now();
    let expected = ["hello", "parallel_dag", "prices", "squares"];
    while !expected.iter().all(|dag| home.dags().contains(dag)) {
        assert!(begun.elapsed() < PATIENCE, "the node does not list {expected:?}:\n{}", home.dags());
    }

    let commands = of_updraft();
    assert!(commands.len() >= 10, "the README shows {} commands only", commands.len());
    for Typed { line, shown } in commands {
        let output = home.shell(line);
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "`{line}`: {}\n{stdout}{stderr}", output.status);
        assert!(!stdout.trim().is_empty(), "`{line}` says nothing on stdout\n{stderr}");
        for shown in shown {
            assert!(stdout.lines().any(|line| matches(shown, line)), "`{line}` does not print `{shown}` but\n{stdout}");
        }
    }

    node.signal();
    node.said("draining");
    node.signal();
    let status = node.process.wait().expect("an end");
    assert!(status.success(), "{status}: {:#?}", node.words.iter().collect::<Vec<_>>());
}

#[test]
fn every_link_of_the_readme_into_the_repository_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let targets = README.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let inside: Vec<&str> = targets.filter(|target| !target.contains("://")).collect();
    assert!(inside.len() >= 3, "{inside:?}");
    for target in inside {
        assert!(root.join(target).exists(), "the README leads to {target}, which is not there");
    }
    for script in ["tests/run", ".ci/run"] {
        assert!(README.contains(&format!("`{script}`")) || README.contains(&format!("$ {script}")), "{script}");
        assert!(root.join(script).exists(), "the README names {script}, which is not there");
    }
}
