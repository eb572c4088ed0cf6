//! Which of the two runners an interpreter gets: our stand-in package, or the real Task SDK where it is installed.
//!
//! Asking an interpreter costs a process, so the answer is kept beside the embedded package for as long as neither the
//! interpreter nor a folder that it takes packages from has changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// Who reads DAG files and runs their tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runner {
    /// The embedded stand-in for the `airflow` package.
    Builtin,
    /// Airflow's own classes and task runner.
    Sdk(SdkVersion),
}

/// What of Airflow an interpreter can import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SdkVersion {
    pub task_sdk: String,
    /// The runner reads DAG files with it.
    pub core: String,
}

/// Which runner is wanted: `[python] runner`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Auto,
    Builtin,
    Sdk,
}

/// Prints JSON; imports nothing of Airflow, which would take seconds.
const QUESTION: &str = "\
import importlib.metadata as m, json, sys
def version(name):
    try:
        return m.version(name)
    except m.PackageNotFoundError:
        return None
print(json.dumps({'task_sdk': version('apache-airflow-task-sdk'), 'core': version('apache-airflow-core'),
                  'folders': [p for p in sys.path if p]}))
";

/// What an interpreter said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Said {
    task_sdk: Option<String>,
    core: Option<String>,
    /// Where it takes packages from.
    folders: Vec<PathBuf>,
}

/// What it said, and of which state of the machine that was true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    program: PathBuf,
    said: Said,
    /// Times of change, in nanoseconds.
    stamps: BTreeMap<PathBuf, Option<u128>>,
}

/// Chooses the runner for `program`, which is a path; `cache` is the folder to remember it in.
///
/// # Errors
/// When the Task SDK is wished for and not there; a sentence for people.
pub fn choose(program: &Path, cache: &Path, wish: Wish) -> Result<Runner, String> {
    let said = match wish {
        Wish::Builtin => return Ok(Runner::Builtin),
        Wish::Auto | Wish::Sdk => ask(program, &cache.join("python-runner.json")),
    };
    let shown = program.display();
    match (wish, said) {
        (_, Ok(Said { task_sdk: Some(task_sdk), core: Some(core), .. })) => {
            Ok(Runner::Sdk(SdkVersion { task_sdk, core }))
        }
        (Wish::Auto | Wish::Builtin, _) => Ok(Runner::Builtin),
        (Wish::Sdk, Ok(Said { task_sdk: Some(version), core: None, .. })) => Err(format!(
            "[python] runner = sdk: `{shown}` has apache-airflow-task-sdk {version}, whose task runner also needs \
             apache-airflow-core: `{shown} -m pip install apache-airflow-core`"
        )),
        (Wish::Sdk, Ok(_)) => Err(format!(
            "[python] runner = sdk, and `{shown}` cannot import Airflow's Task SDK: `{shown} -m pip install \
             apache-airflow-task-sdk apache-airflow-core apache-airflow-providers-standard`, or set runner = auto"
        )),
        (Wish::Sdk, Err(why)) => Err(format!("[python] runner = sdk, and `{shown}` could not be asked: {why}")),
    }
}

fn ask(program: &Path, file: &Path) -> Result<Said, String> {
    if let Some(kept) = kept(program, file) {
        return Ok(kept);
    }
    let mut command = Command::new(program);
    let answer = command.arg("-c").arg(QUESTION).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let answer = answer.map_err(|error| error.to_string())?;
    let said: Said = serde_json::from_slice(&answer.stdout)
        .map_err(|_| format!("it ended with {} and said nothing of use", answer.status))?;
    keep(program, file, &said);
    Ok(said)
}

/// What is remembered, if it still holds.
fn kept(program: &Path, file: &Path) -> Option<Said> {
    let kept: Kept = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let holds = kept.program == program && kept.stamps.iter().all(|(path, stamp)| stamp_of(path) == *stamp);
    holds.then_some(kept.said)
}

fn keep(program: &Path, file: &Path, said: &Said) {
    let paths = said.folders.iter().cloned().chain([program.to_owned()]);
    let stamps = paths.map(|path| (path.clone(), stamp_of(&path))).collect();
    let kept = Kept { program: program.to_owned(), said: said.clone(), stamps };
    // Whoever cannot remember asks again the next time. Written beside and renamed: two nodes may do this at once.
    let beside = file.with_extension(format!("{}.new", std::process::id()));
    let written = serde_json::to_vec(&kept).map_err(std::io::Error::other).and_then(|text| fs::write(&beside, text));
    if written.and_then(|()| fs::rename(&beside, file)).is_err() {
        let _ = fs::remove_file(&beside);
    }
}

fn stamp_of(path: &Path) -> Option<u128> {
    let changed = fs::metadata(path).ok()?.modified().ok()?;
    changed.duration_since(UNIX_EPOCH).ok().map(|since| since.as_nanos())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// An interpreter that counts how often it is asked.
    fn interpreter(folder: &Path, task_sdk: &str, core: &str) -> PathBuf {
        let program = folder.join("python3");
        let (count, packages) = (folder.join("count"), folder.join("site-packages"));
        fs::create_dir_all(&packages).expect("a folder");
        let answer = format!(r#"{{"task_sdk": {task_sdk}, "core": {core}, "folders": ["{}"]}}"#, packages.display());
        let script = format!("#!/bin/sh\necho once >> '{}'\necho '{answer}'\n", count.display());
        fs::write(&program, script).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
        program
    }

    fn asked(folder: &Path) -> usize {
        fs::read_to_string(folder.join("count")).unwrap_or_default().lines().count()
    }

    #[test]
    fn an_interpreter_is_asked_once_until_it_or_its_packages_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = interpreter(folder.path(), "\"1.3.2\"", "\"3.3.2\"");
        let sdk = Runner::Sdk(SdkVersion { task_sdk: "1.3.2".to_owned(), core: "3.3.2".to_owned() });
        for _ in 0..3 {
            assert_eq!(choose(&program, folder.path(), Wish::Auto), Ok(sdk.clone()));
        }
        assert_eq!(asked(folder.path()), 1);
        assert_eq!(choose(&program, folder.path(), Wish::Builtin), Ok(Runner::Builtin));
        // As `pip uninstall` would leave it.
        let packages = fs::File::open(folder.path().join("site-packages")).expect("a folder");
        packages.set_modified(UNIX_EPOCH).expect("changed");
        assert_eq!(choose(&program, folder.path(), Wish::Sdk), Ok(sdk));
        assert_eq!(asked(folder.path()), 2);
    }

    #[test]
    fn a_wish_that_cannot_be_met_says_what_to_install_and_auto_does_without() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = interpreter(folder.path(), "\"1.3.2\"", "null");
        assert_eq!(choose(&program, folder.path(), Wish::Auto), Ok(Runner::Builtin));
        let why = choose(&program, folder.path(), Wish::Sdk).expect_err("the core is missing");
        assert!(why.contains("-m pip install apache-airflow-core"), "{why}");
        let program = interpreter(folder.path(), "null", "null");
        let why = choose(&program, folder.path(), Wish::Sdk).expect_err("nothing is there");
        assert!(why.contains("pip install apache-airflow-task-sdk apache-airflow-core"), "{why}");
        let nowhere = Path::new("/nowhere/python3");
        assert_eq!(choose(nowhere, folder.path(), Wish::Auto), Ok(Runner::Builtin));
        assert!(choose(nowhere, folder.path(), Wish::Sdk).is_err());
    }
}
