//! The interpreter that has the Task SDK.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::{FlockOperation, flock};

/// What a stranger would install, in the versions whose frames are known here.
const PACKAGES: [&str; 3] =
    ["apache-airflow-task-sdk==1.3.2", "apache-airflow-core==3.3.2", "apache-airflow-providers-standard"];

const VARIABLE: &str = "UPDRAFT_TEST_SDK_PYTHON";

/// One of these tests at a time: each imports Airflow several times, which on a small machine takes all of it.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Made by pip where no variable names one; once, however many tests and processes want it.
pub fn with_sdk() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| std::env::var_os(VARIABLE).map_or_else(installed, PathBuf::from))
}

fn installed() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (folder, done) = (target.join("sdk-venv"), target.join("sdk-venv.done"));
    let lock = File::create(target.join("sdk-venv.lock")).expect("a lock below target/");
    flock(&lock, FlockOperation::LockExclusive).expect("the lock");
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&done).is_ok_and(|made| made == wanted) {
        return folder.join("bin/python");
    }
    let _ = fs::remove_dir_all(&folder);
    let run = |program: &Path, words: &[&str]| {
        let output = Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program:?}: {error}"));
        assert!(
            output.status.success(),
            "the tests of Airflow's Task SDK need an interpreter that has it. Name one in {VARIABLE} (a python with {}), \
             or let pip reach a package index. `{} {}` said:\n{}",
            PACKAGES.join(" "),
            program.display(),
            words.join(" "),
            String::from_utf8_lossy(&output.stderr),
        );
    };
    run(Path::new("python3"), &["-m", "venv", &folder.to_string_lossy()]);
    let python = folder.join("bin/python");
    let mut words = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    words.extend(PACKAGES);
    run(&python, &words);
    fs::write(&done, wanted).expect("written");
    python
}
