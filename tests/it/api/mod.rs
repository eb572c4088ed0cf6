//! The REST API as other programs use it: the unmodified `apache-airflow-client` from PyPI against the real program,
//! and a fuzzer that goes by the API's own document.
//!
//! The Python environment is made once, below the target folder. Without a network, set `UPDRAFT_TEST_CLIENT_PYTHON` to
//! a Python (3.10 or later) that has `apache-airflow-client` and `schemathesis`, or to `none`: then these tests are left out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::kit::{Home, Node};

const PACKAGES: [&str; 2] = ["apache-airflow-client==3.3.2", "schemathesis==4.32.5"];

/// The Python with both packages; `None` where these tests are not wanted.
fn python() -> Option<PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(find_python).clone()
}

fn find_python() -> Option<PathBuf> {
    match std::env::var("UPDRAFT_TEST_CLIENT_PYTHON") {
        Ok(word) if word == "none" => {
            eprintln!("NO TEST WITH THE REAL CLIENT RUNS, because UPDRAFT_TEST_CLIENT_PYTHON is none");
            return None;
        }
        Ok(path) => return Some(path.into()),
        Err(_) => {}
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
    let venv = target.join("api-client");
    let python = venv.join("bin/python");
    // Written last: an environment that was cut off in the making is made anew.
    let mark = venv.join(PACKAGES.join(" "));
    if !mark.exists() {
        run_to_its_end(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
        run_to_its_end(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES));
        std::fs::write(&mark, "").expect("the mark is written");
    }
    Some(python)
}

fn run_to_its_end(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let hint = "set UPDRAFT_TEST_CLIENT_PYTHON where there is no network";
    let said = || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ({hint}):\n{}", said());
    output
}

/// A node with a few DAGs that an administrator works with.
struct Served {
    home: Home,
    node: Node,
}

impl Served {
    fn start() -> Self {
        let home = Home::new().with("api.expose_config", "True");
        home.write("etl.yaml", include_str!("etl.yaml"));
        home.write("nightly.yaml", include_str!("nightly.yaml"));
        home.write("consumer.yaml", include_str!("consumer.yaml"));
        home.write("broken.yaml", "tasks: 7\n");
        let node = home.start();
        for dag in ["etl", "nightly", "consumer"] {
            home.wait_dag(dag);
        }
        home.wait_import_error("broken.yaml");
        Self { home, node }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.home.settings().api.port)
    }

    fn password(&self) -> String {
        let file = self.home.path().join("simple_auth_manager_passwords.json.generated");
        let text = std::fs::read_to_string(file).expect("the first user's password is kept");
        let kept: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        kept["admin"].as_str().expect("the password of admin").to_owned()
    }

    /// Runs a script with the address and the password of the administrator.
    fn tell(&self, python: &Path, script: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/api").join(script);
        // The fuzzer keeps what it found where it is started.
        let mut command = Command::new(python);
        command.arg(script).arg(self.url()).arg(self.password()).current_dir(self.home.path());
        let output = run_to_its_end(&mut command);
        println!("{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn the_real_client_works_through_every_group_of_the_api() {
    let Some(python) = python() else { return };
    let served = Served::start();
    served.tell(&python, "story.py");
    served.node.stop();
}

#[test]
fn no_odd_request_is_an_error_of_the_server_and_every_answer_is_as_documented() {
    let Some(python) = python() else { return };
    let served = Served::start();
    served.tell(&python, "oddities.py");
    served.tell(&python, "fuzz.py");
    let alive = served.node.health().expect("the node still answers");
    assert_eq!(alive["metadatabase"]["status"], "healthy");
    served.node.stop();
}
