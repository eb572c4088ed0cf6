//! Looks at real folders.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> (TempDir, Folder) {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    for (path, content) in files {
        write(temporary.path(), path, content);
    }
    let folder = Folder::new(temporary.path());
    (temporary, folder)
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
    fs::write(path, content).expect("a file");
}

fn found(folder: &Folder) -> Vec<String> {
    folder.scan().files.into_keys().collect()
}

const PYTHON: &str = "from airflow import DAG\n";

#[test]
fn dag_files_are_found_in_all_folders_but_hidden_ones_and_caches() {
    let (_keep, folder) = folder(&[
        ("a.yaml", ""),
        ("b.yml", ""),
        ("c.py", PYTHON),
        ("notes.md", ""),
        ("team/deep/d.yaml", ""),
        (".git/e.yaml", ""),
        (".hidden.yaml", ""),
        ("team/__pycache__/f.py", PYTHON),
    ]);
    assert_eq!(found(&folder), ["a.yaml", "b.yml", "c.py", "team/deep/d.yaml"]);
}

#[test]
fn safe_mode_passes_over_python_files_that_mention_no_dag() {
    let (_keep, mut folder) = folder(&[
        ("dag.py", "from AIRFLOW.sdk import dag"),
        ("library.py", "import dagster"),
        ("setup.py", "airflow = 1"),
    ]);
    assert_eq!(found(&folder), ["dag.py"]);
    folder.safe_mode = false;
    assert_eq!(found(&folder), ["dag.py", "library.py", "setup.py"]);
}

#[test]
fn glob_ignore_files_are_those_of_git() {
    let (_keep, folder) = folder(&[
        (".airflowignore", "# not ours\ndraft_*\n/lib/\nold/**\n!old/keep.yaml\n"),
        ("a.yaml", ""),
        ("draft_b.yaml", ""),
        ("lib/c.yaml", ""),
        ("team/lib/d.yaml", ""),
        ("team/draft_e.yaml", ""),
        ("old/f.yaml", ""),
        ("old/keep.yaml", ""),
        ("team/.airflowignore", "!draft_e.yaml\ng.yaml\n"),
        ("team/g.yaml", ""),
        ("g.yaml", ""),
    ]);
    assert_eq!(found(&folder), ["a.yaml", "g.yaml", "old/keep.yaml", "team/draft_e.yaml", "team/lib/d.yaml"]);
}

#[test]
fn regexp_ignore_files_search_the_path_from_the_dags_folder() {
    let (_keep, mut folder) = folder(&[
        (".airflowignore", "project_a # a comment\n\ntenant_[\\d]\n*.broken\n"),
        ("a.yaml", ""),
        ("project_a_dag_1.yaml", ""),
        ("TESTING_project_a.yaml", ""),
        ("tenant_1.yaml", ""),
        ("tenant_x.yaml", ""),
        ("project_a/dag_1.yaml", ""),
    ]);
    folder.ignore_syntax = Syntax::Regexp;
    let scan = folder.scan();
    assert_eq!(scan.files.into_keys().collect::<Vec<_>>(), ["a.yaml", "tenant_x.yaml"]);
    let problems: Vec<String> = scan.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            ".airflowignore, line 4: `*.broken` is no regular expression and is passed over (glob patterns need `[core] dag_ignore_file_syntax = glob`)"
        ]
    );
}

#[test]
fn a_link_that_leads_back_is_not_followed_and_a_link_elsewhere_is() {
    let (keep, folder) = folder(&[("a.yaml", ""), ("team/b.yaml", "")]);
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    write(elsewhere.path(), "c.yaml", "");
    symlink(keep.path(), keep.path().join("team/up")).expect("a link");
    symlink(elsewhere.path(), keep.path().join("shared")).expect("a link");
    symlink("/nowhere/at/all.yaml", keep.path().join("broken.yaml")).expect("a link");
    let scan = folder.scan();
    assert_eq!(scan.files.into_keys().collect::<Vec<_>>(), ["a.yaml", "shared/c.yaml", "team/b.yaml"]);
    let mut problems: Vec<String> = scan.problems.iter().map(ToString::to_string).collect();
    problems.sort();
    assert_eq!(
        problems,
        [
            "broken.yaml: the link leads to /nowhere/at/all.yaml, which is not there",
            "team/up: the link leads back to the folder and is not followed",
        ]
    );
}

#[test]
fn new_changed_and_removed_files_are_told_apart_by_content() {
    let (keep, folder) = folder(&[("same.yaml", "1"), ("changes.yaml", "1"), ("goes.yaml", "1")]);
    let before = folder.scan().files;
    write(keep.path(), "same.yaml", "1");
    write(keep.path(), "changes.yaml", "2");
    write(keep.path(), "comes.py", PYTHON);
    fs::remove_file(keep.path().join("goes.yaml")).expect("a file");
    let changes = diff(&before, &folder.scan());
    assert_eq!(changes.new, [SourceFile { path: "comes.py".into(), language: Language::Python }]);
    assert_eq!(changes.changed, [SourceFile { path: "changes.yaml".into(), language: Language::Yaml }]);
    assert_eq!(changes.removed, ["goes.yaml"]);
    assert!(diff(&folder.scan().files, &folder.scan()).is_empty());
}

#[test]
fn what_cannot_be_read_is_a_problem_and_not_gone() {
    let known: Snapshot = ["team/a.yaml", "team2/b.yaml", "c.yaml"]
        .map(|path| (path.to_owned(), ContentHash::of(b"")))
        .into_iter()
        .collect();
    let scan = Scan { unreadable: vec!["team".into()], ..Scan::default() };
    assert_eq!(diff(&known, &scan).removed, ["c.yaml", "team2/b.yaml"]);

    let missing = Folder::new("/nowhere/dags").scan();
    assert_eq!(missing.problems.len(), 1);
    assert_eq!(
        missing.problems[0].to_string(),
        "/nowhere/dags: the DAGs folder cannot be read: No such file or directory (os error 2)"
    );
    assert!(diff(&known, &missing).is_empty());
}

#[test]
fn an_unreadable_file_does_not_hide_the_others() {
    let (keep, folder) = folder(&[("a.yaml", ""), ("locked.yaml", "")]);
    let locked = keep.path().join("locked.yaml");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).expect("permissions");
    if fs::read(&locked).is_ok() {
        // Root reads everything; a link to itself is unreadable for root, too.
        fs::remove_file(&locked).expect("a file");
        symlink(&locked, &locked).expect("a link");
    }
    let scan = folder.scan();
    assert_eq!(scan.files.keys().collect::<Vec<_>>(), ["a.yaml"]);
    assert_eq!(scan.unreadable, ["locked.yaml"]);
    assert_eq!(scan.problems.len(), 1);
    assert_eq!(scan.problems[0].place.file, "locked.yaml");
}

#[test]
fn two_thousand_files_are_looked_at_within_a_second() {
    let (keep, folder) = folder(&[]);
    for n in 0..2000 {
        write(keep.path(), &format!("team_{}/dag_{n}.yaml", n % 20), &"tasks:\n  - bash: echo hello\n".repeat(20));
    }
    let start = std::time::Instant::now();
    assert_eq!(folder.scan().files.len(), 2000);
    let took = start.elapsed();
    assert!(took.as_millis() < 1000, "took {took:?}");
}
