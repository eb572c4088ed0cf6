//! What breaks around the product: each time a clear sentence, and nothing is lost.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use updraft::domain::state::{RunState, TaskState};

use crate::kit::{Ended, Home, Process, wait_for, wait_until};

const HELLO: &str = "schedule: null\ntasks:\n  say: {bash: 'echo hello'}\n";

/// The node ended by itself, with this exit code and these words, and left nothing running.
#[track_caller]
fn assert_ended(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    for words in words {
        assert!(ended.output.contains(words), "expected `{words}` in: {}", ended.output);
    }
    assert!(!ended.output.contains("panicked"), "{}", ended.output);
}

/// Whatever else is wrong, this still works.
#[track_caller]
fn assert_hello(home: &Home) {
    let run = home.trigger_and_wait("hello");
    run.assert_success();
    assert!(home.log(&run.row, "say", 1).contains("hello"));
}

// --- DAG files -------------------------------------------------------------------------------

#[test]
fn files_that_cannot_be_read_do_not_hide_the_others() {
    let home = Home::new();
    home.write("hello.yaml", HELLO);
    std::fs::create_dir(home.dags().join("folder.yaml")).expect("a folder");
    std::os::unix::fs::symlink("/nowhere/at/all.yaml", home.dags().join("dangling.yaml")).expect("a link");
    std::os::unix::fs::symlink("round.yaml", home.dags().join("round.yaml")).expect("a link");
    std::fs::write(home.dags().join("binary.yaml"), [0, 159, 146, 150]).expect("a file");
    let fifo = home.dags().join("pipe.yaml");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    let _node = home.start();
    assert_hello(&home);
    for (file, words) in [
        ("dangling.yaml", "the link leads to /nowhere/at/all.yaml, which is not there"),
        ("round.yaml", "Too many levels of symbolic links"),
        ("binary.yaml", "the file is not UTF-8 text"),
    ] {
        let problem = home.wait_import_error(file);
        assert!(problem.starts_with(file) && problem.contains(words), "{problem}");
    }
}

#[test]
fn a_yaml_bomb_is_refused_and_the_others_run() {
    let home = Home::new();
    home.write("hello.yaml", HELLO);
    let mut bomb = String::from("params:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let before = format!("*a{}", n - 1);
        bomb.push_str(&format!("  a{n}: &a{n} [{}]\n", vec![before; 10].join(", ")));
    }
    home.write("bomb.yaml", &bomb);
    home.write("deep.yaml", &format!("tasks: {}{}", "[".repeat(100_000), "]".repeat(100_000)));
    let node = home.start();
    assert_hello(&home);
    let problem = home.wait_import_error("bomb.yaml");
    assert!(problem.contains("too much to be a DAG"), "{problem}");
    let problem = home.wait_import_error("deep.yaml");
    assert!(problem.contains("too deeply nested"), "{problem}");
    assert!(memory_mib(node.pid()) < 200, "the node holds {} MiB", memory_mib(node.pid()));
}

/// The greatest resident size that a process ever had.
fn memory_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the node lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

#[test]
fn a_python_file_that_hangs_is_given_up() {
    let home = Home::new().with("core.dagbag_import_timeout", "1");
    home.write("hello.yaml", HELLO);
    home.write("hangs.py", "from airflow import DAG  # a dag\nimport time\ntime.sleep(1000)\n");
    let _node = home.start();
    let problem = home.wait_import_error("hangs.py");
    assert!(problem.contains("1 s") || problem.contains("1.0 s"), "{problem}");
    assert_hello(&home);
}

#[test]
fn a_python_file_that_eats_memory_is_stopped() {
    let home = Home::new().with("dag_processor.memory_limit_mb", "256");
    home.write("hello.yaml", HELLO);
    home.write("hoards.py", "from airflow import DAG  # a dag\nhoard = b'x' * (1 << 30)\n");
    let _node = home.start();
    let problem = home.wait_import_error("hoards.py");
    assert!(problem.contains("memory") || problem.contains("Memory"), "{problem}");
    assert_hello(&home);
}

// --- The database ----------------------------------------------------------------------------

/// Another program that holds the write lock of an SQLite database until it is dropped.
struct Locked {
    process: Child,
    _stdin: ChildStdin,
}

