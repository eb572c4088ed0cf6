//! A RabbitMQ and a Postgres of a test's own, which it may kill and start again. The servers that all tests share
//! must not be touched like that.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// RabbitMQ needs many seconds to start on a busy machine.
const STARTS_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);

const RABBITMQ: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A RabbitMQ node in a folder.
pub struct OwnRabbit {
    folder: PathBuf,
    port: u16,
    distribution: u16,
}

impl OwnRabbit {
    /// `None` where the server is not installed.
    pub fn start(folder: &Path) -> Option<Self> {
        if !Path::new(RABBITMQ).exists() {
            return None;
        }
        let rabbit = Self { folder: folder.join("rabbitmq"), port: free_port(), distribution: free_port() };
        fs::create_dir_all(rabbit.folder.join("home")).expect("a folder");
        let at = |name: &str| rabbit.folder.join(name);
        let config = format!("listeners.tcp.default = 127.0.0.1:{}\nlog.console = false\n", rabbit.port);
        fs::write(at("rabbitmq.conf"), config).expect("written");
        fs::write(at("plugins"), "[].\n").expect("written");
        rabbit.go();
        Some(rabbit)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it, and waits until it listens.
    pub fn go(&self) {
        let at = |name: &str| self.folder.join(name);
        let output = File::create(at("output")).expect("a file");
        let mut command = Command::new(RABBITMQ);
        command
            .env("HOME", at("home"))
            .env("RABBITMQ_NODENAME", format!("updraft{}@localhost", self.port))
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("RABBITMQ_MNESIA_BASE", at("mnesia"))
            .env("RABBITMQ_LOG_BASE", at("log"))
            .env("RABBITMQ_CONFIG_FILE", at("rabbitmq"))
            .env("RABBITMQ_PID_FILE", at("pid"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("plugins"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .stdin(Stdio::null())
            .stderr(output.try_clone().expect("a second descriptor"))
            .stdout(output);
        // The script replaces itself by the server, whose number stands in the file; nobody waits for it here.
        drop(command.spawn().expect("the server's script runs"));
        wait("RabbitMQ listens", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    /// `kill -9`.
    pub fn kill(&self) {
        let pid = fs::read_to_string(self.folder.join("pid")).ok().and_then(|text| text.trim().parse().ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        wait("RabbitMQ is gone", || TcpStream::connect(("127.0.0.1", self.port)).is_err());
    }
}

impl Drop for OwnRabbit {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A Postgres server in a folder.
pub struct OwnPostgres {
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
}

impl OwnPostgres {
    /// `None` where the server is not installed.
    pub fn start(folder: &Path) -> Option<Self> {
        let programs = server_programs()?;
        let folder = folder.join("postgres");
        fs::create_dir_all(&folder).expect("a folder");
        if rustix::process::geteuid().is_root() {
            // The server refuses to be root; its user needs the way to its data.
            let (uid, gid) = user_of_postgres();
            chown(&folder, Some(uid), Some(gid)).expect("a folder for the server's user");
        }
        let postgres = Self { folder, programs, port: free_port() };
        postgres
            .run("initdb", &["--pgdata=data", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"]);
        postgres.go();
        Some(postgres)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it, and waits until it lets people in.
    pub fn go(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c max_connections=100",
            self.port,
            self.folder.display()
        );
        self.run(
            "pg_ctl",
            &["--pgdata=data", "--log=server.log", "--wait", "--timeout=100", "--options", &options, "start"],
        );
    }

    /// As if the power had failed.
    pub fn kill(&self) {
        self.run("pg_ctl", &["--pgdata=data", "--mode=immediate", "--wait", "stop"]);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let path = self.programs.join(program);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        let output = File::create(self.folder.join(format!("{program}.out"))).expect("a file");
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        command.stderr(output.try_clone().expect("a second descriptor")).stdout(output);
        let status = command.status().expect("the server's program runs");
        assert!(
            status.success(),
            "{program}: {}",
            fs::read_to_string(self.folder.join(format!("{program}.out"))).unwrap_or_default()
        );
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        if self.folder.join("data/postmaster.pid").exists() {
            self.kill();
        }
    }
}

/// Debian keeps the server's programs out of PATH, one folder per version; the newest.
fn server_programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    found.retain(|folder| folder.join("initdb").exists());
    found.sort();
    found.pop()
}

/// By the folder that Debian's package makes for it.
fn user_of_postgres() -> (u32, u32) {
    let home = fs::metadata("/var/lib/postgresql").expect("the package of the server made its user and its folder");
    (home.uid(), home.gid())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

fn wait(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < STARTS_WITHIN, "waited {STARTS_WITHIN:?} in vain: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}
