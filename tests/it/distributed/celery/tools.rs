//! Celery and Flower from PyPI, in an environment of their own in `target/`, and a virtual host of RabbitMQ's of their
//! own: remote control reaches every worker of one.
//!
//! Where PyPI or `rabbitmqctl` is out of reach the tests say so and are left out. `UPDRAFT_TEST_CELERY=none` leaves
//! them out without a word; `required` makes it a failure.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::distributed::worker::desk::broker_url;
use crate::kit::wait_for;

/// The versions whose words were read.
const PACKAGES: [&str; 2] = ["flower==2.2.0", "celery==5.7.0"];

/// Celery's tools at a virtual host that ends with the test.
pub struct Tools {
    programs: PathBuf,
    vhost: String,
    pub url: String,
}

/// `None`: left out, and said so.
pub fn tools() -> Option<Tools> {
    let wish = std::env::var("UPDRAFT_TEST_CELERY").unwrap_or_default();
    if wish == "none" || broker_url() == "none" {
        return None;
    }
    match made() {
        Ok(tools) => Some(tools),
        Err(why) => {
            assert!(wish != "required", "Celery's tools are required: {why}");
            eprintln!("LEFT OUT: no test with Celery's own tools, because {why}");
            None
        }
    }
}

fn made() -> Result<Tools, String> {
    let programs = installed()?;
    let vhost = format!("test-{}", Uuid::new_v4().simple());
    rabbitmqctl(&["add_vhost", &vhost])?;
    let url = broker_url();
    let (server, _) = url.rsplit_once('/').ok_or("UPDRAFT_TEST_RABBITMQ has no `/` before its virtual host")?;
    let tools = Tools { programs, url: format!("{server}/{vhost}"), vhost };
    let login = server.trim_start_matches("amqp://").split('@').next().unwrap_or_default();
    let user = login.split(':').next().unwrap_or_default();
    rabbitmqctl(&["set_permissions", "-p", &tools.vhost, user, ".*", ".*", ".*"])?;
    Ok(tools)
}

fn rabbitmqctl(words: &[&str]) -> Result<(), String> {
    run(Command::new("rabbitmqctl").arg("-q").args(words))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|why| format!("{command:?}: {why}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// Made once, and again when another version is wanted.
fn installed() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let said = |why: std::io::Error| format!("{}: {why}", folder.display());
    fs::create_dir_all(folder).map_err(said)?;
    let lock = File::create(folder.join("celery-tools.lock")).map_err(said)?;
    lock.lock().map_err(said)?;
    let (environment, wanted) = (folder.join("celery-tools"), PACKAGES.join(" "));
    let ready = environment.join("ready");
    if fs::read_to_string(&ready).is_ok_and(|have| have.trim() == wanted) {
        return Ok(environment.join("bin"));
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let pip = environment.join("bin/pip");
    run(Command::new(pip).args(["install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES))?;
    fs::write(ready, wanted).map_err(said)?;
    Ok(environment.join("bin"))
}

impl Drop for Tools {
    fn drop(&mut self) {
        if let Err(why) = rabbitmqctl(&["delete_vhost", &self.vhost]) {
            eprintln!("the virtual host {} stays: {why}", self.vhost);
        }
    }
}

impl Tools {
    fn celery(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join("celery"));
        command.args(["-b", &self.url]).args(words).stdin(Stdio::null());
        command.env_remove("CELERY_BROKER_URL").current_dir(env!("CARGO_TARGET_TMPDIR"));
        command
    }

    /// `celery <words>`, as a person would type it, for one worker.
    pub fn say(&self, group: &str, node: &str, words: &[&str]) -> Output {
        let mut all = vec![group, "-t", "20", "-d", node, "--json"];
        all.extend(words);
        self.celery(&all).output().expect("celery runs")
    }

    /// What one worker answers.
    pub fn asked(&self, group: &str, node: &str, words: &[&str]) -> Value {
        let output = self.say(group, node, words);
        let said = || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let answers: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|why| panic!("celery {group} {words:?}: {why}: {}", said()));
        // `inspect` merges the answers of all nodes, `control` lists them.
        let answer = answers.get(node).or_else(|| answers[0].get(node)).cloned();
        assert!(output.status.success(), "celery {group} {words:?}: {}", said());
        answer.unwrap_or_else(|| panic!("celery {group} {words:?}: {}", said()))
    }

    pub fn inspect(&self, node: &str, words: &[&str]) -> Value {
        self.asked("inspect", node, words)
    }

    pub fn flower(&self) -> Flower {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
        let mut command = self.celery(&["flower", &format!("--port={port}"), "--address=127.0.0.1"]);
        command.env("FLOWER_UNAUTHENTICATED_API", "true").stdout(Stdio::null()).stderr(Stdio::null());
        let flower = Flower { server: command.spawn().expect("flower runs"), at: format!("http://127.0.0.1:{port}") };
        wait_for("Flower listens", || flower.get("/healthcheck"));
        flower
    }
}

/// Flower, until the test ends.
pub struct Flower {
    server: Child,
    at: String,
}

impl Drop for Flower {
    fn drop(&mut self) {
        // One that has ended needs no end.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Flower {
    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(20))).build().into()
    }

    /// A page; `None` when there is none.
    pub fn get(&self, path: &str) -> Option<String> {
        let answer = Self::agent().get(format!("{}{path}", self.at)).call().ok()?;
        answer.into_body().read_to_string().ok()
    }

    pub fn json(&self, path: &str) -> Value {
        self.get(path).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// What a button of its pages does.
    pub fn press(&self, path: &str) -> String {
        let answer = Self::agent().post(format!("{}{path}", self.at)).send_empty();
        let answer = answer.unwrap_or_else(|why| panic!("POST {path}: {why}"));
        answer.into_body().read_to_string().expect("an answer")
    }

    /// Its row of the table of workers.
    pub fn worker(&self, node: &str) -> Option<Value> {
        let rows = self.json("/workers?json=1");
        rows["data"].as_array()?.iter().find(|row| row["hostname"] == node).cloned()
    }

    pub fn task(&self, uuid: &str) -> Value {
        self.json("/api/tasks")[uuid].take()
    }
}
