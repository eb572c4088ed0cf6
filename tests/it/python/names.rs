//! Every name that DAG files take from Airflow, in each spelling, by every Python that the machine has.

use std::path::PathBuf;
use std::process::Command;

use updraft::dagfile::python::install_package;

use super::here;

/// `python3`, and each version that can be found beside it; of one version, the first.
fn interpreters() -> Vec<PathBuf> {
    let versions = (9..=14).map(|minor| format!("python3.{minor}"));
    let mut candidates: Vec<PathBuf> = std::iter::once("python3".to_owned()).chain(versions).map(Into::into).collect();
    let pyenv = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pyenv/versions"));
    let installed = pyenv.and_then(|folder| std::fs::read_dir(folder).ok());
    candidates.extend(installed.into_iter().flatten().flatten().map(|entry| entry.path().join("bin/python")));
    let mut known = Vec::new();
    let ask = "import sys; print('%d.%d' % sys.version_info[:2] if sys.version_info >= (3, 9) else '')";
    candidates.retain(|program| {
        // A name may be there and lead nowhere.
        let said = Command::new(program).args(["-c", ask]).output().ok().filter(|said| said.status.success());
        let version = said.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned()).unwrap_or_default();
        let is_new = !version.is_empty() && !known.contains(&version);
        known.push(version);
        is_new
    });
    candidates
}

#[test]
fn every_name_of_airflow_that_dag_files_use_can_be_imported_in_every_spelling() {
    let cache = tempfile::tempdir().expect("a folder");
    let package = install_package(cache.path()).expect("the package is written");
    let interpreters = interpreters();
    assert!(!interpreters.is_empty(), "these tests need python3");
    for python in interpreters {
        let mut command = Command::new(&python);
        let said = command.arg(here("names.py")).arg(&package).arg(here("names.txt")).output().expect("it starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(said.status.success(), "{}: {}", python.display(), text(&said.stderr));
        assert_eq!(text(&said.stdout), "", "{}", python.display());
        let count = text(&said.stderr).trim().strip_suffix(" statements").and_then(|count| count.parse::<u32>().ok());
        assert!(count.is_some_and(|count| count > 250), "{}: {}", python.display(), text(&said.stderr));
    }
}