impl Locked {
    fn hold(database: &Path) -> Self {
        let script = "import sqlite3, sys\n\
                      c = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)\n\
                      c.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\nsys.stdin.read()\n";
        let mut process = Command::new("python3")
            .args(["-c", script])
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("it speaks");
        assert_eq!(line.trim(), "held");
        let stdin = process.stdin.take().expect("a pipe");
        Self { process, _stdin: stdin }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // An error means that it ended before.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_locked_database_is_waited_for_and_then_named() {
    let home = Home::new().with("database.db_txn_timeout", "0.1");
    home.write("hello.yaml", HELLO);
    assert_eq!(home.start().stop().code, Some(0));
    let lock = Locked::hold(&home.path().join("updraft.db"));
    assert_ended(&home.start_in_vain(), &["updraft.db is locked by another program", "stop the program that holds it"]);
    drop(lock);
    let _node = home.start();
    assert_hello(&home);
}

#[test]
fn a_database_that_is_locked_for_a_while_delays_a_run_and_loses_nothing() {
    let home = Home::new().with("database.db_txn_timeout", "0.1");
    let (gate, started) = (home.in_world("gate"), home.counter("started"));
    let wait = format!("{}; until [ -e '{}' ]; do sleep 0.02; done", started.shell("1"), gate.display());
    home.write(
        "slow.yaml",
        &format!("schedule: null\ntasks:\n  wait: {{bash: {wait:?}}}\n  say: {{bash: 'echo x', depends_on: wait}}\n"),
    );
    let node = home.start();
    let run = home.trigger("slow");
    wait_until("the task runs", || started.count() == 1);
    let lock = Locked::hold(&home.path().join("updraft.db"));
    std::fs::write(&gate, "").expect("the gate opens");
    node.wait_says("commit failed and is tried again");
    assert!(!home.run("slow", &run.run_id).state.is_finished());
    drop(lock);
    home.wait_run("slow", &run.run_id).assert_success();
    assert_eq!(started.count(), 1);
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn a_file_that_is_no_database_is_named_and_left_alone() {
    let home = Home::new();
    let path = home.path().join("updraft.db");
    let letter = "Dear diary, ".repeat(1000);
    std::fs::write(&path, &letter).expect("a file");
    assert_ended(&home.start_in_vain(), &["updraft.db is not an SQLite database", "choose another file"]);
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), letter);
}

#[test]
fn a_damaged_database_is_named_with_what_can_be_done() {
    let home = Home::new();
    home.write("hello.yaml", HELLO);
    let node = home.start();
    assert_hello(&home);
    assert_eq!(node.stop().code, Some(0));
    // SQLite folds its log into the file when the last one leaves.
    let home = home.closed();
    let path = home.path().join("updraft.db");
    let mut bytes = std::fs::read(&path).expect("the database");
    // The first page keeps its header; everything else is noise.
    for (n, byte) in bytes.iter_mut().enumerate().skip(4096) {
        *byte = u8::try_from(n % 251).expect("below 256");
    }
    std::fs::write(&path, bytes).expect("written");
    assert!(!home.path().join("updraft.db-wal").exists(), "the log was folded");
    assert_ended(&home.start_in_vain(), &["is damaged", "restore a backup"]);
}

#[test]
fn a_wrong_database_url_says_what_was_expected() {
    let cases: [(&str, &[&str]); 3] = [
        ("postgres://nobody:hunter2@127.0.0.1:9/flows", &["cannot reach the database server at 127.0.0.1:9"]),
        ("sqlite:////sys/updraft/x.db", &["cannot open the database /sys/updraft/x.db"]),
        ("sqlite:////tmp", &["cannot open the database /tmp", "it is a folder"]),
    ];
    for (url, words) in cases {
        let ended = Home::new().with("database.sql_alchemy_conn", url).start_in_vain();
        assert_ended(&ended, words);
        assert!(!ended.output.contains("hunter2"), "{}", ended.output);
    }
    let ended = Home::new().with("database.sql_alchemy_conn", "oracle://a:hunter2@b/c").start_in_vain();
    assert_ne!(ended.code, Some(0));
    assert!(ended.output.contains("sql_alchemy_conn"), "{}", ended.output);
    assert!(!ended.output.contains("hunter2"), "{}", ended.output);
}

// --- The machine -----------------------------------------------------------------------------

/// A small file system of its own; `None` where the tests may not mount one.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    fn mount(path: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(path).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(path).output();
        let is_mounted = mounted.is_ok_and(|mounted| mounted.status.success());
        if !is_mounted {
            eprintln!("SKIPPED: this test mounts a small file system and is not allowed to (run it as root)");
        }
        is_mounted.then(|| Self { path: path.to_path_buf() })
    }

    fn remount(&self, options: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.path).status();
        assert!(status.expect("mount").success());
    }

    /// Writes until there is no room.
    fn fill(&self) -> PathBuf {
        let path = self.path.join("ballast");
        let mut file = std::fs::File::create(&path).expect("a file");
        while file.write_all(&[0; 4096]).is_ok() {}
        while file.write_all(&[0; 1]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what the test started may not have ended yet.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[test]
fn a_full_disk_delays_a_run_and_loses_nothing() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(&home.path(), "size=8m") else { return };
    let (gate, started) = (home.in_world("gate"), home.counter("started"));
    let wait = format!("{}; until [ -e '{}' ]; do sleep 0.02; done", started.shell("1"), gate.display());
    home.write(
        "slow.yaml",
        &format!("schedule: null\ntasks:\n  wait: {{bash: {wait:?}}}\n  say: {{bash: 'echo x', depends_on: wait}}\n"),
    );
    let node = home.start();
    let run = home.trigger("slow");
    wait_until("the task runs", || started.count() == 1);
    let ballast = disk.fill();
    std::fs::write(&gate, "").expect("the gate opens");
    wait_until("the node says that there is no room", || {
        let output = node.output();
        output.contains("no room is left") || output.contains("No space left")
    });
    std::fs::remove_file(ballast).expect("room again");
    let run = home.wait_run("slow", &run.run_id);
    run.assert_success();
    assert_eq!(started.count(), 1, "nothing ran twice");
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn a_node_on_a_full_disk_says_so_and_ends() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(&home.path(), "size=1m") else { return };
    let ballast = disk.fill();
    let ended = home.start_in_vain();
    assert_ended(&ended, &[]);
    assert!(ended.output.contains("no room is left") || ended.output.contains("No space left"), "{}", ended.output);
    std::fs::remove_file(ballast).expect("room again");
}

#[test]
fn a_home_that_is_read_only_is_named() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(&home.path(), "size=8m") else { return };
    home.write("hello.yaml", HELLO);
    disk.remount("ro");
    assert_ended(&home.start_in_vain(), &["cannot write in the home folder", "Read-only file system"]);
    disk.remount("rw");
    home.write("hello.yaml", HELLO);
    let _node = home.start();
    assert_hello(&home);
}

#[test]
fn without_bash_and_python_each_task_and_file_says_what_is_missing() {
    let home = Home::new();
    let nothing = home.in_world("no programs");
    std::fs::create_dir_all(&nothing).expect("a folder");
    let home = home.with_variable("PATH", &nothing.to_string_lossy());
    home.write("hello.yaml", HELLO);
    home.write(
        "nap.yaml",
        "schedule: null\ntasks:\n  rest: {empty: true}\n  think: {python: {source: 'result = 1'}}\n",
    );
    home.write("snake.py", "from airflow import DAG\nDAG('snake', schedule=None)\n");
    let node = home.start();
    let problem = home.wait_import_error("snake.py");
    assert!(problem.contains("there is no `python3`") && problem.contains("install Python"), "{problem}");

    let run = home.trigger_and_wait("hello");
    assert_eq!(run.row.state, RunState::Failed);
    let note = run.task("say").note.clone().unwrap_or_default();
    assert!(note.contains("there is no `bash` in the worker's PATH"), "{note}");
    assert!(home.log(&run.row, "say", 1).contains("install bash"));

    let run = home.trigger_and_wait("nap");
    assert_eq!(run.task("rest").state, TaskState::Success, "nothing is needed to do nothing");
    assert_eq!(run.task("think").state, TaskState::Failed);
    let note = run.task("think").note.clone().unwrap_or_default();
    assert!(note.contains("python3"), "{note}");
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn a_port_that_is_taken_is_named_and_nothing_is_left_running() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let home = home.with("api.port", &port.to_string());
    let node = home.spawn();
    let mark = node.mark();
    assert_ended(&node.wait_end(), &[&format!("cannot listen on 127.0.0.1:{port}"), "in use"]);
    wait_until("nothing is left", || Process::marked(&mark).is_empty());
}

#[test]
fn a_second_node_in_the_same_home_is_refused_and_the_first_one_works_on() {
    let home = Home::new();
    home.write("hello.yaml", HELLO);
    let first = home.start();
    assert_ended(&home.start_in_vain(), &["a node already runs in", &format!("(process {})", first.pid())]);
    assert_hello(&home);
    assert_eq!(first.stop().code, Some(0));
}

#[test]
fn a_misspelt_key_is_named_with_the_one_that_was_meant() {
    let home = Home::new();
    std::fs::write(home.path().join("updraft.toml"), "[core]\nparalelism = 3\n").expect("a file");
    let ended = home.start_in_vain();
    assert_ended(&ended, &["updraft.toml", "paralelism", "did you mean", "parallelism"]);
}

#[test]
fn a_companion_that_is_killed_costs_its_tasks_one_try_and_the_node_goes_on() {
    let home = Home::new();
    let (gate, started) = (home.in_world("gate"), home.counter("started"));
    let wait =
        format!("{}; until [ -e '{}' ]; do sleep 0.02; done", started.shell("$AIRFLOW_CTX_TRY_NUMBER"), gate.display());
    home.write("slow.yaml", &format!("schedule: null\ntasks:\n  wait: {{bash: {wait:?}}}\n"));
    let node = home.start();
    let run = home.trigger("slow");
    wait_until("the task runs", || started.count() == 1);
    let companion = wait_for("the companion", || node.processes().into_iter().find(Process::is_companion));
    companion.kill();
    wait_until("the task is tried again", || started.count() == 2);
    std::fs::write(&gate, "").expect("the gate opens");
    let run = home.wait_run("slow", &run.run_id);
    run.assert_success();
    assert_eq!(started.lines(), ["1", "2"]);
    assert_eq!(home.attempts(&run.row).len(), 2);
}
